//! The PROXY protocol.

pub(crate) mod header_mismatch;
