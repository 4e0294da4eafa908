//! What a recipe will cost, told before anything is allocated.

mod co_attention;
mod heads;

use std::fmt::Write;

use anyhow::Result;
use burn::module::Module;
use burn::tensor::Device;
use weft_data::preprocess::Preprocess;
use weft_fusion::{ClassToken, FusionKind, Part};
use weft_nn::TransformerConfig;
use weft_objectives::{ImageView, Pass};
use weft_vision::MaskMode;

use crate::concepts::ConceptRecipe;
use crate::recipe::Recipe;

/// Parameters, operations and memory of a recipe.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Name and number of parameters of each part.
    pub parameters: Vec<(&'static str, usize)>,
    /// Multiplications and additions of one pair in each pass of any stage, forward.
    pub passes: Vec<(Pass, f64)>,
    /// The same of the heads that cost something, by objective.
    pub heads: Vec<(&'static str, f64)>,
    /// Of one pair, forward; a mean over the steps of all stages.
    pub forward: f64,
    /// Of one pair, forward and backward; a pass with a gradient costs three times its forward.
    pub training: f64,
    /// Weights, gradients, both moments and the momentum twin, in bytes.
    pub state_bytes: f64,
    /// Of those the gradients', with the sum of those before where steps have several batches.
    pub gradient_bytes: f64,
    /// The weights alone, and the twin's.
    pub weight_bytes: f64,
    pub twin_bytes: f64,
    /// What a batch keeps for its backward pass, in bytes; an estimate.
    pub activation_bytes: f64,
    /// The same where only what goes into each block is kept, and one block at a time made anew.
    pub checkpointed_bytes: f64,
    pub steps: u64,
    pub batch: usize,
    pub accumulate: usize,
}

/// Bytes of a number.
const FLOAT: f64 = 4.0;

/// What one pass of one pair costs.
#[derive(Debug, Clone, Copy, Default)]
struct Cost {
    operations: f64,
    /// Numbers kept for the backward pass.
    kept: f64,
    /// Numbers kept where blocks are made anew.
    checkpointed: f64,
}

impl Cost {
    fn times(self, factor: f64) -> Self {
        Self {
            operations: self.operations * factor,
            kept: self.kept * factor,
            checkpointed: self.checkpointed * factor,
        }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            operations: self.operations + other.operations,
            kept: self.kept + other.kept,
            checkpointed: self.checkpointed + other.checkpointed,
        }
    }
}

impl Plan {
    /// The plan of `recipe` with a vocabulary of `vocab_size`. `device` names a backend; nothing is
    /// allocated on it.
    ///
    /// # Errors
    ///
    /// When no model of these sizes can exist.
    pub fn new(recipe: &Recipe, vocab_size: usize, device: &Device) -> Result<Self> {
        let mut config = recipe.model.clone();
        // Until the data are read it is not known how many phrases and answers there are.
        config.concepts = config.concepts.or(recipe.concepts.as_ref().map(ConceptRecipe::expected));
        config.task = config.task.or(recipe.head_at_most());
        let model = config.blank(vocab_size, device)?;
        let backbone = &model.backbone;
        let fusion = backbone.fusion.num_params() + backbone.co_attention.num_params();
        let parameters = vec![
            ("image encoder", backbone.vision.num_params()),
            ("text encoder", backbone.text.num_params()),
            ("fusion encoder", fusion),
            (
                "projections",
                backbone.image_projection.num_params()
                    + backbone.text_projection.num_params()
                    + backbone.tags.num_params(),
            ),
            ("heads", model.heads.num_params() + model.temperature.num_params()),
        ];
        let twin = backbone.num_params();
        let all: usize = parameters.iter().map(|(_, count)| count).sum();
        let gradients = 1 + usize::from(recipe.train.accumulate > 1);

        let recipe = &Recipe { model: config.clone(), ..recipe.clone() };
        let pictures = config.task.map_or(1, |task| task.pictures);
        let tags = config.concepts.is_some_and(|concepts| concepts.tags);
        let cost = |pass: &Pass| pass_cost(recipe, *pass);
        let (mut forward, mut learning) = (0.0, Cost::default());
        let (mut kept, mut checkpointed) = (0.0, 0.0);
        for stage in recipe.stages()? {
            let passes = stage.objectives.passes(pictures, tags);
            let steps = stage.steps.end - stage.steps.start;
            let share = steps as f64 / recipe.train.steps as f64;
            let learns = passes.iter().filter(|pass| has_gradient(**pass)).map(cost);
            let heads = heads::heads(recipe, &stage.objectives, vocab_size);
            let of_heads = heads.iter().fold(Cost::default(), |sum, (_, cost)| sum.plus(*cost));
            let learns = learns.fold(of_heads, Cost::plus);
            let of_passes: f64 = passes.iter().map(|pass| cost(pass).operations).sum();
            forward += share * (of_passes + of_heads.operations);
            learning = learning.plus(learns.times(share));
            // Memory is that of the stage that needs most.
            kept = f64::max(kept, learns.kept);
            checkpointed = f64::max(checkpointed, learns.checkpointed);
        }
        let passes = recipe.objectives.passes(pictures, tags);
        let heads = heads::heads(recipe, &recipe.objectives, vocab_size);
        let batch = recipe.train.batch_size;
        Ok(Self {
            parameters,
            passes: passes.iter().map(|pass| (*pass, cost(pass).operations)).collect(),
            heads: heads.into_iter().map(|(name, cost)| (name, cost.operations)).collect(),
            forward,
            training: forward + 2.0 * learning.operations,
            state_bytes: ((3 + gradients) * all + twin) as f64 * FLOAT,
            gradient_bytes: (gradients * all) as f64 * FLOAT,
            weight_bytes: all as f64 * FLOAT,
            twin_bytes: twin as f64 * FLOAT,
            activation_bytes: kept * batch as f64 * FLOAT,
            checkpointed_bytes: checkpointed * batch as f64 * FLOAT,
            steps: recipe.train.steps,
            batch,
            accumulate: recipe.train.accumulate,
        })
    }
}

fn has_gradient(pass: Pass) -> bool {
    !matches!(pass, Pass::MomentumImage | Pass::MomentumText | Pass::MomentumFused)
}

fn pass_cost(recipe: &Recipe, pass: Pass) -> Cost {
    let model = &recipe.model;
    let (patches, words) = (model.vision.grid().patches(), model.text.longest());
    let shown = recipe.shown_tags().map_or(0, |tags| tags.most);
    let image = |masked: bool, tags: usize| {
        let pixels = model.vision.patch_numbers();
        let width = model.vision.transformer.width;
        let drops = masked && model.vision.mask_mode == MaskMode::Drop;
        let hidden = if drops { recipe.mask.image_ratio * patches as f64 } else { 0.0 };
        let tokens = model.vision.special_tokens() + patches - hidden.round() as usize + tags;
        let embedding = Cost {
            operations: 2.0 * (patches * pixels * width) as f64,
            kept: (patches * pixels) as f64,
            checkpointed: (patches * pixels) as f64,
        };
        embedding.plus(stack(&model.vision.transformer, tokens))
    };
    let fused = |part: Option<Part>| {
        let transformer = &model.fusion.transformer;
        match model.fusion.kind {
            FusionKind::Joint => {
                let class = usize::from(model.fusion.class_token != ClassToken::Text);
                let all = class + patches + words;
                let asked = match part {
                    None => all,
                    Some(Part::Class) => 1,
                    Some(Part::Image) => patches,
                    Some(Part::Text) => words,
                };
                let last = block(transformer, all, asked, asked, None);
                // Only where the widths differ.
                let projected = |tokens: usize, from: usize| match from == transformer.width {
                    true => Cost::default(),
                    false => projection(tokens, from, transformer.width),
                };
                stack_under(transformer, all, last)
                    .plus(projected(1 + patches, model.vision.transformer.width))
                    .plus(projected(words, model.text.transformer.width))
            }
            FusionKind::CoAttention => {
                co_attention::pair(model, words, model.vision.special_tokens() + patches, part)
            }
        }
    };
    let of_task = model.task.map(|task| if task.region { Part::Image } else { Part::Class });
    match pass {
        Pass::Image(ImageView::Clean) => image(false, shown),
        Pass::Image(ImageView::Masked) => image(true, 0),
        Pass::OtherImage | Pass::MomentumImage => image(false, 0),
        Pass::Text(_) | Pass::MomentumText => stack(&model.text.transformer, words),
        Pass::Fused(_, _, part) => fused(part),
        Pass::FusedOther => fused(of_task),
        Pass::MomentumFused => fused(None),
        Pass::Negatives(per_pair, part) => fused(part).times(per_pair as f64),
    }
}

/// A stack of blocks over `tokens`.
fn stack(config: &TransformerConfig, tokens: usize) -> Cost {
    stack_under(config, tokens, block(config, tokens, tokens, tokens, None))
}

/// The same with another block in the place of the last one.
fn stack_under(config: &TransformerConfig, tokens: usize, last: Cost) -> Cost {
    let block = block(config, tokens, tokens, tokens, None);
    let depth = config.depth as f64;
    let inputs = depth * (tokens * config.width) as f64;
    Cost { checkpointed: inputs + block.kept, ..block.times(depth - 1.0).plus(last) }
}

/// A block over `tokens`, of which `asked` attend to all, and to `memory` tokens where there are some, and
/// `fed` pass through the feed-forward network.
fn block(
    config: &TransformerConfig,
    tokens: usize,
    asked: usize,
    fed: usize,
    memory: Option<usize>,
) -> Cost {
    let (t, a, f) = (tokens as f64, asked as f64, fed as f64);
    let (w, hidden) = (config.width as f64, config.hidden() as f64);
    let layers = if config.gated { 3.0 } else { 2.0 };
    let feed = Cost {
        operations: layers * linear(f, w, hidden),
        kept: f * w + layers * f * hidden,
        checkpointed: 0.0,
    };
    // Two norms, what goes into each and what comes out.
    let norms = Cost { kept: 2.0 * (t + f) * w, ..Cost::default() };
    let block = attention(config, a, t).plus(feed).plus(norms);
    memory.map_or(block, |keys| block.plus(attention(config, a, keys as f64)))
}

/// Attention of `asked` tokens to `keys`: queries, keys, values and output; scores and weighted sums.
fn attention(config: &TransformerConfig, asked: f64, keys: f64) -> Cost {
    let (w, heads) = (config.width as f64, config.heads as f64);
    Cost {
        operations: 2.0 * linear(asked, w, w)
            + 2.0 * linear(keys, w, w)
            + 2.0 * linear(asked, keys, w),
        kept: 3.0 * asked * w + 2.0 * keys * w + heads * asked * keys,
        checkpointed: 0.0,
    }
}

/// Operations of a linear map of `rows` rows.
fn linear(rows: f64, from: f64, to: f64) -> f64 {
    2.0 * rows * from * to
}

/// What brings `tokens` of an encoder to the fusion encoder's width.
fn projection(tokens: usize, from: usize, to: usize) -> Cost {
    let kept = (tokens * to) as f64;
    Cost { operations: linear(tokens as f64, from as f64, to as f64), kept, checkpointed: kept }
}

/// The whole plan, for people.
pub fn described(plan: &Plan, recipe: &Recipe) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| _ = writeln!(text, "{name:<34} {value}");
    let Preprocess { size, .. } = recipe.preprocessing();
    line("recipe", format!("{}, pictures of {size} x {size}", recipe.name));
    for (name, count) in &plan.parameters {
        line(&format!("parameters, {name}"), millions(*count));
    }
    line("parameters", millions(plan.parameters.iter().map(|(_, count)| count).sum()));
    if let Some(concepts) = recipe.concepts.as_ref().filter(|concepts| concepts.room > 0) {
        let (rows, most) = (concepts.expected().rows, concepts.most);
        line("phrases", format!("{most} at most, about {rows} with a row of their own"));
    }
    for (pass, operations) in &plan.passes {
        line(&format!("FLOPs of a pair, {pass:?}"), giga(*operations));
    }
    for (name, operations) in &plan.heads {
        line(&format!("FLOPs of a pair, head of {name}"), giga(*operations));
    }
    line("FLOPs of a pair, forward", giga(plan.forward));
    line("FLOPs of a pair, training", giga(plan.training));
    let gib = |bytes: f64| format!("{:.2} GiB", bytes / f64::from(1 << 30));
    line("memory, weights", gib(plan.weight_bytes));
    line("memory, gradients", gib(plan.gradient_bytes));
    line("memory, optimiser", gib(2.0 * plan.weight_bytes));
    line("memory, momentum twin", gib(plan.twin_bytes));
    line("memory, activations (estimate)", gib(plan.activation_bytes));
    // What that would save: weft does not do it.
    line("  were blocks made anew (not built)", gib(plan.checkpointed_bytes));
    line("steps", plan.steps.to_string());
    line("pairs of a forward pass", plan.batch.to_string());
    line("effective batch", (plan.batch * plan.accumulate).to_string());
    if recipe.objectives.itc.is_some() {
        line("negatives of a pair (ITC)", (plan.batch - 1).to_string());
    }
    if let Some(itm) = &recipe.objectives.itm {
        line("negatives of a pair (ITM)", format!("{}, {}", itm.per_pair, itm.negatives));
    }
    line(
        "FLOPs of the run, training",
        format!(
            "{:.3e}",
            plan.training * (plan.batch * plan.accumulate) as f64 * plan.steps as f64
        ),
    );
    text
}

fn millions(count: usize) -> String {
    format!("{:.2} M", count as f64 / 1e6)
}

fn giga(operations: f64) -> String {
    format!("{:.2} G", operations / 1e9)
}
