//! Which patches of a picture each word of its caption attends to.

use super::page::escape;
use super::picture::data_uri;
use crate::EvalError;

/// What the maps show, for the reader of the page.
pub const ABOUT: &str = "<p class=\"about\">For each word, the patches it attends to: dark is the \
     least of that map, yellow the most. The number says how many times the map's mean the \
     strongest patch has; near 1, the map is flat and its pattern means nothing.</p>\n";

/// Attention from the words of a caption to the patches of its picture.
#[derive(Clone, Debug)]
pub struct AttentionMap {
    /// The encoded picture, as stored in the data. The grid is taken to cover all of it: the
    /// picture is drawn stretched to the grid's shape, as a model that resizes without cropping
    /// sees it.
    pub picture: Vec<u8>,
    /// The caption the words come from.
    pub caption: String,
    /// Rows and columns of patches.
    pub grid: [usize; 2],
    /// Words with the weight of each patch, row by row. Any scale: each map is stretched to its own
    /// lowest and highest weight.
    pub words: Vec<(String, Vec<f32>)>,
}

/// The picture, then once more per word with the word's map over it.
///
/// The picture is embedded once, as `picture-ID`; the maps refer to it.
pub fn row(id: usize, map: &AttentionMap) -> Result<String, EvalError> {
    let [rows, columns] = map.grid;
    let picture = match data_uri(&map.picture) {
        Some(uri) => format!(
            "<image id=\"picture-{id}\" href=\"{uri}\" width=\"{columns}\" height=\"{rows}\" \
             preserveAspectRatio=\"none\"/>"
        ),
        None => format!("<g id=\"picture-{id}\"></g>"),
    };
    let caption = escape(&map.caption);
    let frame = |label: &str, inside: &str, below: &str| {
        format!(
            "<figure><svg viewBox=\"0 0 {columns} {rows}\" role=\"img\" aria-label=\"{label}\">\
             {inside}</svg><figcaption>{below}</figcaption></figure>\n"
        )
    };
    let mut figures = frame(&caption, &picture, "<span>picture</span>");
    for (word, weights) in &map.words {
        let heat = Heat::new(map, word, weights)?;
        let word = escape(word);
        let inside = format!("<use href=\"#picture-{id}\"/>{}", heat.rects(columns));
        let below = format!("<span>{word}</span> <span class=\"score\">{}</span>", heat.peak());
        figures += &frame(&format!("where &quot;{word}&quot; looks"), &inside, &below);
    }
    Ok(format!(
        "<article class=\"query\">\n<h3>{caption}</h3>\n<div class=\"maps\">\n{figures}</div>\n\
         </article>\n"
    ))
}

/// The weights of one word, checked.
struct Heat<'a> {
    weights: &'a [f32],
    low: f32,
    high: f32,
    mean: f32,
}

impl<'a> Heat<'a> {
    fn new(map: &AttentionMap, word: &str, weights: &'a [f32]) -> Result<Self, EvalError> {
        let [rows, columns] = map.grid;
        let problem = if weights.is_empty() || Some(weights.len()) != rows.checked_mul(columns) {
            format!("{} weights for a grid of {rows} x {columns}", weights.len())
        } else if weights.iter().any(|weight| !weight.is_finite()) {
            "a weight is NaN or infinite".to_owned()
        } else {
            let low = weights.iter().copied().fold(f32::INFINITY, f32::min);
            let high = weights.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let mean = weights.iter().sum::<f32>() / weights.len() as f32;
            return Ok(Self { weights, low, high, mean });
        };
        let (caption, word) = (map.caption.clone(), word.to_owned());
        Err(EvalError::HeatMap { caption, word, reason: problem })
    }

    /// One half-transparent square per patch. A flat map gets none: it has nothing to show.
    fn rects(&self, columns: usize) -> String {
        if self.high <= self.low {
            return String::new();
        }
        let mut rects = String::from("<g fill-opacity=\".6\" shape-rendering=\"crispEdges\">");
        for (patch, weight) in self.weights.iter().enumerate() {
            let (x, y) = (patch % columns, patch / columns);
            let fill = colour((weight - self.low) / (self.high - self.low));
            rects +=
                &format!("<rect x=\"{x}\" y=\"{y}\" width=\"1\" height=\"1\" fill=\"{fill}\"/>");
        }
        rects + "</g>"
    }

    /// How far the strongest patch stands out. Says nothing where weights can be negative.
    fn peak(&self) -> String {
        if self.low < 0.0 || self.mean <= 0.0 {
            return String::new();
        }
        format!("×{:.1}", self.high / self.mean)
    }
}

/// Dark violet to red to yellow for 0 to 1. Lightness rises all the way, so the order of colours
/// survives colour blindness and a black-and-white print.
pub fn colour(heat: f32) -> String {
    const STOPS: [[f32; 3]; 4] =
        [[16.0, 8.0, 48.0], [120.0, 28.0, 109.0], [237.0, 105.0, 37.0], [252.0, 255.0, 120.0]];
    let at = heat.clamp(0.0, 1.0) * (STOPS.len() - 1) as f32;
    let low = (at as usize).min(STOPS.len() - 2);
    let mix = at - low as f32;
    let [r, g, b] = std::array::from_fn(|i| {
        (STOPS[low][i] + (STOPS[low + 1][i] - STOPS[low][i]) * mix).round() as u8
    });
    format!("#{r:02x}{g:02x}{b:02x}")
}
