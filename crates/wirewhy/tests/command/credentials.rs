//! What clients log in with is in no output: a capture of logins in every protocol that is read, and every command over it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::run::Bench;

/// The word in every secret of the capture (`fixtures/captures/credentials/make`).
const SECRET: &str = "Hush5ecretWord";

/// The secret as it stands on the wire and as it could be written: in the clear, in hexadecimal, and in Base64 wherever it begins
/// within three bytes.
fn forms() -> Vec<String> {
    let hex = |bytes: &[u8]| -> String { bytes.iter().map(|byte| format!("{byte:02x}")).collect() };
    let mut forms = vec![SECRET.to_owned(), hex(SECRET.as_bytes())];
    for before in 0..3 {
        let text = [&vec![0; before], SECRET.as_bytes()].concat();
        let encoded = base64(&text);
        // The first four letters depend on what stands before, the last ones on what follows.
        forms.push(encoded[4..encoded.len() - 4].to_owned());
    }
    forms
}

/// Base64 without padding (RFC 4648 section 4).
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut letters = String::new();
    for chunk in bytes.chunks(3) {
        let mut bits = 0_u32;
        for index in 0..3 {
            bits = bits << 8 | u32::from(*chunk.get(index).unwrap_or(&0));
        }
        for index in 0..=chunk.len() {
            letters.push(char::from(
                LETTERS[usize::try_from(bits >> (18 - 6 * index) & 63).unwrap()],
            ));
        }
    }
    letters
}

/// How often any form of the secret stands in some bytes, whatever the case of its letters.
fn count(bytes: &[u8]) -> usize {
    let text = bytes.to_ascii_lowercase();
    let forms = forms();
    let found = forms.iter().map(|form| {
        let form = form.to_ascii_lowercase();
        text.windows(form.len())
            .filter(|window| *window == form.as_bytes())
            .count()
    });
    found.sum()
}

/// What is in all files of a folder and of those inside of it.
fn below(folder: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => all.extend(below(&path)),
            false => all.extend(fs::read(&path).unwrap()),
        }
    }
    all
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/captures/credentials")
}

#[test]
fn no_output_has_a_secret() {
    let capture = folder().join("client.pcap");
    let capture = capture.to_str().unwrap();
    let keys = folder().join("client.keylog");
    let keys = ["--keylog", keys.to_str().unwrap()];
    let on_the_wire = count(&fs::read(capture).unwrap());
    assert!(on_the_wire >= 15, "{on_the_wire} in the capture");

    let bench = Bench::new();
    let mut streams = 0;
    for format in ["text", "json", "ndjson"] {
        let ran = bench.run(
            &[
                &["analyze", "--all", "-v", "--format", format, capture],
                &keys[..],
            ]
            .concat(),
        );
        assert_eq!(
            (ran.status, count(ran.out.as_bytes())),
            (Some(0), 0),
            "analyze as {format}"
        );
        if format != "json" {
            let ran = bench.run(&["scan", "--all", "--format", format, capture]);
            assert_eq!(
                (ran.status, count(ran.out.as_bytes())),
                (Some(0), 0),
                "scan as {format}"
            );
        }
        if format == "ndjson" {
            streams = ran.out.matches("\"type\":\"connection\"").count();
        }
    }
    assert!(streams >= 30, "{streams} connections");
    for stream in 0..streams {
        let stream = stream.to_string();
        let ran = bench.run(&[&["show", capture, &stream], &keys[..]].concat());
        assert_eq!(
            (ran.status, count(ran.out.as_bytes())),
            (Some(0), 0),
            "show {stream}"
        );
    }
    for format in ["text", "ndjson"] {
        let ran = bench.run(&["packets", "--format", format, capture]);
        assert_eq!(
            (ran.status, count(ran.out.as_bytes())),
            (Some(0), 0),
            "packets as {format}"
        );
    }
}

#[test]
fn no_page_ticket_table_or_comment_has_a_secret() {
    let capture = folder().join("client.pcap");
    let on_the_wire = count(&fs::read(&capture).unwrap());
    let bench = Bench::new();
    let copied = bench.path("credentials.pcap");
    fs::copy(&capture, &copied).unwrap();
    let keys = folder().join("client.keylog");
    let keys = ["--keylog", keys.to_str().unwrap()];
    let forms: [&[&str]; 6] = [
        &["analyze", "--format", "html"],
        &["analyze", "--format", "markdown"],
        &["scan", "--format", "html"],
        &["live", "--follow", "-", "--format", "html"],
        &["live", "--follow", "-", "--format", "text"],
        &["live", "--follow", "-", "--format", "ndjson"],
    ];
    for form in forms {
        let args = [form, &["--all"], &keys[..]].concat();
        let ran = match form[0] {
            "live" => bench.run_with_input(&args, &copied),
            _ => bench.run(&[&args[..], &["credentials.pcap"]].concat()),
        };
        assert!(
            ran.out.contains("http.error-status"),
            "{form:?}: {}",
            ran.err
        );
        let found = count(ran.out.as_bytes()) + count(ran.err.as_bytes());
        assert_eq!(found, 0, "{form:?}");
    }

    let tables = [
        "scan",
        "--all",
        "--format",
        "parquet",
        "-o",
        "tables",
        "credentials.pcap",
    ];
    let ran = bench.run(&[&tables[..], &keys[..]].concat());
    assert_eq!(
        (ran.status, count(ran.out.as_bytes())),
        (Some(0), 0),
        "{}",
        ran.err
    );
    let packed = below(&bench.path("tables")).to_ascii_lowercase();
    let holds = |word: &[u8]| packed.windows(word.len()).any(|window| window == word);
    // Snappy, which packs them, leaves what stands there for the first time as it is.
    assert!(holds(b"http.error-status"));
    assert!(!holds(b"hush5ecret"));

    // The packets are copied, and no comment repeats what is in them.
    let annotate = ["annotate", "credentials.pcap", "-o", "credentials.pcapng"];
    let ran = bench.run(&[&annotate[..], &keys[..]].concat());
    assert_eq!(
        (ran.status, count(ran.err.as_bytes())),
        (Some(0), 0),
        "{}",
        ran.err
    );
    let annotated = fs::read(bench.path("credentials.pcapng")).unwrap();
    assert!(
        annotated
            .windows(17)
            .any(|window| window == b"http.error-status")
    );
    assert_eq!(count(&annotated), on_the_wire);

    let evidence = ["live", "--follow", "-", "--evidence", "evidence"];
    let ran = bench.run_with_input(&[&evidence[..], &keys[..]].concat(), &copied);
    assert_eq!(count(ran.out.as_bytes()) + count(ran.err.as_bytes()), 0);
    let mut names: Vec<_> = fs::read_dir(bench.path("evidence"))
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert!(names.len() >= 5, "{names:?}");
    assert_eq!(count(names.join("\n").as_bytes()), 0, "{names:?}");
}

#[test]
fn every_form_of_a_secret_is_found() {
    for text in [
        "password Hush5ecretWord!",
        "487573683565637265 no 48757368356563726574576f7264",
        "AGJvYgBIdXNoNWVjcmV0V29yZA==",
        "Basic Ym9iOkh1c2g1ZWNyZXRXb3Jk",
        "token=hush5ecretword",
    ] {
        assert_ne!(count(text.as_bytes()), 0, "{text}");
    }
    assert_eq!(count(b"a word that is none"), 0);
}
