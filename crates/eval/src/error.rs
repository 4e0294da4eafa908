//! Everything that can be wrong with what an evaluation is given.

use thiserror::Error;

/// What is wrong with the input of a metric or a report, and where.
#[derive(Debug, Error)]
pub enum EvalError {
    /// A retrieval set needs at least one picture.
    #[error("the retrieval set has no pictures")]
    NoImages,

    /// A picture without a caption has no right answer to find.
    #[error("picture {image} has no caption")]
    NoCaption {
        /// Index of the picture.
        image: usize,
    },

    /// A caption index past the end: captions are numbered from 0 without gaps.
    #[error("picture {image} names caption {text}, but there are only {texts} captions")]
    CaptionOutOfRange {
        /// Index of the picture.
        image: usize,
        /// Index of the caption.
        text: usize,
        /// Number of captions in the set.
        texts: usize,
    },

    /// A caption belongs to exactly one picture.
    #[error("caption {text} belongs to picture {first} and again to picture {second}")]
    CaptionTwice {
        /// Index of the caption.
        text: usize,
        /// The picture that named it first.
        first: usize,
        /// The picture that named it again.
        second: usize,
    },

    /// A score matrix whose length is not `images * texts`.
    #[error("expected {images} x {texts} scores (pictures x captions), got {got}")]
    ScoreCount {
        /// Number of scores given.
        got: usize,
        /// Number of pictures.
        images: usize,
        /// Number of captions.
        texts: usize,
    },

    /// A score that cannot be ranked.
    #[error("the score of picture {image} (row) and caption {text} (column) is NaN")]
    NanScore {
        /// Row of the score.
        image: usize,
        /// Column of the score.
        text: usize,
    },

    /// An inner product that cannot be ranked: one of the two has a NaN or an infinity.
    #[error("the inner product of query {query} and candidate {candidate} is NaN")]
    NanProduct {
        /// Row of the query.
        query: usize,
        /// Row of the candidate.
        candidate: usize,
    },

    /// The right answers of one set, the ranking of another.
    #[error(
        "the ranking has {images} pictures and {texts} captions, \
         its right answers {truth_images} and {truth_texts}"
    )]
    TruthMismatch {
        /// Pictures in the ranking.
        images: usize,
        /// Captions in the ranking.
        texts: usize,
        /// Pictures in the right answers.
        truth_images: usize,
        /// Captions in the right answers.
        truth_texts: usize,
    },

    /// Re-ranking in chunks of nothing would never end.
    #[error("the re-ranking chunk must hold at least one pair")]
    ZeroChunk,

    /// The pair scorer must return one score per pair.
    #[error("the pair scorer was given {expected} pairs and returned {got} scores")]
    PairScoreCount {
        /// Pairs given.
        expected: usize,
        /// Scores returned.
        got: usize,
    },

    /// Features that are not a whole number of rows, or of which there are too few.
    #[error("expected {expected}, got {got} values")]
    FeatureCount {
        /// What would have been right, in words.
        expected: String,
        /// Number of values given.
        got: usize,
    },

    /// A mean of nothing.
    #[error("there are no examples to score")]
    NoExamples,

    /// A score that is no share.
    #[error("an example of kind `{kind}` scores {score}; expected 0 to 1")]
    Score {
        /// Kind of the example.
        kind: String,
        /// Its score.
        score: f64,
    },

    /// An example with a score that cannot be compared.
    #[error("a score of example {example} is NaN")]
    NanExample {
        /// Index of the example.
        example: usize,
    },

    /// A class that there is not.
    #[error("example {example} has class {class}, but there are only {classes}")]
    ClassOutOfRange {
        /// Index of the example.
        example: usize,
        /// Its class.
        class: usize,
        /// Number of classes.
        classes: usize,
    },

    /// A template without a place for the class.
    #[error("the prompt template `{template}` has no {{}} for the name of the class")]
    Template {
        /// The template.
        template: String,
    },

    /// A question that VQA's server does not know.
    #[error(
        "`{key}` is no number of a question, or comes twice: only VQAv2's questions have numbers"
    )]
    SubmissionKey {
        /// Key of the question.
        key: String,
    },

    /// A metric of an ablation that two results of one run answer to.
    #[error(
        "{metric}: expected one result of this task and split, got those of `{first}` and of `{second}`"
    )]
    AmbiguousMetric {
        /// The metric, `task/split/metric`.
        metric: String,
        /// Checkpoint of the first result.
        first: String,
        /// Checkpoint of the second.
        second: String,
    },

    /// A row of an ablation to compare with that there is not.
    #[error("no variant {name:?} to compare with; expected one of {known}")]
    UnknownVariant {
        /// What was asked for.
        name: String,
        /// The names of the variants.
        known: String,
    },

    /// JSON has no infinity and no NaN.
    #[error("{task} on {split}: {name} is {value}, which JSON cannot hold")]
    NotFinite {
        /// The task of the result.
        task: String,
        /// The split of the result.
        split: String,
        /// The field or metric.
        name: String,
        /// Its value.
        value: f64,
    },

    /// A result that could not be written as JSON, or read from it.
    #[error("cannot convert a result to or from JSON: {0}")]
    Json(#[from] serde_json::Error),

    /// A heat map whose weights do not fit its grid.
    #[error("heat map of `{word}` in `{caption}`: {reason}")]
    HeatMap {
        /// Caption of the picture.
        caption: String,
        /// The word whose map it is.
        word: String,
        /// What is wrong.
        reason: String,
    },

    /// An example that cannot be drawn.
    #[error("the example `{title}` cannot be shown: {reason}")]
    Example {
        /// Its heading.
        title: String,
        /// What is wrong.
        reason: String,
    },

    /// A curve that could not be drawn.
    #[error("cannot draw the curve `{name}`: {reason}")]
    Chart {
        /// Name of the curve.
        name: String,
        /// What the plotting library said.
        reason: String,
    },
}
