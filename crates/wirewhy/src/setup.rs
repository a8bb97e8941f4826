//! What every command that reads captures needs first: the configuration, the filter, the capture itself.

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::thread;

use wirewhy::engine::{EngineOptions, Selection, glob_matches};
use wirewhy_capture::{
    FileSequence, Filters, Joining, OpenError, OpenErrorKind, RecordedFile, Recording, recordings,
};
use wirewhy_detect::Severity;
use wirewhy_detect::wording::span;
use wirewhy_flow::Bounds;
use wirewhy_packet::Interval;
use wirewhy_protocol::KeyLog;
use wirewhy_report::{Names, View};
use wirewhy_survey::records;

use crate::cli::{CommonArgs, SelectArgs, SeverityArg, TlsArgs};
use crate::config::Config;
use crate::exit::Failure;
use crate::keylog;
use crate::output::warn;
use crate::roots::Roots;
use crate::spelling::hint;

/// Arguments and configuration, checked and put together.
pub(crate) struct Setup {
    /// What the engine is to do.
    pub(crate) options: EngineOptions,
    /// Which findings are shown.
    selection: Selection,
    verbose: bool,
    /// Where the roots come from.
    pub(crate) roots: Roots,
    /// Names for addresses.
    pub(crate) names: Names,
    /// Which frames are looked at; to be cloned for each capture.
    pub(crate) filters: Option<Filters>,
    /// The files that were read: configuration, secrets, roots.
    reads: Vec<PathBuf>,
    verbosity: Verbosity,
}

/// How much is said on standard error.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verbosity {
    Errors,
    Warnings,
    Oddities,
}

impl Setup {
    pub(crate) fn new(
        common: &CommonArgs,
        select: &SelectArgs,
        tls: &TlsArgs,
    ) -> Result<Setup, Failure> {
        let verbosity = match (common.quiet, common.verbose) {
            (true, _) => Verbosity::Errors,
            (false, false) => Verbosity::Warnings,
            (false, true) => Verbosity::Oddities,
        };
        let (config, unreadable) = Config::load(common.config.as_deref())?;
        if let Some(problem) = unreadable.filter(|_| verbosity != Verbosity::Errors) {
            warn(&problem);
        }
        for glob in select
            .only
            .iter()
            .chain(&select.ignore)
            .chain(&config.ignore)
        {
            check_glob(glob)?;
        }
        let filters = match &common.filter {
            Some(expression) => Some(Filters::new(expression).map_err(Failure::new)?),
            None => None,
        };
        let mut keys = KeyLog::new();
        for path in &tls.keylog {
            let warning = keylog::read(path, &mut keys)?;
            if let Some(warning) = warning.filter(|_| verbosity != Verbosity::Errors) {
                warn(&warning);
            }
        }
        let selection = Selection {
            only: select.only.clone(),
            ignore: select.ignore.clone(),
            ignore_by_config: config.ignore,
        };
        let roots = tls.roots.clone().unwrap_or(config.roots);
        let (trust, unusable) = roots.load()?;
        let mut reads = tls.keylog.clone();
        reads.extend(Config::path(common.config.as_deref()));
        if let Roots::File(path) = &roots {
            reads.push(path.clone());
        }
        if verbosity != Verbosity::Errors {
            unusable.iter().for_each(|root| warn(root));
        }
        Ok(Setup {
            options: EngineOptions {
                bounds: Bounds {
                    max_memory: usize::try_from(common.max_memory.0).unwrap_or(usize::MAX),
                    ..Bounds::default()
                },
                limits: config.limits,
                trust,
                keys,
                ..EngineOptions::default()
            },
            selection,
            verbose: common.verbose,
            roots,
            names: config.names.into_iter().collect(),
            filters,
            reads,
            verbosity,
        })
    }

    /// Every file that is read where `inputs` are: none of them may be written to.
    pub(crate) fn reads(&self, inputs: &[PathBuf]) -> Vec<PathBuf> {
        inputs.iter().chain(&self.reads).cloned().collect()
    }

    /// What is shown.
    pub(crate) fn view(&self, all: bool, min_severity: Option<SeverityArg>) -> View {
        View {
            all,
            min_severity: min_severity.map(Severity::from),
            selection: self.selection.clone(),
            facts: self.verbose,
        }
    }

    /// Whether anything but errors is said on standard error.
    pub(crate) fn warns(&self) -> bool {
        self.verbosity != Verbosity::Errors
    }

    /// Says what was wrong with a recording that was read to where it could be read. Returns whether all of it was.
    pub(crate) fn wrap_up(&self, recording: &Recording, filters: Option<&Filters>) -> Completeness {
        let remarks = self.remarks(recording, filters);
        for remark in remarks.problems.iter().chain(&remarks.others) {
            warn(remark);
        }
        remarks.completeness
    }

    /// What the user wants to be told of a recording that was read to where it could be read.
    pub(crate) fn remarks(&self, recording: &Recording, filters: Option<&Filters>) -> Remarks {
        let files = recording.files();
        let first = files.first().map_or("", |file| spoken(&file.source));
        let problems: Vec<String> = files
            .iter()
            .filter_map(|file| {
                let problem = file.problem.as_ref()?;
                Some(format!("{}: {problem}", spoken(&file.source)))
            })
            .collect();
        let mut others: Vec<String> = filters
            .into_iter()
            .flat_map(Filters::errors)
            .map(|error| format!("{first}: {error}"))
            .collect();
        let completeness = if problems.is_empty() && others.is_empty() {
            Completeness::Whole
        } else {
            Completeness::Partial
        };
        if self.verbosity == Verbosity::Oddities {
            others.extend(files.iter().flat_map(oddities));
        }
        if files.len() > 1 {
            others.push(joined(&files, recording.largest_pause()));
        }
        let is_reported = self.verbosity != Verbosity::Errors;
        others.retain(|_| is_reported);
        Remarks {
            completeness,
            problems: if is_reported { problems } else { Vec::new() },
            others,
        }
    }
}

fn oddities(file: &RecordedFile) -> Vec<String> {
    let source = spoken(&file.source);
    let oddities = &file.oddities;
    let mut reported: Vec<String> = oddities
        .listed
        .iter()
        .map(|oddity| format!("{source}: {oddity}"))
        .collect();
    let unlisted = oddities.count.saturating_sub(oddities.listed.len() as u64);
    if unlisted > 0 {
        reported.push(format!("{source}: and {unlisted} more of the kind"));
    }
    if let Some(info) = &file.info {
        reported.push(format!(
            "{source}: read {} packets, {} bytes",
            info.packets, info.bytes
        ));
    }
    reported
}

/// What should be said of a capture.
#[derive(Debug)]
pub(crate) struct Remarks {
    /// Whether all of it could be read.
    pub(crate) completeness: Completeness,
    /// Which files could not be read, or not to their end, and why.
    pub(crate) problems: Vec<String>,
    /// What else there is.
    pub(crate) others: Vec<String>,
}

/// Whether all of a capture could be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Completeness {
    /// To its end.
    Whole,
    /// Not all of it.
    Partial,
}

/// How many threads are to work: as many as wanted, or as there are processors.
pub(crate) fn threads(wanted: Option<NonZero<usize>>) -> usize {
    wanted
        .or_else(|| thread::available_parallelism().ok())
        .map_or(1, NonZero::get)
}

/// Opens the files of one recording; `-` is standard input. The error is one line.
pub(crate) fn open(files: &[PathBuf]) -> Result<Recording, Failure> {
    let [path] = files else {
        let sequence = recordings(files, Joining::Always).into_iter().next();
        let opened = sequence.map_or(Err(Vec::new()), FileSequence::open);
        return opened.map_err(|errors| {
            let lines: Vec<String> = errors.iter().map(unreadable).collect();
            Failure::new(lines.join("\n"))
        });
    };
    let opened = if path == Path::new("-") {
        wirewhy_capture::from_stdin()
    } else {
        wirewhy_capture::open(path)
    };
    opened
        .map(Recording::from)
        .map_err(|error| Failure::new(unreadable(&error)))
}

/// Why a capture cannot be read.
pub(crate) fn unreadable(error: &OpenError) -> String {
    let source = spoken(&error.source);
    match error.kind {
        OpenErrorKind::Directory => {
            format!("{source}: is a directory; wirewhy scan reads the captures in it")
        }
        ref kind => format!("{source}: {kind}"),
    }
}

/// Which files are read as one recording, and why.
fn joined(files: &[RecordedFile], pause: Option<Interval>) -> String {
    let name =
        |file: Option<&RecordedFile>| file.map_or("", |file| spoken(&file.source)).to_owned();
    let (first, last) = (name(files.first()), name(files.last()));
    let why = match pause {
        Some(pause) => format!(
            "the names differ in numbers alone, the interfaces are the same, and at most {} lies between them; \
             --separate keeps them apart",
            span(pause.max(Interval::ZERO))
        ),
        None => "--join".to_owned(),
    };
    format!(
        "{} files, {first} to {last}, are read as one recording: {why}",
        files.len()
    )
}

/// The name of a capture in a message.
pub(crate) fn spoken(source: &str) -> &str {
    if source == "-" {
        "standard input"
    } else {
        source
    }
}

/// A glob that can match nothing is a slip, and would silently change the outcome.
fn check_glob(glob: &str) -> Result<(), Failure> {
    if records().any(|record| glob_matches(glob, record.code)) {
        return Ok(());
    }
    let hint = hint(glob, records().map(|record| record.code));
    Err(Failure::new(format!(
        "no finding is called {glob}{hint}; `wirewhy explain` lists them all"
    )))
}
