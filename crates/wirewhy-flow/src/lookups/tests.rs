use std::fmt::Write as _;

use wirewhy_packet::Decoder;
use wirewhy_testkit::trace;

use super::*;
use crate::{Bounds, Connection, Tracker};

/// The tracker at the end of a trace, and the connections.
pub(super) fn followed(lines: &str) -> (Tracker, Vec<Connection>) {
    let mut decoder = Decoder::new();
    let mut tracker = Tracker::new(Bounds::default());
    let mut connections = Vec::new();
    for frame in trace(lines) {
        tracker.observe(&decoder.decode(&frame.as_frame()), &mut |connection| {
            connections.push(*connection);
        });
    }
    tracker.finish(&mut |connection| connections.push(*connection));
    (tracker, connections)
}

/// All lookups, plain ones too.
fn lookups(lines: &str) -> Vec<Lookup> {
    let mut decoder = Decoder::new();
    let mut lookups = Lookups::default();
    let (mut over, mut now) = (Vec::new(), Timestamp(0));
    for frame in trace(lines) {
        let packet = decoder.decode(&frame.as_frame());
        let ip = packet.ip.unwrap();
        now = now.max(packet.time);
        while let Some(lookup) = lookups.groups.next_over(now) {
            over.push(lookup);
        }
        match &packet.transport {
            wirewhy_packet::Transport::Udp(udp) => lookups.observe(&packet, &ip, udp, now),
            wirewhy_packet::Transport::Fragment(piece) => {
                lookups.observe_fragment(&packet, &ip, piece);
            }
            wirewhy_packet::Transport::IcmpError(error) => {
                lookups.observe_icmp(&packet, ip.source, error);
            }
            other => panic!("{other:?}"),
        }
    }
    over.extend(lookups.groups.take_all(now));
    over
}

fn seconds(interval: Interval) -> f64 {
    (interval.as_secs_f64() * 1_000.0).round() / 1_000.0
}

const CLIENT: &str = "192.0.2.1";
const RESOLVER: &str = "192.0.2.53";

#[test]
fn a_and_aaaa_are_one_lookup() {
    let found = lookups(
        "0.000 dns 192.0.2.1 > 192.0.2.53 1 www.example.com A
         0.001 dns 192.0.2.1 > 192.0.2.53 2 www.example.com AAAA
         0.020 dns 192.0.2.1 < 192.0.2.53 2 noerror www.example.com AAAA 2001:db8::1
         0.030 dns 192.0.2.1 < 192.0.2.53 1 noerror WWW.example.com A 192.0.2.80",
    );
    assert_eq!(found.len(), 1);
    let lookup = &found[0];
    assert_eq!(
        (lookup.name(), lookup.queries.len()),
        ("www.example.com", 2)
    );
    assert_eq!(lookup.client.to_string(), CLIENT);
    assert!(lookup.queries.iter().all(Query::is_resolved));
    assert_eq!(
        lookup.queries[0].answer.as_ref().unwrap().same_case,
        Some(false)
    );
    assert_eq!(seconds(lookup.waited()), 0.03);
}

#[test]
fn asked_again_after_an_answer_is_another_lookup() {
    let found = lookups(
        "0.0 dns 192.0.2.1:5000 > 192.0.2.53 1 www.example.com A
         0.1 dns 192.0.2.1:5000 < 192.0.2.53 1 noerror www.example.com A 192.0.2.80
         0.2 dns 192.0.2.1:5001 > 192.0.2.53 2 www.example.com A
         0.3 dns 192.0.2.1:5001 < 192.0.2.53 2 nxdomain www.example.com A soa example.com
         0.4 dns 192.0.2.1:5002 > 192.0.2.53 3 www.example.com A
         0.5 dns 192.0.2.1:5002 < 192.0.2.53 3 nxdomain www.example.com A",
    );
    assert_eq!(found.len(), 3);
    let zone = &found[1].queries[0].answer.as_ref().unwrap().authority;
    assert_eq!(&*zone.as_ref().unwrap().zone, "example.com");
}

#[test]
fn repeats_keep_number_and_port_or_neither() {
    // As glibc does, and as Go does.
    let same = "0 dns 192.0.2.1:5000 > 192.0.2.53 1 www.example.com A
                5 dns 192.0.2.1:5000 > 192.0.2.53 1 www.example.com A";
    let other = "0 dns 192.0.2.1:5000 > 192.0.2.53 1 www.example.com A
                 5 dns 192.0.2.1:5001 > 192.0.2.53 2 www.example.com A";
    for (lines, queries) in [(same, 1), (other, 2)] {
        let found = lookups(&format!("{lines}\n9 end"));
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].asked(), found[0].queries.len()), (2, queries));
        assert_eq!(
            (seconds(found[0].waited()), seconds(found[0].heard_after)),
            (5.0, 4.0)
        );
    }
}

#[test]
fn frames_recorded_twice_are_no_repeats() {
    let found = lookups(
        "0.000 dns 192.0.2.1 > 192.0.2.53 1 www.example.com A
         0.000 dns 192.0.2.1 > 192.0.2.53 1 www.example.com A
         0.020 dns 192.0.2.1 < 192.0.2.53 1 noerror www.example.com A 192.0.2.80
         0.020 dns 192.0.2.1 < 192.0.2.53 1 noerror www.example.com A 192.0.2.80",
    );
    assert_eq!((found.len(), found[0].asked()), (1, 1));
    assert_eq!(found[0].queries[0].contradiction, None);
}

#[test]
fn the_names_of_a_search_list_are_one_lookup() {
    let mut lines = String::new();
    let names = [
        "api.example.com.shop.svc.cluster.local",
        "api.example.com.svc.cluster.local",
        "api.example.com.cluster.local",
        "api.example.com",
    ];
    for (n, name) in names.into_iter().enumerate() {
        for (kind, id) in [("A", n * 2), ("AAAA", n * 2 + 1)] {
            writeln!(
                lines,
                "+0.001 dns 192.0.2.1:{} > 192.0.2.53 {id} {name} {kind}",
                5000 + n
            )
            .unwrap();
        }
        for (kind, id) in [("A", n * 2), ("AAAA", n * 2 + 1)] {
            let answer = match n {
                3 => format!("noerror {name} {kind} 192.0.2.80"),
                _ => format!("nxdomain {name} {kind}"),
            };
            writeln!(
                lines,
                "+0.001 dns 192.0.2.1:{} < 192.0.2.53 {id} {answer}",
                5000 + n
            )
            .unwrap();
        }
    }
    let found = lookups(&lines);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        (found[0].name(), found[0].queries.len()),
        ("api.example.com", 8)
    );
    assert!(found[0].resolved().is_some());
}

#[test]
fn names_with_one_beginning_are_not_always_a_search_list() {
    let list = |gap: &str| {
        lookups(&format!(
            "0.00 dns 192.0.2.1:5000 > 192.0.2.53 1 www.example.org A
             0.01 dns 192.0.2.1:5000 < 192.0.2.53 1 nxdomain www.example.org A
             {gap} dns 192.0.2.1:5001 > 192.0.2.53 2 www.example.net A
             +0.1 dns 192.0.2.1:5001 < 192.0.2.53 2 noerror www.example.net A 192.0.2.80"
        ))
        .len()
    };
    assert_eq!((list("+0.001"), list("+0.5")), (1, 2));
}

#[test]
fn servers_in_turn_are_one_lookup() {
    let found = lookups(
        "0.0 dns 192.0.2.1:5000 > 192.0.2.53 1 www.example.com A
         0.1 dns 192.0.2.1:5000 < 192.0.2.53 1 servfail www.example.com A ede 22 \"all silent\"
         0.1 dns 192.0.2.1:5001 > 192.0.2.54 1 www.example.com A
         0.2 dns 192.0.2.1:5001 < 192.0.2.54 1 noerror www.example.com A 192.0.2.80",
    );
    assert_eq!((found.len(), found[0].queries.len()), (1, 2));
    let error = found[0].queries[0].answer.as_ref().unwrap().error.as_ref();
    assert_eq!(error.unwrap().code, 22);
}

#[test]
fn an_answer_without_its_question_and_one_to_another() {
    let found = lookups(
        "0.0 dns 192.0.2.1:5000 > 192.0.2.53 1 www.example.com A
         0.1 dns 192.0.2.1:5000 < 192.0.2.53 1 formerr www.example.com A noquestion
         9.0 dns 192.0.2.1:5001 > 192.0.2.53 2 www.example.net A
         9.1 dns 192.0.2.1:5001 < 192.0.2.53 2 noerror www.example.org A 192.0.2.80",
    );
    assert_eq!(found[0].queries[0].answer.as_ref().unwrap().rcode, 1);
    assert_eq!(found[1].queries[0].answer, None);
}

#[test]
fn an_answer_from_another_address() {
    let found = lookups(
        "0.0 dns 192.0.2.1:5000 > 192.0.2.53 1 www.example.com A
         0.1 dns 192.0.2.1:5000 < 192.0.2.53 1 noerror www.example.com A 192.0.2.80 from 192.0.2.99",
    );
    let query = &found[0].queries[0];
    assert_eq!(query.answer, None);
    assert_eq!(query.stranger.unwrap().0.to_string(), "192.0.2.99");
}

#[test]
fn two_answers_that_differ() {
    let answers = |second: &str| {
        let lines = format!(
            "0.0 dns 192.0.2.1:5000 > 192.0.2.53 1 www.example.com A
             0.001 dns 192.0.2.1:5000 < 192.0.2.53 1 noerror www.example.com A 203.0.113.1 ttl 40
             0.030 dns 192.0.2.1:5000 < 192.0.2.53 1 noerror www.example.com A {second}"
        );
        lookups(&lines)[0].queries[0].contradiction.clone()
    };
    assert_eq!(answers("203.0.113.1 life 299"), None);
    let later = answers("192.0.2.80").unwrap();
    assert_eq!((later.ttl, later.addresses.len()), (64, 1));
}

#[test]
fn a_refusal_by_icmp() {
    let found = lookups(
        "0.0 dns 192.0.2.1:5000 > 192.0.2.53 1 www.example.com A
         0.1 dns 192.0.2.1:5000 refused 192.0.2.53",
    );
    let error = found[0].queries[0].icmp.unwrap();
    assert!(error.is_port_unreachable());
    assert_eq!(error.reporter.to_string(), RESOLVER);
}

#[test]
fn the_first_fragment_of_an_answer_is_remembered_until_the_rest_comes() {
    let lost = "0.0 dns 192.0.2.1 > 192.0.2.53 1 www.example.com A edns 4096
                0.1 dns 192.0.2.1 < 192.0.2.53 1 noerror www.example.com A fragment";
    let fragment = lookups(lost)[0].queries[0].fragment;
    assert_eq!(fragment.map(|(_, length)| length), Some(1992));
    let other =
        format!("{lost}\n 0.2 dns 192.0.2.1 < 192.0.2.53 1 noerror www.example.com A 192.0.2.80");
    let query = &lookups(&other)[0].queries[0];
    assert!(query.fragment.is_none() && query.is_resolved());
}

#[test]
fn only_what_is_plainly_dns_is_read_at_other_ports() {
    let asked = |port: u16, name: &str| {
        lookups(&format!(
            "0.0 dns 192.0.2.1:5000 > 192.0.2.53:{port} 1 {name} A
             0.1 dns 192.0.2.1:5000 < 192.0.2.53:{port} 1 noerror {name} A 192.0.2.80"
        ))
    };
    assert!(asked(8600, "db.service.consul")[0].resolved().is_some());
    assert!(asked(8600, "consul").is_empty());
    assert!(asked(137, "db.service.consul").is_empty());
    // A client's own port to one host is no multicast DNS.
    assert_eq!(asked(5353, "db.service.consul").len(), 1);
}

#[test]
fn multicast_dns_only_gives_names() {
    let (tracker, connections) = followed(
        "0.0 dns 192.0.2.1:5353 > 224.0.0.251:5353 0 printer.local A
         0.1 dns 224.0.0.251:5353 < 198.51.100.1:5353 0 noerror printer.local A 198.51.100.1
         1.0 > S 0:0(0)
         1.1 < SA 0:0(0) ack 1",
    );
    assert_eq!(tracker.lookups().tally().queries, 0);
    let found = connections[0].looked_up.as_ref().unwrap();
    assert_eq!((&*found.name, found.took), ("printer.local", None));
}

#[test]
fn a_connection_has_the_name_that_its_client_had_looked_up() {
    let lookup = |client: &str, then: &str| {
        let (_, connections) = followed(&format!(
            "0.00 dns {client}:5000 > 192.0.2.53 1 www.example.com A
             0.05 dns {client}:5000 < 192.0.2.53 1 noerror www.example.com A cname edge.example.net 198.51.100.1
             {then} > S 0:0(0)
             +0.1 < SA 0:0(0) ack 1"
        ));
        connections[0].looked_up.clone()
    };
    let found = lookup(CLIENT, "0.06").unwrap();
    assert_eq!(
        (&*found.name, found.answer.unwrap().frame),
        ("www.example.com", 2)
    );
    assert_eq!(seconds(found.took.unwrap()), 0.05);
    assert!(lookup(CLIENT, "500").is_some());
    assert_eq!(lookup(CLIENT, "700"), None);
    assert_eq!(lookup("192.0.2.7", "0.06"), None);
    // The capturing host's own resolver.
    assert!(lookup("127.0.0.1", "0.06").is_some());
}

#[test]
fn a_host_asks_over_one_version_of_ip_and_connects_over_the_other() {
    let (_, connections) = followed(
        "client 192.0.2.1:40000 mac 02:00:00:00:01:01
         0.00 dns 192.0.2.1:5000 > 192.0.2.53 1 www.example.com AAAA
         0.05 dns 192.0.2.1:5000 < 192.0.2.53 1 noerror www.example.com AAAA 2001:db8::80
         #2 client [2001:db8::1]:40000 mac 02:00:00:00:01:01
         #2 server [2001:db8::80]:443
         0.1 #2 > S 0:0(0)",
    );
    assert_eq!(
        &*connections[0].looked_up.as_ref().unwrap().name,
        "www.example.com"
    );
}

#[test]
fn healthy_lookups_are_counted_and_not_kept() {
    let mut lines = String::new();
    for n in 0..50 {
        writeln!(
            lines,
            "{n}.0 dns 192.0.2.1:5000 > 192.0.2.53 {n} h{n}.example.com A"
        )
        .unwrap();
        writeln!(
            lines,
            "{n}.01 dns 192.0.2.1:5000 < 192.0.2.53 {n} noerror h{n}.example.com A 192.0.2.80"
        )
        .unwrap();
    }
    let (tracker, connections) = followed(&lines);
    let tally = tracker.lookups().tally();
    assert_eq!(
        (tally.queries, tally.responses[0], tally.lookups, tally.kept),
        (50, 50, 50, 0)
    );
    assert_eq!(tracker.lookups().kept().count(), 0);
    assert!(connections.is_empty(), "no lookup over UDP is a connection");
    let resolver = tracker
        .lookups()
        .resolver((RESOLVER.parse().unwrap(), 53))
        .unwrap();
    assert_eq!(seconds(resolver.quickest.unwrap()), 0.01);
}

#[test]
fn failures_alike_are_kept_once() {
    let mut lines = String::new();
    for n in 0..20 {
        let port = 5000 + n;
        writeln!(
            lines,
            "+1 dns 192.0.2.{}:{port} > 192.0.2.53 {n} nope.example.com A",
            n % 3 + 1
        )
        .unwrap();
        writeln!(
            lines,
            "+0.01 dns 192.0.2.{}:{port} < 192.0.2.53 {n} nxdomain nope.example.com A",
            n % 3 + 1
        )
        .unwrap();
    }
    let (tracker, _) = followed(&lines);
    let kept: Vec<&Alike> = tracker.lookups().kept().collect();
    assert_eq!(
        (kept.len(), kept[0].count, kept[0].clients.len()),
        (1, 20, 3)
    );
    assert_eq!(kept[0].latest.frame, 39);
}

#[test]
fn a_resolvers_own_questions_to_authorities_are_not_kept() {
    let (tracker, _) = followed(
        "0.0 dns 192.0.2.53:5000 > 203.0.113.1 1 nope.example.com A norec
         0.1 dns 192.0.2.53:5000 < 203.0.113.1 1 nxdomain nope.example.com A",
    );
    assert_eq!(tracker.lookups().tally().lookups, 1);
    assert_eq!(tracker.lookups().kept().count(), 0);
}

#[test]
fn over_tcp_after_an_answer_that_did_not_fit() {
    let asked = "\\x00\\x1f\\x00\\x07\\x01\\x00\\x00\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x03www\\x07example\\x01c\\x00\\x00\\x01\\x00\\x01";
    let answered = "\\x00\\x2f\\x00\\x07\\x81\\x80\\x00\\x01\\x00\\x01\\x00\\x00\\x00\\x00\\x03www\\x07example\\x01c\\x00\\x00\\x01\\x00\\x01\\xc0\\x0c\\x00\\x01\\x00\\x01\\x00\\x00\\x00\\x05\\x00\\x04\\xc0\\x00\\x02\\x50";
    let (tracker, connections) = followed(&format!(
        "server 192.0.2.53:53
         0.00 dns 192.0.2.1:5000 > 192.0.2.53 1 www.example.c A
         0.01 dns 192.0.2.1:5000 < 192.0.2.53 1 noerror www.example.c A tc
         0.02 > S 0:0(0)
         0.03 < SA 0:0(0) ack 1
         0.03 > A 1:1(0) ack 1
         0.04 > PA 1:34(33) ack 1 \"{asked}\"
         0.05 < PA 1:50(49) ack 34 \"{answered}\"
         0.06 end"
    ));
    let kept: Vec<&Alike> = tracker.lookups().kept().collect();
    let lookup = &kept[0].lookup;
    assert_eq!((lookup.queries.len(), lookup.attempts.len()), (2, 1));
    assert_eq!(lookup.queries[1].stream, Some(connections[0].stream));
    assert!(!lookup.queries[0].is_resolved() && lookup.queries[1].is_resolved());
    let app = connections[0].app.as_ref().unwrap();
    assert_eq!(app.dns.as_ref().unwrap().responses, 1);
}

#[test]
fn messages_of_connections_that_were_joined_late() {
    let asked = "\\x00\\x1f\\x00\\x07\\x01\\x00\\x00\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x03www\\x07example\\x01c\\x00\\x00\\x01\\x00\\x01";
    let answered = "\\x00\\x1f\\x00\\x07\\x81\\x83\\x00\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x03www\\x07example\\x01c\\x00\\x00\\x01\\x00\\x01";
    let counts = |port: u16, first: &str| {
        let (tracker, _) = followed(&format!(
            "server 192.0.2.53:{port}
             {first}
             0.04 > PA 1:34(33) ack 1 \"{asked}\"
             0.05 < PA 1:34(33) ack 34 \"{answered}\""
        ));
        let tally = tracker.lookups().tally();
        (tally.queries, tally.responses[3])
    };
    assert_eq!(counts(53, "0.03 > A 1:1(0) ack 1"), (1, 1));
    // Behind the rest of a message.
    assert_eq!(counts(53, "0.03 > PA 0:1(1) ack 1 \"a\""), (1, 1));
    assert_eq!(counts(8053, "0.03 > A 1:1(0) ack 1"), (0, 0));
}

#[test]
fn tables_are_bounded() {
    let mut lookups = Lookups::default();
    let mut decoder = Decoder::new();
    let frames = trace("0 dns 192.0.2.1 > 192.0.2.53 1 www.example.com A");
    let packet = decoder.decode(&frames[0].as_frame());
    let (ip, wirewhy_packet::Transport::Udp(udp)) = (packet.ip.unwrap(), packet.transport) else {
        panic!("{packet:?}");
    };
    for n in 0..140_000_u32 {
        let source = IpAddr::from((0x0a00_0000 + n / 8).to_be_bytes());
        let ip = wirewhy_packet::Ip { source, ..ip };
        let source_port = u16::try_from(n % 8).unwrap();
        let udp = UdpDatagram { source_port, ..udp };
        lookups.observe(&packet, &ip, &udp, packet.time);
    }
    assert!(lookups.tally().given_up > 60_000);
    lookups.finish(packet.time);
    assert_eq!(lookups.tally().queries, 140_000);
    assert!(lookups.groups.is_empty());
    let (total, kept) = (lookups.tally().kept, lookups.kept().count());
    assert!(total > 17_000 && kept <= 16_384, "{total} {kept}");
}
