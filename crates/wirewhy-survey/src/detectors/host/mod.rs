//! What many connections to one host show together.

pub(crate) mod address_conflict;
pub(crate) mod idle_timer;
pub(crate) mod port_scan;
pub(crate) mod syn_flood;
