//! A finding about more than one connection.

use std::net::IpAddr;

use wirewhy_detect::{Finding, Scope};

/// A finding about more than one connection.
#[derive(Clone, PartialEq, Debug)]
pub struct GroupFinding {
    /// What kind of thing it is about.
    pub scope: Scope,
    /// Which one: `10.0.0.9:443`, `10.0.0.9`, a file name.
    pub subject: String,
    /// The finding.
    pub finding: Finding,
}

/// A finding about one host.
pub(crate) fn about_host(address: IpAddr, finding: Finding) -> GroupFinding {
    GroupFinding {
        scope: Scope::Host,
        subject: address.to_string(),
        finding,
    }
}
