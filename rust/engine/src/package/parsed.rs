//! A manifest's text, parsed and checked. A process asks for one package in several calls: its files, its description, its program; and
//! again with every query. The texts that were read last are kept by their hash, so each is parsed once.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use once_cell::sync::Lazy;
use sha2::{Digest, Sha256};
use toml::de::DeTable;

use super::{Descriptor, check};
use crate::EngineError;

/// More than the queries of a process use at a time; each is a few kilobytes.
const KEPT: usize = 16;

/// The last ones, the newest at the end. One list for the process, since each is to be parsed once in a process.
static LAST: Lazy<Mutex<VecDeque<Parsed>>> = Lazy::new(Mutex::default);

/// A `model.toml` that is valid.
#[derive(Debug, Clone)]
pub(super) struct Parsed {
    /// SHA-256 of the text in hexadecimal.
    pub(super) hash: String,
    pub(super) descriptor: Arc<Descriptor>,
}

/// The manifest in this text; from memory, if it was read before.
///
/// # Errors
/// It does not parse, or contradicts itself. `place` is what the message calls it.
pub(super) fn read(place: &str, manifest: &str) -> Result<Parsed, EngineError> {
    let hash = format!("{:x}", Sha256::digest(manifest.as_bytes()));
    let kept = || LAST.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = kept().iter().find(|one| one.hash == hash) {
        return Ok(known.clone());
    }
    let wrong = |error: toml::de::Error| EngineError::model(place, format!("model.toml: {error}"));
    let descriptor: Descriptor = toml::from_str(manifest).map_err(wrong)?;
    let tables = DeTable::parse(manifest).map_err(wrong)?;
    check::layout(tables.get_ref()).map_err(|cause| EngineError::model(&descriptor.name, format!("model.toml: {cause}")))?;
    check::structure(&descriptor).map_err(|cause| EngineError::model(&descriptor.name, format!("model.toml: {cause}")))?;
    let parsed = Parsed { hash, descriptor: Arc::new(descriptor) };
    let mut kept = kept();
    if kept.len() == KEPT {
        kept.pop_front();
    }
    kept.push_back(parsed.clone());
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::package::{Package, list};

    #[test]
    fn a_manifest_is_parsed_once_and_only_the_last_are_kept() {
        let text = "format = 1\nname = \"once\"\nlicense = \"MIT\"\n[[input]]\nname = \"x\"\nkind = \"tensor\"\n\
                    [[output]]\nname = \"y\"\nrole = \"other\"\nshape = []\n\
                    [[variant]]\nfile = \"p.pt\"\nengine = \"torchscript\"\nprecision = \"f32\"\nsha256 = \"ab\"\n";
        let folder = std::env::temp_dir().join(format!("flambeau-parsed-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("model.toml"), text).unwrap();
        let listed = list("here", text).unwrap();
        let opened = Package::open(&folder).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(listed.hash, opened.hash);
        assert!(Arc::ptr_eq(&opened.descriptor, &read("there", text).unwrap().descriptor));
        assert!(!Arc::ptr_eq(&opened.descriptor, &read("there", &text.replace("once", "twice")).unwrap().descriptor));
        assert!(read("there", "x = 1").is_err() && read("there", "x = 1").is_err());

        for n in 0..2 * KEPT {
            let text = format!(
                "format = 1\nname = \"net{n}\"\nlicense = \"MIT\"\ninput = [{{name = \"x\", kind = \"tensor\"}}]\n\
                 output = [{{name = \"y\", role = \"other\", shape = []}}]\n\
                 variant = [{{file = \"p.pt\", engine = \"torchscript\", precision = \"f32\", sha256 = \"ab\"}}]\n"
            );
            read("here", &text).unwrap();
        }
        assert!(LAST.lock().unwrap().len() <= KEPT);
    }
}
