//! The catalogue of findings as a whole: its codes, its texts, and its files.

#[cfg(test)]
mod catalogue {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    use wirewhy_detect::{DETECTORS, Record};
    use wirewhy_survey::records;

    fn root() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
    }

    /// The folders of the rules over one connection and over many.
    fn detectors() -> Vec<PathBuf> {
        ["wirewhy-detect", "wirewhy-survey"]
            .map(|name| root().join("crates").join(name).join("src/detectors"))
            .to_vec()
    }

    /// `tcp.syn-unanswered` in `detectors/tcp/syn_unanswered.rs`; a large one may be a folder of that name.
    fn file_of(code: &str) -> Option<PathBuf> {
        let (group, name) = code.split_once('.')?;
        detectors().into_iter().find_map(|detectors| {
            let base = detectors.join(group).join(name.replace('-', "_"));
            [base.with_extension("rs"), base.join("mod.rs")]
                .into_iter()
                .find(|path| path.exists())
        })
    }

    /// Every text of a record, with what to call it.
    fn texts(record: &Record) -> Vec<(&'static str, &'static str)> {
        let steps = record.check_next.iter().map(|step| ("check_next", *step));
        [
            ("title", record.title),
            ("means", record.means),
            ("recognised", record.recognised),
            ("look_alikes", record.look_alikes),
        ]
        .into_iter()
        .chain(steps)
        .collect()
    }

    #[test]
    fn codes_are_unique_and_well_formed() {
        let mut seen = BTreeSet::new();
        for record in records() {
            let code = record.code;
            assert!(seen.insert(code), "{code} stands in the list twice");
            let words = code.split_once('.').map(|(group, name)| [group, name]);
            let plain = |part: &str| {
                part.split('-').all(|word| {
                    !word.is_empty()
                        && word
                            .chars()
                            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
                })
            };
            assert!(
                words.is_some_and(|words| words.iter().all(|part| plain(part))),
                "{code} is not group.kebab-case"
            );
        }
        assert!(!seen.is_empty());
    }

    #[test]
    fn every_code_has_the_file_of_its_name() {
        for record in records() {
            let path =
                file_of(record.code).unwrap_or_else(|| panic!("{} has no file", record.code));
            let text = std::fs::read_to_string(&path).unwrap();
            let code = format!("code: \"{}\"", record.code);
            assert!(text.contains(&code), "{} lacks {code}", path.display());
            let header = text.lines().next().unwrap_or_default();
            assert!(
                header.starts_with("//!") && header.contains(record.code),
                "{} does not begin with what it is",
                path.display()
            );
        }
    }

    #[test]
    fn every_file_with_a_record_is_in_the_list() {
        let mut files = Vec::new();
        let mut folders = detectors();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    files.push(path);
                }
            }
        }
        let listed: BTreeSet<&str> = records().map(|record| record.code).collect();
        for path in files {
            let text = std::fs::read_to_string(&path).unwrap();
            for (_, rest) in text
                .match_indices(": Record = Record")
                .map(|(at, _)| text.split_at(at))
            {
                let code = rest
                    .split("code: \"")
                    .nth(1)
                    .and_then(|code| code.split('"').next());
                assert!(
                    code.is_some_and(|code| listed.contains(code)),
                    "{}: {code:?} is not in the list",
                    path.display()
                );
            }
        }
    }

    #[test]
    fn every_detector_has_its_record_in_the_list_and_its_tests_beside_it() {
        let listed: BTreeSet<&str> = records().map(|record| record.code).collect();
        let mut seen = BTreeSet::new();
        for detector in DETECTORS {
            let code = detector.record.code;
            assert!(listed.contains(code), "{code} has no record in the list");
            assert!(seen.insert(code), "{code} runs twice");
            let text = std::fs::read_to_string(file_of(code).unwrap()).unwrap();
            // One trace that fires, one near miss that does not.
            let tests = text.matches("#[test]").count();
            // Rules over certificates are tested together on chains that the tests make, and by the captures of the lab.
            let elsewhere = text.contains("#[cfg(test)]\nmod tests;")
                || text.contains("rule: Rule::Certificate(");
            assert!(tests >= 2 || elsewhere, "{code} has {tests} tests");
        }
    }

    #[test]
    fn texts_are_there_and_are_sentences() {
        for record in records() {
            let code = record.code;
            assert!(
                !record.check_next.is_empty(),
                "{code}: nothing to check next"
            );
            for (part, text) in texts(record) {
                let wrong = complaint(part, text);
                assert!(
                    wrong.is_none(),
                    "{code}, {part}: {}: {text:?}",
                    wrong.unwrap_or_default()
                );
            }
        }
    }

    fn complaint(part: &str, text: &str) -> Option<&'static str> {
        let is_title = part == "title";
        let least = if is_title || part == "check_next" {
            8
        } else {
            20
        };
        let ends_well = text.ends_with(['.', '?', ':', ')']) || part == "check_next";
        if text.trim() != text || text.contains("  ") || text.contains(['\n', '\t']) {
            Some("stray white space")
        } else if text.chars().count() < least {
            Some("too short to say anything")
        } else if is_title && text.chars().count() > 80 {
            Some("too long for a heading")
        } else if is_title && text.ends_with('.') {
            Some("a heading has no full stop")
        } else if !is_title && !ends_well {
            Some("ends in the middle")
        } else if text.starts_with(|c: char| c.is_ascii_lowercase()) && is_title {
            Some("starts with a small letter")
        } else {
            None
        }
    }

    #[test]
    fn complaints_are_made() {
        assert!(complaint("means", "Short.").is_some());
        assert!(complaint("means", "Two  spaces where a line was broken badly.").is_some());
        assert!(complaint("means", "It ends in the middle of a").is_some());
        assert!(complaint("title", "A heading with a stop.").is_some());
        assert!(complaint("title", "A heading that is good").is_none());
    }

    #[test]
    fn texts_name_only_codes_that_exist() {
        let groups: BTreeSet<&str> = records()
            .filter_map(|record| record.code.split('.').next())
            .collect();
        let listed: BTreeSet<&str> = records().map(|record| record.code).collect();
        let mut wrong = Vec::new();
        let mut named = 0;
        for record in records() {
            for (part, text) in texts(record) {
                let words =
                    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '.' || c == '-'));
                for word in words.map(|word| word.trim_matches(['.', '-'])) {
                    let Some((group, name)) = word.split_once('.') else {
                        continue;
                    };
                    // `tcp.stream` and `tcp.analysis.…` are Wireshark's fields.
                    let is_code = groups.contains(group) && !name.contains('.') && name != "stream";
                    named += usize::from(is_code);
                    if is_code && !listed.contains(word) {
                        wrong.push(format!("{}, {part}: {word}", record.code));
                    }
                }
            }
        }
        assert!(named > 0, "no text refers to another code");
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
