//! What must stay absent from the sources of each crate.

use std::path::{Path, PathBuf};

use crate::{edges, tree};

/// The world outside: a crate that names one of these is not a function of its arguments.
const WORLD: &[&str] = &[
    "std::env",
    "std::fs",
    "std::net::Tcp",
    "std::net::Udp",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
    "io::stderr",
    "io::stdin",
    "io::stdout",
    "Instant::now",
    "SystemTime::now",
];

/// The crates whose public functions return no `Result` and do no input or output at all.
const PURE: &[&str] = &[
    "crates/wirewhy-packet",
    "crates/wirewhy-protocol",
    "crates/wirewhy-flow",
    "crates/wirewhy-detect",
];

/// Where `needle` stands as a whole path, not as a part of a longer name.
fn names(text: &str, needle: &str) -> bool {
    let part_of_name = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(needle).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        !before.is_some_and(part_of_name)
    })
}

/// `use a::{b, c};` as `a::b` and `a::c`, so that a grouped import is found under its path.
fn spelled_out(text: &str) -> String {
    let mut all = String::new();
    for statement in text.split(';') {
        all.push_str(statement);
        all.push(';');
        if let Some((start, group)) = statement.split_once("::{")
            && let Some((_, path)) = start.rsplit_once("use ")
        {
            for name in group.trim_end_matches('}').split(',') {
                all.push_str(&format!("\n{path}::{};", name.trim()));
            }
        }
    }
    all
}

#[test]
fn only_capture_and_the_command_touch_the_world() {
    let mut wrong = Vec::new();
    let report = ["crates/wirewhy-report", "crates/wirewhy-testkit"];
    for package in PURE.iter().chain(&report) {
        for (path, text) in tree::shipped(Path::new(package)) {
            let text = spelled_out(&text);
            for name in WORLD {
                if names(&text, name) {
                    wrong.push(format!("{}: {name}", path.display()));
                }
            }
            if PURE.contains(package) && names(&text, "std::io") {
                wrong.push(format!("{}: std::io", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn pure_crates_return_no_result() {
    let mut wrong = Vec::new();
    for package in PURE {
        let shipped = tree::shipped(Path::new(package));
        assert!(!shipped.is_empty(), "{package} has sources");
        for (path, text) in shipped {
            let with_result = signatures(&text)
                .into_iter()
                .filter(|line| names(line, "Result<"));
            wrong.extend(with_result.map(|line| format!("{}: {line}", path.display())));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Every public item, up to its body or its end, and every public field.
fn signatures(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("pub ") {
        let rest = &text[at..];
        if !text[..at].ends_with(|c: char| c.is_whitespace() || c == '(') {
            continue;
        }
        let ends: &[char] = if rest.starts_with("pub use ") {
            &[';']
        } else {
            &['{', ';', '\n']
        };
        // A signature may run over several lines; a field or a constant ends with its own.
        let ends = if rest.starts_with("pub fn ") || rest.starts_with("pub const fn ") {
            &['{', ';']
        } else {
            ends
        };
        let end = rest.find(ends).unwrap_or(rest.len());
        found.push(rest[..end].split_whitespace().collect::<Vec<_>>().join(" "));
    }
    found
}

/// The names a file brings in from other people's crates, and those crates' own names with `::`.
fn foreign_names(text: &str, third_party: &[String]) -> Vec<String> {
    let mut names: Vec<String> = third_party
        .iter()
        .map(|krate| format!("{krate}::"))
        .collect();
    for statement in text.split(';') {
        let Some(path) = statement.trim_start().strip_prefix("use ") else {
            continue;
        };
        if !third_party
            .iter()
            .any(|krate| path.starts_with(&format!("{krate}::")))
        {
            continue;
        }
        let words = path
            .split(|c: char| !(c.is_alphanumeric() || c == '_'))
            .filter(|word| word.starts_with(char::is_uppercase));
        names.extend(words.map(str::to_owned));
    }
    names
}

fn is_named(line: &str, name: &str) -> bool {
    line.match_indices(name).any(|(at, _)| {
        let part_of_name = |c: char| c.is_alphanumeric() || c == '_';
        !line[..at].chars().next_back().is_some_and(part_of_name)
            && (name.ends_with(':')
                || !line[at + name.len()..]
                    .chars()
                    .next()
                    .is_some_and(part_of_name))
    })
}

fn leaks(package: &Path) -> Vec<String> {
    let (_, edges) = edges::edges(package);
    let third_party: Vec<String> = edges
        .third_party
        .iter()
        .map(|name| name.replace('-', "_"))
        .collect();
    let mut wrong = Vec::new();
    for (path, text) in tree::shipped(package) {
        let foreign = foreign_names(&text, &third_party);
        for line in signatures(&text) {
            if foreign.iter().any(|name| is_named(&line, name)) {
                wrong.push(format!("{}: {line}", path.display()));
            }
        }
    }
    wrong
}

#[test]
fn third_party_types_stay_inside() {
    let packages: Vec<PathBuf> = tree::packages();
    let wrong: Vec<String> = packages.iter().flat_map(|package| leaks(package)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_checks_see_what_they_look_for() {
    assert!(names(
        &spelled_out("use std::{fs, io};\nfn a() {}"),
        "std::fs"
    ));
    assert!(!names("my_std::fs", "std::fs"));
    let text = "use nom::{IResult, Parser};\n\npub struct A {\n    pub b: u8,\n}\n\npub fn c(\n    d: u8,\n) -> IResult<u8> {\n}\n";
    assert_eq!(
        signatures(text),
        [
            "pub struct A",
            "pub b: u8,",
            "pub fn c( d: u8, ) -> IResult<u8>"
        ]
    );
    let foreign = foreign_names(text, &["nom".to_owned()]);
    assert_eq!(foreign, ["nom::", "IResult", "Parser"]);
    assert!(is_named("pub use nom::IResult", "nom::"));
    assert!(is_named("-> IResult<u8>", "IResult"));
    assert!(!is_named("-> MyIResults", "IResult"));
}
