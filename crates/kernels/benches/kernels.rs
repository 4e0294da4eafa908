//! Each kernel against Burn's operations, at the shapes of the recipe `quick` and of a base model.

use std::hint::black_box;

use burn::tensor::{Device, Distribution, Tensor, activation, module};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use weft_kernels::{attention, attention_with_weights, gelu, layer_norm};

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
            attention_with_weights(q, k, v, heads, None).0
        });
    }
}

criterion_group!(benches, kernels);
criterion_main!(benches);
