use super::*;
use crate::testing::{Turn, client, closed_facts, facts_of, segments, server};

/// The facts of a session, the same for every size of segments.
fn facts(turns: &[Turn]) -> FtpFacts {
    let found = *closed_facts(turns).ftp.expect("a session");
    for size in [1, 7] {
        let cut = facts_of(&segments(turns, size), turns).ftp;
        assert_eq!(cut.as_deref(), Some(&found), "{size}");
    }
    found
}

fn session(rest: &[Turn]) -> FtpFacts {
    let mut turns = vec![
        server("220 (vsFTPd 3.0.3)\r\n"),
        client("USER anna\r\n"),
        server("331 Please specify the password.\r\n"),
        client("PASS s3cret\r\n"),
        server("230 Login successful.\r\n"),
    ];
    turns.extend_from_slice(rest);
    facts(&turns)
}

fn codes(facts: &FtpFacts) -> Vec<(Option<&'static str>, u16)> {
    let code = |error: &FtpError| {
        let verb = error.command.as_ref().map(|command| command.verb.name());
        (verb, error.reply.code)
    };
    facts.errors.iter().map(code).collect()
}

#[test]
fn a_session_with_a_download() {
    let facts = session(&[
        client("TYPE I\r\n"),
        server("200 Switching to Binary mode.\r\n"),
        client("SIZE a.bin\r\n"),
        server("213 5000\r\n"),
        client("PASV\r\n"),
        server("227 Entering Passive Mode (192,0,2,9,195,80).\r\n"),
        client("RETR a.bin\r\n"),
        server("150 Opening BINARY mode data connection for a.bin (5000 bytes).\r\n"),
        server("226 Transfer complete.\r\n"),
        client("QUIT\r\n"),
        server("221 Goodbye.\r\n"),
    ]);
    assert_eq!((facts.commands, facts.replies), (7, 9));
    assert_eq!(facts.login, FtpLogin::Accepted);
    assert_eq!(
        (facts.unanswered, facts.error_count, facts.stopped),
        (0, 0, false)
    );
    let [data] = &facts.data[..] else {
        panic!("{:?}", facts.data);
    };
    let address = "192.0.2.9".parse().ok();
    assert_eq!(
        (data.setup, data.address, data.port),
        (FtpSetup::Pasv, address, 50_000)
    );
    let transfer = data.transfer.as_ref().unwrap();
    assert_eq!(transfer.command.verb.name(), "RETR");
    assert_eq!((transfer.size, transfer.is_image), (Some(5000), true));
    assert!(transfer.succeeded());
    assert!(facts.running().is_none());
}

#[test]
fn compressed_data_have_another_size() {
    let image = |mode: &str| {
        let facts = session(&[
            client("TYPE I\r\n"),
            server("200 Binary.\r\n"),
            client(format!("MODE {mode}\r\n")),
            server("200 Mode.\r\n"),
            client("PASV\r\n"),
            server("227 (192,0,2,9,195,80)\r\n"),
            client("RETR a\r\n"),
            server("150 Go.\r\n"),
        ]);
        facts.running().map(|transfer| transfer.is_image)
    };
    assert_eq!((image("Z"), image("S")), (Some(false), Some(true)));
}

#[test]
fn no_credentials_are_kept() {
    let secrets = [
        client("USER anna\r\n"),
        server("331 Password required for anna.\r\n"),
        client("PASS s3cret\r\n"),
        server("500 'PASS s3cret': command not understood.\r\n"),
        client("s3cret\r\n"),
        server("500 's3cret': command not understood.\r\n"),
        client("ACCT s3cret\r\n"),
        server("532 No account.\r\n"),
        client("SITE PSWD s3cret\r\n"),
        server("501 SITE PSWD s3cret: no.\r\n"),
    ];
    let facts = session(&secrets);
    let shown = format!("{facts:?}");
    assert!(
        !shown.contains("s3cret") && !shown.contains("anna"),
        "{shown}"
    );
    assert_eq!(facts.refused_logins, 2);
    assert_eq!(
        codes(&facts),
        [
            (Some("PASS"), 500),
            (Some("?"), 500),
            (Some("ACCT"), 532),
            (Some("SITE"), 501)
        ]
    );
}

#[test]
fn active_and_extended() {
    let facts = session(&[
        client("PORT 192,0,2,1,4,1\r\n"),
        server("200 PORT command successful.\r\n"),
        client("LIST\r\n"),
        server("150 Here comes the directory listing.\r\n"),
        server("226 Directory send OK.\r\n"),
        client("EPRT |2|2001:db8::1|1026|\r\n"),
        server("200 EPRT command successful.\r\n"),
        client("STOR b\r\n"),
        server("425 Failed to establish connection.\r\n"),
        client("EPSV\r\n"),
        server("229 Entering Extended Passive Mode (|||50001|)\r\n"),
        client("PORT 192,0,2,1,0,1\r\n"),
        server("500 Illegal PORT command.\r\n"),
    ]);
    let shown: Vec<_> = facts
        .data
        .iter()
        .map(|data| (data.setup.name(), data.address.is_some(), data.port))
        .collect();
    assert_eq!(
        shown,
        [
            ("PORT", true, 1025),
            ("EPRT", true, 1026),
            ("EPSV", false, 50_001)
        ]
    );
    assert!(facts.data[2].transfer.is_none());
    assert_eq!(codes(&facts), [(Some("STOR"), 425), (Some("PORT"), 500)]);
}

#[test]
fn replies_of_several_lines() {
    let facts = facts(&[
        server(
            "220-Welcome to this FTP server\r\n220-421 is no code here\r\n 530 nor this\r\n220 ready\r\n",
        ),
        client("USER a\r\n"),
        server("331 Any.\r\n"),
        client("PASS b\r\n"),
        server("230-Hello\r\n229-not the end\r\n230 In.\r\n"),
        client("FEAT\r\n"),
        server("211-Features:\r\n EPRT\r\n 211 SIZE\r\n550 x\r\n211 End\r\n"),
    ]);
    assert_eq!((facts.replies, facts.error_count), (4, 0));
    assert_eq!(facts.login, FtpLogin::Accepted);
}

#[test]
fn an_aborted_transfer() {
    let before = [
        client("PASV\r\n"),
        server("227 =192,0,2,9,195,80\r\n"),
        client("RETR a\r\n"),
        server("150 Go.\r\n"),
        client(b"\xff\xf4\xff\xf2ABOR\r\n"),
    ];
    let running = session(&before);
    assert!(running.running().unwrap().aborted.is_some());
    assert_eq!(running.unanswered, 2);
    let mut turns = before.to_vec();
    turns.push(server(
        "426 Failure writing network stream.\r\n226 ABOR successful.\r\n",
    ));
    let facts = session(&turns);
    assert!(facts.running().is_none());
    assert_eq!(facts.unanswered, 0);
    assert_eq!(codes(&facts), [(Some("RETR"), 426)]);
    assert!(facts.errors[0].aborted && facts.errors[0].in_transfer);
}

/// Servers leave what comes during a transfer until it is over.
#[test]
fn commands_during_a_transfer_wait() {
    let facts = session(&[
        client("EPSV\r\n"),
        server("229 (|||50001|)\r\n"),
        client("RETR a\r\n"),
        server("150 Go.\r\n"),
        client("NOOP\r\n"),
        client("NOOP\r\n"),
    ]);
    assert_eq!(facts.unanswered, 3);
    assert_eq!(facts.running().unwrap().command.verb.name(), "RETR");
}

/// A command whose reply never came does not shift the others.
#[test]
fn a_reply_names_its_command() {
    let facts = session(&[
        client("ABOR\r\n"),
        client("PASV\r\n"),
        server("227 (192,0,2,9,195,80)\r\n"),
        client("SIZE a\r\n"),
        server("550 Could not get file size.\r\n"),
    ]);
    assert_eq!(facts.data.len(), 1);
    assert_eq!(codes(&facts), [(Some("SIZE"), 550)]);
}

#[test]
fn the_end_of_a_session() {
    let idle = session(&[server("421 Timeout.\r\n")]);
    assert_eq!(codes(&idle), [(None, 421)]);
    assert!(idle.errors[0].idle_since.is_some());
    assert_eq!(idle.after_goodbye, 0);
    let late = session(&[server("421 Timeout.\r\n"), client("PWD\r\n")]);
    assert_eq!((codes(&late), late.after_goodbye), (vec![(None, 421)], 1));
    let busy = facts(&[server("421 There are too many connected users.\r\n")]);
    assert_eq!(busy.greeting.as_ref().map(|reply| reply.code), Some(421));
    assert_eq!((codes(&busy), busy.is_certain), (vec![(None, 421)], false));
}

#[test]
fn mail_is_none_of_it() {
    let mail = closed_facts(&[
        server("220 ready\r\n"),
        client("EHLO a\r\n"),
        server("250 b\r\n"),
        client("QUIT\r\n"),
        server("221 bye\r\n"),
    ]);
    assert_eq!(mail.ftp, None);
}

#[test]
fn before_tls_what_is_in_the_clear() {
    let facts = facts(&[
        server("220 ProFTPD Server\r\n"),
        client("AUTH TLS\r\n"),
        server("234 AUTH TLS successful\r\n"),
        client(b"\x16\x03\x01\x00\x40\x01"),
    ]);
    assert!(facts.protection.auth.is_some());
    assert_eq!((facts.commands, facts.login), (1, FtpLogin::NotTried));
}

/// An encrypted record of TLS 1.2.
fn sealed(length: u8) -> Vec<u8> {
    let mut record = vec![0x17, 3, 3, 0, length];
    record.resize(usize::from(length) + 5, 0xaa);
    record
}

#[test]
fn behind_ccc_the_session_is_read_on() {
    let facts = facts(&[
        server("220 ProFTPD Server\r\n"),
        client("AUTH TLS\r\n"),
        server("234 AUTH TLS successful\r\n"),
        client(sealed(40)),
        server(sealed(60)),
        client("PASV\r\n"),
        server("227 (192,0,2,9,195,80)\r\n"),
        client("RETR a\r\n"),
        server("550 No.\r\n"),
    ]);
    assert!(facts.protection.cleared.is_some());
    assert_eq!(codes(&facts), [(Some("RETR"), 550)]);
    assert_eq!(facts.data.len(), 1);
    assert!(!facts.stopped);
}

#[test]
fn behind_tls_other_bytes_are_no_session() {
    for bytes in [&b"\x99\x03\x03\0\x05abcde"[..], b"55 5 no reply\r\n"] {
        let facts = facts(&[
            server("220 ProFTPD Server\r\n"),
            client("AUTH TLS\r\n"),
            server("234 AUTH TLS successful\r\n"),
            client(sealed(40)),
            server(sealed(60)),
            server(bytes),
        ]);
        assert_eq!(facts.protection.cleared, None);
        assert_eq!(facts.replies, 2);
    }
}

#[test]
fn what_is_kept_is_bounded() {
    let mut turns = Vec::new();
    for _ in 0..300 {
        turns.push(client("PASV\r\n"));
        turns.push(server("227 (192,0,2,9,195,80)\r\n"));
        turns.push(client("RETR a\r\n"));
        turns.push(server("550 No.\r\n"));
    }
    let facts = session(&turns);
    assert_eq!(facts.data.len(), FtpFacts::MAX_DATA);
    assert_eq!(facts.errors.len(), FtpFacts::MAX_ERRORS);
    assert_eq!(facts.error_count, 300);
    assert_eq!(facts.forgotten_data, 300 - 128);
    let mut unanswered = vec![client("NOOP\r\n".repeat(2_000))];
    unanswered.push(server("200 x\r\n".repeat(2_000)));
    assert!(session(&unanswered).unanswered <= 32);
}
