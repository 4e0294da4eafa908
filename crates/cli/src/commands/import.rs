//! `weft import`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use weft_data::packages;
use weft_model::folder::{MODEL_TYPE, read_model};
use weft_model::published::{self, CLASSES, Config, Coverage};
use weft_train::run_dir::folder_atomically;
use weft_weights::Weights;

use crate::backend::Backend;

#[derive(clap::Args)]
pub struct Args {
    /// A Hugging Face folder (config.json beside model.safetensors, its index, or
    /// pytorch_model.bin), or the name of a package that `weft data get` has fetched.
    path: PathBuf,
    /// A tensor that may be missing; can be given several times.
    #[arg(long)]
    allow_missing: Vec<String>,
    /// Where to write the same tensors as one safetensors file beside the other files.
    #[arg(long)]
    out: Option<PathBuf>,
}

pub fn run(args: Args) -> Result<ExitCode> {
    let folder = packages::resolve(&args.path)?;
    let config = Config::read(&folder)?;
    if config.text("model_type", "")? == MODEL_TYPE {
        let (_, sizes, vocab_size) = read_model(&folder, &Backend::Cpu.device()?)?;
        println!("{}: a weft model, vocabulary {vocab_size}", folder.display());
        println!("{}", serde_json::to_string_pretty(&sizes)?);
        return Ok(ExitCode::SUCCESS);
    }
    let class = config.class()?;
    println!("{}: {class}", folder.display());
    let coverage = cover(&parts(&class, &config)?, &folder)?;
    print!("{}", report(&coverage));
    coverage.complete(&folder, &args.allow_missing)?;
    if let Some(out) = &args.out {
        folder_atomically(out, |out| convert(&folder, out))?;
        println!("written to {}", out.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// The classes that a checkpoint is read as.
fn parts(class: &str, config: &Config) -> Result<Vec<String>> {
    if CLASSES.contains(&class) {
        return Ok(vec![class.into()]);
    }
    let base = config.base_class()?;
    if base == "CLIPModel" {
        return Ok(CLIP.map(str::to_string).to_vec());
    }
    println!("read as {base}: what {class} has beside it is not used");
    Ok(vec![base])
}

/// CLIP's two encoders, which weft has apart.
const CLIP: [&str; 2] = ["CLIPVisionModelWithProjection", "CLIPTextModelWithProjection"];

/// What the parts of a model use of its checkpoint together.
fn cover(parts: &[String], folder: &Path) -> Result<Coverage> {
    let device = Backend::Cpu.device()?;
    let mut all = Coverage::default();
    for (index, part) in parts.iter().enumerate() {
        let (_, coverage) = published::open_as(part, folder, &device)?;
        all.loaded.extend(coverage.loaded);
        all.missing.extend(coverage.missing);
        all.reshaped.extend(coverage.reshaped);
        match index {
            0 => all.unexpected = coverage.unexpected,
            _ => all.unexpected.retain(|name| coverage.unexpected.contains(name)),
        }
    }
    Ok(all)
}

/// The counts, and every name but the loaded ones.
fn report(coverage: &Coverage) -> String {
    let mut text = String::new();
    for (what, names) in [
        ("loaded", &coverage.loaded),
        ("missing", &coverage.missing),
        ("unexpected", &coverage.unexpected),
        ("reshaped", &coverage.reshaped),
    ] {
        text += &format!("{what:<10} {:>4}\n", names.len());
        if what != "loaded" {
            names.iter().for_each(|name| text += &format!("    {name}\n"));
        }
    }
    text
}

/// Writes all tensors as f32 safetensors, and copies the JSON and text files beside them.
fn convert(folder: &Path, out: &Path) -> Result<()> {
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        let extension = path.extension().and_then(|extension| extension.to_str());
        let index = path.to_string_lossy().ends_with(".index.json");
        if let (Some(name), Some("json" | "txt" | "model"), false) =
            (path.file_name(), extension, index)
        {
            std::fs::copy(&path, out.join(name)).with_context(|| path.display().to_string())?;
        }
    }
    let weights = Weights::open(folder)?;
    let tensors = weights
        .names()
        .into_iter()
        .map(|name| Ok((name, weights.get(name)?)))
        .collect::<Result<Vec<_>>>()?;
    let tensors = tensors.iter().map(|(name, array)| (name, array));
    Ok(weft_weights::write(out.join("model.safetensors"), tensors, &Default::default())?)
}
