//! How a picture lies in its prepared image, and the way back to the picture's own pixels.

/// Where a picture is in the prepared image, after resize and crop. Sides are of the upright picture, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Placement {
    /// Across.
    pub x: Span,
    /// Down.
    pub y: Span,
}

/// One axis of a [`Placement`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Span {
    /// Pixels of the picture.
    pub picture: usize,
    /// Pixels after the resize, before the crop.
    pub resized: usize,
    /// Pixels of the prepared image.
    pub prepared: usize,
    /// Where the resized picture begins in the prepared image: negative if the crop cuts its beginning off.
    pub start: isize,
}

impl Span {
    /// A position in the prepared image (0 is the edge of its first pixel) as a position in the picture.
    #[must_use]
    pub fn in_picture(&self, position: f64) -> f64 {
        (position - self.start as f64) * self.picture as f64 / self.resized.max(1) as f64
    }

    /// The way there: a position in the picture as one in the prepared image.
    #[must_use]
    pub fn in_prepared(&self, position: f64) -> f64 {
        position * self.resized as f64 / self.picture.max(1) as f64 + self.start as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_lead_back_through_crop_and_resize() {
        // 400 pixels became 200, and the middle 100 of them are shown.
        let cropped = Span { picture: 400, resized: 200, prepared: 100, start: -50 };
        assert_eq!([0.0, 50.0, 100.0].map(|x| cropped.in_picture(x)), [100.0, 200.0, 300.0]);
        assert_eq!([100.0, 200.0, 300.0].map(|x| cropped.in_prepared(x)), [0.0, 50.0, 100.0]);
        // 10 pixels with a border of 3 before them.
        let bordered = Span { picture: 10, resized: 10, prepared: 16, start: 3 };
        assert_eq!([0.0, 3.0, 13.0].map(|x| bordered.in_picture(x)), [-3.0, 0.0, 10.0]);
    }
}
