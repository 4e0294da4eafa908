//! Where the files of a task lie, and what the readers of all formats share.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use rand::Rng;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};

use super::TaskData;
use crate::error::{BadRecord, Cause, DataError, Ledger};
use crate::random::addressed;
use crate::record::Picture;
use crate::regions::with_row;
use crate::row_table::RowTable;

/// Where the examples of a task come from.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct TaskSource {
    /// The folder with the published files, or one of them. For classification a folder of folders;
    /// for questions also `easy-vqa`, the package that `weft data get easy-vqa` brings.
    pub source: String,
    /// The folder with the pictures; by default that of the files.
    pub images: Option<PathBuf>,
    /// A file with the pictures' boxes and their features (see [`crate::regions`]).
    pub regions: Option<PathBuf>,
    /// The share of examples that may be unusable before the run stops.
    pub bad_budget: f64,
    /// Share of the training pictures in `val`, for data sets that publish no `val`.
    pub val_fraction: f64,
    /// Share of the pictures in `test`, for class folders without splits.
    pub test_fraction: f64,
    /// A split that is cut here is a function of this and of the pictures' names.
    pub split_seed: u64,
}

impl Default for TaskSource {
    fn default() -> Self {
        TaskSource {
            source: String::new(),
            images: None,
            regions: None,
            bad_budget: 0.01,
            val_fraction: 0.05,
            test_fraction: 0.05,
            split_seed: 0,
        }
    }
}

impl TaskSource {
    /// The defaults, for a source.
    pub fn new(source: impl Into<String>) -> Self {
        TaskSource { source: source.into(), ..Default::default() }
    }

    /// Checks the numbers.
    ///
    /// # Errors
    /// [`DataError::Config`], which names the key.
    pub fn validate(&self) -> Result<(), DataError> {
        for (name, value, most) in [
            ("bad_budget", self.bad_budget, 1.0),
            ("val_fraction", self.val_fraction, 0.45),
            ("test_fraction", self.test_fraction, 0.45),
        ] {
            if !(0.0..=most).contains(&value) {
                let text = format!("{name} is {value}; expected 0 to {most}");
                return Err(DataError::Config(text));
            }
        }
        Ok(())
    }

    /// The folder of the source and, where the source is a file, the file.
    ///
    /// # Errors
    /// [`DataError::NotFound`] where there is nothing at the path.
    pub(crate) fn place(&self, looked_for: &str) -> Result<Place, DataError> {
        let path = PathBuf::from(&self.source);
        if path.is_dir() {
            return Ok(Place { folder: path, file: None });
        }
        if path.is_file() {
            let folder = path.parent().unwrap_or(Path::new("")).to_path_buf();
            return Ok(Place { folder, file: Some(path) });
        }
        let found = match self.source.as_str() {
            "" => "no source".to_owned(),
            source => format!("no file or folder {source}"),
        };
        Err(DataError::NotFound { looked_for: looked_for.into(), found })
    }

    /// Where pictures are looked for: below `images`, or below the files' folder.
    ///
    /// # Errors
    /// Where `regions` is no table.
    pub(crate) fn pictures(&self, place: &Place) -> Result<Pictures, DataError> {
        let root = self.images.clone().unwrap_or_else(|| place.folder.clone());
        let regions = self.regions.as_deref().map(RowTable::open).transpose()?;
        Ok(Pictures { root, regions, known: HashMap::new() })
    }

    /// Whether a training picture belongs to `val`, in a data set that publishes none.
    pub(crate) fn is_val(&self, picture: &str) -> bool {
        self.draw(picture) < self.val_fraction
    }

    /// The split of a picture in a data set that publishes none at all.
    pub(crate) fn split_of(&self, picture: &str) -> &'static str {
        let draw = self.draw(picture);
        if draw < self.val_fraction {
            "val"
        } else if draw < self.val_fraction + self.test_fraction {
            "test"
        } else {
            "train"
        }
    }

    fn draw(&self, picture: &str) -> f64 {
        addressed(self.split_seed, 0, picture, "task split").next_u64() as f64 / u64::MAX as f64
    }
}

/// A source on the disk.
pub(crate) struct Place {
    pub folder: PathBuf,
    /// The one file to read, where the source names one.
    pub file: Option<PathBuf>,
}

impl Place {
    /// The files to read: the one that is named, or those of the folder whose name is `wanted`, in
    /// order of their names.
    pub(crate) fn files(&self, wanted: impl Fn(&str) -> bool) -> Result<Vec<PathBuf>, DataError> {
        if let Some(file) = &self.file {
            return Ok(if wanted(&name(file)) { vec![file.clone()] } else { vec![] });
        }
        let entries = std::fs::read_dir(&self.folder);
        let entries = entries.map_err(|error| DataError::io(&self.folder, error))?;
        let mut files = vec![];
        for entry in entries {
            let path = entry.map_err(|error| DataError::io(&self.folder, error))?.path();
            if path.is_file() && wanted(&name(&path)) {
                files.push(path);
            }
        }
        files.sort();
        Ok(files)
    }

    /// The error where none of the expected files is there: says what is there instead.
    pub(crate) fn nothing(&self, looked_for: &str) -> DataError {
        let found = match &self.file {
            Some(file) => format!("the file {}", file.display()),
            None => format!("{} with {}", self.folder.display(), listing(&self.folder)),
        };
        DataError::NotFound { looked_for: looked_for.into(), found }
    }
}

/// The last part of a path.
pub(crate) fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The first few names in a folder.
fn listing(folder: &Path) -> String {
    const SHOWN: usize = 8;
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.map(|entry| name(&entry.path())).collect();
    names.sort();
    let total = names.len();
    names.truncate(SHOWN);
    match total {
        0 => "nothing in it".to_owned(),
        _ if total > SHOWN => format!("{} and {} more", names.join(", "), total - SHOWN),
        _ => names.join(", "),
    }
}

/// Finds pictures by their names and remembers which are there.
pub(crate) struct Pictures {
    root: PathBuf,
    regions: Option<RowTable>,
    known: HashMap<String, Option<Picture>>,
}

impl Pictures {
    /// The first of `names` (paths below the root) that is a file, with its regions where they are known.
    pub(crate) fn find(&mut self, names: &[String]) -> Checked<Picture> {
        if !self.known.contains_key(&names[0]) {
            let found = self.looked_up(names)?;
            self.known.insert(names[0].clone(), found);
        }
        let root = &self.root;
        match &self.known[&names[0]] {
            Some(picture) => Ok(picture.clone()),
            None => {
                let tried = names.join(" or ");
                let detail = format!("no picture {tried} in {}", root.display());
                Err(Fault { cause: Cause::MissingFile, detail })
            }
        }
    }
}

impl Pictures {
    fn looked_up(&mut self, names: &[String]) -> Checked<Option<Picture>> {
        let Some(name) = names.iter().find(|name| self.root.join(name).is_file()) else {
            return Ok(None);
        };
        let picture = Picture::File(self.root.join(name));
        let Some(table) = &mut self.regions else { return Ok(Some(picture)) };
        let bare = Path::new(name).with_extension("");
        with_row(picture, &[name, &bare.to_string_lossy()], table)
            .map(Some)
            .map_err(|error| Fault::new(Cause::DuplicateKey, error.to_string()))
    }
}

/// What is wrong with an example; where it stands is added by [`Gathering::add`].
#[derive(Debug)]
pub(crate) struct Fault {
    pub cause: Cause,
    pub detail: String,
}

pub(crate) type Checked<T> = Result<T, Fault>;

impl Fault {
    pub(crate) fn new(cause: Cause, detail: impl Into<String>) -> Self {
        Fault { cause, detail: detail.into() }
    }
}

/// The text without white space around it; a fault where nothing is left.
pub(crate) fn text(text: &str, what: &str) -> Checked<String> {
    match text.trim() {
        "" => Err(Fault::new(Cause::EmptyText, format!("expected a {what}, found none"))),
        text => Ok(text.to_owned()),
    }
}

/// The fault of a key that stands in a split already.
pub(crate) fn twice(split: &str, key: &str) -> Fault {
    Fault::new(Cause::DuplicateKey, format!("\"{key}\" stands in {split} already"))
}

/// The examples of a data set while it is read.
pub(crate) struct Gathering<T> {
    splits: BTreeMap<String, Vec<T>>,
    ledger: Ledger,
    notes: BTreeMap<String, u64>,
    keys: HashSet<(String, String)>,
    /// Examples looked at, good and bad, and what else is bad.
    seen: usize,
}

impl TaskSource {
    /// The examples of `files`, each read by `read`.
    ///
    /// # Errors
    ///
    /// Without a file, where one cannot be read, and as [`Gathering::finish`].
    pub(crate) fn gather<T>(
        &self,
        place: &Place,
        looked_for: &str,
        files: Vec<PathBuf>,
        read: impl Fn(&Path, &mut Pictures, &mut Gathering<T>) -> Result<(), DataError>,
    ) -> Result<TaskData<T>, DataError> {
        if files.is_empty() {
            return Err(place.nothing(looked_for));
        }
        let mut pictures = self.pictures(place)?;
        let mut gathering = Gathering::new();
        for path in files {
            read(&path, &mut pictures, &mut gathering)?;
        }
        gathering.finish(self, looked_for)
    }
}

impl<T> Gathering<T> {
    pub(crate) fn new() -> Self {
        Gathering {
            splits: BTreeMap::new(),
            ledger: Ledger::default(),
            notes: BTreeMap::new(),
            keys: HashSet::new(),
            seen: 0,
        }
    }

    /// Keeps an example, or counts what is wrong with it. A key may stand once in a split.
    pub(crate) fn add(&mut self, split: &str, key: &str, origin: String, example: Checked<T>) {
        self.seen += 1;
        let example = example.and_then(|example| {
            let is_new = self.keys.insert((split.to_owned(), key.to_owned()));
            is_new.then_some(example).ok_or_else(|| twice(split, key))
        });
        match example {
            Ok(example) => self.splits.entry(split.to_owned()).or_default().push(example),
            Err(fault) => self.record(origin, fault),
        }
    }

    /// Counts something bad that is no example of its own, such as an annotation of no question.
    pub(crate) fn fault(&mut self, origin: String, fault: Fault) {
        self.seen += 1;
        self.record(origin, fault);
    }

    fn record(&mut self, origin: String, Fault { cause, detail }: Fault) {
        self.ledger.record(BadRecord { cause, origin, detail });
    }

    /// Whether an example with this key is kept already.
    pub(crate) fn has(&self, split: &str, key: &str) -> bool {
        self.keys.contains(&(split.to_owned(), key.to_owned()))
    }

    /// Adds to a count that a reader of the run wants to know.
    pub(crate) fn note(&mut self, note: &str, count: u64) {
        *self.notes.entry(note.to_owned()).or_default() += count;
    }

    /// The data, unless too much of it is bad or nothing is left.
    pub(crate) fn finish(
        self,
        source: &TaskSource,
        looked_for: &str,
    ) -> Result<TaskData<T>, DataError> {
        if self.seen > 0 {
            self.ledger.check(source.bad_budget, self.seen)?;
        }
        if self.splits.is_empty() {
            let mut found = format!("{} examples in {}", self.seen, source.source);
            if self.ledger.total() > 0 {
                found += &format!(", none of which can be used:\n{}", self.ledger);
            }
            return Err(DataError::NotFound { looked_for: looked_for.into(), found });
        }
        let Gathering { splits, ledger, notes, .. } = self;
        Ok(TaskData { name: source.source.clone(), splits, ledger, notes })
    }
}

/// An entry of a JSON file that is one good entry or anything else: one bad entry must not cost the
/// file.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum Lenient<T> {
    Good(T),
    Bad(IgnoredAny),
}

impl<T> Lenient<T> {
    /// The entry; a fault where it is not as `expected`.
    pub(crate) fn good(self, expected: &str) -> Checked<T> {
        match self {
            Lenient::Good(entry) => Ok(entry),
            Lenient::Bad(_) => {
                Err(Fault::new(Cause::MalformedRecord, format!("expected {expected}")))
            }
        }
    }
}

/// Reads a JSON file as a whole.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path, expected: &str) -> Result<T, DataError> {
    let file = File::open(path).map_err(|error| DataError::io(path, error))?;
    serde_json::from_reader(BufReader::new(file)).map_err(|error| DataError::Malformed {
        origin: path.display().to_string(),
        detail: format!("expected {expected}: {error}"),
    })
}

/// The lines of a file of one JSON object each, with where they stand.
pub(crate) fn read_json_lines<T: DeserializeOwned>(
    path: &Path,
    expected: &str,
) -> Result<Vec<(String, Checked<T>)>, DataError> {
    let bytes = std::fs::read(path).map_err(|error| DataError::io(path, error))?;
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let lines = bytes.split(|&byte| byte == b'\n').enumerate();
    let lines = lines.filter(|(_, line)| !line.trim_ascii().is_empty());
    let parsed = lines.map(|(index, line)| {
        let origin = format!("{}:{}", path.display(), index + 1);
        (origin, parse_line(line, expected))
    });
    Ok(parsed.collect())
}

fn parse_line<T: DeserializeOwned>(line: &[u8], expected: &str) -> Checked<T> {
    let line = std::str::from_utf8(line).map_err(|error| {
        let at = error.valid_up_to();
        Fault::new(Cause::InvalidUtf8, format!("expected UTF-8; byte {at} of the line is not"))
    })?;
    serde_json::from_str(line).map_err(|error| {
        Fault::new(Cause::MalformedRecord, format!("expected {expected}: {error}"))
    })
}
