use std::net::IpAddr;

use proptest::prelude::*;

use super::*;
use crate::testing::{client, closed_facts, facts_of, feed_with, open_facts, segments, server};
use crate::{AppProtocol, CaptureContext, Conversation, Framing, Role, Unreadable};

/// A name on the wire, without compression.
fn name(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in text.split('.').filter(|label| !label.is_empty()) {
        bytes.push(u8::try_from(label.len()).unwrap());
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

fn record(owner: &[u8], kind: u16, class: u16, ttl: u32, data: &[u8]) -> Vec<u8> {
    let mut bytes = owner.to_vec();
    bytes.extend_from_slice(&kind.to_be_bytes());
    bytes.extend_from_slice(&class.to_be_bytes());
    bytes.extend_from_slice(&ttl.to_be_bytes());
    bytes.extend_from_slice(&u16::try_from(data.len()).unwrap().to_be_bytes());
    bytes.extend_from_slice(data);
    bytes
}

/// A header with these flags and counts, and the sections behind it.
fn message(id: u16, flags: u16, counts: [u16; 4], sections: &[&[u8]]) -> Vec<u8> {
    let mut bytes = [id, flags, counts[0], counts[1], counts[2], counts[3]]
        .iter()
        .flat_map(|field| field.to_be_bytes())
        .collect::<Vec<u8>>();
    bytes.extend_from_slice(&sections.concat());
    bytes
}

fn question(text: &str, kind: u16) -> Vec<u8> {
    [name(text), kind.to_be_bytes().to_vec(), vec![0, 1]].concat()
}

pub(crate) fn query(id: u16, text: &str, kind: u16) -> Vec<u8> {
    message(id, 0x0100, [1, 0, 0, 0], &[&question(text, kind)])
}

/// An alias and the address behind it, by pointers.
fn answer(id: u16) -> Vec<u8> {
    let asked = question("www.example.com", 1);
    let alias = record(&[0xc0, 12], 5, 1, 60, &name("edge.example.net"));
    let target = u8::try_from(12 + asked.len() + 12).unwrap();
    let address = record(&[0xc0, target], 1, 1, 300, &[192, 0, 2, 80]);
    message(id, 0x8180, [1, 2, 0, 0], &[&asked, &alias, &address])
}

fn read(bytes: &[u8]) -> DnsMessage {
    DnsMessage::read(bytes, u32::try_from(bytes.len()).unwrap()).unwrap()
}

/// Behind its length, as TCP carries it.
fn framed(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap();
    [&length.to_be_bytes()[..], bytes].concat()
}

#[test]
fn a_query_and_its_answer() {
    let asked = read(&query(0x1234, "WWW.example.com", 28));
    assert_eq!(
        (asked.id, asked.is_response, asked.opcode),
        (0x1234, false, 0)
    );
    assert!(asked.recursion_desired && !asked.recursion_available);
    let question = asked.question.unwrap();
    assert_eq!(
        (&*question.name, question.kind, question.class),
        ("WWW.example.com", 28, 1)
    );
    let answered = read(&answer(7));
    assert!(answered.is_response && answered.has_answer() && answered.recursion_available);
    assert_eq!(
        answered.answers[0].data,
        DnsData::Alias("edge.example.net".into())
    );
    assert_eq!(&*answered.answers[1].owner, "edge.example.net");
    let addresses: Vec<_> = answered.addresses().collect();
    assert_eq!(addresses, [(IpAddr::from([192, 0, 2, 80]), 300)]);
}

#[test]
fn a_cut_message_still_tells_its_question() {
    let whole = answer(7);
    let length = u32::try_from(whole.len()).unwrap();
    for cut in DnsMessage::HEADER..whole.len() {
        let message = DnsMessage::read(&whole[..cut], length).unwrap();
        assert_eq!((message.id, message.rcode, message.length), (7, 0, length));
        assert!(message.is_cut);
        let has_question = cut >= DnsMessage::HEADER + 21;
        assert_eq!(message.question.is_some(), has_question, "{cut}");
    }
    assert!(DnsMessage::read(&whole[..11], length).is_none());
    // Complete, and the question is none.
    assert!(DnsMessage::read(&whole[..20], 20).is_none());
}

#[test]
fn an_answer_that_does_not_exist_and_who_says_so() {
    let soa = [
        name("ns1.example.com"),
        name("admin.example.com"),
        vec![0; 20],
    ]
    .concat();
    let authority = record(&name("example.com"), 6, 1, 900, &soa);
    let asked = question("nope.example.com", 1);
    let message = read(&message(1, 0x8583, [1, 0, 1, 0], &[&asked, &authority]));
    assert_eq!(message.rcode, 3);
    assert!(message.authoritative && !message.has_answer() && !message.refers);
    let authority = message.authority.unwrap();
    assert_eq!(
        (&*authority.zone, &*authority.primary),
        ("example.com", "ns1.example.com")
    );
}

#[test]
fn a_referral_is_no_answer() {
    let servers = record(&name("example.com"), 2, 1, 900, &name("ns1.example.com"));
    let asked = question("www.example.com", 1);
    let message = read(&message(1, 0x8000, [1, 0, 1, 0], &[&asked, &servers]));
    assert!(message.refers && !message.has_answer() && message.authority.is_none());
}

/// An OPT record with an extended error.
fn opt(high: u8, code: u16, text: &[u8]) -> Vec<u8> {
    let error = [&code.to_be_bytes()[..], text].concat();
    let length = u16::try_from(error.len()).unwrap();
    let options = [&[0, 15][..], &length.to_be_bytes(), &error].concat();
    record(
        &[0],
        41,
        1232,
        u32::from_be_bytes([high, 0, 0x80, 0]),
        &options,
    )
}

#[test]
fn what_edns_adds() {
    let asked = question("bogus.example.net", 1);
    let failed = opt(0, 9, b"no DNSKEY matches DS\0");
    let failed = read(&message(1, 0x8182, [1, 0, 0, 1], &[&asked, &failed]));
    let edns = failed.edns.unwrap();
    assert_eq!((failed.rcode, edns.size, edns.dnssec_ok), (2, 1232, true));
    let error = edns.error.unwrap();
    assert_eq!((error.code, &*error.text), (9, "no DNSKEY matches DS"));
    assert_eq!(error_name(error.code), Some("DNSKEY Missing"));
    // The high bits of the code, and more text than is kept.
    let cookie = opt(1, 0, &[b'x'; 400]);
    let cookie = read(&message(1, 0x8187, [1, 0, 0, 1], &[&asked, &cookie]));
    assert_eq!(rcode_name(cookie.rcode), "BADCOOKIE");
    let text = cookie.edns.unwrap().error.unwrap().text;
    assert_eq!(text.len(), ExtendedError::TEXT);
}

#[test]
fn a_service_and_its_hints() {
    let params = [
        &[0, 1][..],
        &name("svc.example.net"),
        &[0, 4, 0, 4, 192, 0, 2, 1, 0, 6, 0, 16],
        &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
    ]
    .concat();
    let service = record(&[0xc0, 12], 65, 1, 60, &params);
    let asked = question("www.example.com", 65);
    let message = read(&message(1, 0x8180, [1, 1, 0, 0], &[&asked, &service]));
    assert!(message.has_answer());
    let addresses: Vec<IpAddr> = message.addresses().map(|(address, _)| address).collect();
    assert_eq!(
        addresses,
        [
            "192.0.2.1".parse::<IpAddr>().unwrap(),
            "2001:db8::1".parse().unwrap()
        ]
    );
}

#[test]
fn an_alias_alone_is_no_address() {
    let asked = question("www.example.com", 28);
    let alias = record(&[0xc0, 12], 5, 1, 60, &name("edge.example.net"));
    let message = read(&message(1, 0x8180, [1, 1, 0, 0], &[&asked, &alias]));
    assert!(!message.has_answer());
}

#[test]
fn an_error_without_its_question() {
    let message = read(&message(9, 0x8181, [0; 4], &[]));
    assert_eq!(
        (message.rcode, message.questions, message.question),
        (1, 0, None)
    );
}

#[test]
fn types_that_are_not_read_lose_nothing() {
    for kind in [44, 51, 256, 65_534, 513] {
        let asked = question("a.example.com", kind);
        let other = record(&[0xc0, 12], kind, 1, 60, b"??");
        let message = read(&message(1, 0x8180, [1, 1, 0, 0], &[&asked, &other]));
        assert!(message.has_answer(), "{kind}");
    }
}

#[test]
fn unusual_bytes_of_a_name_are_numbers() {
    let odd = message(
        1,
        0x0100,
        [1, 0, 0, 0],
        &[b"\x04a.\x1bZ\x02_x\0\0\x01\0\x01"],
    );
    assert_eq!(&*read(&odd).question.unwrap().name, "a\\046\\027Z._x");
    let root = message(1, 0x0100, [1, 0, 0, 0], &[&question("", 2)]);
    assert_eq!(&*read(&root).question.unwrap().name, ".");
}

#[test]
fn pointers_in_a_ring_end() {
    let ring = message(1, 0x0100, [1, 0, 0, 0], &[&[0xc0, 12, 0, 1, 0, 1]]);
    assert!(DnsMessage::read(&ring, u32::try_from(ring.len()).unwrap()).is_none());
}

#[test]
fn the_order_of_answers_and_their_ages_do_not_matter() {
    let asked = question("a.example.com", 1);
    let of = |ttl: u32, first: u8, second: u8| {
        let one = record(&[0xc0, 12], 1, 1, ttl, &[192, 0, 2, first]);
        let other = record(&[0xc0, 12], 1, 1, ttl, &[192, 0, 2, second]);
        read(&message(1, 0x8180, [1, 2, 0, 0], &[&asked, &one, &other])).digest
    };
    assert_eq!(of(300, 1, 2), of(299, 2, 1));
    assert_ne!(of(300, 1, 2), of(300, 1, 3));
}

#[test]
fn messages_over_tcp_in_any_pieces() {
    let turns = [
        client(framed(&query(1, "a.example.com", 1))),
        client(
            [
                framed(&query(2, "b.example.com", 28)),
                framed(&query(3, "c.example.com", 1)),
            ]
            .concat(),
        ),
        server([framed(&answer(2)), framed(&answer(1))].concat()),
    ];
    let whole = closed_facts(&turns);
    let dns = whole.dns.as_deref().unwrap();
    assert_eq!((dns.queries, dns.responses), (3, 2));
    assert_eq!(&*dns.last_question.as_ref().unwrap().name, "c.example.com");
    assert_eq!(whole.client.protocol, Some(AppProtocol::Dns));
    assert_eq!(whole.awaiting.as_ref().unwrap().sent.frame, 2);
    for size in 1..40 {
        assert_eq!(facts_of(&segments(&turns, size), &turns), whole, "{size}");
    }
}

#[test]
fn messages_are_handed_on_as_they_are_read() {
    let turns = [
        client(framed(&query(1, "a.example.com", 1))),
        server(framed(&answer(1))),
    ];
    for size in [1, 7, 1_000] {
        let mut context = CaptureContext::default();
        let mut conversation = Conversation::new();
        let mut seen = Vec::new();
        for piece in segments(&turns, size) {
            feed_with(&mut conversation, &piece, &mut context);
            seen.extend(context.take_dns());
        }
        let seen: Vec<_> = seen
            .iter()
            .map(|seen| (seen.mark.frame, seen.message.is_response))
            .collect();
        assert_eq!(seen, [(1, false), (2, true)]);
        assert!(!context.has_dns());
    }
}

#[test]
fn a_message_that_never_ends_is_begun() {
    let asked = framed(&query(1, "a.example.com", 1));
    let facts = open_facts(&[client(&asked[..asked.len() - 3])]);
    assert!(matches!(facts.client.framing, Framing::Inside(_)));
    assert_eq!(facts.dns, None);
}

#[test]
fn what_is_no_message_is_not_read() {
    for bytes in [
        &b"\x00\x1d\x12\x34\x01\x00\x00\x02\x00\x00\x00\x00\x00\x00"[..],
        b"\x00\x1d\x12\x34\x03\x00\x00\x01\x00\x00\x00\x00\x00\x00",
        b"\x00\x05\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00",
        b"\x00\x00\x00\x08\x04\xd2\x16\x2f",
    ] {
        let facts = open_facts(&[client(bytes)]);
        assert_ne!(facts.client.protocol, Some(AppProtocol::Dns), "{bytes:?}");
    }
    // It began as one and does not go on as one.
    let mut bytes = framed(&query(1, "a.example.com", 1));
    bytes.extend_from_slice(&[0, 3, 1, 2, 3]);
    let facts = open_facts(&[client(bytes)]);
    assert_eq!(
        facts.client.framing,
        Framing::Unknown(Unreadable::Malformed)
    );
    assert_eq!(facts.dns.unwrap().queries, 1);
}

#[test]
fn messages_from_the_middle_of_a_stream_are_whole() {
    let asked = framed(&query(1, "a.example.com", 1));
    let answered = framed(&answer(1));
    let is = |role, bytes: &[u8]| begins_with_messages(role, bytes);
    assert!(is(Role::Client, &asked) && is(Role::Server, &answered));
    assert!(is(Role::Client, &[&asked[..], &asked].concat()));
    // The other end's, cut, with a rest behind it, and without its length.
    assert!(!is(Role::Server, &asked) && !is(Role::Client, &answered));
    for cut in 0..asked.len() {
        assert!(!is(Role::Client, &asked[..cut]), "{cut}");
    }
    assert!(!is(Role::Client, &[&asked[..], &[0]].concat()));
    assert!(!is(Role::Client, &query(1, "a.example.com", 1)));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_not(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let length = u32::try_from(bytes.len()).unwrap();
        let found = DnsMessage::read(&bytes, length);
        prop_assert_eq!(found.is_some(), DnsMessage::read(&bytes, length).is_some());
        prop_assert!(found.is_none_or(|found| found.answers.len() <= DnsMessage::ANSWERS));
    }

    #[test]
    fn a_damaged_answer_keeps_its_number(at in 12_usize..60, byte in any::<u8>()) {
        let mut bytes = answer(0x55aa);
        if let Some(place) = bytes.get_mut(at) {
            *place = byte;
        }
        let length = u32::try_from(bytes.len()).unwrap();
        prop_assert!(DnsMessage::read(&bytes, length).is_none_or(|found| found.id == 0x55aa));
    }
}
