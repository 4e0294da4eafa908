//! Curves over training steps, as small SVG charts.

use plotters::prelude::*;

use super::page::escape;
use crate::EvalError;

/// A figure over the steps of a run: a loss, or the learning rate.
#[derive(Clone, Debug)]
pub struct Curve {
    /// What it is.
    pub name: String,
    /// Step and value, in the order of steps. Values that are NaN or infinite are left out, and the
    /// page says how many.
    pub points: Vec<(f64, f64)>,
}

/// A chart draws at most this many points: more than it has columns of pixels.
const MOST_POINTS: usize = 500;
const SIZE: (u32, u32) = (400, 210);
// Ink of the text and the lines; the page's style sheet gives both their colour in the dark.
const INK: RGBColor = RGBColor(85, 85, 85);
const GRID: RGBColor = RGBColor(221, 221, 221);
const LINE: RGBColor = RGBColor(31, 107, 181);

/// A chart with its name, first and last value.
pub fn figure(curve: &Curve) -> Result<String, EvalError> {
    let finite = |&&(step, value): &&(f64, f64)| step.is_finite() && value.is_finite();
    let points: Vec<_> = curve.points.iter().filter(finite).copied().collect();
    let lost = curve.points.len() - points.len();
    let mut note = match (points.first(), points.last()) {
        (Some(&(_, first)), Some(&(_, last))) if points.len() > 1 => {
            format!("{} → {}", number(first), number(last))
        }
        (Some(&(step, value)), _) => format!("only one point: {} at step {step}", number(value)),
        _ => "no points".to_owned(),
    };
    if lost > 0 {
        note += &format!(" ({lost} not finite, left out)");
    }
    let chart = if points.len() > 1 {
        svg(&thin(&points))
            .map_err(|reason| EvalError::Chart { name: curve.name.clone(), reason })?
    } else {
        String::new()
    };
    Ok(format!(
        "<figure class=\"chart\"><figcaption><b>{}</b> <span class=\"score\">{note}</span>\
         </figcaption>{chart}</figure>\n",
        escape(&curve.name)
    ))
}

/// At most [`MOST_POINTS`] of the points: the first, the last, and between them the lowest and the
/// highest of each stretch, so that a spike stays on the chart (a mean would hide it).
fn thin(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let [first, middle @ .., last] = points else { return points.to_vec() };
    if points.len() <= MOST_POINTS {
        return points.to_vec();
    }
    let mut thinned = vec![*first];
    for stretch in middle.chunks(middle.len().div_ceil(MOST_POINTS / 2 - 1)) {
        let by_value = |&a: &usize, &b: &usize| stretch[a].1.total_cmp(&stretch[b].1);
        let low = (0..stretch.len()).min_by(by_value).unwrap_or(0);
        let high = (0..stretch.len()).max_by(by_value).unwrap_or(0);
        thinned.push(stretch[low.min(high)]);
        if low != high {
            thinned.push(stretch[low.max(high)]);
        }
    }
    thinned.push(*last);
    thinned
}

/// The drawing itself, for two points or more.
fn svg(points: &[(f64, f64)]) -> Result<String, String> {
    let (x, y) = (range(points.iter().map(|p| p.0), 0.0), range(points.iter().map(|p| p.1), 0.05));
    let mut svg = String::new();
    let draw = || -> Result<(), Box<dyn std::error::Error + '_>> {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let mut chart = ChartBuilder::on(&area)
            .margin(8)
            .margin_right(18)
            .x_label_area_size(26)
            .y_label_area_size(58)
            .build_cartesian_2d(x, y)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .x_labels(5)
            .y_labels(5)
            .max_light_lines(0)
            .bold_line_style(GRID)
            .axis_style(GRID)
            .label_style(("sans-serif", 15).into_font().color(&INK))
            .x_label_formatter(&|&step| number(step))
            .y_label_formatter(&|&value| number(value))
            .draw()?;
        chart.draw_series(LineSeries::new(points.iter().copied(), LINE.stroke_width(2)))?;
        area.present()?;
        Ok(())
    };
    draw().map_err(|error| error.to_string())?;
    // Inside HTML an <svg> needs no name space; without it the page has no address at all.
    Ok(svg.replace(" xmlns=\"http://www.w3.org/2000/svg\"", ""))
}

/// From the lowest to the highest value, with a margin; never empty.
fn range(values: impl Iterator<Item = f64> + Clone, margin: f64) -> std::ops::Range<f64> {
    let low = values.clone().fold(f64::INFINITY, f64::min);
    let high = values.fold(f64::NEG_INFINITY, f64::max);
    if low == high {
        // A constant gets the middle of the chart. 1e-6: a learning rate of 0 needs a height too.
        let around = (low.abs() * 0.1).max(1e-6);
        return low - around..high + around;
    }
    let margin = (high - low) * margin;
    low - margin..high + margin
}

/// A number as short as it stays readable: 0.42, 1500, 3.0e-4.
fn number(value: f64) -> String {
    let size = value.abs();
    match size {
        0.0 => "0".to_owned(),
        _ if !(1e-3..1e6).contains(&size) => format!("{value:.1e}"),
        _ => {
            let decimals = if size < 1.0 {
                3
            } else if size < 100.0 {
                2
            } else {
                0
            };
            let text = format!("{value:.decimals$}");
            if text.contains('.') {
                text.trim_end_matches('0').trim_end_matches('.').into()
            } else {
                text
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinning_keeps_ends_and_spikes() {
        for n in [2, 499, 500, 501, 999, 1000, 12_345] {
            let mut points: Vec<_> = (0..n).map(|i| (i as f64, (i as f64 * 0.7).sin())).collect();
            points[n / 2].1 = 99.0;
            let thinned = thin(&points);
            assert!(thinned.len() <= MOST_POINTS, "{n} became {}", thinned.len());
            assert_eq!(thinned.first(), points.first());
            assert_eq!(thinned.last(), points.last());
            assert!(thinned.iter().any(|p| p.1 == 99.0), "{n}");
            assert!(thinned.is_sorted_by(|a, b| a.0 < b.0), "{n}");
        }
    }

    #[test]
    fn numbers_are_short() {
        let cases = [
            (0.0, "0"),
            (3e-4, "3.0e-4"),
            (0.25, "0.25"),
            (2.5, "2.5"),
            (-1.0, "-1"),
            (1500.0, "1500"),
            (2e7, "2.0e7"),
        ];
        for (value, text) in cases {
            assert_eq!(number(value), text);
        }
    }
}
