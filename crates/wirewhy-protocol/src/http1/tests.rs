use super::*;
use crate::testing::{Turn, client, closed_facts, facts_of, open_facts, segments, server};
use crate::{AppFacts, AppProtocol, Request, TlsComplaint};

const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: a.example\r\n\r\n";
const HEAD: &[u8] = b"HEAD /a HTTP/1.1\r\nHost: a.example\r\n\r\n";

fn answered(request: &[u8], response: &[u8]) -> AppFacts {
    closed_facts(&[client(request), server(response)])
}

fn what(framing: Framing) -> Option<What> {
    match framing {
        Framing::Inside(unfinished) => Some(unfinished.what),
        Framing::Boundary | Framing::UntilClose | Framing::Unknown(_) => None,
    }
}

fn statuses(turns: &[Turn]) -> (u64, u64, Option<u16>, Framing) {
    let facts = closed_facts(turns);
    (
        facts.http.requests,
        facts.http.responses,
        facts.http.last_status,
        facts.server.framing,
    )
}

// Bodies.

#[test]
fn a_content_length_cut_at_every_byte() {
    let response = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789";
    let head = response.len() - 10;
    for cut in 0..=response.len() {
        let facts = answered(GET, &response[..cut]);
        let expected = match cut {
            0 => Framing::Boundary,
            // Too little to know that it is HTTP at all.
            1..7 => Framing::Unknown(Unreadable::Unframed),
            _ if cut == response.len() => Framing::Boundary,
            _ => Framing::Inside(Unfinished {
                what: if cut < head {
                    What::Header
                } else {
                    What::ContentLength {
                        announced: 10,
                        received: (cut - head) as u64,
                    }
                },
                begun: Mark {
                    frame: 2,
                    time: wirewhy_packet::Timestamp::from_secs_nanos(2, 0),
                },
            }),
        };
        assert_eq!(facts.server.framing, expected, "cut at {cut}");
        assert_eq!(
            facts.server.truncated().is_some(),
            matches!(expected, Framing::Inside(_))
        );
    }
}

#[test]
fn chunks_cut_at_every_byte() {
    let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n";
    let body = b"5;name=\"v\"\r\nabcde\r\n00A\r\n0123456789\r\n0\r\nExpires: never\r\nX: y\r\n\r\n";
    let payload = [(12, 5), (24, 10)];
    for cut in 0..=body.len() {
        let mut response = head.to_vec();
        response.extend_from_slice(&body[..cut]);
        let facts = answered(GET, &response);
        let received = payload
            .iter()
            .map(|&(start, length)| cut.saturating_sub(start).min(length) as u64)
            .sum();
        let expected = (cut < body.len()).then_some(What::Chunked { received });
        assert_eq!(what(facts.server.framing), expected, "cut at {cut}");
        assert!(
            !matches!(facts.server.framing, Framing::Unknown(_)),
            "cut at {cut}"
        );
    }
}

#[test]
fn a_body_until_close_is_never_truncated() {
    for head in [
        &b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n"[..],
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
    ] {
        let turns = [
            client(GET),
            server([head, b"whatever\r\nHTTP/1.1 500 X\r\n\r\n"].concat()),
        ];
        assert_eq!(open_facts(&turns).server.framing, Framing::UntilClose);
        assert_eq!(statuses(&turns), (1, 1, Some(200), Framing::Boundary));
    }
}

#[test]
fn responses_that_have_no_body_whatever_they_announce() {
    for (request, status) in [(HEAD, 200), (GET, 204), (GET, 304)] {
        let response = format!("HTTP/1.1 {status} X\r\nContent-Length: 1000\r\n\r\n");
        let facts = answered(request, response.as_bytes());
        assert_eq!(facts.server.framing, Framing::Boundary);
        assert_eq!(facts.http.last_status, Some(status));
    }
    let chunked = answered(
        HEAD,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    );
    assert_eq!(chunked.server.framing, Framing::Boundary);
}

#[test]
fn methods_are_case_sensitive() {
    let facts = answered(GET, b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n");
    assert!(facts.server.truncated().is_some());
    assert_eq!(head::method(b"head"), Method::Other);
}

#[test]
fn lengths_that_contradict_each_other_give_up() {
    for headers in [
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5, 6",
        "Content-Length: -1",
        "Content-Length: +5",
        "Content-Length: 5x",
        "Content-Length:",
        "Content-Length: 18446744073709551616",
        "Content-Length: 18446744073709551615",
    ] {
        let response = format!("HTTP/1.1 200 OK\r\n{headers}\r\n\r\nab");
        let facts = answered(GET, response.as_bytes());
        assert_eq!(
            facts.server.framing,
            Framing::Unknown(Unreadable::Malformed),
            "{headers}"
        );
        assert_eq!(facts.http.last_status, Some(200), "{headers}");
    }
}

#[test]
fn lengths_that_agree_count_once_and_chunked_overrides() {
    for headers in [
        "Content-Length: 2\r\nContent-Length: 2",
        "Content-Length: 2, 2",
    ] {
        let response = format!("HTTP/1.1 200 OK\r\n{headers}\r\n\r\nab");
        assert_eq!(
            answered(GET, response.as_bytes()).server.framing,
            Framing::Boundary
        );
    }
    let both =
        b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\n\r\n";
    assert_eq!(answered(GET, both).server.framing, Framing::Boundary);
    let old = b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    assert_eq!(
        answered(GET, old).server.framing,
        Framing::Unknown(Unreadable::Malformed)
    );
}

#[test]
fn chunk_sizes_out_of_range_give_up() {
    for size in [
        "10000000000000000",
        "ffffffffffffffff",
        "-1",
        "g",
        "",
        "0x5",
    ] {
        let response =
            format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{size}\r\nabc");
        let facts = answered(GET, response.as_bytes());
        assert_eq!(
            facts.server.framing,
            Framing::Unknown(Unreadable::Malformed),
            "{size}"
        );
    }
    let unended = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcdef";
    assert_eq!(
        answered(GET, unended).server.framing,
        Framing::Unknown(Unreadable::Malformed)
    );
}

#[test]
fn an_upload_that_is_cut() {
    let post = b"POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nonly this";
    let facts = closed_facts(&[client(post)]);
    let announced = What::ContentLength {
        announced: 100,
        received: 9,
    };
    assert_eq!(
        facts.client.truncated().map(|cut| cut.what),
        Some(announced)
    );
    assert_eq!(facts.awaiting, None);

    let chunked = b"POST /up HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n";
    let facts = closed_facts(&[client(chunked)]);
    let received = What::Chunked { received: 4 };
    assert_eq!(facts.client.truncated().map(|cut| cut.what), Some(received));
}

// Requests and their answers.

#[test]
fn a_request_waits_until_its_answer_begins() {
    let parts = [client(&GET[..9]), client(&GET[9..])];
    assert_eq!(open_facts(&parts[..1]).awaiting, None);
    let awaiting = open_facts(&parts).awaiting.unwrap();
    assert_eq!(awaiting.sent.frame, 2);
    let request = awaiting.request.unwrap();
    assert_eq!((&*request.method(), &*request.target()), ("GET", "/a"));
    assert_eq!(request.host().as_deref(), Some("a.example"));
    assert_eq!(request.begun.frame, 1);

    let answer = server(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n");
    let [first, second] = parts;
    let facts = open_facts(&[first, second, answer]);
    assert_eq!(facts.awaiting, None);
    let exchange = facts.http.last.unwrap();
    assert_eq!(exchange.sent.unwrap().frame, 2);
    assert_eq!(exchange.answered.frame, 3);
}

#[test]
fn a_request_is_sent_with_the_last_byte_of_its_body() {
    let head = b"POST / HTTP/1.1\r\nContent-Length: 6\r\n\r\n";
    let turns = [client(head), client(b"abc"), client(b"def")];
    assert_eq!(open_facts(&turns[..2]).awaiting, None);
    assert_eq!(open_facts(&turns).awaiting.unwrap().sent.frame, 3);
}

#[test]
fn the_slowest_exchange_is_kept() {
    let ok = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let interim = b"HTTP/1.1 102 Processing\r\n\r\n";
    let facts = open_facts(&[
        client(GET),
        server(ok),
        client(b"PUT /slow HTTP/1.1\r\nContent-Length: 0\r\n\r\n"),
        server(interim),
        server(interim),
        server(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"),
        client(GET),
        server(ok),
    ]);
    let slowest = facts.http.slowest.unwrap();
    assert_eq!(
        (slowest.sent.unwrap().frame, slowest.answered.frame),
        (3, 6)
    );
    assert_eq!(slowest.request.unwrap().target(), "/slow");
    assert_eq!(slowest.status, Some(503));
    assert_eq!(
        (
            facts.http.requests,
            facts.http.responses,
            facts.http.interim
        ),
        (3, 3, 2)
    );
}

#[test]
fn pipelined_requests_match_their_answers_in_order() {
    let asks = [GET, HEAD, GET].concat();
    let ok = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n";
    let answers = [&ok[..], b"ab", ok, ok, b"c"].concat();
    let facts = closed_facts(&[client(&asks), server(&answers)]);
    assert_eq!((facts.http.requests, facts.http.responses), (3, 3));
    let cut = What::ContentLength {
        announced: 2,
        received: 1,
    };
    assert_eq!(facts.server.truncated().map(|cut| cut.what), Some(cut));
    // While an earlier answer is under way the client does not wait for the next one.
    assert_eq!(open_facts(&[client(&asks), server(ok)]).awaiting, None);
    assert!(
        open_facts(&[client(&asks), server([ok, &b"ab"[..]].concat())])
            .awaiting
            .is_some()
    );
}

#[test]
fn more_pipelined_requests_than_are_remembered() {
    let asks = GET.repeat(1000);
    let answers = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".repeat(1000);
    let facts = closed_facts(&[client(&asks), server(&answers)]);
    assert_eq!(facts.http.requests, 1000);
    assert_eq!(facts.server.framing, Framing::Unknown(Unreadable::TooMuch));
}

#[test]
fn a_client_that_waits_for_leave_to_send_its_body() {
    let head = b"POST / HTTP/1.1\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n";
    let leave = b"HTTP/1.1 100 Continue\r\n\r\n";
    assert_eq!(open_facts(&[client(head)]).awaiting.unwrap().sent.frame, 1);
    assert_eq!(open_facts(&[client(head), server(leave)]).awaiting, None);
    assert_eq!(open_facts(&[client(head), client(b"a")]).awaiting, None);
    let sent = open_facts(&[client(head), server(leave), client(b"abc")]);
    assert_eq!(sent.awaiting.unwrap().sent.frame, 3);
}

#[test]
fn an_answer_before_the_request_is_complete() {
    let head = b"POST / HTTP/1.1\r\nContent-Length: 6\r\n\r\nabc";
    let early = b"HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n";
    let facts = open_facts(&[client(head), server(early), client(b"def"), client(GET)]);
    assert_eq!(facts.http.last.as_ref().unwrap().sent, None);
    assert_eq!(facts.http.slowest, None);
    assert_eq!(facts.awaiting.unwrap().sent.frame, 4);
}

#[test]
fn an_answer_captured_before_its_request() {
    let answer = server(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n");
    assert_eq!(open_facts(std::slice::from_ref(&answer)).http.responses, 0);
    for (request, truncated) in [(GET, true), (HEAD, false)] {
        let facts = closed_facts(&[answer.clone(), client(request)]);
        assert_eq!(facts.http.responses, 1);
        assert_eq!(facts.server.truncated().is_some(), truncated);
    }
}

#[test]
fn an_answer_nobody_asked_for() {
    let timeout = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 9\r\n\r\nsorry";
    let facts = closed_facts(&[server(timeout)]);
    assert_eq!(facts.http.last_status, Some(408));
    assert!(facts.server.truncated().is_some());
    // To a client that spoke something that is no request.
    let facts = closed_facts(&[client(b"\x01\x02"), server(timeout)]);
    assert!(facts.server.truncated().is_some());
    // To a client that spoke TLS, the answer of a server that does not.
    let hello = b"\x16\x03\x01\x00\x05hello";
    let facts = closed_facts(&[client(hello), server(timeout)]);
    assert_eq!(facts.http.last_status, Some(408));
    assert_eq!(facts.client.protocol, Some(AppProtocol::Tls));
}

#[test]
fn an_answer_whose_request_was_lost() {
    let facts = closed_facts(&[
        client(b"GET / HTTP/1.1\r\nbad header\r\n\r\n"),
        client(HEAD),
        server(b"HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n"),
        server(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n"),
    ]);
    assert_eq!(
        facts.client.framing,
        Framing::Unknown(Unreadable::Malformed)
    );
    assert_eq!(facts.http.last_status, Some(200));
    assert_eq!(
        facts.server.framing,
        Framing::Unknown(Unreadable::RequestUnseen)
    );
}

#[test]
fn the_status_of_an_answer_to_what_is_no_request() {
    let refusal = server(b"HTTP/1.0 400 Bad Request\r\nContent-Length: 9\r\n\r\n");
    let turns = [client(b"GET /HTTP/1.1\r\nHost: a\r\n\r\n"), refusal];
    for size in [1, 5, 1_000] {
        let facts = facts_of(&segments(&turns, size), &turns);
        let kind = facts.http.trouble.unwrap().refusals.remove(0);
        assert_eq!((kind.status, kind.count), (400, 1));
        assert_eq!(kind.first.request, None);
        // It may answer a HEAD, and have no body.
        assert_eq!(facts.server.truncated(), None);
    }
}

// Headers.

#[test]
fn lines_that_end_without_a_carriage_return() {
    let facts = answered(
        b"\r\nGET / HTTP/1.1\nHost: a\n\n\r\nGET / HTTP/1.1\n\n",
        b"HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n1\r\na\r\n0\r\n\r\n",
    );
    assert_eq!((facts.http.requests, facts.http.responses), (2, 1));
    assert_eq!(facts.server.framing, Framing::Boundary);
}

#[test]
fn a_request_of_one_line_is_no_truncated_header() {
    let facts = closed_facts(&[client(b"GET /index.html\r\n"), server(b"<html>")]);
    assert_eq!(
        facts.client.framing,
        Framing::Unknown(Unreadable::Malformed)
    );
    let facts = closed_facts(&[client(b"GET /index.html HTTP/1.0\r\n")]);
    assert_eq!(
        facts.client.truncated().map(|cut| cut.what),
        Some(What::Header)
    );
}

#[test]
fn headers_that_cannot_be_read_to_their_end_still_tell_their_first_line() {
    let facts = closed_facts(&[
        client(GET),
        server(b"HTTP/1.1 502 Bad Gateway\r\nbad header\r\n\r\n"),
    ]);
    assert_eq!(facts.http.last_status, Some(502));
    assert_eq!(facts.http.last.unwrap().sent.unwrap().frame, 1);
    assert_eq!(
        facts.server.framing,
        Framing::Unknown(Unreadable::Malformed)
    );
    // Of an interim response the answer is still to come.
    let facts = open_facts(&[
        client(GET),
        server(b"HTTP/1.1 103 Early Hints\r\nbad header\r\n\r\n"),
    ]);
    assert_eq!((facts.http.last_status, facts.http.responses), (None, 0));
}

#[test]
fn strings_are_bounded() {
    let long = "x".repeat(5000);
    let request = format!("GET /{long} HTTP/1.1\r\nHost: {long}\r\n\r\n");
    let request = open_facts(&[client(request)]).http.last_request.unwrap();
    assert_eq!(request.target().len(), Request::MAX_TEXT);
    assert_eq!(request.host().unwrap().len(), Request::MAX_TEXT);
}

#[test]
fn headers_too_long_or_too_many_end_the_reading() {
    let endless = format!("GET / HTTP/1.1\r\nA: {}\r\n\r\n", "x".repeat(MAX_HEAD));
    let facts = open_facts(&[client(endless)]);
    assert_eq!(facts.client.framing, Framing::Unknown(Unreadable::TooMuch));
    assert_eq!(facts.http.last_request.unwrap().target(), "/");

    let fits = format!("GET / HTTP/1.1\r\nA: {}\r\n\r\n", "x".repeat(MAX_HEAD - 23));
    assert_eq!(fits.len(), MAX_HEAD);
    assert_eq!(
        open_facts(&[client(fits)]).client.framing,
        Framing::Boundary
    );

    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(300));
    let facts = open_facts(&[client(many)]);
    assert_eq!(
        facts.client.framing,
        Framing::Unknown(Unreadable::Malformed)
    );

    let nul = b"HTTP/1.1 200 OK\r\nA\0B: c\r\n\r\n";
    assert_eq!(
        answered(GET, nul).server.framing,
        Framing::Unknown(Unreadable::Malformed)
    );
}

#[test]
fn chunk_lines_and_trailers_too_long_end_the_reading() {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let long = "x".repeat(MAX_LINE);
    for body in [format!("1;{long}\r\n"), format!("0\r\nA: {long}\r\n\r\n")] {
        let facts = answered(GET, format!("{head}{body}").as_bytes());
        assert_eq!(facts.server.framing, Framing::Unknown(Unreadable::TooMuch));
    }
}

// Where HTTP ends.

#[test]
fn connect_hands_over_on_success_only() {
    let connect = b"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n";
    let hello = b"\x16\x03\x01\x00\x05hello";
    let facts = closed_facts(&[
        client(connect),
        server(b"HTTP/1.1 200 Connection established\r\nContent-Length: 5\r\n\r\n"),
        client(hello),
        server(b"\x16\x03\x03\x00\x30short"),
    ]);
    assert_eq!(facts.client.inner, Some(AppProtocol::Tls));
    assert_eq!(facts.client.framing, Framing::Boundary);
    let record = What::TlsRecord {
        announced: 0x30,
        received: 5,
    };
    assert_eq!(facts.server.truncated().map(|cut| cut.what), Some(record));

    let denied = b"HTTP/1.1 407 Auth\r\nContent-Length: 2\r\n\r\nno";
    let turns = [client(connect), server(denied), client(GET)];
    let facts = open_facts(&turns);
    assert_eq!((facts.http.requests, facts.client.inner), (2, None));
    assert!(facts.awaiting.is_some());
}

#[test]
fn only_its_own_answer_decides_a_tunnel() {
    let asks = [GET, b"CONNECT a:443 HTTP/1.1\r\n\r\n"].concat();
    let ok = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let tls = b"\x16\x03\x01\x00\x05hello";
    let turns = [client(asks), server(ok), client(tls), server(ok)];
    assert_eq!(closed_facts(&turns).client.inner, Some(AppProtocol::Tls));
}

#[test]
fn both_directions_go_on_by_turns() {
    let denied = b"HTTP/1.1 407 Auth\r\nContent-Length: 0\r\n\r\n";
    let asks = [&b"CONNECT a:443 HTTP/1.1\r\n\r\n"[..], GET].concat();
    let facts = open_facts(&[server(denied.repeat(2)), client(asks)]);
    assert_eq!((facts.http.requests, facts.http.responses), (2, 2));
}

#[test]
fn a_tunnel_used_before_its_answer_was_captured() {
    let connect = b"CONNECT a:443 HTTP/1.1\r\n\r\n";
    let facts = closed_facts(&[
        client(connect),
        client(b"\x16\x03\x01\x00\x05hello"),
        server(b"HTTP/1.1 200 OK\r\n\r\n"),
    ]);
    assert_eq!(facts.client.inner, Some(AppProtocol::Tls));
}

#[test]
fn an_upgrade_hands_over_on_101_only() {
    let ask = b"GET /ws HTTP/1.1\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n";
    let facts = closed_facts(&[
        client(ask),
        server(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"),
        client(b"\x81\x85abcdefghi"),
        server(b"\x81\x05hello"),
    ]);
    assert_eq!(facts.http.last_status, Some(101));
    assert_eq!(facts.client.inner, Some(AppProtocol::Unknown));
    assert_eq!(facts.server.framing, Framing::Unknown(Unreadable::Unframed));

    let plain = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let turns = [client(ask), server(plain), client(GET), server(plain)];
    assert_eq!(statuses(&turns), (2, 2, Some(200), Framing::Boundary));
}

#[test]
fn a_complaint_is_read_with_a_length_and_without() {
    let of_go =
        b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";
    let other = b"HTTP/1.0 400 Bad Request\r\n\r\nno such thing, at some length, in plain text\n";
    for (answer, complaint) in [(&of_go[..], Some(TlsComplaint::ExpectsTls)), (other, None)] {
        let turns = [client(GET), server(answer)];
        let whole = closed_facts(&turns);
        assert_eq!(whole.http.complaint, complaint);
        assert_eq!(whole.server.framing, Framing::Boundary);
        for size in 1..answer.len() {
            assert_eq!(facts_of(&segments(&turns, size), &turns), whole, "{size}");
        }
    }
}

#[test]
fn a_refusal_without_end_is_read_no_further_than_its_beginning() {
    let mut answer = b"HTTP/1.0 400 Bad Request\r\n\r\n".to_vec();
    answer.resize(8_192, b'x');
    answer.extend(b"Client sent an HTTP request to an HTTPS server");
    let facts = open_facts(&[client(GET), server(&answer)]);
    assert_eq!(facts.http.complaint, None);
    assert_eq!(facts.server.framing, Framing::UntilClose);
}
