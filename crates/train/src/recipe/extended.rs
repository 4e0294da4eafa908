//! Recipes that are another one, but for some keys.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use toml::Table;

use super::{Expected, Recipe};

/// A short recipe.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Extended {
    /// The recipe that it is but for `set`: one that comes with weft, or a file, seen from its own folder.
    extends: String,
    name: String,
    /// `table.key=value`, as `--set` takes them.
    #[serde(default)]
    set: Vec<String>,
    /// What a run of it gave, over several seeds.
    expected: Option<Expected>,
}

/// The recipe in `text` of a file in the folder `beside`, written out or as what it changes of another. What the other
/// one gave is not expected of it.
///
/// # Errors
///
/// When it is neither, or extends a recipe that extends another.
pub(super) fn parse(text: &str, beside: &Path) -> Result<Recipe> {
    let table: Table = toml::from_str(text)?;
    if !table.contains_key("extends") {
        return Recipe::parse(text);
    }
    let Extended { extends, name, set, expected } = table.try_into()?;
    let comes_with_weft = Recipe::built_in().any(|built_in| built_in == extends);
    let place = if comes_with_weft { PathBuf::from(&extends) } else { beside.join(&extends) };
    let other = Recipe::text(&place.display().to_string())
        .with_context(|| format!("extends = \"{extends}\""))?;
    ensure!(
        toml::from_str::<Table>(&other).is_ok_and(|table| !table.contains_key("extends")),
        "extends = \"{extends}\": expected a recipe that is written out"
    );
    let other = Recipe::parse(&other).with_context(|| format!("recipe {extends}"))?;
    let recipe = Recipe { name, expected, ..other.with(&set)? };
    recipe.validate()?;
    Ok(recipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_recipe_is_the_other_one_but_for_its_keys() {
        let short = "extends = \"quick\"\nname = \"short\"\nset = [\"train.steps=7\"]\n";
        let found = parse(short, Path::new("")).unwrap();
        let quick = Recipe::open("quick").unwrap();
        assert!(quick.expected.is_some() && found.expected.is_none());
        assert_eq!((found.name.as_str(), found.train.steps), ("short", 7));
        let train = quick.train.clone();
        assert_eq!(
            Recipe { name: "quick".into(), expected: quick.expected.clone(), train, ..found },
            quick
        );
    }

    #[test]
    fn a_short_recipe_says_what_it_gave_itself() {
        let quick = toml::Table::try_from(Recipe::open("quick").unwrap()).unwrap();
        let mut short: toml::Table =
            toml::from_str("extends = \"quick\"\nname = \"short\"\nset = []\n").unwrap();
        short.insert("expected".into(), quick["expected"].clone());
        let found = parse(&short.to_string(), Path::new("")).unwrap();
        assert_eq!(found.expected, Recipe::open("quick").unwrap().expected);
    }

    #[test]
    fn a_file_is_looked_for_beside_the_short_recipe() {
        let folder = tempfile::tempdir().unwrap();
        let long = Recipe::open("quick").unwrap().with(&["train.steps=9".into()]).unwrap();
        std::fs::write(folder.path().join("long.toml"), long.to_toml().unwrap()).unwrap();
        let short = folder.path().join("short.toml");
        std::fs::write(&short, "extends = \"long.toml\"\nname = \"short\"\n").unwrap();
        let found = Recipe::open(&short.display().to_string()).unwrap();
        assert_eq!((found.name.as_str(), found.train.steps), ("short", 9));
    }

    #[test]
    fn a_short_recipe_that_cannot_be_is_refused() {
        for (text, expected) in [
            ("extends = \"quick\"\nname = \"a\"\nset = []\nseed = 3\n", "seed"),
            ("extends = \"none\"\nname = \"a\"\nset = []\n", "extends = \"none\""),
            ("extends = \"quick\"\nname = \"a\"\nset = [\"train.stepz=3\"]\n", "steps"),
            ("extends = \"quick\"\nname = \"../a\"\nset = []\n", "name"),
            ("extends = \"quick-mvp-joint\"\nname = \"a\"\nset = []\n", "written out"),
        ] {
            let message = format!("{:#}", parse(text, Path::new("")).unwrap_err());
            assert!(message.contains(expected), "{text}: {message}");
        }
    }
}
