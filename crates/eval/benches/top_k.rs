//! Exact search, recall and shortlists at the size of a large retrieval set: 5,000 pictures with 5
//! captions each, embeddings of width 256.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use weft_eval::{Truth, retrieval, retrieval_of_embeddings, top_k_of_embeddings};

const IMAGES: usize = 5_000;
const TEXTS: usize = 25_000;
const WIDTH: usize = 256;

/// `n` values in [-1, 1) (xorshift).
fn random(n: usize, mut state: u64) -> Vec<f32> {
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..n).map(|_| next()).collect()
}

fn search(criterion: &mut Criterion) {
    let images = random(IMAGES * WIDTH, 0x9e37_79b9_7f4a_7c15);
    let texts = random(TEXTS * WIDTH, 0xd1b5_4a32_d192_ed03);
    let truth = Truth::from_counts(&[TEXTS / IMAGES; IMAGES]).expect("no picture without caption");
    let mut group = criterion.benchmark_group("5000x25000x256");
    group.sample_size(10);
    group.throughput(Throughput::Elements((IMAGES * TEXTS) as u64));
    group.bench_function("top_10_captions", |b| {
        b.iter(|| black_box(top_k_of_embeddings(&images, &texts, WIDTH, 10)));
    });
    group.bench_function("top_10_pictures", |b| {
        b.iter(|| black_box(top_k_of_embeddings(&texts, &images, WIDTH, 10)));
    });
    group.bench_function("recall_of_embeddings", |b| {
        b.iter(|| black_box(retrieval_of_embeddings(&images, &texts, WIDTH, &truth)));
    });
    let scores = random(IMAGES * TEXTS, 0x2545_f491_4f6c_dd1d);
    group.bench_function("recall_of_scores", |b| {
        b.iter(|| black_box(retrieval(&scores, &truth)));
    });
    group.finish();
}

criterion_group!(benches, search);
criterion_main!(benches);
