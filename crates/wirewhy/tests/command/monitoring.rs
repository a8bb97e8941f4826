//! The rules and the dashboard for Prometheus fit the metrics, and a real Prometheus takes them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use wirewhy_report::Metrics;
use wirewhy_survey::records;

fn packaging(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../packaging")
        .join(path)
}

fn read(path: &str) -> String {
    std::fs::read_to_string(packaging(path)).unwrap()
}

/// The words of a text that begin with this.
fn words<'t>(text: &'t str, prefix: &'t str) -> impl Iterator<Item = &'t str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    text.split(move |c: char| !is_part(c))
        .filter(move |word| word.starts_with(prefix))
}

#[test]
fn every_metric_and_code_that_is_asked_for_is_there() {
    let metrics = Metrics::new(1).text();
    let samples: BTreeSet<&str> = metrics
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split(['{', ' ']).next())
        .collect();
    let codes: BTreeSet<&str> = records().map(|record| record.code).collect();
    for path in ["prometheus/wirewhy.rules.yml", "grafana/wirewhy.json"] {
        let text = read(path);
        let asked: BTreeSet<&str> = words(&text, "wirewhy_").collect();
        assert!(asked.len() > 5, "{path}: {asked:?}");
        for name in asked {
            assert!(samples.contains(name), "{path}: {name} is no metric");
        }
        for matcher in text.split("code=").skip(1) {
            let value = matcher.trim_start_matches(['~', '\\', '"']);
            let value = value.split(['"', '\\']).next().unwrap();
            for code in value.split('|') {
                assert!(codes.contains(code), "{path}: {code} is no code");
            }
        }
    }
}

#[test]
fn the_dashboard_is_one() {
    let dashboard: serde_json::Value = serde_json::from_str(&read("grafana/wirewhy.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    assert!(panels.len() > 10);
    let ids: BTreeSet<u64> = panels
        .iter()
        .map(|panel| panel["id"].as_u64().unwrap())
        .collect();
    assert_eq!(ids.len(), panels.len());
}

#[test]
fn prometheus_takes_the_rules_and_they_fire_when_they_should() {
    let run = |args: &[&str]| {
        let done = Command::new("promtool")
            .args(args)
            .current_dir(packaging("prometheus"))
            .stdin(Stdio::null())
            .output();
        match done {
            Ok(done) => {
                assert!(done.status.success(), "{args:?}: {done:?}");
                true
            }
            Err(error) if std::env::var_os("CI").is_none() => {
                eprintln!(
                    "not tested: promtool cannot be run ({error}); Debian has it in prometheus"
                );
                false
            }
            Err(error) => panic!("promtool: {error}"),
        }
    };
    let _ = run(&["check", "rules", "wirewhy.rules.yml"])
        && run(&["test", "rules", "wirewhy.rules.test.yml"]);
}
