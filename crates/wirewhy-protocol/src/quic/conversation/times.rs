//! When the datagrams of a connection come, and how large they are.

use wirewhy_packet::Interval;

use super::{QuicConversation, other};
use crate::quic::facts::{Finishing, PacketKind, QuicSide, Sent, SincePause, Unanswered};
use crate::types::{Mark, Role};

/// The UDP payload that a datagram with an Initial packet has at least (RFC 9000 section 14.1).
const FULL_SIZE: u32 = 1_200;

/// A pause between datagrams is one from here on.
const PAUSE: Interval = Interval::from_secs(5);

/// From here on it is noted what follows one.
const SHORT_PAUSE: Interval = Interval::from_secs(1);

/// Datagrams so close together are sent at once.
const AT_ONCE: Interval = Interval::from_millis(10);

impl QuicConversation {
    pub(super) fn note_time(&mut self, role: Role, mark: Mark) {
        let before = self
            .latest
            .iter()
            .flatten()
            .map(|(mark, _)| mark.time)
            .max();
        let quiet = before.map_or(Interval::ZERO, |before| {
            mark.time.since(before).max(Interval::ZERO)
        });
        if let Some((by, pause)) = self.pause
            && by != role
        {
            self.facts.survived_idle = self.facts.survived_idle.max(pause);
            self.pause = None;
        }
        if quiet >= SHORT_PAUSE {
            self.facts.since_pause = SincePause {
                pause: quiet,
                ..SincePause::default()
            };
        }
        if quiet >= PAUSE {
            self.pause = Some((role, quiet));
        }
        let own = role.of(&mut self.latest);
        let apart = own.is_none_or(|(own, _)| mark.time.since(own.time) > AT_ONCE);
        *own = Some((mark, quiet));
        if apart {
            let recent = &mut self.facts.side_mut(role).recent;
            if recent.len() == QuicSide::RECENT {
                recent.pop_front();
            }
            recent.push_back(mark);
        }
    }

    pub(super) fn note_datagram(&mut self, role: Role, sent: Sent) {
        let length = u64::from(sent.length);
        let is_full = sent.length >= FULL_SIZE;
        self.facts.side_mut(other(role)).unanswered = Unanswered::default();
        let side = self.facts.side_mut(role);
        side.datagrams += 1;
        side.bytes += length;
        side.largest = side.largest.max(sent.length);
        side.full_size += u64::from(is_full);
        if side.early.len() < QuicSide::EARLY {
            side.early.push(sent);
        }
        let unanswered = &mut side.unanswered;
        unanswered.smallest = match unanswered.count {
            0 => sent.length,
            _ => unanswered.smallest.min(sent.length),
        };
        unanswered.count += 1;
        unanswered.full_size += u64::from(is_full);
        let apart = unanswered
            .last
            .is_none_or(|last| sent.mark.time.since(last.time) > AT_ONCE);
        if apart && unanswered.first.len() < Unanswered::KEPT {
            unanswered.first.push(sent.mark);
        }
        unanswered.last = Some(sent.mark);
        if role == Role::Client {
            self.note_finishing(&sent);
        }
        let since = &mut self.facts.since_pause;
        let (count, largest) = match role {
            Role::Client => (&mut since.client, &mut since.largest_request),
            Role::Server => (&mut since.server, &mut since.largest_answer),
        };
        *count = count.saturating_add(1);
        *largest = sent.length.max(*largest);
        let amplification = &mut self.facts.amplification;
        if amplification.validated.is_none() {
            match role {
                Role::Client => amplification.client_bytes += length,
                Role::Server => amplification.server_bytes += length,
            }
            let validates =
                role == Role::Client && (sent.handshake > 0 || sent.first == PacketKind::OneRtt);
            amplification.validated = validates.then_some(sent.mark);
        }
    }

    /// Notes a datagram of the client behind the server's flight.
    fn note_finishing(&mut self, sent: &Sent) {
        let [_, server] = &self.latest;
        let begun = self.facts.client.one_rtt.count > 0;
        let finishing = &mut self.facts.finishing;
        let answered = |last: Mark| server.is_some_and(|(server, _)| server.frame > last.frame);
        if sent.handshake > 0 {
            let before = finishing.last.replace(sent.mark);
            if !begun {
                // The last one before its first 1-RTT packet is the one with its Finished.
                finishing.first.clear();
                finishing.count = 0;
            }
            let apart = before.is_none_or(|before| sent.mark.time.since(before.time) > AT_ONCE);
            if (apart || !begun) && finishing.first.len() < Finishing::KEPT {
                finishing.first.push(sent.mark);
            }
            finishing.count = finishing.count.saturating_add(1);
            finishing.went_on = None;
        } else if finishing.last.is_some_and(answered) {
            finishing.went_on.get_or_insert(sent.mark);
        }
    }
}
