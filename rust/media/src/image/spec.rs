//! How a model's images are prepared: the `[input.image]` table of `model.toml`.

use serde::{Deserialize, Deserializer};

/// Largest height or width a prepared image may have.
const MAX_SIDE: u32 = 1 << 14;

/// The `[input.image]` table. Unknown keys are errors; call [`ImageSpec::validate`] once after reading.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageSpec {
    /// The resize before the crop. Absent: none.
    #[serde(default)]
    pub resize: Option<Resize>,
    /// The center crop. Absent: none, and then `resize` gives both sides. Pictures smaller than it get a black border.
    #[serde(default)]
    pub crop: Option<Size>,
    /// Default bilinear. All but nearest are antialiased, as Pillow's are.
    #[serde(default)]
    pub interpolation: Interpolation,
    /// Order and number of the channels; default RGB.
    #[serde(default)]
    pub channels: Channels,
    /// The values 0..=255 are multiplied by it first; default 1/255.
    #[serde(default = "default_scale")]
    pub scale: f64,
    /// Subtracted after scaling, one value per channel; default 0.
    #[serde(default)]
    pub mean: Option<Vec<f64>>,
    /// Divisor, applied last, one value per channel; default 1.
    #[serde(default)]
    pub std: Option<Vec<f64>>,
    /// Whether pictures are first turned as their EXIF orientation says; default false. (TIFF's own tag is always followed.)
    #[serde(default)]
    pub exif_orientation: bool,
    /// The color (RGB) behind transparent pixels. Absent: alpha is dropped, as `convert("RGB")` does.
    #[serde(default, deserialize_with = "color")]
    pub background: Option<[u8; 3]>,
}

/// A side length in pixels: one number for both sides, or `[height, width]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "an integer or [height, width]")]
pub enum Size {
    /// Both sides.
    Square(u32),
    /// `[height, width]`.
    Sides([u32; 2]),
}

impl Size {
    /// Height and width in pixels.
    #[must_use]
    pub fn sides(self) -> (u32, u32) {
        match self {
            Self::Square(side) => (side, side),
            Self::Sides([height, width]) => (height, width),
        }
    }
}

/// How a picture is resized.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "an integer (the shorter side) or [height, width]")]
pub enum Resize {
    /// The shorter side becomes this long, the other follows in proportion (rounded down).
    Shorter(u32),
    /// `[height, width]` exactly, whatever the proportions.
    Exact([u32; 2]),
}

/// The filter of the resize, by Pillow's names and definitions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Interpolation {
    /// The pixel under the center; not antialiased.
    Nearest,
    /// Mean of the pixels covered.
    Box,
    /// Triangle.
    #[default]
    Bilinear,
    /// Sharper than bilinear at the same support.
    Hamming,
    /// Cubic with a = -0.5.
    Bicubic,
    /// Windowed sinc of three lobes.
    Lanczos,
}

/// Order and number of the channels of the tensor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum Channels {
    /// Red, green, blue.
    #[default]
    #[serde(rename = "RGB")]
    Rgb,
    /// Blue, green, red.
    #[serde(rename = "BGR")]
    Bgr,
    /// Gray: ITU-R 601 luma.
    #[serde(rename = "L")]
    L,
}

fn default_scale() -> f64 {
    1.0 / 255.0
}

/// Three values exactly: an array by itself ignores values after its last.
fn color<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<[u8; 3]>, D::Error> {
    let values = Vec::<u8>::deserialize(deserializer)?;
    <[u8; 3]>::try_from(values).map(Some).map_err(|values| serde::de::Error::invalid_length(values.len(), &"three values, RGB"))
}

impl ImageSpec {
    /// Whether the settings describe images of one known size.
    ///
    /// # Errors
    /// One sentence naming the key that is wrong.
    pub fn validate(&self) -> Result<(), String> {
        let sides = |key: &str, (height, width): (u32, u32)| {
            let fits = |side: u32| (1..=MAX_SIDE).contains(&side);
            if fits(height) && fits(width) { Ok(()) } else { Err(format!("{key}: sides must be 1 to {MAX_SIDE}, not {height} x {width}")) }
        };
        match self.resize {
            Some(Resize::Shorter(side)) => sides("resize", (side, side))?,
            Some(Resize::Exact([height, width])) => sides("resize", (height, width))?,
            None => {}
        }
        match (self.crop, self.resize) {
            (Some(crop), _) => sides("crop", crop.sides())?,
            (None, Some(Resize::Exact(_))) => {}
            (None, Some(Resize::Shorter(side))) => {
                return Err(format!("resize = {side} sets only the shorter side: add crop, or give resize = [height, width]"));
            }
            (None, None) => return Err("the size is unknown: give crop, or resize = [height, width]".to_owned()),
        }
        let channels = self.channels();
        for (key, values) in [("mean", &self.mean), ("std", &self.std)] {
            let Some(values) = values else { continue };
            if values.len() != channels {
                return Err(format!("{key}: {} values for {channels} channels", values.len()));
            }
            if values.iter().any(|value| !value.is_finite()) {
                return Err(format!("{key}: values must be finite"));
            }
        }
        if self.std.iter().flatten().any(|&value| value == 0.0) {
            return Err("std: values must not be 0".to_owned());
        }
        if !self.scale.is_finite() || self.scale == 0.0 {
            return Err(format!("scale: must be finite and not 0, not {}", self.scale));
        }
        Ok(())
    }

    /// Height and width of the prepared image in pixels; zeros if the settings do not define it (see [`ImageSpec::validate`]).
    #[must_use]
    pub fn output_size(&self) -> (usize, usize) {
        let (height, width) = match (self.crop, self.resize) {
            (Some(crop), _) => crop.sides(),
            (None, Some(Resize::Exact([height, width]))) => (height, width),
            (None, _) => (0, 0),
        };
        (height as usize, width as usize)
    }

    /// Number of channels of the prepared image: 3, or 1 for `L`.
    #[must_use]
    pub fn channels(&self) -> usize {
        match self.channels {
            Channels::Rgb | Channels::Bgr => 3,
            Channels::L => 1,
        }
    }

    /// Size (width, height) of a picture of `width` x `height` after the resize, before the crop.
    pub(super) fn resized(&self, width: usize, height: usize) -> (usize, usize) {
        let long = |side: u32, long: usize, short: usize| (u64::from(side) * long as u64 / short as u64) as usize;
        match self.resize {
            None => (width, height),
            Some(Resize::Exact([new_height, new_width])) => (new_width as usize, new_height as usize),
            Some(Resize::Shorter(side)) if width <= height => (side as usize, long(side, height, width)),
            Some(Resize::Shorter(side)) => (long(side, width, height), side as usize),
        }
    }

    /// The prepared value of every byte, one table per channel.
    #[must_use]
    pub fn tables(&self) -> Vec<[f32; 256]> {
        let of = |values: &Option<Vec<f64>>, channel: usize, default: f64| {
            values.as_ref().and_then(|values| values.get(channel)).copied().unwrap_or(default)
        };
        let table = |channel: usize| {
            let (mean, std) = (of(&self.mean, channel, 0.0), of(&self.std, channel, 1.0));
            std::array::from_fn(|byte| ((byte as f64 * self.scale - mean) / std) as f32)
        };
        (0..self.channels()).map(table).collect()
    }
}
