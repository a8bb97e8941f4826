//! What many connections to one host show together.

pub(crate) mod idle_timer;
