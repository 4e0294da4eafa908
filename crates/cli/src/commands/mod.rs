//! One file per command: its arguments and what it does with them.

pub mod ablate;
pub mod data;
pub mod doctor;
pub mod embed;
pub mod eval;
pub mod export;
pub mod import;
pub mod inspect;
mod kept_cells;
mod queue;
mod runs;
pub mod search;
pub mod source;
pub mod study;
pub mod table;
pub mod tag;
pub mod train;
pub mod verify;
