//! `tcp.delayed-ack-stall`: Nagle's algorithm waits for an acknowledgement that the other side delays.

use wirewhy_flow::{AckStalls, Connection, Interval, Side};

use crate::wording::{count, socket, span};
use crate::{
    Confidence, Culprit, Detector, Facts, Finding, Group, Limits, Record, Reportable, Role, Rule,
    Severity, Signs,
};

pub(crate) const RECORD: Record = Record {
    code: "tcp.delayed-ack-stall",
    group: Group::Tcp,
    title: "Small writes wait for a delayed acknowledgement (Nagle)",
    severity: Severity::Warning,
    means: "The application writes a message in several small pieces. The first goes out, the next is held back until the first is \
            acknowledged (Nagle's algorithm), and the other side delays that acknowledgement because it waits for the rest of the message. \
            Each message loses 40 ms (Linux) or 200 ms (Windows).",
    recognised: "A small segment with nothing else on the way, a bare acknowledgement of it 30 to 260 ms later than the round trip, and at \
                 once the next segment of the same side; again and again, and never a small segment before the one before it is acknowledged.",
    look_alikes: "A message sent whole, and an application that thinks: then the next segment does not follow on the acknowledgement. A side \
                  that sends small segments without waiting has Nagle's algorithm switched off (TCP_NODELAY).",
    check_next: &[
        "Let the application write each message at once (one buffer, writev), or set TCP_NODELAY on its socket.",
        "strace -e trace=write,send,sendto -p PID on the writing side shows the pieces.",
    ],
    explained_by: &[],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Tcp(Signs::TELLTALE, detect),
};

fn detect(connection: &Connection, limits: &Limits) -> Option<Finding> {
    [Side::Client, Side::Server].into_iter().find_map(|from| {
        let stalls = &connection.side(from).tcp.delivery.signs.as_deref()?.stalls;
        let often = stalls.count >= limits.ack_stalls && !stalls.does_not_wait;
        often.then(|| finding(connection, from, stalls))
    })
}

fn finding(connection: &Connection, from: Side, stalls: &AckStalls) -> Finding {
    let own = connection.side(from);
    let role = match from {
        Side::Client => Role::Client,
        Side::Server => Role::Server,
    };
    let each = Interval(stalls.total.0 / i64::from(stalls.count.max(1)));
    Finding {
        code: RECORD.code,
        severity: Severity::Warning,
        confidence: Confidence::Likely,
        culprit: Culprit::new(role, own.address),
        summary: format!(
            "{} waited {} for the delayed acknowledgement of a small segment before it sent the next, {} each, {} in all: it writes in \
             small pieces without TCP_NODELAY",
            socket(own),
            count(u64::from(stalls.count), "time"),
            span(each),
            span(stalls.total),
        ),
        frames: stalls.frames.clone(),
        facts: Facts::default()
            .with("writer", from.name())
            .with("stalls", stalls.count)
            .with("lost_seconds", stalls.total)
            .with("each_seconds", each)
            .with("longest_seconds", stalls.longest)
            .with("data_segments", own.counts.payload_packets)
            .with("vantage", connection.vantage().name()),
        consequence_of: None,
    }
}

#[cfg(test)]
mod tests {
    use crate::Role;
    use crate::testing::{codes, only};

    const OPEN: &str = "0.0000 > S 0:0(0) <mss 1460>
         0.0100 < SA 0:0(0) ack 1 <mss 1460>
         0.0101 > A 1:1(0) ack 1\n";

    /// Requests in two writes: the second goes out `behind` the acknowledgement of the first, which comes after `delay`.
    fn requests(turns: u32, delay: f64, behind: f64) -> String {
        let mut lines = OPEN.to_owned();
        let mut at = 0.1;
        for turn in 0..turns {
            let (seq, reply) = (1 + turn * 30, 1 + turn * 10);
            lines += &format!("{at:.4} > PA {seq}:{}(10) ack {reply}\n", seq + 10);
            at += delay;
            lines += &format!("{at:.4} < A {reply}:{reply}(0) ack {}\n", seq + 10);
            at += behind;
            lines += &format!("{at:.4} > PA {}:{}(20) ack {reply}\n", seq + 10, seq + 30);
            at += 0.011;
            lines += &format!("{at:.4} < PA {reply}:{}(10) ack {}\n", reply + 10, seq + 30);
            at += 0.1;
        }
        lines
    }

    #[test]
    fn forty_milliseconds_a_request() {
        let found = only(&requests(6, 0.051, 0.0002));
        assert_eq!(
            (found.code, found.culprit.role),
            ("tcp.delayed-ack-stall", Role::Client)
        );
    }

    #[test]
    fn two_hundred_milliseconds_seen_at_the_other_end() {
        // The second piece comes a round trip behind the acknowledgement.
        let lines = requests(6, 0.2, 0.011)
            .replace("0.0100 <", "0.0001 <")
            .replace("0.0101 >", "0.0110 >");
        assert_eq!(codes(&lines), ["tcp.delayed-ack-stall"]);
    }

    #[test]
    fn three_stalls_are_few() {
        assert!(codes(&requests(3, 0.051, 0.0002)).is_empty());
    }

    #[test]
    fn an_acknowledgement_at_once_stalls_nothing() {
        assert!(codes(&requests(6, 0.011, 0.0002)).is_empty());
    }

    #[test]
    fn an_application_that_thinks_does_not_wait_for_the_acknowledgement() {
        assert!(codes(&requests(6, 0.051, 0.03)).is_empty());
    }

    #[test]
    fn a_side_that_sends_on_unacknowledged_does_not_wait() {
        let more = "2.0000 > PA 181:191(10) ack 61
             2.0005 > PA 191:201(10) ack 61
             2.0120 < A 61:61(0) ack 201\n";
        assert!(codes(&(requests(6, 0.051, 0.0002) + more)).is_empty());
    }
}
