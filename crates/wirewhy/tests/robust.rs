//! Nothing that a capture holds may stop the program: every capture of the repository cut short, damaged, shuffled.
//!
//! The damage is random but the same in every run; a failure names the capture and the number of its damage.

#[cfg(test)]
mod robust {
    use std::io::Cursor;
    use std::path::{Path, PathBuf};
    use std::sync::mpsc;
    use std::time::Duration;

    use wirewhy::engine::{Analysis, Analyzed, EngineOptions, ThreadPool, analyze, summarize};
    use wirewhy_capture::{Reader, Recording};
    use wirewhy_detect::{Diagnosis, Limits, found_without_sign};
    use wirewhy_packet::{Decoder, Frame, Interval, LinkType, Timestamp};
    use wirewhy_report::{CaptureSummary, Json, Names, Ndjson, Reporter, Text, TextStyle, View};
    use wirewhy_survey::{GroupFinding, Totals};
    use wirewhy_testkit::Random;

    /// Longer than any of these takes by far, on a machine that is busy with other things.
    const HANGS: Duration = Duration::from_secs(120);
    /// What one capture's damages may read in all, so that large captures do not take all the time.
    const BYTES_EACH: usize = 3 << 20;
    /// Damages per capture at most.
    const DAMAGES: usize = 300;
    /// How much of a capture is damaged: enough for some hundred frames.
    const DAMAGED_PART: usize = 24 << 10;

    fn captures() -> Vec<PathBuf> {
        let mut folders =
            vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/captures")];
        let mut found = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                if path.is_dir() {
                    folders.push(path);
                } else if name.contains(".pcap") {
                    found.push(path);
                }
            }
        }
        found.sort();
        assert!(found.len() > 50, "the captures are there");
        found
    }

    /// Runs `case` over every capture on two threads; a panic or a hang names the capture.
    fn over_all(case: fn(&Path, &[u8])) {
        let all = captures();
        let (even, odd): (Vec<_>, Vec<_>) =
            all.into_iter().enumerate().partition(|(at, _)| at % 2 == 0);
        let watched = [even, odd].map(|share| std::thread::spawn(move || watch(share, case)));
        let wrong: Vec<String> = watched
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        let peak = peak_memory_kib();
        assert!(
            peak.is_none_or(|kib| kib < 200 << 10),
            "{peak:?} KiB at the peak"
        );
    }

    fn watch(share: Vec<(usize, PathBuf)>, case: fn(&Path, &[u8])) -> Vec<String> {
        let mut wrong = Vec::new();
        for (_, path) in share {
            let (done, ended) = mpsc::channel();
            let name = path.clone();
            let work = std::thread::spawn(move || {
                let bytes = std::fs::read(&path).unwrap();
                case(&path, &bytes);
                // There is no listener any more if this took too long, which is a failure already.
                let _ = done.send(());
            });
            if ended.recv_timeout(HANGS) == Err(mpsc::RecvTimeoutError::Timeout) {
                wrong.push(format!("{} hangs", name.display()));
            } else if work.join().is_err() {
                wrong.push(format!("{} panics", name.display()));
            }
        }
        wrong
    }

    /// The most memory the process ever held, where the system tells.
    fn peak_memory_kib() -> Option<u64> {
        let status = std::fs::read_to_string("/proc/self/status").ok()?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.trim().strip_suffix("kB")?.trim().parse().ok()
    }

    /// A reporter that looks at every connection first.
    struct Checked<'a>(Box<dyn Reporter + 'a>);

    impl Reporter for Checked<'_> {
        fn connection(&mut self, diagnosis: &Diagnosis) -> std::io::Result<()> {
            check(diagnosis);
            self.0.connection(diagnosis)
        }

        fn finish(
            &mut self,
            capture: &CaptureSummary,
            totals: &Totals,
            group: &[GroupFinding],
        ) -> std::io::Result<()> {
            self.0.finish(capture, totals, group)
        }
    }

    /// No rule finds anything without a sign, so that it does not matter that rules without one are not asked.
    fn check(diagnosis: &Diagnosis) {
        let connection = &diagnosis.connection;
        let unasked = found_without_sign(connection, &Limits::default());
        assert!(unasked.is_empty(), "{}: {unasked:?}", connection.stream);
    }

    fn reporter(number: usize, out: &mut Vec<u8>) -> Box<dyn Reporter + '_> {
        let view = View {
            all: number.is_multiple_of(2),
            min_severity: None,
            ..View::default()
        };
        match number % 3 {
            0 => Box::new(Text::new(out, TextStyle::default(), view, Names::default())),
            1 => Box::new(Json::new(out, view, Names::default())),
            _ => Box::new(Ndjson::new(out, view, Names::default())),
        }
    }

    /// Analyses what may be a capture; `None` if it is refused as none. Returns what came of it and how many packets it had.
    fn analysed(bytes: &[u8], number: usize, out: &mut Vec<u8>) -> Option<(Analyzed, u64)> {
        analysed_by(bytes, &mut Checked(reporter(number, out)))
    }

    fn analysed_by(bytes: &[u8], reporter: &mut dyn Reporter) -> Option<(Analyzed, u64)> {
        let source = Box::new(Cursor::new(bytes.to_vec()));
        let mut recording = Recording::from(Reader::new(source, "damaged".to_owned()).ok()?);
        let view = View::default();
        let analyzed = analyze(
            &mut recording,
            None,
            &EngineOptions::default(),
            &view,
            &ThreadPool::default(),
            reporter,
        )
        .unwrap();
        let totals = &analyzed.totals;
        assert_eq!(
            totals.connections,
            totals.ok + totals.failed + totals.degraded + totals.undecided,
            "every connection has one outcome"
        );
        Some((analyzed, summarize(&recording).packets))
    }

    #[test]
    fn captures_cut_short_anywhere() {
        over_all(|path, bytes| {
            let mut random = Random::of(&path.to_string_lossy());
            let mut cuts: Vec<usize> = (0..64.min(bytes.len())).collect();
            let samples = (BYTES_EACH / bytes.len().max(1)).clamp(4, 64);
            cuts.extend((0..samples).map(|_| random.below(bytes.len())));
            cuts.push(bytes.len());
            cuts.sort_unstable();
            let mut packets = 0;
            for (number, cut) in cuts.into_iter().enumerate() {
                let Some((_, found)) = analysed(&bytes[..cut], number, &mut Vec::new()) else {
                    continue;
                };
                assert!(
                    found >= packets,
                    "{cut} bytes give fewer packets than fewer bytes"
                );
                packets = found;
            }
            assert!(packets > 0, "the whole capture has packets");
        });
    }

    #[test]
    fn captures_with_damaged_bytes() {
        over_all(|path, bytes| {
            let part = &bytes[..bytes.len().min(DAMAGED_PART)];
            let mut random = Random::of(&path.to_string_lossy());
            for number in 0..DAMAGES.min(BYTES_EACH / part.len().max(1)) {
                let damaged = damage(part, &mut random);
                analysed(&damaged, number, &mut Vec::new());
            }
        });
    }

    /// One to eight wounds: bytes overwritten, left out, repeated.
    fn damage(bytes: &[u8], random: &mut Random) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        for _ in 0..=random.below(8) {
            let at = random.below(bytes.len());
            let end = (at + 1 + random.below(40)).min(bytes.len());
            match random.below(8) {
                0 => drop(bytes.drain(at..end)),
                1 => {
                    let again = bytes[at..end].to_vec();
                    bytes.splice(at..at, again);
                }
                2 => {
                    let value = random.byte();
                    bytes[at..end.min(at + 4)].fill(value);
                }
                3 => bytes[at] ^= 1 << random.below(8),
                _ => bytes[at] = random.byte(),
            }
        }
        bytes
    }

    struct Kept {
        time: Timestamp,
        link_type: LinkType,
        original_len: u32,
        data: Vec<u8>,
    }

    fn frames(bytes: &[u8]) -> Vec<Kept> {
        let source = Box::new(Cursor::new(bytes.to_vec()));
        let mut reader = Reader::new(source, "whole".to_owned()).unwrap();
        let mut frames = Vec::new();
        let mut size = 0;
        while let Some(frame) = reader.next()
            && size < DAMAGED_PART
        {
            size += frame.data.len();
            frames.push(Kept {
                time: frame.time,
                link_type: frame.link_type,
                original_len: frame.original_len,
                data: frame.data.to_vec(),
            });
        }
        frames
    }

    /// Behind the reader: headers that lie, frames lost, repeated, out of order, cut, and clocks that jump.
    #[test]
    fn frames_that_lie() {
        over_all(|path, bytes| {
            let frames = frames(bytes);
            let size: usize = frames.iter().map(|frame| frame.data.len()).sum();
            let mut random = Random::of(&path.to_string_lossy());
            for _ in 0..DAMAGES.min(BYTES_EACH / size.max(1)) {
                let mut decoder = Decoder::new();
                let mut analysis = Analysis::new(EngineOptions::default());
                let mut diagnosis = 0_u64;
                let mut sink = |found: &Diagnosis| {
                    check(found);
                    diagnosis += 1;
                    Ok(())
                };
                for number in 1..=frames.len() {
                    let data;
                    let frame = {
                        // Mostly the next one; sometimes another.
                        let at = match random.below(12) {
                            0 => random.below(frames.len()),
                            _ => number - 1,
                        };
                        let kept = &frames[at];
                        data = lie(&kept.data, &mut random);
                        let jump = match random.below(200) {
                            0 => i64::try_from(random.number(1 << 48)).unwrap() << random.below(16),
                            _ => 0,
                        };
                        Frame {
                            number: u64::try_from(number).unwrap(),
                            time: kept.time.after(Interval(jump)),
                            link_type: kept.link_type,
                            interface: 0,
                            original_len: kept.original_len,
                            data: &data,
                        }
                    };
                    analysis
                        .observe(&decoder.decode(&frame), &mut sink)
                        .unwrap();
                }
                let (totals, _) = analysis
                    .finish(&CaptureSummary::default(), &mut sink)
                    .unwrap();
                assert_eq!(
                    totals.connections, diagnosis,
                    "every connection is handed over once"
                );
            }
        });
    }

    /// What is concluded of frames of which some are lost, repeated, out of order or damaged, where every connection is followed
    /// and where those that show no trouble are kept in brief.
    #[test]
    fn connections_kept_in_brief_come_to_the_same() {
        over_all(|path, bytes| {
            let frames = frames(bytes);
            let size: usize = frames.iter().map(|frame| frame.data.len()).sum();
            let mut random = Random::of(&path.to_string_lossy());
            for round in 0..(DAMAGES / 30).min(BYTES_EACH / size.max(1)).max(1) {
                let mut order: Vec<usize> = (0..frames.len()).collect();
                // The first round is the capture as it is.
                for _ in 0..round.min(1 + random.below(6)) {
                    let at = random.below(order.len());
                    match random.below(4) {
                        0 if order.len() > 1 => drop(order.remove(at)),
                        1 => order.insert(at, order[at]),
                        2 => {
                            let other = (at + 1 + random.below(3)).min(order.len() - 1);
                            order.swap(at, other);
                        }
                        _ => order.truncate(at + 1),
                    }
                }
                let damaged = random.below(4 * order.len());
                let concluded = [false, true].map(|follows_all| {
                    let options = EngineOptions {
                        follows_all,
                        ..EngineOptions::default()
                    };
                    let mut analysis = Analysis::new(options);
                    let mut decoder = Decoder::new();
                    let mut diagnosis = Vec::new();
                    let mut sink = |found: &Diagnosis| {
                        diagnosis.push(found.clone());
                        Ok(())
                    };
                    for (number, at) in (1..).zip(&order) {
                        let mut data = frames[*at].data.clone();
                        if *at == damaged && round > 0 {
                            let place = damaged % data.len().max(1);
                            data.get_mut(place).into_iter().for_each(|byte| *byte ^= 4);
                        }
                        let frame = Frame {
                            number,
                            time: frames[*at].time,
                            link_type: frames[*at].link_type,
                            interface: 0,
                            original_len: frames[*at].original_len,
                            data: &data,
                        };
                        analysis
                            .observe(&decoder.decode(&frame), &mut sink)
                            .unwrap();
                    }
                    let beyond = analysis.finish(&CaptureSummary::default(), &mut sink);
                    (diagnosis, format!("{:?}", beyond.unwrap()))
                });
                let [brief, followed] = concluded;
                assert!(
                    brief == followed,
                    "{} differs, round {round}",
                    path.display()
                );
            }
        });
    }

    /// The frame as it is, or one with a few of its first hundred bytes changed, or cut.
    fn lie(data: &[u8], random: &mut Random) -> Vec<u8> {
        let mut data = data.to_vec();
        match random.below(6) {
            0 => {
                for _ in 0..=random.below(4) {
                    let at = random.below(data.len().min(100));
                    if let Some(byte) = data.get_mut(at) {
                        *byte = random.byte();
                    }
                }
            }
            1 if random.below(4) == 0 => data.truncate(random.below(data.len())),
            _ => {}
        }
        data
    }

    #[test]
    fn the_same_capture_gives_the_same_bytes() {
        over_all(|path, bytes| {
            for number in 0..3 {
                let (mut first, mut second) = (Vec::new(), Vec::new());
                assert!(
                    analysed(bytes, number, &mut first).is_some(),
                    "{}",
                    path.display()
                );
                // Checked counts nothing without words.
                analysed_by(bytes, reporter(number, &mut second).as_mut());
                assert!(!first.is_empty());
                assert!(first == second, "{} differs from itself", path.display());
            }
        });
    }
}
