//! The stage signature of a failed connection, in the scheme of Cloudflare's study of connection tampering (Sundara Raman et
//! al., SIGCOMM 2023) and of Radar's "TCP resets and timeouts".
//!
//! It looks at the client's packets only, as a server receives them, and at no more than ten. It names a stage and a shape,
//! never a culprit: most connections that match one were not tampered with.

use wirewhy_flow::{Connection, EventKind, Interval, Reset, Side};

/// How many packets of the client the scheme looks at.
const PACKETS: u64 = 10;

/// How long the client must be silent before the scheme speaks of a timeout.
const TIMEOUT: Interval = Interval::from_secs(10);

/// The signature: stage and ending, as in `post-psh:rst+ack`; `None` where the scheme gives none. Stages: `post-syn`,
/// `post-ack`, `post-psh`, `later`. Endings: `timeout`, `rst`, `rst+ack`, `rst;rst+ack`, `rst+ack;rst+ack`, and of several
/// bare resets `rst=rst`, `rst!=rst` or `rst;rst0` by their acknowledgement fields.
#[must_use]
pub fn signature(connection: &Connection) -> Option<String> {
    let client = &connection.client;
    let handshake = &connection.tcp.handshake;
    if handshake.syns != 1 {
        return None;
    }
    let stage = match (handshake.ack.is_some(), client.counts.payload_packets) {
        (false, _) => "post-syn",
        (true, 0) => "post-ack",
        (true, 1) => "post-psh",
        (true, _) if client.counts.packets <= PACKETS => "later",
        _ => return None,
    };
    let resets: Vec<&Reset> = connection
        .events
        .iter()
        .filter(|event| event.from == Side::Client)
        .filter_map(|event| match &event.kind {
            EventKind::Reset(reset) => Some(reset.as_ref()),
            _ => None,
        })
        .collect();
    let ending = match resets.as_slice() {
        [] if client.tcp.fin.is_some()
            || client.silent_for(connection.observed_until)? < TIMEOUT =>
        {
            return None;
        }
        [] => "timeout",
        resets => form(resets),
    };
    Some(format!("{stage}:{ending}"))
}

fn form(resets: &[&Reset]) -> &'static str {
    let bare = resets.iter().filter(|reset| reset.ack.is_none());
    let fields: Vec<u32> = bare.map(|reset| reset.ack_field.0).collect();
    let with_ack = resets.len() - fields.len();
    match (fields.as_slice(), with_ack) {
        ([], 0 | 1) => "rst+ack",
        ([], _) => "rst+ack;rst+ack",
        ([_], 0) => "rst",
        ([first, rest @ ..], 0) if rest.iter().all(|field| field == first) => "rst=rst",
        (fields, 0) if fields.contains(&0) => "rst;rst0",
        (_, 0) => "rst!=rst",
        _ => "rst;rst+ack",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::diagnosis;

    fn of(lines: &str) -> Option<String> {
        signature(&diagnosis(lines).connection)
    }

    const OPEN: &str = "0.00 > S 0:0(0)\n 0.02 < SA 0:0(0) ack 1\n 0.03 > A 1:1(0) ack 1\n";

    #[test]
    fn stages_and_endings() {
        let cases = [
            ("0.0 > S 0:0(0)\n 20.0 end".to_owned(), "post-syn:timeout"),
            (format!("{OPEN} 0.04 > R 1:1(0)"), "post-ack:rst"),
            (
                format!("{OPEN} 0.04 > PA 1:11(10) ack 1\n 0.05 > RA 11:11(0) ack 1"),
                "post-psh:rst+ack",
            ),
            (
                format!("{OPEN} 0.04 > PA 1:11(10) ack 1\n 0.05 > R 11:11(0)\n 0.06 > R 12:12(0)"),
                "post-psh:rst=rst",
            ),
        ];
        for (lines, expected) in cases {
            assert_eq!(of(&lines).as_deref(), Some(expected), "{lines}");
        }
    }

    #[test]
    fn a_clean_end_has_none() {
        let lines = format!(
            "{OPEN} 0.04 > FA 1:1(0) ack 1\n 0.06 < FA 1:1(0) ack 2\n 0.07 > A 2:2(0) ack 2\n 20.0 end"
        );
        assert_eq!(of(&lines), None);
    }
}
