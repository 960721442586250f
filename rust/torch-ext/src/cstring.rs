//! Texts as C strings.

use std::ffi::CString;
use std::path::Path;

use crate::TorchError;

pub(crate) fn of_text(text: &str) -> Result<CString, TorchError> {
    CString::new(text).map_err(|_| TorchError::Failed(format!("{text:?} holds a NUL byte")))
}

pub(crate) fn of_path(path: &Path) -> Result<CString, TorchError> {
    let text = path.to_str().and_then(|p| CString::new(p).ok());
    text.ok_or_else(|| TorchError::BadPath(path.display().to_string()))
}
