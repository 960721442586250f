//! WebP by libwebp: a still picture is decoded into the caller's buffer. For an animation, it returns the first frame on its
//! canvas, as Pillow does, with libwebp's animation decoder, which has its own canvases.

use std::ffi::{c_int, c_void};
use std::marker::PhantomData;
use std::ptr::NonNull;

use crate::CodecError;

/// Major versions are checked by the library; these are those of its headers.
const DECODER_ABI_VERSION: c_int = 0x0210;
const DEMUX_ABI_VERSION: c_int = 0x0107;

/// `WebPBitstreamFeatures`.
#[repr(C)]
#[derive(Default)]
struct Features {
    width: c_int,
    height: c_int,
    has_alpha: c_int,
    has_animation: c_int,
    format: c_int,
    padding: [u32; 5],
}

/// `WebPData`.
#[repr(C)]
struct Data {
    bytes: *const u8,
    size: usize,
}

/// `WebPAnimInfo`.
#[repr(C)]
#[derive(Default)]
struct Info {
    canvas_width: u32,
    canvas_height: u32,
    loop_count: u32,
    background: u32,
    frame_count: u32,
    padding: [u32; 4],
}

unsafe extern "C" {
    fn WebPGetFeaturesInternal(bytes: *const u8, size: usize, features: *mut Features, version: c_int) -> c_int;
    fn WebPDecodeRGBAInto(bytes: *const u8, size: usize, pixels: *mut u8, room: usize, row_bytes: c_int) -> *mut u8;
    fn WebPAnimDecoderNewInternal(data: *const Data, options: *const c_void, version: c_int) -> *mut c_void;
    fn WebPAnimDecoderGetInfo(decoder: *const c_void, info: *mut Info) -> c_int;
    fn WebPAnimDecoderGetNext(decoder: *mut c_void, pixels: *mut *mut u8, timestamp: *mut c_int) -> c_int;
    fn WebPAnimDecoderDelete(decoder: *mut c_void);
}

/// What the first chunk says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Pixels a row of the canvas.
    pub width: u32,
    /// Rows of the canvas.
    pub height: u32,
    /// Whether pixels may be transparent.
    pub has_alpha: bool,
}

/// A file whose header was read.
#[derive(Debug)]
pub struct WebP<'a> {
    bytes: &'a [u8],
    header: Header,
    moves: bool,
}

struct Decoder<'a>(NonNull<c_void>, PhantomData<&'a [u8]>);

impl Drop for Decoder<'_> {
    fn drop(&mut self) {
        // SAFETY: the decoder is open and not used afterwards.
        unsafe { WebPAnimDecoderDelete(self.0.as_ptr()) };
    }
}

impl<'a> WebP<'a> {
    /// Reads the header; allocates nothing.
    ///
    /// # Errors
    /// [`CodecError::Broken`], [`CodecError::Cut`].
    pub fn open(bytes: &'a [u8]) -> Result<Self, CodecError> {
        let mut features = Features::default();
        // SAFETY: the length is that of the bytes, the features are ours.
        let status = unsafe { WebPGetFeaturesInternal(bytes.as_ptr(), bytes.len(), &mut features, DECODER_ABI_VERSION) };
        match status {
            0 => {}
            7 => return Err(CodecError::Cut),
            other => return Err(CodecError::Broken(format!("its header is damaged (status {other})"))),
        }
        let side = |length: c_int| u32::try_from(length).unwrap_or(0);
        let header = Header { width: side(features.width), height: side(features.height), has_alpha: features.has_alpha != 0 };
        Ok(Self { bytes, header, moves: features.has_animation != 0 })
    }

    /// What the first chunk says.
    #[must_use]
    pub fn header(&self) -> Header {
        self.header
    }

    /// Decodes the first frame onto a transparent canvas, rows from the top: red, green, blue, alpha.
    ///
    /// # Errors
    /// [`CodecError::Broken`], also for a buffer that is not `width * height * 4` bytes.
    pub fn pixels(self, pixels: &mut [u8]) -> Result<(), CodecError> {
        let broken = |cause: &str| CodecError::Broken(cause.to_owned());
        let row_bytes = c_int::try_from(u64::from(self.header.width) * 4).map_err(|_| broken("its rows are too long"))?;
        let room = row_bytes as usize * self.header.height as usize;
        if pixels.len() != room {
            return Err(CodecError::Broken(format!("a canvas of {room} bytes does not fill {}", pixels.len())));
        }
        if self.moves {
            return self.first_frame(pixels);
        }
        // SAFETY: the length is that of the bytes; libwebp writes rows of this length to the buffer and checks that they fit.
        let decoded = unsafe { WebPDecodeRGBAInto(self.bytes.as_ptr(), self.bytes.len(), pixels.as_mut_ptr(), room, row_bytes) };
        if decoded.is_null() { Err(broken("it is damaged or cut off")) } else { Ok(()) }
    }

    /// The canvas after the first frame of an animation.
    fn first_frame(self, pixels: &mut [u8]) -> Result<(), CodecError> {
        let broken = |cause: &str| CodecError::Broken(cause.to_owned());
        let data = Data { bytes: self.bytes.as_ptr(), size: self.bytes.len() };
        // SAFETY: the data is read during the call and, by its lifetime, as long as the decoder lives; without options.
        let decoder = unsafe { WebPAnimDecoderNewInternal(&data, std::ptr::null(), DEMUX_ABI_VERSION) };
        let decoder = NonNull::new(decoder).ok_or_else(|| broken("its chunks are damaged or cut off"))?;
        let decoder: Decoder<'a> = Decoder(decoder, PhantomData);
        let mut info = Info::default();
        // SAFETY: the decoder is open, the info is ours.
        let known = unsafe { WebPAnimDecoderGetInfo(decoder.0.as_ptr(), &mut info) };
        if known == 0 || (info.canvas_width, info.canvas_height) != (self.header.width, self.header.height) {
            return Err(broken("its canvas has another size than its header says"));
        }
        let bytes = info.canvas_width as usize * info.canvas_height as usize * 4;
        let (mut canvas, mut timestamp) = (std::ptr::null_mut(), 0);
        // SAFETY: the decoder is open, the two places are ours.
        let decoded = unsafe { WebPAnimDecoderGetNext(decoder.0.as_ptr(), &mut canvas, &mut timestamp) };
        if decoded == 0 || canvas.is_null() {
            return Err(broken("its first frame is damaged or cut off"));
        }
        // SAFETY: the decoder keeps the canvas of this size until the next call.
        let canvas = unsafe { std::slice::from_raw_parts(canvas, bytes) };
        pixels.copy_from_slice(canvas);
        Ok(())
    }
}
