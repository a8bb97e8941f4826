//! `wirewhy scan`: many captures, examined side by side, reported in the order of their names.

pub(crate) mod escape;
pub(crate) mod examine;
pub(crate) mod order;
pub(crate) mod parts;
pub(crate) mod progress;
pub(crate) mod recordings;
pub(crate) mod spill;
pub(crate) mod state;
pub(crate) mod walk;
