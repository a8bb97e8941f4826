//! Files: how large they get, and what they may name.

use std::path::{Component, Path};

use crate::tree;

/// A file near 500 lines is asking to be two; at this many the question is answered.
const MOST_LINES: usize = 700;

#[test]
fn no_source_file_is_too_long() {
    let mut wrong = Vec::new();
    for path in tree::files() {
        let ending = path.extension().and_then(|ending| ending.to_str());
        if !matches!(ending, Some("rs" | "py")) {
            continue;
        }
        let lines = tree::text(&path).unwrap_or_default().lines().count();
        if lines > MOST_LINES {
            wrong.push(format!("{}: {lines} lines", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Folders below which paths belong to one person's machine.
const SOMEBODYS: &[&str] = &["home", "mnt", "root", "tmp", "Users", "work"];

/// The paths in a text that only exist on one machine, or that lead out of the repository.
fn foreign_paths(file: &Path, text: &str) -> Vec<String> {
    let end_of_path = |c: char| c.is_whitespace() || "\"'`()<>|;,".contains(c);
    text.split(end_of_path)
        .filter(|word| is_somebodys(word) || leads_out(file, word))
        .map(str::to_owned)
        .collect()
}

fn is_somebodys(word: &str) -> bool {
    let from_root = word
        .split(['=', ':'])
        .filter_map(|part| part.strip_prefix('/'));
    from_root
        .filter_map(|path| path.split_once('/'))
        .any(|(first, rest)| SOMEBODYS.contains(&first) && !rest.is_empty())
}

fn leads_out(file: &Path, word: &str) -> bool {
    if !word.starts_with("../") {
        return false;
    }
    let folder = file.parent().unwrap_or(Path::new(""));
    let mut depth = 0_i32;
    for component in folder.join(word).components() {
        depth += match component {
            Component::ParentDir => -1,
            Component::Normal(_) => 1,
            _ => 0,
        };
        if depth < 0 {
            return true;
        }
    }
    false
}

#[test]
fn no_file_names_a_path_of_somebodys_machine() {
    let mut wrong = Vec::new();
    for path in tree::files() {
        let Some(text) = tree::text(&path) else {
            continue;
        };
        for found in foreign_paths(&path, &text) {
            wrong.push(format!("{}: {found}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn foreign_paths_are_seen() {
    let slash = '/';
    let text = format!(
        "see {slash}home{slash}ann/x, `..{slash}..{slash}elsewhere`, A={slash}work{slash}b and ../b ../../c {slash}home"
    );
    let expected = [
        format!("{slash}home{slash}ann/x"),
        format!("..{slash}..{slash}elsewhere"),
        format!("A={slash}work{slash}b"),
        format!("..{slash}..{slash}c"),
    ];
    assert_eq!(foreign_paths(Path::new("a/b.md"), &text), expected);
}
