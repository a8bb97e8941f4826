//! `wirewhy scan`: an archive in, one stream of results and one summary out.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;

use clap::error::ErrorKind;
use wirewhy::engine::ThreadPool;
use wirewhy_capture::Joining;
use wirewhy_detect::Severity;
use wirewhy_report::{
    Archive, Extent, Lines, Scanned, Shown, TextStyle, write_error_ndjson, write_error_text,
};

use crate::cli::{ScanArgs, ScanFormat, usage_error};
use crate::exit::{Exit, Failure};
use crate::output::{Output, refuse_capture, refuse_read, warn};
use crate::roots::Roots;
use crate::scan::escape::escape_path;
use crate::scan::examine::{Done, Examined, Examiner, What};
use crate::scan::order::in_order;
use crate::scan::parts::Parts;
use crate::scan::progress::Progress;
use crate::scan::recordings::Grouped;
use crate::scan::spill::Spill;
use crate::scan::state::{Destination, Due, Entry, Identity, Known, Made, Recordings, State};
use crate::scan::walk::{Found, STDIN, Walk};
use crate::setup::{Setup, threads};
use crate::signals;
use crate::terminal;

pub(crate) fn run(args: &ScanArgs) -> Result<Exit, Failure> {
    if args.paths.is_empty() && args.files_from.is_none() {
        let message = "nothing to scan: name a PATH, or a list of paths with --files-from";
        usage_error("scan", ErrorKind::MissingRequiredArgument, message);
    }
    check_stdin(args)?;
    let mut setup = Setup::new(&args.common, &args.diagnosing.select, &args.diagnosing.tls)?;
    setup.options.max_bytes = args.diagnosing.max_bytes.map(|most| most.0);
    // Names that come by a pipe are not waited for: each file is analysed when it is named.
    let joining = match args.joining.choice() {
        Joining::Recognised if !Walk::is_repeatable(args) => Joining::Never,
        choice => choice,
    };
    let walk = Grouped::new(Walk::new(args)?, joining);
    // What an earlier scan did is held against all that there is now.
    let (walk, now): (
        Box<dyn Iterator<Item = Result<Found, Failure>> + Send>,
        Recordings,
    ) = if args.state.is_some() && joining != Joining::Never {
        let all: Vec<_> = walk.collect();
        let now = Recordings::of(all.iter().flatten());
        (Box::new(all.into_iter()), now)
    } else {
        (Box::new(walk), Recordings::default())
    };
    // Before there is an output that a signal could find half-made.
    let stop = signals::watch().map_err(Failure::new)?;
    let mut archive = match args.format {
        ScanFormat::Html => Archive::listing(),
        ScanFormat::Text | ScanFormat::Ndjson | ScanFormat::Parquet => Archive::default(),
    };
    let mut came_to = CameTo::default();
    let Opened {
        output,
        parts,
        state,
        known,
    } = open(args, &setup, &now, &mut |entry, made| {
        recall(&mut archive, &mut came_to, &entry, made);
    })?;
    let style = terminal::style(output.target(), args.common.color);
    let progress = Arc::new(if args.common.quiet {
        Progress::silent()
    } else {
        Progress::on_terminal()
    });
    let spill = Spill::default();
    let pool = ThreadPool::default();
    let view = setup.view(args.all, args.diagnosing.min_severity);
    let examiner = Examiner {
        setup: &setup,
        view: view.clone(),
        format: args.format,
        style,
        lines: match output.target() {
            terminal::Target::Terminal => Lines::Fitting,
            terminal::Target::Journal | terminal::Target::Elsewhere => Lines::One,
        },
        stdin_name: args.name.as_deref().unwrap_or(STDIN),
        spill: &spill,
        pool: &pool,
        known: &known,
        progress: progress.clone(),
        stop: stop.clone(),
    };
    let mut scan = Scan {
        output,
        parts,
        state,
        format: args.format,
        style,
        shown: Shown {
            names: &setup.names,
            view: &view,
        },
        progress: &progress,
        archive,
        came_to,
    };
    let extent = thread::scope(|scope| {
        if progress.is_seen() && Walk::is_repeatable(args) {
            let walk = Walk::new(args)?;
            scope.spawn(|| progress.count(walk, || stop.load(Ordering::Relaxed)));
        }
        let ended = scan.through(walk, threads(args.jobs), &examiner);
        // The count is not shown any more.
        stop.store(true, Ordering::Relaxed);
        progress.end();
        ended
    })?;
    scan.sum_up(extent)?;
    Ok(scan.exit(args.diagnosing.fail_on.map(Severity::from), extent))
}

/// Standard input can be read once, and it is nothing that a later scan finds again.
fn check_stdin(args: &ScanArgs) -> Result<(), Failure> {
    let is_named = |path: &PathBuf| path == Path::new(STDIN);
    let times = args.paths.iter().filter(|path| is_named(path)).count();
    let message = match times {
        0 if args.name.is_some() => "--name is for a capture on standard input, and - is no PATH",
        0 => return Ok(()),
        _ if args.state.is_some() => "--state cannot remember standard input",
        1 if !args.files_from.as_ref().is_some_and(is_named) => return Ok(()),
        _ => "standard input can be read only once",
    };
    Err(Failure::new(message))
}

/// Where results go, and what is done already.
struct Opened {
    output: Output,
    parts: Option<Parts>,
    state: Option<State>,
    known: Known,
}

fn open(
    args: &ScanArgs,
    setup: &Setup,
    now: &Recordings,
    replay: &mut dyn FnMut(Entry, Made),
) -> Result<Opened, Failure> {
    let path = args.common.output.as_deref();
    if let Some(path) = path {
        let beside: Vec<PathBuf> = args.files_from.iter().chain(&args.state).cloned().collect();
        refuse_read(path, &setup.reads(&beside))?;
        refuse_capture(path, "")?;
    }
    let is_folder = args.format == ScanFormat::Parquet;
    let Some(path) = path else {
        if is_folder {
            let message = "parquet goes into a folder: name it with --output";
            usage_error("scan", ErrorKind::MissingRequiredArgument, message);
        }
        return Ok(Opened {
            output: Output::open(None, &[])?,
            parts: None,
            state: None,
            known: Known::default(),
        });
    };
    let place = if is_folder {
        Destination::Folder(path)
    } else {
        Destination::File(path)
    };
    let (state, known) = match &args.state {
        None => (None, Known::default()),
        Some(journal) => {
            let options = depends_on(args, setup);
            let (state, known) = State::open(journal, place, &options, now, replay)?;
            (Some(state), known)
        }
    };
    let fail = |error: io::Error| Failure::writing(&path.display().to_string(), &error);
    let parts = match (is_folder, &state) {
        (false, _) => None,
        (true, None) => Some(Parts::begin(path).map_err(fail)?),
        (true, Some(state)) => {
            let next = state.next_part();
            let is_kept = |part| state.has_part(part);
            Some(Parts::go_on(path, state.name(), next, is_kept).map_err(fail)?)
        }
    };
    let output = match state.as_ref().and_then(State::output) {
        Some(file) => Output::into_file(file.map_err(fail)?, path),
        None => Output::open(Some(path).filter(|_| !is_folder), &[])?,
    };
    Ok(Opened {
        output,
        parts,
        state,
        known,
    })
}

/// Everything besides the captures that results depend on.
fn depends_on(args: &ScanArgs, setup: &Setup) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let view = setup.view(args.all, args.diagnosing.min_severity);
    let view = (args.format, view.all, view.min_severity, view.selection);
    let limits = &setup.options.limits;
    let joining = args.joining.choice();
    let given = (
        joining,
        &args.diagnosing.tls.keylog,
        &args.common.filter,
        &setup.names,
    );
    // Another file of the same name is other roots.
    let roots = match &setup.roots {
        Roots::Mozilla => None,
        Roots::File(path) => std::fs::metadata(path).ok(),
    };
    let roots = (&setup.roots, roots.as_ref().map(Identity::from));
    format!("{version} {view:?} {limits:?} {given:?} {roots:?}")
}

/// Counts what an earlier process did.
fn recall(archive: &mut Archive, came_to: &mut CameTo, entry: &Entry, made: Made) {
    let scanned = match made {
        Made::Earlier => Scanned::Before,
        Made::Now => Scanned::Now,
    };
    match &entry.digest {
        Some(digest) => archive.add(&entry.source, digest, scanned),
        None => archive.add_unreadable(&entry.source),
    }
    if made == Made::Now {
        let worst = [Severity::Note, Severity::Warning, Severity::Error]
            .into_iter()
            .find(|severity| Some(severity.name()) == entry.worst.as_deref());
        came_to.worst = came_to.worst.max(worst);
        came_to.partial += u64::from(!entry.whole);
    }
}

/// A scan under way: results go out in order, and into the summary.
struct Scan<'a> {
    /// Of Parquet it takes the summary only.
    output: Output,
    parts: Option<Parts>,
    state: Option<State>,
    format: ScanFormat,
    style: TextStyle,
    shown: Shown<'a>,
    progress: &'a Progress,
    archive: Archive,
    came_to: CameTo,
}

/// Why results are no longer taken.
enum End {
    Stopped,
    Failed(Failure),
}

impl From<Failure> for End {
    fn from(failure: Failure) -> End {
        End::Failed(failure)
    }
}

impl Scan<'_> {
    fn through(
        &mut self,
        walk: impl Iterator<Item = Result<Found, Failure>> + Send,
        jobs: usize,
        examiner: &Examiner<'_>,
    ) -> Result<Extent, Failure> {
        let work = |found| match found {
            Ok(found) => Ok(examiner.examine(found)),
            Err(failure) => Err(End::Failed(failure)),
        };
        let take = |done: Result<Vec<Done<'_>>, End>| {
            done?.into_iter().try_for_each(|done| self.take(done))
        };
        let cancel = || examiner.stop.store(true, Ordering::Relaxed);
        let leave = || examiner.pool.add_one();
        match in_order(walk, jobs, work, take, cancel, leave) {
            Ok(()) => Ok(Extent::Whole),
            Err(End::Stopped) => Ok(Extent::Part),
            Err(End::Failed(failure)) => Err(failure),
        }
    }

    fn take(&mut self, done: Done<'_>) -> Result<(), End> {
        let Done {
            path,
            files,
            more,
            what,
        } = done;
        match what {
            What::Abandoned => return Err(End::Stopped),
            What::Failed(error) => return Err(End::Failed(Failure::new(error))),
            What::Other => self.archive.add_skipped(1),
            What::Known => {}
            What::Unreadable(_) | What::Capture(_) if self.is_repeated(&path) => {}
            What::Unreadable(message) => self.unreadable(&path, &message, more)?,
            What::Capture(examined) => self.capture(&path, &files, examined, more)?,
        }
        Ok(())
    }

    fn is_repeated(&mut self, path: &Path) -> bool {
        let state = self.state.as_mut();
        state.is_some_and(|state| !state.is_first(path))
    }

    fn unreadable(&mut self, path: &Path, message: &str, more: bool) -> Result<(), Failure> {
        let source = path.display().to_string();
        self.archive.add_unreadable(&source);
        self.came_to.partial += 1;
        let mut record = Vec::new();
        let written = match self.format {
            ScanFormat::Text => write_error_text(&mut record, self.style, &source, message),
            ScanFormat::Ndjson => write_error_ndjson(&mut record, &source, message),
            ScanFormat::Html | ScanFormat::Parquet => Ok(()),
        };
        if self.format != ScanFormat::Text {
            self.progress
                .aside(|| warn(&format!("{source}: {message}")));
        }
        written
            .and_then(|()| self.output.writer().write_all(&record))
            .map_err(|error| self.output.failure(&error))?;
        if let Some(parts) = &mut self.parts {
            let kept = parts.unreadable(&source, message);
            kept.map_err(|error| self.failure(&error))?;
            return self.show();
        }
        let entry = Entry {
            path: escape_path(path),
            files: Vec::new(),
            source,
            identity: None,
            end: 0,
            digest: None,
            worst: None,
            whole: false,
        };
        self.remember(record.len() as u64, entry, more)
    }

    fn capture(
        &mut self,
        path: &Path,
        files: &[PathBuf],
        examined: Examined<'_>,
        more: bool,
    ) -> Result<(), Failure> {
        let source = path.display().to_string();
        let whole = !examined.is_partial();
        self.came_to.partial += u64::from(!whole);
        self.came_to.worst = self.came_to.worst.max(examined.worst);
        let remarks = &examined.remarks;
        // In the text the line of the capture reports the problem.
        let reported = self.format == ScanFormat::Text && files.is_empty();
        let problem = remarks.problems.iter().filter(|_| !reported);
        for remark in problem.chain(&remarks.others) {
            self.progress.aside(|| warn(remark));
        }
        let (len, identity, worst) = (examined.output_len, examined.identity, examined.worst);
        let out = self.output.writer();
        let parts = &mut self.parts;
        let digest = examined
            .deliver(&mut |piece| match parts {
                Some(parts) => parts.records(piece),
                None => out.write_all(piece),
            })
            .map_err(|error| self.failure(&error))?;
        self.archive.add(&source, &digest, Scanned::Now);
        let entry = Entry {
            path: escape_path(path),
            files: files.iter().map(|path| escape_path(path)).collect(),
            source,
            identity: Some(identity),
            end: 0,
            digest: Some(digest),
            worst: worst.map(|worst| worst.name().to_owned()),
            whole,
        };
        self.remember(len, entry, more)
    }

    fn remember(&mut self, len: u64, entry: Entry, more: bool) -> Result<(), Failure> {
        let bytes = entry.digest.as_ref().map_or(0, |digest| digest.bytes);
        let is_full = self.parts.as_mut().map(|parts| parts.capture(bytes));
        let part = self.parts.as_ref().map(Parts::number);
        let mut due = Due::Later;
        if let Some(state) = &mut self.state {
            let end = part.unwrap_or_else(|| state.results_end() + len);
            due = state.note(Entry { end, ..entry })?;
        }
        // A part decides for itself: what is in it is safe no sooner than it is closed.
        if !more && is_full.unwrap_or(due == Due::Now) {
            self.commit()?;
        }
        self.show()
    }

    /// Promises what was written.
    fn commit(&mut self) -> Result<(), Failure> {
        let flushed = self.output.writer().flush();
        flushed.map_err(|error| self.output.failure(&error))?;
        if let Some(parts) = self.parts.as_mut().filter(|parts| parts.has_some()) {
            let closed = parts.close();
            closed.map_err(|error| self.failure(&error))?;
        }
        match &mut self.state {
            Some(state) => state.commit(),
            None => Ok(()),
        }
    }

    /// What writing failed with.
    fn failure(&self, error: &io::Error) -> Failure {
        match &self.parts {
            Some(parts) => Failure::writing(&parts.name(), error),
            None => self.output.failure(error),
        }
    }

    /// A person sees each result as it comes, and with the bar out of its way.
    fn show(&mut self) -> Result<(), Failure> {
        if !self.progress.is_seen() || self.output.target() != terminal::Target::Terminal {
            return Ok(());
        }
        let output = &mut self.output;
        self.progress
            .aside(|| output.writer().flush())
            .map_err(|error| output.failure(&error))
    }

    fn sum_up(&mut self, extent: Extent) -> Result<(), Failure> {
        if extent == Extent::Whole && self.archive.captures() + self.archive.unreadable() == 0 {
            let skipped = match self.archive.skipped() {
                0 => String::new(),
                1 => ", but 1 other file".to_owned(),
                files => format!(", but {files} other files"),
            };
            return Err(Failure::new(format!("no capture found{skipped}")));
        }
        self.commit()?;
        if let Some(parts) = self.parts.as_mut().filter(|_| extent == Extent::Whole) {
            let ended = parts.end();
            ended.map_err(|error| self.failure(&error))?;
        }
        self.write_summary(extent)
            .map_err(|error| self.output.failure(&error))?;
        match &mut self.state {
            Some(state) if extent == Extent::Whole => state.end(),
            _ => Ok(()),
        }
    }

    fn exit(&self, fail_on: Option<Severity>, extent: Extent) -> Exit {
        if extent == Extent::Part {
            return Exit::Interrupted;
        }
        if self.archive.captures() == 0 {
            return Exit::Failed;
        }
        // What was asked for comes before what was not.
        if fail_on.is_some_and(|least| self.came_to.worst >= Some(least)) {
            return Exit::Found;
        }
        if self.came_to.partial > 0 {
            return Exit::Partial;
        }
        Exit::Done
    }

    fn write_summary(&mut self, extent: Extent) -> io::Result<()> {
        let out = self.output.writer();
        match self.format {
            ScanFormat::Text | ScanFormat::Parquet => {
                if self.parts.is_none() {
                    out.write_all(b"\n")?;
                }
                self.archive
                    .write_text(out, self.style, self.shown, extent)?;
            }
            ScanFormat::Ndjson => self.archive.write_ndjson(out, self.shown, extent)?,
            ScanFormat::Html => self.archive.write_html(out, self.shown, extent)?,
        }
        out.flush()
    }
}

/// What the captures of this scan came to, earlier ones apart.
#[derive(Debug, Default)]
struct CameTo {
    /// Those that could not be read, or not to their end.
    partial: u64,
    worst: Option<Severity>,
}
