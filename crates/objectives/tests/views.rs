//! A step computes each pass once, and only those that its objectives ask for.

mod common;

use burn::tensor::Device;
use weft_fusion::Part;
use weft_model::{Backbone, Model};
use weft_objectives::{ImageView, Objectives, PairBatch, Pass, TextView, Views};
use weft_vision::MaskMode;

fn passes(toml: &str) -> Vec<Pass> {
    let device = Device::flex();
    passes_of(toml, common::models(MaskMode::Drop, &device), common::batch(&device))
}

fn passes_of(toml: &str, (model, twin): (Model, Backbone), batch: PairBatch) -> Vec<Pass> {
    let codebook = common::codebook(&batch.images.device());
    let objectives: Objectives = toml::from_str(toml).unwrap();
    let views = Views::new(&model, &twin, &batch, 0).with_codebook(Some(&codebook));
    let mut views = views.for_objectives(&objectives);
    for objective in objectives.build() {
        objective.compute(&mut views);
    }
    views.passes().to_vec()
}

#[test]
fn mamo_makes_each_of_its_passes_once() {
    use ImageView as I;
    use TextView as T;
    let mut found = passes("[itc]\n[itm]\n[mlm]\n[mrm]\n[mim]");
    // docs/guide/mamo.md: four online encodings, four fusions, three momentum passes.
    let mut expected = vec![
        Pass::Image(I::Clean),
        Pass::Image(I::Masked),
        Pass::Text(T::Clean),
        Pass::Text(T::Masked),
        Pass::Fused(I::Clean, T::Clean, Some(Part::Class)),
        Pass::Fused(I::Masked, T::Clean, Some(Part::Image)),
        Pass::Fused(I::Clean, T::Masked, Some(Part::Text)),
        Pass::Negatives(2, Some(Part::Class)),
        Pass::MomentumImage,
        Pass::MomentumText,
        Pass::MomentumFused,
    ];
    let key = |pass: &Pass| format!("{pass:?}");
    found.sort_by_key(key);
    expected.sort_by_key(key);
    assert_eq!(found, expected);
}

#[test]
fn an_objective_alone_makes_only_what_it_needs() {
    use ImageView as I;
    use TextView as T;
    assert_eq!(passes("[itc]"), [Pass::Image(I::Clean), Pass::Text(T::Clean)]);
    assert_eq!(passes("[itc]\n[filip]"), [Pass::Image(I::Clean), Pass::Text(T::Clean)]);
    assert_eq!(
        passes("[mlm]"),
        [
            Pass::Image(I::Clean),
            Pass::Text(T::Masked),
            Pass::Fused(I::Clean, T::Masked, Some(Part::Text))
        ]
    );
    assert_eq!(
        passes("[mim]"),
        [
            Pass::MomentumImage,
            Pass::Image(I::Masked),
            Pass::Text(T::Clean),
            Pass::Fused(I::Masked, T::Clean, Some(Part::Image))
        ]
    );
}

/// What is in the picture itself needs no network to be predicted.
#[test]
fn pixels_and_tokens_need_no_momentum_pass() {
    use ImageView as I;
    use TextView as T;
    let fused = Pass::Fused(I::Masked, T::Clean, Some(Part::Image));
    let expected = [Pass::Image(I::Masked), Pass::Text(T::Clean), fused];
    for mim in ["target = \"pixels\"", "target = \"tokens\"\ncodes = 6"] {
        let device = Device::flex();
        let models = common::mim_models(mim, MaskMode::Drop, &device);
        let toml = format!("[mim]\n{mim}\n");
        assert_eq!(passes_of(&toml, models, common::batch(&device)), expected);
        let objectives: Objectives = toml::from_str(&toml).unwrap();
        assert!(!objectives.passes(1, false).contains(&Pass::MomentumImage));
    }
}

#[test]
fn a_task_encodes_each_picture_and_the_text_once() {
    use ImageView as I;
    use TextView as T;
    let device = Device::flex();
    let fused = Pass::Fused(I::Clean, T::Clean, Some(Part::Class));
    let pair = [Pass::Image(I::Clean), Pass::Text(T::Clean), fused];
    let [one, two] = [1, 2].map(|pictures| {
        let models = common::task_models(pictures, &device);
        passes_of("[itc]\n[vqa]\n", models, common::task_batch(pictures, &device))
    });
    assert_eq!(one, pair);
    assert_eq!(two[..3], pair);
    assert_eq!(two[3..], [Pass::OtherImage, Pass::FusedOther]);
}

/// A picture that pairs share is encoded once, and every pass is as if each pair had its own.
#[test]
fn shared_pictures_change_nothing_but_the_work() {
    let device = Device::flex();
    let (model, twin) = common::models(MaskMode::Drop, &device);
    let batch = common::batch(&device);
    let picture_of = burn::tensor::Tensor::from_ints([0, 0, 1, 1], &device);
    let shared = PairBatch {
        images: batch.images.clone().narrow(0, 1, 2),
        picture_of: Some(picture_of),
        ..batch.clone()
    };
    let images = shared.for_pairs(shared.images.clone());
    let apart = PairBatch { images, ..batch };
    let objectives: Objectives = toml::from_str("[mlm]\n[mrm]\n[mim]").unwrap();
    for objective in objectives.build() {
        let [shared, apart] = [&shared, &apart].map(|batch| {
            let mut views = Views::new(&model, &twin, batch, 0);
            objective.compute(&mut views).value.inner().into_scalar::<f32>()
        });
        assert!((shared - apart).abs() < 1e-5 * (1.0 + apart.abs()), "{shared} {apart}");
    }
}

/// Every set of objectives asks for the passes that were foreseen, each once.
#[test]
fn passes_are_foreseen() {
    let device = Device::flex();
    let sorted = |mut passes: Vec<Pass>| {
        passes.sort_by_key(|pass| format!("{pass:?}"));
        passes
    };
    let names = ["itc", "filip", "itm", "mlm", "mrm", "mim"];
    for set in 1..1 << names.len() {
        let chosen = names.iter().enumerate().filter(|(at, _)| set >> at & 1 == 1);
        let toml: String = chosen.map(|(_, name)| format!("[{name}]\n")).collect();
        let objectives: Objectives = toml::from_str(&toml).unwrap();
        assert_eq!(sorted(passes(&toml)), sorted(objectives.passes(1, false)), "{toml}");
    }
    let names = ["itc", "itm", "mlm", "mcr", "wpg"];
    for set in 1..1 << names.len() {
        let chosen = names.iter().enumerate().filter(|(at, _)| set >> at & 1 == 1);
        let toml: String = chosen.map(|(_, name)| format!("[{name}]\n")).collect();
        let objectives: Objectives = toml::from_str(&toml).unwrap();
        let models = common::concept_models(&device);
        let found = passes_of(&toml, models, common::concept_batch(&device));
        assert_eq!(sorted(found), sorted(objectives.passes(1, true)), "{toml}");
    }
    for others in ["", "[itc]\n", "[mlm]\n[mcr]\n"] {
        let toml = format!("{others}[itm]\n[wpg]\nwrong = \"paired\"\n");
        let objectives: Objectives = toml::from_str(&toml).unwrap();
        let models = common::concept_models(&device);
        let found = passes_of(&toml, models, common::concept_batch(&device));
        assert_eq!(sorted(found), sorted(objectives.passes(1, true)), "{toml}");
    }
    for mim in ["target = \"pixels\"", "target = \"tokens\"\ncodes = 6", "head_depth = 1"] {
        for others in ["", "[itc]\n[itm]\n[mlm]\n", "[mrm]\n"] {
            let toml = format!("{others}[mim]\n{mim}\n");
            let models = common::mim_models(mim, MaskMode::Drop, &device);
            let objectives: Objectives = toml::from_str(&toml).unwrap();
            let found = passes_of(&toml, models, common::batch(&device));
            assert_eq!(sorted(found), sorted(objectives.passes(1, false)), "{toml}");
        }
    }
    for pictures in [1, 2] {
        let models = common::task_models(pictures, &device);
        let toml = "[vqa]\n[mlm]\n";
        let found = passes_of(toml, models, common::task_batch(pictures, &device));
        let objectives: Objectives = toml::from_str(toml).unwrap();
        assert_eq!(sorted(found), sorted(objectives.passes(pictures, false)));
    }
}

/// Tags change what the patches become, and one picture's tags nothing of another one's.
#[test]
fn patches_see_the_tags_of_their_own_picture() {
    let device = Device::flex();
    let (model, twin) = common::concept_models(&device);
    let batch = common::concept_batch(&device);
    let image = |batch: &PairBatch| -> Vec<f32> {
        let mut views = Views::new(&model, &twin, batch, 0);
        views.image(ImageView::Clean).into_data().iter::<f32>().collect()
    };
    let without = PairBatch { tags: None, ..batch.clone() };
    let tagged = image(&batch);
    let bare = image(&without);
    let each = tagged.len() / common::BATCH;
    let far = |row: usize| {
        let pairs = tagged[row * each..][..each].iter().zip(&bare[row * each..][..each]);
        pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    };
    assert!(far(0) > 1e-2 && far(2) > 1e-2 && far(3) > 1e-2);
    // The second picture has none.
    assert!(far(1) < 1e-5, "{}", far(1));
}
