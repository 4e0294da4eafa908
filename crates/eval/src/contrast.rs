//! Minimal pairs: does a model tell two captions of the same words apart (Winoground; Thrush et
//! al., CVPR 2022, section 4), or a true caption from a false one (ARO, SugarCrepe)?

use serde::{Deserialize, Serialize};

use crate::{ByKind, EvalError};

/// How well each caption fits each picture: `[caption][picture]`. Caption 0 belongs to picture 0,
/// caption 1 to picture 1. Higher is better, any scale.
pub type FourScores = [[f32; 2]; 2];

/// Winoground's three scores, in percent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ContrastScore {
    /// Given either picture, its own caption scores higher than the other.
    pub text: ByKind,
    /// Given either caption, its own picture scores higher than the other.
    pub image: ByKind,
    /// Both.
    pub group: ByKind,
}

/// What random scores reach in text, image and group, in percent: two right choices of two, and of
/// the 24 orders of four different scores the 4 in which both right ones come before both wrong
/// ones.
pub const CONTRAST_CHANCE: [f64; 3] = [25.0, 25.0, 100.0 / 6.0];

/// What random scores reach in the choice between two captions, in percent.
pub const CAPTION_CHANCE: f64 = 50.0;

/// Scores examples of two pictures and two captions, given by kind. Equal scores count as wrong.
///
/// # Errors
/// No examples, or a score that is NaN.
pub fn contrast<'a>(
    examples: impl IntoIterator<Item = (&'a str, FourScores)>,
) -> Result<ContrastScore, EvalError> {
    let examples: Vec<_> = examples.into_iter().collect();
    for (index, (_, scores)) in examples.iter().enumerate() {
        refuse_nan(index, scores.as_flattened())?;
    }
    let share = |is_right: fn(&FourScores) -> bool| {
        ByKind::of(
            examples.iter().map(|(kind, scores)| (*kind, f64::from(u8::from(is_right(scores))))),
        )
    };
    Ok(ContrastScore {
        text: share(text_is_right)?,
        image: share(image_is_right)?,
        group: share(|scores| text_is_right(scores) && image_is_right(scores))?,
    })
}

fn text_is_right([first, second]: &FourScores) -> bool {
    first[0] > second[0] && second[1] > first[1]
}

fn image_is_right([first, second]: &FourScores) -> bool {
    first[0] > first[1] && second[1] > second[0]
}

/// Share of the pictures whose true caption (the first score) beats the false one (the second), in
/// all and per kind. Equal scores count as wrong.
///
/// # Errors
/// No examples, or a score that is NaN.
pub fn caption_choice<'a>(
    examples: impl IntoIterator<Item = (&'a str, [f32; 2])>,
) -> Result<ByKind, EvalError> {
    let examples: Vec<_> = examples.into_iter().collect();
    for (index, (_, scores)) in examples.iter().enumerate() {
        refuse_nan(index, scores)?;
    }
    ByKind::of(
        examples.iter().map(|(kind, scores)| (*kind, f64::from(u8::from(scores[0] > scores[1])))),
    )
}

fn refuse_nan(example: usize, scores: &[f32]) -> Result<(), EvalError> {
    if scores.iter().any(|score| score.is_nan()) {
        return Err(EvalError::NanExample { example });
    }
    Ok(())
}
