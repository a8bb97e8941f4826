//! FTP sessions of several connections.

pub(crate) mod control_lost;
pub(crate) mod data_connection_failed;

#[cfg(test)]
mod trace;
