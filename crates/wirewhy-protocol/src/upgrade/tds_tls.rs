//! TLS inside of TDS packets (MS-TDS section 2.2.6.5): the handshake is the payload of PRELOGIN packets; what comes after it
//! is sent as records of its own.

use super::tds::{HEADER, PRELOGIN};
use crate::facts::AppFacts;
use crate::parser::{Parser, ReaderPosition};
use crate::protocol::{Protocol, Reading};
use crate::records;
use crate::shared_state::SharedState;
use crate::types::{AppProtocol, Framing, Input, Mark, Role, Step, Transport, Unreadable};

pub(crate) static TLS_IN_TDS: Protocol = Protocol {
    id: AppProtocol::TlsInTds,
    name: "TLS in TDS",
    transports: &[Transport::Tcp],
    first: Some(Role::Client),
    probe: |_, bytes| wraps_records(bytes),
    reading: Reading::Parser(|| Box::new(Wrapped::default())),
};

/// Whether bytes are a PRELOGIN packet that begins with a handshake record, or with an alert; `None` while they may be.
fn wraps_records(bytes: &[u8]) -> Option<bool> {
    let fits = bytes
        .iter()
        .zip(0_u8..10)
        .all(|(&byte, index)| match index {
            0 => byte == PRELOGIN,
            1 => byte <= 1,
            8 => matches!(byte, 0x15 | 0x16),
            9 => byte == 3,
            _ => true,
        });
    match (fits, bytes.len()) {
        (false, _) => Some(false),
        (true, 10..) => Some(true),
        (true, _) => None,
    }
}

/// Takes the packets' headers away and reads records from what is left.
#[derive(Clone, Debug, Default)]
struct Wrapped {
    records: records::Reader,
    /// What is to come of a packet's payload.
    left: usize,
    /// The payload bytes read, of all packets.
    at: u64,
    /// Payload bytes of which the records need more.
    kept: Vec<u8>,
}

impl Parser for Wrapped {
    fn read(&mut self, input: Input<'_>, shared: &mut SharedState) -> Step {
        if self.left == 0 {
            return self.read_header(input);
        }
        let payload = input.bytes.get(..self.left).unwrap_or(input.bytes);
        self.left -= payload.len();
        match self.read_payload(payload, input.mark, input.role, shared) {
            Ok(()) => Step::To(input.after(payload.len())),
            Err(reason) => Step::Unreadable(reason),
        }
    }

    fn kept(&self) -> usize {
        self.kept.capacity()
    }

    fn framing(&self, position: ReaderPosition, shared: &SharedState) -> Framing {
        self.records.framing(self.inside(position), shared)
    }

    fn report(&self, position: ReaderPosition, facts: &mut AppFacts) {
        self.records.report(self.inside(position), facts);
    }
}

impl Wrapped {
    /// A packet's header, or the end of the wrapping.
    fn read_header(&mut self, input: Input<'_>) -> Step {
        if input.bytes.first() != Some(&PRELOGIN) {
            return Step::Ends(input.at);
        }
        let Some((&[_, _, high, low, ..], _)) = input.bytes.split_first_chunk::<HEADER>() else {
            return Step::More;
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        let Some(payload) = length.checked_sub(HEADER) else {
            return Step::Unreadable(Unreadable::Malformed);
        };
        self.left = payload;
        Step::To(input.after(HEADER))
    }

    fn read_payload(
        &mut self,
        payload: &[u8],
        mark: Mark,
        role: Role,
        shared: &mut SharedState,
    ) -> Result<(), Unreadable> {
        let mut bytes = std::mem::take(&mut self.kept);
        bytes.extend_from_slice(payload);
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let input = Input {
                at: self.at,
                bytes: rest,
                mark,
                role,
            };
            let to = match self.records.skips_to() {
                Some(end) if end > self.at => end.min(input.end()),
                _ => match self.records.read(input, shared) {
                    Step::To(offset) => offset.min(input.end()),
                    Step::More => break,
                    Step::Unreadable(reason) => return Err(reason),
                    Step::Ends(_) | Step::Stall => return Err(Unreadable::Malformed),
                },
            };
            let used = usize::try_from(to.saturating_sub(self.at)).unwrap_or(usize::MAX);
            rest = rest.get(used..).unwrap_or(&[]);
            self.at = to;
            if self.records.skips_to() == Some(to) {
                self.records.reached(to, mark, role, shared);
            }
        }
        self.kept = rest.to_vec();
        Ok(())
    }

    /// A place in the stream as one in the payloads.
    fn inside(&self, position: ReaderPosition) -> ReaderPosition {
        let kept = u64::try_from(self.kept.len()).unwrap_or(u64::MAX);
        let need = self.at.saturating_add(kept);
        ReaderPosition {
            upto: need.saturating_add(position.upto.saturating_sub(position.need)),
            need,
            pending: position.pending || kept > 0,
            ..position
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Turn, client, closed_facts, facts_of, segments, server};
    use crate::{AppFacts, AppProtocol, TlsStage, UpgradeVerdict};

    const ASKS: &[u8] = b"\x12\x01\0\x1a\0\0\0\0\0\0\x0b\0\x06\x01\0\x11\0\x01\xff\0\0\0\0\0\0\x01";
    const ON: &[u8] = b"\x04\x01\0\x1a\0\0\0\0\0\0\x0b\0\x06\x01\0\x11\0\x01\xff\0\0\0\0\0\0\x01";

    /// A record as the payload of a PRELOGIN packet.
    fn wrapped(record: &[u8]) -> Vec<u8> {
        let length = u16::try_from(record.len() + 8).unwrap().to_be_bytes();
        [&[0x12, 1, length[0], length[1], 0, 0, 0, 0][..], record].concat()
    }

    fn hello() -> Vec<u8> {
        let body = [&[3, 3][..], &[7; 32], &[0, 0, 2, 0xc0, 0x2f, 1, 0]].concat();
        let length = u8::try_from(body.len()).unwrap();
        let message = [&[1, 0, 0, length][..], &body].concat();
        [&[0x16, 3, 1, 0, length + 4][..], &message].concat()
    }

    /// The same over every segmentation.
    fn facts(turns: &[Turn]) -> AppFacts {
        let whole = closed_facts(turns);
        for size in 1..=80 {
            assert_eq!(facts_of(&segments(turns, size), turns), whole, "{size}");
        }
        whole
    }

    #[test]
    fn the_handshake_is_found_in_the_packets() {
        let alert = [0x15, 3, 3, 0, 2, 2, 70];
        let facts = facts(&[
            client(ASKS),
            server(ON),
            client(wrapped(&hello())),
            server(wrapped(&alert)),
        ]);
        let tls = facts.tls.unwrap();
        assert!(tls.client_hello.is_some());
        assert_eq!(tls.server.alerts[0].description.unwrap().0, 70);
        assert_eq!(facts.upgrade.unwrap().verdict, UpgradeVerdict::Accepted);
        assert_eq!(facts.client.inner, Some(AppProtocol::TlsInTds));
    }

    #[test]
    fn a_record_over_several_packets_and_those_behind_them() {
        let (first, second) = (hello()[..20].to_vec(), hello()[20..].to_vec());
        let sealed = [0x17, 3, 3, 0, 4, 1, 2, 3, 4];
        let facts = facts(&[
            client(ASKS),
            server(ON),
            client(wrapped(&first)),
            client(wrapped(&second)),
            client(sealed),
        ]);
        let tls = facts.tls.unwrap();
        assert!(tls.client_hello.is_some());
        assert_eq!(tls.client.sealed_count, 1);
        assert_eq!(facts.client.inner, Some(AppProtocol::Tls));
    }

    #[test]
    fn a_packet_that_stops_in_a_record() {
        let facts = facts(&[client(ASKS), server(ON), client(wrapped(&hello()[..20]))]);
        let tls = facts.tls.unwrap();
        assert_eq!(tls.client.incomplete.unwrap().received, 15);
        assert_eq!(tls.stage(), TlsStage::Begun);
    }

    #[test]
    fn the_answer_to_a_login_that_alone_was_encrypted() {
        let off = |message: &[u8]| [&message[..message.len() - 1], &[0]].concat();
        let sealed = [0x17, 3, 3, 0, 4, 1, 2, 3, 4];
        // An error token: number 18456, state, class, a text of two letters.
        let content = [0x18, 0x48, 0, 0, 1, 14, 2, 0, b'n', 0, b'o', 0];
        let error = [&[4, 1, 0, 23, 0, 51, 1, 0, 0xaa, 12, 0][..], &content].concat();
        let turns = |answer: &[u8]| {
            [
                client(off(ASKS)),
                server(off(ON)),
                client(wrapped(&hello())),
                server(wrapped(&[0x16, 3, 3, 0, 4, 14, 0, 0, 0])),
                client(sealed),
                server(answer),
            ]
        };
        let refusal = facts(&turns(&error)).refusal.unwrap();
        assert_eq!(
            (&*refusal.code, refusal.message.as_deref()),
            ("18456", Some("no"))
        );
        // A login that is accepted, and one whose answer is encrypted like all that follows.
        let accepted = [4, 1, 0, 13, 0, 51, 1, 0, 0xad, 2, 0, 1, 0];
        assert_eq!(facts(&turns(&accepted)).refusal, None);
        assert_eq!(facts(&turns(&sealed)).refusal, None);
    }
}
