//! One picture with its captions, the picture's bytes still where they are stored.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder, RgbImage, imageops};

use crate::decode::{Turn, decode_in, is_turned};
use crate::error::{BadRecord, Cause};
use crate::row_table::Row;
use crate::scenes::render::Drawn;

/// How far a rectangle may reach out of its picture, in pixels: published boxes are rounded.
pub(crate) const OVERHANG: u32 = 1;

/// Where the encoded bytes of a picture are, or what draws it.
#[derive(Debug, Clone)]
pub enum Picture {
    /// In the program itself.
    Embedded(&'static [u8]),
    File(PathBuf),
    /// `len` bytes from byte `offset` of an archive.
    InArchive {
        archive: PathBuf,
        entry: String,
        offset: u64,
        len: u64,
    },
    /// A part of a picture: left, top, width and height in pixels of the picture as it is decoded. What
    /// reaches out by a pixel is cut off.
    Cropped {
        whole: Box<Picture>,
        region: [u32; 4],
    },
    /// A picture whose boxes are annotated in pixels as they are stored: it is not turned upright, as those
    /// who annotated did not see it upright, and the readers that papers use do not turn it.
    AsStored {
        picture: Box<Picture>,
        /// Width and height that the annotations give it; another one is no picture of theirs.
        size: Option<[u32; 2]>,
    },
    /// Drawn when it is asked for.
    Generated(Drawn),
    /// A picture of which a detector's boxes and features are known.
    WithRegions {
        picture: Box<Picture>,
        row: Row,
    },
}

/// A picture and the captions that are true of it.
#[derive(Debug, Clone)]
pub struct Record {
    /// Unique in the data set; every random choice about the record is keyed by it.
    pub key: String,
    /// At least one; the first is the one that an evaluation with one caption uses.
    pub captions: Vec<String>,
    pub picture: Picture,
    /// What else the data set says of the picture (concept, group, skin tone, ...).
    pub annotations: BTreeMap<String, String>,
    /// The other picture, where the caption is about two.
    pub other: Option<Picture>,
    /// What a task asks of the record.
    pub label: Option<Label>,
}

/// What a model is to say of a picture and its caption.
#[derive(Debug, Clone, PartialEq)]
pub enum Label {
    /// Classes, with how right each is, from 0 to 1; none where no class is right.
    Classes(Vec<(usize, f32)>),
    /// Where the thing is that the caption refers to: left, top, width and height as fractions of
    /// the picture's.
    Region([f32; 4]),
}

impl Record {
    /// A picture with its captions, and nothing else said of it.
    pub fn new(key: impl Into<String>, captions: Vec<String>, picture: Picture) -> Self {
        let (key, annotations) = (key.into(), BTreeMap::new());
        Record { key, captions, picture, annotations, other: None, label: None }
    }

    /// What tells its picture from others of the data set.
    pub fn picture_name(&self) -> String {
        name(&self.key, &self.picture)
    }

    /// What tells its other picture, if it has one, from others of the data set.
    pub fn other_name(&self) -> Option<String> {
        // A key may stand for both, so the second says that it is.
        self.other.as_ref().map(|other| format!("{}, second", name(&self.key, other)))
    }

    /// With what else the data set says of the picture.
    pub fn annotated(self, annotations: BTreeMap<String, String>) -> Self {
        Record { annotations, ..self }
    }
}

impl Picture {
    /// Whether the two are one picture, as far as can be seen without reading them.
    pub fn is_same(&self, other: &Picture) -> bool {
        match (self, other) {
            (Picture::Embedded(a), Picture::Embedded(b)) => std::ptr::eq(*a, *b),
            (Picture::File(a), Picture::File(b)) => a == b,
            (
                Picture::InArchive { archive: a, offset: at_a, .. },
                Picture::InArchive { archive: b, offset: at_b, .. },
            ) => at_a == at_b && a == b,
            (
                Picture::Cropped { whole: a, region: of_a },
                Picture::Cropped { whole: b, region: of_b },
            ) => of_a == of_b && a.is_same(b),
            (Picture::Generated(a), Picture::Generated(b)) => a.is_same(b),
            (Picture::AsStored { picture: a, .. }, Picture::AsStored { picture: b, .. })
            | (Picture::WithRegions { picture: a, .. }, Picture::WithRegions { picture: b, .. }) => {
                a.is_same(b)
            }
            _ => false,
        }
    }

    /// Whether it is, or is cut from, something on a disk that has a name.
    pub(crate) fn is_file(&self) -> bool {
        match self {
            Picture::File(_) | Picture::InArchive { .. } => true,
            Picture::Cropped { whole, .. } => whole.is_file(),
            Picture::AsStored { picture, .. } | Picture::WithRegions { picture, .. } => {
                picture.is_file()
            }
            Picture::Embedded(_) | Picture::Generated(_) => false,
        }
    }

    /// Where the picture is, for messages.
    pub fn origin(&self) -> String {
        match self {
            Picture::Embedded(_) => "embedded picture".into(),
            Picture::Generated(_) => "generated picture".into(),
            Picture::File(path) => path.display().to_string(),
            Picture::InArchive { archive, entry, .. } => {
                format!("{}:{entry}", archive.display())
            }
            Picture::Cropped { whole, region: [x, y, width, height] } => {
                format!("{} ({width} x {height} at {x}, {y})", whole.origin())
            }
            Picture::AsStored { picture, .. } | Picture::WithRegions { picture, .. } => {
                picture.origin()
            }
        }
    }

    /// The same picture in rows and columns as they are stored, of `size` (width, height) where that is
    /// known: what boxes in annotations are of.
    pub(crate) fn unturned(self, size: Option<[u32; 2]>) -> Self {
        match self {
            // A detector's regions belong to the picture, however it is turned.
            Picture::WithRegions { picture, row } => {
                Picture::WithRegions { picture: Box::new(picture.unturned(size)), row }
            }
            picture => Picture::AsStored { picture: Box::new(picture), size },
        }
    }

    /// The RGB picture, upright but for [`Picture::AsStored`], in `memory` that another one had where it
    /// can be used. [`RgbImage::into_raw`] gives it back. `origin` says in errors where the picture is.
    pub fn decode(&self, origin: &str, memory: Vec<u8>) -> Result<RgbImage, BadRecord> {
        match self {
            Picture::Generated(drawn) => Ok(drawn.draw(memory)),
            Picture::Cropped { whole, region } => crop(whole, *region, origin),
            Picture::WithRegions { picture, .. } => picture.decode(origin, memory),
            Picture::AsStored { picture, size } => {
                let picture = decode_in(&picture.read()?, origin, Turn::AsStored, memory)?;
                check_size(&picture, *size, origin)?;
                Ok(picture)
            }
            file => decode_in(&file.read()?, origin, Turn::Upright, memory),
        }
    }

    /// Reads the encoded bytes; of a part of a picture, of one that must not be turned upright or of a
    /// generated one, makes a PNG. Whoever shows the bytes shows what [`decode`](Self::decode) gives.
    pub fn read(&self) -> Result<Vec<u8>, BadRecord> {
        let missing = |error: std::io::Error| BadRecord {
            cause: Cause::MissingFile,
            origin: self.origin(),
            detail: format!("expected a readable picture: {error}"),
        };
        match self {
            Picture::Embedded(bytes) => Ok(bytes.to_vec()),
            Picture::WithRegions { picture, .. } => picture.read(),
            Picture::AsStored { picture, .. } => {
                let bytes = picture.read()?;
                match is_turned(&bytes) {
                    true => png(&self.decode(&self.origin(), Vec::new())?, &self.origin()),
                    false => Ok(bytes),
                }
            }
            Picture::Cropped { .. } | Picture::Generated(_) => {
                png(&self.decode(&self.origin(), Vec::new())?, &self.origin())
            }
            Picture::File(path) => std::fs::read(path).map_err(missing),
            Picture::InArchive { archive, offset, len, .. } => {
                let mut file = File::open(archive).map_err(missing)?;
                file.seek(SeekFrom::Start(*offset)).map_err(missing)?;
                let mut bytes = vec![0; *len as usize];
                file.read_exact(&mut bytes).map_err(|error| BadRecord {
                    cause: Cause::TruncatedArchive,
                    origin: self.origin(),
                    detail: format!("expected {len} bytes at offset {offset}: {error}"),
                })?;
                Ok(bytes)
            }
        }
    }
}

/// Where `picture` is; by its record's key where it is in the program or drawn.
pub(crate) fn name(key: &str, picture: &Picture) -> String {
    match picture {
        Picture::Embedded(_) | Picture::Generated(_) => format!("{} {key}", picture.origin()),
        Picture::AsStored { picture, .. } | Picture::WithRegions { picture, .. } => {
            name(key, picture)
        }
        _ => picture.origin(),
    }
}

fn crop(whole: &Picture, region: [u32; 4], origin: &str) -> Result<RgbImage, BadRecord> {
    let picture = whole.decode(&whole.origin(), Vec::new())?;
    let [x, y, width, height] = region;
    let across = within(x, width, picture.width());
    let (Some(width), Some(height)) = (across, within(y, height, picture.height())) else {
        let size = format!("{} x {}", picture.width(), picture.height());
        let detail = format!("expected a part of a picture of {size} pixels");
        return Err(BadRecord { cause: Cause::BadRegion, origin: origin.into(), detail });
    };
    Ok(imageops::crop_imm(&picture, x, y, width, height).to_image())
}

/// How much of a span of `length` from `start` on lies in front of `limit`; `None` where more than
/// [`OVERHANG`] reaches out, or nothing is left.
fn within(start: u32, length: u32, limit: u32) -> Option<u32> {
    let end = start.checked_add(length).filter(|end| *end <= limit.saturating_add(OVERHANG))?;
    end.min(limit).checked_sub(start).filter(|left| *left > 0)
}

fn check_size(
    picture: &RgbImage,
    annotated: Option<[u32; 2]>,
    origin: &str,
) -> Result<(), BadRecord> {
    let (width, height) = picture.dimensions();
    let Some([across, down]) = annotated.filter(|size| *size != [width, height]) else {
        return Ok(());
    };
    let detail = format!(
        "expected {across} x {down} pixels, as the annotations of its boxes have it, found {width} x {height}"
    );
    Err(BadRecord { cause: Cause::BadRegion, origin: origin.into(), detail })
}

/// For a page or a shard: size counts for little.
fn png(picture: &RgbImage, origin: &str) -> Result<Vec<u8>, BadRecord> {
    let mut png = Vec::new();
    PngEncoder::new_with_quality(&mut png, CompressionType::Fast, FilterType::Adaptive)
        .write_image(picture, picture.width(), picture.height(), ExtendedColorType::Rgb8)
        .map_err(|error| BadRecord {
            cause: Cause::BrokenPicture,
            origin: origin.into(),
            detail: format!("expected a picture that a PNG can hold: {error}"),
        })?;
    Ok(png)
}
