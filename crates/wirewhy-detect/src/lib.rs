//! Connections to findings: the rules.
//!
//! [`judge()`] runs every detector of [`DETECTORS`] over one finished connection; a [`Survey`] adds what only shows over
//! many of them. Detectors are pure functions over finished facts: they keep no state, see no bytes and write nothing.
//! Every word a user reads about a finding stands in its [`Record`].

mod certificates;
mod detectors;
mod finding;
mod handshake;
mod icmp;
mod judge;
mod limits;
mod record;
mod resets;
mod settle;
mod signature;
mod survey;
#[cfg(test)]
mod testing;
mod timers;
mod wording;

pub use certificates::{TrustStore, UnusableRoot};
pub use finding::{Confidence, Culprit, Facts, Finding, Role, Scope, Severity, Value};
pub use judge::{Judged, Outcome, judge};
pub use limits::Limits;
pub(crate) use record::Rule;
pub use record::{DETECTORS, Detector, RECORDS, Record, record_of};
pub use settle::{outlook, settles};
pub use signature::signature;
pub use survey::{
    Across, CaptureFaults, Captured, Episode, GroupFinding, Judgement, Proof, Said, Survey,
    Tallies, Totals, about_link,
};
