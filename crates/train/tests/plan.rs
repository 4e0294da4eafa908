//! What a recipe will cost, against what is published and against the model itself.

use std::path::Path;

use burn::module::Module;
use burn::tensor::Device;
use weft_fusion::Part;
use weft_objectives::{ImageView, Pass, TextView};
use weft_train::Recipe;
use weft_train::fine_tune::fine_tune_of;
use weft_train::plan::{Plan, described};

fn plan(recipe: &Recipe) -> Plan {
    Plan::new(recipe, recipe.tokenizer.vocab_size, &Device::flex()).unwrap()
}

fn parameters(plan: &Plan, part: &str) -> f64 {
    plan.parameters.iter().find(|(name, _)| *name == part).unwrap().1 as f64
}

fn within(found: f64, expected: f64, share: f64) -> bool {
    (found - expected).abs() <= share * expected
}

#[test]
fn base_mamo_has_the_published_sizes() {
    let recipe = Recipe::open("base-mamo").unwrap();
    let plan = plan(&recipe);
    // ViT-B/16 without its classifier (Dosovitskiy et al. 2021, table 1: 86 M).
    assert!(within(parameters(&plan, "image encoder"), 85.8e6, 0.01));
    // BERT-base's 109.5 M (Devlin et al. 2019: 110 M) less its pooler and 482 of 512 positions, the lower
    // six of its twelve layers here and the upper six in the fusion encoder.
    let bert = parameters(&plan, "text encoder") + parameters(&plan, "fusion encoder");
    assert!(within(bert, 109.48e6 - 0.59e6 - 0.37e6, 0.01), "{bert}");
    // ViT-B/16 at 224 pixels: 17.6 G multiply-adds (Touvron et al. 2021, table 5: 17.6 G).
    let small = recipe.with(&["model.vision.image_size=224".into()]).unwrap();
    let operations = self::plan(&small).passes[0];
    assert_eq!(operations.0, Pass::Image(ImageView::Clean));
    assert!(within(operations.1, 2.0 * 17.6e9, 0.01), "{operations:?}");
}

#[test]
fn the_other_base_recipes_have_the_published_sizes() {
    let plan = |name: &str| plan(&Recipe::open(name).unwrap());
    let unimo3 = plan("base-unimo3");
    // CLIP's ViT-B/16 (Radford et al. 2021: 86.2 M with its projection) for 288 pixels.
    assert!(within(parameters(&unimo3, "image encoder"), 85.9e6, 0.01));
    // RoBERTa-base's 124.6 M (Liu et al. 2019: 125 M) less its pooler and 462 of 514 positions.
    assert!(within(parameters(&unimo3, "text encoder"), 124.65e6 - 0.59e6 - 0.35e6, 0.01));

    let mvp = plan("base-mvp");
    // Six layers of BERT-base under a table of words and phrases, and six more for both (MVPTR).
    let layers = 6.0 * 7.09e6;
    // 30,522 words and 73,599 phrases, of which 18,570 have the row of a word (the release's map of phrases).
    let table = (30522.0 + 55029.0) * 768.0;
    assert!(within(parameters(&mvp, "text encoder"), layers + table, 0.01));
    let pooler = 768.0 * 769.0;
    assert!(within(parameters(&mvp, "fusion encoder"), layers + pooler, 0.01));
    // The first stage costs less than the second, which has all objectives.
    let one = Recipe::open("base-mvp").unwrap().with(&["stage=[]".into()]).unwrap();
    assert!(mvp.training < self::plan(&one).training);
    assert_eq!(mvp.activation_bytes, self::plan(&one).activation_bytes);
}

#[test]
fn parameters_are_those_of_the_model() {
    for name in ["quick", "quick-scenes", "quick-mamo", "quick-unimo3", "quick-mvp"] {
        let mut recipe = Recipe::open(name).unwrap();
        recipe.model.concepts = recipe.concepts.as_ref().map(|concepts| concepts.at_most());
        let plan = plan(&recipe);
        let model = recipe.model.init(recipe.tokenizer.vocab_size, 0, &Device::flex()).unwrap();
        let total: usize = plan.parameters.iter().map(|(_, count)| count).sum();
        assert_eq!(total, model.num_params(), "{name}");
        // Four numbers for each parameter, and a twin of all but the heads.
        let twin = model.backbone.num_params();
        assert_eq!(plan.state_bytes, ((4 * total + twin) * 4) as f64, "{name}");
    }
}

#[test]
fn heads_cost_what_they_compute() {
    let recipe = Recipe::open("base-mamo").unwrap();
    let head = |recipe: &Recipe, name: &str| {
        let plan = plan(recipe);
        plan.heads.iter().find(|(of, _)| *of == name).map(|(_, operations)| *operations)
    };
    // Of 30 words a quarter, through 768 x 768 and 768 x 30,522.
    assert_eq!(head(&recipe, "MLM"), Some(2.0 * 7.5 * 768.0 * (768.0 + 30522.0)));
    // Of 16 x 16 patches three quarters, through 768 x 1,536 and back.
    assert_eq!(head(&recipe, "MIM"), Some(2.0 * 192.0 * 2.0 * 768.0 * 1536.0));
    assert_eq!(head(&recipe, "MCR"), None);
    // Two blocks over the 256 patches: 12 w^2 multiplications and additions of each patch, and attention.
    let deeper = recipe.with(&["objectives.mim.head_depth=2".into()]).unwrap();
    let blocks = 2.0 * 2.0 * 256.0 * (12.0 * 768.0 * 768.0 + 2.0 * 256.0 * 768.0);
    let expected = blocks + 2.0 * 192.0 * 768.0 * 768.0;
    assert!(within(head(&deeper, "MIM").unwrap(), expected, 1e-9));
    // Forward once, backward twice.
    let more = plan(&deeper).training - plan(&recipe).training;
    let mlp = head(&recipe, "MIM").unwrap();
    assert!(within(more, 3.0 * (expected - mlp), 1e-6), "{more}");
    assert!(head(&Recipe::open("base-mvp").unwrap(), "MCR").is_some());
}

/// The last of six layers over 1 + 256 + 30 tokens computes what is asked for: by hand.
#[test]
fn a_part_of_a_pair_costs_less() {
    let plan = plan(&Recipe::open("base-mamo").unwrap());
    let pass = |wanted: Pass| plan.passes.iter().find(|(pass, _)| *pass == wanted).unwrap().1;
    let (tokens, width) = (287.0, 768.0);
    let block = |asked: f64| {
        let projections = 2.0 * (2.0 * asked + 2.0 * tokens) * width * width;
        let attention = 2.0 * 2.0 * asked * tokens * width;
        projections + attention + 2.0 * 2.0 * asked * width * 4.0 * width
    };
    let words = Pass::Fused(ImageView::Clean, TextView::Masked, Some(Part::Text));
    assert!(within(pass(words), 5.0 * block(tokens) + block(30.0), 1e-9));
    let patches = Pass::Fused(ImageView::Masked, TextView::Clean, Some(Part::Image));
    assert!(within(pass(patches), 5.0 * block(tokens) + block(256.0), 1e-9));
    let class = Pass::Fused(ImageView::Clean, TextView::Clean, Some(Part::Class));
    assert!(within(pass(class), 5.0 * block(tokens) + block(1.0), 1e-9));
    assert!(within(pass(Pass::Negatives(2, Some(Part::Class))), 2.0 * pass(class), 1e-9));
    assert!(within(pass(Pass::MomentumFused), 6.0 * block(tokens), 1e-9));
}

#[test]
fn costs_grow_as_they_should() {
    let recipe = Recipe::open("base-mamo").unwrap();
    let base = plan(&recipe);
    let double = plan(&recipe.with(&["train.batch_size=128".into()]).unwrap());
    assert_eq!(double.activation_bytes, 2.0 * base.activation_bytes);
    assert_eq!((double.state_bytes, double.training), (base.state_bytes, base.training));
    assert!(base.checkpointed_bytes < base.activation_bytes / 3.0);
    // Momentum passes have no backward; with everything else it is between two and three times.
    assert!(base.training > 2.0 * base.forward && base.training < 3.0 * base.forward);
    let text = described(&base, &recipe);
    for line in [
        "effective batch                    512",
        "negatives of a pair (ITC)          63",
        "negatives of a pair (ITM)          2, sampled",
        "memory, gradients",
        "memory, optimiser",
        "memory, momentum twin",
        "were blocks made anew",
    ] {
        assert!(text.contains(line), "{text}");
    }
    let without = recipe.with(&["objectives={mlm={}}".into()]).unwrap();
    let text = described(&plan(&without), &without);
    assert!(!text.contains("negatives") && !text.contains("phrases"), "{text}");
    let mvp = Recipe::open("base-mvp").unwrap();
    let text = described(&plan(&mvp), &mvp);
    let phrases = "phrases                            73599 at most, about 55029 with a row";
    assert!(text.contains(phrases), "{text}");
}

/// Before the data are read, which say how many classes there are.
#[test]
fn a_task_is_counted_with_its_head_and_its_pictures() {
    let quick = Recipe::open("quick-scenes").unwrap();
    let fine_tuned =
        |name: &str| plan(&fine_tune_of(name, &quick, Path::new("runs/quick-scenes")).unwrap());
    let heads = |plan: &Plan| parameters(plan, "heads");
    // The head's hidden layer is as wide as what goes in, and gives one number for each of so many answers.
    let (vqa, alone) = (fine_tuned("scenes-vqa"), plan(&quick));
    assert!(heads(&vqa) > heads(&alone) + 200.0 * 128.0, "{vqa:?}");
    let nlvr2 = fine_tuned("scenes-nlvr2");
    let passes: Vec<Pass> = nlvr2.passes.iter().map(|(pass, _)| *pass).collect();
    assert!(passes.contains(&Pass::OtherImage) && passes.contains(&Pass::FusedOther));
}

/// Six blocks over 1 + 196 patches and the tags beside them; of a masked picture, the visible quarter where
/// the others are dropped. By hand.
#[test]
fn tags_cost_and_dropped_patches_do_not() {
    let recipe = Recipe::open("base-mvp").unwrap();
    let pass = |recipe: &Recipe, wanted: Pass| {
        plan(recipe).passes.iter().find(|(pass, _)| *pass == wanted).unwrap().1
    };
    let blocks = |tokens: f64, depth: f64, width: f64| {
        depth * tokens * (2.0 * 12.0 * width * width + 4.0 * tokens * width)
    };
    let image = &recipe.model.vision;
    let tags = recipe.concepts.as_ref().unwrap().tags.as_ref().unwrap().most;
    let patches = image.grid().patches();
    let tokens = (image.special_tokens() + patches + tags) as f64;
    let embedding = 2.0 * (patches * image.patch_numbers()) as f64 * 768.0;
    let depth = image.transformer.depth as f64;
    let found = pass(&recipe, Pass::Image(ImageView::Clean));
    assert!(tags > 0 && within(found, embedding + blocks(tokens, depth, 768.0), 1e-9), "{found}");

    let drops = Recipe::open("base-mamo").unwrap();
    let drops = drops.with(&["model.vision.mask_mode=drop".into()]).unwrap();
    // 256 patches, of which 192 are hidden.
    let embedding = 2.0 * 256.0 * 768.0 * 768.0;
    let found = pass(&drops, Pass::Image(ImageView::Masked));
    assert!(within(found, embedding + blocks(1.0 + 64.0, 12.0, 768.0), 1e-9), "{found}");
}

/// Operations that each connection adds to METER's, by hand: of 50 words and 1 + 18 x 18 image tokens, six layers of
/// width 768.
#[test]
fn connections_cost_what_they_compute() {
    let recipe = Recipe::open("base-unimo3").unwrap();
    let pass = |connection: &str, part: Part| {
        let key = format!("model.fusion.connection={connection}");
        let plan = plan(&recipe.with(&[key]).unwrap());
        let text = if part == Part::Text { TextView::Masked } else { TextView::Clean };
        let wanted = Pass::Fused(ImageView::Clean, text, Some(part));
        plan.passes.iter().find(|(pass, _)| *pass == wanted).unwrap().1
    };
    let (w, words, patches) = (768.0, 50.0, 325.0);
    let attention =
        |t: f64, keys: f64| 2.0 * (2.0 * t * w * w + 2.0 * keys * w * w + 2.0 * t * keys * w);
    // Five more layers of each encoder in the fusion encoder's width.
    let encoders = 5.0 * 2.0 * (words + patches) * w * w;
    let none = pass(r#"{kind="none"}"#, Part::Class);
    let added = |connection: &str| pass(connection, Part::Class) - none;
    let expect = |found: f64, sum: &dyn Fn(f64, f64, usize) -> f64, more: f64| {
        let layers = (0..6).map(|layer| sum(words, patches, layer) + sum(patches, words, layer));
        let expected = layers.sum::<f64>() + more;
        assert!(expected > 0.0 && within(found, expected, 1e-9), "{found} {expected}");
    };

    let gate = |t: f64, m: f64, layer: usize| {
        let levels = (6 + layer) as f64;
        let chosen = 2.0 * ((1.0 + levels) * w * w + levels * w);
        attention(t, m) + chosen + 2.0 * levels * m * w + 2.0 * t * 2.0 * w * w
    };
    expect(added(r#"{kind="gate", sources="both"}"#), &gate, encoders);
    let sum = |_: f64, m: f64, layer: usize| {
        let levels = (6 + layer) as f64;
        2.0 * levels * m * w + levels * 2.0 * m * 2.0 * w
    };
    expect(added(r#"{kind="sum", sources="both"}"#), &sum, encoders);
    let concat =
        |t: f64, m: f64, layer: usize| attention(t, (1 + layer) as f64 * m) - attention(t, m);
    expect(added(r#"{kind="concat"}"#), &concat, 0.0);
    let managers = |t: f64, m: f64, layer: usize| {
        let adaptive = 4.0 * t * m * w + 2.0 * t * 2.0 * w * 6.0;
        2.0 * 6.0 * t * w + if layer > 0 { adaptive } else { 0.0 }
    };
    expect(added(r#"{kind="managers"}"#), &managers, encoders);
    let add = |t: f64, _: f64, layer: usize| if layer > 0 { 2.0 * t * w } else { 0.0 };
    expect(added(r#"{kind="add"}"#), &add, encoders);

    // Of words alone the last layer of the patches is left out, and with it the gate there.
    let both = r#"{kind="gate", sources="both"}"#;
    let of_words = pass(both, Part::Text) - pass(r#"{kind="none"}"#, Part::Text);
    let without_last = |t: f64, m: f64, layer: usize| {
        if layer == 5 && t == patches { 0.0 } else { gate(t, m, layer) }
    };
    expect(of_words, &without_last, encoders);
    // One stream has half of it.
    let text = added(r#"{kind="gate", sources="both", direction="text"}"#);
    let of_text = |t: f64, m: f64, layer: usize| if t == words { gate(t, m, layer) } else { 0.0 };
    expect(text, &of_text, encoders);
}

#[test]
fn connections_keep_more_for_the_backward_pass() {
    let recipe = Recipe::open("base-unimo3").unwrap();
    let kept = |kind: &str| {
        let key = format!("model.fusion.connection={{kind=\"{kind}\"}}");
        plan(&recipe.with(&[key]).unwrap()).activation_bytes
    };
    let none = kept("none");
    for kind in ["add", "static", "managers", "gate", "sum", "concat"] {
        assert!(kept(kind) > none, "{kind}");
    }
}
