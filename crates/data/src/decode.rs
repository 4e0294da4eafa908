//! Encoded bytes to an RGB picture, upright or as it is stored.

use std::io::Cursor;

use image::metadata::Orientation;
use image::{
    ColorType, DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, RgbImage,
};

use crate::error::{BadRecord, Cause};

/// A picture with more pixels than this is refused from its header, before memory is taken for it.
pub const MAX_PIXELS: u64 = 100_000_000;

/// The widest pixel that the decoders produce: four channels of 16 bits.
const BYTES_PER_PIXEL: u64 = 8;

/// Decodes a JPEG, PNG, WebP or GIF (its first frame) to upright RGB with 8 bits per channel.
///
/// Grey, palette, 16 bit and CMYK pictures are converted, transparency is composited over white,
/// and the EXIF orientation is applied. The format is told from the bytes, never from a name.
/// `origin` says in errors where the picture is.
pub fn decode(bytes: &[u8], origin: &str) -> Result<RgbImage, BadRecord> {
    decode_in(bytes, origin, Turn::Upright, Vec::new())
}

/// What becomes of the orientation that a picture's EXIF block says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    Upright,
    /// Nothing: rows and columns are those that are stored, in which annotations give their boxes.
    AsStored,
}

/// As [`decode`], turned or not, in `memory` that another picture had, where the file holds plain RGB:
/// fresh memory costs as much as a resize. [`RgbImage::into_raw`] gives it back.
pub(crate) fn decode_in(
    bytes: &[u8],
    origin: &str,
    turn: Turn,
    mut memory: Vec<u8>,
) -> Result<RgbImage, BadRecord> {
    let bad = |cause, detail: String| BadRecord { cause, origin: origin.into(), detail };
    let failed = |error: ImageError| match error {
        ImageError::Limits(_) => bad(Cause::OversizedPicture, error.to_string()),
        _ => bad(Cause::BrokenPicture, format!("expected a JPEG, PNG, WebP or GIF: {error}")),
    };
    let mut reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|error| failed(ImageError::IoError(error)))?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_PIXELS * BYTES_PER_PIXEL);
    reader.limits(limits);
    let format = reader.format();
    let mut decoder = reader.into_decoder().map_err(failed)?;

    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        let detail = format!("{width} x {height} pixels, expected at most {MAX_PIXELS} in all");
        return Err(bad(Cause::OversizedPicture, detail));
    }
    // The JPEG decoder fills what is missing with grey; half a picture is no picture of its caption.
    if format == Some(ImageFormat::Jpeg) && !ends_as_jpeg(bytes) {
        let detail = "the JPEG stops before its end-of-image marker".into();
        return Err(bad(Cause::BrokenPicture, detail));
    }
    let orientation = orientation(&mut decoder);
    let mut picture = if decoder.color_type() == ColorType::Rgb8 {
        // A damaged file may leave pixels out: they are black, and not the last picture's.
        memory.clear();
        memory.resize(decoder.total_bytes() as usize, 0);
        decoder.read_image(&mut memory).map_err(failed)?;
        let picture = RgbImage::from_raw(width, height, memory);
        picture.expect("the decoder said how many bytes its picture has").into()
    } else {
        DynamicImage::from_decoder(decoder).map_err(failed)?
    };
    if turn == Turn::Upright {
        picture.apply_orientation(orientation);
    }
    Ok(over_white(picture))
}

/// Whether who shows these bytes turns or mirrors the stored picture.
pub(crate) fn is_turned(bytes: &[u8]) -> bool {
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().ok();
    let decoder = reader.and_then(|reader| reader.into_decoder().ok());
    decoder.is_some_and(|mut decoder| orientation(&mut decoder) != Orientation::NoTransforms)
}

/// A damaged EXIF block says nothing of the pixels: such a picture is taken as it stands.
fn orientation(decoder: &mut impl ImageDecoder) -> Orientation {
    decoder.orientation().unwrap_or(Orientation::NoTransforms)
}

/// RGB of `picture`, composited over white where it is transparent.
fn over_white(picture: DynamicImage) -> RgbImage {
    if !picture.color().has_alpha() {
        return picture.into_rgb8();
    }
    let picture = picture.into_rgba8();
    let mut rgb = RgbImage::new(picture.width(), picture.height());
    for (from, to) in picture.pixels().zip(rgb.pixels_mut()) {
        let alpha = u32::from(from[3]);
        for channel in 0..3 {
            let mixed = u32::from(from[channel]) * alpha + 255 * (255 - alpha);
            to[channel] = ((mixed + 127) / 255) as u8;
        }
    }
    rgb
}

/// Whether the marker FF D9 follows the start of the scan.
///
/// Inside a scan every FF byte of data is followed by 00, so the pair cannot be data; before the
/// scan it may belong to a thumbnail, which is why the segments before it are skipped by length.
fn ends_as_jpeg(bytes: &[u8]) -> bool {
    const START_OF_SCAN: u8 = 0xDA;
    const END_OF_IMAGE: [u8; 2] = [0xFF, 0xD9];
    let mut at = 2;
    while let Some(&[marker, kind, high, low]) = bytes.get(at..at + 4) {
        if marker != 0xFF || kind == 0xFF {
            // Padding between segments.
            at += 1;
        } else if kind == START_OF_SCAN {
            // From the end, where it is in a sound file.
            return bytes[at..].windows(2).rev().any(|pair| pair == END_OF_IMAGE);
        } else {
            at += 2 + usize::from(u16::from_be_bytes([high, low]));
        }
    }
    false
}
