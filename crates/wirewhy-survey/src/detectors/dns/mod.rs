pub(crate) mod conflicting_answers;
mod errors;
pub(crate) mod fragments_lost;
pub(crate) mod nxdomain;
pub(crate) mod refused;
pub(crate) mod servfail;
pub(crate) mod slow;
pub(crate) mod tcp_blocked;
#[cfg(test)]
mod tests;
pub(crate) mod timeout;
