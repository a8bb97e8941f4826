//! Time in which a recording was not running, or of which packets are missing.

use wirewhy_packet::{Interval, Timestamp};

use super::{Occupant, Tracker};
use crate::{Endpoint, EndpointState};

/// A recording without any packet for longer than this was not running in between: several were joined.
const LONGEST_PAUSE: Interval = Interval::from_secs(24 * 3600);

/// How many pauses are remembered.
const MOST_PAUSES: usize = 64;

impl Tracker {
    /// Notes that packets are missing before the next one, because a file of the recording is. What is followed may have
    /// gone on in between in any way, unless both sides have closed.
    pub fn interrupt(&mut self) {
        self.interrupted = true;
        self.lookups.interrupt();
        self.alone.interrupt();
        self.promote_where(Occupant::is_brief_and_open);
        for slot in &mut self.slots {
            match &mut slot.occupant {
                Occupant::None | Occupant::Alone(_) | Occupant::Brief(_) | Occupant::AtRest(_) => {}
                Occupant::Connection(tracked) => {
                    let closed = |side: &Endpoint| {
                        matches!(
                            side.tcp.state,
                            EndpointState::Closing { acknowledged: true }
                        )
                    };
                    let connection = &mut tracked.connection;
                    let is_closed = closed(&connection.client) && closed(&connection.server);
                    connection.interrupted |= !is_closed;
                }
                Occupant::Datagrams(tracked) => tracked.connection.interrupted = true,
            }
        }
    }

    /// Several recordings were joined into this one: nothing was recorded in between.
    #[inline]
    pub(super) fn note_pause(&mut self, time: Timestamp) {
        let paused = self.now.0 != i64::MIN && time.since(self.now) > LONGEST_PAUSE;
        if paused && self.pauses.len() < MOST_PAUSES {
            self.pauses.push(self.now);
        }
    }

    /// Until when it is known that a connection was silent whose latest packet came at `last`: until now, or until the
    /// recording paused.
    pub(super) fn observed_until(&self, last: Timestamp) -> Timestamp {
        let paused = self.pauses.iter().copied().find(|from| *from >= last);
        paused.map_or(self.now, |from| from.min(self.now))
    }
}
