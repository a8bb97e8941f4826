//! The terms of `crates/GLOSSARY.md`: each is a name of the code, stands once, and means one thing; the names that they replaced are
//! gone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::tree;

/// The rows of the tables of the glossary below a heading: their cells.
struct Section {
    heading: String,
    rows: Vec<Vec<String>>,
}

fn glossary() -> Vec<Section> {
    let text = tree::text(Path::new("crates/GLOSSARY.md")).unwrap();
    let sections = text.split("\n## ").skip(1).map(|section| {
        let (heading, rest) = section.split_once('\n').unwrap();
        let rows = rest
            .lines()
            .filter(|line| line.starts_with("| `"))
            .map(|line| {
                let cells = line.trim_matches('|').split('|');
                cells.map(|cell| cell.trim().to_owned()).collect()
            })
            .collect();
        Section {
            heading: heading.to_owned(),
            rows,
        }
    });
    sections.collect()
}

fn replaced() -> Section {
    let mut sections = glossary();
    let last = sections.pop().unwrap();
    assert_eq!(last.heading, "Replaced names");
    last
}

fn terms() -> Vec<(String, String)> {
    let mut sections = glossary();
    sections.pop();
    let rows = sections.iter().flat_map(|section| {
        let of = |row: &Vec<String>| (section.heading.clone(), row[0].trim_matches('`').to_owned());
        section.rows.iter().map(of)
    });
    rows.collect()
}

/// The Rust sources below a folder, with what stands in comments and strings left out.
fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    tree::files()
        .into_iter()
        .filter(|path| path.starts_with(folder))
        .filter(|path| path.extension().is_some_and(|ending| ending == "rs"))
        .filter_map(|path| tree::text(&path).map(|text| (path, code(&text))))
        .collect()
}

/// A source without comments, strings and characters.
fn code(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let skipped = match first {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            '"' => string(rest),
            'r' => raw_string(rest),
            '\'' => character(rest),
            _ => 0,
        };
        if skipped == 0 {
            code.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            code.push(' ');
            rest = &rest[skipped..];
        }
    }
    code
}

/// The length of the string literal that the text begins with.
fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, letter) in text.char_indices().skip(1) {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of the raw string literal that the text begins with; 0 where it begins with none.
fn raw_string(text: &str) -> usize {
    let behind = text[1..].trim_start_matches('#');
    let hashes = text.len() - 1 - behind.len();
    if !behind.starts_with('"') {
        return 0;
    }
    let end = format!("\"{}", "#".repeat(hashes));
    let body = hashes + 2;
    text[body..]
        .find(&end)
        .map_or(text.len(), |at| body + at + end.len())
}

/// The length of the character literal that the text begins with; 0 where it is a lifetime.
fn character(text: &str) -> usize {
    let mut letters = text.char_indices().skip(1);
    match (letters.next(), letters.next()) {
        (Some((_, '\\')), Some((at, escaped))) => {
            let from = at + escaped.len_utf8();
            text[from..].find('\'').map_or(0, |end| from + end + 1)
        }
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 0,
    }
}

fn is_of_name(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

fn names(code: &str) -> impl Iterator<Item = &str> {
    code.split(|letter| !is_of_name(letter))
}

/// The types, traits and modules that a source defines.
fn defined(code: &str) -> impl Iterator<Item = &str> {
    let words = code
        .split(|letter: char| letter.is_whitespace() || "<({;:=".contains(letter))
        .filter(|word| !word.is_empty());
    let next = words.clone().skip(1);
    words.zip(next).filter_map(|(keyword, name)| {
        ["struct", "enum", "trait", "type", "mod"]
            .contains(&keyword)
            .then_some(name)
    })
}

#[test]
fn every_term_is_a_name_of_its_crate_and_defined_once() {
    let mut by_name: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for (path, code) in sources(Path::new("crates")) {
        if path.components().any(|part| part.as_os_str() == "src") {
            for name in defined(&code) {
                by_name
                    .entry(name.to_owned())
                    .or_default()
                    .push(path.clone());
            }
        }
    }
    let terms = terms();
    assert!(terms.len() >= 50, "the tables are read");
    let mut wrong = Vec::new();
    for (package, term) in terms {
        let places = by_name.get(&term).map_or(&[][..], Vec::as_slice);
        match places {
            [one] if one.starts_with(Path::new("crates").join(&package)) => {}
            [] => wrong.push(format!("{term}: {package} has no such type or module")),
            places => wrong.push(format!("{term} of {package}: defined in {places:?}")),
        }
    }
    assert!(
        wrong.is_empty(),
        "crates/GLOSSARY.md:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn no_term_stands_twice() {
    let mut seen = BTreeSet::new();
    let twice: Vec<_> = terms()
        .into_iter()
        .filter(|(_, term)| !seen.insert(term.clone()))
        .collect();
    assert!(twice.is_empty(), "{twice:?}");
}

#[test]
fn every_term_has_its_meaning_and_what_others_call_it() {
    for section in glossary() {
        for row in section.rows {
            let whole = row.len() == 3 && row.iter().all(|cell| !cell.is_empty());
            assert!(whole, "{}: {row:?}", section.heading);
        }
    }
}

#[test]
fn replaced_names_are_gone() {
    let replaced = replaced();
    let mut wrong = Vec::new();
    for folder in ["crates", "benches", "fuzz"] {
        for (path, code) in sources(Path::new(folder)) {
            for row in &replaced.rows {
                let is_here =
                    row[2] == "all" || path.starts_with(Path::new("crates").join(&row[2]));
                for old in row[0].split(", ").map(|name| name.trim_matches('`')) {
                    if is_here && names(&code).any(|name| name == old) {
                        wrong.push(format!("{}: {old} is now {}", path.display(), row[1]));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_checks_read_code_only() {
    let text = "struct A<'a>; // struct B\n/* enum C */ type D = u8; \"mod e\\\" mod f\" r#\"mod g\"# 'h' '\\'' mod i {}";
    let code = code(text);
    assert_eq!(defined(&code).collect::<Vec<_>>(), ["A", "D", "i"]);
    assert!(names(&code).any(|name| name == "a"));
    assert!(!names(&code).any(|name| ["h", "e", "f", "g"].contains(&name)));
}
