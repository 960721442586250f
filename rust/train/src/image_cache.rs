//! Prepared pictures, kept on local disk after they were prepared for the first time.
//!
//! A prepared picture (decoded, resized, cropped) is the same in every epoch until it is changed at random, and preparing it
//! often takes longer than a step. Its values are computed from bytes, so the bytes are kept: `height × width × channels` of each
//! row, at its offset in one file next to the dataset's. Read back, they give exactly the same values. A picture without this
//! property is not kept.
//!
//! The dataset's first rows are kept, in up to half of the disk's free space. The others are prepared again in each epoch, and so
//! are all if the file cannot be written or read. The file belongs to the dataset and is deleted with it. Any thread may use it.

use std::cell::RefCell;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use super::own_file::{FileGuard, own_file};

/// Bytes of the disk that always stay free.
const LEFT_FREE_BYTES: u64 = 1 << 30;

/// States of a row.
const MISSING: u8 = 0;
const TAKEN: u8 = 1;
const KEPT: u8 = 2;

/// A value for each byte, for each channel.
pub(super) type Tables = Vec<[f32; 256]>;

/// See the module.
pub(super) struct ImageCache {
    tables: Tables,
    /// Bytes of a row.
    block: usize,
    states: Vec<AtomicU8>,
    broken: AtomicBool,
    file: File,
    // Last: the file is deleted after it was closed.
    _guard: FileGuard,
}

thread_local! {
    /// Bytes of one picture on their way from or to the file.
    static BYTES: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl ImageCache {
    /// For this many rows of `block` values each. None if the disk has no room, or no file can be made: then nothing is kept.
    pub(super) fn open(directory: &Path, rows: usize, block: usize, tables: Tables) -> Option<Self> {
        let free = rustix::fs::statvfs(directory).map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize)).unwrap_or(0);
        let fitting = free.saturating_sub(LEFT_FREE_BYTES) / 2 / (block as u64).max(1);
        let count = usize::try_from(fitting).unwrap_or(usize::MAX).min(rows);
        if count == 0 {
            return None;
        }
        let (file, guard) = own_file(directory, "pictures", "bin").inspect_err(|error| warn(error)).ok()?;
        let states = (0..count).map(|_| AtomicU8::new(MISSING)).collect();
        log::debug!("{count} of {rows} pictures of {block} bytes are kept in {}", directory.display());
        Some(Self { tables, block, states, broken: AtomicBool::new(false), file, _guard: guard })
    }

    /// Whether the row can be read.
    pub(super) fn has(&self, row: u32) -> bool {
        let state = self.states.get(row as usize).map(|state| state.load(Ordering::Acquire));
        state == Some(KEPT) && !self.broken.load(Ordering::Relaxed)
    }

    /// Writes a row's values into `out`, which has their size. False if the file cannot be read: then no row can.
    pub(super) fn read(&self, row: u32, out: &mut [f32]) -> bool {
        BYTES.with_borrow_mut(|bytes| {
            bytes.resize(self.block, 0);
            match self.file.read_exact_at(bytes, self.place(row)) {
                Ok(()) => {
                    values_of(&self.tables, bytes, out);
                    true
                }
                Err(error) => self.give_up(&error),
            }
        })
    }

    /// Keeps a row's values, once, if there is room for it.
    pub(super) fn keep(&self, row: u32, values: &[f32]) {
        let Some(state) = self.states.get(row as usize).filter(|_| !self.broken.load(Ordering::Relaxed)) else { return };
        if state.compare_exchange(MISSING, TAKEN, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return;
        }
        BYTES.with_borrow_mut(|bytes| {
            bytes.resize(self.block, 0);
            if !bytes_of(&self.tables, values, bytes) {
                return; // stays taken: it would fail every time
            }
            match self.file.write_all_at(bytes, self.place(row)) {
                Ok(()) => state.store(KEPT, Ordering::Release),
                Err(error) => drop(self.give_up(&error)),
            }
        });
    }

    fn place(&self, row: u32) -> u64 {
        u64::from(row) * self.block as u64
    }

    fn give_up(&self, error: &std::io::Error) -> bool {
        if !self.broken.swap(true, Ordering::Relaxed) {
            warn(error);
        }
        false
    }
}

fn warn(error: &dyn std::fmt::Display) {
    log::warn!("images are prepared again in each epoch, since they cannot be kept on this machine's disk: {error}");
}

fn values_of(tables: &[[f32; 256]], bytes: &[u8], out: &mut [f32]) {
    match tables {
        [first, second, third] => {
            for (values, pixel) in out.as_chunks_mut::<3>().0.iter_mut().zip(bytes.as_chunks::<3>().0) {
                *values = [first[usize::from(pixel[0])], second[usize::from(pixel[1])], third[usize::from(pixel[2])]];
            }
        }
        tables => {
            for ((value, byte), table) in out.iter_mut().zip(bytes).zip(tables.iter().cycle()) {
                *value = table[usize::from(*byte)];
            }
        }
    }
}

/// The reverse; false if a value is not in its table. Tables are linear.
fn bytes_of(tables: &[[f32; 256]], values: &[f32], bytes: &mut [u8]) -> bool {
    let steps: Vec<(f32, f32)> = tables.iter().map(|table| (table[0], 255.0 / (table[255] - table[0]))).collect();
    let mut right = true;
    let channels = tables.len().max(1);
    for (pixel, values) in bytes.chunks_exact_mut(channels).zip(values.chunks_exact(channels)) {
        for (((byte, value), table), (first, per_byte)) in pixel.iter_mut().zip(values).zip(tables).zip(&steps) {
            // Saturates; NaN becomes 0.
            *byte = ((value - first) * per_byte + 0.5) as u8;
            right &= table[usize::from(*byte)].to_bits() == value.to_bits();
        }
    }
    right
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables() -> Tables {
        let table = |mean: f64, std: f64| std::array::from_fn(|byte| ((byte as f64 / 255.0 - mean) / std) as f32);
        vec![table(0.485, 0.229), table(0.456, 0.224), table(0.406, -0.225)]
    }

    #[test]
    fn what_is_kept_is_read_back_bit_by_bit() {
        let directory = std::env::temp_dir().join(format!("flambeau-pictures-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let pictures = ImageCache::open(&directory, 2, 768, tables()).unwrap();
        let all: Vec<f32> = (0..256).flat_map(|byte| tables().into_iter().map(move |table| table[byte])).collect();
        pictures.keep(1, &all);
        pictures.keep(2, &all);
        assert_eq!([0, 1, 2].map(|row| pictures.has(row)), [false, true, false], "row 2 is beyond the room");
        let mut found = vec![0.0; all.len()];
        assert!(pictures.read(1, &mut found));
        assert!(all.iter().zip(&found).all(|(a, b)| a.to_bits() == b.to_bits()));
        drop(pictures);
        assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 0, "the file goes");
        std::fs::remove_dir(&directory).unwrap();
    }

    #[test]
    fn values_that_no_byte_makes_are_not_kept() {
        let mut values = vec![tables()[0][7], tables()[1][8], tables()[2][9]];
        let mut bytes = [0; 3];
        assert!(bytes_of(&tables(), &values, &mut bytes));
        assert_eq!(bytes, [7, 8, 9]);
        for bad in [0.123, f32::NAN, f32::INFINITY, -1e9] {
            values[1] = bad;
            assert!(!bytes_of(&tables(), &values, &mut bytes), "{bad}");
        }
    }
}
