//! What the connections of one client to one service show together.

pub(crate) mod option_blackhole;
pub(crate) mod probe;
