//! Scores of classes, as a network gives them for a prepared image, into the class of each pixel of the picture: a grayscale PNG.
//!
//! The scores are interpolated between their points, as `torch.nn.functional.interpolate(…, mode="bilinear", align_corners=False)` does,
//! and each pixel has its best class. Pixels that the crop cut off have none.
//!
//! Only one line of the picture is in memory at a time. The pixels between the same four points share what is known of these: a class that
//! another one beats at all four cannot be the best between them. Mostly one class is left, and nothing has to be computed.

use png::{BitDepth, ColorType, Compression, Encoder, EncodingError};

use super::{Placement, Span};

/// Scores of one picture: `values` is `[classes, height, width]`.
#[derive(Clone, Copy, Debug)]
pub struct ClassScores<'a> {
    /// One after another, the points of a class together.
    pub values: &'a [f32],
    /// At most [`MOST_CLASSES`].
    pub classes: usize,
    /// Points of a column.
    pub height: usize,
    /// Points of a line.
    pub width: usize,
}

/// The class of each pixel of a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassMap {
    /// A grayscale PNG of the picture's size whose values are classes. It has 8 bits for up to 255 classes, otherwise 16. The largest value
    /// stands for pixels without a class.
    pub png: Vec<u8>,
    /// Pixels of each class.
    pub pixels: Vec<u64>,
}

/// 16 bits, less the value for no class.
pub const MOST_CLASSES: usize = u16::MAX as usize;

/// No class: also the value of such a pixel.
const NONE: u16 = u16::MAX;

/// Where the pixels of one axis are between the points of the scores.
struct Between {
    /// The points before and after the pixel.
    points: [usize; 2],
    /// The share of the second.
    share: f32,
}

/// The class of each pixel of the picture that lies like this in the prepared image.
///
/// Of equal scores the first class counts. A score that is not a number never counts.
///
/// # Errors
/// The picture has no pixel, or scores do not fit their sizes: the encoder refuses that.
pub fn class_map(scores: &ClassScores<'_>, placement: &Placement) -> Result<ClassMap, EncodingError> {
    let (across, down) = (axis(&placement.x, scores.width), axis(&placement.y, scores.height));
    let is_deep = scores.classes > usize::from(u8::MAX);
    let mut map = ClassMap { png: Vec::new(), pixels: vec![0; scores.classes] };
    let side = |pixels: usize| u32::try_from(pixels).unwrap_or(u32::MAX);
    let mut encoder = Encoder::new(&mut map.png, side(across.len()), side(down.len()));
    encoder.set_color(ColorType::Grayscale);
    encoder.set_depth(if is_deep { BitDepth::Sixteen } else { BitDepth::Eight });
    encoder.set_compression(Compression::Fast);
    let mut writer = encoder.write_header()?;
    let mut stream = writer.stream_writer()?;
    let mut lines = Lines::new(scores);
    let mut classes = vec![NONE; across.len()];
    let mut bytes = Vec::with_capacity(across.len() * 2);
    for row in &down {
        match row {
            Some(row) => lines.classify(row, &across, &mut classes),
            None => classes.fill(NONE),
        }
        for class in &classes {
            if let Some(count) = map.pixels.get_mut(usize::from(*class)) {
                *count += 1;
            }
        }
        bytes.clear();
        if is_deep {
            bytes.extend(classes.iter().flat_map(|class| class.to_be_bytes()));
        } else {
            // The low byte of NONE is the largest value too.
            bytes.extend(classes.iter().map(|class| class.to_be_bytes()[1]));
        }
        std::io::Write::write_all(&mut stream, &bytes)?;
    }
    stream.finish()?;
    writer.finish()?;
    Ok(map)
}

/// For each pixel of the picture its place between `count` points; none for pixels outside of the prepared image.
fn axis(span: &Span, count: usize) -> Vec<Option<Between>> {
    let scale = count as f64 / span.prepared.max(1) as f64;
    let place = |pixel: usize| {
        let position = span.in_prepared(pixel as f64 + 0.5);
        if position < 0.0 || position > span.prepared as f64 {
            return None;
        }
        let place = (position * scale - 0.5).max(0.0);
        let first = (place as usize).min(count.saturating_sub(1));
        Some(Between { points: [first, (first + 1).min(count.saturating_sub(1))], share: (place - first as f64) as f32 })
    };
    (0..span.picture).map(place).collect()
}

/// What is known of the pixels between four points.
enum Cell {
    /// No pixel asked yet.
    Unknown,
    /// All have this class.
    One(u16),
    /// These classes can be the best, with their scores at the four points: two of the line above, two of the line below.
    Several(Vec<(u16, [f32; 4])>),
}

/// The scores, and what is known between two of their lines.
struct Lines<'a> {
    scores: &'a ClassScores<'a>,
    /// The best class of each point.
    best: Vec<u16>,
    /// The two lines around the current row.
    around: [usize; 2],
    /// Between these lines, by the point to the left.
    cells: Vec<Cell>,
}

impl<'a> Lines<'a> {
    fn new(scores: &'a ClassScores<'a>) -> Self {
        let points = scores.height * scores.width;
        let mut best = vec![NONE; points];
        let mut most = vec![f32::NEG_INFINITY; points];
        for (class, plane) in scores.values.chunks_exact(points.max(1)).take(scores.classes).enumerate() {
            for ((best, most), value) in best.iter_mut().zip(&mut most).zip(plane) {
                if value > most {
                    (*best, *most) = (class as u16, *value);
                }
            }
        }
        Self { scores, best, around: [usize::MAX; 2], cells: Vec::new() }
    }

    /// The class of each pixel of one row of the picture.
    fn classify(&mut self, row: &Between, across: &[Option<Between>], classes: &mut [u16]) {
        if self.around != row.points {
            self.around = row.points;
            self.cells.clear();
            self.cells.resize_with(self.scores.width, || Cell::Unknown);
        }
        for (class, column) in classes.iter_mut().zip(across) {
            *class = column.as_ref().map_or(NONE, |column| self.best_at(row, column));
        }
    }

    fn best_at(&mut self, row: &Between, column: &Between) -> u16 {
        let place = column.points[0];
        if matches!(self.cells[place], Cell::Unknown) {
            self.cells[place] = self.between(column.points);
        }
        let candidates = match &self.cells[place] {
            Cell::One(class) => return *class,
            Cell::Several(candidates) => candidates.as_slice(),
            Cell::Unknown => &[],
        };
        let across = |left: f32, right: f32| left * (1.0 - column.share) + right * column.share;
        let (mut best, mut most) = (NONE, f32::NEG_INFINITY);
        for (class, [a, b, c, d]) in candidates {
            let value = across(*a, *b) * (1.0 - row.share) + across(*c, *d) * row.share;
            if value > most {
                (best, most) = (*class, value);
            }
        }
        best
    }

    /// The classes that can be the best between these two points of each line.
    fn between(&self, [left, right]: [usize; 2]) -> Cell {
        let ClassScores { values, classes, height, width } = *self.scores;
        let [above, below] = self.around.map(|line| line * width);
        let corners = [above + left, above + right, below + left, below + right];
        let first = self.best[corners[0]];
        if corners.iter().all(|corner| self.best[*corner] == first) {
            return Cell::One(first);
        }
        let of_class = |class: u16| corners.map(|corner| values[usize::from(class) * height * width + corner]);
        let leaders = corners.map(|corner| self.best[corner]).map(|class| (class != NONE).then(|| (class, of_class(class))));
        let beats = |(leader, strong): (u16, [f32; 4]), class: u16, weak: &[f32; 4]| {
            let mut pairs = strong.iter().zip(weak);
            // Of equal scores the first class counts.
            if leader < class { pairs.all(|(a, b)| a >= b) } else { leader > class && pairs.all(|(a, b)| a > b) }
        };
        let all = (0..classes).map(|class| class as u16).map(|class| (class, of_class(class)));
        let can_win = all.filter(|(class, own)| !leaders.iter().flatten().any(|leader| beats(*leader, *class, own)));
        Cell::Several(can_win.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture that became the prepared image as a whole.
    fn whole(picture: (usize, usize), prepared: (usize, usize)) -> Placement {
        let span = |picture, prepared| Span { picture, resized: prepared, prepared, start: 0 };
        Placement { x: span(picture.0, prepared.0), y: span(picture.1, prepared.1) }
    }

    fn decoded(map: &ClassMap) -> (u32, u32, Vec<u16>) {
        let picture = image::load_from_memory(&map.png).unwrap();
        let values = match &picture {
            image::DynamicImage::ImageLuma8(gray) => gray.pixels().map(|pixel| u16::from(pixel.0[0])).collect(),
            image::DynamicImage::ImageLuma16(gray) => gray.pixels().map(|pixel| pixel.0[0]).collect(),
            other => panic!("{:?}", other.color()),
        };
        (picture.width(), picture.height(), values)
    }

    /// The classes by the definition, pixel by pixel.
    fn expected(scores: &ClassScores<'_>, placement: &Placement) -> Vec<u16> {
        let (across, down) = (axis(&placement.x, scores.width), axis(&placement.y, scores.height));
        let value = |class: usize, y: usize, x: usize| scores.values[(class * scores.height + y) * scores.width + x];
        let pixel = |row: &Between, column: &Between| {
            let between = |class: usize| {
                let line =
                    |y: usize| value(class, y, column.points[0]) * (1.0 - column.share) + value(class, y, column.points[1]) * column.share;
                line(row.points[0]) * (1.0 - row.share) + line(row.points[1]) * row.share
            };
            (1..scores.classes).fold(0, |best, class| if between(class) > between(best) { class } else { best }) as u16
        };
        let rows = down.iter().flat_map(|row| across.iter().map(move |column| row.as_ref().zip(column.as_ref())));
        rows.map(|both| both.map_or(255, |(row, column)| pixel(row, column))).collect()
    }

    fn noise(count: usize) -> Vec<f32> {
        let mut state = 1_u32;
        let next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 24) as f32
        };
        std::iter::repeat_with(next).take(count).collect()
    }

    #[test]
    fn every_pixel_has_the_class_of_the_interpolated_scores() {
        for (classes, (height, width), picture, prepared) in
            [(5, (4, 6), (60, 31), (24, 16)), (3, (9, 7), (5, 4), (7, 9)), (2, (1, 1), (3, 2), (8, 8)), (7, (16, 16), (16, 16), (64, 64))]
        {
            let values = noise(classes * height * width);
            let scores = ClassScores { values: &values, classes, height, width };
            let placement = whole(picture, prepared);
            let map = class_map(&scores, &placement).unwrap();
            let (wide, high, found) = decoded(&map);
            assert_eq!((wide as usize, high as usize), picture);
            assert_eq!(found, expected(&scores, &placement));
            let counts: Vec<u64> =
                (0..classes).map(|class| found.iter().filter(|own| usize::from(**own) == class).count() as u64).collect();
            assert_eq!(map.pixels, counts);
        }
    }

    #[test]
    fn what_the_crop_cut_off_has_no_class() {
        // 8 pixels became 4, and the middle 2 of them are shown.
        let cropped = Span { picture: 8, resized: 4, prepared: 2, start: -1 };
        let placement = Placement { x: cropped, y: Span { picture: 2, resized: 2, prepared: 2, start: 0 } };
        let scores = ClassScores { values: &[1.0, 0.0, 0.0, 1.0], classes: 2, height: 1, width: 2 };
        let map = class_map(&scores, &placement).unwrap();
        let line = [255, 255, 0, 0, 1, 1, 255, 255];
        assert_eq!(decoded(&map), (8, 2, [line, line].concat()));
        assert_eq!(map.pixels, [4, 4]);
    }

    #[test]
    fn many_classes_have_16_bits() {
        let mut values = vec![0.0; 300];
        values[290] = 1.0;
        let scores = ClassScores { values: &values, classes: 300, height: 1, width: 1 };
        let map = class_map(&scores, &whole((2, 1), (4, 4))).unwrap();
        assert_eq!(decoded(&map), (2, 1, vec![290, 290]));
    }

    #[test]
    fn scores_that_are_no_numbers_never_count() {
        let nan = f32::NAN;
        let found = |values: &[f32]| class_map(&ClassScores { values, classes: 2, height: 1, width: 2 }, &whole((2, 1), (2, 1))).unwrap();
        let map = found(&[nan, nan, 1.0, 1.0]);
        assert_eq!((decoded(&map).2, map.pixels), (vec![1, 1], vec![0, 2]));
        let map = found(&[nan; 4]);
        assert_eq!((decoded(&map).2, map.pixels), (vec![255, 255], vec![0, 0]));
    }
}
