use crate::testing::{Turn, client, closed_facts, facts_of, open_facts, segments, server};
use crate::{AppFacts, AppProtocol, Framing, Upgrade, UpgradeProtocol, UpgradeVerdict};

const HELLO: &[u8] = b"\x16\x03\x01\x00\x05hello";
const ANSWER: &[u8] = b"\x16\x03\x03\x00\x07answers";

/// Bytes both sides send in turn, `C` and `S`; after them both speak TLS.
fn conversation(turns: &[(char, &[u8])]) -> Vec<Turn> {
    turns
        .iter()
        .map(|&(role, bytes)| match role {
            'C' => client(bytes),
            _ => server(bytes),
        })
        .collect()
}

fn then_tls(mut turns: Vec<Turn>) -> Vec<Turn> {
    turns.push(client(HELLO));
    turns.push(server(ANSWER));
    turns
}

/// The facts, the same over every segmentation.
fn facts(turns: &[Turn]) -> AppFacts {
    let whole = closed_facts(turns);
    let longest = turns.iter().map(|(_, bytes)| bytes.len()).max().unwrap();
    for size in 1..=longest {
        let cut = facts_of(&segments(turns, size), turns);
        assert_eq!(cut, whole, "in segments of {size}");
    }
    whole
}

fn upgrade(turns: &[Turn]) -> Upgrade {
    *facts(turns).upgrade.expect("one side announced it")
}

/// A protocol's conversations.
struct Case {
    protocol: UpgradeProtocol,
    /// Up to the question.
    before: Vec<(char, &'static [u8])>,
    /// The question.
    asks: &'static [u8],
    accepts: &'static [u8],
    refuses: &'static [u8],
    offered: Option<bool>,
    reply: [&'static str; 2],
}

fn cases() -> Vec<Case> {
    use UpgradeProtocol as P;
    let text = |protocol, before: Vec<(char, &'static [u8])>, asks, accepts, refuses, offered| {
        let reply = |bytes: &'static [u8]| str::from_utf8(bytes).unwrap().lines().last().unwrap();
        Case {
            protocol,
            before,
            asks,
            accepts,
            refuses,
            offered,
            reply: [reply(accepts), reply(refuses)],
        }
    };
    vec![
        text(
            P::Smtp,
            vec![
                ('S', b"220-a.example ESMTP\r\n220 ready\r\n"),
                ('C', b"EHLO b\r\n"),
                (
                    'S',
                    b"250-a.example\r\n250-SIZE 1\r\n250-STARTTLS\r\n250 8BITMIME\r\n",
                ),
            ],
            b"STARTTLS\r\n",
            b"220 2.0.0 go ahead\r\n",
            b"454 4.7.0 not now\r\n",
            Some(true),
        ),
        text(
            P::Smtp,
            vec![
                ('S', b"220 welcome\r\n"),
                ('C', b"EHLO b\r\n"),
                ('S', b"250 a.example\r\n"),
            ],
            b"starttls\r\n",
            b"220-go\r\n220 ahead\r\n",
            b"502 what?\r\n",
            Some(false),
        ),
        text(
            P::Ftp,
            vec![
                ('S', b"220 welcome\r\n"),
                ('C', b"FEAT\r\n"),
                (
                    'S',
                    b"211-Features:\r\n AUTH TLS;SSL;\r\n PBSZ\r\n211 End\r\n",
                ),
            ],
            b"AUTH TLS\r\n",
            b"234 proceed\r\n",
            b"534 no\r\n",
            Some(true),
        ),
        text(
            P::Ftp,
            vec![('S', b"220-a\r\n  any text\r\n220 FTP ready\r\n")],
            b"AUTH SSL\r\n",
            b"234 proceed\r\n",
            b"500 what?\r\n",
            None,
        ),
        text(
            P::Pop3,
            vec![
                ('S', b"+OK ready\r\n"),
                ('C', b"CAPA\r\n"),
                ('S', b"+OK\r\nTOP\r\nSTLS\r\nUSER\r\n.\r\n"),
            ],
            b"STLS\r\n",
            b"+OK begin\r\n",
            b"-ERR no\r\n",
            Some(true),
        ),
        text(
            P::Imap,
            vec![
                ('S', b"* OK [CAPABILITY IMAP4rev1 STARTTLS] ready\r\n"),
                ('C', b"a1 NOOP\r\n"),
                ('S', b"a1 OK\r\n"),
            ],
            b"a2 STARTTLS\r\n",
            b"a2 OK begin\r\n",
            b"a2 BAD no\r\n",
            Some(true),
        ),
        text(
            P::Nntp,
            vec![
                ('S', b"200 ready\r\n"),
                ('C', b"CAPABILITIES\r\n"),
                ('S', b"101 list:\r\nVERSION 2\r\nSTARTTLS\r\n.\r\n"),
            ],
            b"STARTTLS\r\n",
            b"382 go\r\n",
            b"580 no\r\n",
            Some(true),
        ),
        text(
            P::ManageSieve,
            vec![(
                'S',
                b"\"IMPLEMENTATION\" \"x\"\r\n\"SASL\" \"\"\r\n\"STARTTLS\"\r\nOK\r\n",
            )],
            b"STARTTLS\r\n",
            b"OK \"begin\"\r\n",
            b"NO \"never\"\r\n",
            Some(true),
        ),
        text(
            P::Irc,
            vec![
                ('S', b":irc.example NOTICE * :hello\r\n"),
                ('C', b"CAP LS 302\r\n"),
                ('S', b":irc.example CAP * LS :sasl tls\r\n"),
            ],
            b"STARTTLS\r\n",
            b":irc.example 670 * :go\r\n",
            b":irc.example 691 * :no\r\n",
            Some(true),
        ),
        Case {
            protocol: P::Xmpp,
            before: vec![
                (
                    'C',
                    b"<?xml version='1.0'?><stream:stream to='a' xmlns='jabber:client'>",
                ),
                (
                    'S',
                    b"<?xml version='1.0'?><stream:stream id=\"a>b\"><stream:features>\
                    <starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>\
                    </stream:features>",
                ),
            ],
            asks: b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
            accepts: b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
            refuses: b"<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>",
            offered: Some(true),
            reply: [
                "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
                "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
            ],
        },
        Case {
            protocol: P::Ldap,
            before: vec![],
            asks: b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037",
            accepts: b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00",
            refuses: b"\x30\x84\x00\x00\x00\x0e\x02\x01\x01\x78\x09\x0a\x01\x34\x04\x00\x04\x02no",
            offered: None,
            reply: ["success", "unavailable: no"],
        },
        Case {
            protocol: P::PostgreSql,
            before: vec![('C', b"\0\0\0\x08\x04\xd2\x16\x30"), ('S', b"N")],
            asks: b"\0\0\0\x08\x04\xd2\x16\x2f",
            accepts: b"S",
            refuses: b"E\0\0\0\x10SFATAL\0Mno\0\0",
            offered: None,
            reply: ["S", "no"],
        },
        Case {
            protocol: P::PostgreSql,
            before: vec![],
            asks: b"\0\0\0\x08\x04\xd2\x16\x2f",
            accepts: b"S",
            refuses: b"N",
            offered: None,
            reply: ["S", "N"],
        },
        Case {
            protocol: P::Rdp,
            before: vec![],
            asks: b"\x03\0\0\x1e\x19\xe0\0\0\0\0\0Cookie: a\r\n\x01\0\x08\0\x03\0\0\0",
            accepts: b"\x03\0\0\x13\x0e\xd0\0\0\x12\x34\0\x02\x0f\x08\0\x01\0\0\0",
            refuses: b"\x03\0\0\x13\x0e\xd0\0\0\x12\x34\0\x03\0\x08\0\x05\0\0\0",
            offered: None,
            reply: ["TLS", "CredSSP required by server"],
        },
        Case {
            protocol: P::Socks,
            before: vec![('C', b"\x05\x01\0"), ('S', b"\x05\0")],
            asks: b"\x05\x01\0\x03\x09a.example\x01\xbb",
            accepts: b"\x05\0\0\x01\x7f\0\0\x01\x01\x02",
            refuses: b"\x05\x05\0\x01\0\0\0\0\0\0",
            offered: None,
            reply: ["succeeded", "connection refused"],
        },
        Case {
            protocol: P::Socks,
            before: vec![],
            asks: b"\x04\x01\x01\xbb\0\0\0\x01me\0a.example\0",
            accepts: b"\0\x5a\0\0\0\0\0\0",
            refuses: b"\0\x5b\0\0\0\0\0\0",
            offered: None,
            reply: ["granted", "rejected or failed"],
        },
        Case {
            protocol: P::HttpConnect,
            before: vec![],
            asks: b"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n",
            accepts: b"HTTP/1.1 200 Connection established\r\n\r\n",
            refuses: b"HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\n\r\n",
            offered: None,
            reply: [
                "HTTP/1.1 200 Connection established",
                "HTTP/1.1 407 Who are you",
            ],
        },
    ]
}

impl Case {
    fn turns(&self, last: &[(char, &[u8])]) -> Vec<Turn> {
        conversation(&[&self.before[..], last].concat())
    }
}

#[test]
fn accepted_and_tls_follows() {
    for case in cases() {
        let plain = case.turns(&[('C', case.asks), ('S', case.accepts)]);
        let last = plain.len() as u64;
        let facts = facts(&then_tls(plain.clone()));
        let upgrade = facts.upgrade.clone().expect("asked for");
        let protocol = case.protocol;
        assert_eq!(upgrade.protocol, protocol);
        assert_eq!(upgrade.verdict, UpgradeVerdict::Accepted, "{protocol:?}");
        assert_eq!(upgrade.offered, case.offered, "{protocol:?}");
        assert_eq!(
            upgrade.reply.as_deref(),
            Some(case.reply[0]),
            "{protocol:?}"
        );
        assert_eq!(
            upgrade.asked.map(|mark| mark.frame),
            Some(last - 1),
            "{protocol:?}"
        );
        assert_eq!(
            upgrade.answered.map(|mark| mark.frame),
            Some(last),
            "{protocol:?}"
        );
        assert_eq!(facts.client.inner, Some(AppProtocol::Tls), "{protocol:?}");
        assert_eq!(facts.server.inner, Some(AppProtocol::Tls), "{protocol:?}");
        assert_eq!(facts.client.framing, Framing::Boundary, "{protocol:?}");
        assert_eq!(facts.server.framing, Framing::Boundary, "{protocol:?}");
        let tunnel = matches!(
            protocol,
            UpgradeProtocol::HttpConnect | UpgradeProtocol::Socks
        );
        assert_eq!(
            upgrade.target.as_deref(),
            tunnel.then_some("a.example:443"),
            "{protocol:?}"
        );
    }
}

#[test]
fn a_hello_sent_before_the_answer_waits_for_it() {
    for case in cases() {
        let asks = [case.asks, HELLO].concat();
        let turns = case.turns(&[('C', &asks), ('S', case.accepts), ('S', ANSWER)]);
        let facts = facts(&turns);
        assert_eq!(
            facts.client.inner,
            Some(AppProtocol::Tls),
            "{:?}",
            case.protocol
        );
        assert_eq!(
            facts.server.inner,
            Some(AppProtocol::Tls),
            "{:?}",
            case.protocol
        );
        let unanswered = case.turns(&[('C', &asks)]);
        let facts = open_facts(&unanswered);
        assert_eq!(facts.client.inner, None, "{:?}", case.protocol);
        let verdict = facts.upgrade.map(|upgrade| upgrade.verdict);
        assert_eq!(
            verdict,
            Some(UpgradeVerdict::Unanswered),
            "{:?}",
            case.protocol
        );
    }
}

#[test]
fn refused_and_said_why() {
    for case in cases() {
        let turns = case.turns(&[('C', case.asks), ('S', case.refuses)]);
        let facts = facts(&turns);
        let upgrade = facts.upgrade.clone().expect("asked for");
        let protocol = case.protocol;
        assert_eq!(upgrade.protocol, protocol);
        assert_eq!(upgrade.verdict, UpgradeVerdict::Refused, "{protocol:?}");
        assert_eq!(
            upgrade.reply.as_deref(),
            Some(case.reply[1]),
            "{protocol:?}"
        );
        assert_eq!(facts.client.inner, None, "{protocol:?}");
    }
}

#[test]
fn asked_again_after_a_refusal() {
    for case in cases() {
        // A refused SOCKS request ends the connection; RDP and PostgreSQL's error do too.
        if matches!(
            case.protocol,
            UpgradeProtocol::Socks | UpgradeProtocol::Rdp | UpgradeProtocol::Xmpp
        ) {
            continue;
        }
        let again = if case.protocol == UpgradeProtocol::Imap {
            // Tags are not used twice.
            [&b"a3 STARTTLS\r\n"[..], b"a3 OK begin\r\n"]
        } else {
            [case.asks, case.accepts]
        };
        let turns = then_tls(case.turns(&[
            ('C', case.asks),
            ('S', case.refuses),
            ('C', again[0]),
            ('S', again[1]),
        ]));
        let facts = facts(&turns);
        let verdict = facts.upgrade.map(|upgrade| upgrade.verdict);
        assert_eq!(
            verdict,
            Some(UpgradeVerdict::Accepted),
            "{:?}",
            case.protocol
        );
        assert_eq!(
            facts.client.inner,
            Some(AppProtocol::Tls),
            "{:?}",
            case.protocol
        );
    }
}

#[test]
fn never_asked() {
    for case in cases().iter().filter(|case| case.offered.is_some()) {
        let upgrade = upgrade(&case.turns(&[]));
        assert_eq!(upgrade.protocol, case.protocol);
        assert_eq!(upgrade.verdict, UpgradeVerdict::NotAsked);
        assert_eq!(upgrade.offered, case.offered, "{:?}", case.protocol);
        assert_eq!(upgrade.reply, None);
    }
}

/// A record that holds the start of a ClientHello.
const CLIENT_HELLO: &[u8] = b"\x16\x03\x01\x00\x06\x01\0\0\x02\x03\x03";

/// A whole ClientHello of one cipher suite and no extensions, in one record.
fn whole_hello() -> Vec<u8> {
    let mut hello = b"\x16\x03\x01\0\x2d\x01\0\0\x29\x03\x03".to_vec();
    hello.extend([7; 32]);
    hello.extend(b"\0\0\x02\xc0\x2b\x01\0");
    hello
}

#[test]
fn the_handshake_inside_is_followed() {
    let alert = b"\x15\x03\x03\0\x02\x02\x28";
    for case in cases() {
        let mut turns = case.turns(&[('C', case.asks), ('S', case.accepts)]);
        let hello = whole_hello();
        turns.extend([client(&hello), server(alert)]);
        let frame = turns.len() as u64;
        let protocol = case.protocol;
        let tls = facts(&turns).tls.expect("TLS was spoken");
        let hello = tls.client_hello.expect("a hello");
        assert_eq!(hello.cipher_suites().len(), 1, "{protocol:?}");
        let alerts: Vec<_> = tls
            .server
            .alerts
            .iter()
            .map(|alert| {
                (
                    alert.description.map(|description| description.0),
                    alert.mark.frame,
                )
            })
            .collect();
        assert_eq!(alerts, [(Some(40), frame)], "{protocol:?}");
        assert!(!tls.joined_late, "{protocol:?}");
    }
}

#[test]
fn a_client_that_shakes_hands_whatever_the_answer_was() {
    for case in cases() {
        // What comes after a refused tunnel is not to the same server.
        if matches!(
            case.protocol,
            UpgradeProtocol::HttpConnect | UpgradeProtocol::Socks
        ) {
            continue;
        }
        let facts = facts(&case.turns(&[
            ('C', case.asks),
            ('S', case.refuses),
            ('C', CLIENT_HELLO),
            ('S', case.refuses),
        ]));
        let upgrade = facts.upgrade.expect("asked for");
        let protocol = case.protocol;
        assert_eq!(upgrade.verdict, UpgradeVerdict::Refused, "{protocol:?}");
        assert_eq!(facts.client.inner, Some(AppProtocol::Tls), "{protocol:?}");
        assert_eq!(facts.server.inner, None, "{protocol:?}");
    }
}

#[test]
fn a_client_that_shakes_hands_without_a_question() {
    let mut greetings: Vec<&[u8]> = vec![
        b"220 a.example ESMTP\r\n",
        b"220 FTP\r\n",
        b"220 welcome\r\n",
        b"+OK ready\r\n",
        b"* OK ready\r\n",
        b"200 ready\r\n",
        b"\"SASL\" \"\"\r\nOK\r\n",
        b":irc.example NOTICE * :hello\r\n",
    ];
    let mysql = [&b"\x19\0\0\0\x0a8.0\0\x01\0\0\0challeng\0\xff\xff\x08\0\0\0\0"[..]].concat();
    greetings.push(&mysql);
    for greeting in greetings {
        let shown = String::from_utf8_lossy(greeting);
        let facts = facts(&[server(greeting), client(CLIENT_HELLO)]);
        assert_eq!(facts.client.protocol, Some(AppProtocol::Tls), "{shown}");
        assert_ne!(facts.server.protocol, Some(AppProtocol::Tls), "{shown}");
        let asked = facts.upgrade.and_then(|upgrade| upgrade.asked);
        assert_eq!(asked, None, "{shown}");
    }
}

#[test]
fn a_server_that_agrees_and_speaks_plaintext() {
    for case in cases() {
        let turns = case.turns(&[('C', case.asks), ('S', case.accepts), ('S', case.refuses)]);
        let facts = facts(&turns);
        let upgrade = facts.upgrade.expect("asked for");
        let protocol = case.protocol;
        assert_eq!(upgrade.verdict, UpgradeVerdict::Accepted, "{protocol:?}");
        assert_eq!(facts.client.inner, None, "{protocol:?}");
        assert_ne!(facts.server.inner, Some(AppProtocol::Tls), "{protocol:?}");
    }
}

#[test]
fn a_client_that_asks_and_goes_on_in_plaintext() {
    let plain: [(UpgradeProtocol, &[u8]); 3] = [
        (UpgradeProtocol::Smtp, b"EHLO b\r\n"),
        (UpgradeProtocol::Imap, b"a3 LOGIN a b\r\n"),
        (UpgradeProtocol::Ldap, b"\x30\x05\x02\x01\x02\x42\0"),
    ];
    for case in cases() {
        let Some((protocol, says)) = plain.iter().find(|(known, _)| *known == case.protocol) else {
            continue;
        };
        let facts = facts(&case.turns(&[('C', case.asks), ('S', case.accepts), ('C', says)]));
        let upgrade = facts.upgrade.expect("asked for");
        assert_eq!(upgrade.verdict, UpgradeVerdict::Accepted, "{protocol:?}");
        assert_ne!(facts.client.inner, Some(AppProtocol::Tls), "{protocol:?}");
    }
}

#[test]
fn mail_that_speaks_of_it() {
    let facts = facts(&conversation(&[
        ('S', b"220 a.example ESMTP\r\n"),
        ('C', b"HELO b\r\n"),
        ('S', b"250 a.example\r\n"),
        ('C', b"MAIL FROM:<a@b>\r\n"),
        ('S', b"250 ok\r\n"),
        ('C', b"RCPT TO:<c@a>\r\n"),
        ('S', b"250 ok\r\n"),
        ('C', b"DATA\r\n"),
        ('S', b"354 go\r\n"),
        ('C', b"Subject: a\r\n\r\nSTARTTLS\r\n.\r\n"),
        ('S', b"454 no\r\n"),
    ]));
    assert_eq!(facts.upgrade, None);
}

#[test]
fn a_client_that_sends_all_its_commands_at_once() {
    let asks: &[u8] = b"EHLO b\r\nSTARTTLS\r\n";
    let both: &[u8] = b"250-a.example\r\n250 STARTTLS\r\n220 go\r\n";
    let turns = conversation(&[('S', b"220 a.example ESMTP\r\n"), ('C', asks), ('S', both)]);
    let facts = facts(&then_tls(turns));
    let upgrade = facts.upgrade.expect("asked for");
    assert_eq!(upgrade.verdict, UpgradeVerdict::Accepted);
    assert_eq!(upgrade.offered, Some(true));
    assert_eq!(facts.client.inner, Some(AppProtocol::Tls));
    assert_eq!(facts.server.inner, Some(AppProtocol::Tls));
}

#[test]
fn mail_through_a_tunnel() {
    let mail: [(char, &[u8]); 5] = [
        ('S', b"220 a.example ESMTP\r\n"),
        ('C', b"EHLO b\r\n"),
        ('S', b"250-a.example\r\n250 STARTTLS\r\n"),
        ('C', b"STARTTLS\r\n"),
        ('S', b"220 go\r\n"),
    ];
    for case in cases() {
        if !matches!(
            case.protocol,
            UpgradeProtocol::HttpConnect | UpgradeProtocol::Socks
        ) {
            continue;
        }
        let before = [&[('C', case.asks), ('S', case.accepts)][..], &mail].concat();
        let facts = facts(&then_tls(case.turns(&before)));
        let upgrade = facts.upgrade.expect("asked for");
        assert_eq!(upgrade.protocol, UpgradeProtocol::Smtp);
        assert_eq!(upgrade.verdict, UpgradeVerdict::Accepted);
        assert_eq!(upgrade.target.as_deref(), Some("a.example:443"));
        assert_eq!(facts.client.inner, Some(AppProtocol::Tls));
        assert_eq!(facts.server.inner, Some(AppProtocol::Tls));
    }
}

#[test]
fn a_prefix_of_a_proxy_before_tls() {
    let prefixes: [&[u8]; 2] = [
        b"PROXY TCP4 192.0.2.1 192.0.2.2 1 443\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc0\0\x02\x02\0\x01\x01\xbb",
    ];
    for prefix in prefixes {
        let facts = facts(&[client(prefix), client(HELLO), server(ANSWER)]);
        assert_eq!(facts.client.protocol, Some(AppProtocol::ProxyProtocol));
        assert_eq!(facts.client.inner, Some(AppProtocol::Tls));
        assert_eq!(facts.server.protocol, Some(AppProtocol::Tls));
        assert_eq!(facts.upgrade, None);
    }
}

#[test]
fn no_cut_and_no_changed_byte_panics_or_hangs() {
    for case in cases() {
        for answer in [case.accepts, case.refuses] {
            let turns = then_tls(case.turns(&[('C', case.asks), ('S', answer)]));
            for turn in 0..turns.len() {
                for byte in 0..turns[turn].1.len() {
                    let mut changed = turns.clone();
                    for bits in [0x01, 0x20, 0x80, 0xff] {
                        changed[turn].1[byte] = turns[turn].1[byte] ^ bits;
                        let decoded = open_facts(&changed).upgrade;
                        let kept = decoded.and_then(|decoded| decoded.reply);
                        assert!(kept.is_none_or(|kept| kept.len() <= 3 * 256));
                    }
                    changed[turn].1 = turns[turn].1[..byte].to_vec();
                    open_facts(&changed);
                }
            }
        }
    }
}

#[test]
fn who_is_content_without() {
    let plain: [(UpgradeProtocol, &[u8], &[u8]); 8] = [
        (UpgradeProtocol::Smtp, b"QUIT\r\n", b"MAIL FROM:<a@b>\r\n"),
        (UpgradeProtocol::Ftp, b"QUIT\r\n", b"USER anonymous\r\n"),
        (UpgradeProtocol::Pop3, b"QUIT\r\n", b"USER a\r\n"),
        (UpgradeProtocol::Imap, b"a9 LOGOUT\r\n", b"a9 LOGIN a b\r\n"),
        (UpgradeProtocol::Nntp, b"QUIT\r\n", b"GROUP a\r\n"),
        (
            UpgradeProtocol::Xmpp,
            b"</stream:stream>",
            b"<auth>x</auth>",
        ),
        (
            UpgradeProtocol::Ldap,
            b"\x30\x05\x02\x01\x02\x42\0",
            b"\x30\x0c\x02\x01\x02\x60\x07\x02\x01\x03\x04\0\x80\0",
        ),
        (
            UpgradeProtocol::PostgreSql,
            b"X\0\0\0\x04",
            b"\0\0\0\x10\0\x03\0\0user\0a\0\0",
        ),
    ];
    for case in cases() {
        let Some((protocol, leaves, stays)) =
            plain.iter().find(|(known, ..)| *known == case.protocol)
        else {
            continue;
        };
        let refused = [('C', case.asks), ('S', case.refuses)];
        let gone = upgrade(&case.turns(&[&refused[..], &[('C', leaves)]].concat()));
        assert_eq!(gone.went_on, None, "{protocol:?}");
        let turns = case.turns(&[&refused[..], &[('C', stays)]].concat());
        let stayed = upgrade(&turns).went_on.map(|mark| mark.frame);
        assert_eq!(stayed, Some(turns.len() as u64), "{protocol:?}");
    }
}
