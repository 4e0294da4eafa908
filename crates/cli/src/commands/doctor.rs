//! `weft doctor`

use std::process::ExitCode;

use anyhow::Result;
use burn::tensor::{Device, Tensor};
use sysinfo::System;

use crate::backend::Backend;

#[derive(clap::Args)]
pub struct Args {
    /// Fail unless this backend works.
    #[arg(long, value_enum, default_value_t = Backend::Cpu)]
    backend: Backend,
}

/// Memory that the recipe `quick` may take, in MiB.
const QUICK_MIB: u64 = 512;

pub fn run(args: Args) -> Result<ExitCode> {
    let system = System::new_with_specifics(
        sysinfo::RefreshKind::nothing().with_memory(sysinfo::MemoryRefreshKind::everything()),
    );
    let threads = std::thread::available_parallelism().map_or(1, |count| count.get());
    let available = system.available_memory() >> 20;
    println!("weft      {}", env!("CARGO_PKG_VERSION"));
    println!("system    {} {}", std::env::consts::OS, std::env::consts::ARCH);
    println!("threads   {threads}");
    println!("memory    {available} MiB free of {} MiB", system.total_memory() >> 20);
    if available < QUICK_MIB {
        println!("          less than the {QUICK_MIB} MiB that the recipe quick may take");
    }
    let mut wanted_works = false;
    for backend in Backend::ALL {
        let state = check(backend);
        wanted_works |= backend == args.backend && state.is_ok();
        match state {
            Ok(seen) => println!("{:<9} works: {seen}", backend.name()),
            Err(missing) => println!("{:<9} {missing:#}", backend.name()),
        }
    }
    Ok(if wanted_works { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Multiplies two small matrices on the backend's device.
fn check(backend: Backend) -> Result<String> {
    let device: Device = backend.device()?;
    let ones = Tensor::<2>::ones([8, 8], &device);
    let product: f32 = ones.clone().matmul(ones).sum().into_scalar();
    anyhow::ensure!(product == 512.0, "8 x 8 ones times 8 x 8 ones summed to {product}, not 512");
    Ok(format!("{device:?}"))
}
