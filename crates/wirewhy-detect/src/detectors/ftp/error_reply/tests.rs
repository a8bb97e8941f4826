use crate::testing::findings;
use crate::{Confidence, Finding, Role, Severity};

/// Lines of a session: `>` and `<`, one every tenth of a second unless a time in seconds is given with `@`.
fn session(lines: &[&str]) -> Vec<Finding> {
    let mut trace = String::from(
        "server 192.0.2.9:21
         0.000 > S 0:0(0)\n 0.020 < SA 0:0(0) ack 1\n 0.030 > A 1:1(0) ack 1\n",
    );
    let (mut client, mut server, mut at) = (1, 1, 0.1);
    for line in lines {
        if let Some(time) = line.strip_prefix('@') {
            at = time.parse().unwrap();
            continue;
        }
        let (from, text) = line.split_at(1);
        let text = text.trim();
        let len = text.len() + 2;
        let (own, peer) = match from {
            ">" => (&mut client, server),
            _ => (&mut server, client),
        };
        trace += &format!(
            "{at:.3} {from} PA {}:{}({len}) ack {peer} \"{text}\\r\\n\"\n",
            *own,
            *own + len
        );
        *own += len;
        at += 0.1;
    }
    trace += &format!(
        "{:.3} < FA {server}:{server}(0) ack {client}\n {:.3} > FA {client}:{client}(0) ack {}\n {:.3} < A {}:{}(0) ack {}\n",
        at,
        at + 0.01,
        server + 1,
        at + 0.02,
        server + 1,
        server + 1,
        client + 1
    );
    findings(&trace)
}

fn only(lines: &[&str]) -> Finding {
    let mut found = session(lines);
    assert_eq!(found.len(), 1, "{found:?}");
    let found = found.remove(0);
    assert_eq!(found.code, "ftp.error-reply");
    found
}

const LOGIN: [&str; 5] = [
    "< 220 (vsFTPd 3.0.3)",
    "> USER a",
    "< 331 Please specify the password.",
    "> PASS b",
    "< 230 Login successful.",
];

fn logged_in(lines: &[&'static str]) -> Vec<&'static str> {
    [&LOGIN[..], lines].concat()
}

#[test]
fn a_refused_login() {
    let refused = [&LOGIN[..4], &["< 530 Login incorrect."]].concat();
    let found = only(&refused);
    assert_eq!(
        (found.severity, found.culprit.role),
        (Severity::Error, Role::Client)
    );
    assert!(
        found.summary.contains("PASS with 530 Login incorrect"),
        "{}",
        found.summary
    );
    let retried = [
        &refused[..],
        &["> USER a", "< 331 ?", "> PASS c", "< 230 In."],
    ]
    .concat();
    assert_eq!(only(&retried).severity, Severity::Warning);
}

#[test]
fn a_missing_file_and_probes() {
    let severity = |command, reply| {
        only(&logged_in(&[
            "> PASV",
            "< 227 (192,0,2,9,4,1)",
            command,
            reply,
        ]))
        .severity
    };
    assert_eq!(severity("> RETR a", "< 550 No such file."), Severity::Error);
    assert_eq!(
        severity("> STOR a", "< 552 Quota exceeded."),
        Severity::Error
    );
    assert_eq!(
        severity("> LIST a", "< 550 No such file."),
        Severity::Warning
    );
    assert_eq!(
        severity("> DELE a", "< 550 No such file."),
        Severity::Warning
    );
    for probe in ["> SIZE a", "> MDTM a", "> CWD a", "> MLST a"] {
        assert_eq!(severity(probe, "< 550 No such file."), Severity::Note);
    }
    assert_eq!(severity("> FEAT", "< 500 Unknown."), Severity::Note);
}

#[test]
fn extended_commands_that_are_replaced() {
    let found = only(&logged_in(&[
        "> EPSV",
        "< 500 Unknown.",
        "> PASV",
        "< 227 (192,0,2,9,4,1)",
    ]));
    assert_eq!(found.severity, Severity::Note);
    let found = only(&logged_in(&[
        "> PORT 198,51,100,7,0,22",
        "< 500 Illegal PORT command.",
    ]));
    assert_eq!(
        (found.severity, found.culprit.role),
        (Severity::Error, Role::Client)
    );
    let words = "this one names 198.51.100.7, and the client's address here is 192.0.2.1";
    assert!(found.summary.contains(words), "{}", found.summary);
    let low = only(&logged_in(&[
        "> PORT 192,0,2,1,0,22",
        "< 500 Illegal PORT command.",
    ]));
    assert!(
        low.summary.contains("this one names port 22"),
        "{}",
        low.summary
    );
    // An address of its own, and a port that is not low: it says nothing more.
    let unknown = only(&logged_in(&[
        "> EPRT |1|192.0.2.1|40000|",
        "< 500 Unknown command.",
    ]));
    assert!(
        !unknown.summary.contains("this one names"),
        "{}",
        unknown.summary
    );
}

#[test]
fn a_data_connection_of_another_host() {
    for reply in [
        "< 425 Security: Bad IP connecting.",
        "< 425 Rejected data connection from foreign address 192.0.2.77:40000.",
    ] {
        let found = only(&logged_in(&[
            "> PASV",
            "< 227 (192,0,2,9,4,1)",
            "> LIST",
            reply,
        ]));
        assert_eq!(
            (found.severity, found.culprit.role),
            (Severity::Error, Role::Client)
        );
        assert!(
            found.summary.contains("came from another address"),
            "{}",
            found.summary
        );
    }
}

#[test]
fn the_end_of_sessions() {
    let busy = only(&["< 421 There are too many connected users."]);
    assert_eq!(
        (busy.severity, busy.culprit.role),
        (Severity::Error, Role::Server)
    );
    let idle = only(&logged_in(&["@300", "< 421 Timeout."]));
    assert_eq!(idle.severity, Severity::Note);
    let late = only(&logged_in(&["@300", "< 421 Timeout.", "> PWD"]));
    assert_eq!(late.severity, Severity::Error);
    let stalled = only(&logged_in(&[
        "> PASV",
        "< 227 (192,0,2,9,4,1)",
        "> RETR a",
        "< 150 Go.",
        "@300",
        "< 421 Data timeout.",
    ]));
    assert_eq!(stalled.severity, Severity::Error);
}

#[test]
fn a_session_that_is_not_resumed() {
    let lines = |reply| {
        logged_in(&[
            "> PROT P",
            "< 200 P.",
            "> PASV",
            "< 227 (192,0,2,9,4,1)",
            "> LIST",
            "< 150 Go.",
            reply,
        ])
    };
    let found = only(&lines(
        "< 522 SSL connection failed: session reuse required",
    ));
    assert_eq!(
        (
            found.severity,
            found.culprit.role,
            found.culprit_confidence()
        ),
        (Severity::Error, Role::Client, Some(Confidence::Likely))
    );
    let other = only(&lines(
        "< 425 Unable to build data connection: Connection timed out",
    ));
    assert_eq!(other.culprit.role, Role::Unknown);
    let unannounced = only(&logged_in(&["> LIST", "< 425 Use PORT or PASV first."]));
    assert_eq!(unannounced.culprit.role, Role::Client);
}

#[test]
fn an_abort_is_the_clients_wish() {
    let found = only(&logged_in(&[
        "> PASV",
        "< 227 (192,0,2,9,4,1)",
        "> RETR a",
        "< 150 Go.",
        "> ABOR",
        "< 426 Failure writing network stream.",
        "< 226 ABOR successful.",
    ]));
    assert_eq!(found.severity, Severity::Note);
}

#[test]
fn what_goes_well_has_no_finding() {
    let lines = logged_in(&[
        "> PASV",
        "< 227 (192,0,2,9,4,1)",
        "> LIST",
        "< 150 Go.",
        "< 226 Done.",
        "> QUIT",
        "< 221 Bye.",
    ]);
    assert!(session(&lines).is_empty());
    // The same codes in SMTP are not of this detector.
    let mail = [
        "< 220 a ESMTP",
        "> EHLO b",
        "< 250 a",
        "> RCPT TO:<c>",
        "< 550 No such user.",
    ];
    assert!(
        session(&mail)
            .iter()
            .all(|found| found.code != "ftp.error-reply")
    );
}
