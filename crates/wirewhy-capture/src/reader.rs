//! Opening a capture and reading it frame by frame.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use wirewhy_packet::{Frame, LinkType, Timestamp};

use crate::compression::TrailingGarbage;
use crate::pcap_file::PcapFile;
use crate::pcapng::PcapNg;
use crate::window::Window;
use crate::{
    CaptureInfo, Compression, LooksLike, Oddities, OpenError, OpenErrorKind, Problem, ProblemKind,
};

/// Opens a capture file, or anything else with a path that can be read from start to end.
///
/// # Errors
///
/// Where nothing can be read: the file is not there, not readable, or not a capture.
pub fn open(path: &Path) -> Result<Reader, OpenError> {
    let name = path.display().to_string();
    let fail = |error: io::Error| OpenError {
        source: name.clone(),
        kind: open_error(error),
    };
    let file = File::open(path).map_err(fail)?;
    if file.metadata().map_err(fail)?.is_dir() {
        return Err(OpenError {
            source: name,
            kind: OpenErrorKind::Directory,
        });
    }
    Reader::new(Box::new(file), name)
}

/// Reads a capture from standard input.
///
/// # Errors
///
/// Where what arrives there is not a capture.
pub fn from_stdin() -> Result<Reader, OpenError> {
    Reader::new(Box::new(io::stdin()), "-".to_owned())
}

/// A capture being read.
pub struct Reader {
    window: Window,
    format: FormatReader,
    ledger: Ledger,
    /// Number of the last frame counted, delivered or not.
    number: u64,
    /// Given to frames that have no time of their own.
    last_time: Timestamp,
    problem: Option<Problem>,
    ended: bool,
}

enum FormatReader {
    Pcap(PcapFile),
    PcapNg(Box<PcapNg>),
}

/// What is learned beside the frames.
pub(crate) struct Ledger {
    pub(crate) info: CaptureInfo,
    pub(crate) oddities: Oddities,
}

/// What the next piece of a capture turned out to be.
pub(crate) enum Step {
    /// A frame.
    Frame(Record),
    /// A record that Wireshark counts as a frame, and that has no packet for us.
    Uncounted,
    /// Nothing more.
    End,
    /// Nothing more that could be read.
    Fail(Failure),
}

/// Why reading ends early.
pub(crate) struct Failure {
    pub(crate) kind: ProblemKind,
    pub(crate) offset: u64,
}

/// A frame whose bytes lie in the window.
pub(crate) struct Record {
    /// Where in the window, until it is next filled.
    pub(crate) place: std::ops::Range<usize>,
    /// `None` where the record has no time.
    pub(crate) time: Option<Timestamp>,
    pub(crate) link_type: LinkType,
    pub(crate) interface: u32,
    pub(crate) original_len: u32,
}

impl Reader {
    /// Reads a capture from any stream of bytes; `source_name` is what messages call it.
    ///
    /// # Errors
    ///
    /// Where the stream is not a capture.
    pub fn new(source: Box<dyn Read + Send>, source_name: String) -> Result<Reader, OpenError> {
        match Reader::recognise(source, &source_name) {
            Ok(reader) => Ok(reader),
            Err(kind) => Err(OpenError {
                source: source_name,
                kind,
            }),
        }
    }

    fn recognise(
        mut source: Box<dyn Read + Send>,
        source_name: &str,
    ) -> Result<Reader, OpenErrorKind> {
        let mut head = Vec::with_capacity(Compression::MAGIC_LEN);
        source
            .by_ref()
            .take(Compression::MAGIC_LEN as u64)
            .read_to_end(&mut head)
            .map_err(open_error)?;
        let compression = Compression::recognise(&head);
        let whole: Box<dyn Read + Send> = Box::new(io::Cursor::new(head).chain(source));
        let mut window = Window::new(match compression {
            None => whole,
            Some(compression) => {
                compression
                    .decompress(whole)
                    .map_err(|error| OpenErrorKind::Damaged {
                        compression,
                        message: error.to_string(),
                    })?
            }
        });

        // A failure here is found again by whoever needs the bytes.
        window.fill(4);
        let (format, info) = match FormatReader::recognise(&mut window) {
            Some(recognised) => recognised?,
            None => return Err(not_a_capture(&mut window, compression)),
        };
        let mut ledger = Ledger {
            info: CaptureInfo {
                source: source_name.to_owned(),
                compression,
                ..info
            },
            oddities: Oddities::default(),
        };
        if let FormatReader::Pcap(file) = &format {
            file.note_oddities(&mut ledger);
        }
        Ok(Reader {
            window,
            format,
            ledger,
            number: 0,
            last_time: Timestamp::default(),
            problem: None,
            ended: false,
        })
    }

    /// The next frame; `None` at the end, clean or not: see [`problem`](Reader::problem).
    ///
    /// The frame borrows the reader's buffer.
    #[expect(
        clippy::should_implement_trait,
        reason = "an Iterator cannot lend from itself"
    )]
    #[inline]
    pub fn next(&mut self) -> Option<Frame<'_>> {
        if self.ended {
            return None;
        }
        let record = loop {
            let step = match &mut self.format {
                FormatReader::Pcap(file) => file.next(&mut self.window),
                FormatReader::PcapNg(file) => {
                    file.next(&mut self.window, &mut self.ledger, self.number)
                }
            };
            match step {
                Step::Frame(record) => break record,
                Step::Uncounted => self.number = self.number.saturating_add(1),
                Step::End => return self.end(None),
                Step::Fail(failure) => return self.end(Some(failure)),
            }
        };
        self.number = self.number.saturating_add(1);
        let time = self.ledger.count(&record).unwrap_or(self.last_time);
        self.last_time = time;
        Some(Frame {
            number: self.number,
            time,
            link_type: record.link_type,
            interface: record.interface,
            original_len: record.original_len,
            data: self.window.lend(record.place),
        })
    }

    /// What is known of the capture so far.
    #[must_use]
    pub fn info(&self) -> &CaptureInfo {
        &self.ledger.info
    }

    /// Why reading ended before the end of the file, once it has.
    #[must_use]
    pub fn problem(&self) -> Option<&Problem> {
        self.problem.as_ref()
    }

    /// What was wrong so far without ending the reading.
    #[must_use]
    pub fn oddities(&self) -> &Oddities {
        &self.ledger.oddities
    }

    /// How many bytes of the decompressed stream have been read, frame headers included.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.window.offset()
    }

    #[cold]
    fn end<T>(&mut self, failure: Option<Failure>) -> Option<T> {
        self.ended = true;
        let offset = self.window.offset();
        let at = |kind, offset| Problem {
            kind,
            offset,
            frames_before: self.number,
        };
        // A failure of the stream below explains why the capture seems cut short.
        match (self.window.take_failure(), failure) {
            (Some(error), cut) => {
                let offset = cut.as_ref().map_or(offset, |cut| cut.offset);
                let garbage = error
                    .get_ref()
                    .is_some_and(|cause| cause.is::<TrailingGarbage>());
                let problem = at(stream_failure(&error, self.ledger.info.compression), offset);
                match cut {
                    None if garbage => self.ledger.oddities.add(problem),
                    Some(cut) if garbage => {
                        self.ledger.oddities.add(problem);
                        self.problem = Some(at(cut.kind, cut.offset));
                    }
                    _ => self.problem = Some(problem),
                }
            }
            (None, Some(failure)) => self.problem = Some(at(failure.kind, failure.offset)),
            (None, None) => {}
        }
        None
    }
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader")
            .field("info", &self.ledger.info)
            .field("number", &self.number)
            .field("problem", &self.problem)
            .finish_non_exhaustive()
    }
}

impl FormatReader {
    fn recognise(
        window: &mut Window,
    ) -> Option<Result<(FormatReader, CaptureInfo), OpenErrorKind>> {
        if let Some(file) = PcapFile::recognise(window) {
            Some(file.map(|file| {
                let info = file.info();
                (FormatReader::Pcap(file), info)
            }))
        } else {
            let file = PcapNg::recognise(window)?;
            Some(file.map(|file| {
                let info = file.info();
                (FormatReader::PcapNg(Box::new(file)), info)
            }))
        }
    }
}

impl Ledger {
    pub(crate) fn note(&mut self, kind: ProblemKind, offset: u64, frames_before: u64) {
        self.oddities.add(Problem {
            kind,
            offset,
            frames_before,
        });
    }

    /// Notes a link type that no decoder here reads.
    pub(crate) fn check_link_type(&mut self, link_type: LinkType, interface: u32, offset: u64) {
        if link_type.name().is_none() {
            let kind = ProblemKind::UnknownLinkType {
                link_type,
                interface,
            };
            self.note(kind, offset, self.info.packets);
        }
    }

    /// Counts a frame, and gives its time back.
    #[inline]
    fn count(&mut self, record: &Record) -> Option<Timestamp> {
        let info = &mut self.info;
        info.packets = info.packets.saturating_add(1);
        info.bytes = info.bytes.saturating_add(record.place.len() as u64);
        info.wire_bytes = info
            .wire_bytes
            .saturating_add(u64::from(record.original_len));
        if let Some(time) = record.time {
            if info.first_time.is_none_or(|first| time < first) {
                info.first_time = Some(time);
            }
            if info.last_time.is_none_or(|last| time > last) {
                info.last_time = Some(time);
            }
        }
        record.time
    }
}

/// Says what something is that is no capture.
fn not_a_capture(window: &mut Window, compression: Option<Compression>) -> OpenErrorKind {
    // Only what is there: a pipe that says no more must not keep the user waiting for the message.
    let head = window.available();
    if let (true, Some(error)) = (head.len() < 4, window.take_failure()) {
        return match (stream_failure(&error, compression), compression) {
            (ProblemKind::Io { .. }, _) | (_, None) => open_error(error),
            (kind, Some(compression)) => OpenErrorKind::Damaged {
                compression,
                message: match kind {
                    ProblemKind::Damaged { message, .. } => message,
                    _ => "cut short".to_owned(),
                },
            },
        };
    }
    let head = window.available();
    if head.is_empty() {
        return OpenErrorKind::Empty { compression };
    }
    OpenErrorKind::NotACapture {
        looks_like: LooksLike::judge(head),
        compression,
    }
}

fn open_error(error: io::Error) -> OpenErrorKind {
    match error.kind() {
        ErrorKind::NotFound => OpenErrorKind::NotFound,
        ErrorKind::PermissionDenied => OpenErrorKind::PermissionDenied,
        ErrorKind::IsADirectory => OpenErrorKind::Directory,
        _ => OpenErrorKind::Io(error),
    }
}

/// Sorts a failure of the stream: the system's, or the compressed data's.
fn stream_failure(error: &io::Error, compression: Option<Compression>) -> ProblemKind {
    match compression {
        Some(compression) if error.raw_os_error().is_none() => {
            if error
                .get_ref()
                .is_some_and(|cause| cause.is::<TrailingGarbage>())
            {
                ProblemKind::TrailingGarbage { compression }
            } else if error.kind() == ErrorKind::UnexpectedEof {
                ProblemKind::CompressedCutShort { compression }
            } else {
                ProblemKind::Damaged {
                    compression,
                    message: error.to_string(),
                }
            }
        }
        _ => ProblemKind::Io {
            message: error.to_string(),
        },
    }
}
