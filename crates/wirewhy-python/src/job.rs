//! Some files analysed, one recording after the other.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow_array::RecordBatch;
use pyo3::exceptions::{PyFileNotFoundError, PyOSError, PyPermissionError, PyValueError};
use pyo3::prelude::*;
use wirewhy::engine::{self, EngineOptions, Selection, ThreadPool};
use wirewhy_capture::{FileSequence, Filters, OpenError, OpenErrorKind, Opener, Recording};
use wirewhy_detect::{Diagnosis, Severity, TrustStore};
use wirewhy_protocol::KeyLog;
use wirewhy_report::{
    CaptureSummary, Digester, Digests, Names, Ndjson, Reporter, Rows, Sorter, Table, View,
};
use wirewhy_survey::{GroupFinding, Totals};

use crate::columns;
use crate::source::Source;

/// A batch has so many rows at most, or so many bytes of the JSON they come from.
const ROWS: usize = 1 << 13;
const BYTES: usize = 8 << 20;

/// What the analysis is to do, as the command has it.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Options {
    all: bool,
    min_severity: Option<String>,
    only: Vec<String>,
    ignore: Vec<String>,
    filter: Option<String>,
    keylog: Option<Vec<u8>>,
    roots: Option<Vec<u8>>,
    max_bytes: Option<u64>,
}

impl Options {
    /// What is shown.
    pub(crate) fn view(&self) -> View {
        let severity = match self.min_severity.as_deref() {
            Some("error") => Some(Severity::Error),
            Some("warning") => Some(Severity::Warning),
            Some("note") => Some(Severity::Note),
            _ => None,
        };
        View {
            all: self.all,
            min_severity: severity,
            selection: Selection {
                only: self.only.clone(),
                ignore: self.ignore.clone(),
                ..Selection::default()
            },
            ..View::default()
        }
    }

    fn engine(&self) -> PyResult<EngineOptions> {
        let mut options = EngineOptions {
            max_bytes: self.max_bytes,
            ..EngineOptions::default()
        };
        if let Some(secrets) = &self.keylog {
            let mut keys = KeyLog::new();
            keys.add(secrets);
            options.keys = keys;
        }
        if let Some(roots) = &self.roots {
            let (store, unusable) = TrustStore::from_pem(roots);
            if store.is_empty() {
                let why = unusable
                    .first()
                    .map_or_else(|| "no certificate in PEM".to_owned(), ToString::to_string);
                return Err(PyValueError::new_err(format!("roots: {why}")));
            }
            options.trust = store;
        }
        Ok(options)
    }
}

/// What a file is that cannot be read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strictness {
    /// An exception.
    Raise,
    /// A row of the table of captures.
    Row,
}

/// The work on some files.
pub(crate) struct Job {
    source: Source,
    sequences: std::vec::IntoIter<FileSequence>,
    /// Opened already.
    first: Option<Recording>,
    options: EngineOptions,
    view: View,
    filters: Option<Filters>,
    /// Set where nothing wants the results any more: reading ends then.
    pub(crate) stop: Arc<AtomicBool>,
}

/// Takes batches as they are full.
pub(crate) type Emit<'a> = &'a mut (dyn FnMut(Table, RecordBatch) -> io::Result<()> + Send);

impl Job {
    /// The work, not begun. Where that is wanted, the first file is opened, and an error is raised where it cannot be read.
    pub(crate) fn new(source: Source, options: Options, strictness: Strictness) -> PyResult<Job> {
        let filters = options.filter.as_deref().map(Filters::new).transpose();
        let filters = filters.map_err(|error| PyValueError::new_err(error.to_string()))?;
        let mut job = Job {
            sequences: source.sequences().into_iter(),
            source,
            first: None,
            options: options.engine()?,
            view: options.view(),
            filters,
            stop: Arc::default(),
        };
        if strictness == Strictness::Raise
            && let Some(sequence) = job.sequences.next()
        {
            let opened = sequence.open_with(job.opener());
            job.first = Some(opened.map_err(|errors| raised(errors.into_iter().next()))?);
        }
        Ok(job)
    }

    fn opener(&self) -> Opener {
        self.source.opener(&self.stop)
    }

    /// Analyses all of them. Returns their digests.
    pub(crate) fn run(&mut self, tables: &[Table], emit: Emit<'_>) -> io::Result<Digests> {
        let mut digests = Digests::default();
        let mut batches = Batches {
            rows: tables.iter().copied().map(Rows::new).collect(),
            sorter: Sorter::default(),
            begun: Vec::new(),
            emit,
        };
        let mut left = None;
        while !self.stop.load(Ordering::Relaxed) {
            let recording = match self.first.take() {
                Some(recording) => recording,
                None => {
                    let Some(sequence) = left.take().or_else(|| self.sequences.next()) else {
                        break;
                    };
                    match sequence.open_with(self.opener()) {
                        Ok(recording) => recording,
                        Err(errors) => {
                            for error in errors {
                                batches.unreadable(&error, &mut digests)?;
                            }
                            continue;
                        }
                    }
                }
            };
            left = self.recording(recording, &mut batches, &mut digests)?;
        }
        batches.end()?;
        Ok(digests)
    }

    /// Analyses one recording. Returns the files of it that turned out not to continue the others.
    fn recording(
        &self,
        mut recording: Recording,
        batches: &mut Batches<'_>,
        digests: &mut Digests,
    ) -> io::Result<Option<FileSequence>> {
        let source = engine::summarize(&recording).source;
        let mut filters = self.filters.clone();
        let mut digester = Digester::default();
        let has_connections = batches.has(Table::Connections);
        let records = if batches.rows.is_empty() {
            None
        } else {
            let records = Ndjson::new(batches, self.view.clone(), Names::default());
            Some(Records {
                records: records.naming(source.clone()),
                has_connections,
            })
        };
        let mut both = (&mut digester, records);
        let (options, view) = (&self.options, &self.view);
        let pool = ThreadPool::default();
        engine::analyze(
            &mut recording,
            filters.as_mut(),
            options,
            view,
            &pool,
            &mut both,
        )?;
        digests.add(&source, digester.into_digest());
        Ok(recording.into_rest())
    }
}

/// The exception for what cannot be read.
fn raised(error: Option<OpenError>) -> PyErr {
    let Some(error) = error else {
        return PyValueError::new_err("no file");
    };
    let message = format!("{}: {}", error.source, error.kind);
    match error.kind {
        OpenErrorKind::NotFound => PyFileNotFoundError::new_err(message),
        OpenErrorKind::PermissionDenied => PyPermissionError::new_err(message),
        OpenErrorKind::Io(_) => PyOSError::new_err(message),
        _ => PyValueError::new_err(message),
    }
}

/// Records, without those of connections where no table of them is wanted.
struct Records<W> {
    records: Ndjson<W>,
    has_connections: bool,
}

impl<W: Write + Send> Reporter for Records<W> {
    fn connection(&mut self, diagnosis: &Diagnosis) -> io::Result<()> {
        if self.has_connections {
            self.records.connection(diagnosis)?;
        }
        Ok(())
    }

    fn finish(
        &mut self,
        capture: &CaptureSummary,
        totals: &Totals,
        group: &[GroupFinding],
    ) -> io::Result<()> {
        self.records.finish(capture, totals, group)
    }
}

/// Records to batches.
struct Batches<'a> {
    rows: Vec<Rows>,
    sorter: Sorter,
    /// The beginning of a record whose rest has not come yet.
    begun: Vec<u8>,
    emit: Emit<'a>,
}

impl Batches<'_> {
    fn has(&self, table: Table) -> bool {
        self.rows.iter().any(|rows| rows.table() == table)
    }

    fn record(&mut self, record: &[u8]) -> io::Result<()> {
        let rows = &mut self.rows;
        self.sorter.record(record, |table| {
            rows.iter_mut().find(|rows| rows.table() == table)
        })?;
        self.emit_where(|rows| rows.are_beyond(ROWS, BYTES))
    }

    /// As the command has it: what is no capture is skipped, and what should be readable and is not is a row.
    fn unreadable(&mut self, error: &OpenError, digests: &mut Digests) -> io::Result<()> {
        match &error.kind {
            OpenErrorKind::NotACapture { .. }
            | OpenErrorKind::Directory
            | OpenErrorKind::Empty { compression: None } => digests.add_skipped(&error.source),
            kind => {
                digests.add_unreadable(&error.source);
                let problem = kind.to_string();
                let rows = &mut self.rows;
                if let Some(rows) = rows.iter_mut().find(|rows| rows.table() == Table::Captures) {
                    rows.unreadable(&error.source, &problem);
                }
            }
        }
        self.emit_where(|rows| rows.are_beyond(ROWS, BYTES))
    }

    fn end(&mut self) -> io::Result<()> {
        self.emit_where(|rows| !rows.is_empty())
    }

    fn emit_where(&mut self, is_due: impl Fn(&Rows) -> bool) -> io::Result<()> {
        for rows in self.rows.iter_mut().filter(|rows| is_due(rows)) {
            let batch = columns::batch(rows).map_err(io::Error::other)?;
            rows.clear();
            (self.emit)(rows.table(), batch)?;
        }
        Ok(())
    }
}

impl Write for Batches<'_> {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        let mut rest = piece;
        while let Some(at) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, behind) = rest.split_at(at + 1);
            if self.begun.is_empty() {
                self.record(line)?;
            } else {
                self.begun.extend_from_slice(line);
                let record = std::mem::take(&mut self.begun);
                self.record(&record)?;
            }
            rest = behind;
        }
        self.begun.extend_from_slice(rest);
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
