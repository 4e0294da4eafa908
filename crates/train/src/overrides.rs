//! `--set table.key=value`, and errors that name the nearest key.

use anyhow::{Result, bail};

/// Puts `value` at `path`; the way there must exist.
pub fn set(tree: &mut toml::Table, path: &str, value: toml::Value) -> Result<()> {
    let mut parts: Vec<&str> = path.split('.').collect();
    let leaf = parts.pop().unwrap_or_default();
    let mut table = tree;
    for part in parts {
        let known: Vec<String> = table.keys().cloned().collect();
        table = match table.get_mut(part) {
            Some(toml::Value::Table(next)) => next,
            _ => bail!("--set {path}: no table {part:?}{}", nearest(part, &known)),
        };
    }
    // A key may be absent because it is optional; the recipe's own parsing knows those.
    table.insert(leaf.to_string(), value);
    Ok(())
}

/// A value in TOML's notation; a bare word stands for a string.
pub fn parse_value(text: &str) -> toml::Value {
    let parsed: std::result::Result<toml::Table, _> = toml::from_str(&format!("value = {text}"));
    match parsed.ok().and_then(|mut table| table.remove("value")) {
        Some(value) => value,
        None => toml::Value::String(text.to_string()),
    }
}

/// The parser's message, and for an unknown key the nearest key that exists.
pub fn explain(error: &toml::de::Error) -> anyhow::Error {
    let message = error.to_string();
    let quoted: Vec<&str> = error.message().split('`').skip(1).step_by(2).collect();
    match (error.message().starts_with("unknown field"), quoted.split_first()) {
        (true, Some((wrong, known))) => {
            let known: Vec<String> = known.iter().map(|name| name.to_string()).collect();
            anyhow::anyhow!("{}{}", message.trim_end(), nearest(wrong, &known))
        }
        _ => anyhow::anyhow!("{}", message.trim_end()),
    }
}

fn nearest(wrong: &str, known: &[String]) -> String {
    let best = known.iter().min_by_key(|name| strsim::damerau_levenshtein(wrong, name));
    best.map_or(String::new(), |name| format!("; did you mean {name:?}?"))
}
