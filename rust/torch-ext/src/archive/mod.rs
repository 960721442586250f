//! A TorchScript file, opened once and checked before libtorch parses it.
//!
//! libtorch's parser, compiler and unpickler recurse as deep as the file nests, and a stack overflow ends the process without a
//! message. So the text (`code`) and the pickles (`pickle`) of an archive are scanned first, in one pass and without recursion.
//! Files that nest deeper than any compiler writes are rejected, and the scan computes how much stack loading may need. Loading
//! then runs on a thread with that much stack ([`Archive::load`]).
//!
//! Records are listed and read by libtorch's own reader, so that both see the same bytes. The file stays open from the check of
//! its hash to the end of loading, so that it cannot be replaced.

mod code;
mod pickle;

use std::collections::HashSet;
use std::ffi::{CStr, c_void};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::ptr::NonNull;

use crate::{TorchError, error, ffi};

/// Maximum bytes of code or of pickles of one archive; weights do not count.
const MAX_TEXT_BYTES: u64 = 256 << 20;

/// Maximum number of functions and classes of one archive: a chain of calls through all of them still fits the stack.
const MAX_DEFINITIONS: usize = 100_000;

/// Measured: a level of expressions needs at most 3 KiB while it is parsed and compiled, and `code` allows 4,096 of them.
const STACK_BYTES: usize = 64 << 20;

/// Measured: a function that calls the one before it needs 6 KiB while it is compiled, a class that holds the one before it 3.
const STACK_BYTES_A_DEFINITION: usize = 32 << 10;

/// An open TorchScript file. The code that opens it checks its content; nothing is parsed before a program is loaded from it.
#[derive(Debug)]
pub struct Archive {
    file: File,
    version: Version,
}

/// Changes with the content: size and time of the last change, which only the administrator can set back.
#[derive(Debug, PartialEq, Eq)]
struct Version(u64, i64, i64);

impl Version {
    fn of(file: &File) -> std::io::Result<Self> {
        let found = file.metadata()?;
        Ok(Self(found.len(), found.ctime(), found.ctime_nsec()))
    }
}

impl Archive {
    /// Opens `path`, without reading it.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn open(path: &Path) -> std::io::Result<Self> {
        let file = File::open(path)?;
        Ok(Self { version: Version::of(&file)?, file })
    }

    /// The open file that a program will be loaded from.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Checks the archives, then runs `load` on a thread with enough stack for them, and waits for it.
    pub(crate) fn load<R: Send>(
        archives: &[&Self],
        load: impl FnOnce(&[Records]) -> Result<R, TorchError> + Send,
    ) -> Result<R, TorchError> {
        let records: Vec<Records> = archives.iter().map(|archive| Records::open(&archive.file)).collect::<Result<_, _>>()?;
        let mut stack_bytes = STACK_BYTES;
        for records in &records {
            stack_bytes += records.look_over()? * STACK_BYTES_A_DEFINITION;
        }
        let loaded = std::thread::scope(|scope| {
            let builder = std::thread::Builder::new().name("flambeau-load".into()).stack_size(stack_bytes);
            let thread = builder.spawn_scoped(scope, || load(&records)).map_err(|error| {
                let text = format!("a thread with a stack of {stack_bytes} bytes cannot be started to load the program: {error}");
                TorchError::OutOfMemory(text)
            })?;
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })?;
        for archive in archives {
            if Version::of(&archive.file).is_ok_and(|now| now == archive.version) {
                continue;
            }
            return Err(TorchError::Failed("the program's file changed while it was being loaded".into()));
        }
        Ok(loaded)
    }
}

/// The records of an open archive, by libtorch's reader.
pub(crate) struct Records<'a> {
    raw: NonNull<c_void>,
    // The C++ side reads by its descriptor.
    _file: &'a File,
}

// SAFETY: when it is shared, the reader only gives access to its file, which threads may read by position in parallel; only its
// owner calls `look_over`.
unsafe impl Sync for Records<'_> {}

impl<'a> Records<'a> {
    fn open(file: &'a File) -> Result<Self, TorchError> {
        let mut failure = ffi::FlbError::none();
        // SAFETY: the descriptor stays open as long as the reader lives, and `failure` is writable.
        let raw = unsafe { ffi::flb_archive_open(file.as_raw_fd(), &raw mut failure) };
        error::take(failure)?;
        let raw = NonNull::new(raw).ok_or_else(|| TorchError::Failed("no archive was opened".into()))?;
        Ok(Self { raw, _file: file })
    }

    pub(crate) fn as_ptr(&self) -> *const c_void {
        self.raw.as_ptr()
    }

    /// Rejects archives that would crash libtorch; returns how many functions and classes the code defines.
    fn look_over(&self) -> Result<usize, TorchError> {
        let (mut definitions, mut left) = (0, MAX_TEXT_BYTES);
        let mut seen = HashSet::new();
        for (i, name) in self.names().into_iter().enumerate() {
            // The reader finds records whatever the case of their names.
            let folded = name.to_ascii_lowercase();
            let refuse = |why: String| TorchError::Failed(format!("{name}: {why}"));
            if folded == "model.json" {
                return Err(refuse("PyTorch 1.3 or older wrote this file; load it with a newer PyTorch and save it again".into()));
            }
            let scan: fn(&[u8]) -> Result<usize, String> = match folded.rsplit_once('.') {
                Some((_, "py")) => code::definitions,
                Some((_, "pkl")) => |bytes| pickle::check(bytes).map(|()| 0),
                _ => continue,
            };
            if !seen.insert(folded) {
                return Err(refuse("the archive has this record twice".into()));
            }
            let record = self.record(i, left)?;
            left -= record.length as u64;
            definitions += scan(record.bytes()).map_err(refuse)?;
            if definitions > MAX_DEFINITIONS {
                return Err(refuse(format!("the program has more than {MAX_DEFINITIONS} functions and classes")));
            }
        }
        Ok(definitions)
    }

    /// The names of all records, in the archive's order.
    pub(crate) fn names(&self) -> Vec<String> {
        // SAFETY: `raw` is a live archive.
        let count = unsafe { ffi::flb_archive_len(self.raw.as_ptr()) };
        (0..count).map(|i| self.name(i)).collect()
    }

    fn name(&self, i: i64) -> String {
        // SAFETY: the caller's `i` is below the length of the live archive.
        let name = unsafe { ffi::flb_archive_name(self.raw.as_ptr(), i) };
        // SAFETY: the name is NUL-terminated and lives as long as the archive.
        unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned()
    }

    /// Record `i` of [`Self::names`], if it has no more bytes than `max_bytes`.
    pub(crate) fn record(&self, i: usize, max_bytes: u64) -> Result<Record, TorchError> {
        let (mut failure, mut length) = (ffi::FlbError::none(), 0_u64);
        let i = i64::try_from(i).unwrap_or(i64::MAX);
        // SAFETY: `i` is below the length of the live archive; `length` and `failure` are writable.
        let raw = unsafe { ffi::flb_archive_record(self.raw.as_ptr(), i, max_bytes, &raw mut length, &raw mut failure) };
        error::take(failure)?;
        let raw = NonNull::new(raw).ok_or_else(|| TorchError::Failed("no record was read".into()))?;
        Ok(Record { raw, length: usize::try_from(length).unwrap_or(0) })
    }
}

impl Drop for Records<'_> {
    fn drop(&mut self) {
        // SAFETY: `raw` came from flb_archive_open and is freed once, here, while the file is still open.
        unsafe { ffi::flb_archive_free(self.raw.as_ptr()) };
    }
}

/// One record of an archive, uncompressed.
pub(crate) struct Record {
    raw: NonNull<c_void>,
    length: usize,
}

impl Record {
    pub(crate) fn bytes(&self) -> &[u8] {
        if self.length == 0 {
            return &[];
        }
        // SAFETY: `raw` is a live record.
        let data = unsafe { ffi::flb_record_data(self.raw.as_ptr()) };
        // SAFETY: a record that is not empty has `length` initialized bytes at `data`, which live as long as it.
        unsafe { std::slice::from_raw_parts(data, self.length) }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        // SAFETY: `raw` came from flb_archive_record and is freed once, here.
        unsafe { ffi::flb_record_free(self.raw.as_ptr()) };
    }
}
