//! JSON, held against the schema that is handed out.

use serde_json::Value as Json;
use wirewhy_detect::{Diagnosis, Facts, Severity, Value};
use wirewhy_packet::Interval;
use wirewhy_report::{CaptureSummary, Json as Document, Names, Ndjson, Reporter, View};
use wirewhy_survey::{GroupFinding, Totals};

use crate::sample::{capture, caveat, connections, healthy, refused, tell};

const SCHEMA: &str = include_str!("../../schema/wirewhy-1.schema.json");

fn validator() -> jsonschema::Validator {
    let schema: Json = serde_json::from_str(SCHEMA).unwrap();
    jsonschema::draft202012::meta::validate(&schema).unwrap();
    jsonschema::draft202012::new(&schema).unwrap()
}

#[track_caller]
pub(crate) fn assert_valid(value: &Json) {
    let validator = validator();
    let errors: Vec<String> = validator
        .iter_errors(value)
        .map(|e| format!("{}: {e}", e.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{errors:#?}\n{value:#}");
}

fn document(diagnosis: &[Diagnosis], group: &[GroupFinding], view: View) -> Json {
    let mut out = Vec::new();
    tell(
        &mut Document::new(&mut out, view, names()),
        diagnosis,
        group,
    );
    serde_json::from_slice(&out).unwrap()
}

fn records(diagnosis: &[Diagnosis], group: &[GroupFinding]) -> Vec<Json> {
    let mut out = Vec::new();
    tell(
        &mut Ndjson::new(&mut out, View::default(), names()),
        diagnosis,
        group,
    );
    let text = String::from_utf8(out).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn names() -> Names {
    [("10.0.0.9".parse().unwrap(), "web1".to_owned())]
        .into_iter()
        .collect()
}

#[test]
fn connections_stand_in_the_order_in_which_they_began() {
    let began = |number: u32| refused(number, "10.0.0.1:40000", "10.0.0.9:443");
    let ended = [began(4), began(1), began(3), began(2)];
    let shown = document(&ended, &[], View::default());
    let streams = |connections: &[Json]| -> Vec<Option<u64>> {
        let streams = connections.iter().map(|shown| shown["stream"].as_u64());
        streams.flatten().map(Some).collect()
    };
    let order = [1, 2, 3, 4].map(Some);
    assert_eq!(streams(shown["connections"].as_array().unwrap()), order);
    assert_eq!(streams(&records(&ended, &[])), order);
}

#[test]
fn no_more_connections_wait_than_fit() {
    let began = |number: u32| refused(number, "10.0.0.1:40000", "10.0.0.9:443");
    let mut ended: Vec<Diagnosis> = (1..=4_200).map(began).collect();
    ended.push(began(0));
    let shown = document(&ended, &[], View::default());
    let shown = shown["connections"].as_array().unwrap();
    assert_eq!(shown.len(), 4_201);
    assert_eq!(
        shown[0]["stream"], 1,
        "the last one came too late to be the first"
    );
}

/// One of each: refused over both families, well, one-sided, joined late, never answered.
fn variety() -> Vec<Diagnosis> {
    let mut diagnosis = vec![
        refused(0, "10.0.0.1:40000", "10.0.0.9:443"),
        refused(1, "[2001:db8::1]:40000", "[2001:db8::9]:443"),
        healthy(2),
    ];
    let traces = [
        "0.000 > S 0:0(0) win 64240\n9.0 end",
        "0.000 < PA 1:101(100) ack 1\n0.1 < PA 101:201(100) ack 1",
        "0.000 > S 0:0(0)\n0.01 < SA 0:0(0) ack 1\n0.02 > R 1:1(0)",
        "0.000 > PA 1:101(100) ack 1\n0.1 < RA 1:1(0) ack 101",
        "0.000 > S 0:0(0)\n0.001 icmp 192.0.2.254 > client unreachable host\n5.0 end",
    ];
    diagnosis.extend(
        traces
            .iter()
            .flat_map(|trace| connections(trace))
            .map(|connection| Diagnosis {
                connection: connection.into(),
                findings: Vec::new(),
            }),
    );
    diagnosis
}

#[test]
fn a_document_keeps_to_the_schema() {
    let all = View {
        all: true,
        min_severity: None,
        ..View::default()
    };
    let shown = document(&variety(), &[caveat()], all);
    assert_valid(&shown);
    assert_eq!(
        shown["connections"].as_array().unwrap().len(),
        variety().len()
    );
    assert_eq!(shown["findings"][0]["scope"], "capture");
    assert_valid(&document(&[], &[], View::default()));
}

#[test]
fn every_record_keeps_to_the_schema() {
    let shown = records(&variety(), &[caveat()]);
    shown.iter().for_each(assert_valid);
    let kinds: Vec<&str> = shown
        .iter()
        .map(|record| record["type"].as_str().unwrap())
        .collect();
    assert_eq!(kinds[kinds.len() - 3..], ["finding", "capture", "totals"]);
    assert!(
        kinds[..kinds.len() - 3]
            .iter()
            .all(|kind| *kind == "connection")
    );
    assert!(shown.iter().all(|record| record["schema"] == "wirewhy/1"));
}

#[test]
fn the_schema_is_strict() {
    let good = document(&variety(), &[caveat()], View::default());
    let validator = validator();
    let spoil: [(&str, Json); 9] = [
        ("/connections/0/extra", 1.into()),
        ("/connections/0/outcome", "bad".into()),
        ("/connections/0/client/address", "localhost".into()),
        ("/connections/0/findings/0/extra", 1.into()),
        ("/connections/0/client_to_server/packets", (-1).into()),
        ("/capture/first_time", "2026-01-02T03:04:05Z".into()),
        ("/totals/extra", 0.into()),
        ("/findings/0/scope", "galaxy".into()),
        ("/schema", "wirewhy/2".into()),
    ];
    for (path, value) in spoil {
        let mut bad = good.clone();
        let (parent, member) = path.rsplit_once('/').unwrap();
        let parent = bad.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        parent.insert(member.to_owned(), value);
        assert!(!validator.is_valid(&bad), "{path} was accepted");
    }
    for member in good.as_object().unwrap().keys() {
        let mut bad = good.clone();
        bad.as_object_mut().unwrap().shift_remove(member);
        assert!(!validator.is_valid(&bad), "accepted without {member}");
    }
}

#[test]
fn members_hold_what_was_tracked() {
    let shown = document(&variety(), &[], View::default());
    let first = &shown["connections"][0];
    assert_eq!(
        first["client"],
        serde_json::json!({"address":"10.0.0.1","port":40000,"name":null})
    );
    assert_eq!(first["server"]["name"], "web1");
    assert_eq!(first["start"], "2026-01-02T03:04:05.000000000Z");
    assert_eq!(first["duration_seconds"], 0.0003);
    assert_eq!(
        (&first["first_frame"], &first["last_frame"]),
        (&1.into(), &2.into())
    );
    assert_eq!(first["outcome"], "failed");
    assert_eq!(first["root_cause"], "tcp.refused");
    assert_eq!(
        (&first["conn_state"], &first["history"]),
        (&"REJ".into(), &"Sr".into())
    );
    assert_eq!(first["server_to_client"]["resets"], 1);
    assert_eq!(
        first["rtt_seconds"]["smoothed"],
        Json::Null,
        "no data was sent"
    );
    let finding = &first["findings"][0];
    assert_eq!(finding["facts"]["round_trip_seconds"], 0.0003);
    assert_eq!(finding["facts"]["ttl_of_host"], Json::Null);
    assert_eq!(
        finding["culprit"],
        serde_json::json!({"role":"server","address":"10.0.0.9","confidence":"certain"})
    );
    assert_eq!(finding["frames"], serde_json::json!([2, 1]));
    assert_eq!(shown["capture"]["duration_seconds"], 61.234);
}

#[test]
fn what_was_measured_on_data_is_told() {
    let connection = connections(
        "0.000 > S 0:0(0) win 64240 <mss 1460,sackOK>
         0.010 < SA 0:0(0) ack 1 win 65160 <mss 1460,sackOK>
         0.012 > A 1:1(0) ack 1
         0.020 > PA 1:101(100) ack 1
         0.030 < A 1:1(0) ack 101
         0.040 < PA 1:101(100) ack 101
         0.042 > A 101:101(0) ack 101
         0.300 < PA 1:101(100) ack 101
         0.302 > A 101:101(0) ack 101 sack 1:101",
    )
    .remove(0);
    let diagnosis = Diagnosis {
        connection: connection.into(),
        findings: Vec::new(),
    };
    let view = View {
        all: true,
        min_severity: None,
        ..View::default()
    };
    let shown = document(&[diagnosis], &[], view);
    assert_valid(&shown);
    let connection = &shown["connections"][0];
    assert_eq!(
        connection["rtt_seconds"]["smoothed"], 0.012,
        "{connection:#}"
    );
    assert_eq!(
        connection["server_to_client"]["spurious_retransmissions"],
        1
    );
    assert_eq!(
        connection["client_to_server"]["spurious_retransmissions"],
        0
    );
    assert_eq!(connection["client_to_server"]["fast_retransmissions"], 0);
    assert_eq!(connection["transport"], "tcp");
}

#[test]
fn healthy_connections_are_left_out_unless_asked_for() {
    let streams = |view| {
        let shown = document(
            &[healthy(0), refused(1, "10.0.0.1:1", "10.0.0.9:2")],
            &[],
            view,
        );
        let connections = shown["connections"].as_array().unwrap().clone();
        connections
            .iter()
            .map(|c| c["stream"].as_u64().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(streams(View::default()), [1]);
    assert_eq!(
        streams(View {
            all: true,
            min_severity: None,
            ..View::default()
        }),
        [0, 1]
    );
    assert_eq!(
        streams(View {
            all: false,
            min_severity: Some(Severity::Error),
            ..View::default()
        }),
        [1]
    );
}

#[test]
fn facts_of_every_kind_become_json() {
    let mut diagnosis = refused(0, "10.0.0.1:1", "10.0.0.9:2");
    diagnosis.findings[0].facts = Facts::default()
        .with("flag", true)
        .with("signed", Value::Signed(-3))
        .with("share", Value::Share(0.25))
        .with(
            "list",
            vec![Interval::from_secs(1), Interval::from_millis(2500)],
        )
        .with(
            "record",
            Value::Object(vec![("host", Value::Address("::1".parse().unwrap()))]),
        )
        .with("text", "\u{1b}[2J");
    let shown = document(&[diagnosis], &[], View::default());
    assert_valid(&shown);
    let expected = serde_json::json!({
        "flag": true, "signed": -3, "share": 0.25, "list": [1.0, 2.5],
        "record": {"host": "::1"}, "text": "\u{1b}[2J",
    });
    assert_eq!(shown["connections"][0]["findings"][0]["facts"], expected);
}

#[test]
fn output_is_safe_to_look_at() {
    let mut diagnosis = refused(0, "10.0.0.1:1", "10.0.0.9:2");
    diagnosis.findings[0].summary = "\u{1b}[2J\u{9b}\u{202e}\u{2028}\u{7f}\"\\ü".to_owned();
    let mut out = Vec::new();
    tell(
        &mut Document::new(&mut out, View::default(), names()),
        &[diagnosis],
        &[],
    );
    let text = String::from_utf8(out).unwrap();
    let harmful = |c: char| (c.is_control() && c != '\n') || "\u{202e}\u{2028}".contains(c);
    assert!(!text.contains(harmful), "{text:?}");
    let shown: Json = serde_json::from_str(&text).unwrap();
    assert_eq!(
        shown["connections"][0]["findings"][0]["summary"],
        "\u{1b}[2J\u{9b}\u{202e}\u{2028}\u{7f}\"\\ü"
    );
}

#[test]
fn times_may_be_absent() {
    let mut out = Vec::new();
    let mut document = Document::new(&mut out, View::default(), Names::default());
    let empty = CaptureSummary {
        format: "pcapng".to_owned(),
        problem: Some("cut short at byte 28".to_owned()),
        compression: None,
        first_time: None,
        last_time: None,
        ..capture()
    };
    document.finish(&empty, &Totals::default(), &[]).unwrap();
    let shown: Json = serde_json::from_slice(&out).unwrap();
    assert_valid(&shown);
    assert_eq!(shown["capture"]["first_time"], Json::Null);
    assert_eq!(shown["capture"]["problem"], "cut short at byte 28");
}

/// A connection to an address that its client had looked up.
fn looked_up(server: &str) -> Diagnosis {
    let connection = connections(&format!(
        "server {server}:443
         0.00 dns 192.0.2.1:5000 > 192.0.2.53 1 www.example.com A
         0.05 dns 192.0.2.1:5000 < 192.0.2.53 1 noerror www.example.com A {server}
         0.06 > S 0:0(0)
         0.07 < RA 0:0(0) ack 1"
    ))
    .remove(0);
    Diagnosis {
        connection: connection.into(),
        ..refused(1, "192.0.2.1:40000", "10.0.0.7:443")
    }
}

#[test]
fn servers_have_the_names_that_were_looked_up() {
    let name = |server: &str| {
        let all = records(&[looked_up(server)], &[]);
        assert_valid(&all[0]);
        all[0]["server"]["name"].clone()
    };
    assert_eq!(name("10.0.0.7"), "www.example.com");
    // The user's own names win.
    assert_eq!(name("10.0.0.9"), "web1");
}

#[test]
fn connections_carry_the_lookup_before_them() {
    let lookup = |diagnosis: Diagnosis| {
        let all = records(&[diagnosis], &[]);
        assert_valid(&all[0]);
        all[0]["lookup"].clone()
    };
    let expected = serde_json::json!({"name": "www.example.com", "seconds": 0.05, "frame": 2});
    assert_eq!(lookup(looked_up("10.0.0.7")), expected);
    assert_eq!(lookup(refused(2, "10.0.0.1:1", "10.0.0.9:2")), Json::Null);
}

#[test]
fn a_name_without_a_query_took_no_known_time() {
    let connection = connections(
        "server 10.0.0.7:443
         0.05 dns 192.0.2.1:5000 < 192.0.2.53 1 noerror www.example.com A 10.0.0.7
         0.06 > S 0:0(0)
         0.07 < RA 0:0(0) ack 1",
    )
    .remove(0);
    let diagnosis = Diagnosis {
        connection: connection.into(),
        ..refused(1, "192.0.2.1:40000", "10.0.0.7:443")
    };
    let shown = &records(&[diagnosis], &[])[0];
    assert_valid(shown);
    let expected = serde_json::json!({"name": "www.example.com", "seconds": null, "frame": 1});
    assert_eq!(shown["lookup"], expected);
}

/// A connection that waited for a second resolver, or was made although none gave the name.
fn late(lines: &str) -> Diagnosis {
    let connection = connections(lines).remove(0);
    Diagnosis {
        connection: connection.into(),
        ..refused(1, "192.0.2.1:40000", "10.0.0.7:443")
    }
}

const SECOND_RESOLVER: &str = "server 10.0.0.7:443
     0.00 dns 192.0.2.1:5000 > 192.0.2.53 1 www.example.com A
     5.00 dns 192.0.2.1:5001 > 192.0.2.54 1 www.example.com A
     5.02 dns 192.0.2.1:5001 < 192.0.2.54 1 noerror www.example.com A 10.0.0.7
     5.03 > S 0:0(0)
     5.04 < RA 0:0(0) ack 1";

#[test]
fn connections_say_what_their_lookup_lost_them() {
    let all = records(&[late(SECOND_RESOLVER)], &[]);
    assert_valid(&all[0]);
    let expected = serde_json::json!({
        "seconds": 5.03,
        "first_frame": 1,
        "resolved": true,
        "missed": [{
            "type": "A", "resolver": "192.0.2.53", "how": "unanswered", "response_code": null, "frame": 1
        }],
        "summary": "it began 5.0 s after the first query for www.example.com: 192.0.2.53 did not answer A",
    });
    assert_eq!(all[0]["lookup"]["trouble"], expected);
}

#[test]
fn connections_say_that_their_address_is_from_an_earlier_answer() {
    let all = records(
        &[late(
            "server 10.0.0.7:443
             0.00 dns 192.0.2.1:5000 > 192.0.2.53 1 www.example.com A
             0.02 dns 192.0.2.1:5000 < 192.0.2.53 1 noerror www.example.com A 10.0.0.7
             90.0 dns 192.0.2.1:5000 > 192.0.2.53 7 www.example.com A
             90.1 dns 192.0.2.1:5000 < 192.0.2.53 7 servfail www.example.com A
             90.2 > S 0:0(0)
             90.3 < RA 0:0(0) ack 1",
        )],
        &[],
    );
    assert_valid(&all[0]);
    assert_eq!(
        all[0]["lookup"]["trouble"]["summary"],
        "it began 200 ms after the first query for www.example.com, which failed; its address is from an earlier answer, frame 2: \
         192.0.2.53 answered SERVFAIL to A"
    );
}
