//! Lookups that fail for real while `wirewhy live` watches.

use std::net::UdpSocket;
use std::time::Duration;

use crate::world::{Watch, ask, in_namespace};

const SERVFAIL: u8 = 2;
const NXDOMAIN: u8 = 3;

/// A client and its resolver on the loopback interface.
struct Pair {
    client: UdpSocket,
    resolver: UdpSocket,
    id: u8,
}

impl Pair {
    fn new() -> Pair {
        let resolver = UdpSocket::bind("127.0.0.1:53").unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.connect("127.0.0.1:53").unwrap();
        for socket in [&client, &resolver] {
            let patience = Some(Duration::from_secs(5));
            socket.set_read_timeout(patience).unwrap();
        }
        Pair {
            client,
            resolver,
            id: 0,
        }
    }

    /// Asks for the address of a name, and gets an answer with this code and these records behind the question.
    fn ask(&mut self, name: &str, code: u8, answer: &[u8]) {
        self.id += 1;
        let mut query = vec![0, self.id, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.') {
            query.push(u8::try_from(label.len()).unwrap());
            query.extend(label.bytes());
        }
        query.extend([0, 0, 1, 0, 1]);
        self.client.send(&query).unwrap();
        let mut asked = [0; 512];
        let (length, from) = self.resolver.recv_from(&mut asked).unwrap();
        let mut response = asked[..length].to_vec();
        response[2] = 0x81;
        response[3] = 0x80 | code;
        response[7] = u8::from(!answer.is_empty());
        response.extend(answer);
        self.resolver.send_to(&response, from).unwrap();
        assert!(self.client.recv(&mut [0; 512]).unwrap() > 0);
    }
}

/// A record of the name asked for: A, IN, 60 seconds, 127.0.0.1.
const ADDRESS: &[u8] = &[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1];

#[test]
fn lookups_that_fail_are_told_once_and_counted() {
    if !in_namespace() {
        return;
    }
    let arguments = ["--metrics", "127.0.0.1:9100", "-f", "not port 9100"];
    let mut watch = Watch::records("lo", &arguments);
    let counted = |code: &str| {
        let body = ask("127.0.0.1:9100", "/metrics", "");
        let series = format!("wirewhy_findings_total{{code=\"{code}\",severity=\"error\"}} ");
        let values: Vec<String> = body
            .lines()
            .filter_map(|line| line.strip_prefix(&series).map(str::to_owned))
            .collect();
        values.join(" ")
    };
    for code in ["dns.servfail", "dns.nxdomain", "dns.timeout"] {
        assert_eq!(counted(code), "0", "{code}");
    }
    let mut pair = Pair::new();
    pair.ask("well.example.com", 0, ADDRESS);
    for _ in 0..2 {
        pair.ask("broken.example.com", SERVFAIL, &[]);
        pair.ask("nowhere.example.com", NXDOMAIN, &[]);
    }
    for (code, name) in [
        ("dns.servfail", "broken.example.com"),
        ("dns.nxdomain", "nowhere.example.com"),
    ] {
        let (_, record) = watch.lookup(code, name);
        assert_eq!(record["severity"], "error", "{record:#}");
        assert_eq!(record["facts"]["resolver"], "127.0.0.1", "{record:#}");
    }
    // Counters are handed over several times a second.
    std::thread::sleep(Duration::from_millis(1_500));
    for (code, count) in [
        ("dns.servfail", "1"),
        ("dns.nxdomain", "1"),
        ("dns.timeout", "0"),
    ] {
        assert_eq!(counted(code), count, "{code}");
    }
    let (status, lines, _) = watch.terminate();
    assert_eq!(status.code(), Some(0));
    // What stood at the end is repeated there, without a time.
    let reported = lines
        .iter()
        .filter(|line| line.contains("\"code\":\"dns.") && line.contains("\"time\":"))
        .count();
    assert_eq!(reported, 2, "{}", lines.join("\n"));
}

#[test]
fn a_failed_lookup_is_a_line_of_text() {
    if !in_namespace() {
        return;
    }
    let mut watch = Watch::start(&["-i", "lo"]);
    let mut pair = Pair::new();
    for _ in 0..2 {
        pair.ask("broken.example.com", SERVFAIL, &[]);
    }
    let line = watch.line();
    assert!(line.contains("dns.servfail"), "{line}");
    assert!(line.contains("broken.example.com"), "{line}");
}
