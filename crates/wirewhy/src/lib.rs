//! Why TCP and TLS connections fail, from packets alone: the library's front door.

pub mod engine;
pub mod evidence;
