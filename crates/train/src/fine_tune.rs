//! Fine-tuning recipes: what they change in the recipe of the model that they start from.

use std::path::Path;

use anyhow::{Context, Result, bail};
use toml::{Table, Value};

use crate::checkpoint::Checkpoint;
use crate::recipe::Recipe;

/// The fine-tuning recipes that come with weft.
const BUILT_IN: [(&str, &str); 13] = [
    ("scenes-vqa", include_str!("../recipes/tasks/scenes-vqa.toml")),
    ("scenes-nlvr2", include_str!("../recipes/tasks/scenes-nlvr2.toml")),
    ("scenes-entailment", include_str!("../recipes/tasks/scenes-entailment.toml")),
    ("scenes-grounding", include_str!("../recipes/tasks/scenes-grounding.toml")),
    ("scenes-weak-grounding", include_str!("../recipes/tasks/scenes-weak-grounding.toml")),
    ("scenes-retrieval", include_str!("../recipes/tasks/scenes-retrieval.toml")),
    ("easy-vqa", include_str!("../recipes/tasks/easy-vqa.toml")),
    ("vqa-v2", include_str!("../recipes/tasks/vqa-v2.toml")),
    ("nlvr2", include_str!("../recipes/tasks/nlvr2.toml")),
    ("snli-ve", include_str!("../recipes/tasks/snli-ve.toml")),
    ("refcoco", include_str!("../recipes/tasks/refcoco.toml")),
    ("refcoco-weak", include_str!("../recipes/tasks/refcoco-weak.toml")),
    ("retrieval", include_str!("../recipes/tasks/retrieval.toml")),
];

/// Tables that a fine-tuning recipe, where it has them, replaces as a whole: other data, another aim.
const REPLACED: [&str; 2] = ["objectives", "data"];
/// What belongs to the first run alone.
const DROPPED: [&str; 4] = ["expected", "vision", "text", "stage"];

/// Names of the fine-tuning recipes that come with weft.
pub fn built_in() -> impl Iterator<Item = &'static str> {
    BUILT_IN.iter().map(|(name, _)| *name)
}

/// The whole recipe of fine-tuning the model in `checkpoint` (a run directory or a checkpoint) by
/// the fine-tuning recipe `name`: one that comes with weft, or the path of a TOML file.
///
/// # Errors
///
/// When either cannot be read, or they do not make a recipe together.
pub fn fine_tune(name: &str, checkpoint: &Path) -> Result<Recipe> {
    let (_, checkpoint) = Checkpoint::locate(checkpoint)?;
    fine_tune_of(name, &checkpoint.recipe()?, checkpoint.path())
}

/// The same for a model of the recipe `base`, whose `checkpoint` is not looked at.
///
/// # Errors
///
/// When the fine-tuning recipe cannot be read, or they do not make a recipe together.
pub fn fine_tune_of(name: &str, base: &Recipe, checkpoint: &Path) -> Result<Recipe> {
    let recipe = merged(base, read(name)?, checkpoint);
    recipe.with_context(|| format!("recipe {name} for {}", checkpoint.display()))
}

fn read(name: &str) -> Result<Table> {
    if let Some((_, text)) = BUILT_IN.iter().find(|(built_in, _)| *built_in == name) {
        return toml::from_str(text).with_context(|| format!("recipe {name}"));
    }
    let path = Path::new(name);
    if !path.exists() {
        let names: Vec<&str> = BUILT_IN.iter().map(|(name, _)| *name).collect();
        bail!(
            "no fine-tuning recipe {name}: neither a file nor one of {} (recipes that begin anew \
             take no --from)",
            names.join(", ")
        );
    }
    let text = std::fs::read_to_string(path).with_context(|| name.to_string())?;
    toml::from_str(&text).with_context(|| name.to_string())
}

fn merged(base: &Recipe, changes: Table, checkpoint: &Path) -> Result<Recipe> {
    let mut tree = Table::try_from(base)?;
    let regions = base.data.regions.clone();
    for key in DROPPED {
        tree.remove(key);
    }
    if let Some(Value::Table(model)) = tree.get_mut("model") {
        // The head of the first run's task, if it had one, is not this task's.
        model.remove("task");
    }
    if let Some(Value::Table(data)) = tree.get_mut("data") {
        // How the first run read them is not how this one does.
        data.remove("expressions");
    }
    for key in REPLACED.into_iter().filter(|key| changes.contains_key(*key)) {
        // The same data stay as they are: the scenes that the model knows.
        if key != "data" || source(&tree) != source(&changes) {
            tree.remove(key);
        }
    }
    merge(&mut tree, changes);
    // A model that sees regions does so of other data, too; --set data.regions says of which.
    if let (Some(regions), Some(Value::Table(data))) = (regions, tree.get_mut("data")) {
        let regions = Value::String(regions.to_string_lossy().into_owned());
        data.entry("regions").or_insert(regions);
    }
    let start = Table::from_iter([(
        "checkpoint".to_string(),
        Value::String(checkpoint.to_string_lossy().into_owned()),
    )]);
    tree.insert("start".into(), Value::Table(start));
    let mut recipe = Recipe::parse(&toml::to_string(&tree)?)?;
    if recipe.task().is_some() {
        // A task's data have no tags, and its model is shown none.
        recipe.data.tags = None;
    }
    Ok(recipe)
}

/// Where a recipe's data come from.
fn source(recipe: &Table) -> Option<&Value> {
    recipe.get("data")?.get("source")
}

/// Puts `changes` over `base`, key by key.
fn merge(base: &mut Table, changes: Table) {
    for (key, value) in changes {
        match (base.get_mut(&key), value) {
            (Some(Value::Table(base)), Value::Table(changes)) => merge(base, changes),
            (_, value) => _ = base.insert(key, value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_fits_a_recipe_that_it_can_start_from() {
        let base = Recipe::open("quick").unwrap();
        for (name, text) in BUILT_IN {
            let changes: Table = toml::from_str(text).unwrap();
            let recipe = merged(&base, changes, Path::new("runs/quick")).unwrap();
            assert_eq!(recipe.name, name);
            assert_eq!(recipe.model, base.model, "{name}");
            let no_head = name.ends_with("retrieval") || name.contains("weak");
            assert_eq!(recipe.task().is_none(), no_head, "{name}");
            assert_eq!(recipe.data.expressions, name.contains("weak"), "{name}");
            assert!(recipe.objectives.mlm.is_none(), "{name}");
            assert!(recipe.start.checkpoint.is_some());
        }
    }

    #[test]
    fn the_same_data_stay_and_other_data_replace_them() {
        let base = Recipe::open("quick-scenes").unwrap();
        let kinds = base.data.scenes.kinds;
        assert!(kinds.is_some());
        let of = |text: &str| {
            merged(&base, toml::from_str(text).unwrap(), Path::new("x")).unwrap().data.scenes.kinds
        };
        assert_eq!(of("[data]\nsource = \"scenes\"\n[objectives.itc]\n"), kinds);
        assert_eq!(of("[data]\nsource = \"easy-vqa\"\n[objectives.vqa]\nanswers = 13\n"), None);
    }

    #[test]
    fn captions_made_of_phrases_are_one_runs_own() {
        let weak = read("scenes-weak-grounding").unwrap();
        let base = Recipe::open("quick-scenes").unwrap();
        let weak = merged(&base, weak, Path::new("x")).unwrap();
        assert_eq!(weak.data.scenes, base.data.scenes);
        assert!(weak.data.expressions);
        for next in ["scenes-grounding", "scenes-retrieval"] {
            let next = merged(&weak, read(next).unwrap(), Path::new("x")).unwrap();
            assert!(!next.data.expressions);
        }
        let error = weak.with(&["objectives={grounding={}}".into()]).unwrap_err();
        assert!(format!("{error:#}").contains("data.expressions"), "{error:#}");
    }

    #[test]
    fn a_misspelt_key_is_named() {
        let changes = toml::from_str("[train]\nstep = 3\n[objectives.vqa]\n").unwrap();
        let error = merged(&Recipe::open("quick").unwrap(), changes, Path::new("x")).unwrap_err();
        assert!(format!("{error:#}").contains("did you mean \"steps\""), "{error:#}");
    }
}
