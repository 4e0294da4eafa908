//! RefCOCO, RefCOCO+ (Yu et al., "Modeling Context in Referring Expressions", ECCV 2016) and
//! RefCOCOg in the files of `refer`: phrases for one thing in a picture of COCO.
//!
//! - `refs(unc).p`, `refs(google).p`, `refs(umd).p`, or the same list as `refs*.json`: `ref_id`,
//!   `ann_id`, `image_id`, `split`, `sentences` (`sent_id`, `sent`);
//! - `instances.json`: `images` (`id`, `file_name`, `width`, `height`), `annotations` (`id`,
//!   `image_id`, `bbox`);
//! - `dets.json`, which may be missing: `{image_id: [[x, y, width, height, ...], ...]}`, the
//!   proposals that ALBEF's code ranks.
//!
//! The `.p` file is a Python pickle of lists, dictionaries, texts and numbers. It is read as data:
//! a pickle that asks for anything to be imported or called is refused.
//!
//! One example per sentence, its key the `sent_id`. Splits are `train`, `val` and the tests by name
//! (`testA` people, `testB` other things). Proposals are kept in their order. COCO's boxes are in pixels as
//! they are stored, and so are the pictures here, without the orientation that their EXIF block says; one
//! of another size than `instances.json` says is bad when it is read.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::source::{Checked, Fault, Gathering, Lenient, Pictures, Place, read_json, text};
use super::{Expression, Region, TaskData, TaskSource};
use crate::error::{Cause, DataError};

const LOOKED_FOR: &str = "RefCOCO files (refs(unc).p or refs*.json, with instances.json beside it)";
const REF: &str = "{\"ref_id\": number, \"ann_id\": number, \"image_id\": number, \"split\": text, \
     \"sentences\": [{\"sent_id\": number, \"sent\": text}]}";

#[derive(Deserialize)]
struct Ref {
    ref_id: u64,
    ann_id: u64,
    image_id: u64,
    split: String,
    sentences: Vec<Sentence>,
}

#[derive(Deserialize)]
struct Sentence {
    sent_id: u64,
    sent: String,
}

#[derive(Deserialize)]
struct InstanceFile {
    images: Vec<Lenient<Image>>,
    annotations: Vec<Lenient<Annotation>>,
}

#[derive(Deserialize)]
struct Image {
    id: u64,
    file_name: String,
    width: u32,
    height: u32,
}

#[derive(Deserialize)]
struct Annotation {
    id: u64,
    image_id: u64,
    bbox: [f32; 4],
}

/// What references are about.
struct Instances {
    images: HashMap<u64, Image>,
    annotations: HashMap<u64, Annotation>,
    proposals: HashMap<u64, Vec<Region>>,
}

pub(super) fn open(source: &TaskSource) -> Result<TaskData<Expression>, DataError> {
    let place = source.place(LOOKED_FOR)?;
    let path = refs_file(&place)?;
    let mut gathering = Gathering::new();
    let instances = read_instances(&place, &mut gathering)?;
    let mut pictures = source.pictures(&place)?;
    for (index, reference) in read_refs(&path)?.into_iter().enumerate() {
        let origin = format!("{}: [{index}]", path.display());
        match reference.good(REF) {
            Ok(reference) => add(reference, &origin, &instances, &mut pictures, &mut gathering),
            Err(fault) => gathering.add("", "", origin, Err(fault)),
        }
    }
    gathering.finish(source, LOOKED_FOR)
}

/// The one file of references: two splits of the same data must not mix.
fn refs_file(place: &Place) -> Result<PathBuf, DataError> {
    let is_refs =
        |name: &str| name.starts_with("refs") && (name.ends_with(".p") || name.ends_with(".json"));
    let mut files = place.files(is_refs)?;
    match files.len() {
        0 => Err(place.nothing(LOOKED_FOR)),
        1 => Ok(files.remove(0)),
        _ => {
            let names: Vec<String> = files.iter().map(|path| path.display().to_string()).collect();
            let text = format!("{}: expected one of them as the source", names.join(", "));
            Err(DataError::Config(text))
        }
    }
}

fn read_refs(path: &Path) -> Result<Vec<Lenient<Ref>>, DataError> {
    if path.extension().is_some_and(|extension| extension == "json") {
        return read_json(path, &format!("[{REF}]"));
    }
    let file = File::open(path).map_err(|error| DataError::io(path, error))?;
    // Python 2, which wrote the published files, has texts of bytes.
    let options = serde_pickle::DeOptions::new().decode_strings();
    serde_pickle::from_reader(BufReader::new(file), options).map_err(|error| DataError::Malformed {
        origin: path.display().to_string(),
        detail: format!("expected a pickle of [{REF}]: {error}"),
    })
}

fn read_instances(
    place: &Place,
    gathering: &mut Gathering<Expression>,
) -> Result<Instances, DataError> {
    let path = place.folder.join("instances.json");
    if !path.is_file() {
        return Err(place.nothing(LOOKED_FOR));
    }
    let file: InstanceFile = read_json(&path, "{\"images\": [...], \"annotations\": [...]}")?;
    let (mut images, mut annotations) = (HashMap::new(), HashMap::new());
    for (index, image) in file.images.into_iter().enumerate() {
        match image
            .good("{\"id\": number, \"file_name\": text, \"width\": number, \"height\": number}")
        {
            Ok(image) => _ = images.insert(image.id, image),
            Err(fault) => gathering.fault(format!("{}: images[{index}]", path.display()), fault),
        }
    }
    for (index, annotation) in file.annotations.into_iter().enumerate() {
        match annotation
            .good("{\"id\": number, \"image_id\": number, \"bbox\": [x, y, width, height]}")
        {
            Ok(annotation) => _ = annotations.insert(annotation.id, annotation),
            Err(fault) => {
                gathering.fault(format!("{}: annotations[{index}]", path.display()), fault);
            }
        }
    }
    let proposals = read_proposals(&place.folder.join("dets.json"), &images, gathering)?;
    Ok(Instances { images, annotations, proposals })
}

fn read_proposals(
    path: &Path,
    images: &HashMap<u64, Image>,
    gathering: &mut Gathering<Expression>,
) -> Result<HashMap<u64, Vec<Region>>, DataError> {
    let mut proposals: HashMap<u64, Vec<Region>> = HashMap::new();
    if !path.is_file() {
        gathering.note("files of proposals (dets.json)", 0);
        return Ok(proposals);
    }
    let file: BTreeMap<String, Vec<Lenient<Vec<f32>>>> =
        read_json(path, "{image_id: [[x, y, width, height], ...]}")?;
    for (key, boxes) in file {
        let image = key.parse().ok().and_then(|id: u64| images.get(&id));
        let Some(image) = image else {
            let detail = format!("no image {key} in instances.json");
            let origin = format!("{}: {key}", path.display());
            gathering.fault(origin, Fault::new(Cause::UnknownReference, detail));
            continue;
        };
        for (index, numbers) in boxes.into_iter().enumerate() {
            let region = numbers.good("[x, y, width, height]").and_then(|numbers| {
                let [x, y, width, height] = *numbers.first_chunk().ok_or_else(|| {
                    let detail = format!("expected four numbers, found {}", numbers.len());
                    Fault::new(Cause::MalformedRecord, detail)
                })?;
                Region { x, y, width, height }.within([image.width, image.height])
            });
            match region {
                Ok(region) => proposals.entry(image.id).or_default().push(region),
                Err(fault) => {
                    gathering.fault(format!("{}: {key}[{index}]", path.display()), fault);
                }
            }
        }
    }
    Ok(proposals)
}

/// Adds an example for each sentence of a reference.
fn add(
    reference: Ref,
    origin: &str,
    instances: &Instances,
    pictures: &mut Pictures,
    gathering: &mut Gathering<Expression>,
) {
    if reference.sentences.is_empty() {
        let detail = format!("reference {} has no sentence", reference.ref_id);
        let fault = Fault::new(Cause::EmptyText, detail);
        return gathering.add(&reference.split, "", origin.to_owned(), Err(fault));
    }
    for (index, sentence) in reference.sentences.iter().enumerate() {
        let key = sentence.sent_id.to_string();
        let example = expression(&key, sentence, &reference, instances, pictures);
        gathering.add(&reference.split, &key, format!("{origin}.sentences[{index}]"), example);
    }
}

fn expression(
    key: &str,
    sentence: &Sentence,
    reference: &Ref,
    instances: &Instances,
    pictures: &mut Pictures,
) -> Checked<Expression> {
    let text = text(&sentence.sent, "referring expression")?;
    let unknown = |what: &str, id: u64| {
        let detail = format!("instances.json has no {what} {id}");
        Fault::new(Cause::UnknownReference, detail)
    };
    let image = instances.images.get(&reference.image_id);
    let image = image.ok_or_else(|| unknown("image", reference.image_id))?;
    let annotation = instances.annotations.get(&reference.ann_id);
    let annotation = annotation.ok_or_else(|| unknown("annotation", reference.ann_id))?;
    if annotation.image_id != image.id {
        let detail = format!(
            "annotation {} belongs to image {}, the reference to {}",
            annotation.id, annotation.image_id, image.id
        );
        return Err(Fault::new(Cause::UnknownReference, detail));
    }
    let size = [image.width, image.height];
    let [x, y, width, height] = annotation.bbox;
    let region = Region { x, y, width, height }.within(size)?;
    let file = &image.file_name;
    let picture = pictures.find(&[file.clone(), format!("train2014/{file}")])?.unturned(Some(size));
    let proposals = instances.proposals.get(&image.id).cloned().unwrap_or_default();
    Ok(Expression { key: key.to_owned(), picture, size, text, region, proposals })
}
