//! Which files are one recording: `tcpdump -C`, `-G` and `-W`, `dumpcap -b`, `editcap -c` and `-i` write many for one.
//!
//! Three things must agree: the names differ in numbers or times alone, the link types and interfaces are the same, and each
//! file begins after the one before it has ended, and soon after. The names and the first frame of each file are looked at
//! here; when a file ends is known once it was read, so [`Recording`](crate::Recording) checks the times then, and no file
//! is read twice. A name that a person may have given by hand (`test1.pcap`, `test2.pcap`) proves little: such files must
//! follow each other within a second.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use wirewhy_packet::{Interval, LinkType, Timestamp};

use crate::recording::{Continues, FileSequence, Part};
use crate::{OpenError, Reader, open};

/// Whether files are joined to recordings.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Joining {
    /// Where they are recognised as files of one.
    #[default]
    Recognised,
    /// Never: each file is a recording.
    Never,
    /// Always: all of them are one recording, in the order of their first frames.
    Always,
}

/// Puts files together that are one recording. Recordings come in the order of their first mention in `paths`; what is
/// no regular file, standard input (`-`) for one, is a recording of its own.
#[must_use]
pub fn recordings(paths: &[PathBuf], joining: Joining) -> Vec<FileSequence> {
    let open_file = &mut |path: &Path| {
        let is_file = path.metadata().is_ok_and(|data| data.is_file());
        is_file.then(|| open(path).ok()).flatten()
    };
    grouped(paths, joining, is_file_or_absent, open_file)
}

/// The same for files that `open` opens, wherever they are. Each can be opened more than once.
#[must_use]
pub fn recordings_with(
    paths: &[PathBuf],
    joining: Joining,
    open: &mut dyn FnMut(&Path) -> Result<Reader, OpenError>,
) -> Vec<FileSequence> {
    grouped(paths, joining, |_| true, &mut |path| open(path).ok())
}

/// Opens a file to look at its beginning.
type Heads<'a> = &'a mut dyn FnMut(&Path) -> Option<Reader>;

fn grouped(
    paths: &[PathBuf],
    joining: Joining,
    may_be_looked_at: fn(&Path) -> bool,
    open: Heads<'_>,
) -> Vec<FileSequence> {
    match joining {
        Joining::Never => paths.iter().cloned().map(FileSequence::of_one).collect(),
        Joining::Always => vec![in_order(paths, open)],
        Joining::Recognised => recognised(paths, may_be_looked_at, open),
    }
}

/// Where `dumpcap` or `editcap` counted the files, each with a number of its own, their order is known. Clocks may be set
/// back in between.
fn in_order(paths: &[PathBuf], open: Heads<'_>) -> FileSequence {
    let mut counted: Vec<(u128, &PathBuf)> = paths
        .iter()
        .filter_map(|path| Some((Name::of(path)?.counted()?, path)))
        .collect();
    counted.sort();
    let differ = |pair: &[(u128, &PathBuf)]| matches!(pair, [(one, _), (other, _)] if one != other);
    if counted.len() == paths.len() && counted.windows(2).all(differ) {
        return FileSequence::of(counted.into_iter().map(|(_, path)| path.clone()));
    }
    let mut files: Vec<(Option<Timestamp>, &PathBuf)> = Vec::new();
    for path in paths {
        let first = Head::read(path, open).and_then(|head| head.first_time);
        // A file without a time stays behind the one named before it.
        let first = first.or_else(|| files.last().and_then(|(time, _)| *time));
        files.push((first, path));
    }
    files.sort_by_key(|(first, _)| *first);
    FileSequence::of(files.into_iter().map(|(_, path)| path.clone()))
}

fn recognised(
    paths: &[PathBuf],
    may_be_looked_at: fn(&Path) -> bool,
    open: Heads<'_>,
) -> Vec<FileSequence> {
    let mut alike: BTreeMap<(PathBuf, String), Vec<Candidate<'_>>> = BTreeMap::new();
    let mut found: Vec<(usize, FileSequence)> = Vec::new();
    for (place, path) in paths.iter().enumerate() {
        match Name::of(path) {
            Some(name) if may_be_looked_at(path) => {
                let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
                let files = alike.entry((folder, name.pattern.clone())).or_default();
                files.push(Candidate { place, path, name });
            }
            _ => found.push((place, FileSequence::of_one(path.clone()))),
        }
    }
    for files in alike.into_values() {
        found.extend(group(files, open));
    }
    found.sort_by_key(|(place, _)| *place);
    found.into_iter().map(|(_, files)| files).collect()
}

/// A pipe cannot be opened twice.
fn is_file_or_absent(path: &Path) -> bool {
    path.metadata().is_ok_and(|data| data.is_file()) || !path.exists()
}

/// A file whose name is like that of others.
struct Candidate<'a> {
    /// Where it was mentioned.
    place: usize,
    path: &'a PathBuf,
    name: Name,
}

/// A candidate that can be read, and what its first block or header contains.
struct Read<'a> {
    file: Candidate<'a>,
    first_time: Timestamp,
    origin: Origin,
}

/// What the files of one recording have in common.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Origin {
    link_types: Vec<LinkType>,
    interfaces: Vec<Option<String>>,
}

struct Head {
    first_time: Option<Timestamp>,
    origin: Origin,
}

impl Head {
    fn read(path: &Path, open: Heads<'_>) -> Option<Head> {
        let mut reader = open(path)?;
        reader.next();
        let info = reader.info();
        Some(Head {
            first_time: info.first_time,
            origin: Origin {
                link_types: info.link_types.clone(),
                interfaces: info.interfaces.iter().map(|one| one.name.clone()).collect(),
            },
        })
    }
}

/// Sorts files with names alike into recordings, each with the place of its first mention.
fn group(files: Vec<Candidate<'_>>, open: Heads<'_>) -> Vec<(usize, FileSequence)> {
    if let [one] = files.as_slice() {
        return vec![(one.place, FileSequence::of_one(one.path.clone()))];
    }
    let (mut readable, mut others) = (Vec::new(), Vec::new());
    for file in files {
        let head = Head::read(file.path, open);
        match head.and_then(|head| Some((head.first_time?, head.origin))) {
            Some((first_time, origin)) => readable.push(Read {
                file,
                first_time,
                origin,
            }),
            None => others.push(file),
        }
    }
    readable.sort_by(|one, other| {
        let by_name = || one.file.name.numbers().cmp(&other.file.name.numbers());
        one.first_time.cmp(&other.first_time).then_with(by_name)
    });
    let mut sequences: Vec<Building<'_>> = Vec::new();
    for read in readable {
        let continued = sequences.iter_mut().rev().find_map(|building| {
            let last = building.last.as_ref()?;
            if last.origin != read.origin {
                return None;
            }
            let step = last.file.name.followed_by(&read.file.name)?;
            (step.is_counted || last.first_time < read.first_time).then_some((step, building))
        });
        match continued {
            Some((step, building)) => building.push(step, read, &mut others),
            None => sequences.push(Building::begin(read)),
        }
    }
    let mut found: Vec<(usize, FileSequence)> = sequences
        .into_iter()
        .map(|building| {
            (
                building.place,
                FileSequence {
                    parts: building.parts,
                },
            )
        })
        .collect();
    found.extend(
        others
            .into_iter()
            .map(|file| (file.place, FileSequence::of_one(file.path.clone()))),
    );
    found
}

/// A recording that is being put together.
struct Building<'a> {
    place: usize,
    parts: Vec<Part>,
    last: Option<Read<'a>>,
}

impl<'a> Building<'a> {
    fn begin(read: Read<'a>) -> Building<'a> {
        Building {
            place: read.file.place,
            parts: vec![Part::File {
                path: read.file.path.clone(),
                continues: None,
            }],
            last: Some(read),
        }
    }

    /// Adds a file, and before it those of `others` whose numbers lie between: they cannot be read, or have no frame.
    fn push(&mut self, step: Step, read: Read<'a>, others: &mut Vec<Candidate<'a>>) {
        let mut between = Vec::new();
        if let Some(last) = &self.last {
            let is_between = |file: &mut Candidate<'a>| {
                last.file.name.followed_by(&file.name).is_some()
                    && file.name.followed_by(&read.file.name).is_some()
                    && last.file.name.numbers() < file.name.numbers()
                    && file.name.numbers() < read.file.name.numbers()
            };
            between.extend(others.extract_if(.., is_between));
        }
        between.sort_by(|one, other| one.name.numbers().cmp(&other.name.numbers()));
        let mut before = self.last.as_ref().map(|last| last.file.name.clone());
        for file in between {
            self.note_missing(before.as_ref(), &file.name);
            self.place = self.place.min(file.place);
            self.parts.push(Part::File {
                path: file.path.clone(),
                continues: None,
            });
            before = Some(file.name);
        }
        self.note_missing(before.as_ref(), &read.file.name);
        self.place = self.place.min(read.file.place);
        self.parts.push(Part::File {
            path: read.file.path.clone(),
            continues: Some(Continues {
                first_time: read.first_time,
                overlap: step.overlap,
                pause: step.pause,
                or_longest: step.or_longest,
            }),
        });
        self.last = Some(read);
    }

    /// Notes files that are missing between two by the numbers in their names.
    fn note_missing(&mut self, before: Option<&Name>, after: &Name) {
        let step = before.and_then(|before| before.followed_by(after));
        let files = step.map_or(0, |step| step.skipped);
        if files > 0 {
            let name = before.and_then(Name::next).unwrap_or_default();
            self.parts.push(Part::Missing { name, files });
        }
    }
}

/// From one file to the next, by their names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Step {
    /// How many files are missing between them.
    skipped: u64,
    overlap: Interval,
    pause: Interval,
    or_longest: bool,
    is_counted: bool,
}

/// Frames of several queues are written a little out of order.
const OVERLAP: Interval = Interval::from_secs(1);

impl Step {
    /// The numbers alone prove that the files belong together: a new recording begins at 1.
    const COUNTED: Step = Step {
        skipped: 0,
        overlap: OVERLAP,
        pause: Interval::from_secs(24 * 3600),
        or_longest: true,
        is_counted: true,
    };
    /// The next number of `tcpdump -C`: files of an earlier run may be left over.
    const NEXT: Step = Step {
        pause: Interval::from_secs(600),
        is_counted: false,
        ..Step::COUNTED
    };
    /// A name with a time, or a ring that wrapped.
    const LATER: Step = Step {
        pause: Interval::from_secs(60),
        is_counted: false,
        ..Step::COUNTED
    };
    /// A name that a person may have given.
    const BY_HAND: Step = Step {
        skipped: 0,
        overlap: Interval::ZERO,
        pause: Interval::from_secs(1),
        or_longest: false,
        is_counted: false,
    };
}

/// The name of a file: its digits apart from the rest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Name {
    /// The name with `#` for each run of digits, without the ending of a compression and without the number behind the
    /// ending of `tcpdump -C`.
    pattern: String,
    runs: Vec<Run>,
    /// The number behind the ending; `tcpdump -C` gives none to the first file.
    tail: Run,
}

/// Digits of a name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
struct Run {
    value: u128,
    digits: usize,
}

impl Run {
    fn of(text: &str) -> Run {
        Run {
            value: text.parse().unwrap_or(u128::MAX),
            digits: text.len(),
        }
    }
}

impl Name {
    pub(crate) fn of(path: &Path) -> Option<Name> {
        let name = path.file_name()?.to_str()?;
        let name = [".gz", ".zst", ".xz", ".lz4"]
            .iter()
            .find_map(|ending| name.strip_suffix(ending))
            .unwrap_or(name);
        let bare = name.trim_end_matches(|c: char| c.is_ascii_digit());
        let is_tail = match bare.rsplit_once('.') {
            Some((_, ending)) => ending.chars().any(|c| c.is_ascii_alphabetic()),
            None => true,
        };
        let (bare, tail) = match name.get(bare.len()..) {
            Some(digits) if is_tail && !digits.is_empty() => (bare, Run::of(digits)),
            _ if is_tail => (bare, Run::default()),
            _ => (name, Run::default()),
        };
        let (mut pattern, mut runs) = (String::new(), Vec::new());
        let mut rest = bare;
        while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
            let (text, digits) = rest.split_at(at);
            let end = digits
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(digits.len());
            let (run, after) = digits.split_at(end);
            pattern.push_str(text);
            pattern.push('#');
            runs.push(Run::of(run));
            rest = after;
        }
        pattern.push_str(rest);
        Some(Name {
            pattern,
            runs,
            tail,
        })
    }

    fn numbers(&self) -> (&[Run], &Run) {
        (&self.runs, &self.tail)
    }

    /// Whether the name may be that of the file after this one, and what that takes.
    fn followed_by(&self, next: &Name) -> Option<Step> {
        if self.pattern != next.pattern || self.runs.len() != next.runs.len() {
            return None;
        }
        let differing: Vec<usize> = (0..self.runs.len())
            .filter(|at| self.runs.get(*at) != next.runs.get(*at))
            .collect();
        if let Some(counter) = self.counter_of_dumpcap() {
            let (was, is) = (self.runs.get(counter)?, next.runs.get(counter)?);
            return Step::counted(was, is, Step::COUNTED);
        }
        match differing.as_slice() {
            [] => match self.tail.value.cmp(&next.tail.value) {
                std::cmp::Ordering::Less => Step::counted(&self.tail, &next.tail, Step::NEXT),
                std::cmp::Ordering::Greater => Some(Step::LATER),
                std::cmp::Ordering::Equal => None,
            },
            _ if self.has_time() => (self.runs < next.runs).then_some(Step::LATER),
            [at] => {
                let (was, is) = (self.runs.get(*at)?, next.runs.get(*at)?);
                if was.digits == 5 && is.digits == 5 {
                    return Step::counted(was, is, Step::NEXT);
                }
                (was.value.checked_add(1) == Some(is.value)).then_some(Step::BY_HAND)
            }
            _ => None,
        }
    }

    /// `dumpcap -b` and `editcap` write a counter of five digits or more and a time of at least fourteen.
    fn counter_of_dumpcap(&self) -> Option<usize> {
        let is_counter = |pair: &[Run]| matches!(pair, [counter, time] if (5..=7).contains(&counter.digits) && time.digits >= 14);
        self.runs.windows(2).position(is_counter)
    }

    /// Whether the names differ in numbers alone.
    pub(crate) fn is_like(&self, other: &Name) -> bool {
        self.pattern == other.pattern && self.runs.len() == other.runs.len()
    }

    fn counted(&self) -> Option<u128> {
        let at = self.counter_of_dumpcap()?;
        self.runs.get(at).map(|run| run.value)
    }

    /// Whether there is a date or a time since 1970 in it.
    fn has_time(&self) -> bool {
        let is_long = |run: &Run| run.digits >= 8;
        let is_year = |run: &Run| run.digits == 4 && (1970..2200).contains(&run.value);
        let is_short = |run: &Run| run.digits == 2;
        let is_date = |runs: &[Run]| matches!(runs, [year, month, day] if is_year(year) && is_short(month) && is_short(day));
        self.runs.iter().any(is_long) || self.runs.windows(3).any(is_date)
    }

    /// The name of the file that should come next, as far as its number goes.
    fn next(&self) -> Option<String> {
        let counter = self.counter_of_dumpcap();
        let mut name = String::new();
        let mut runs = self.runs.iter().enumerate();
        for part in self.pattern.split_inclusive('#') {
            name.push_str(part.trim_end_matches('#'));
            if !part.ends_with('#') {
                continue;
            }
            let (at, run) = runs.next()?;
            let is_next = match counter {
                Some(counter) => at == counter,
                None => self.runs.len() == 1 && self.tail.digits == 0,
            };
            let width = run.digits;
            if is_next {
                name.push_str(&format!("{:0width$}", run.value.checked_add(1)?));
            } else if counter.is_some() && run.digits >= 14 {
                name.push('*');
            } else {
                name.push_str(&format!("{:0width$}", run.value));
            }
        }
        if self.runs.len() != 1 && counter.is_none() || self.tail.digits > 0 {
            let width = self.tail.digits;
            name.push_str(&format!("{:0width$}", self.tail.value.checked_add(1)?));
        }
        Some(name)
    }
}

impl Step {
    /// A step between two counters, if it leads forward.
    fn counted(was: &Run, is: &Run, step: Step) -> Option<Step> {
        let forward = is.value.checked_sub(was.value)?.checked_sub(1)?;
        Some(Step {
            skipped: u64::try_from(forward).ok()?,
            ..step
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;
    use crate::ByteOrder;
    use crate::testbytes::Bytes;

    /// A pcap with frames at these seconds; nothing at all where there are none.
    fn capture(link: u32, seconds: &[u32]) -> Vec<u8> {
        let mut file = Bytes::new(ByteOrder::Little);
        if seconds.is_empty() {
            return Vec::new();
        }
        file.pcap_header(0xa1b2_c3d4, (2, 4), link);
        for second in seconds {
            file.record((1_500_000_000 + second, 0), (4, 4), 0, b"abcd");
        }
        file.bytes
    }

    /// The names of the files of each recording, once all of them were read.
    fn joined(files: &[(&str, &[u32])]) -> Vec<Vec<String>> {
        let folder = TempDir::new().unwrap();
        let mut paths = Vec::new();
        for (name, seconds) in files {
            let path = folder.path().join(name);
            fs::write(&path, capture(1, seconds)).unwrap();
            paths.push(path);
        }
        read(&recordings(&paths, Joining::Recognised))
    }

    fn read(sequences: &[FileSequence]) -> Vec<Vec<String>> {
        let mut found = Vec::new();
        for sequence in sequences {
            let mut left = Some(sequence.clone());
            while let Some(sequence) = left.take() {
                let Ok(mut recording) = sequence.open() else {
                    found.push(vec!["unreadable".to_owned()]);
                    break;
                };
                while recording.next().is_some() {}
                let names = recording.files().into_iter().map(|file| {
                    let name = Path::new(&file.source).file_name().unwrap();
                    name.to_str().unwrap().to_owned()
                });
                found.push(names.collect());
                left = recording.into_rest();
            }
        }
        found
    }

    #[test]
    fn a_ring_of_tcpdump_is_ordered_by_time_and_not_by_name() {
        let files: &[(&str, &[u32])] = &[
            ("t.pcap", &[10, 19]),
            ("t.pcap1", &[20, 29]),
            ("t.pcap10", &[110, 119]),
            ("t.pcap2", &[30, 100]),
        ];
        let names = ["t.pcap", "t.pcap1", "t.pcap2", "t.pcap3", "t.pcap10"];
        let mut expected: Vec<Vec<String>> = vec![names.map(str::to_owned).to_vec()];
        // Files 3 to 9 are missing, and named by the first of them.
        assert_eq!(joined(files), expected);
        let wrapped: &[(&str, &[u32])] = &[
            ("t.pcap0", &[50, 59]),
            ("t.pcap1", &[60, 69]),
            ("t.pcap2", &[30, 39]),
            ("t.pcap3", &[40, 49]),
        ];
        let names = ["t.pcap2", "t.pcap3", "t.pcap0", "t.pcap1"];
        expected = vec![names.map(str::to_owned).to_vec()];
        assert_eq!(joined(wrapped), expected);
    }

    #[test]
    fn files_of_dumpcap_go_on_after_hours_of_silence_and_a_missing_one_is_known() {
        let files: &[(&str, &[u32])] = &[
            ("r_00001_20260102030405.pcapng", &[10]),
            ("r_00002_20260102060405.pcapng", &[10_810]),
            ("r_00004_20260102060505.pcapng", &[10_870]),
        ];
        let names = joined(files);
        assert_eq!(names.len(), 1);
        assert_eq!(names[0].len(), 4);
        assert_eq!(names[0][2], "r_00003_*.pcapng");
    }

    #[test]
    fn files_named_by_hand_are_joined_only_where_one_goes_on_where_the_other_ended() {
        let two = |first: &[u32], second: &[u32]| {
            joined(&[("a1.pcap", first), ("a2.pcap", second)]).len()
        };
        assert_eq!(two(&[10, 20], &[21, 30]), 1);
        assert_eq!(two(&[10, 20], &[22, 30]), 2);
        assert_eq!(two(&[10, 20], &[15, 30]), 2);
        assert_eq!(joined(&[("a1.pcap", &[1]), ("a3.pcap", &[2])]).len(), 2);
        assert_eq!(joined(&[("a.pcap", &[1]), ("b.pcap", &[2])]).len(), 2);
    }

    #[test]
    fn what_overlaps_or_comes_late_is_a_recording_of_its_own() {
        let two = |first: &[u32], second: &[u32]| {
            let names = ("t-20260102030405.pcap", "t-20260102030505.pcap");
            joined(&[(names.0, first), (names.1, second)]).len()
        };
        assert_eq!(two(&[0, 60], &[60, 120]), 1);
        assert_eq!(two(&[0, 30], &[90, 120]), 1);
        assert_eq!(two(&[0, 30], &[91, 120]), 2);
        assert_eq!(two(&[0, 60], &[58, 120]), 2);
        assert_eq!(two(&[7], &[7]), 2);
    }

    #[test]
    fn other_link_types_are_other_places() {
        let folder = TempDir::new().unwrap();
        let paths: Vec<PathBuf> = ["t.pcap", "t.pcap1"]
            .map(|name| folder.path().join(name))
            .to_vec();
        for (path, link) in paths.iter().zip([1, 101]) {
            fs::write(path, capture(link, &[10])).unwrap();
        }
        assert_eq!(recordings(&paths, Joining::Recognised).len(), 2);
        assert_eq!(recordings(&paths, Joining::Always).len(), 1);
    }

    #[test]
    fn an_empty_file_between_others_is_a_gap_and_alone_is_unreadable() {
        let names = joined(&[("t.pcap", &[1]), ("t.pcap1", &[]), ("t.pcap2", &[9])]);
        assert_eq!(names, [["t.pcap", "t.pcap1", "t.pcap2"]]);
        let names = joined(&[("t.pcap", &[1]), ("t.pcap1", &[])]);
        assert_eq!(names, [vec!["t.pcap"], vec!["unreadable"]]);
    }

    #[test]
    fn joined_or_kept_apart_on_demand() {
        let folder = TempDir::new().unwrap();
        let paths: Vec<PathBuf> = [("x.pcap", 30), ("y.pcap", 10)]
            .map(|(name, second)| {
                let path = folder.path().join(name);
                fs::write(&path, capture(1, &[second])).unwrap();
                path
            })
            .to_vec();
        let always = read(&recordings(&paths, Joining::Always));
        assert_eq!(always, [["y.pcap", "x.pcap"]]);
        assert_eq!(read(&recordings(&paths, Joining::Never)).len(), 2);
    }
}
