//! The catalogue: one record a code, in one ordered list.

use wirewhy_flow::Connection;

use crate::certificates::Presented;
use crate::{Finding, Limits, Severity, detectors};

/// Everything a user reads about one code: `wirewhy explain`, the README's table and the tests read the same text.
#[derive(Clone, Copy, Debug)]
pub struct Record {
    /// The stable name, `group.kebab-case`; the file of the detector is named after it.
    pub code: &'static str,
    /// A few words for a heading.
    pub title: &'static str,
    /// The worst severity it can have.
    pub severity: Severity,
    /// What it means for the person whose connection it is.
    pub means: &'static str,
    /// How it is recognised in the packets.
    pub recognised: &'static str,
    /// What else looks like it, and how it is told apart.
    pub look_alikes: &'static str,
    /// What to check and run next, one step a line.
    pub check_next: &'static [&'static str],
}

/// A rule over one finished connection.
#[derive(Clone, Copy, Debug)]
pub struct Detector {
    /// Its text.
    pub record: &'static Record,
    /// Its verdict on a connection.
    pub detect: fn(&Connection, &Limits) -> Option<Finding>,
}

/// A rule over the certificates that a server presented on one connection.
pub(crate) type CertificateDetector = fn(&Presented<'_>, &Limits) -> Option<Finding>;

/// The rules over one connection, in the order their findings are listed.
pub const DETECTORS: &[Detector] = detectors::CONNECTION;

/// Every record of the catalogue, in the order of `wirewhy explain`.
pub const RECORDS: &[&Record] = detectors::RECORDS;

/// The record of a code.
#[must_use]
pub fn record_of(code: &str) -> Option<&'static Record> {
    RECORDS.iter().copied().find(|record| record.code == code)
}
