use proptest::prelude::*;

use super::*;
use crate::testing::{as_datagrams, codes, diagnose_all};
use crate::{Diagnosis, TrustStore, diagnose_briefly, found_without_sign};

const HELLO: &str = "16030100330100002f030307070707070707070707070707070707070707070707070707070707070707000002c02f01000004000a0000";
const ANSWER: &str = "160303002a020000260303090909090909090909090909090909090909090909090909090909090909090900c02f00";

/// What either side may say: payload as a trace has it, and its length.
fn words(from_client: bool, number: u8) -> (String, usize) {
    let text = |text: &str| (format!("\"{text}\""), text.replace('\\', "").len());
    let hex = |hex: &str| (format!("hex {hex}"), hex.len() / 2);
    match (from_client, number % 10) {
        (true, 0 | 1) => text("GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n"),
        (true, 2) => hex(HELLO),
        (true, 3) => hex("505249202a20485454502f322e300d0a0d0a534d0d0a0d0a000000040000000000"),
        (true, 4) => text("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\\r\\nGET / HTTP/1.1\\r\\n\\r\\n"),
        (true, 5) => text("SSH-2.0-a\\r\\n"),
        (true, 6) => text("EHLO a\\r\\nSTARTTLS\\r\\n"),
        (true, 7) => text("USER a\\r\\n"),
        (false, 0) => text("HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok"),
        (false, 1) => text("HTTP/1.1 503 No\\r\\nContent-Length: 9\\r\\n\\r\\nok"),
        (false, 2) => hex(ANSWER),
        (false, 3) => hex("000000040000000000"),
        (false, 4) => text("HTTP/1.1 400 Bad\\r\\nContent-Length: 0\\r\\n\\r\\n"),
        (false, 5) => text("SSH-2.0-b\\r\\n"),
        (false, 6) => text("220 b ESMTP\\r\\n"),
        (false, 7) => text("530 Login incorrect.\\r\\n"),
        (_, 8) => hex("15030300020228"),
        _ => text("hello"),
    }
}

/// A step of a conversation: how long after the one before, from whom, what, and a number to choose by.
type Step = (u8, bool, u8, u8);

/// The lines of a conversation: each step fits those before it, or repeats, overtakes or contradicts them.
fn lines(port: u8, steps: &[Step]) -> String {
    let port = [80, 21, 22, 25, 443, 6000][usize::from(port) % 6];
    let mut lines = format!("server 198.51.100.9:{port}\n");
    let mut time = 0.0;
    let mut next = [0_usize; 2];
    for (gap, from_client, what, number) in steps.iter().copied() {
        time += [0.001, 0.02, 0.3, 1.1, 4.0, 20.0, 70.0][usize::from(gap) % 7];
        let (own, peer, arrow) = match from_client {
            true => (next[0], next[1], '>'),
            false => (next[1], next[0], '<'),
        };
        let (payload, len) = words(from_client, number);
        let (mut sent, segment) = match what % 16 {
            0 => (1, format!("S 0:0(0) <mss 1460,wscale {}>", number % 9)),
            1 => (1, format!("SA 0:0(0) ack {peer} <mss 1460,wscale 7>")),
            2 | 3 => (own, format!("A {own}:{own}(0) ack {peer}")),
            4..=8 => {
                let end = own + len;
                (end, format!("PA {own}:{end}({len}) ack {peer} {payload}"))
            }
            9 => (own + 1, format!("FA {own}:{own}(0) ack {peer}")),
            10 => (own, format!("RA {own}:{own}(0) ack {peer} ttl 60")),
            11 => (own, format!("R {own}:{own}(0) win 0")),
            // Sent again, and ahead of what is missing.
            12 if own > 9 => (own, format!("PA {}:{own}(9) ack {peer}", own - 9)),
            13 => (
                own,
                format!("A {}:{}(700) ack {peer}", own + 700, own + 1400),
            ),
            14 => (own, format!("A {own}:{own}(0) ack {peer} win 0")),
            _ => (own, format!("PA {own}:{}(5) ack {peer} badsum", own + 5)),
        };
        sent = sent.max(own);
        next[usize::from(!from_client)] = sent;
        lines.push_str(&format!("{time:.3} {arrow} {segment}\n"));
        if number > 240 && from_client {
            lines.push_str(&format!(
                "{:.3} icmp 203.0.113.1 > client unreachable host\n",
                time
            ));
        }
    }
    format!("{lines}{:.3} end\n", time + 30.0)
}

fn without_sign(diagnosis: &Diagnosis) -> Vec<&'static str> {
    let mut wrong = found_without_sign(&diagnosis.connection, &Limits::default());
    let datagrams = as_datagrams(diagnosis.connection.clone());
    wrong.extend(found_without_sign(&datagrams, &Limits::default()));
    wrong
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_found_without_a_sign(
        port in any::<u8>(),
        opens in any::<bool>(),
        steps in prop::collection::vec(any::<Step>(), 1..14),
    ) {
        let mut all: Vec<Step> = Vec::new();
        if opens {
            all.extend([(0, true, 0, 7), (1, false, 1, 7), (0, true, 2, 7)]);
        }
        all.extend(steps);
        for diagnosis in diagnose_all(&lines(port, &all)) {
            prop_assert_eq!(without_sign(&diagnosis), Vec::<&str>::new());
            let limits = Limits::default();
            let connection = diagnosis.connection.clone();
            let mut brief = diagnose_briefly(connection, &limits, &TrustStore::mozilla());
            brief.put_into_words(&limits);
            prop_assert_eq!(brief, diagnosis);
        }
    }
}

#[test]
fn a_connection_that_went_well_asks_no_rule() {
    let diagnosis = diagnose_all(
        "0.00 > S 0:0(0)
         0.02 < SA 0:0(0) ack 1
         0.03 > A 1:1(0) ack 1
         0.04 > PA 1:30(29) ack 1 \"GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n\"
         0.06 < PA 1:41(40) ack 30 \"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok\"
         0.07 > FA 30:30(0) ack 41
         0.09 < FA 41:41(0) ack 31
         0.10 > A 31:31(0) ack 42",
    );
    let signs = Signs::of(&diagnosis[0].connection, &Limits::default());
    assert_eq!(signs, Signs::default());
    assert_eq!(signs.rules().count(), 0);
}

#[test]
fn a_syn_without_an_answer_asks_two_rules() {
    let lines = "0.0 > S 0:0(0)\n 10 end";
    let diagnosis = diagnose_all(lines);
    let rules = Signs::of(&diagnosis[0].connection, &Limits::default()).rules();
    let asked: Vec<&str> = rules.map(|detector| detector.record.code).collect();
    assert_eq!(asked, ["tcp.paws-drop", "tcp.syn-unanswered"]);
    assert_eq!(codes(lines), ["tcp.syn-unanswered"]);
}
