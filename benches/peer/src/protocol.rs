//! What a worker says, one line of JSON each: [`Ready`] once it has warmed up, then a [`Round`] for
//! every line `go` that it reads. The end of its input ends it.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// What a driver writes to let a worker run one timed round.
pub const GO: &str = "go";

/// Figures by name: what both sides must agree on.
pub type Check = BTreeMap<String, Vec<f64>>;

/// The first line of a worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ready {
    /// Name of the workload.
    pub ready: String,
    /// What work is counted in.
    pub unit: String,
    /// Numbers that the model learns, where there is a model.
    pub parameters: Option<usize>,
    /// Resident set before the workload was set up, in MiB: the libraries.
    pub base_rss_mib: f64,
    /// What the first step gave.
    pub check: Check,
    /// What a reader of the figures should know.
    pub notes: Vec<String>,
}

/// A timed round.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Round {
    pub seconds: f64,
    /// In the unit of [`Ready`].
    pub work: f64,
    /// Largest resident set since the worker was ready, in MiB.
    pub peak_rss_mib: f64,
}

impl Round {
    /// Work per second.
    pub fn throughput(&self) -> f64 {
        self.work / self.seconds
    }
}

/// Reads a worker's line.
///
/// # Errors
///
/// When it is not the expected JSON; names the line.
pub fn parse<T: DeserializeOwned>(line: &str) -> Result<T> {
    serde_json::from_str(line.trim()).with_context(|| format!("not a worker's answer: {line:?}"))
}

/// Relative difference, to the largest value of a figure, up to which both sides agree: rounding in
/// f32 through a dozen layers.
pub const TOLERANCE: f64 = 1e-4;

/// That both sides have the same model and computed the same figures.
///
/// # Errors
///
/// Names the figure and both values.
pub fn compare(weft: &Ready, torch: &Ready) -> Result<()> {
    if weft.parameters != torch.parameters {
        let shown = |count: Option<usize>| count.map_or("none".into(), |c: usize| c.to_string());
        let (ours, theirs) = (shown(weft.parameters), shown(torch.parameters));
        bail!("parameters differ: weft has {ours}, torch has {theirs}");
    }
    ensure!(weft.unit == torch.unit, "units differ: {} and {}", weft.unit, torch.unit);
    for (name, ours) in &weft.check {
        let theirs = torch.check.get(name).with_context(|| format!("torch gave no {name}"))?;
        ensure!(ours.len() == theirs.len(), "{name}: {} and {} values", ours.len(), theirs.len());
        let scale = ours.iter().fold(0.0f64, |most, value| most.max(value.abs()));
        let agrees = |(a, b): (&f64, &f64)| (a - b).abs() <= TOLERANCE * scale;
        ensure!(
            ours.iter().zip(theirs).all(agrees),
            "{name} differs: weft has {ours:?}, torch has {theirs:?}"
        );
    }
    match torch.check.keys().find(|name| !weft.check.contains_key(*name)) {
        Some(name) => bail!("weft gave no {name}"),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready(parameters: Option<usize>, loss: &[f64]) -> Ready {
        let check = Check::from([("loss".to_string(), loss.to_vec())]);
        let (ready, unit) = ("x".to_string(), "samples".to_string());
        Ready { ready, unit, parameters, base_rss_mib: 1.0, check, notes: vec![] }
    }

    #[test]
    fn lines_survive_the_way_there_and_back() {
        let sent = ready(Some(3), &[1.5]);
        assert_eq!(parse::<Ready>(&serde_json::to_string(&sent).unwrap()).unwrap(), sent);
        let round: Round = parse("{\"seconds\": 2, \"work\": 8, \"peak_rss_mib\": 1.5}\n").unwrap();
        assert_eq!(round.throughput(), 4.0);
    }

    #[test]
    fn garbage_is_shown() {
        for line in ["", "warning: something", "{\"seconds\": 2}"] {
            let error = format!("{:#}", parse::<Round>(line).unwrap_err());
            assert!(error.contains(&format!("{line:?}")), "{error}");
        }
    }

    #[test]
    fn sides_that_agree_may_differ_by_rounding_alone() {
        let weft = ready(Some(3), &[2.0, 0.0]);
        assert!(compare(&weft, &ready(Some(3), &[2.0001, 0.0001])).is_ok());
        for (torch, expected) in [
            (ready(Some(4), &[2.0, 0.0]), "weft has 3, torch has 4"),
            (ready(None, &[2.0, 0.0]), "torch has none"),
            (ready(Some(3), &[2.001, 0.0]), "loss differs"),
            (ready(Some(3), &[2.0, f64::NAN]), "loss differs"),
            (ready(Some(3), &[2.0]), "2 and 1 values"),
        ] {
            let error = format!("{:#}", compare(&weft, &torch).unwrap_err());
            assert!(error.contains(expected), "{error}");
        }
        let mut more = weft.clone();
        more.check.insert("itc".into(), vec![1.0]);
        assert!(format!("{:#}", compare(&weft, &more).unwrap_err()).contains("weft gave no itc"));
        assert!(format!("{:#}", compare(&more, &weft).unwrap_err()).contains("torch gave no itc"));
    }
}
