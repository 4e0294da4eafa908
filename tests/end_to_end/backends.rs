//! Every backend that is compiled in gives the losses of the CPU.
//!
//! A build without a GPU backend lists the comparison as ignored; with one, but without a device, it
//! prints that it was skipped: `cargo test -p weft-cli --features cuda --test backends --
//! --nocapture`.

mod common;

use std::path::Path;

use common::{metrics, succeed, train};

/// Losses agree to this relative difference over the first steps: rounding differs between devices
/// (GELU's derivative by 5e-4 on CubeCL) and grows with each update.
const TOLERANCE: f64 = 0.02;
const STEPS: u64 = 20;

fn losses(folder: &Path, backend: &str) -> Vec<f64> {
    let run = folder.join(backend);
    let mut command = train(&run, STEPS, &[]);
    command.args(["--backend", backend]);
    succeed(command);
    metrics(&run).iter().map(|line| line["loss"].as_f64().expect("a loss")).collect()
}

#[test]
#[cfg_attr(
    not(any(feature = "cuda", feature = "wgpu")),
    ignore = "SKIPPED: this build has no GPU backend (--features cuda or wgpu)"
)]
fn gpu_losses_are_the_cpus() {
    let gpus = [("cuda", cfg!(feature = "cuda")), ("wgpu", cfg!(feature = "wgpu"))];
    let folder = tempfile::tempdir().unwrap();
    for (backend, compiled) in gpus {
        let works = common::weft(&["doctor", "--backend", backend]).output().unwrap();
        if !compiled || !works.status.success() {
            let why = if compiled { "no device" } else { "not compiled in" };
            eprintln!("SKIPPED: {backend} against the CPU: {why}");
            continue;
        }
        for (step, (cpu, gpu)) in
            losses(folder.path(), "cpu").iter().zip(losses(folder.path(), backend)).enumerate()
        {
            let difference = (cpu - gpu).abs() / cpu.abs();
            assert!(difference < TOLERANCE, "{backend} step {}: {gpu}, CPU {cpu}", step + 1);
        }
    }
}
