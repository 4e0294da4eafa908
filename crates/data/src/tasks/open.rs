//! From a source to the examples of a task: the files say which format it is.

use std::path::PathBuf;

use super::classes::Classes;
use super::source::{Place, TaskSource};
use super::{
    Contrast, Expression, Hypothesis, PairStatement, Question, TaskData, aro, classes, easy_vqa,
    nlvr2, refcoco, snli_ve, sugar_crepe, vqa_v2, winoground,
};
use crate::error::DataError;
use crate::packages;

/// Questions about pictures: VQAv2's files, easy-VQA's, or the package `easy-vqa`.
///
/// # Errors
/// Where nothing of the kind is there (the message lists what was looked for), a file as a whole
/// cannot be read, or more examples are bad than the budget allows. So with all that follow.
pub fn open_questions(source: &TaskSource) -> Result<TaskData<Question>, DataError> {
    source.validate()?;
    let looked_for = format!("{}, or {}", vqa_v2::LOOKED_FOR, easy_vqa::LOOKED_FOR);
    let path = PathBuf::from(&source.source);
    if source.source == easy_vqa::NAME && !path.exists() {
        let folder = packages::folder(easy_vqa::NAME)
            .map_err(|error| DataError::Config(error.to_string()))?;
        let mut data = easy_vqa::open(source, &Place { folder, file: None })?;
        data.name = easy_vqa::NAME.into();
        return Ok(data);
    }
    let place = source.place(&looked_for)?;
    if !vqa_v2::question_files(&place)?.is_empty() {
        vqa_v2::open(source, &place)
    } else if place.file.is_none() && easy_vqa::is_here(&place.folder) {
        easy_vqa::open(source, &place)
    } else {
        Err(place.nothing(&looked_for))
    }
}

/// Statements about two pictures: NLVR2's files.
///
/// # Errors
/// As [`open_questions`].
pub fn open_pair_statements(source: &TaskSource) -> Result<TaskData<PairStatement>, DataError> {
    source.validate()?;
    nlvr2::open(source)
}

/// Sentences that a picture entails or not: SNLI-VE's files.
///
/// # Errors
/// As [`open_questions`].
pub fn open_hypotheses(source: &TaskSource) -> Result<TaskData<Hypothesis>, DataError> {
    source.validate()?;
    snli_ve::open(source)
}

/// Phrases that refer to a region: RefCOCO's files.
///
/// # Errors
/// As [`open_questions`].
pub fn open_expressions(source: &TaskSource) -> Result<TaskData<Expression>, DataError> {
    source.validate()?;
    refcoco::open(source)
}

/// Minimal pairs: Winoground's, SugarCrepe's or ARO's files.
///
/// # Errors
/// As [`open_questions`].
pub fn open_contrasts(source: &TaskSource) -> Result<TaskData<Contrast>, DataError> {
    const LOOKED_FOR: &str = "minimal pairs: examples.jsonl (Winoground), swap_att.json and the \
         like (SugarCrepe), visual_genome_relation.json or visual_genome_attribution.json (ARO)";
    source.validate()?;
    let place = source.place(LOOKED_FOR)?;
    if !place.files(|name| name == winoground::FILE)?.is_empty() {
        winoground::open(source, &place, LOOKED_FOR)
    } else if !sugar_crepe::files(&place)?.is_empty() {
        sugar_crepe::open(source, &place, LOOKED_FOR)
    } else if !aro::files(&place)?.is_empty() {
        aro::open(source, &place, LOOKED_FOR)
    } else {
        Err(place.nothing(LOOKED_FOR))
    }
}

/// Pictures of classes: a folder per class.
///
/// # Errors
/// As [`open_questions`].
pub fn open_classes(source: &TaskSource) -> Result<Classes, DataError> {
    source.validate()?;
    classes::open(source)
}
