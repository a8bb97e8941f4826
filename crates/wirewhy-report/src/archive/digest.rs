//! What a summary over many captures needs to know of one.

use std::io;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use wirewhy_detect::{Diagnosis, Outcome, Scope, Severity};
use wirewhy_survey::{GroupFinding, Totals};

use super::top::{Top, TopCount};
use crate::json::TotalsShape;
use crate::{CaptureSummary, Reporter, View};

/// How many services, clients and findings of one capture are kept apart.
const MOST: usize = 256;

/// One capture in a few lines, small whatever its size.
///
/// It can be written down as JSON and read back, so that a summary over an archive can be made again without the
/// captures.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Digest {
    /// Frames read.
    pub packets: u64,
    /// Captured bytes in them.
    pub bytes: u64,
    /// Why reading ended early, in one line.
    pub problem: Option<String>,
    pub(super) first_time: Option<i64>,
    pub(super) last_time: Option<i64>,
    pub(super) totals: TotalsShape,
    pub(super) causes: Vec<CauseCount>,
    pub(super) services: Vec<ServiceCount>,
    pub(super) clients: Vec<ClientCount>,
    pub(super) beyond: Vec<BeyondCount>,
}

/// Connections with one root cause.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct CauseCount {
    pub(super) code: String,
    pub(super) failed: bool,
    pub(super) number: u64,
    pub(super) first: i64,
    pub(super) last: i64,
}

/// Connections to one service with one root cause.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct ServiceCount {
    pub(super) code: String,
    pub(super) address: IpAddr,
    pub(super) port: u16,
    pub(super) number: u64,
    pub(super) first: i64,
}

/// Failed or degraded connections of one client.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct ClientCount {
    pub(super) address: IpAddr,
    pub(super) number: u64,
    pub(super) first: i64,
}

/// A finding beyond one connection.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct BeyondCount {
    pub(super) code: String,
    pub(super) severity: u8,
    /// Nothing where the recording itself is meant, which every capture calls by its own name.
    pub(super) subject: Option<String>,
    /// `host`, `service`, `lookup`, `capture`.
    pub(super) scope: String,
}

impl Digest {
    /// Whether a connection failed or was degraded for a cause that is shown, or the capture could not be read to its end.
    #[must_use]
    pub fn has_trouble(&self, view: &View) -> bool {
        self.problem.is_some() || self.shown(view).next().is_some()
    }

    /// The causes that are shown.
    pub(super) fn shown(&self, view: &View) -> impl Iterator<Item = &CauseCount> {
        self.causes.iter().filter(|cause| {
            let severity = if cause.failed {
                Severity::Error
            } else {
                Severity::Warning
            };
            view.counts_code(&cause.code, severity)
        })
    }
}

/// Severities as numbers, the worst highest.
pub(super) fn rank(severity: Severity) -> u8 {
    match severity {
        Severity::Note => 0,
        Severity::Warning => 1,
        Severity::Error => 2,
    }
}

/// The severity of a number.
pub(super) fn severity(rank: u8) -> Severity {
    match rank {
        0 => Severity::Note,
        1 => Severity::Warning,
        _ => Severity::Error,
    }
}

/// A reporter that keeps nothing but a [`Digest`].
#[derive(Debug)]
pub struct Digester {
    causes: Vec<CauseCount>,
    services: Top<(&'static str, IpAddr, u16)>,
    clients: Top<IpAddr>,
    digest: Digest,
}

impl Default for Digester {
    fn default() -> Digester {
        Digester {
            causes: Vec::new(),
            services: Top::new(MOST),
            clients: Top::new(MOST),
            digest: Digest::default(),
        }
    }
}

impl Digester {
    /// The digest, once the end of the capture was reported.
    #[must_use]
    pub fn into_digest(self) -> Digest {
        self.digest
    }

    fn count(&mut self, code: &'static str, outcome: Outcome, begun: i64) {
        let failed = outcome == Outcome::Failed;
        match self.causes.iter_mut().find(|cause| cause.code == code) {
            Some(cause) => {
                cause.number += 1;
                cause.failed |= failed;
                cause.first = cause.first.min(begun);
                cause.last = cause.last.max(begun);
            }
            None => self.causes.push(CauseCount {
                code: code.to_owned(),
                failed,
                number: 1,
                first: begun,
                last: begun,
            }),
        }
    }
}

impl Reporter for Digester {
    fn connection(&mut self, diagnosis: &Diagnosis) -> io::Result<()> {
        let outcome = diagnosis.outcome();
        if !matches!(outcome, Outcome::Failed | Outcome::Degraded) {
            return Ok(());
        }
        let Some(cause) = diagnosis.root_cause() else {
            return Ok(());
        };
        let connection = &diagnosis.connection;
        let begun = connection.first.time.0;
        self.count(cause.code, outcome, begun);
        let tally = TopCount {
            number: 1,
            first: begun,
            known: false,
        };
        let server = &connection.server;
        self.services
            .add((cause.code, server.address, server.port), tally);
        self.clients.add(connection.client.address, tally);
        Ok(())
    }

    fn finish(
        &mut self,
        capture: &CaptureSummary,
        totals: &Totals,
        group: &[GroupFinding],
    ) -> io::Result<()> {
        let mut causes = std::mem::take(&mut self.causes);
        causes.sort_by(|a, b| b.number.cmp(&a.number).then_with(|| a.code.cmp(&b.code)));
        let service =
            |((code, address, port), tally): ((&str, IpAddr, u16), TopCount)| ServiceCount {
                code: code.to_owned(),
                address,
                port,
                number: tally.number,
                first: tally.first,
            };
        let client = |(address, tally): (IpAddr, TopCount)| ClientCount {
            address,
            number: tally.number,
            first: tally.first,
        };
        self.digest = Digest {
            packets: capture.packets,
            bytes: capture.bytes,
            problem: capture.problem.clone(),
            first_time: capture.first_time.map(|time| time.0),
            last_time: capture.last_time.map(|time| time.0),
            totals: TotalsShape::new(totals),
            causes,
            services: self
                .services
                .largest(MOST)
                .into_iter()
                .map(service)
                .collect(),
            clients: self.clients.largest(MOST).into_iter().map(client).collect(),
            beyond: group.iter().take(MOST).map(beyond).collect(),
        };
        Ok(())
    }
}

fn beyond(found: &GroupFinding) -> BeyondCount {
    let finding = &found.finding;
    let subject = match found.scope {
        Scope::Capture => None,
        _ => Some(found.subject.clone()),
    };
    BeyondCount {
        code: finding.code.to_owned(),
        severity: rank(finding.severity),
        subject,
        scope: found.scope.name().to_owned(),
    }
}
