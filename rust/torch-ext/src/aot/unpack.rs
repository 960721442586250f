//! Takes the library out of a `.pt2` file.
//!
//! Only the records that running needs are written: the one library of the archive's one program, and the list of its foreign
//! operators if it has one. They get our own names, in a new folder that only this user can enter. All other
//! records of the archive stay there.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::TorchError;
use crate::archive::Records;

/// Of one library, code and weights together.
const MAX_LIBRARY_BYTES: u64 = 16 << 30;

const MAX_TEXT_BYTES: u64 = 1 << 20;

/// Where AOTInductor puts the files of programs; the next part of a name is the program's.
const PROGRAMS: &str = "data/aotinductor/";

/// The text of the record that says what the program takes.
pub(super) fn inputs(records: &Records) -> Result<String, TorchError> {
    let names = records.names();
    let missing = "it does not say what the program takes: make it with flambeau.export (variants=[\"aot-f32\"])";
    let place = names.iter().position(|name| name == "extra/flambeau_inputs").ok_or_else(|| TorchError::Failed(missing.into()))?;
    let record = records.record(place, MAX_TEXT_BYTES)?;
    String::from_utf8(record.bytes().to_vec()).map_err(|_| TorchError::Failed(missing.into()))
}

/// An unpacked library. Its folder is removed when this is dropped.
pub(super) struct Library {
    /// The library.
    pub(super) path: PathBuf,
    /// Its size.
    pub(super) bytes: u64,
    _folder: TempDir,
}

impl Library {
    /// # Errors
    /// The archive does not hold exactly one library, or it cannot be written to `place`.
    pub(super) fn unpack(records: &Records, place: &Path) -> Result<Self, TorchError> {
        let names = records.names();
        let with = |end: &str| -> Vec<usize> {
            (0..names.len()).filter(|i| names[*i].starts_with(PROGRAMS) && names[*i].ends_with(end)).collect()
        };
        let [library] = with(".so")[..] else {
            return Err(TorchError::Failed(format!("it holds {} libraries under {PROGRAMS}, not one", with(".so").len())));
        };
        let failed = |error: std::io::Error| TorchError::Failed(format!("the library cannot be unpacked to {}: {error}", place.display()));
        let own = Permissions::from_mode(0o700);
        let folder = tempfile::Builder::new().prefix(".aot-").permissions(own).tempdir_in(place).map_err(failed)?;
        let path = folder.path().join("program.so");
        let code = records.record(library, MAX_LIBRARY_BYTES)?;
        let bytes = code.bytes().len() as u64;
        fs::write(&path, code.bytes()).map_err(failed)?;
        drop(code);
        // libtorch looks for the list by the library's name.
        let list = names[library].replace(".so", ".json");
        if let Some(i) = names.iter().position(|name| *name == list) {
            fs::write(folder.path().join("program.json"), records.record(i, MAX_TEXT_BYTES)?.bytes()).map_err(failed)?;
        }
        Ok(Self { path, bytes, _folder: folder })
    }
}
