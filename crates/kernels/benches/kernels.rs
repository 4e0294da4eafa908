//! Each kernel against Burn's operations, at the shapes of the recipe `quick` and of a base model.

use std::hint::black_box;

use burn::tensor::{Device, Distribution, Int, Tensor, activation, module};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use weft_kernels::{
    AdamWUpdate, Follower, Moments, adamw, attention, attention_with_weights, contrastive,
    embedding, gelu, l2_normalize, layer_norm, linear, linear_cross_entropy, linear_gelu,
    residual_layer_norm, set_fused,
};

fn random<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), device)
}

/// Times `f` alone, and with its backward pass.
fn measure<const N: usize>(
    criterion: &mut Criterion,
    group: &str,
    name: &str,
    shape: [usize; 3],
    inputs: impl Fn(&Device) -> [Tensor<3>; N],
    f: impl Fn([Tensor<3>; N]) -> Tensor<3>,
) {
    let mut group = criterion.benchmark_group(group);
    group.sample_size(10);
    let plain = inputs(&Device::flex());
    group.bench_function(BenchmarkId::new(format!("{name}/forward"), format!("{shape:?}")), |b| {
        b.iter(|| black_box(f(plain.clone())));
    });
    let tracked = inputs(&Device::flex().autodiff()).map(Tensor::require_grad);
    group.bench_function(BenchmarkId::new(format!("{name}/both"), format!("{shape:?}")), |b| {
        b.iter(|| black_box(f(tracked.clone()).backward()));
    });
    group.finish();
}

fn kernels(criterion: &mut Criterion) {
    for (shape @ [_, _, width], heads) in
        [([64, 37, 128], 4), ([128, 81, 128], 4), ([8, 197, 768], 12)]
    {
        let one = |device: &Device| [random(shape, device)];
        let three = |device: &Device| [0, 1, 2].map(|_| random(shape, device));
        let wide = |device: &Device| [random([shape[0], shape[1], 4 * width], device)];
        measure(criterion, "gelu", "fused", shape, wide, |[x]| gelu(x));
        measure(criterion, "gelu", "composed", shape, wide, |[x]| activation::gelu(x));
        let scale = |x: &Tensor<3>| {
            let scale = Tensor::<1>::ones([width], &x.device());
            if x.is_require_grad() { scale.require_grad() } else { scale }
        };
        measure(criterion, "layer_norm", "fused", shape, one, |[x]| {
            let (gamma, beta) = (scale(&x), scale(&x));
            layer_norm(x, gamma, beta, 1e-6)
        });
        measure(criterion, "layer_norm", "composed", shape, one, |[x]| {
            let (gamma, beta) = (scale(&x), scale(&x));
            module::layer_norm(x, gamma, Some(beta), 1e-6)
        });
        measure(criterion, "attention", "fused", shape, three, |[q, k, v]| {
            attention(q, k, v, heads, None)
        });
        measure(criterion, "attention", "composed", shape, three, |[q, k, v]| {
            attention_with_weights(q, k, v, heads, None, None).0
        });
    }
}

/// Times `f` of inputs on both devices, fused and composed: alone, and with its backward pass.
fn measure_both_ways<I: Clone, const D: usize>(
    criterion: &mut Criterion,
    group: &str,
    shape: &[usize],
    inputs: impl Fn(&Device) -> I,
    f: impl Fn(I) -> Tensor<D>,
) {
    let mut group = criterion.benchmark_group(group);
    group.sample_size(10);
    let (plain, tracked) = (inputs(&Device::flex()), inputs(&Device::flex().autodiff()));
    for (name, fused) in [("fused", true), ("composed", false)] {
        set_fused(fused);
        let id = |pass: &str| BenchmarkId::new(format!("{name}/{pass}"), format!("{shape:?}"));
        group.bench_function(id("forward"), |b| b.iter(|| black_box(f(plain.clone()))));
        group.bench_function(id("both"), |b| {
            b.iter(|| black_box(f(tracked.clone()).backward()));
        });
    }
    set_fused(true);
    group.finish();
}

/// Of about unit size, and on the tape where the device is.
fn parameter<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    let x = random(shape, device);
    if device.is_autodiff() { x.require_grad() } else { x }
}

/// Numbers below `below`.
fn ids<const D: usize>(shape: [usize; D], below: usize, device: &Device) -> Tensor<D, Int> {
    let below = Distribution::Uniform(0.0, below as f64);
    Tensor::<D>::random(shape, below, &device.clone().without_autodiff()).int()
}

fn losses(criterion: &mut Criterion) {
    for shape @ [items, classes, width] in [[96, 2000, 128], [512, 30_522, 768]] {
        let inputs = |device: &Device| {
            (
                parameter([items, width], device),
                parameter([classes, width], device),
                parameter([classes], device),
                ids([items], classes, device),
            )
        };
        measure_both_ways(criterion, "linear_cross_entropy", &shape, inputs, |(x, w, b, class)| {
            linear_cross_entropy(x, w, b, class).loss
        });
    }
    for shape in [[64, 128], [1024, 256], [4096, 256]] {
        let inputs = |device: &Device| {
            let [image, text] = [0, 1].map(|_| l2_normalize(random(shape, device)));
            let temperature = Tensor::<1>::from_floats([0.07], device);
            if device.is_autodiff() {
                (image.require_grad(), text.require_grad(), temperature.require_grad())
            } else {
                (image, text, temperature)
            }
        };
        measure_both_ways(
            criterion,
            "contrastive",
            &shape,
            inputs,
            |(image, text, temperature)| contrastive(image, text, temperature),
        );
    }
}

fn embeddings(criterion: &mut Criterion) {
    for shape @ [batch, tokens, rows, width] in [[64, 24, 2000, 128], [64, 32, 30_522, 768]] {
        let inputs = |device: &Device| {
            (parameter([rows, width], device), ids([batch, tokens], rows, device))
        };
        measure_both_ways(criterion, "embedding", &shape, inputs, |(table, ids)| {
            embedding(table, ids)
        });
    }
}

fn layers(criterion: &mut Criterion) {
    for (shape @ [_, _, width], hidden) in
        [([32, 37, 128], 512), ([16, 197, 384], 1536), ([4, 197, 768], 3072)]
    {
        let inputs = |device: &Device| {
            (
                parameter(shape, device),
                parameter([width, hidden], device),
                parameter([hidden], device),
            )
        };
        let sizes = [shape[0], shape[1], width, hidden];
        measure_both_ways(criterion, "linear", &sizes, inputs, |(x, w, b)| linear(x, w, Some(b)));
        measure_both_ways(criterion, "linear_gelu", &sizes, inputs, |(x, w, b)| {
            linear_gelu(x, w, b)
        });
        let inputs = |device: &Device| {
            let scale = || parameter([width], device);
            (parameter(shape, device), parameter(shape, device), scale(), scale())
        };
        measure_both_ways(criterion, "residual_layer_norm", &shape, inputs, |(x, r, g, b)| {
            // Both outputs count, as in a block before the last.
            let (sum, normed) = residual_layer_norm(x, r * 1.0, g, b, 1e-6);
            sum + normed
        });
    }
}

fn updates(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("adamw");
    group.sample_size(10);
    for count in [1 << 16, 1 << 22, 30_522 * 768] {
        for (name, fused) in [("fused", true), ("composed", false)] {
            set_fused(fused);
            let [p, g, m, v, t] = [0; 5].map(|_| random([count], &Device::flex()));
            let moments = Moments { first: m, second: v.abs() };
            let mut state = Some((p, moments, t));
            group.bench_function(BenchmarkId::new(name, count), |b| {
                b.iter(|| {
                    let (p, moments, twin) = state.take().expect("what the last update left");
                    let follower = Some(Follower { twin, momentum: 0.995 });
                    let updated = adamw(p, g.clone(), moments, follower, UPDATE);
                    let twin = updated.twin.expect("a twin");
                    state = Some((updated.parameter, updated.moments, twin));
                });
            });
        }
    }
    set_fused(true);
    group.finish();
}

const UPDATE: AdamWUpdate = AdamWUpdate {
    gradient_scale: 0.5,
    lr: 1e-4,
    betas: [0.9, 0.98],
    epsilon: 1e-8,
    weight_decay: 0.02,
    updates: 10,
};

criterion_group!(benches, kernels, losses, embeddings, layers, updates);
criterion_main!(benches);
