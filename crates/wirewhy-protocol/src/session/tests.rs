//! Refusals of the protocols that can also change to TLS.

use crate::AppFacts;
use crate::testing::{Turn, client, facts_of, segments, server};
use crate::types::AppProtocol;

/// The refusal's protocol, code and message, the same however the bytes are cut.
fn refused(turns: &[Turn]) -> Option<(AppProtocol, String, Option<String>)> {
    let facts = facts(turns);
    facts.refusal.map(|refusal| {
        let message = refusal.message.map(String::from);
        (refusal.protocol, refusal.code.to_string(), message)
    })
}

fn facts(turns: &[Turn]) -> AppFacts {
    let [one, rest @ ..] = [1, 3, 4096].map(|size| facts_of(&segments(turns, size), turns));
    for other in rest {
        assert_eq!(
            other.refusal.map(|refusal| refusal.code),
            one.refusal.as_ref().map(|refusal| refusal.code.clone())
        );
    }
    one
}

fn startup() -> Vec<u8> {
    let body = b"\0\x03\0\0user\0bob\0database\0shop\0\0";
    let length = u32::try_from(body.len() + 4).unwrap();
    [&length.to_be_bytes()[..], body].concat()
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[kind][..], &length.to_be_bytes(), body].concat()
}

#[test]
fn postgresql() {
    let error = b"SFATAL\0VFATAL\0C28000\0Mno pg_hba.conf entry for host\0Fauth.c\0\0";
    let expected = Some((
        AppProtocol::PostgreSql,
        "28000".to_owned(),
        Some("no pg_hba.conf entry for host".to_owned()),
    ));
    let at_once = [client(startup()), server(message(b'E', error))];
    assert_eq!(refused(&at_once), expected);

    let after_refused_tls = [
        client(b"\0\0\0\x08\x04\xd2\x16\x2f"),
        server(b"N"),
        client(startup()),
        server(message(b'R', &[0, 0, 0, 10])),
        client(message(b'p', b"a secret")),
        server(message(b'E', error)),
    ];
    let facts = facts(&after_refused_tls);
    assert!(facts.upgrade.unwrap().went_on.is_some());
    assert_eq!(refused(&after_refused_tls), expected);

    let accepted = [
        client(startup()),
        server(message(b'R', &[0, 0, 0, 0])),
        server(message(b'Z', b"I")),
        client(message(b'Q', b"select nonsense\0")),
        server(message(b'E', b"SERROR\0C42703\0Mno such column\0\0")),
    ];
    assert_eq!(refused(&accepted), None);
}

fn packet(number: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_le_bytes();
    [&length[..3], &[number], payload].concat()
}

/// A greeting that offers no TLS.
fn mysql_greeting() -> Vec<u8> {
    let mut greeting = b"\x0a8.0.36\0\x01\0\0\0abcdefgh\0\xff\xf7".to_vec();
    greeting.extend([0; 20]);
    packet(0, &greeting)
}

#[test]
fn mysql() {
    let error =
        |number: u8, text: &str| packet(number, &[b"\xff\x15\x04", text.as_bytes()].concat());
    let login = packet(1, &[&[0x85, 0xa6, 0xff, 1][..], &[0; 60]].concat());
    let expected =
        |text: &str| Some((AppProtocol::MySql, "1045".to_owned(), Some(text.to_owned())));
    assert_eq!(
        refused(&[
            server(mysql_greeting()),
            client(&login),
            server(packet(2, b"\xfecaching_sha2_password\0salt")),
            client(packet(3, b"scrambled")),
            server(error(4, "#28000Access denied for user 'bob'")),
        ]),
        expected("Access denied for user 'bob'")
    );
    assert_eq!(
        refused(&[server(error(0, "Host is blocked"))]),
        expected("Host is blocked")
    );
    assert_eq!(
        refused(&[
            server(mysql_greeting()),
            client(&login),
            server(packet(2, b"\0\0\0\x02\0\0\0")),
            client(packet(0, b"\x03select nonsense")),
            server(error(1, "#42S22Unknown column")),
        ]),
        None
    );
}

fn ldap(number: u8, tag: u8, operation: &[u8]) -> Vec<u8> {
    let operation = [
        &[tag, u8::try_from(operation.len()).unwrap()][..],
        operation,
    ]
    .concat();
    let body = [&[2, 1, number][..], &operation].concat();
    [&[0x30, u8::try_from(body.len()).unwrap()][..], &body].concat()
}

fn ldap_result(code: u8, text: &str) -> Vec<u8> {
    let mut result = vec![0x0a, 1, code, 4, 0, 4, u8::try_from(text.len()).unwrap()];
    result.extend(text.as_bytes());
    result
}

#[test]
fn directories() {
    let bind = |number| client(ldap(number, 0x60, b"\x02\x01\x03\x04\0\x80\x06secret"));
    let answer = |number, code, text| server(ldap(number, 0x61, &ldap_result(code, text)));
    let expected =
        |code: &str, text: &str| Some((AppProtocol::Ldap, code.to_owned(), Some(text.to_owned())));
    assert_eq!(
        refused(&[bind(1), answer(1, 49, "80090308: data 52e")]),
        expected("49", "80090308: data 52e")
    );
    assert_eq!(
        refused(&[bind(1), answer(1, 49, "no"), bind(2), answer(2, 0, "")]),
        None
    );
    let second = [bind(1), answer(1, 0, ""), bind(2), answer(2, 49, "no")];
    assert!(facts(&second).refusal.unwrap().accepted_before);
    assert_eq!(refused(&[bind(1), answer(1, 14, "")]), None);

    let search = client(ldap(2, 0x63, &[0; 20]));
    let done = |code, text| server(ldap(2, 0x65, &ldap_result(code, text)));
    let unbound = "000004DC: LdapErr: a successful bind must be completed on the connection";
    assert_eq!(
        refused(&[search.clone(), done(1, unbound)]),
        expected("1", unbound)
    );
    assert_eq!(refused(&[search.clone(), done(32, "no such object")]), None);
    let mut notice = ldap_result(52, "shutting down");
    notice.extend(b"\x8a\x161.3.6.1.4.1.1466.20036");
    assert_eq!(
        refused(&[bind(1), answer(1, 0, ""), server(ldap(0, 0x78, &notice))]),
        expected("52", "shutting down")
    );
}

#[test]
fn mail() {
    let greeting = server("220 mx.example ESMTP\r\n");
    let expected =
        |protocol, code: &str, text: &str| Some((protocol, code.to_owned(), Some(text.to_owned())));
    let smtp = |code, text| expected(AppProtocol::Smtp, code, text);
    assert_eq!(
        refused(&[server("554 mx.example ESMTP no service for you\r\n")]),
        smtp("554", "mx.example ESMTP no service for you")
    );
    let login = [
        greeting.clone(),
        client("EHLO a\r\n"),
        server("250-mx\r\n250 AUTH LOGIN\r\n"),
        client("AUTH LOGIN\r\n"),
        server("334 VXNlcm5hbWU6\r\n"),
        client("Ym9i\r\n"),
        server("334 UGFzc3dvcmQ6\r\n"),
        client("c2VjcmV0\r\n"),
    ];
    let wrong = [&login[..], &[server("535 5.7.8 authentication failed\r\n")]].concat();
    assert_eq!(refused(&wrong), smtp("535", "5.7.8 authentication failed"));
    let right = [&login[..], &[server("235 2.7.0 ok\r\n")]].concat();
    assert_eq!(refused(&right), None);
    let idle = [&right[..], &[server("421 4.4.2 idle too long\r\n")]].concat();
    assert_eq!(refused(&idle), smtp("421", "4.4.2 idle too long"));
    assert!(facts(&idle).refusal.unwrap().accepted_before);

    // It may be accepted inside of TLS.
    let without_tls = [
        greeting.clone(),
        client("EHLO a\r\n"),
        server("250-mx\r\n250 STARTTLS\r\n"),
        client("MAIL FROM:<a@example>\r\n"),
        server("530 5.7.0 Must issue a STARTTLS command first\r\n"),
        client("STARTTLS\r\n"),
        server("220 go ahead\r\n"),
    ];
    assert!(refused(&without_tls[..5]).is_some());
    assert_eq!(refused(&without_tls), None);

    // An old server knows no EHLO; a recipient is no session.
    let old = [
        greeting.clone(),
        client("EHLO a\r\n"),
        server("502 unknown\r\n"),
        client("HELO a\r\n"),
        server("250 mx\r\n"),
        client("MAIL FROM:<a@example>\r\n"),
        server("250 ok\r\n"),
        client("RCPT TO:<b@example>\r\n"),
        server("550 no such user\r\n"),
    ];
    assert_eq!(refused(&old[..3]), smtp("502", "unknown"));
    assert_eq!(refused(&old), None);

    let pop = [
        server("+OK ready\r\n"),
        client("USER bob\r\n"),
        server("+OK\r\n"),
        client("PASS secret\r\n"),
        server("-ERR [AUTH] no\r\n"),
    ];
    assert_eq!(
        refused(&pop),
        expected(AppProtocol::Pop3, "", "-ERR [AUTH] no")
    );
    let steps = [
        pop[0].clone(),
        client("AUTH\r\n"),
        server("-ERR argument required\r\n"),
        client("AUTH PLAIN\r\n"),
        server("+ \r\n"),
        client("AGJvYgBzZWNyZXQ=\r\n"),
        server("-ERR authentication failed\r\n"),
    ];
    assert_eq!(refused(&steps[..3]), None);
    assert_eq!(
        refused(&steps),
        expected(AppProtocol::Pop3, "", "-ERR authentication failed")
    );
    let news = [
        server("200 ready\r\n"),
        client("AUTHINFO USER bob\r\n"),
        server("381 more\r\n"),
        client("AUTHINFO PASS secret\r\n"),
        server("481 no\r\n"),
    ];
    assert_eq!(refused(&news[..3]), None);
    assert_eq!(refused(&news), expected(AppProtocol::Nntp, "481", "no"));
    let imap = [
        server("* OK ready\r\n"),
        client("a1 LOGIN bob secret\r\n"),
        server("a1 NO [AUTHENTICATIONFAILED] no\r\n"),
    ];
    assert_eq!(
        refused(&imap),
        expected(AppProtocol::Imap, "", "NO [AUTHENTICATIONFAILED] no")
    );
    let accepted = [
        server("* OK [CAPABILITY IMAP4rev1 STARTTLS] ready\r\n"),
        client("a1 LOGIN bob secret\r\n"),
        server("a1 OK [CAPABILITY IMAP4rev1 IDLE] in\r\n"),
    ];
    let facts = facts(&accepted);
    assert_eq!(
        (facts.refusal, facts.upgrade.unwrap().offered),
        (None, Some(true))
    );
    let full = [server("* BYE too many connections\r\n")];
    assert_eq!(
        refused(&full),
        expected(AppProtocol::Imap, "", "BYE too many connections")
    );
    let farewell = [
        imap[0].clone(),
        client("a1 LOGOUT\r\n"),
        server("* BYE logging out\r\na1 OK\r\n"),
    ];
    assert_eq!(refused(&farewell), None);
}
