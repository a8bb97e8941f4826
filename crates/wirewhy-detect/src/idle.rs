//! How long a connection had been idle when it turned out to be dead.

use wirewhy_flow::Side;
use wirewhy_packet::Interval;

use crate::detectors::rst::idle_expired;
use crate::detectors::tcp::peer_vanished;
use crate::resets::Resets;
use crate::{Diagnosis, Limits, Role, Severity, Value, code};

/// An idle time that a connection did not survive.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct FatalIdle {
    /// How long the connection had been idle.
    pub idle: Interval,
    /// Whether it may have been the client's own limit: a reset in its name that answers nothing, with nothing outstanding,
    /// and no sign of another sender.
    pub by_client: bool,
}

/// The idle time that a connection did not survive: it was reset after it (`rst.idle-expired`), or its peer had vanished
/// (`tcp.peer-vanished`). `None` where it ended otherwise.
#[must_use]
pub fn idle_before_end(diagnosis: &Diagnosis, limits: &Limits) -> Option<FatalIdle> {
    let connection = &diagnosis.connection;
    diagnosis.findings.iter().find_map(|finding| {
        let idle = match finding.code {
            code::RST_IDLE_EXPIRED => idle_expired::idle(&Resets::of(connection, limits)?),
            code::TCP_PEER_VANISHED => peer_vanished::idle(connection, limits),
            _ => None,
        }?;
        let sender = finding.facts.value("sender");
        Some(FatalIdle {
            idle,
            by_client: finding.severity == Severity::Note
                && finding.culprit.role != Role::Path
                && sender == Some(&Value::from(Side::Client.name())),
        })
    })
}
