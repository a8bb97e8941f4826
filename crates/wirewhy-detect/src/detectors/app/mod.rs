//! Services that refuse a session.

pub(crate) mod session_refused;
