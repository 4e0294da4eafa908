//! Retrieval with a few pictures on the device at a time, held to retrieval with all of them there.

mod common;

use burn::tensor::Device;
use weft_data::error::Ledger;
use weft_data::record::Picture;
use weft_eval::{RerankConfig, Reranked, Retrieval, Truth, rerank};
use weft_train::evaluate::{Evaluation, Retrieved, retrieve};
use weft_train::inference::{Images, Inference, Texts};
use weft_train::state::TrainState;

/// Of each picture one caption, and batches of 3: 14 pictures end in the middle of a batch.
const COUNT: usize = 14;
/// Pictures that cannot be read: the whole second batch and one of the fourth.
const BROKEN: [usize; 4] = [3, 4, 5, 10];

struct Given {
    model: Inference,
    records: Vec<weft_data::record::Record>,
}

fn given() -> Given {
    let (recipe, device) =
        (common::tiny(&["eval.batch_size=3", "eval.captions=1"]), Device::flex());
    let mut records = common::records(COUNT);
    let tokenizer = common::tokenizer(&recipe, &records);
    BROKEN.iter().for_each(|row| records[*row].picture = Picture::Embedded(b"no picture"));
    let state = TrainState::new(&recipe, tokenizer.vocab_size(), &device).unwrap();
    Given { model: Inference::new(&recipe, tokenizer, &state.model, &device), records }
}

impl Given {
    fn retrieved(&self, rerank: usize) -> Retrieved {
        let (split, checkpoint) = ("test", "");
        let records = &self.records;
        let (bad_budget, data_set) = (1.0, records.len());
        let evaluation = Evaluation { split, records, checkpoint, rerank, bad_budget, data_set };
        retrieve(&self.model, &evaluation).unwrap()
    }

    /// All pictures and captions with their features.
    fn encoded(&self) -> (Images, Texts, Vec<usize>) {
        let (images, readable) =
            self.model.images(&self.records, &mut Ledger::default()).unwrap().unwrap();
        let captions: Vec<String> =
            readable.iter().map(|row| self.records[*row].captions[0].clone()).collect();
        (images, self.model.texts(&captions).unwrap(), readable)
    }

    /// What [`retrieve`] re-ranks, with all features at once.
    fn at_once(&self, k: usize) -> (Retrieval, Vec<Vec<(usize, f32)>>) {
        let (images, texts, readable) = self.encoded();
        let width = self.model.recipe.model.projection_width;
        let config = RerankConfig { k_i2t: k, k_t2i: k, chunk: 3 };
        let (rows, columns) = (&images.embeddings, &texts.embeddings);
        let reranked: Reranked = rerank(rows, columns, width, config, |pairs| {
            self.model.pair_scores(&images, &texts, pairs)
        })
        .unwrap();
        let truth = Truth::from_counts(&vec![1; readable.len()]).unwrap();
        let hits = (0..readable.len()).map(|text| {
            let hits = reranked.pictures_of(text).iter().take(5);
            hits.map(|hit| (readable[hit.index], hit.score)).collect()
        });
        (reranked.retrieval(&truth).unwrap(), hits.collect())
    }
}

/// To the bit: the batches are the same.
#[test]
fn re_ranking_needs_a_few_pictures_at_a_time() {
    let given = given();
    // One candidate spreads the pairs of a chunk over several batches, many over one.
    for k in [1, 4, COUNT] {
        let (expected, hits) = given.at_once(k);
        let found = given.retrieved(k);
        assert_eq!(found.result.n, COUNT - BROKEN.len());
        assert_eq!(found.ledger.total(), BROKEN.len());
        let of = |name: &str| found.result.metrics[name];
        assert_eq!(of("i2t_r1_reranked"), expected.i2t_r1, "{k}");
        assert_eq!(of("t2i_r5_reranked"), expected.t2i_r5, "{k}");
        let shown: Vec<_> = found.queries.into_iter().map(|query| query.hits).collect();
        assert_eq!(shown, hits, "{k}");
    }
}

#[test]
fn without_re_ranking_embeddings_are_enough() {
    let given = given();
    let (images, texts, readable) = given.encoded();
    let captions: Vec<String> =
        readable.iter().map(|row| given.records[*row].captions[0].clone()).collect();
    assert_eq!(given.model.text_embeddings(&captions).unwrap(), texts.embeddings);
    let found = given.retrieved(0);
    assert!(!found.result.metrics.contains_key("i2t_r1_reranked"));
    let width = given.model.recipe.model.projection_width;
    let truth = Truth::from_counts(&vec![1; readable.len()]).unwrap();
    let (rows, columns) = (&images.embeddings, &texts.embeddings);
    let dual = weft_eval::retrieval_of_embeddings(rows, columns, width, &truth).unwrap();
    assert_eq!((found.dual.i2t_r1, found.dual.t2i_r5), (dual.i2t_r1, dual.t2i_r5));
}
