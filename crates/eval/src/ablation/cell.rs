//! The text of a cell: figures over seeds, and how far they are from another variant's.

use super::{Moments, PairedDifference};

/// Mean and standard deviation of a variant's figures, one for each seed where its run has it; in brackets the
/// difference from `other`, of the same seeds. Where a seed has none, the text says how many have.
pub fn cell(own: &[Option<f64>], other: Option<&[Option<f64>]>) -> String {
    let known: Vec<f64> = own.iter().flatten().copied().collect();
    let Some(Moments { mean, deviation }) = Moments::of(&known) else {
        return "-".into();
    };
    let seeds = of_seeds(known.len(), own.len());
    let text = match known.len() {
        // No spread: "± 0.0" would claim that there is none.
        1 => format!("{mean:.1}{seeds}"),
        _ => format!("{mean:.1} \u{b1} {deviation:.1}{seeds}"),
    };
    match other.and_then(|other| difference(own, other)) {
        Some(difference) => format!("{text} ({difference})"),
        None => text,
    }
}

/// The mean of `own - other` with its interval, over the seeds that have both: a figure is never paired with another
/// seed's. Nothing where none has.
pub fn difference(own: &[Option<f64>], other: &[Option<f64>]) -> Option<String> {
    let both = own.iter().zip(other).filter_map(|(own, other)| Some(((*own)?, (*other)?)));
    let (a, b): (Vec<f64>, Vec<f64>) = both.unzip();
    let difference = PairedDifference::of(&a, &b)?;
    let star = if difference.is_significant() { "*" } else { "" };
    let PairedDifference { mean, half_width } = difference;
    let seeds = of_seeds(a.len(), own.len());
    Some(match a.len() {
        1 => format!("{mean:+.1}{seeds}"),
        _ => format!("{mean:+.1} \u{b1} {half_width:.1}{star}{seeds}"),
    })
}

/// Of how many seeds a text is, where that is not all of them.
fn of_seeds(known: usize, all: usize) -> String {
    match known {
        known if known == all => String::new(),
        1 => " of 1 seed".into(),
        known => format!(" of {known} seeds"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_paired_by_their_seeds() {
        let first = [Some(1.0), None, Some(30.0), Some(40.0)];
        let own = [Some(2.0), Some(99.0), None, Some(43.0)];
        // Of seeds 0 and 3: differences 1 and 3, mean 2, deviation sqrt(2), interval 12.706.
        assert_eq!(
            cell(&own, Some(&first)),
            "48.0 \u{b1} 48.7 of 3 seeds (+2.0 \u{b1} 12.7 of 2 seeds)"
        );
        assert_eq!(cell(&own[..2], Some(&first[..2])), "50.5 \u{b1} 68.6 (+1.0 of 1 seed)");
        assert_eq!(cell(&own[1..3], Some(&first[1..3])), "99.0 of 1 seed");
        assert_eq!(cell(&[None], None), "-");
    }
}
