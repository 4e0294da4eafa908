//! Patterns of shard names: `shards-{000..009}.tar`, `{train,val}-{0..3}.tar`, `a.tar,b.tar`.

use std::path::PathBuf;

use crate::error::DataError;

/// More shards than anybody has; a pattern that asks for more is a slip.
const MOST: usize = 1_000_000;

/// Whether a path is a pattern or a list.
pub fn is_pattern(text: &str) -> bool {
    text.contains('{') || (text.contains(',') && text.ends_with(".tar"))
}

/// The shards of a pattern, in its order. Numbers in a range have as many digits as the longer of
/// its ends where one of them starts with a zero.
pub fn expand(pattern: &str) -> Result<Vec<PathBuf>, DataError> {
    let wrong = |detail: String| DataError::Config(format!("data.source \"{pattern}\": {detail}"));
    let mut paths = vec![];
    for part in split_outside_braces(pattern) {
        paths.extend(expand_braces(part).map_err(wrong)?);
    }
    if paths.len() > MOST {
        return Err(wrong(format!("stands for {} shards", paths.len())));
    }
    Ok(paths.into_iter().map(PathBuf::from).collect())
}

fn split_outside_braces(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth) = (vec![], 0, 0);
    for (at, character) in text.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(text[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(text[start..].trim());
    parts.retain(|part| !part.is_empty());
    parts
}

/// Replaces the first pair of braces by each of its choices, and goes on with the rest.
fn expand_braces(text: &str) -> Result<Vec<String>, String> {
    let Some((before, rest)) = text.split_once('{') else {
        return match text.contains('}') {
            true => Err("a } without {".into()),
            false => Ok(vec![text.to_string()]),
        };
    };
    let (inside, after) = rest.split_once('}').ok_or("a { without }")?;
    if inside.contains('{') {
        return Err("braces inside braces".into());
    }
    let mut choices = vec![];
    for item in inside.split(',') {
        match item.split_once("..") {
            Some((first, last)) => choices.extend(range(first, last)?),
            None => choices.push(item.trim().to_string()),
        }
    }
    let tails = expand_braces(after)?;
    if choices.len().saturating_mul(tails.len()) > MOST {
        return Err(format!("stands for more than {MOST} shards"));
    }
    let join = |choice: &String| -> Vec<String> {
        tails.iter().map(|tail| format!("{before}{choice}{tail}")).collect()
    };
    Ok(choices.iter().flat_map(join).collect())
}

fn range(first: &str, last: &str) -> Result<Vec<String>, String> {
    let (first, last) = (first.trim(), last.trim());
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse::<u64>().ok().filter(|_| digits);
        number.ok_or_else(|| format!("\"{text}\" in {{{first}..{last}}} is no number"))
    };
    let (low, high) = (number(first)?, number(last)?);
    if low > high {
        return Err(format!("the range {{{first}..{last}}} runs backwards"));
    }
    if high - low >= MOST as u64 {
        return Err(format!("the range {{{first}..{last}}} has more than {MOST} numbers"));
    }
    let padded = |text: &str| text.len() > 1 && text.starts_with('0');
    let width = if padded(first) || padded(last) { first.len().max(last.len()) } else { 0 };
    Ok((low..=high).map(|number| format!("{number:0width$}")).collect())
}
