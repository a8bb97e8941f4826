//! A recording: one sequence of frames, in one file or in several that are read one after the other.

use std::collections::VecDeque;
use std::fmt;
use std::path::{Path, PathBuf};

use wirewhy_packet::{Frame, Interval, RecordingGap, Timestamp};

use crate::step::WindowFrame;
use crate::{CaptureInfo, NameRecord, Oddities, OpenError, Reader, Secrets, open};

/// Opens a file of a recording when its turn comes.
pub type Opener = Box<dyn FnMut(&Path) -> Result<Reader, OpenError> + Send>;

/// The frames of one or more files as one sequence.
///
/// Frame numbers count over the recording. One file is open at a time. A file that is missing, unreadable or cut short is a
/// [`RecordingGap`]: the frames after it are delivered, and [`files`](Recording::files) describes what is wrong with it.
pub struct Recording {
    reader: Reader,
    /// Frames counted in the files before this one.
    before: u64,
    /// Blocks of secrets of this file that were delivered.
    secrets: usize,
    /// Names of this file that were delivered.
    names: usize,
    rest: VecDeque<Part>,
    opener: Opener,
    done: Vec<RecordedFile>,
    /// The latest time of the files before this one.
    latest: Option<Timestamp>,
    /// Set where frames are missing before the next one.
    interrupted: bool,
    gaps: Vec<RecordingGap>,
    reads_ahead: bool,
    /// How many bytes are read of the files from this one on, where there is a limit.
    left: Option<u64>,
    /// The longest time that a file of it spans.
    longest: Interval,
    largest_pause: Option<Interval>,
    /// Whether the next file begins another recording.
    stopped: bool,
    /// Whether `done` has the file of `reader`.
    closed: bool,
    /// Names a further file when all are read, where more may come.
    more: Option<More>,
}

/// Names a file that came later.
pub(crate) type More = Box<dyn FnMut() -> Option<PathBuf> + Send>;

/// One file of a recording, or what is known to be missing.
#[derive(Clone, Debug)]
pub(crate) enum Part {
    /// A file to open.
    File {
        path: PathBuf,
        /// Set where the file continues the one before only if its times do.
        continues: Option<Continues>,
    },
    /// So many files that are not there, by the numbers in the names.
    Missing { name: String, files: u64 },
}

/// When a file continues the one before it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Continues {
    /// The time of its first frame.
    pub(crate) first_time: Timestamp,
    /// How far it may begin before the other one ends, though never in its first half.
    pub(crate) overlap: Interval,
    /// How long after that it may begin.
    pub(crate) pause: Interval,
    /// Whether it may also begin later by as much time as the longest file before it spans.
    pub(crate) or_longest: bool,
}

/// What is known of one file of a recording.
#[derive(Clone, Debug)]
pub struct RecordedFile {
    /// Its name.
    pub source: String,
    /// The number its first frame has in the recording, whether or not it has one.
    pub first_frame: u64,
    /// What its header contains, without names and secrets; `None` where it could not be opened or is not there.
    pub info: Option<CaptureInfo>,
    /// Why it could not be read, or not to its end.
    pub problem: Option<String>,
    /// What else was wrong.
    pub oddities: Oddities,
}

/// A frame of a recording.
#[derive(Debug)]
pub struct Item<'a> {
    /// The frame, numbered over the recording.
    pub frame: Frame<'a>,
    /// Secrets that its file gave since the frame before.
    pub secrets: &'a [Secrets],
    /// Set where frames are missing right before this one.
    pub gap: Option<RecordingGap>,
}

impl From<Reader> for Recording {
    fn from(reader: Reader) -> Recording {
        Recording::new(reader, VecDeque::new(), Box::new(open))
    }
}

impl Recording {
    fn new(reader: Reader, rest: VecDeque<Part>, opener: Opener) -> Recording {
        Recording {
            reader,
            before: 0,
            secrets: 0,
            names: 0,
            rest,
            opener,
            done: Vec::new(),
            latest: None,
            interrupted: false,
            gaps: Vec::new(),
            reads_ahead: false,
            left: None,
            longest: Interval::ZERO,
            largest_pause: None,
            stopped: false,
            closed: false,
            more: None,
        }
    }

    /// A recording of these parts; the errors of all files where none can be opened.
    pub(crate) fn of_parts(
        parts: impl IntoIterator<Item = Part>,
        mut opener: Opener,
    ) -> Result<Recording, Vec<OpenError>> {
        let mut rest: VecDeque<Part> = parts.into_iter().collect();
        let mut errors = Vec::new();
        while let Some(part) = rest.pop_front() {
            let Part::File { path, .. } = part else {
                continue;
            };
            match opener(&path) {
                Ok(reader) => {
                    let mut recording = Recording::new(reader, rest, opener);
                    recording.done = errors.into_iter().map(unreadable).collect();
                    return Ok(recording);
                }
                Err(error) => errors.push(error),
            }
        }
        Err(errors)
    }

    /// The same, and behind its last file those that `more` names then.
    pub(crate) fn going_on_with(self, more: More) -> Recording {
        Recording {
            more: Some(more),
            ..self
        }
    }

    /// The next frame; `None` at the end of the last file.
    #[expect(
        clippy::should_implement_trait,
        reason = "an Iterator cannot lend from itself"
    )]
    #[inline]
    pub fn next(&mut self) -> Option<Item<'_>> {
        let record = self.reader.next_ready().or_else(|| self.next_record())?;
        let gap = self.take_gap();
        let mut frame = self.reader.lend(&record);
        frame.number += self.before;
        let secrets = &self.reader.info().secrets;
        let fresh = secrets.get(self.secrets..).unwrap_or_default();
        self.secrets = secrets.len();
        Some(Item {
            frame,
            secrets: fresh,
            gap,
        })
    }

    /// Reads the next frame, in this file or in one behind it.
    #[inline(never)]
    fn next_record(&mut self) -> Option<WindowFrame> {
        loop {
            if let Some(record) = self.reader.next_record() {
                return Some(record);
            }
            if !self.open_next() {
                return None;
            }
        }
    }

    /// What is missing right before the frame just read.
    #[inline]
    fn take_gap(&mut self) -> Option<RecordingGap> {
        if !self.interrupted {
            return None;
        }
        self.interrupted = false;
        let from = self.latest?;
        let gap = RecordingGap {
            from,
            until: self.reader.last_time().max(from),
            frame: self.reader.counted().saturating_add(self.before),
        };
        self.gaps.push(gap);
        Some(gap)
    }

    /// Reads no more than so many bytes of its files together, decompressed. To be called before the first frame is read.
    pub fn limit(&mut self, bytes: u64) {
        self.left = Some(bytes);
        self.reader.limit(bytes);
    }

    /// Goes on to the next file that can be opened. Whether there is one.
    #[cold]
    fn open_next(&mut self) -> bool {
        if self.stopped {
            return false;
        }
        loop {
            let later = |path| Part::File {
                path,
                continues: None,
            };
            let more = self.more.as_mut();
            let Some(part) = self
                .rest
                .pop_front()
                .or_else(|| more.and_then(|more| more()).map(later))
            else {
                return false;
            };
            match part {
                Part::Missing { name, files } => {
                    self.interrupted = true;
                    self.close_current();
                    self.done.push(RecordedFile {
                        source: name,
                        first_frame: self.before.saturating_add(1),
                        info: None,
                        problem: Some(match files {
                            1 => "this file is missing".to_owned(),
                            files => {
                                format!("this file and the {} after it are missing", files - 1)
                            }
                        }),
                        oddities: Oddities::default(),
                    });
                }
                Part::File { path, continues } => {
                    if !continues.is_none_or(|continues| self.goes_on_with(continues)) {
                        let path = path.clone();
                        self.rest.push_front(Part::File {
                            path,
                            continues: None,
                        });
                        self.stopped = true;
                        return false;
                    }
                    match (self.opener)(&path) {
                        Ok(reader) => {
                            self.go_on(reader, continues);
                            return true;
                        }
                        Err(error) => {
                            self.interrupted = true;
                            self.close_current();
                            let file = unreadable(error);
                            self.done.push(RecordedFile {
                                first_frame: self.before.saturating_add(1),
                                ..file
                            });
                        }
                    }
                }
            }
        }
    }

    /// The latest time read so far.
    fn latest(&self) -> Option<Timestamp> {
        let current = self.reader.info().last_time;
        self.latest.into_iter().chain(current).max()
    }

    fn goes_on_with(&self, continues: Continues) -> bool {
        let Some(latest) = self.latest() else {
            return true;
        };
        let pause = continues.first_time.since(latest);
        let last = span(self.reader.info());
        let overlap = continues.overlap.0.min(last.0 / 2);
        let spanned = last.max(self.longest);
        let longest = if continues.or_longest {
            spanned
        } else {
            Interval::ZERO
        };
        pause.0 >= -overlap && pause <= continues.pause.max(longest)
    }

    fn go_on(&mut self, mut reader: Reader, continues: Option<Continues>) {
        if let (Some(latest), Some(continues)) = (self.latest(), continues) {
            let pause = continues.first_time.since(latest);
            self.largest_pause = self.largest_pause.max(Some(pause));
        }
        self.close_current();
        reader.set_last_time(self.reader.last_time());
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(self.reader.read_bytes());
            reader.limit(*left);
        }
        if self.reads_ahead {
            reader.read_ahead();
        }
        self.reader = reader;
        self.closed = false;
        self.secrets = 0;
        self.names = 0;
    }

    /// Notes what is known of the file that ended, once.
    fn close_current(&mut self) {
        if self.closed {
            return;
        }
        self.closed = true;
        self.interrupted |= self.reader.problem().is_some();
        self.latest = self.latest();
        self.longest = self.longest.max(span(self.reader.info()));
        self.done.push(self.current());
        self.before = self.before.saturating_add(self.reader.counted());
    }

    fn current(&self) -> RecordedFile {
        let info = self.reader.info();
        RecordedFile {
            source: info.source.clone(),
            first_frame: self.before.saturating_add(1),
            info: Some(info.without_tables()),
            problem: self.reader.problem().map(ToString::to_string),
            oddities: self.reader.oddities().clone(),
        }
    }

    /// Which of [`files`](Recording::files) the frame read last is in.
    #[must_use]
    pub fn file(&self) -> usize {
        self.done.len()
    }

    /// The comments that its file has on the frame read last, as they stand there; a pcap file has none.
    #[must_use]
    pub fn comments(&self) -> Vec<String> {
        self.reader.comments()
    }

    /// The names of addresses that its file gave since the last call.
    pub fn fresh_names(&mut self) -> &[NameRecord] {
        let names = &self.reader.info().names;
        let fresh = names.get(self.names..).unwrap_or_default();
        self.names = names.len();
        fresh
    }

    /// From here on another thread reads, and decompresses, ahead of the analysis: see [`Reader::read_ahead`].
    pub fn read_ahead(&mut self) -> bool {
        self.reads_ahead = self.reader.read_ahead();
        self.reads_ahead
    }

    /// Whether the file being read is compressed.
    #[must_use]
    pub fn is_compressed(&self) -> bool {
        self.reader.info().compression.is_some()
    }

    /// What is known of each file so far, in order.
    #[must_use]
    pub fn files(&self) -> Vec<RecordedFile> {
        let mut files = self.done.clone();
        if !self.closed {
            files.push(self.current());
        }
        files
    }

    /// The parts of its time in which frames are missing, as far as it was read.
    #[must_use]
    pub fn gaps(&self) -> &[RecordingGap] {
        &self.gaps
    }

    /// The longest time between two files, from the latest frame to the next one, where they were recognised as one
    /// recording.
    #[must_use]
    pub fn largest_pause(&self) -> Option<Interval> {
        self.largest_pause
    }

    /// What is left once the recording has ended: files that turned out not to continue it.
    #[must_use]
    pub fn into_rest(self) -> Option<FileSequence> {
        (self.stopped && !self.rest.is_empty()).then(|| FileSequence {
            parts: self.rest.into_iter().collect(),
        })
    }
}

/// The time a file spans.
fn span(info: &CaptureInfo) -> Interval {
    info.first_time
        .zip(info.last_time)
        .map_or(Interval::ZERO, |(first, last)| last.since(first))
}

fn unreadable(error: OpenError) -> RecordedFile {
    RecordedFile {
        source: error.source,
        first_frame: 1,
        info: None,
        problem: Some(error.kind.to_string()),
        oddities: Oddities::default(),
    }
}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recording")
            .field("reader", &self.reader)
            .field("rest", &self.rest)
            .field("gaps", &self.gaps)
            .finish_non_exhaustive()
    }
}

/// Files that are one recording, in order, not yet opened.
#[derive(Clone, Debug)]
pub struct FileSequence {
    pub(crate) parts: Vec<Part>,
}

impl FileSequence {
    /// One file.
    #[must_use]
    pub fn of_one(path: PathBuf) -> FileSequence {
        FileSequence {
            parts: vec![Part::File {
                path,
                continues: None,
            }],
        }
    }

    /// These files, in this order, whatever is in them.
    #[must_use]
    pub fn of(paths: impl IntoIterator<Item = PathBuf>) -> FileSequence {
        let file = |path| Part::File {
            path,
            continues: None,
        };
        FileSequence {
            parts: paths.into_iter().map(file).collect(),
        }
    }

    /// The files there are.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.parts.iter().filter_map(|part| match part {
            Part::File { path, .. } => Some(path.as_path()),
            Part::Missing { .. } => None,
        })
    }

    /// Opens the first file that can be.
    ///
    /// # Errors
    ///
    /// Why each of the files cannot be read, where none can.
    pub fn open(self) -> Result<Recording, Vec<OpenError>> {
        self.open_with(Box::new(open))
    }

    /// Opens the first file that can be, and later the others, with `opener`.
    ///
    /// # Errors
    ///
    /// Why each of the files cannot be read, where none can.
    pub fn open_with(self, opener: Opener) -> Result<Recording, Vec<OpenError>> {
        Recording::of_parts(self.parts, opener)
    }
}
