//! What ARP and neighbour discovery show together.

use wirewhy_flow::Neighbours;

use super::GroupFinding;
use crate::detectors::{address_conflict, unanswered};
use crate::{Limits, Scope};

/// The findings about the addresses of a link.
#[must_use]
pub fn about_link(neighbours: &Neighbours, limits: &Limits) -> Vec<GroupFinding> {
    address_conflict::find(neighbours, limits)
        .into_iter()
        .chain(unanswered::find(neighbours, limits))
        .map(|(address, finding)| GroupFinding {
            scope: Scope::Host,
            subject: address.to_string(),
            finding,
        })
        .collect()
}
