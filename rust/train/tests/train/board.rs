//! A board of addresses that is a folder: a file for each key. For ranks that are threads or processes of one machine; in Spark the
//! driver keeps the board.

use std::path::PathBuf;

use flambeau_engine::EngineError;
use flambeau_train::Board;

/// All ranks of a group have the same folder, a new one.
pub struct FolderBoard(pub PathBuf);

impl FolderBoard {
    fn file(&self, key: &str) -> PathBuf {
        self.0.join(key.replace('/', "_"))
    }
}

fn broken(error: std::io::Error) -> EngineError {
    EngineError::Internal(format!("the board: {error}"))
}

impl Board for FolderBoard {
    fn put(&mut self, key: &str, value: &[u8]) -> Result<(), EngineError> {
        let (file, partial) = (self.file(key), self.file(&format!("{key}.part")));
        std::fs::write(&partial, value).and_then(|()| std::fs::rename(partial, file)).map_err(broken)
    }

    fn look(&mut self, key: &str) -> Result<Option<Vec<u8>>, EngineError> {
        match std::fs::read(self.file(key)) {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(broken(error)),
        }
    }
}
