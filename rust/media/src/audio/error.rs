//! Why a clip could not be prepared. Plain values: the engine decides whether a row's error fails the query or becomes NULL.

/// An error of audio preparation: of one clip, except for [`AudioError::BadSpec`].
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum AudioError {
    /// No bytes, or a well-formed file without a single sample.
    #[error("audio is empty: {0}")]
    Empty(&'static str),
    /// No known container was recognized.
    #[error("not audio: no WAV, FLAC, MP3 or Ogg stream found in {bytes} bytes")]
    NotAudio {
        /// Size of the value.
        bytes: usize,
    },
    /// A container or codec that is known but not decoded here.
    #[error("unsupported audio: {0}")]
    Unsupported(String),
    /// The file contradicts its format, ends early, or holds samples that are not finite.
    #[error("corrupt audio: {0}")]
    Corrupt(String),
    /// The clip is longer than the package allows.
    #[error("the audio is longer than {max_seconds} s, the most that the model takes (max_seconds in its model.toml)")]
    TooLong {
        /// The package's limit.
        max_seconds: f64,
    },
    /// The `[input.audio]` table contradicts itself.
    #[error("bad [input.audio]: {0}")]
    BadSpec(String),
}
