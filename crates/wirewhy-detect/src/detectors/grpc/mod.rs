//! gRPC over HTTP/2.

pub(crate) mod error_status;
