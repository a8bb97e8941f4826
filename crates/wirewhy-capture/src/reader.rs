//! Opening a capture and reading it frame by frame.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use wirewhy_packet::{Frame, Timestamp};

use crate::gzip::TrailingGarbage;
use crate::pcap_file::PcapFile;
use crate::pcapng::PcapNg;
use crate::step::{Failure, ReadStats, Step, WindowFrame};
use crate::until::STOPPED;
use crate::window::{LimitReached, Window};
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
    stats: ReadStats,
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

        // A failure here is found again when the bytes are read.
        window.fill(4);
        let (format, info) = match FormatReader::recognise(&mut window) {
            Some(Ok(recognised)) => recognised,
            Some(Err(kind)) => {
                return Err(match window.take_failure() {
                    Some(error) => stream_error(error, compression),
                    None => kind,
                });
            }
            None => return Err(not_a_capture(&mut window, compression)),
        };
        let mut stats = ReadStats {
            info: CaptureInfo {
                source: source_name.to_owned(),
                compression,
                ..info
            },
            oddities: Oddities::default(),
        };
        if let FormatReader::Pcap(file) = &format {
            file.note_oddities(&mut stats);
        }
        Ok(Reader {
            window,
            format,
            stats,
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
        self.next_with_info().map(|(frame, _)| frame)
    }

    /// The next frame, and what is known of the capture where it stands: everything up to it, and nothing after it.
    #[inline]
    pub fn next_with_info(&mut self) -> Option<(Frame<'_>, &CaptureInfo)> {
        let record = self.next_record()?;
        Some((self.lend(&record), &self.stats.info))
    }

    /// Reads the next frame; [`lend`](Reader::lend) gives it until the next one is read.
    #[inline]
    pub(crate) fn next_record(&mut self) -> Option<WindowFrame> {
        match self.next_ready() {
            Some(record) => Some(record),
            None => self.next_slow(),
        }
    }

    /// The same if the frame has arrived, and nothing but frames before it: those before it can be lent still.
    #[inline]
    pub(crate) fn next_ready(&mut self) -> Option<WindowFrame> {
        if self.ended {
            return None;
        }
        let record = match &mut self.format {
            FormatReader::Pcap(file) => file.next_ready(&mut self.window)?,
            FormatReader::PcapNg(file) if file.is_ready(&self.window) => {
                match file.next(&mut self.window, &mut self.stats, self.number) {
                    Step::Frame(record) => record,
                    other => return self.without_frame(other),
                }
            }
            FormatReader::PcapNg(_) => return None,
        };
        Some(self.count(record))
    }

    #[inline(never)]
    fn next_slow(&mut self) -> Option<WindowFrame> {
        while !self.ended {
            let step = match &mut self.format {
                FormatReader::Pcap(file) => file.next(&mut self.window, &mut self.stats),
                FormatReader::PcapNg(file) => {
                    file.next(&mut self.window, &mut self.stats, self.number)
                }
            };
            match step {
                Step::Frame(record) => return Some(self.count(record)),
                other => self.without_frame::<()>(other),
            };
        }
        None
    }

    /// Counts what Wireshark counts, or ends the reading.
    #[cold]
    fn without_frame<T>(&mut self, step: Step) -> Option<T> {
        match step {
            Step::Frame(_) => {}
            Step::Uncounted => self.number = self.number.saturating_add(1),
            Step::End => self.end(None),
            Step::Fail(failure) => self.end(Some(failure)),
        }
        None
    }

    #[inline]
    fn count(&mut self, record: WindowFrame) -> WindowFrame {
        self.number += 1;
        let time = self.stats.count(&record).unwrap_or(self.last_time);
        self.last_time = time;
        record
    }

    /// The frame read last.
    #[inline]
    pub(crate) fn lend(&self, record: &WindowFrame) -> Frame<'_> {
        Frame {
            number: self.number,
            time: self.last_time,
            link_type: record.link_type,
            interface: record.interface,
            original_len: record.original_len,
            data: self.window.lend(record.place.clone()),
        }
    }

    /// The comments that the file has on the frame read last; a pcap file has none.
    pub fn comments(&self) -> Vec<String> {
        match &self.format {
            FormatReader::Pcap(_) => Vec::new(),
            FormatReader::PcapNg(file) => file
                .comments(&self.window)
                .map(|comment| String::from_utf8_lossy(comment).into_owned())
                .collect(),
        }
    }

    /// Reads no further than to this byte of the stream, decompressed: [`Reader::problem`] says so then. To be called before
    /// the first frame is read.
    pub fn limit(&mut self, bytes: u64) {
        self.window.limit(bytes);
    }

    /// How many bytes of the stream were read, decompressed.
    pub(crate) fn read_bytes(&self) -> u64 {
        self.window.offset()
    }

    /// How many frames were counted, those without a packet included.
    pub(crate) fn counted(&self) -> u64 {
        self.number
    }

    /// The time of the last frame, for the first ones of the next file that have none of their own.
    pub(crate) fn last_time(&self) -> Timestamp {
        self.last_time
    }

    pub(crate) fn set_last_time(&mut self, time: Timestamp) {
        self.last_time = time;
    }

    /// From here on another thread reads, and decompresses, up to a mebibyte ahead of what is asked for. Returns whether
    /// there is such a thread now: the system may have none to spare.
    pub fn read_ahead(&mut self) -> bool {
        self.window.read_ahead()
    }

    /// What is known of the capture so far.
    #[must_use]
    pub fn info(&self) -> &CaptureInfo {
        &self.stats.info
    }

    /// Why reading ended before the end of the file, once it has.
    #[must_use]
    pub fn problem(&self) -> Option<&Problem> {
        self.problem.as_ref()
    }

    /// What was wrong so far without ending the reading.
    #[must_use]
    pub fn oddities(&self) -> &Oddities {
        &self.stats.oddities
    }

    /// How many bytes of the decompressed stream have been read, frame headers included.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.window.offset()
    }

    #[cold]
    fn end(&mut self, failure: Option<Failure>) {
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
                let problem = at(stream_failure(&error, self.stats.info.compression), offset);
                match cut {
                    None if garbage => self.stats.oddities.add(problem),
                    Some(cut) if garbage => {
                        self.stats.oddities.add(problem);
                        self.problem = Some(at(cut.kind, cut.offset));
                    }
                    _ => self.problem = Some(problem),
                }
            }
            (None, Some(failure)) => self.problem = Some(at(failure.kind, failure.offset)),
            (None, None) => {}
        }
    }
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader")
            .field("info", &self.stats.info)
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

/// Says what something is that is no capture.
fn not_a_capture(window: &mut Window, compression: Option<Compression>) -> OpenErrorKind {
    // One read call more, and no waiting for what a slow pipe may still say.
    let there = window.available().len();
    window.fill(there.saturating_add(1));
    let head = window.available();
    if let (true, Some(error)) = (head.len() < 4, window.take_failure()) {
        return stream_error(error, compression);
    }
    let head = window.available();
    if head.is_empty() {
        return OpenErrorKind::Empty { compression };
    }
    OpenErrorKind::NotACapture {
        looks_like: LooksLike::sniff(head),
        compression,
    }
}

/// Why not even a file header came out of the stream.
fn stream_error(error: io::Error, compression: Option<Compression>) -> OpenErrorKind {
    match (stream_failure(&error, compression), compression) {
        (ProblemKind::Io { .. }, _) | (_, None) => open_error(error),
        (ProblemKind::Damaged { message, .. }, Some(compression)) => OpenErrorKind::Damaged {
            compression,
            message,
        },
        (_, Some(compression)) => OpenErrorKind::Damaged {
            compression,
            message: "cut short".to_owned(),
        },
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
    let cause = error.get_ref();
    if let Some(reached) = cause.and_then(|cause| cause.downcast_ref::<LimitReached>()) {
        return ProblemKind::LimitReached {
            bytes: reached.bytes,
        };
    }
    if error.raw_os_error() == Some(STOPPED) {
        return ProblemKind::Interrupted;
    }
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

#[cfg(test)]
mod bombs;

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::mpsc;

    use super::*;
    use crate::testbytes::{Bytes, Pieces, drain, every_kind, read_whole, reader};
    use crate::{ByteOrder, Format};

    fn small_file(frames: u32) -> Vec<u8> {
        let mut file = Bytes::new(ByteOrder::Little);
        file.pcap_header(0xa1b2_c3d4, (2, 4), 1);
        for number in 0..frames {
            file.record((1_500_000_000 + number, 0), (4, 9), 0, b"abcd");
        }
        file.bytes
    }

    fn gzip(content: &[u8]) -> Vec<u8> {
        let level = flate2::Compression::new(6);
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn refused(bytes: &[u8]) -> String {
        reader(bytes).unwrap_err().to_string()
    }

    #[test]
    fn frames_and_what_is_known_of_the_capture() {
        let mut reader = reader(&small_file(3)).unwrap();
        let frames = drain(&mut reader);
        let numbers: Vec<_> = frames.iter().map(|frame| frame.number).collect();
        assert_eq!(numbers, [1, 2, 3]);
        let info = reader.info();
        assert_eq!(info.format, Format::Pcap);
        assert_eq!((info.packets, info.bytes, info.wire_bytes), (3, 12, 27));
        let times = (info.first_time, info.last_time);
        let at = |secs| Some(Timestamp::from_secs_nanos(secs, 0));
        assert_eq!(times, (at(1_500_000_000), at(1_500_000_002)));
        assert_eq!(info.dropped_packets(), None);
        assert_eq!(reader.oddities().count, 0);
    }

    #[test]
    fn compression_is_recognised_by_content() {
        let plain = small_file(5);
        let mut lz4 = lz4_flex::frame::FrameEncoder::new(Vec::new());
        lz4.write_all(&plain).unwrap();
        let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
        xz.write_all(&plain).unwrap();
        for (bytes, compression) in [
            (gzip(&plain), Compression::Gzip),
            (zstd::encode_all(&plain[..], 1).unwrap(), Compression::Zstd),
            (lz4.finish().unwrap(), Compression::Lz4),
            (xz.finish().unwrap(), Compression::Xz),
        ] {
            let mut reader = reader(&bytes).unwrap();
            assert_eq!(reader.info().compression, Some(compression));
            assert_eq!(drain(&mut reader), read_whole(&plain));
            assert_eq!(reader.problem(), None);
        }
    }

    #[test]
    fn what_is_no_capture_is_named() {
        assert_eq!(refused(b""), "test: is empty");
        assert_eq!(
            refused(&gzip(b"")),
            "test: is a gzip stream that holds nothing"
        );
        assert_eq!(
            refused(b"<html><body>"),
            "test: is not a pcap or pcapng capture: it looks like an HTML page"
        );
        assert_eq!(
            refused(&gzip(b"hello world")),
            "test: is not a pcap or pcapng capture: inside the gzip stream is text"
        );
        let mut tar = vec![b'a'; 600];
        tar[257..262].copy_from_slice(b"ustar");
        assert!(refused(&tar).ends_with("looks like a tar archive (unpack it first)"));
        assert!(refused(&gzip(&tar)).ends_with("gzip stream is a tar archive (unpack it first)"));
        let twice = refused(&gzip(&gzip(&small_file(1))));
        assert!(twice.ends_with("inside the gzip stream is a gzip file (unpack it first)"));
        assert_eq!(
            refused(&small_file(1)[..20]),
            "test: begins like a capture, but its header is cut short after 20 bytes"
        );
        let header_only = gzip(&small_file(0));
        for cut in [12, header_only.len() - 10] {
            let message = refused(&header_only[..cut]);
            assert!(
                message.contains("gzip stream is damaged: cut short"),
                "{message}"
            );
        }
        assert!(refused(b"\xa1\xb2").contains("an unknown kind of file (it begins a1 b2"));
    }

    #[test]
    fn a_file_that_cannot_be_opened() {
        let directory = tempfile::tempdir().unwrap();
        let kind = |path: &Path| open(path).unwrap_err().kind;
        assert!(matches!(kind(directory.path()), OpenErrorKind::Directory));
        let missing = directory.path().join("missing.pcap");
        assert!(matches!(kind(&missing), OpenErrorKind::NotFound));
        let message = open(&missing).unwrap_err().to_string();
        assert!(message.ends_with("missing.pcap: no such file"));
    }

    #[test]
    fn a_file_is_opened_by_path() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&small_file(2)).unwrap();
        let mut reader = open(file.path()).unwrap();
        assert_eq!(drain(&mut reader).len(), 2);
        assert_eq!(reader.info().source, file.path().display().to_string());
    }

    #[test]
    fn one_byte_at_a_time_gives_the_same_frames() {
        for (name, file) in every_kind() {
            let pieces = file.chunks(1).map(<[u8]>::to_vec).collect();
            let mut reader = Reader::new(Box::new(Pieces(pieces)), String::new()).unwrap();
            assert_eq!(drain(&mut reader), read_whole(&file), "{name}");
        }
    }

    /// A pipe whose writer is the test.
    struct Pipe(mpsc::Receiver<Vec<u8>>, Vec<u8>);

    impl Read for Pipe {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            if self.1.is_empty() {
                // The test holds the other end; asking when nothing was sent would wait for ever.
                self.1 = self.0.try_recv().expect("no read before more was sent");
            }
            let count = self.1.len().min(out.len());
            out[..count].copy_from_slice(&self.1[..count]);
            self.1.drain(..count);
            Ok(count)
        }
    }

    #[test]
    fn a_frame_is_lent_as_soon_as_its_last_byte_has_arrived() {
        let mut pcapng = Bytes::new(ByteOrder::Little);
        pcapng.section().interface(1, 0, &[]);
        let head = pcapng.bytes.len();
        pcapng.enhanced(0, 5, b"abcd").enhanced(0, 6, b"efgh");
        let length = (pcapng.bytes.len() - head) / 2;
        for (file, head, length, packets) in [
            (small_file(2), 24, 20, [b"abcd", b"abcd"]),
            (pcapng.bytes, head, length, [b"abcd", b"efgh"]),
        ] {
            let (writer, pipe) = mpsc::channel();
            writer.send(file[..head].to_vec()).unwrap();
            let mut reader = Reader::new(Box::new(Pipe(pipe, Vec::new())), String::new()).unwrap();
            for (number, packet) in packets.iter().enumerate() {
                let at = head + number * length;
                writer.send(file[at..at + length].to_vec()).unwrap();
                assert_eq!(reader.next().unwrap().data, packet.as_slice());
            }
        }
    }

    #[test]
    fn a_damaged_stream_gives_its_frames_and_then_the_reason() {
        let plain = small_file(5000);
        let whole = gzip(&plain);
        let mut cut = reader(&whole[..whole.len() / 2]).unwrap();
        let frames = drain(&mut cut);
        assert!(frames.len() > 1000);
        let problem = cut.problem().unwrap();
        let compression = Compression::Gzip;
        assert_eq!(
            problem.kind,
            ProblemKind::CompressedCutShort { compression }
        );
        assert_eq!(problem.offset, 24 + 20 * problem.frames_before);

        let mut garbage = whole.clone();
        garbage.extend_from_slice(b"garbage");
        let mut tolerated = reader(&garbage).unwrap();
        assert_eq!(drain(&mut tolerated).len(), 5000);
        assert_eq!(tolerated.problem(), None);
        let oddity = &tolerated.oddities().listed[0];
        assert_eq!(oddity.kind, ProblemKind::TrailingGarbage { compression });

        let mut damaged = whole;
        let at = damaged.len() - 8;
        damaged[at] ^= 0xff;
        let mut stated = reader(&damaged).unwrap();
        assert_eq!(drain(&mut stated).len(), 5000);
        let shown = stated.problem().unwrap().to_string();
        assert!(shown.starts_with("damaged gzip stream: "), "{shown}");
    }

    #[test]
    fn a_failing_stream_is_told_from_a_short_one() {
        struct Failing(io::Cursor<Vec<u8>>);
        impl Read for Failing {
            fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
                match self.0.read(out)? {
                    0 => Err(io::Error::from_raw_os_error(5)),
                    count => Ok(count),
                }
            }
        }
        let source = Failing(io::Cursor::new(small_file(3)));
        let mut reader = Reader::new(Box::new(source), String::new()).unwrap();
        assert_eq!(drain(&mut reader).len(), 3);
        assert!(matches!(
            reader.problem().unwrap().kind,
            ProblemKind::Io { .. }
        ));
        assert!(reader.next().is_none());
    }
}
