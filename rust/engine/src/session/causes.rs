//! Why rows are bad, in few words: what the Spark UI counts them by. The reason of a single row is its error's message.

use flambeau_media::audio::AudioError;
use flambeau_media::image::ImageError;
use flambeau_media::text::TextError;
use serde::Serialize;

use super::Counters;
use crate::RowError;

/// A group of errors that users mend in the same way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BadRowCause {
    /// Damaged, empty or no picture, sound or text at all.
    Unreadable,
    /// A format, or a variant of one, that is not read.
    UnsupportedFormat,
    /// More pixels, seconds or bytes than allowed.
    TooLarge,
    /// An array of another shape, or with NULL in it.
    WrongShape,
    /// A number that the model does not take.
    OutOfRange,
    /// The model's program raises.
    ProgramFailed,
    /// A decoder or tokenizer panicked.
    LibraryFailed,
}

impl BadRowCause {
    /// All of them, in the order of [`Counters::bad_by_cause`].
    pub const ALL: [Self; 7] = [
        Self::Unreadable,
        Self::UnsupportedFormat,
        Self::TooLarge,
        Self::WrongShape,
        Self::OutOfRange,
        Self::ProgramFailed,
        Self::LibraryFailed,
    ];

    /// That of an error.
    #[must_use]
    pub fn of(error: &RowError) -> Self {
        match error {
            RowError::Image(image) => Self::of_image(image),
            RowError::Text(TextError::TooLong { .. } | TextError::Grows { .. }) | RowError::Audio(AudioError::TooLong { .. }) => {
                Self::TooLarge
            }
            RowError::Audio(AudioError::Unsupported(_)) => Self::UnsupportedFormat,
            RowError::Text(_) | RowError::Audio(_) | RowError::Training(_) => Self::Unreadable,
            RowError::Dense(flambeau_columns::DenseError::Value { .. }) | RowError::Outside { .. } => Self::OutOfRange,
            RowError::Dense(_) | RowError::Elements { .. } => Self::WrongShape,
            RowError::ProgramFailed(_) => Self::ProgramFailed,
            RowError::Panicked(_) => Self::LibraryFailed,
        }
    }

    fn of_image(error: &ImageError) -> Self {
        match error {
            ImageError::NotRead { .. } | ImageError::Unsupported { .. } => Self::UnsupportedFormat,
            ImageError::TooLarge { .. } => Self::TooLarge,
            ImageError::Empty | ImageError::NotAnImage { .. } | ImageError::Corrupt { .. } | ImageError::BadPixels { .. } => {
                Self::Unreadable
            }
        }
    }
}

impl Counters {
    /// Counts bad rows.
    pub(super) fn add_bad<'a>(&mut self, errors: impl Iterator<Item = &'a RowError>) {
        for error in errors {
            self.bad_rows += 1;
            self.bad_by_cause[BadRowCause::of(error) as usize] += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use flambeau_columns::DenseError;

    use super::*;

    #[test]
    fn bad_rows_are_counted_in_the_order_of_the_causes() {
        let errors = [
            RowError::Image(ImageError::Empty),
            RowError::Image(ImageError::NotRead { format: "HEIC" }),
            RowError::Image(ImageError::TooLarge { width: 9, height: 9, max_pixels: 1 }),
            RowError::Dense(DenseError::NullInside),
            RowError::Dense(DenseError::Value { value: "300".into(), dtype: "u8" }),
            RowError::ProgramFailed("no".into()),
            RowError::Panicked("index".into()),
            RowError::Text(TextError::Grows { bytes: 9, limit: 1 }),
        ];
        assert_eq!(errors.iter().take(7).map(BadRowCause::of).collect::<Vec<_>>(), BadRowCause::ALL);
        let mut counters = Counters::default();
        counters.add_bad(errors.iter());
        assert_eq!((counters.bad_rows, counters.bad_by_cause), (8, [1, 1, 2, 1, 1, 1, 1]));
    }
}
