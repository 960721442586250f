//! Audio preparation: encoded bytes in, mono samples at the package's rate out.
//!
//! A package of kind `audio` declares in `[input.audio]` ([`AudioSpec`]) the sample rate its program was trained on, how
//! long a clip may be, and whether long clips are cut into windows. Loudness, spectrograms and the like are part of the program
//! itself (TorchScript has the transforms), so they are the same for every API.
//!
//! The steps, each a function of plain values that any decode thread may call:
//!
//! 1. [`decode()`] finds the container (WAV, FLAC, MP3, Ogg Vorbis), decodes and averages the channels.
//! 2. [`resample()`] brings the samples to the program's rate.
//! 3. [`AudioSpec::windows`] cuts a long clip; each window is a row of the program; the engine joins their results.
//! 4. The engine groups rows with `prepare::text::plan_batches` (samples instead of tokens) and [`fill`]s
//!    `samples` f32 `[rows, longest]`, zero padded, and `lengths` i64 `[rows]`.
//!
//! [`AudioPreparer`] does steps 1 to 3 in one call. Ownership: waveforms belong to the batch that is being prepared. Hostile
//! bytes give an [`AudioError`], never a panic, and never need more memory than `max_seconds` allows.

mod decode;
mod error;
mod preparer;
mod resample;
mod spec;
mod window;

pub use decode::{Waveform, decode};
pub use error::AudioError;
pub use preparer::{AudioPreparer, fill};
pub use resample::resample;
pub use spec::{AudioInput, AudioSpec, Pool};
