//! A file of this process alone, for what does not fit into memory: a dataset, prepared pictures.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Deletes the file when it is dropped.
pub(crate) struct FileGuard(pub(crate) PathBuf);

impl Drop for FileGuard {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0) {
            log::warn!("{} was not deleted: {error}", self.0.display());
        }
    }
}

/// A new file for writing and reading that is deleted with its guard.
pub(crate) fn own_file(directory: &Path, what: &str, ending: &str) -> std::io::Result<(File, FileGuard)> {
    let path = directory.join(format!("{what}-{}-{}.{ending}", std::process::id(), unique()));
    let file = File::options().read(true).write(true).create_new(true).open(&path)?;
    Ok((file, FileGuard(path)))
}

/// A number that no other file of this process has.
fn unique() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
