//! One file: is it a capture, and what does it say.

use std::fs::File;
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use wirewhy::engine::{self, ThreadPool};
use wirewhy_capture::{FileSequence, OpenError, OpenErrorKind, Opener, Reader, Recording};
use wirewhy_detect::Severity;
use wirewhy_report::{Digest, Digester, Lines, Ndjson, TextStyle, View};

use super::progress::Progress;
use super::spill::{Spill, Spool, Spooled};
use super::state::{Identity, Known};
use super::walk::{Found, message_of};
use crate::cli::ScanFormat;
use crate::setup::{Completeness, Remarks, Setup};

/// What came of one file.
pub(crate) struct Done<'a> {
    /// Its name; of a recording that of its first file.
    pub(crate) path: PathBuf,
    /// The names of all files it was read with, where there are several.
    pub(crate) files: Vec<PathBuf>,
    /// Whether results that belong together follow: they are promised together.
    pub(crate) more: bool,
    /// What it is.
    pub(crate) what: What<'a>,
}

/// What a file is.
pub(crate) enum What<'a> {
    /// A capture.
    Capture(Examined<'a>),
    /// Something that should be readable and is not.
    Unreadable(String),
    /// No capture.
    Other,
    /// Done by an earlier run.
    Known,
    /// The scan was asked to stop before this one was done.
    Abandoned,
    /// The result could not be kept.
    Failed(io::Error),
}

/// What a capture said.
pub(crate) struct Examined<'a> {
    /// The output, and behind it the digest as JSON.
    result: Spooled<'a>,
    /// How much of it is output.
    pub(crate) output_len: u64,
    /// What the file was like when it was opened.
    pub(crate) identity: Identity,
    /// The worst severity found.
    pub(crate) worst: Option<Severity>,
    /// What should be said on standard error.
    pub(crate) remarks: Remarks,
}

impl Examined<'_> {
    /// Hands over the output, and returns the digest.
    pub(crate) fn deliver(
        self,
        output: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<Digest> {
        let mut left = self.output_len;
        let mut digest = Vec::new();
        self.result.drain(&mut |piece| {
            let here = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
            let (out, behind) = piece.split_at(here);
            left -= here as u64;
            digest.extend_from_slice(behind);
            output(out)
        })?;
        Ok(serde_json::from_slice(&digest)?)
    }
}

/// Examines files; shared by all workers.
pub(crate) struct Examiner<'a> {
    pub(crate) setup: &'a Setup,
    pub(crate) view: View,
    pub(crate) format: ScanFormat,
    pub(crate) style: TextStyle,
    pub(crate) lines: Lines,
    /// What the capture on standard input is called in the results.
    pub(crate) stdin_name: &'a str,
    pub(crate) spill: &'a Spill,
    /// Workers that find no captures any more.
    pub(crate) pool: &'a ThreadPool,
    /// What is done already.
    pub(crate) known: &'a Known,
    pub(crate) progress: Arc<Progress>,
    /// Set when the scan is to stop.
    pub(crate) stop: Arc<AtomicBool>,
}

impl<'a> Examiner<'a> {
    /// Looks at what the walk came by.
    pub(crate) fn examine(&self, found: Found) -> Vec<Done<'a>> {
        let (path, what) = match found {
            Found::Recording(sequence) => return self.recording(sequence),
            Found::Other => (PathBuf::new(), What::Other),
            Found::Stdin => {
                let what = self.stdin();
                self.progress.file();
                (PathBuf::from(self.stdin_name), what)
            }
            Found::Unreadable { path, .. } if self.known.has(&path, None) => (path, What::Known),
            Found::Unreadable { path, message } => (path, What::Unreadable(message)),
            Found::File(path) => {
                let what = if self.is_stopped() {
                    What::Abandoned
                } else if self.is_known(&path) {
                    What::Known
                } else {
                    self.file(&path)
                };
                self.progress.file();
                (path, what)
            }
        };
        vec![Done {
            path,
            files: Vec::new(),
            more: false,
            what,
        }]
    }

    /// Looks at files that are one recording, as far as reading them bears that out: those that turn out not to continue
    /// the others are another one.
    fn recording(&self, sequence: FileSequence) -> Vec<Done<'a>> {
        let files: Vec<PathBuf> = sequence.paths().map(Path::to_path_buf).collect();
        let done = |path: &Path, what| Done {
            path: path.to_path_buf(),
            files: files.clone(),
            more: true,
            what,
        };
        let first = files.first().cloned().unwrap_or_default();
        let identity = Identity::of_all(&files);
        let is_known = self.known.has(&first, Some(identity));
        let mut found = Vec::new();
        let mut left = Some(sequence).filter(|_| !is_known);
        while let Some(sequence) = left.take() {
            let path = sequence.paths().next().map(Path::to_path_buf);
            match sequence.open_with(self.opener()) {
                Ok(mut recording) => {
                    let what = self.capture(&mut recording, identity, true);
                    left = recording.into_rest();
                    found.push(done(&path.unwrap_or_default(), what));
                }
                Err(errors) => found.extend(errors.into_iter().map(|error| {
                    let path = PathBuf::from(&error.source);
                    done(&path, refused(error.kind))
                })),
            }
        }
        files.iter().for_each(|_| self.progress.file());
        if self.is_stopped() {
            return vec![done(&first, What::Abandoned)];
        }
        if is_known {
            self.progress.read(identity.size());
            found.push(done(&first, What::Known));
        }
        if let Some(last) = found.last_mut() {
            last.more = false;
        }
        found
    }

    /// Opens the files of a recording, each in its turn.
    fn opener(&self) -> Opener {
        let (progress, stop) = (self.progress.clone(), self.stop.clone());
        Box::new(move |path| {
            let source = path.display().to_string();
            let opened = File::open(path).and_then(|file| Ok((file.metadata()?, file)));
            let (data, file) = opened.map_err(|error| OpenError {
                source: source.clone(),
                kind: match error.kind() {
                    io::ErrorKind::NotFound => OpenErrorKind::NotFound,
                    io::ErrorKind::PermissionDenied => OpenErrorKind::PermissionDenied,
                    _ => OpenErrorKind::Io(error),
                },
            })?;
            let watched = Watched {
                source: Box::new(file),
                left: data.len(),
                progress: progress.clone(),
                stop: stop.clone(),
            };
            Reader::new(Box::new(watched), source)
        })
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn is_known(&self, path: &Path) -> bool {
        if self.known.is_empty() {
            return false;
        }
        let data = std::fs::metadata(path).ok();
        let known = self.known.has(path, data.as_ref().map(Identity::from));
        if known {
            self.progress.read(data.map_or(0, |data| data.len()));
        }
        known
    }

    fn file(&self, path: &Path) -> What<'a> {
        let (data, file) = match File::open(path).and_then(|file| Ok((file.metadata()?, file))) {
            Ok(opened) => opened,
            Err(error) => return What::Unreadable(message_of(&error)),
        };
        let name = path.display().to_string();
        let identity = Identity::from(&data);
        self.stream(Box::new(file), name, identity, data.is_file())
    }

    fn stdin(&self) -> What<'a> {
        if self.is_stopped() {
            return What::Abandoned;
        }
        let name = self.stdin_name.to_owned();
        let identity = Identity::of_all(&[]);
        self.stream(Box::new(io::stdin()), name, identity, false)
    }

    fn stream(
        &self,
        source: Box<dyn Read + Send>,
        name: String,
        identity: Identity,
        is_file: bool,
    ) -> What<'a> {
        let source = Watched {
            source,
            left: identity.size(),
            progress: self.progress.clone(),
            stop: self.stop.clone(),
        };
        let what = match Reader::new(Box::new(source), name) {
            Ok(reader) => self.capture(&mut reader.into(), identity, is_file),
            Err(error) => refused(error.kind),
        };
        // Reading ended early because it was interrupted: what was found is not the whole.
        if self.is_stopped() {
            return What::Abandoned;
        }
        what
    }

    fn capture(&self, recording: &mut Recording, identity: Identity, is_file: bool) -> What<'a> {
        match self.analyzed(recording, identity, is_file) {
            Ok(examined) => What::Capture(examined),
            Err(error) => What::Failed(error),
        }
    }

    fn analyzed(
        &self,
        recording: &mut Recording,
        identity: Identity,
        is_file: bool,
    ) -> io::Result<Examined<'a>> {
        let source = engine::summarize(recording).source;
        let mut filters = self.setup.filters.clone();
        let mut spool = Spool::new(self.spill);
        let mut digester = Digester::default();
        let records = match self.format {
            ScanFormat::Text | ScanFormat::Html => None,
            ScanFormat::Ndjson | ScanFormat::Parquet => Some(
                Ndjson::new(&mut spool, self.view.clone(), self.setup.names.clone())
                    .naming(source.clone()),
            ),
        };
        let mut both = (&mut digester, records);
        let options = &self.setup.options;
        // What comes by a pipe may come slowly.
        let alone = ThreadPool::default();
        let pool = if is_file { self.pool } else { &alone };
        let view = &self.view;
        let analyzed =
            engine::analyze(recording, filters.as_mut(), options, view, pool, &mut both)?;
        let digest = digester.into_digest();
        if self.format == ScanFormat::Text && (self.view.all || digest.has_trouble(&self.view)) {
            digest.write_text(&mut spool, self.style, self.lines, &self.view, &source)?;
        }
        let output_len = spool.len();
        serde_json::to_writer(&mut spool, &digest)?;
        spool.flush()?;
        Ok(Examined {
            result: spool.finish()?,
            output_len,
            identity,
            worst: analyzed.worst,
            remarks: self.setup.remarks(recording, filters.as_ref()),
        })
    }
}

/// What a file is that could not be opened.
fn refused(kind: OpenErrorKind) -> What<'static> {
    match kind {
        OpenErrorKind::NotACapture { .. }
        | OpenErrorKind::Directory
        | OpenErrorKind::Empty { compression: None } => What::Other,
        kind => What::Unreadable(kind.to_string()),
    }
}

/// A file whose reading is seen in the progress bar, and ends when the scan is to stop.
struct Watched {
    source: Box<dyn Read + Send>,
    /// Bytes of it that the bar does not show yet.
    left: u64,
    progress: Arc<Progress>,
    stop: Arc<AtomicBool>,
}

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.stop.load(Ordering::Relaxed) {
            return Ok(0);
        }
        let read = self.source.read(buffer)?;
        let shown = self.left.min(read as u64);
        self.left -= shown;
        self.progress.read(shown);
        Ok(read)
    }
}

impl Drop for Watched {
    /// What was not worth reading is done, too.
    fn drop(&mut self) {
        self.progress.read(self.left);
    }
}

impl Examined<'_> {
    /// Whether the capture could not be read to its end.
    pub(crate) fn is_partial(&self) -> bool {
        self.remarks.completeness == Completeness::Partial
    }
}
