//! Sessions as traces.

use super::super::trace::Control;
use super::*;
use crate::testing::diagnose_all;
use wirewhy_detect::{Diagnosis, Outcome};

/// A connection that opens, carries `bytes` of the server, and is closed by it.
fn whole(number: u32, at: f64, bytes: u32) -> String {
    let line = |after: f64, text: &str| format!("{:.3} #{number} {text}\n", at + after);
    let end = 1 + bytes;
    let data = match bytes {
        0 => String::new(),
        _ => line(0.03, &format!("< PA 1:{end}({bytes}) ack 1")),
    };
    [
        line(0.0, "> S 0:0(0)"),
        line(0.01, "< SA 0:0(0) ack 1"),
        line(0.02, "> A 1:1(0) ack 1"),
        data,
        line(0.04, &format!("< FA {end}:{end}(0) ack 1")),
        line(0.05, &format!("> FA 1:1(0) ack {}", end + 1)),
        line(0.06, &format!("< A {}:{}(0) ack 2", end + 1, end + 1)),
    ]
    .concat()
}

fn unanswered(number: u32, at: f64) -> String {
    format!(
        "{at:.3} #{number} > S 0:0(0)\n{:.3} #{number} > S 0:0(0)\n{:.3} #{number} > S 0:0(0)\n",
        at + 1.0,
        at + 3.0
    )
}

/// The control connection and the others, diagnosed.
fn run(control: &Control) -> (Diagnosis, Vec<Diagnosis>) {
    let mut diagnosis = diagnose_all(&control.trace());
    let control = diagnosis.remove(0);
    assert_eq!(control.connection.server.port, 21);
    (control, diagnosis)
}

fn failed(control: &Control) -> Finding {
    let (diagnosis, _) = run(control);
    let root = diagnosis.root_cause().cloned().expect("a root cause");
    assert_eq!(root.code, RECORD.code);
    root
}

#[test]
fn a_list_of_nothing_and_an_upload_are_healthy() {
    let mut control = Control::new();
    control.say(1.0, "> PASV");
    control.say(1.1, "< 227 (192,0,2,9,195,80)");
    control.add("#2 server 192.0.2.9:50000");
    control.add(&whole(2, 1.2, 0));
    control.say(1.3, "> LIST");
    control.say(1.4, "< 150 Here.");
    control.say(1.5, "< 226 Done.");
    control.close(2.0);
    let (control, data) = run(&control);
    assert_eq!(
        (control.outcome(), control.findings.len()),
        (Outcome::Ok, 0)
    );
    assert_eq!(data[0].findings, []);
    // Without the session it looks like a server that refuses.
    let alone = diagnose_all(&format!("server 192.0.2.9:50000\n{}", whole(1, 1.2, 0)));
    assert_eq!(alone[0].findings[0].code, "tcp.closed-without-data");
}

#[test]
fn a_blocked_passive_port() {
    let mut control = Control::new();
    control.say(1.0, "> EPSV");
    control.say(1.1, "< 229 Entering (|||50000|)");
    control.add("#2 server 192.0.2.9:50000");
    control.add(&unanswered(2, 1.2));
    control.close(9.0);
    let found = failed(&control);
    assert!(
        found.summary.contains("tcp.syn-unanswered (stream 1)"),
        "{}",
        found.summary
    );
    assert_eq!(found.severity, Severity::Error);
}

#[test]
fn another_attempt_that_succeeds() {
    let mut control = Control::new();
    control.say(1.0, "> EPSV");
    control.say(1.1, "< 229 Entering (|||50000|)");
    control.add("#2 server 192.0.2.9:50000\n#3 server 192.0.2.9:50001");
    control.add(&unanswered(2, 1.2));
    control.say(6.0, "> PASV");
    control.say(6.1, "< 227 (192,0,2,9,195,81)");
    control.add(&whole(3, 6.2, 100));
    control.say(6.3, "> LIST");
    control.say(6.4, "< 150 Here.");
    control.say(6.5, "< 226 Done.");
    control.close(9.0);
    assert_eq!(failed(&control).severity, Severity::Warning);
}

#[test]
fn a_private_address() {
    let session = |address: &str, connects: Option<&str>| {
        let mut control = Control::new();
        control.say(1.0, "> PASV");
        control.say(1.1, &format!("< 227 ({address},195,80)"));
        if let Some(host) = connects {
            control.add(&format!("#2 server {host}:50000"));
            if host == "192.0.2.9" {
                control.add(&whole(2, 1.2, 100));
                control.say(1.3, "> LIST");
                control.say(1.4, "< 150 Here.");
                control.say(1.5, "< 226 Done.");
            } else {
                control.add(&unanswered(2, 1.2));
            }
        }
        control.close(9.0);
        control
    };
    let believed = failed(&session("10,0,0,5", Some("10.0.0.5")));
    assert_eq!(
        (believed.severity, believed.culprit.role),
        (Severity::Error, Role::Server)
    );
    assert!(
        believed.summary.contains("is a private address"),
        "{}",
        believed.summary
    );
    let elsewhere = failed(&session("10,0,0,5", None));
    assert_eq!(
        (elsewhere.severity, elsewhere.culprit.role),
        (Severity::Error, Role::Server)
    );
    let ignored = failed(&session("10,0,0,5", Some("192.0.2.9")));
    assert_eq!(ignored.severity, Severity::Note);
    let (own, _) = run(&session("192,0,2,9", Some("192.0.2.9")));
    assert_eq!(own.findings, []);
}

#[test]
fn an_active_connection_that_is_refused() {
    let mut control = Control::new();
    control.say(1.0, "> PORT 192,0,2,1,156,64");
    control.say(1.1, "< 200 PORT command successful.");
    control.say(1.2, "> LIST");
    control.add("#2 client 192.0.2.9:20\n#2 server 192.0.2.1:40000");
    control.add("1.300 #2 > S 0:0(0)\n1.310 #2 < RA 0:0(0) ack 1");
    control.say(1.4, "< 425 Failed to establish connection.");
    control.close(2.0);
    let found = failed(&control);
    assert!(
        found.summary.contains("tcp.refused (stream 1)"),
        "{}",
        found.summary
    );
    // The server of the data connection is the client of the session.
    assert_ne!(found.culprit.role, Role::Server);
}

#[test]
fn a_server_that_connects_before_it_replies_to_port() {
    let session = |reply: &str, connects: bool| {
        let mut control = Control::new();
        control.say(1.0, "> PORT 192,0,2,1,156,64");
        control.say(6.0, &format!("< {reply}"));
        if connects {
            control.add("#2 client 192.0.2.9:45123\n#2 server 192.0.2.1:40000");
            control.add(&unanswered(2, 1.1));
        }
        control.close(7.0);
        control
    };
    let silent = session("421 Active data channel timed out.", true);
    let found = failed(&silent);
    for words in [
        "the data connection of a transfer, announced by PORT as 192.0.2.1:40000, did not open: tcp.syn-unanswered (stream 1)",
        "from port 45123",
        "; the server answered 421",
    ] {
        assert!(found.summary.contains(words), "{}", found.summary);
    }
    let (diagnosis, data) = run(&silent);
    let mut replies = diagnosis.findings.iter();
    let reply = replies.find(|found| found.code == "ftp.error-reply");
    assert_eq!(reply.unwrap().consequence_of, Some(RECORD.code));
    assert!(
        data[0].findings[0]
            .summary
            .contains("it is a data connection")
    );
    let unseen = failed(&session("425 Can't connect to specified address.", false));
    assert!(
        unseen.summary.contains("no SYN of the server"),
        "{}",
        unseen.summary
    );
    // A command that is refused is no attempt.
    let (refused, _) = run(&session("500 Illegal PORT command.", false));
    assert_eq!(refused.root_cause().unwrap().code, "ftp.error-reply");
}

#[test]
fn a_client_that_never_connects() {
    let mut control = Control::new();
    control.say(1.0, "> EPSV");
    control.say(1.1, "< 229 Entering (|||50000|)");
    control.say(1.2, "> LIST");
    control.say(9.0, "< 425 Failed to establish connection.");
    control.close(9.5);
    let (diagnosis, _) = run(&control);
    let reply = diagnosis
        .findings
        .iter()
        .find(|found| found.code == "ftp.error-reply");
    assert_eq!(reply.unwrap().consequence_of, Some(RECORD.code));
    assert_eq!(
        failed(&control)
            .culprit_confidence()
            .unwrap_or(Confidence::Possible),
        Confidence::Possible
    );
}

#[test]
fn a_file_that_ends_early() {
    let session = |bytes| {
        let mut control = Control::new();
        control.say(1.0, "> EPSV");
        control.say(1.1, "< 229 Entering (|||50000|)");
        control.add("#2 server 192.0.2.9:50000");
        control.add(&whole(2, 1.2, bytes));
        control.say(1.21, "> RETR a");
        control.say(
            1.22,
            "< 150 Opening BINARY mode data connection for a (1000 bytes).",
        );
        control.say(1.5, "< 226 Transfer complete.");
        control.close(2.0);
        control
    };
    assert!(
        failed(&session(700))
            .summary
            .contains("700 bytes of 1,000 bytes")
    );
    assert_eq!(run(&session(1_000)).0.findings, []);
}

#[test]
fn a_connection_of_another_client_is_not_the_announced_one() {
    let mut control = Control::new();
    control.say(1.0, "> EPSV");
    control.say(1.1, "< 229 Entering (|||50000|)");
    control.close(2.0);
    // Another client at the same port within the minute.
    control.add("#2 server 192.0.2.9:50000\n#2 client 192.0.2.77:40000");
    control.add(&unanswered(2, 5.0));
    let (diagnosis, data) = run(&control);
    assert_eq!(diagnosis.findings, []);
    assert!(!data[0].findings[0].summary.contains("FTP"));
}
