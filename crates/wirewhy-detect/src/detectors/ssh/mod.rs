//! SSH.

pub(crate) mod no_shared_algorithms;
pub(crate) mod not_ssh;
