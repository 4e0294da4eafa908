//! Examples of tasks: what was asked about which picture, what the model said, what is true, and
//! where it looked.

use super::heatmap::colour;
use super::page::escape;
use super::picture::data_uri;
use crate::EvalError;

const ABOUT: &str = "<p class=\"about\">What the model makes of single examples. A green edge and the word \
     \u{201c}right\u{201d} mark those it has right. Over a picture, dark violet to yellow is where it looked \
     (least to most); rectangles are named in the line below.</p>\n";

/// One example of a task.
#[derive(Clone, Debug, Default)]
pub struct Example {
    /// The kind of example, as `vqa: count`.
    pub kind: String,
    /// The question, statement or phrase.
    pub title: String,
    /// One picture, or two where the task has two.
    pub pictures: Vec<Shown>,
    /// What else there is to say, as ("answer", "two"), ("truth", "three"), in order.
    pub answers: Vec<(String, String)>,
    /// Whether the model is right; absent where that is not known.
    pub right: Option<bool>,
}

/// A picture with what is drawn over it.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    /// The encoded picture (PNG, JPEG, WebP or GIF), as stored in the data.
    pub picture: Vec<u8>,
    /// Its width and height in pixels.
    pub size: [u32; 2],
    /// Where the model looked.
    pub heat: Option<Heat>,
    pub marks: Vec<Mark>,
}

/// How much the model looked where. Any scale: the map is stretched to its own lowest and highest
/// weight.
#[derive(Clone, Debug)]
pub struct Heat {
    /// Rows and columns; the grid covers the whole picture.
    pub grid: [usize; 2],
    /// Row by row.
    pub weights: Vec<f32>,
}

/// A rectangle, in pixels of the picture: left, top, width, height.
#[derive(Clone, Debug)]
pub struct Mark {
    pub name: String,
    pub rectangle: [f32; 4],
    /// Drawn in green if it is the truth, else in red and dashed.
    pub truth: bool,
}

/// All examples, below a line of explanation.
pub fn all(examples: &[Example]) -> Result<String, EvalError> {
    let articles = examples.iter().map(article).collect::<Result<String, _>>()?;
    Ok(ABOUT.to_owned() + &articles)
}

fn article(example: &Example) -> Result<String, EvalError> {
    let (class, word) = match example.right {
        Some(true) => (" right", " <b>✓ right</b>"),
        Some(false) => ("", " ✗ wrong"),
        None => ("", ""),
    };
    let figures = example.pictures.iter().map(|shown| figure(example, shown));
    let figures = figures.collect::<Result<String, _>>()?;
    let line = |(name, text): &(String, String)| {
        format!("<dt>{}</dt><dd>{}</dd>\n", escape(name), escape(text))
    };
    let answers: String = example.answers.iter().map(line).collect();
    Ok(format!(
        "<article class=\"query example{class}\">\n<h3>{}</h3>\n<p class=\"about\">\
         <span class=\"tag\">{}</span>{word}</p>\n<div class=\"maps\">\n{figures}</div>\n\
         <dl class=\"answers\">\n{answers}</dl>\n</article>\n",
        escape(&example.title),
        escape(&example.kind)
    ))
}

fn figure(example: &Example, shown: &Shown) -> Result<String, EvalError> {
    let fail = |reason: String| EvalError::Example { title: example.title.clone(), reason };
    let [width, height] = shown.size;
    if width == 0 || height == 0 {
        return Err(fail("a picture of no size".to_owned()));
    }
    let label = escape(&example.title);
    let picture = match data_uri(&shown.picture) {
        Some(uri) => format!(
            "<image href=\"{uri}\" width=\"{width}\" height=\"{height}\" preserveAspectRatio=\"none\"/>"
        ),
        None => String::new(),
    };
    let heat = shown.heat.as_ref().map_or(Ok(String::new()), |heat| overlay(heat, shown.size));
    let heat = heat.map_err(fail)?;
    let marks = shown.marks.iter().map(|mark| rectangle(mark, shown.size));
    let marks = marks.collect::<Result<String, _>>().map_err(fail)?;
    let mut below: Vec<String> = shown.marks.iter().map(legend).collect();
    if picture.is_empty() {
        below.push("unknown picture format".to_owned());
    }
    Ok(format!(
        "<figure class=\"shown\"><svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{label}\">\
         {picture}{heat}{marks}</svg><figcaption>{}</figcaption></figure>\n",
        below.join(", ")
    ))
}

/// The heat, as half-transparent cells. A flat map gets none: it has nothing to show.
fn overlay(heat: &Heat, size: [u32; 2]) -> Result<String, String> {
    let Heat { grid: [rows, columns], weights } = heat;
    if weights.is_empty() || Some(weights.len()) != rows.checked_mul(*columns) {
        return Err(format!("{} weights for a grid of {rows} x {columns}", weights.len()));
    }
    if weights.iter().any(|weight| !weight.is_finite()) {
        return Err("a weight is NaN or infinite".to_owned());
    }
    let low = weights.iter().copied().fold(f32::INFINITY, f32::min);
    let high = weights.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    if high <= low {
        return Ok(String::new());
    }
    let [width, height] = [size[0] as f32 / *columns as f32, size[1] as f32 / *rows as f32];
    let cell = |(cell, weight): (usize, &f32)| {
        let (x, y) = ((cell % columns) as f32 * width, (cell / columns) as f32 * height);
        let fill = colour((weight - low) / (high - low));
        format!("<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" fill=\"{fill}\"/>")
    };
    let cells: String = weights.iter().enumerate().map(cell).collect();
    Ok(format!("<g fill-opacity=\".5\" shape-rendering=\"crispEdges\">{cells}</g>"))
}

fn rectangle(mark: &Mark, size: [u32; 2]) -> Result<String, String> {
    let [x, y, width, height] = mark.rectangle;
    let finite = mark.rectangle.iter().all(|number| number.is_finite());
    if !finite || width < 0.0 || height < 0.0 {
        return Err(format!("the rectangle `{}` is {:?}", mark.name, mark.rectangle));
    }
    let line = size[0].max(size[1]) as f32 / 100.0;
    let (stroke, dashes) = if mark.truth {
        ("#1a7f37", String::new())
    } else {
        ("#d1242f", format!(" stroke-dasharray=\"{}\"", 3.0 * line))
    };
    Ok(format!(
        "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" fill=\"none\" stroke=\"{stroke}\" \
         stroke-width=\"{line}\"{dashes}/>"
    ))
}

/// The name of a rectangle and how it is drawn, for readers who cannot tell the colours.
fn legend(mark: &Mark) -> String {
    let how = if mark.truth { "solid" } else { "dashed" };
    format!("<span>{} ({how})</span>", escape(&mark.name))
}
