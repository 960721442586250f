//! Everything for an exact continuation in one file: parameters, buffers, the optimizer's state, the position, and the best so far.
//!
//! The file is a line that names the format, the SHA-256 of all that follows, and an archive of named tensors as `torch::save` writes
//! it; position and settings are JSON in one of them. It is written under another name and then renamed, so that it is always
//! complete. It is read only if its hash is right. Nothing else needs to be saved: the order of rows, dropout and augmentation
//! are functions of seed, epoch, step and row.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;

use flambeau_engine::{EngineError, memory};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tch::Tensor;

use super::epoch::put_back;
use super::settings;
use super::split::DataSplit;
use super::state::{Best, Position, TrainState};

/// The first bytes of a file; a new format gets a new number.
const MAGIC: &[u8] = b"flambeau checkpoint 2\n";
const HASH_BYTES: usize = 32;
/// Where the archive begins.
const START: u64 = (MAGIC.len() + HASH_BYTES) as u64;
const BUFFER_BYTES: usize = 1 << 20;

#[derive(Serialize, Deserialize)]
struct Header {
    settings: Value,
    position: Position,
}

/// Writes a checkpoint.
pub(super) fn save(state: &TrainState, split: &DataSplit, file: &Path) -> Result<(), EngineError> {
    let torch = |error: tch::TchError| EngineError::torch(&state.program.name, error);
    let header = Header { settings: settings::of(state, split), position: state.position.clone() };
    let header = serde_json::to_vec(&header).map_err(|error| EngineError::Internal(error.to_string()))?;
    let mut tensors = vec![
        ("header".to_owned(), Tensor::f_from_slice(&header).map_err(torch)?),
        ("values".to_owned(), state.params.flat.values.shallow_clone()),
    ];
    for (group, optimizer) in state.params.save_optimizers()?.iter().enumerate() {
        tensors.push((optimizer_of(group), Tensor::f_from_slice(optimizer).map_err(torch)?));
    }
    if let Some(average) = state.params.average() {
        tensors.push(("average".to_owned(), average.shallow_clone()));
    }
    tensors.extend(state.program.buffers.iter().enumerate().map(|(i, (_, t))| (format!("buffer_{i}"), t.shallow_clone())));
    if let Some(best) = &state.best {
        tensors.push(("best_values".to_owned(), best.values.shallow_clone()));
        tensors.extend(best.buffers.iter().enumerate().map(|(i, t)| (format!("best_buffer_{i}"), t.shallow_clone())));
    }
    let partial = file.with_extension("part");
    let written = write(&partial, &tensors).and_then(|()| std::fs::rename(&partial, file));
    written.map_err(|error| EngineError::Disk(format!("the checkpoint {} cannot be written: {error}", file.display())))
}

/// Continues where the checkpoint was made. Changes nothing if that fails.
pub(super) fn restore(state: &mut TrainState, split: &DataSplit, file: &Path) -> Result<(), EngineError> {
    let refuse = |cause: String| EngineError::BadCheckpoint(format!("the checkpoint cannot be used: {cause}"));
    let archive = open(file).map_err(refuse)?;
    let tensors = Tensor::load_multi_from_stream(archive).map_err(|error| refuse(flambeau_engine::error::text_of(error)))?;
    let mut tensors: HashMap<String, Tensor> = tensors.into_iter().collect();
    let bytes = |tensor: Option<&Tensor>, name: &str| {
        tensor.and_then(memory::values::<u8>).map(<[u8]>::to_vec).ok_or_else(|| refuse(format!("it has no {name}")))
    };
    let header: Header = serde_json::from_slice(&bytes(tensors.get("header"), "header")?).map_err(|error| refuse(error.to_string()))?;
    let differs = settings::differences(&settings::of(state, split), &header.settings);
    if !differs.is_empty() {
        return Err(EngineError::BadRequest(format!("the checkpoint is of another training: {}", differs.join("; "))));
    }
    if header.position.epoch > state.spec.epochs {
        return Err(EngineError::BadRequest(format!(
            "the checkpoint is of another training: maxEpochs is {}, but the checkpoint already has {} epochs",
            state.spec.epochs, header.position.epoch
        )));
    }
    let states = (0..state.params.groups()).map(optimizer_of).map(|name| bytes(tensors.get(&name), &name));
    let optimizers = states.collect::<Result<Vec<_>, _>>()?;
    let buffers = |tensors: &mut HashMap<String, Tensor>, prefix: &str, count: usize| -> Result<Vec<Tensor>, EngineError> {
        (0..count).map(|i| tensors.remove(&format!("{prefix}{i}")).ok_or_else(|| refuse(format!("it has no {prefix}{i}")))).collect()
    };
    let count = state.program.buffers.len();
    let values = tensors.remove("values").ok_or_else(|| refuse("it has no values".into()))?;
    let kept = buffers(&mut tensors, "buffer_", count)?;
    let best = match tensors.remove("best_values") {
        Some(values) => Some(Best { values, buffers: buffers(&mut tensors, "best_buffer_", count)? }),
        None => None,
    };
    put_back(state, &values, &kept)?;
    state.params.load_optimizers(&optimizers)?;
    state.params.set_average(tensors.remove("average"));
    state.best = best;
    state.resume_at(header.position);
    Ok(())
}

/// The name of the state of a group's optimizer.
fn optimizer_of(group: usize) -> String {
    if group == 0 { "optimizer".to_owned() } else { format!("optimizer_{group}") }
}

/// Writes the whole file: room for the hash, the archive, and then the hash.
fn write(path: &Path, tensors: &[(String, Tensor)]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(MAGIC)?;
    file.write_all(&[0; HASH_BYTES])?;
    let mut out = Hashing { out: BufWriter::with_capacity(BUFFER_BYTES, file), hash: Sha256::new() };
    // The disk's error is in libtorch's message: it writes with our callback.
    Tensor::save_multi_to_stream(tensors, &mut out).map_err(|error| io::Error::other(flambeau_engine::error::text_of(error)))?;
    let hash = out.hash.finalize();
    let mut file = out.out.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.seek(SeekFrom::Start(MAGIC.len() as u64))?;
    file.write_all(&hash)?;
    file.sync_all()
}

/// The archive in a file whose hash is right; otherwise the reason.
fn open(path: &Path) -> Result<Archive, String> {
    let unreadable = |error: io::Error| format!("it cannot be read: {error}");
    let mut file = BufReader::with_capacity(BUFFER_BYTES, File::open(path).map_err(unreadable)?);
    let mut start = [0; START as usize];
    file.read_exact(&mut start).map_err(|_| "it is shorter than any checkpoint".to_owned())?;
    let (magic, wanted) = start.split_at(MAGIC.len());
    if magic != MAGIC {
        return Err("it does not begin as a checkpoint of this version".to_owned());
    }
    let mut hash = Sha256::new();
    io::copy(&mut file, &mut hash).map_err(unreadable)?;
    if hash.finalize().as_slice() != wanted {
        return Err("it is damaged: its content does not match its checksum".to_owned());
    }
    let mut archive = Archive { file };
    archive.rewind().map_err(unreadable)?;
    Ok(archive)
}

/// Hashes what it writes.
struct Hashing<W: Write> {
    out: W,
    hash: Sha256,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// A file from [`START`] on.
struct Archive {
    file: BufReader<File>,
}

impl Read for Archive {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read(buffer)
    }
}

impl Seek for Archive {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let to = match to {
            SeekFrom::Start(place) => SeekFrom::Start(place.saturating_add(START)),
            other => other,
        };
        self.file.seek(to).map(|place| place.saturating_sub(START))
    }
}
