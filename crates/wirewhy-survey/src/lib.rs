//! Many connections to findings: what services, hosts, links and the recording show, and what connections show about one
//! another.
//!
//! A [`Survey`] takes in every diagnosed connection once, in any order of ending, and keeps bounded tables. It revises the
//! findings of single connections by what the others show ([`Survey::revise`]) and concludes what only many connections show
//! ([`Survey::findings`]). Like the rules of `wirewhy-detect` it sees no bytes, no clock and no files.

mod alive;
mod attempt;
mod attempts;
mod backends;
mod catalogue;
mod challenges;
mod clients;
mod detectors;
mod distinct_count;
mod features;
mod flood;
mod ftp;
mod group;
mod hellos;
mod latest;
mod lookup_findings;
mod lookups;
mod openings;
mod options;
mod probes;
mod quic;
mod recent;
mod recording;
mod rule;
mod service;
mod source;
mod spoken;
mod strays;
mod survey;
mod table;
#[cfg(test)]
mod testing;
mod totals;
mod upstreams;

pub use catalogue::{record_of, records};
pub use distinct_count::DistinctCount;
pub use group::GroupFinding;
pub use recording::CaptureFaults;
pub use survey::Survey;
pub use totals::Totals;
