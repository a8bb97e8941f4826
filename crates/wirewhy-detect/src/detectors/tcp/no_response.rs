//! `tcp.no-response`: the kernel took the request, the application never answers.

use wirewhy_flow::{Connection, Interval, Mark, Side};
use wirewhy_protocol::{AppFacts, AppProtocol, TlsFacts, UpgradeVerdict};

use super::slow_response::speaks_in_turns;
use super::{awaits_greeting, resets};
use crate::causes::CONVERSATION;
use crate::detectors::ftp_session;
use crate::wording::{request, socket, span};
use crate::{
    Cause, Confidence, Culprit, Detector, Facts, Finding, Group, Limits, Record, Reportable, Role,
    Rule, Severity, Signs,
};

pub(crate) const RECORD: Record = Record {
    code: "tcp.no-response",
    group: Group::Tcp,
    title: "The request was taken, but the application never answered",
    severity: Severity::Error,
    means: "The server's kernel acknowledged the request, so network and host are fine; its application did not answer in time. An error \
            where the client gave up waiting.",
    recognised: "A request whose last byte is acknowledged and no byte of the server: for 10 s, or until the client left. What counts \
                 as a request: HTTP, a request for TLS in a protocol that negotiates it, or a turn in a conversation in which the server \
                 has answered before and never speaks unasked; under TLS as many bytes as a request of HTTP has, where the client \
                 offers only HTTP, and it left after 3 s or more; where the protocol is not text, only after five or more such turns \
                 and where the client left. And a client that left after 3 s or more without the greeting with which FTP, SSH, \
                 SMTP, POP3, IMAP, NNTP and MySQL begin, by their ports.",
    look_alikes: "A request that is not acknowledged was not received: tcp.peer-vanished. One-way protocols, in which the server \
                  has nothing to say, are left alone.",
    check_next: &[
        "What was the application doing then: its log, its thread dump, the service behind it (database, DNS, upstream)?",
        "Is it out of workers or file descriptors (ss -ltn Recv-Q, its own metrics)?",
    ],
    explained_by: &[
        Cause::IfAsSevere("tcp.backend-unreachable"),
        Cause::IfAsSevere("tcp.checksum-drop"),
        Cause::IfAsSevere("tcp.one-way-path"),
        CONVERSATION,
        Cause::IfAsSevere("tcp.probe"),
        Cause::IfAsSevere("tls.not-tls"),
        Cause::IfAsSevere("proxy.header-mismatch"),
    ],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Tcp(Signs::OWED, detect),
};

/// What the client waited for.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    what: Awaited,
    since: Mark,
    waited: Interval,
}

/// What the server owes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Awaited {
    /// The answer to a request that is known to be complete.
    Request,
    /// The answer in a conversation of turns.
    Turn,
    /// The answer to a request under TLS, which cannot be read: by its size, in a session that is for HTTP.
    Sealed,
    /// The first message of a protocol in which the server speaks first.
    Greeting,
}

/// What the client waited for, if it waited too long.
fn waiting(connection: &Connection, limits: &Limits) -> Option<Waiting> {
    let (what, since) = awaited(connection)?;
    let (client, server) = (&connection.client, &connection.server);
    let taken = client
        .tcp
        .next
        .zip(server.tcp.acknowledged)
        .is_some_and(|(next, acknowledged)| {
            // The FIN of a client that gave up may be unacknowledged yet.
            next.distance_from(acknowledged) <= i32::from(client.tcp.fin.is_some())
        });
    let reset_by = |side| resets(connection, side).next().map(|(event, _)| event.time);
    let own_reset = reset_by(Side::Client);
    let gave_up = client
        .tcp
        .fin
        .map(|fin| fin.time)
        .into_iter()
        .chain(own_reset)
        .min();
    let ended = gave_up.into_iter().chain(reset_by(Side::Server)).min();
    let until = ended.unwrap_or(connection.observed_until);
    let waited = until.since(since.time);
    // A server that closes behind the client's end has not answered either.
    let open = server.tcp.fin.is_none_or(|fin| fin.time >= until);
    // What it sent and did not arrive may have been the answer.
    let lost = server
        .tcp
        .trouble()
        .is_some_and(|trouble| trouble.hole.is_some());
    // A client that leaves without the answer to a complete request has waited as long as it wanted to. One that closes its
    // half right behind the request still waits: then the answer can come until the server closes.
    let is_over = server.tcp.fin.is_some()
        || own_reset.is_some()
        || waited >= limits.silence
        || connection.heard_after(until) >= limits.no_response;
    let left = gave_up.is_some() && gave_up == ended && is_over;
    let long_enough = match what {
        Awaited::Turn if in_text(connection) && waited >= limits.no_response => true,
        Awaited::Request | Awaited::Greeting if waited >= limits.no_response => true,
        // A client that resets aborts, which has a finding of its own.
        Awaited::Request => left && own_reset.is_none(),
        // Who comes and goes at once only looks whether the port is open.
        Awaited::Greeting => left && waited >= limits.silence,
        Awaited::Turn | Awaited::Sealed => {
            left && waited >= limits.silence && waited >= usual_answer(connection)
        }
    };
    (taken && open && !lost && long_enough).then_some(Waiting {
        what,
        since,
        waited,
    })
}

/// What the server owes at the end, and since when: a greeting, the answer to a request, or its turn in a conversation of
/// turns.
fn awaited(connection: &Connection) -> Option<(Awaited, Mark)> {
    let (client, server) = (&connection.client, &connection.server);
    let silent = server.counts.payload_packets == 0 && server.tcp.counts.unseen_bytes == 0;
    if silent && awaits_greeting(connection) {
        // A client of SSH may introduce itself first.
        let since = client.last_payload.or(connection.tcp.handshake.ack);
        return Some((Awaited::Greeting, since?));
    }
    if let Some(request) = request_without_answer(connection) {
        return Some((Awaited::Request, request));
    }
    if let Some(request) = sealed_request(connection) {
        return Some((Awaited::Sealed, request));
    }
    Some((Awaited::Turn, turn(connection)?))
}

/// The client's latest bytes in a TLS session that is for HTTP, where they are as many as a request has: acknowledgements,
/// pings and window updates of HTTP/2 are shorter.
fn sealed_request(connection: &Connection) -> Option<Mark> {
    let exchange = &connection.tcp.exchange;
    let tls = connection.app.as_deref()?.tls.as_deref()?;
    let protocols = tls.client_hello.as_deref()?.alpn();
    let is_http = !protocols.is_empty()
        && protocols
            .iter()
            .all(|name| matches!(*name, b"h2" | b"http/1.1" | b"http/1.0"));
    if !is_http || !tls.is_established() || exchange.pushes || exchange.insists {
        return None;
    }
    let sent = tls.client.application_data;
    if only_tickets(tls) && sent.bytes >= u64::from(SHORTEST_REQUEST) {
        return sent.last.map(|mark| Mark {
            frame: mark.frame,
            time: mark.time,
        });
    }
    let asks = exchange.asked_bytes >= SHORTEST_REQUEST && sent.count > 0;
    exchange.asked.filter(|_| asks)
}

/// Whether all that a server of TLS 1.3 has sent behind the handshake are tickets (RFC 8446 section 4.6.1): several records of
/// one length. They come as the answer to the client's Finished, whatever the client sent with it.
fn only_tickets(tls: &TlsFacts) -> bool {
    let Some(finished) = tls.client.likely_finished.filter(|_| tls.is_1_3()) else {
        return false;
    };
    let behind = tls.server.sealed.iter().filter(|record| {
        record.mark.time >= finished.mark.time && !matches!(record.length, 19 | 11)
    });
    let lengths: Vec<_> = behind.map(|record| record.length).collect();
    let all = u64::try_from(lengths.len()) == Ok(tls.server.application_data.count);
    let alike = lengths
        .windows(2)
        .all(|pair| matches!(pair, [one, other] if one == other));
    all && lengths.len() >= 2 && alike
}

/// The fewest bytes of a request of HTTP with its record's header and tag.
const SHORTEST_REQUEST: u32 = 100;

/// A complete request of HTTP, or for TLS in a protocol that negotiates it, without any answer.
pub(super) fn request_without_answer(connection: &Connection) -> Option<Mark> {
    let app = connection.app.as_deref()?;
    let upgrade = app
        .upgrade
        .as_deref()
        .filter(|upgrade| upgrade.verdict == UpgradeVerdict::Unanswered);
    let (asked, answers) = match &app.awaiting {
        Some(awaiting) => (awaiting.sent, reads_answers(app)),
        None => (upgrade?.asked?, false),
    };
    // An answer in another protocol is an answer.
    let last = connection.server.last_payload;
    if !answers && last.is_some_and(|last| last.time >= asked.time) {
        return None;
    }
    Some(Mark {
        frame: asked.frame,
        time: asked.time,
    })
}

/// Whether the server speaks HTTP, so that what it sends is known to be an answer or none.
fn reads_answers(app: &AppFacts) -> bool {
    matches!(
        app.server.protocol,
        Some(AppProtocol::Http1Response | AppProtocol::Http2Settings)
    )
}

/// The client's turn, in a conversation in which the server has answered before and never speaks unasked. What is not text
/// must have gone by turns for longer, and the client must never have said more before it was answered.
fn turn(connection: &Connection) -> Option<Mark> {
    // A server of FTP leaves what comes during a transfer until it is over.
    if ftp_session(connection).is_some_and(|ftp| ftp.running().is_some()) {
        return None;
    }
    let exchange = &connection.tcp.exchange;
    let by_rhythm = exchange.answers >= TURNS && !exchange.insists && in_the_clear(connection);
    let in_turns = !exchange.pushes
        && !connection.client.sent_farewell
        && (by_rhythm || (exchange.answers > 0 && in_text(connection)));
    exchange.asked.filter(|_| in_turns)
}

/// So many questions, each answered before the next was asked, make a protocol of turns.
const TURNS: u32 = 5;

/// Lines of text in turns, as in SMTP or Redis.
fn in_text(connection: &Connection) -> bool {
    connection
        .app
        .as_deref()
        .is_some_and(|app| app.http.requests == 0 && speaks_in_turns(app))
}

/// Neither HTTP, which is read, nor a protocol that hides what it says.
fn in_the_clear(connection: &Connection) -> bool {
    connection.app.as_deref().is_some_and(|app| {
        app.http.requests == 0
            && app.tls.is_none()
            && [&app.client, &app.server].into_iter().all(|side| {
                side.inner.is_none()
                    && matches!(
                        side.protocol,
                        Some(
                            AppProtocol::Unknown
                                | AppProtocol::PostgreSql
                                | AppProtocol::MySql
                                | AppProtocol::Ldap
                        )
                    )
            })
    })
}

/// How long a turn of the server may take, by what its slowest answer took: several times as long.
fn usual_answer(connection: &Connection) -> Interval {
    let slowest = connection.tcp.exchange.slowest;
    slowest.map_or(Interval::ZERO, |answer| {
        Interval(answer.took().0.saturating_mul(3))
    })
}

fn detect(connection: &Connection, limits: &Limits) -> Option<Finding> {
    let Waiting {
        what,
        since: asked,
        waited,
    } = waiting(connection, limits)?;
    let server = &connection.server;
    let took = match what {
        Awaited::Greeting => "accepted the connection and sent no greeting".to_owned(),
        _ => format!("took the request{} and sent no answer", request(connection)),
    };
    // A client that waits for less than an answer usually takes may have left for a reason of its own; of a protocol that is
    // not read it is not known that an answer was due.
    let hasty = waited < limits.slow_response
        || what == Awaited::Sealed
        || (what == Awaited::Turn && !in_text(connection));
    let gave_up = connection.client.tcp.fin.is_some() || connection.client.tcp.counts.resets > 0;
    Some(Finding {
        code: RECORD.code,
        severity: if gave_up {
            Severity::Error
        } else {
            Severity::Warning
        },
        confidence: if hasty {
            Confidence::Possible
        } else {
            Confidence::Likely
        },
        culprit: if hasty {
            Role::Unknown.into()
        } else {
            Culprit::new(Role::Server, server.address)
        },
        summary: format!(
            "{} {took} in {}{}",
            socket(server),
            span(waited),
            match (gave_up, connection.is_ongoing()) {
                (true, _) => "; the client gave up",
                (false, true) => "; the client is still waiting",
                (false, false) => "; the client was still waiting when the capture ended",
            },
        ),
        frames: [Some(asked), connection.client.tcp.fin, server.last]
            .into_iter()
            .flatten()
            .map(|mark| mark.frame)
            .collect(),
        facts: Facts::default()
            .with("waited_seconds", waited)
            .with("client_gave_up", gave_up)
            .with("earlier_answers", connection.tcp.exchange.answers)
            .with("threshold_seconds", limits.no_response)
            .with(
                "stage",
                match what {
                    Awaited::Greeting => "established-no-data",
                    _ => "request-sent",
                },
            ),
        consequence_of: None,
    })
}

#[cfg(test)]
mod tests {
    use crate::testing::{codes, diagnosis};
    use crate::{Role, Severity};

    const ANSWERED_ONCE: &str = "0.00 > S 0:0(0)
         0.02 < SA 0:0(0) ack 1
         0.03 > A 1:1(0) ack 1
         0.04 > PA 1:11(10) ack 1
         0.06 < PA 1:11(10) ack 11
         0.07 > A 11:11(0) ack 11
         0.10 > PA 11:21(10) ack 11
         0.12 < A 11:11(0) ack 21";

    #[test]
    fn the_client_gives_up() {
        let diagnosis = diagnosis(&format!(
            "{ANSWERED_ONCE}\n 12.1 > FA 21:21(0) ack 11\n 12.2 < A 11:11(0) ack 22\n 20.0 end"
        ));
        let root = diagnosis.root_cause().unwrap();
        assert_eq!(
            (root.code, root.severity, root.culprit.role),
            ("tcp.no-response", Severity::Error, Role::Server)
        );
    }

    #[test]
    fn still_waiting_at_the_end_is_a_warning() {
        let diagnosis = diagnosis(&format!("{ANSWERED_ONCE}\n 15.0 end"));
        assert_eq!(diagnosis.root_cause().unwrap().severity, Severity::Warning);
    }

    const REQUEST: &str = "0.00 > S 0:0(0)
         0.02 < SA 0:0(0) ack 1
         0.03 > A 1:1(0) ack 1
         0.04 > PA 1:30(29) ack 1 \"GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n\"
         0.06 < A 1:1(0) ack 30";

    #[test]
    fn a_client_that_leaves_after_three_seconds_has_waited_long_enough() {
        let diagnosis = diagnosis(&format!(
            "{REQUEST}\n 3.04 > FA 30:30(0) ack 1\n 3.06 < FA 1:1(0) ack 31\n 3.07 > A 31:31(0) ack 2"
        ));
        let root = diagnosis.root_cause().unwrap();
        assert_eq!(
            (root.code, root.severity, root.culprit.role),
            ("tcp.no-response", Severity::Error, Role::Server)
        );
    }

    #[test]
    fn who_leaves_at_once_may_have_its_own_reason() {
        let diagnosis = diagnosis(&format!(
            "{REQUEST}\n 0.10 > FA 30:30(0) ack 1\n 0.12 < FA 1:1(0) ack 31\n 0.13 > A 31:31(0) ack 2"
        ));
        let root = diagnosis.root_cause().unwrap();
        assert_eq!(
            (root.code, root.culprit.role),
            ("tcp.no-response", Role::Unknown)
        );
    }

    #[test]
    fn a_client_that_closed_its_half_still_waits() {
        let lines =
            format!("{REQUEST}\n 0.07 > FA 30:30(0) ack 1\n 0.08 < A 1:1(0) ack 31\n 2.0 end");
        assert!(!codes(&lines).contains(&"tcp.no-response"));
    }

    /// A connection request of RDP that asks for TLS (MS-RDPBCGR section 2.2.1.1), and what comes back.
    fn rdp(answer: &str) -> Vec<&'static str> {
        codes(&format!(
            "0.00 > S 0:0(0)
             0.02 < SA 0:0(0) ack 1
             0.03 > A 1:1(0) ack 1
             0.04 > PA 1:20(19) ack 1 hex 030000130ee000000000000100080003000000
             {answer}"
        ))
    }

    #[test]
    fn a_request_for_tls_without_an_answer_and_one_answered_in_another_protocol() {
        let silent = rdp("0.06 < A 1:1(0) ack 20
             5.00 > FA 20:20(0) ack 1
             5.02 < FA 1:1(0) ack 21
             5.03 > A 21:21(0) ack 2");
        assert_eq!(silent, ["tcp.no-response"]);
        let answered = rdp("0.06 < PA 1:10(9) ack 20 hex 030000000003ff8001
             30.0 > FA 20:20(0) ack 10
             30.1 < FA 10:10(0) ack 21
             30.2 > A 21:21(0) ack 11");
        assert!(!answered.contains(&"tcp.no-response"));
    }

    /// Turns of a binary protocol, the last of them without an answer. With `insists` the client says more in one of them
    /// before it is answered.
    fn binary(turns: u32, insists: bool) -> Vec<&'static str> {
        let mut lines =
            "0.00 > S 0:0(0)\n 0.02 < SA 0:0(0) ack 1\n 0.03 > A 1:1(0) ack 1".to_owned();
        let (mut asked, mut answered) = (1, 1);
        for at in 1..=turns {
            let sent = if insists && at == 2 { 8 } else { 4 };
            for (part, from) in (asked..asked + sent).step_by(4).enumerate() {
                lines += &format!(
                    "\n {at}.{part}0 > PA {from}:{}(4) ack {answered} hex 00ff0001",
                    from + 4
                );
                lines = lines.replace(".10 >", ".50 >");
            }
            asked += sent;
            lines += &format!(
                "\n {at}.60 < PA {answered}:{}(4) ack {asked} hex 80ff0001",
                answered + 4
            );
            answered += 4;
        }
        let (at, end) = (turns + 1, asked + 4);
        codes(&format!(
            "{lines}
             {at}.00 > PA {asked}:{end}(4) ack {answered} hex 00ff0001
             {at}.01 < A {answered}:{answered}(0) ack {end}
             {left}.00 > FA {end}:{end}(0) ack {answered}
             {left}.01 < FA {answered}:{answered}(0) ack {}
             {left}.02 > A {}:{}(0) ack {}",
            end + 1,
            end + 1,
            end + 1,
            answered + 1,
            left = at + 5,
        ))
    }

    #[test]
    fn binary_turns_have_a_rhythm() {
        assert_eq!(binary(8, false), ["tcp.no-response"]);
        assert!(binary(4, false).is_empty(), "a few answers are no rhythm");
        assert!(binary(8, true).is_empty(), "not every message wants one");
    }

    #[test]
    fn an_answer_that_went_out_before_the_question_is_none() {
        let lines = "0.00 > S 0:0(0)
             0.02 < SA 0:0(0) ack 1
             0.03 > A 1:1(0) ack 1
             0.04 > PA 1:11(10) ack 1
             2.50 < PA 1:11(10) ack 1
             2.52 > A 11:11(0) ack 11
             2.60 < A 11:11(0) ack 11
             2.70 > FA 11:11(0) ack 11
             2.72 < FA 11:11(0) ack 12
             2.74 > A 12:12(0) ack 12";
        assert!(codes(lines).is_empty());
    }

    fn greeting(port: u16, left: f64) -> Vec<&'static str> {
        codes(&format!(
            "#1 server 192.0.2.9:{port}
             0.00 #1 > S 0:0(0)
             0.02 #1 < SA 0:0(0) ack 1
             0.03 #1 > A 1:1(0) ack 1
             {left:.2} #1 > FA 1:1(0) ack 1
             {:.2} #1 < FA 1:1(0) ack 2
             {:.2} #1 > A 2:2(0) ack 2",
            left + 0.02,
            left + 0.03
        ))
    }

    #[test]
    fn a_greeting_that_never_came() {
        assert_eq!(greeting(22, 8.0), ["tcp.no-response"]);
        assert!(greeting(22, 0.1).is_empty(), "a check of the port");
        assert!(greeting(443, 8.0).is_empty(), "the client speaks first");
    }

    #[test]
    fn a_server_with_nothing_to_say_is_no_failure() {
        let lines = "0.00 > S 0:0(0)
             0.02 < SA 0:0(0) ack 1
             0.03 > A 1:1(0) ack 1
             0.04 > PA 1:101(100) ack 1
             0.06 < A 1:1(0) ack 101
             15.0 > FA 101:101(0) ack 1
             15.1 < FA 1:1(0) ack 102
             15.2 > A 102:102(0) ack 2";
        assert!(codes(lines).is_empty());
    }

    #[test]
    fn a_server_that_pushes_owes_nothing() {
        let codes = codes(
            "0.00 > S 0:0(0)
             0.02 < SA 0:0(0) ack 1
             0.03 > A 1:1(0) ack 1
             0.04 > PA 1:11(10) ack 1
             0.06 < PA 1:11(10) ack 11
             5.00 < PA 11:21(10) ack 11
             5.01 > PA 11:21(10) ack 21
             5.02 < A 21:21(0) ack 21
             20.0 > FA 21:21(0) ack 21
             20.1 < FA 21:21(0) ack 22
             20.2 > A 22:22(0) ack 22",
        );
        assert!(codes.is_empty());
    }
}
