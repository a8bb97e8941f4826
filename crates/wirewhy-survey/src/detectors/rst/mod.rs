//! Resets that only other connections explain.

pub(crate) mod after_close;
pub(crate) mod stray_segment;
