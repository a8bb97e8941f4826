//! Failures through the loop into files, and the files through other eyes.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;

use wirewhy_capture::{Interface, InterfaceStatistics};
use wirewhy_detect::Diagnosis;
use wirewhy_packet::{Decoder, Interval, LinkType, Timestamp};
use wirewhy_report::CaptureSummary;
use wirewhy_testkit::trace;

use super::*;
use crate::engine::{Analysis, EngineOptions};

/// Two connections that are refused, one that goes well, and an ICMP error about a fourth.
const TRACE: &str = "
    0.000 #1 > S 0:0(0) win 64240 <mss 1460>
    0.010 #1 < RA 0:0(0) ack 1 win 0
    0.020 #2 > S 0:0(0) win 64240
    0.030 #2 < SA 0:0(0) ack 1
    0.031 #2 > A 1:1(0) ack 1
    0.040 #2 > PA 1:5(4) ack 1 \"ping\"
    0.050 #2 < PA 1:5(4) ack 5 \"pong\"
    0.060 #2 > FA 5:5(0) ack 5
    0.070 #2 < FA 5:5(0) ack 6
    0.080 #2 > A 6:6(0) ack 6
    1.000 #3 > S 0:0(0) win 64240
    1.010 #3 icmp 203.0.113.9 > client unreachable host
    400 end
";

/// What a trace becomes: the connections, and the recorder as the loop would fill it.
fn run(lines: &str, bytes: usize) -> (Vec<Diagnosis>, Recorder) {
    let mut recorder = Recorder::new(bytes);
    let mut decoder = Decoder::new();
    let mut analysis = Analysis::new(EngineOptions::default());
    let mut all = Vec::new();
    let mut sink = |diagnosis: &Diagnosis| {
        all.push(diagnosis.clone());
        Ok(())
    };
    for frame in trace(lines) {
        let frame = frame.as_frame();
        let packet = decoder.decode(&frame);
        let observed = analysis.observe(&packet, &mut sink).unwrap();
        let frame_scope = observed.map_or(FrameScope::Any, |seen| FrameScope::Stream(seen.stream));
        recorder.record(&frame, frame_scope);
    }
    analysis
        .finish(&CaptureSummary::default(), &mut sink)
        .unwrap();
    all.sort_by_key(|diagnosis: &Diagnosis| diagnosis.connection.stream);
    (all, recorder)
}

fn interfaces() -> Vec<Interface> {
    vec![Interface {
        link_type: LinkType::ETHERNET,
        snap_len: 262_144,
        name: Some("eth7".to_owned()),
        statistics: InterfaceStatistics {
            received: Some(99),
            dropped_by_system: Some(0),
            ..InterfaceStatistics::default()
        },
    }]
}

fn case<'a>(
    diagnosis: &'a Diagnosis,
    recorder: &'a Recorder,
    interfaces: &'a [Interface],
) -> Case<'a> {
    Case {
        diagnosis,
        recorder,
        interfaces,
        filter: Some("tcp or icmp"),
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_secs_nanos(1_800_000_000, 0).after(Interval::from_secs(seconds))
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// The frames of a file: number, length and packet bytes, through our own reader.
fn frames(path: &Path) -> Vec<Vec<u8>> {
    let mut reader = wirewhy_capture::open(path).unwrap();
    let mut frames = Vec::new();
    while let Some(frame) = reader.next() {
        frames.push(frame.data.to_vec());
    }
    assert_eq!(reader.problem(), None);
    frames
}

#[test]
fn a_file_holds_the_packets_of_its_connection_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("new/one");
    let (all, recorder) = run(TRACE, 1 << 20);
    let interfaces = interfaces();
    let mut evidence = Evidence::open(&folder, 10).unwrap();
    let path = evidence.keep(&case(&all[0], &recorder, &interfaces), at(0));
    let path = path.unwrap().unwrap();
    assert_eq!(
        names(&folder),
        ["wirewhy_20260102T030405.000000Z_192.0.2.1.40000_198.51.100.1.80_tcp.refused.pcapng"]
    );
    let sent = trace(TRACE);
    assert_eq!(frames(&path), [sent[0].data.clone(), sent[1].data.clone()]);
    let reader = wirewhy_capture::open(&path).unwrap();
    assert_eq!(reader.info().sections, 0, "nothing is read yet");
    assert_eq!(evidence.counts().written, 1);
}

#[test]
fn an_icmp_error_stands_with_the_connection_it_is_about() {
    let folder = tempfile::tempdir().unwrap();
    let (all, recorder) = run(TRACE, 1 << 20);
    let interfaces = interfaces();
    let mut evidence = Evidence::open(folder.path(), 10).unwrap();
    let unreachable = &all[2];
    let path = evidence.keep(&case(unreachable, &recorder, &interfaces), at(0));
    let sent = trace(TRACE);
    let expected: Vec<_> = sent[sent.len() - 3..sent.len() - 1]
        .iter()
        .map(|frame| frame.data.clone())
        .collect();
    assert_eq!(frames(&path.unwrap().unwrap()), expected);
}

#[test]
fn tshark_shows_the_findings_on_their_packets() {
    let folder = tempfile::tempdir().unwrap();
    let (all, recorder) = run(TRACE, 1 << 20);
    let interfaces = interfaces();
    let mut evidence = Evidence::open(folder.path(), 10).unwrap();
    let path = evidence.keep(&case(&all[0], &recorder, &interfaces), at(0));
    let path = path.unwrap().unwrap();
    let ran = Command::new("tshark")
        .args(["-n", "-r"])
        .arg(&path)
        .args([
            "-T",
            "fields",
            "-E",
            "separator=|",
            "-e",
            "frame.interface_name",
            "-e",
            "frame.packet_id",
            "-e",
            "tcp.flags.str",
            "-e",
            "frame.comment",
        ])
        .output();
    let output = match ran {
        Ok(output) => output,
        Err(error) => {
            let why = format!("tshark: {error}, so evidence files are NOT tested with it");
            assert!(std::env::var_os("CI").is_none(), "{why}");
            eprintln!("{why}");
            return;
        }
    };
    assert!(output.status.success(), "{output:?}");
    let shown = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines.len(), 2, "{shown}");
    assert!(
        lines[0].starts_with("eth7|1|··········S·|tcp.refused: see packet 2"),
        "{shown}"
    );
    let decisive = "eth7|2|·······A·R··|tcp.refused (error, ";
    assert!(lines[1].starts_with(decisive), "{shown}");
    assert!(lines[1].contains("culprit: server"), "{shown}");
    assert!(lines[1].ends_with("; packets 2, 1"), "{shown}");
}

#[test]
fn what_was_overwritten_is_said() {
    let folder = tempfile::tempdir().unwrap();
    // Room for the last two or three packets.
    let (all, recorder) = run(TRACE, 300);
    let interfaces = interfaces();
    let mut evidence = Evidence::open(folder.path(), 10).unwrap();
    let path = evidence.keep(&case(&all[1], &recorder, &interfaces), at(0));
    let bytes = fs::read(path.unwrap().unwrap()).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    assert!(
        text.contains("8 of its packets had been overwritten"),
        "{text}"
    );
}

#[test]
fn only_the_opening_the_end_and_the_proof_of_a_large_connection_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let (all, _) = run(TRACE, 1 << 20);
    let mut diagnosis = all[0].clone();
    let mut recorder = Recorder::new(64 << 20);
    let sent = trace(TRACE);
    let large = vec![0; 60_000];
    for number in 1..=400_u64 {
        let frame = wirewhy_packet::Frame {
            number,
            data: &large,
            ..sent[0].as_frame()
        };
        recorder.record(&frame, FrameScope::Stream(diagnosis.connection.stream));
    }
    diagnosis.findings[0].frames = vec![100];
    let interfaces = interfaces();
    let mut evidence = Evidence::open(folder.path(), 10).unwrap();
    let path = evidence.keep(&case(&diagnosis, &recorder, &interfaces), at(0));
    let path = path.unwrap().unwrap();
    // 16 from the beginning, the cited one, and what fits into 8 MiB from the end.
    assert_eq!(frames(&path).len(), 16 + 1 + 139);
    let text = fs::read(path).unwrap();
    let text = String::from_utf8_lossy(&text);
    assert!(text.contains("244 packets after the opening are left out"));
    assert!(text.contains("; packets 17"));
}

#[test]
fn the_oldest_of_the_commonest_cause_gives_way() {
    let folder = tempfile::tempdir().unwrap();
    let (all, recorder) = run(TRACE, 1 << 20);
    let interfaces = interfaces();
    fs::write(folder.path().join("notes.txt"), "mine").unwrap();
    fs::write(
        folder
            .path()
            .join("wirewhy_x_y_z_tcp.other.pcapng.unfinished"),
        "",
    )
    .unwrap();
    let rare = "wirewhy_20250101T000000.000000Z_1.2.3.4.5_6.7.8.9.10_tls.cert-expired.pcapng";
    fs::write(folder.path().join(rare), "").unwrap();
    let mut evidence = Evidence::open(folder.path(), 3).unwrap();
    for second in 0..5 {
        let mut diagnosis = all[0].clone();
        diagnosis.connection.first.time = at(second);
        let kept = evidence.keep(&case(&diagnosis, &recorder, &interfaces), at(second));
        assert!(kept.unwrap().is_some());
    }
    let names = names(folder.path());
    assert_eq!(names.len(), 4, "{names:?}");
    assert_eq!(names[0], "notes.txt");
    assert_eq!(names[1], rare);
    assert!(
        names[2].contains("080003.000000Z") && names[3].contains("080004.000000Z"),
        "{names:?}"
    );
    let counts = evidence.counts();
    assert_eq!((counts.written, counts.removed), (5, 3));
    // The same connection again does not write over its first file.
    let mut evidence = Evidence::open(folder.path(), 10).unwrap();
    for copy in ["", "_2", "_3"] {
        let path = evidence.keep(&case(&all[0], &recorder, &interfaces), at(9));
        let path = path.unwrap().unwrap();
        let name = path.to_str().unwrap();
        assert!(
            name.ends_with(&format!("_tcp.refused{copy}.pcapng")),
            "{name}"
        );
    }
}

#[test]
fn a_storm_is_passed_over_and_time_makes_room_again() {
    let folder = tempfile::tempdir().unwrap();
    let (all, recorder) = run(TRACE, 1 << 20);
    let interfaces = interfaces();
    let mut evidence = Evidence::open(folder.path(), 5).unwrap();
    let case = case(&all[0], &recorder, &interfaces);
    for _ in 0..200 {
        evidence.keep(&case, at(0)).unwrap();
    }
    assert_eq!(evidence.counts().written, 64);
    assert_eq!(evidence.counts().passed_over, 136);
    assert_eq!(names(folder.path()).len(), 5);
    assert!(evidence.keep(&case, at(1)).unwrap().is_some());
}

#[test]
fn a_folder_that_cannot_be_written_into_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let error = Evidence::open(&file, 5).unwrap_err();
    assert!(error.to_string().ends_with("/file: File exists"), "{error}");
}

#[test]
fn a_folder_that_goes_away_is_told_of_once_and_tried_again() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("evidence");
    let (all, recorder) = run(TRACE, 1 << 20);
    let interfaces = interfaces();
    let mut evidence = Evidence::open(&folder, 5).unwrap();
    let case = case(&all[0], &recorder, &interfaces);
    fs::remove_dir(&folder).unwrap();
    let error = evidence.keep(&case, at(0)).unwrap_err();
    assert_eq!(error.error.kind(), ErrorKind::NotFound);
    for second in 1..100 {
        assert!(evidence.keep(&case, at(second)).unwrap().is_none());
    }
    assert_eq!(evidence.counts().failed, 100);
    fs::create_dir(&folder).unwrap();
    assert!(evidence.keep(&case, at(200)).unwrap().is_some());
    fs::remove_dir_all(&folder).unwrap();
    assert!(evidence.keep(&case, at(201)).is_err());
}

/// Mounts a file system with little room at `folder`, seen by this thread only.
fn small_disk(folder: &Path) -> bool {
    use nix::sched::{CloneFlags, unshare};

    let run = |program: &str, arguments: &[&str]| {
        let status = Command::new(program).args(arguments).arg(folder).status();
        status.is_ok_and(|status| status.success())
    };
    let made = unshare(CloneFlags::CLONE_NEWNS).is_ok()
        && Command::new("mount")
            .args(["--make-rprivate", "/"])
            .status()
            .is_ok_and(|status| status.success())
        && run("mount", &["-t", "tmpfs", "-o", "size=32k", "small"]);
    if !made {
        let why = "no file system can be mounted here, so a full disk is NOT tested";
        assert!(std::env::var_os("CI").is_none(), "{why}");
        eprintln!("{why}; run the tests as root");
    }
    made
}

#[test]
fn a_full_disk_leaves_no_piece_of_a_file_and_is_told_of_once() {
    let folder = tempfile::tempdir().unwrap();
    if !small_disk(folder.path()) {
        return;
    }
    let (all, recorder) = run(TRACE, 1 << 20);
    let interfaces = interfaces();
    let mut evidence = Evidence::open(folder.path(), 500).unwrap();
    let case = case(&all[0], &recorder, &interfaces);
    let mut errors = Vec::new();
    for _ in 0..60 {
        errors.extend(evidence.keep(&case, at(0)).err());
    }
    let [error] = errors.as_slice() else {
        panic!("{errors:?}");
    };
    assert!(
        error.to_string().ends_with(": No space left on device"),
        "{error}"
    );
    let counts = evidence.counts();
    let names = names(folder.path());
    assert_eq!(names.len() as u64, counts.written);
    assert!(
        counts.written > 0 && counts.written + counts.failed == 60,
        "{counts:?}"
    );
    for name in names {
        assert_eq!(frames(&folder.path().join(name)).len(), 2);
    }
}
