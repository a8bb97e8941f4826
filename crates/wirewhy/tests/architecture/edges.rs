//! The manifests against the table.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use toml::{Table, Value};

use crate::tree;

type Names = BTreeSet<String>;

/// What one package may use.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Edges {
    pub(crate) ours: Names,
    pub(crate) third_party: Names,
    tests: Names,
}

/// The table of `crates/README.md`, by package.
fn law() -> BTreeMap<String, Edges> {
    let text = tree::text(Path::new("crates/README.md")).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| `wirewhy"));
    rows.map(|line| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, package, ours, third_party, tests, _] = cells.as_slice() else {
            panic!("a row has four columns: {line}");
        };
        let names = |cell: &str| -> Names {
            let names = cell.split(',').map(|name| name.trim().to_owned());
            names.filter(|name| !name.is_empty()).collect()
        };
        let edges = Edges {
            ours: names(ours),
            third_party: names(third_party),
            tests: names(tests),
        };
        (package.trim_matches('`').to_owned(), edges)
    })
    .collect()
}

fn manifest(folder: &Path) -> Table {
    let path = folder.join("Cargo.toml");
    let text = tree::text(&path).unwrap();
    text.parse()
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn package_name(manifest: &Table) -> String {
    manifest["package"]["name"].as_str().unwrap().to_owned()
}

/// Dependencies of one kind, those for single platforms included.
fn dependencies<'a>(manifest: &'a Table, kind: &str) -> BTreeMap<&'a str, &'a Value> {
    let platforms = manifest.get("target").and_then(Value::as_table);
    let tables = platforms
        .into_iter()
        .flatten()
        .filter_map(|(_, platform)| platform.get(kind))
        .chain(manifest.get(kind))
        .filter_map(Value::as_table);
    tables
        .flatten()
        .map(|(name, value)| (name.as_str(), value))
        .collect()
}

/// A name of ours without its prefix; `None` for those of others.
fn ours(name: &str) -> Option<&str> {
    name.strip_prefix("wirewhy-")
        .or((name == "wirewhy").then_some(name))
}

/// What a manifest says.
pub(crate) fn edges(folder: &Path) -> (String, Edges) {
    let manifest = manifest(folder);
    let mut edges = Edges::default();
    for kind in ["dependencies", "build-dependencies"] {
        for name in dependencies(&manifest, kind).into_keys() {
            match ours(name) {
                Some(name) => edges.ours.insert(name.to_owned()),
                None => edges.third_party.insert(name.to_owned()),
            };
        }
    }
    edges.tests = dependencies(&manifest, "dev-dependencies")
        .into_keys()
        .map(|name| ours(name).unwrap_or(name).to_owned())
        .collect();
    (package_name(&manifest), edges)
}

#[test]
fn every_manifest_has_exactly_the_edges_of_the_table() {
    let found: BTreeMap<String, Edges> = tree::packages()
        .iter()
        .map(|folder| edges(folder))
        .collect();
    let law = law();
    assert!(law.len() >= 9, "the table is read");
    let packages: Names = found.keys().chain(law.keys()).cloned().collect();
    let mut wrong = Vec::new();
    for package in packages {
        match (found.get(&package), law.get(&package)) {
            (Some(found), Some(law)) if found == law => {}
            (Some(found), Some(law)) => wrong.push(format!(
                "{package} uses\n  {found:?}\nthe table says\n  {law:?}"
            )),
            (Some(_), None) => wrong.push(format!("{package} is not in the table")),
            (None, _) => wrong.push(format!(
                "{package} is in the table and not in the repository"
            )),
        }
    }
    let wrong = wrong.join("\n");
    assert!(wrong.is_empty(), "crates/README.md:\n{wrong}");
}

#[test]
fn every_package_has_its_paragraph_and_no_other_has() {
    let text = tree::text(Path::new("crates/README.md")).unwrap();
    let reported: Names = text
        .lines()
        .filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`'))
        .map(str::to_owned)
        .collect();
    let there: Names = tree::packages()
        .iter()
        .map(|folder| package_name(&manifest(folder)))
        .collect();
    assert_eq!(reported, there);
    for package in text.split("### `").skip(1) {
        for part in ["Purpose: ", "Invariant: ", "Must stay absent: "] {
            let name = package.lines().next().unwrap_or_default();
            assert!(package.contains(part), "{name} lacks \"{part}\"");
        }
    }
}

#[test]
fn the_edges_have_no_ring() {
    let mut left = law();
    let mut done: Names = Names::new();
    while !left.is_empty() {
        let ready: Vec<String> = left
            .iter()
            .filter(|(_, edges)| edges.ours.is_subset(&done))
            .map(|(package, _)| package.clone())
            .collect();
        assert!(!ready.is_empty(), "a ring among {:?}", left.keys());
        for package in ready {
            left.remove(&package);
            done.insert(ours(&package).unwrap().to_owned());
        }
    }
}

#[test]
fn the_testkit_is_for_tests_and_benches_only() {
    for (package, edges) in law() {
        let is_benches = package == "wirewhy-benches";
        assert!(is_benches || !edges.ours.contains("testkit"), "{package}");
    }
}

#[test]
fn a_folder_is_a_package_and_versions_and_lints_are_the_workspaces() {
    for folder in tree::packages() {
        let manifest = manifest(&folder);
        let package = package_name(&manifest);
        if folder.starts_with("crates") {
            assert!(folder.ends_with(&package), "{package} lives elsewhere");
        }
        assert_eq!(
            manifest
                .get("lints")
                .and_then(|lints| lints.get("workspace")),
            Some(&Value::Boolean(true)),
            "{package}"
        );
        for kind in ["dependencies", "build-dependencies", "dev-dependencies"] {
            for (name, value) in dependencies(&manifest, kind) {
                assert_eq!(
                    value.get("workspace"),
                    Some(&Value::Boolean(true)),
                    "{package}: the version of {name} belongs into the workspace's manifest"
                );
            }
        }
    }
}

#[test]
fn the_wheel_has_the_lints_and_the_version_of_the_workspace() {
    let (ours, wheel) = (
        manifest(Path::new("")),
        manifest(Path::new("crates/wirewhy-python")),
    );
    for key in ["lints", "package"] {
        assert_eq!(wheel["workspace"][key], ours["workspace"][key], "{key}");
    }
    let profile = |manifest: &Table| manifest["profile"]["release"].clone();
    assert_eq!(profile(&wheel), profile(&ours));
}
