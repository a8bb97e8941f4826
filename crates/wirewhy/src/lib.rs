//! Why TCP and TLS connections fail, from packets alone: the library's front door.
//!
//! [`analyze`] reads a capture and returns what is wrong with its connections; [`analyze_each`] hands over one connection
//! after another. [`engine`] has the parts for callers with a source or a reporter of their own.

pub mod engine;
pub mod evidence;
mod front;
pub mod packets;

pub use front::{Found, analyze, analyze_each};
