//! VQA: visual question answering as a choice among the most frequent answers.

use burn::tensor::Tensor;
use burn::tensor::activation::{log_sigmoid, log_softmax};
use serde::{Deserialize, Serialize};

use crate::classification::mean_score;
use crate::objective::{Loss, Objective, unit_weight};
use crate::views::Views;

/// How an answer's score becomes a loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AnswerLoss {
    /// Each answer is right or wrong by itself: for questions with several right answers.
    #[default]
    Binary,
    /// One answer is right: for questions about facts.
    Softmax,
}

/// The `[objectives.vqa]` table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VqaConfig {
    #[serde(default = "unit_weight")]
    pub weight: f64,
    /// How many of the most frequent training answers can be given (VQAv2 has 3,129 by custom).
    #[serde(default = "usual_answers")]
    pub answers: usize,
    #[serde(default)]
    pub loss: AnswerLoss,
}

fn usual_answers() -> usize {
    3129
}

/// `-mean_i sum_a s_ia log sigmoid(z_ia) + (1 - s_ia) log sigmoid(-z_ia)` with the answers' soft
/// scores `s`: binary cross-entropy summed over the answers (METER's code; Teney et al. 2018,
/// equation 6). With [`AnswerLoss::Softmax`] `-mean_i sum_a s_ia log softmax(z_i)[a]`.
///
/// # Shapes
///
/// - `logits`, `scores`: `[batch, answers]`
/// - output: `[1]`
pub fn vqa_loss(logits: Tensor<2>, scores: Tensor<2>, loss: AnswerLoss) -> Tensor<1> {
    let likelihood = match loss {
        AnswerLoss::Binary => {
            let wrong = scores.clone().neg() + 1.0;
            scores * log_sigmoid(logits.clone()) + wrong * log_sigmoid(logits.neg())
        }
        AnswerLoss::Softmax => scores * log_softmax(logits, 1),
    };
    likelihood.sum_dim(1).mean().neg()
}

/// The objective.
pub struct Vqa(pub VqaConfig);

impl Objective for Vqa {
    fn name(&self) -> &'static str {
        "vqa"
    }

    fn weight(&self) -> f64 {
        self.0.weight
    }

    fn compute(&self, views: &mut Views) -> Loss {
        let (logits, scores) = (views.task_output(), views.class_scores());
        let accuracy = mean_score(logits.clone().inner(), scores.clone());
        let value = vqa_loss(logits, scores, self.0.loss);
        Loss { name: self.name(), value, figures: vec![("vqa_accuracy", accuracy)] }
    }
}
