//! FTP sessions of several connections.

pub(crate) mod control_lost;
pub(crate) mod data_connection_failed;
mod mismatch;

#[cfg(test)]
mod trace;
