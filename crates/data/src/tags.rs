//! Names of what is in a picture, as the data set or a detector gives them (MVP's tag concepts).

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::record::Record;

/// Where a record's tags are among its annotations: names with commas between them.
pub const ANNOTATION: &str = "tags";

/// How tags reach the image encoder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TagConfig {
    /// Most tags of a picture; what is more is left out at the end.
    pub most: usize,
    /// Probability with which a picture is shown without its tags in training. Our addition: at test
    /// time there are none, since no detector stands in front of the model.
    pub drop: f64,
}

/// The names that `record` has as tags.
pub fn of(record: &Record) -> impl Iterator<Item = &str> {
    let names = record.annotations.get(ANNOTATION).map_or("", String::as_str);
    names.split(',').map(str::trim).filter(|name| !name.is_empty())
}

impl TagConfig {
    /// The tags of `record` that training shows, by their rows in the embedding table; those without a
    /// row are left out.
    pub fn shown(
        &self,
        record: &Record,
        row: impl Fn(&str) -> Option<u32>,
        rng: &mut ChaCha8Rng,
    ) -> Vec<u32> {
        if rng.random::<f64>() < self.drop {
            return Vec::new();
        }
        of(record).filter_map(|name| row(&name.to_lowercase())).take(self.most).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::random::addressed;
    use crate::record::Picture;

    fn record(tags: &str) -> Record {
        let annotations = BTreeMap::from([(ANNOTATION.to_string(), tags.to_string())]);
        let captions = vec!["a picture".to_string()];
        Record::new("one", captions, Picture::Embedded(&[])).annotated(annotations)
    }

    fn row(name: &str) -> Option<u32> {
        ["panda", "ice cream", "violin"].iter().position(|known| *known == name).map(|at| at as u32)
    }

    #[test]
    fn names_stand_between_commas() {
        let tagged = record("panda, ice cream,, violin ");
        assert_eq!(of(&tagged).collect::<Vec<_>>(), ["panda", "ice cream", "violin"]);
        assert_eq!(of(&record("")).count(), 0);
        let none = Record::new("two", vec![], Picture::Embedded(&[]));
        assert_eq!(of(&none).count(), 0);
    }

    #[test]
    fn tags_are_shown_as_often_as_the_configuration_says() {
        let config = TagConfig { most: 2, drop: 0.25 };
        let tagged = record("Panda, gnu, ice cream, violin");
        let draws = 4000;
        let shown = (0..draws).filter(|draw| {
            let tags = config.shown(&tagged, row, &mut addressed(1, *draw, "one", "tags"));
            assert!(tags.is_empty() || tags == [0, 1], "{tags:?}");
            !tags.is_empty()
        });
        // Four standard deviations of a binomial of 4,000 draws are 0.028.
        assert!((shown.count() as f64 / draws as f64 - 0.75).abs() < 0.028);
    }
}
