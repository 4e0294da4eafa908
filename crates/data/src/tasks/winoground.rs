//! Winoground (Thrush et al., CVPR 2022): two pictures and two captions of the same words.
//!
//! `examples.jsonl` has one object per line with `id`, `image_0`, `image_1`, `caption_0`,
//! `caption_1`, `tag`, `secondary_tag` and `collapsed_tag`; the pictures are
//! `images/{image_0}.png`. The kind is the `collapsed_tag` (`Object`, `Relation`, `Both`), by which
//! the paper reports; `tag` and `secondary_tag` are not kept. Everything is one split, `test`.

use serde::Deserialize;
use serde_json::Value;

use super::source::{Checked, Gathering, Pictures, Place, read_json_lines, text};
use super::{Contrast, TaskData, TaskSource};
use crate::error::DataError;
use crate::record::Picture;

pub(super) const FILE: &str = "examples.jsonl";
const LINE: &str = "{\"id\": number, \"image_0\": text, \"image_1\": text, \"caption_0\": text, \
     \"caption_1\": text}";

#[derive(Deserialize)]
struct Line {
    id: Value,
    image_0: String,
    image_1: String,
    caption_0: String,
    caption_1: String,
    collapsed_tag: Option<String>,
}

pub(super) fn open(
    source: &TaskSource,
    place: &Place,
    looked_for: &str,
) -> Result<TaskData<Contrast>, DataError> {
    let path = place.folder.join(FILE);
    let mut pictures = source.pictures(place)?;
    let mut gathering = Gathering::new();
    for (origin, line) in read_json_lines::<Line>(&path, LINE)? {
        let key = line.as_ref().map(|line| id(&line.id)).unwrap_or_default();
        let contrast = line.and_then(|line| contrast(&key, line, &mut pictures));
        gathering.add("test", &key, origin, contrast);
    }
    gathering.finish(source, looked_for)
}

/// A number or a text.
fn id(id: &Value) -> String {
    id.as_str().map_or_else(|| id.to_string(), str::to_owned)
}

fn contrast(key: &str, line: Line, pictures: &mut Pictures) -> Checked<Contrast> {
    let captions = [text(&line.caption_0, "caption_0")?, text(&line.caption_1, "caption_1")?];
    let picture = find(&line.image_0, pictures)?;
    let other = Some(find(&line.image_1, pictures)?);
    let kind = line.collapsed_tag.unwrap_or_else(|| "untagged".into());
    Ok(Contrast { key: key.to_owned(), kind, captions, picture, other })
}

fn find(image: &str, pictures: &mut Pictures) -> Checked<Picture> {
    let names = ["png", "jpg"]
        .iter()
        .flat_map(|end| [format!("images/{image}.{end}"), format!("{image}.{end}")]);
    pictures.find(&names.collect::<Vec<_>>())
}
