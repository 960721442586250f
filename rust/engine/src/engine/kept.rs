//! Saves which engine is the fastest on this machine: a small file for each package, precision, processor and libtorch, in the
//! folder that the JVM names. If a file cannot be read or written, the engines are compared again.

use std::fs;
use std::path::PathBuf;

use flambeau_torch_ext::process;
use once_cell::sync::OnceCell;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::EngineName;
use crate::package::Variant;
use crate::{Package, cpu};

static FOLDER: OnceCell<PathBuf> = OnceCell::new();

/// Sets the folder, once for the process. Without it nothing is saved.
pub fn keep_choices(folder: PathBuf) {
    FOLDER.get_or_init(|| folder);
}

/// Where code lies while it is opened: next to the choices, otherwise in the system's folder for temporary files.
pub(super) fn scratch() -> PathBuf {
    let own = FOLDER.get().filter(|folder| fs::create_dir_all(folder).is_ok());
    own.map_or_else(std::env::temp_dir, Clone::clone)
}

#[derive(Serialize, Deserialize)]
struct Choice {
    engine: EngineName,
    /// For people who read the file.
    why: String,
    processor: String,
    libtorch: String,
}

/// Where one choice is saved; `None` if the JVM names no folder.
pub(super) struct ChoiceFile(Option<PathBuf>);

impl ChoiceFile {
    pub(super) fn of(package: &Package, variant: &Variant, compiled: Option<&Variant>) -> Self {
        let path = FOLDER.get().map(|folder| {
            let compiled = compiled.map_or("", |compiled| &compiled.sha256);
            let (machine, libtorch) = (cpu::identity(), process::libtorch_version());
            let key = [&package.hash, &variant.sha256, compiled, &machine, &libtorch, env!("CARGO_PKG_VERSION")].join("\n");
            folder.join(format!("{:x}.json", Sha256::digest(key.as_bytes())))
        });
        Self(path)
    }

    pub(super) fn read(&self) -> Option<EngineName> {
        let text = fs::read_to_string(self.0.as_ref()?).ok()?;
        serde_json::from_str::<Choice>(&text).map(|choice| choice.engine).ok()
    }

    /// Other processes see the whole file or no file.
    pub(super) fn write(&self, engine: EngineName, why: &str) {
        let Some(path) = &self.0 else { return };
        let choice = Choice { engine, why: why.to_owned(), processor: cpu::name(), libtorch: process::libtorch_version() };
        let written = serde_json::to_string_pretty(&choice).map_err(std::io::Error::other).and_then(|text| {
            let folder = path.parent().map_or(Ok(()), fs::create_dir_all);
            let draft = path.with_extension(format!("{}.draft", std::process::id()));
            folder.and_then(|()| fs::write(&draft, text)).and_then(|()| fs::rename(&draft, path))
        });
        if let Err(error) = written {
            log::debug!("the choice of an engine is not kept in {}: {error}", path.display());
        }
    }
}
