//! A recording in several files is analysed as if it had never been cut.

#[cfg(test)]
mod recording {
    use std::collections::BTreeSet;
    use std::io::{self, Cursor};
    use std::path::{Path, PathBuf};

    use wirewhy::engine::{EngineOptions, ThreadPool, analyze, summarize};
    use wirewhy_capture::pcapng::{Notes, Section, Writer};
    use wirewhy_capture::{
        FileSequence, Interface, InterfaceStatistics, OpenError, OpenErrorKind, Reader, Recording,
    };
    use wirewhy_detect::Diagnosis;
    use wirewhy_packet::{Frame, LinkType, Timestamp};
    use wirewhy_report::{CaptureSummary, Names, Ndjson, Reporter, View};
    use wirewhy_survey::{GroupFinding, Totals};

    /// A frame of a capture.
    struct Kept {
        time: Timestamp,
        link_type: LinkType,
        interface: u32,
        original_len: u32,
        data: Vec<u8>,
    }

    fn captures() -> Vec<PathBuf> {
        let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")];
        let mut found = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if wirewhy_capture::open(&path).is_ok() {
                    found.push(path);
                }
            }
        }
        found.sort();
        found
    }

    /// The frames of a capture, and the interfaces they come from.
    fn frames(path: &Path) -> (Vec<Kept>, Vec<Interface>) {
        let mut reader = wirewhy_capture::open(path).unwrap();
        let mut frames = Vec::new();
        while let Some(frame) = reader.next() {
            frames.push(Kept {
                time: frame.time,
                link_type: frame.link_type,
                interface: frame.interface,
                original_len: frame.original_len,
                data: frame.data.to_vec(),
            });
        }
        let mut interfaces = reader.info().interfaces.clone();
        for interface in &mut interfaces {
            interface.statistics = InterfaceStatistics::default();
        }
        if interfaces.is_empty() {
            interfaces.extend(frames.first().map(|frame| Interface {
                link_type: frame.link_type,
                snap_len: 0,
                name: None,
                statistics: InterfaceStatistics::default(),
            }));
        }
        (frames, interfaces)
    }

    fn file(frames: &[Kept], interfaces: &[Interface]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = Writer::new(&mut bytes, Section::default()).unwrap();
        for interface in interfaces {
            writer.interface(interface, None).unwrap();
        }
        for kept in frames {
            let frame = Frame {
                number: 0,
                time: kept.time,
                link_type: kept.link_type,
                interface: kept.interface,
                original_len: kept.original_len,
                data: &kept.data,
            };
            writer.frame(&frame, Notes::default()).unwrap();
        }
        bytes
    }

    /// The frames in so many files at most, each with as many frames as the others, but for the last.
    fn cut(frames: &[Kept], interfaces: &[Interface], files: usize) -> Vec<Vec<u8>> {
        frames
            .chunks(frames.len().div_ceil(files).max(1))
            .map(|part| file(part, interfaces))
            .collect()
    }

    /// A recording of these files; those that are empty are missing.
    fn recording(files: Vec<Vec<u8>>) -> Recording {
        let names = (0..files.len()).map(|number| PathBuf::from(number.to_string()));
        FileSequence::of(names)
            .open_with(Box::new(move |path| {
                let number: usize = path.to_str().unwrap().parse().unwrap();
                let bytes = files[number].clone();
                if bytes.is_empty() {
                    return Err(OpenError {
                        source: number.to_string(),
                        kind: OpenErrorKind::NotFound,
                    });
                }
                Reader::new(Box::new(Cursor::new(bytes)), number.to_string())
            }))
            .unwrap()
    }

    /// Everything that is reported but the description of the capture, and the names of the files.
    fn report(files: Vec<Vec<u8>>) -> (Vec<String>, u64) {
        let mut out = Vec::new();
        let view = View {
            all: true,
            min_severity: None,
            ..View::default()
        };
        let mut reporter = Ndjson::new(&mut out, view.clone(), Names::default());
        let analyzed = analyze(
            &mut recording(files),
            None,
            &EngineOptions::default(),
            &view,
            &ThreadPool::default(),
            &mut reporter,
        )
        .unwrap();
        let lines = String::from_utf8(out)
            .unwrap()
            .lines()
            .filter(|line| !line.contains(r#""type":"capture""#))
            .map(str::to_owned)
            .collect();
        (lines, analyzed.totals.connections)
    }

    /// What is found, by the ends of a connection or the subject.
    #[derive(Default)]
    struct Found {
        codes: BTreeSet<(String, &'static str)>,
        gaps: usize,
    }

    impl Reporter for Found {
        fn connection(&mut self, diagnosis: &Diagnosis) -> io::Result<()> {
            let connection = &diagnosis.connection;
            let (client, server) = (&connection.client, &connection.server);
            let ends =
                BTreeSet::from([(client.address, client.port), (server.address, server.port)]);
            for finding in &diagnosis.findings {
                self.codes.insert((format!("{ends:?}"), finding.code));
            }
            Ok(())
        }

        fn finish(
            &mut self,
            capture: &CaptureSummary,
            _: &Totals,
            group: &[GroupFinding],
        ) -> io::Result<()> {
            self.gaps = capture.gaps.len();
            for found in group {
                let subject = format!("{} {}", found.scope.name(), found.subject);
                self.codes.insert((subject, found.finding.code));
            }
            Ok(())
        }
    }

    fn found(files: Vec<Vec<u8>>) -> Found {
        let mut found = Found::default();
        analyze(
            &mut recording(files),
            None,
            &EngineOptions::default(),
            &View::default(),
            &ThreadPool::default(),
            &mut found,
        )
        .unwrap();
        found
    }

    #[test]
    fn cut_into_files_it_gives_the_report_of_the_whole() {
        let mut compared = 0;
        for path in captures() {
            let (frames, interfaces) = frames(&path);
            let (whole, connections) = report(cut(&frames, &interfaces, 1));
            if connections < 3 {
                continue;
            }
            compared += 1;
            for files in [2, 5, 17] {
                let (parts, _) = report(cut(&frames, &interfaces, files));
                assert!(parts == whole, "{} in {files} files", path.display());
            }
        }
        assert!(compared > 50, "{compared} captures");
    }

    #[test]
    fn with_a_file_missing_nothing_is_found_that_the_whole_does_not_have() {
        let mut compared = 0;
        let mut wrong = Vec::new();
        for path in captures() {
            let (frames, interfaces) = frames(&path);
            let (_, connections) = report(cut(&frames, &interfaces, 1));
            if connections < 3 {
                continue;
            }
            compared += 1;
            let whole = found(cut(&frames, &interfaces, 1));
            for files in [3, 5, 17] {
                let mut parts = cut(&frames, &interfaces, files);
                let middle = parts.len() / 2;
                parts[middle].clear();
                let mut holed = found(parts);
                assert_eq!(holed.gaps, 1, "{}", path.display());
                let gap = ("capture 0".to_owned(), "capture.packets-missing");
                assert!(holed.codes.remove(&gap), "{}", path.display());
                // Where the missing file announced a data connection of FTP, its server waits as any server may.
                let is_ftp = path.to_string_lossy().contains("/ftp-");
                holed
                    .codes
                    .retain(|(_, code)| !(is_ftp && *code == "tcp.slow-response"));
                for code in holed.codes.difference(&whole.codes) {
                    wrong.push(format!("{} in {files} files: {code:?}", path.display()));
                }
            }
        }
        assert!(compared > 50, "{compared} captures");
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn frames_are_numbered_over_the_recording_and_each_file_has_its_first() {
        let path = captures().remove(0);
        let (frames, interfaces) = frames(&path);
        let mut recording = recording(cut(&frames, &interfaces, 4));
        let mut numbers = Vec::new();
        while let Some(item) = recording.next() {
            assert!(item.gap.is_none());
            numbers.push(item.frame.number);
        }
        let all: Vec<u64> = (1..=frames.len() as u64).collect();
        assert_eq!(numbers, all);
        let firsts: Vec<u64> = summarize(&recording)
            .files
            .iter()
            .map(|file| file.first_frame)
            .collect();
        let each = frames.len().div_ceil(4) as u64;
        let expected: Vec<u64> = (0..firsts.len() as u64)
            .map(|file| file * each + 1)
            .collect();
        assert_eq!(firsts, expected);
    }
}
