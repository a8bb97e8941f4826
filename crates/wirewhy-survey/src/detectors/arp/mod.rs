//! Addresses that no host on the link answers for.

pub(crate) mod unanswered;
