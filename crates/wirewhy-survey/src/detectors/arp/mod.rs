//! Addresses that nobody answers for on the link.

pub(crate) mod unanswered;
