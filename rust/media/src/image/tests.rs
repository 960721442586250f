//! All steps on tiny pictures made here. `tests/image_parity.rs` compares the numbers with Pillow's.

use std::io::Cursor;

use image::{DynamicImage, ImageFormat, Rgb, RgbImage};

use super::{Decode, ImageError, ImageLimits, ImageSpec, PixelView, prepare_encoded, prepare_pixels};

const FORMATS: [(ImageFormat, &str); 6] = [
    (ImageFormat::Jpeg, "JPEG"),
    (ImageFormat::Png, "PNG"),
    (ImageFormat::WebP, "WebP"),
    (ImageFormat::Gif, "GIF"),
    (ImageFormat::Bmp, "BMP"),
    (ImageFormat::Tiff, "TIFF"),
];

fn spec(toml: &str) -> ImageSpec {
    toml::from_str(toml).expect("a spec")
}

/// Red grows with x, green with y, blue is constant.
fn picture(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| Rgb([(x * 3 % 256) as u8, (y * 5 % 256) as u8, 77]))
}

fn encoded(picture: &RgbImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::from(picture.clone()).write_to(&mut bytes, format).expect("encoded");
    bytes.into_inner()
}

fn prepared(bytes: &[u8], spec: &ImageSpec) -> Result<Vec<f32>, ImageError> {
    let (height, width) = spec.output_size();
    let mut out = vec![f32::NAN; height * width * spec.channels()];
    prepare_encoded(bytes, spec, &ImageLimits::default(), &mut out)?;
    Ok(out)
}

#[test]
fn a_spec_says_what_is_wrong_with_it() {
    for (toml, says) in [
        ("", "size is unknown"),
        ("resize = 256", "only the shorter side"),
        ("crop = 0", "sides must be 1"),
        ("crop = 8\nmean = [1.0]", "mean: 1 values for 3 channels"),
        ("crop = 8\nstd = [1.0, 0.0, 1.0]", "std: values must not be 0"),
        ("crop = 8\nscale = 0.0", "scale"),
    ] {
        let error = spec(toml).validate().expect_err(toml);
        assert!(error.contains(says), "{toml:?}: {error}");
    }
    let unknown = toml::from_str::<ImageSpec>("crop = 8\ncolor = 'RGB'").expect_err("unknown key").to_string();
    assert!(unknown.contains("color"), "{unknown}");
    let full = spec("resize = [30, 40]\ncrop = [20, 10]\ninterpolation = 'bicubic'\nchannels = 'L'\nmean = [1.0]\nbackground = [1, 2, 3]");
    assert_eq!(full.validate(), Ok(()));
    assert_eq!((full.output_size(), full.channels()), ((20, 10), 1));
    assert_eq!(spec("resize = [30, 40]").output_size(), (30, 40));
}

#[test]
fn every_lossless_format_gives_its_pixels() {
    let picture = picture(21, 13);
    let exact = spec("crop = [13, 21]\nscale = 1.0");
    let pixels: Vec<f32> = picture.as_raw().iter().map(|&value| f32::from(value)).collect();
    for format in [ImageFormat::Png, ImageFormat::WebP, ImageFormat::Bmp, ImageFormat::Tiff] {
        assert_eq!(prepared(&encoded(&picture, format), &exact).as_ref(), Ok(&pixels), "{format:?}");
    }
    let apart = |format| {
        let values = prepared(&encoded(&picture, format), &exact).expect("decoded");
        values.iter().zip(&pixels).map(|(value, pixel)| (value - pixel).abs()).sum::<f32>() / pixels.len() as f32
    };
    assert!(apart(ImageFormat::Jpeg) < 4.0 && apart(ImageFormat::Gif) < 4.0);
}

#[test]
fn channels_are_ordered_and_normalized_one_by_one() {
    let bytes = encoded(&RgbImage::from_pixel(4, 4, Rgb([10, 20, 30])), ImageFormat::Png);
    let values = prepared(&bytes, &spec("crop = 1\nscale = 0.1\nmean = [1.0, 2.0, 3.0]\nstd = [0.5, 0.25, 0.125]"));
    assert_eq!(values, Ok(vec![0.0, 0.0, 0.0]));
    assert_eq!(prepared(&bytes, &spec("crop = 1\nchannels = 'BGR'\nscale = 1.0")), Ok(vec![30.0, 20.0, 10.0]));
    // (10 * 299 + 20 * 587 + 30 * 114) / 1000 = 18.15
    assert_eq!(prepared(&bytes, &spec("crop = 1\nchannels = 'L'\nscale = 1.0")), Ok(vec![18.0]));
}

#[test]
fn a_resize_keeps_a_plain_picture_plain_in_every_filter() {
    for (width, height) in [(50, 40), (3, 200), (200, 3), (1, 1)] {
        let bytes = encoded(&RgbImage::from_pixel(width, height, Rgb([9, 200, 255])), ImageFormat::Png);
        for filter in ["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"] {
            let spec = spec(&format!("resize = 16\ncrop = [8, 12]\nscale = 1.0\ninterpolation = '{filter}'"));
            let values = prepared(&bytes, &spec).expect("prepared");
            assert!(values.chunks_exact(3).all(|pixel| pixel == [9.0, 200.0, 255.0]), "{filter} {width} x {height}");
        }
    }
}

#[test]
fn a_picture_smaller_than_the_crop_gets_a_black_border() {
    let bytes = encoded(&RgbImage::from_pixel(2, 1, Rgb([7, 7, 7])), ImageFormat::Png);
    let values = prepared(&bytes, &spec("crop = [3, 5]\nscale = 1.0\nchannels = 'L'\nmean = [1.0]")).expect("prepared");
    let expected = [[-1.0; 5], [-1.0, 6.0, 6.0, -1.0, -1.0], [-1.0; 5]].concat();
    assert_eq!(values, expected);
}

#[test]
fn sparks_image_struct_gives_the_same_as_the_file() {
    let picture = picture(20, 10);
    let spec = spec("resize = 8\ncrop = 6\nbackground = [255, 255, 255]");
    let expected = prepared(&encoded(&picture, ImageFormat::Png), &spec).expect("prepared");
    let bgr: Vec<u8> = picture.pixels().flat_map(|pixel| [pixel[2], pixel[1], pixel[0]]).collect();
    let bgra: Vec<u8> = picture.pixels().flat_map(|pixel| [pixel[2], pixel[1], pixel[0], 255]).collect();
    for (channels, data) in [(3, &bgr), (4, &bgra)] {
        let mut out = vec![0.0; expected.len()];
        let view = PixelView { height: 10, width: 20, channels, data };
        let placement = prepare_pixels(&view, &spec, &ImageLimits::default(), &mut out).expect("prepared");
        assert_eq!((placement.x.picture, placement.x.resized, placement.x.start), (20, 16, -5));
        assert_eq!((placement.y.picture, placement.y.resized, placement.y.start), (10, 8, -1));
        assert_eq!(out, expected);
    }
}

#[test]
fn raw_pixels_that_do_not_fit_are_refused() {
    let spec = spec("crop = 1\nchannels = 'L'\nscale = 1.0");
    let prepare = |height, width, channels, data: &[u8]| {
        let mut out = [0.0];
        prepare_pixels(
            &PixelView { height, width, channels, data },
            &spec,
            &ImageLimits { max_pixels: 100, ..ImageLimits::default() },
            &mut out,
        )
        .map(|_| out)
    };
    assert_eq!(prepare(1, 1, 1, &[5]), Ok([5.0]));
    assert_eq!(prepare(1, 1, 4, &[0, 0, 0, 0]), Ok([0.0]));
    for (height, width, channels, data) in
        [(2, 2, 3, 11), (2, 2, 2, 8), (-1, -1, 3, 3), (0, 5, 3, 0), (1, 1, 0, 0), (i32::MAX, i32::MAX, 4, 16)]
    {
        let error = prepare(height, width, channels, &vec![0; data]).expect_err("refused");
        assert!(matches!(error, ImageError::BadPixels { .. } | ImageError::Unsupported { .. }), "{error}");
    }
    assert_eq!(prepare(10, 11, 1, &[0; 110]), Err(ImageError::TooLarge { width: 11, height: 10, max_pixels: 100 }));
}

#[test]
fn what_is_no_image_is_named() {
    let spec = spec("crop = 1");
    assert_eq!(prepared(b"", &spec), Err(ImageError::Empty));
    for bytes in [&b"hello\nworld"[..], b"BM is a company that makes things", &[0, 1, 2, 3], &[0xFF], b"RIFF1234WAVE"] {
        assert!(matches!(prepared(bytes, &spec), Err(ImageError::NotAnImage { .. })), "{bytes:?}");
    }
    let message = prepared(b"hello\nworld, this is long", &spec).expect_err("text").to_string();
    assert!(message.starts_with(r#"not an image: begins with "hello\nworld, thi""#), "{message}");
}

#[test]
fn other_formats_are_named() {
    let spec = spec("crop = 1");
    for (bytes, name) in [
        (&b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf"[..], "AVIF"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf", "AVIF"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "HEIC"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
        (b"\xff\x4f\xff\x51\0\x2f", "JPEG 2000"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"8BPS\0\x01", "Photoshop"),
        (b"\0\0\x01\0\x01\0\x10\x10", "icon (ICO)"),
        (b"P6 3 3 255\n", "Netpbm"),
        (b"%PDF-1.7", "PDF"),
        (b"<?xml version='1.0'?>\n<svg width='3'/>", "SVG"),
    ] {
        let error = prepared(bytes, &spec).expect_err(name);
        assert!(matches!(error, ImageError::NotRead { format } if format == name), "{name}: {error}");
    }
    let message = prepared(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", &spec).expect_err("HEIC").to_string();
    assert_eq!(message, "HEIC images are not read: convert it to one of JPEG, PNG, WebP, GIF, BMP and TIFF first");
    // A film is an ISO media file too, and XML need not be a picture.
    for other in [&b"\0\0\0\x18ftypisom\0\0\0\0isommp42"[..], b"<?xml version='1.0'?><html/>"] {
        assert!(matches!(prepared(other, &spec), Err(ImageError::NotAnImage { .. })));
    }
}

#[test]
fn cut_files_are_errors_in_every_format() {
    let spec = spec("resize = 8\ncrop = 8");
    for (format, name) in FORMATS {
        let whole = encoded(&picture(90, 70), format);
        for kept in [whole.len() / 8, whole.len() / 2, whole.len() * 7 / 8] {
            let error = prepared(&whole[..kept], &spec).expect_err(name);
            assert!(matches!(&error, ImageError::Corrupt { format, .. } if *format == name), "{name} cut at {kept}: {error}");
        }
    }
    let jpeg = encoded(&picture(90, 70), ImageFormat::Jpeg);
    let error = prepared(&jpeg[..jpeg.len() - 1], &spec).expect_err("no end marker").to_string();
    assert_eq!(error, "corrupt JPEG: the file is cut off before its last row");
}

#[test]
fn the_size_is_checked_before_decoding() {
    let spec = spec("crop = 1");
    for (format, name) in FORMATS {
        let bytes = encoded(&picture(90, 70), format);
        let limits = ImageLimits { max_pixels: 90 * 70 - 1, ..ImageLimits::default() };
        let error = prepare_encoded(&bytes, &spec, &limits, &mut [0.0; 3]).expect_err(name);
        assert_eq!(error, ImageError::TooLarge { width: 90, height: 70, max_pixels: 6299 }, "{name}");
    }
}

#[test]
fn damaged_files_never_panic() {
    let spec = spec("resize = 8\ncrop = 8");
    let mut out = vec![0.0; 8 * 8 * 3];
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = |bound: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % bound as u64) as usize
    };
    for (format, _) in FORMATS {
        let whole = encoded(&picture(40, 30), format);
        for _ in 0..400 {
            let mut damaged = whole.clone();
            for _ in 0..=random(6) {
                let at = if random(2) == 0 { random(damaged.len().min(200)) } else { random(damaged.len()) };
                damaged[at] = [0, 0xFF, random(256) as u8][random(3)];
            }
            damaged.truncate(damaged.len() - random(2) * random(damaged.len()));
            // Either outcome is right: damage may go unseen.
            let _ = prepare_encoded(&damaged, &spec, &ImageLimits { max_pixels: 1 << 20, ..ImageLimits::default() }, &mut out);
        }
    }
}

#[test]
fn a_wrong_output_length_is_an_error() {
    let bytes = encoded(&picture(4, 4), ImageFormat::Png);
    let error = prepare_encoded(&bytes, &spec("crop = 2"), &ImageLimits::default(), &mut [0.0; 11]).expect_err("length");
    assert!(error.to_string().contains("room for 11 values, the model takes 12"), "{error}");
}

/// A photo-like picture: smooth, with edges.
fn photo(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let wave = |step: f32| (127.0 + 90.0 * (x as f32 / step).sin() * (y as f32 / step / 1.3).cos()) as u8;
        let edge = if (x / 97 + y / 71) % 2 == 0 { 40 } else { 200 };
        Rgb([wave(61.0), edge, wave(23.0)])
    })
}

fn decoded(bytes: &[u8], spec: &ImageSpec, decode: Decode) -> Vec<f32> {
    let (height, width) = spec.output_size();
    let mut out = vec![f32::NAN; height * width * spec.channels()];
    prepare_encoded(bytes, spec, &ImageLimits { decode, ..ImageLimits::default() }, &mut out).expect("prepared");
    out
}

#[test]
fn large_photos_are_shrunk_while_they_are_decoded_unless_pixels_are_to_be_exact() {
    let bicubic = spec("resize = 64\ncrop = 56\nscale = 1.0\ninterpolation = 'bicubic'");
    // The crop is 64 pixels. A quarter of 515 and half of 300 are more than twice that; half of 250 is not. Odd sizes leave parts
    // of pixels.
    for (width, height, shrinks) in [(771, 515, true), (300, 441, true), (378, 250, false)] {
        let bytes = encoded(&photo(width, height), ImageFormat::Jpeg);
        let (auto, exact) = (decoded(&bytes, &bicubic, Decode::Auto), decoded(&bytes, &bicubic, Decode::Exact));
        let apart = auto.iter().zip(&exact).map(|(one, other)| (one - other).abs()).sum::<f32>() / auto.len() as f32;
        assert_eq!(auto != exact, shrinks, "{width} x {height}");
        assert!(apart < 1.0, "{width} x {height}: {apart} gray levels apart on average");
    }
    // Pixels picked one by one are those of the file, and so are all pixels of other formats.
    let bytes = encoded(&photo(771, 515), ImageFormat::Jpeg);
    let nearest = spec("resize = 64\ncrop = 56\ninterpolation = 'nearest'");
    assert_eq!(decoded(&bytes, &nearest, Decode::Auto), decoded(&bytes, &nearest, Decode::Exact));
    let png = encoded(&photo(771, 515), ImageFormat::Png);
    assert_eq!(decoded(&png, &bicubic, Decode::Auto), decoded(&png, &bicubic, Decode::Exact));
}
