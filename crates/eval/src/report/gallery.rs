//! Queries and the pictures found for them.

use super::page::escape;
use super::picture::data_uri;

/// A sentence and the pictures found for it.
#[derive(Clone, Debug)]
pub struct Query {
    /// The sentence.
    pub text: String,
    /// The part of the data it comes from.
    pub split: String,
    /// The pictures found, best first.
    pub hits: Vec<Hit>,
}

/// One picture found.
#[derive(Clone, Debug)]
pub struct Hit {
    /// The encoded picture (PNG, JPEG, WebP or GIF), as stored in the data.
    pub picture: Vec<u8>,
    /// Its own caption.
    pub caption: String,
    /// Its score for the query.
    pub score: f32,
    /// Whether it is a right answer.
    pub correct: bool,
}

/// A query of the gallery: the sentence, where the right picture came, the pictures.
pub fn query(query: &Query) -> String {
    let place = match query.hits.iter().position(|hit| hit.correct) {
        Some(0) => "right picture first".to_owned(),
        Some(at) => format!("right picture in place {}", at + 1),
        None => format!("right picture not among these {}", query.hits.len()),
    };
    format!(
        "<article class=\"query\">\n<h3>{}</h3>\n<p class=\"about\"><span class=\"tag\">{}</span> \
         {place}</p>\n{}</article>\n",
        escape(&query.text),
        escape(&query.split),
        hits(&query.hits)
    )
}

/// Pictures in a row, best first. A right one has a green frame and the word, for readers who
/// cannot tell the colour.
pub fn hits(hits: &[Hit]) -> String {
    if hits.is_empty() {
        return String::new();
    }
    let items: String = hits.iter().enumerate().map(|(at, hit)| item(at + 1, hit)).collect();
    format!("<ol class=\"hits\">\n{items}</ol>\n")
}

fn item(place: usize, hit: &Hit) -> String {
    let caption = escape(&hit.caption);
    let (class, word) =
        if hit.correct { (" class=\"right\"", " <b>✓ right</b>") } else { ("", "") };
    let picture = match data_uri(&hit.picture) {
        Some(uri) => format!("<img src=\"{uri}\" alt=\"{caption}\" loading=\"lazy\">"),
        None => format!("<span class=\"lost\">unknown picture format: {caption}</span>"),
    };
    let score = hit.score;
    format!(
        "<li{class}><figure title=\"{caption} (score {score:.3})\">{picture}\
         <figcaption><span>{place}.{word}</span> <span class=\"score\">{score:.3}</span>\
         </figcaption></figure></li>\n"
    )
}
