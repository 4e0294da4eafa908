//! The backends that `weft` can be built for: one cargo feature each.

use std::{
    ffi::{OsStr, OsString},
    str::FromStr,
};

use anyhow::{Context, Result, bail, ensure};

const OPTION: &str = "--backend";

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    #[default]
    Cpu,
    Cuda,
    Wgpu,
}

impl Backend {
    const ALL: [Self; 3] = [Self::Cpu, Self::Cuda, Self::Wgpu];

    /// The cargo feature of `weft-cli`, which is also the name on the command line.
    pub fn feature(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
            Self::Wgpu => "wgpu",
        }
    }

    /// All names, as usage lines write them: `cpu|cuda|wgpu`.
    pub fn names() -> String {
        Self::ALL.map(Self::feature).join("|")
    }
}

impl FromStr for Backend {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|backend| backend.feature() == name)
            .with_context(|| format!("no backend `{name}`: {OPTION} is one of {}", Self::names()))
    }
}

/// How many arguments the option takes up if `arg` is it: 2 for `--backend X`, 1 for `--backend=X`.
pub fn option_width(arg: &OsStr) -> Option<usize> {
    let arg = arg.to_str()?;
    if arg == OPTION {
        return Some(2);
    }
    arg.strip_prefix(OPTION)?.starts_with('=').then_some(1)
}

/// Reads the backend out of the arguments of `weft`, which stay as they are: `weft` reads the
/// option too. What follows a `--` is not an option.
pub fn select(args: &[OsString]) -> Result<Backend> {
    let mut selected = None;
    let mut args = args.iter().take_while(|arg| *arg != "--");
    while let Some(arg) = args.next() {
        let name = match option_width(arg) {
            None => continue,
            Some(1) => arg.to_string_lossy()[OPTION.len() + 1..].to_string(),
            Some(_) => match args.next() {
                Some(name) => name.to_string_lossy().into_owned(),
                None => bail!("{OPTION} wants a value: one of {}", Backend::names()),
            },
        };
        ensure!(selected.is_none(), "{OPTION} is given twice");
        selected = Some(name.parse()?);
    }
    Ok(selected.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selected(line: &str) -> Result<Backend> {
        select(&line.split_whitespace().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn reads_both_spellings_anywhere() {
        assert_eq!(selected("").unwrap(), Backend::Cpu);
        assert_eq!(selected("recipe.toml --steps 3").unwrap(), Backend::Cpu);
        assert_eq!(selected("--backend cuda recipe.toml").unwrap(), Backend::Cuda);
        assert_eq!(selected("recipe.toml --backend=wgpu --steps 3").unwrap(), Backend::Wgpu);
    }

    #[test]
    fn leaves_other_options_alone() {
        assert_eq!(selected("--backends cuda").unwrap(), Backend::Cpu);
        assert_eq!(selected("-- --backend cuda").unwrap(), Backend::Cpu);
    }

    #[test]
    fn errors_are_one_line_and_name_the_choices() {
        for line in ["--backend rocm", "--backend=", "--backend"] {
            let error = format!("{:#}", selected(line).unwrap_err());
            assert!(error.contains("cpu|cuda|wgpu"), "{error}");
            assert_eq!(error.lines().count(), 1, "{error}");
        }
        assert!(selected("--backend cpu --backend=cuda").is_err());
    }
}
