//! How long a connection had been idle when it turned out to be dead.

use wirewhy_packet::Interval;

use crate::detectors::rst::idle_expired;
use crate::detectors::tcp::peer_vanished;
use crate::resets::Resets;
use crate::{Judged, Limits, code};

/// The idle time that a connection did not survive: it was reset after it (`rst.idle-expired`), or its peer had vanished
/// (`tcp.peer-vanished`). `None` where it ended otherwise.
#[must_use]
pub fn idle_before_end(judged: &Judged, limits: &Limits) -> Option<Interval> {
    let connection = &judged.connection;
    judged
        .findings
        .iter()
        .find_map(|finding| match finding.code {
            code::RST_IDLE_EXPIRED => idle_expired::idle(&Resets::of(connection, limits)?),
            code::TCP_PEER_VANISHED => peer_vanished::idle(connection, limits),
            _ => None,
        })
}
