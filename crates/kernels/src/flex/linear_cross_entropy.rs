//! Linear cross-entropy on Flex.
//!
//! Items come in chunks, and the classes of a chunk in stripes, one task each. A stripe's logits are
//! made, turned into exponentials where they stand, and, once the sums over all stripes are known,
//! into the slopes of the loss. Chunks and stripes depend on the shapes alone, and whatever is
//! summed over them is summed in their order, so threads do not change a bit.

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::tensor::DType;
use rayon::prelude::*;

use super::product::{View, add_product, product};
use super::simd::{exp_nonpositive, max, sum_of, vectorised};
use super::{contiguous, indices, int_tensor, numbers, tensor};
use crate::linear_cross_entropy::extension::LinearCrossEntropyOps;

/// Logits that stand in memory at once: 32 MiB.
const LOGITS: usize = 1 << 23;
/// Items of a chunk, at least and at most. Each chunk goes over all weights, so few are slow.
const ITEMS: [usize; 2] = [16, 256];
/// Classes of a stripe, at least: enough to pay for a task.
const CLASSES: usize = 512;
/// Stripes, at most: each has a share of the gradient of `hidden` to itself.
const STRIPES: usize = 16;
/// Rows of `hidden` whose shares one task adds up.
const ROWS: usize = 16;

impl LinearCrossEntropyOps for Flex {
    fn linear_cross_entropy_forward(
        hidden: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        class: IntTensor<Self>,
    ) -> (FloatTensor<Self>, IntTensor<Self>) {
        let inputs = Inputs::new(hidden, weight, bias, class);
        inputs.outputs(inputs.operation().run(None))
    }

    fn linear_cross_entropy_with_gradients(
        hidden: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        class: IntTensor<Self>,
    ) -> (FloatTensor<Self>, IntTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>)
    {
        let inputs = Inputs::new(hidden, weight, bias, class);
        let operation = inputs.operation();
        let (items, classes, width) = (inputs.class.len(), operation.bias.len(), operation.width);
        let mut gradients = Gradients {
            hidden: vec![0.0; items * width],
            weight: vec![0.0; classes * width],
            bias: vec![0.0; classes],
            shares: vec![0.0; operation.stripes() * operation.chunk() * width],
        };
        let (loss, best) = inputs.outputs(operation.run(Some(&mut gradients)));
        let Gradients { hidden, weight, bias, .. } = gradients;
        (
            loss,
            best,
            tensor(hidden, &[items, width]),
            tensor(weight, &[classes, width]),
            tensor(bias, &[classes]),
        )
    }
}

/// The tensors as they are read.
struct Inputs {
    hidden: FlexTensor,
    weight: FlexTensor,
    bias: FlexTensor,
    class: Vec<usize>,
    class_type: DType,
}

impl Inputs {
    fn new(hidden: FlexTensor, weight: FlexTensor, bias: FlexTensor, class: FlexTensor) -> Self {
        let [classes] = bias.layout().shape().dims();
        Self {
            hidden: contiguous(hidden),
            weight: contiguous(weight),
            bias: contiguous(bias),
            class_type: class.dtype(),
            class: indices(class, classes, "classes"),
        }
    }

    fn operation(&self) -> Operation<'_> {
        let [_, width] = self.hidden.layout().shape().dims();
        Operation {
            width,
            hidden: numbers(&self.hidden),
            weight: numbers(&self.weight),
            bias: numbers(&self.bias),
            class: &self.class,
        }
    }

    /// The loss and the best classes as tensors.
    fn outputs(&self, (loss, best): (f32, Vec<usize>)) -> (FlexTensor, FlexTensor) {
        let shape = [best.len()];
        (tensor(vec![loss], &[1]), int_tensor(&best, &shape, self.class_type))
    }
}

struct Gradients {
    hidden: Vec<f32>,
    weight: Vec<f32>,
    bias: Vec<f32>,
    /// What each stripe adds to the gradient of the chunk's items, `[stripes, chunk, width]`.
    shares: Vec<f32>,
}

struct Operation<'a> {
    width: usize,
    hidden: &'a [f32],
    weight: &'a [f32],
    bias: &'a [f32],
    class: &'a [usize],
}

impl Operation<'_> {
    /// Items of a chunk.
    fn chunk(&self) -> usize {
        let [fewest, most] = ITEMS;
        (LOGITS / self.bias.len()).clamp(fewest, most).min(self.class.len())
    }

    /// Classes of a stripe.
    fn stripe(&self) -> usize {
        self.bias.len().div_ceil(STRIPES).max(CLASSES)
    }

    fn stripes(&self) -> usize {
        self.bias.len().div_ceil(self.stripe())
    }

    /// The loss and the best class of each item; `gradients` are added up as well.
    fn run(&self, mut gradients: Option<&mut Gradients>) -> (f32, Vec<usize>) {
        let mut logits = vec![0.0; self.chunk() * self.bias.len()];
        let mut loss = 0.0;
        let mut best = Vec::with_capacity(self.class.len());
        for first in (0..self.class.len()).step_by(self.chunk()) {
            let items = first..(first + self.chunk()).min(self.class.len());
            let chunk = Chunk {
                hidden: &self.hidden[items.start * self.width..items.end * self.width],
                class: &self.class[items.clone()],
            };
            let mut stripes = self.split(chunk.class.len(), &mut logits);
            stripes.par_iter_mut().for_each(|stripe| stripe.exponentials(&chunk));
            let sums = sum_stripes(&stripes, &chunk, self.stripe());
            loss += sums.iter().map(|sum| sum.loss).sum::<f64>();
            best.extend(sums.iter().map(|sum| sum.best));
            if let Some(gradients) = gradients.as_deref_mut() {
                self.add_gradients(&chunk, items.start, &mut stripes, &sums, gradients);
            }
        }
        ((loss / self.class.len() as f64) as f32, best)
    }

    /// The stripes of a chunk, each with its block of the logits, one after the other.
    fn split<'a>(&'a self, items: usize, mut logits: &'a mut [f32]) -> Vec<Stripe<'a>> {
        let weights = self.weight.chunks(self.stripe() * self.width);
        let stripes = weights.zip(self.bias.chunks(self.stripe())).enumerate();
        let stripe = |(index, (weight, bias)): (usize, (&'a [f32], &'a [f32]))| Stripe {
            first: index * self.stripe(),
            weight,
            bias,
            logits: logits.split_off_mut(..items * bias.len()).expect("logits of all classes"),
            rows: vec![Row::default(); items],
        };
        stripes.map(stripe).collect()
    }

    /// Adds the gradients of a chunk, whose first item is `start`.
    fn add_gradients(
        &self,
        chunk: &Chunk,
        start: usize,
        stripes: &mut [Stripe],
        sums: &[Sum],
        gradients: &mut Gradients,
    ) {
        let (width, items) = (self.width, chunk.class.len());
        let each = 1.0 / self.class.len() as f32;
        let Gradients { hidden, weight, bias, shares } = gradients;
        let shares = &mut shares[..self.stripes() * items * width];
        stripes
            .par_iter_mut()
            .zip(weight.par_chunks_mut(self.stripe() * width))
            .zip(bias.par_chunks_mut(self.stripe()))
            .zip(shares.par_chunks_mut(items * width))
            .for_each(|(((stripe, dweight), dbias), share)| {
                stripe.slopes(chunk, sums, each, dbias);
                stripe.weight_gradient(chunk, start == 0, dweight);
                stripe.hidden_gradient(width, share);
            });
        let hidden = &mut hidden[start * width..][..items * width];
        hidden.par_chunks_mut(ROWS * width).enumerate().for_each(|(index, out)| {
            for share in shares.chunks_exact(items * width) {
                let share = &share[index * ROWS * width..][..out.len()];
                out.iter_mut().zip(share).for_each(|(out, share)| *out += share);
            }
        });
    }
}

/// Items that are worked on together.
struct Chunk<'a> {
    hidden: &'a [f32],
    class: &'a [usize],
}

/// Some of the classes for a chunk of items.
struct Stripe<'a> {
    /// The first class.
    first: usize,
    weight: &'a [f32],
    bias: &'a [f32],
    /// `[items, classes]`: the logits, then `exp(logit - largest)`, then the slopes.
    logits: &'a mut [f32],
    rows: Vec<Row>,
}

/// An item as one stripe sees it.
#[derive(Clone, Default)]
struct Row {
    largest: f32,
    /// `sum(exp(logit - largest))`
    sum: f32,
    /// The class of the largest logit.
    best: usize,
    /// The logit of the item's own class, if it is one of the stripe's.
    own: f32,
}

impl Stripe<'_> {
    fn exponentials(&mut self, chunk: &Chunk) {
        let (items, classes) = (chunk.class.len(), self.bias.len());
        let width = self.weight.len() / classes;
        let (hidden, weight) = (View::read(chunk.hidden, width), View::read(self.weight, width));
        let logits = View::of(self.logits, classes);
        // SAFETY: the views have these shapes, and the logits are borrowed mutably.
        unsafe { product([items, classes, width], 1.0, hidden, weight.transposed(), logits) };
        for ((row, &class), logits) in
            self.rows.iter_mut().zip(chunk.class).zip(self.logits.chunks_exact_mut(classes))
        {
            add(logits, self.bias);
            if let Some(&own) = class.checked_sub(self.first).and_then(|class| logits.get(class)) {
                row.own = own;
            }
            let largest = largest(logits);
            row.best = self.first + logits.iter().position(|&x| x == largest).unwrap_or(0);
            // A stripe of -inf alone must give zeros, not the difference of two infinities.
            row.largest = largest.max(f32::MIN);
            row.sum = exponentiate(logits, row.largest);
        }
    }

    /// The slopes of the loss by the logits, and their sums over the items. `each` is what an item
    /// counts for in the mean.
    fn slopes(&mut self, chunk: &Chunk, sums: &[Sum], each: f32, dbias: &mut [f32]) {
        let classes = self.bias.len();
        let rows = self.logits.chunks_exact_mut(classes).zip(&self.rows);
        for ((slopes, row), (sum, &class)) in rows.zip(sums.iter().zip(chunk.class)) {
            let scale = f64::from(row.largest - sum.largest).exp() / sum.sum;
            let own = class.checked_sub(self.first).filter(|&class| class < classes);
            scale_row(slopes, scale as f32, own, each, dbias);
        }
    }

    /// `slopes^T hidden`, written for the first chunk and added for others.
    fn weight_gradient(&mut self, chunk: &Chunk, first: bool, dweight: &mut [f32]) {
        let (items, classes) = (chunk.class.len(), self.bias.len());
        let width = self.weight.len() / classes;
        let slopes = View::read(self.logits, classes).transposed();
        let (hidden, dweight) = (View::read(chunk.hidden, width), View::of(dweight, width));
        let shape = [classes, width, items];
        // SAFETY: the views have these shapes, and the gradient is borrowed mutably.
        unsafe {
            if first {
                product(shape, 1.0, slopes, hidden, dweight);
            } else {
                add_product(shape, slopes, hidden, dweight);
            }
        }
    }

    /// `slopes weight`
    fn hidden_gradient(&mut self, width: usize, share: &mut [f32]) {
        let (items, classes) = (self.rows.len(), self.bias.len());
        let slopes = View::read(self.logits, classes);
        let (weight, share) = (View::read(self.weight, width), View::of(share, width));
        // SAFETY: as above.
        unsafe { product([items, width, classes], 1.0, slopes, weight, share) };
    }
}

/// An item over all stripes.
struct Sum {
    largest: f32,
    /// `sum(exp(logit - largest))`
    sum: f64,
    best: usize,
    loss: f64,
}

fn sum_stripes(stripes: &[Stripe], chunk: &Chunk, stripe: usize) -> Vec<Sum> {
    let sum = |(item, &class): (usize, &usize)| {
        let rows = || stripes.iter().map(|stripe| &stripe.rows[item]);
        // Of equal ones the first, as within a stripe.
        let first = rows().reduce(|a, b| if b.largest > a.largest { b } else { a });
        let Row { largest, best, .. } = *first.expect("a class");
        let share = |row: &Row| f64::from(row.sum) * f64::from(row.largest - largest).exp();
        let sum: f64 = rows().map(share).sum();
        let own = stripes[class / stripe].rows[item].own;
        Sum { largest, sum, best, loss: f64::from(largest) - f64::from(own) + sum.ln() }
    };
    chunk.class.iter().enumerate().map(sum).collect()
}

vectorised! { fn add(row: &mut [f32], bias: &[f32]) = add_body; }
vectorised! { fn largest(row: &[f32]) -> f32 = largest_body; }

vectorised! {
    /// `exp(x - largest)` in place; their sum.
    fn exponentiate(row: &mut [f32], largest: f32) -> f32 = exponentiate_body;
}

vectorised! {
    /// From exponentials to slopes, and their sums: `each (scale x - [x is its own class])`.
    fn scale_row(row: &mut [f32], scale: f32, own: Option<usize>, each: f32, sums: &mut [f32])
        = scale_row_body;
}

#[inline(always)]
fn add_body<const FMA: bool>(row: &mut [f32], bias: &[f32]) {
    for (x, &bias) in row.iter_mut().zip(bias) {
        *x += bias;
    }
}

#[inline(always)]
fn largest_body<const FMA: bool>(row: &[f32]) -> f32 {
    max(row)
}

#[inline(always)]
fn exponentiate_body<const FMA: bool>(row: &mut [f32], largest: f32) -> f32 {
    for x in row.iter_mut() {
        *x = exp_nonpositive::<FMA>(*x - largest);
    }
    sum_of(row, |x| x)
}

#[inline(always)]
fn scale_row_body<const FMA: bool>(
    row: &mut [f32],
    scale: f32,
    own: Option<usize>,
    each: f32,
    sums: &mut [f32],
) {
    for x in row.iter_mut() {
        *x *= scale;
    }
    if let Some(own) = own {
        row[own] -= 1.0;
    }
    for (x, sum) in row.iter_mut().zip(sums) {
        *x *= each;
        *sum += *x;
    }
}
