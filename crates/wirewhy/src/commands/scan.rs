//! `wirewhy scan`: an archive in, one stream of results and one summary out.

use std::io::{self, Write as _};
use std::num::NonZero;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use clap::CommandFactory as _;
use clap::error::ErrorKind;
use signal_hook::consts::{SIGINT, SIGTERM};
use wirewhy_detect::Severity;
use wirewhy_report::{
    Archive, Extent, Look, Names, Scanned, View, write_error_ndjson, write_error_text,
};

use crate::cli::{Cli, ScanArgs, ScanFormat};
use crate::exit::{Exit, Failure};
use crate::output::{Output, complain};
use crate::scan::examine::{Done, Examined, Examiner, What};
use crate::scan::order::in_order;
use crate::scan::progress::Progress;
use crate::scan::spill::Spill;
use crate::scan::walk::Walk;
use crate::setup::Setup;
use crate::terminal;

pub(crate) fn run(args: &ScanArgs) -> Result<Exit, Failure> {
    if args.paths.is_empty() && args.files_from.is_none() {
        let message = "nothing to scan: name a PATH, or a list of paths with --files-from";
        Cli::command()
            .error(ErrorKind::MissingRequiredArgument, message)
            .exit();
    }
    let setup = Setup::new(&args.common, &args.select, &args.tls)?;
    let walk = Walk::new(args)?;
    let output = output(args)?;
    let look = terminal::look(output.target(), args.common.color);
    let stop = stop_on_signals()?;
    let progress = Arc::new(if args.common.quiet {
        Progress::silent()
    } else {
        Progress::on_terminal()
    });
    let spill = Spill::default();
    let examiner = Examiner {
        setup: &setup,
        view: View {
            all: args.all,
            min_severity: args.min_severity.map(Severity::from),
        },
        format: args.format,
        look,
        spill: &spill,
        progress: progress.clone(),
        stop: stop.clone(),
    };
    let mut scan = Scan {
        output,
        format: args.format,
        look,
        names: &setup.names,
        progress: &progress,
        archive: Archive::default(),
        came_to: CameTo::default(),
    };
    let extent = thread::scope(|scope| {
        if progress.is_seen() && Walk::is_repeatable(args) {
            let walk = Walk::new(args)?;
            scope.spawn(|| progress.count(walk, || stop.load(Ordering::Relaxed)));
        }
        let ended = scan.through(walk, jobs(args), &examiner);
        // Nobody looks at the count any more.
        stop.store(true, Ordering::Relaxed);
        progress.end();
        ended
    })?;
    scan.sum_up(extent)?;
    Ok(scan.came_to.exit(args.fail_on.map(Severity::from), extent))
}

fn jobs(args: &ScanArgs) -> usize {
    let all = || thread::available_parallelism().map_or(1, NonZero::get);
    args.jobs.map_or_else(all, NonZero::get)
}

fn output(args: &ScanArgs) -> Result<Output, Failure> {
    if let Some(path) = &args.common.output {
        spare(path)?;
    }
    Output::open(args.common.output.as_deref(), &[])
}

/// A capture is never written over: the archive may hold the very file.
fn spare(path: &Path) -> Result<(), Failure> {
    let is_file = std::fs::metadata(path).is_ok_and(|data| data.is_file());
    if is_file && wirewhy_capture::open(path).is_ok() {
        let name = path.display();
        return Err(Failure::new(format!(
            "{name}: is a capture, and would be lost"
        )));
    }
    Ok(())
}

/// The first signal asks the scan to stop with whole results; the second ends the program at once.
fn stop_on_signals() -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        let at_once = 128 + signal;
        signal_hook::flag::register_conditional_shutdown(signal, at_once, stop.clone())
            .and_then(|_| signal_hook::flag::register(signal, stop.clone()))
            .map_err(Failure::new)?;
    }
    Ok(stop)
}

/// A scan under way: results go out in order, and into the summary.
struct Scan<'a> {
    output: Output,
    format: ScanFormat,
    look: Look,
    names: &'a Names,
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
        walk: Walk,
        jobs: usize,
        examiner: &Examiner<'_>,
    ) -> Result<Extent, Failure> {
        let work = |found| match found {
            Ok(found) => Ok(examiner.examine(found)),
            Err(failure) => Err(End::Failed(failure)),
        };
        let take = |done: Result<Done<'_>, End>| self.take(done?);
        let give_up = || examiner.stop.store(true, Ordering::Relaxed);
        match in_order(walk, jobs, work, take, give_up) {
            Ok(()) => Ok(Extent::Whole),
            Err(End::Stopped) => Ok(Extent::Part),
            Err(End::Failed(failure)) => Err(failure),
        }
    }

    fn take(&mut self, done: Done<'_>) -> Result<(), End> {
        let source = done.path.display().to_string();
        match done.what {
            What::Abandoned => return Err(End::Stopped),
            What::Failed(error) => return Err(End::Failed(Failure::new(error))),
            What::Other => self.archive.add_skipped(1),
            What::Unreadable(message) => self.unreadable(&source, &message)?,
            What::Capture(examined) => self.capture(&source, examined)?,
        }
        Ok(())
    }

    fn unreadable(&mut self, source: &str, message: &str) -> Result<(), Failure> {
        self.archive.add_unreadable();
        self.came_to.unreadable += 1;
        let out = self.output.writer();
        match self.format {
            ScanFormat::Text => write_error_text(out, self.look, source, message),
            ScanFormat::Ndjson => {
                self.progress
                    .aside(|| complain(&format!("{source}: {message}")));
                write_error_ndjson(out, source, message)
            }
        }
        .map_err(|error| self.output.failure(&error))?;
        self.show()
    }

    fn capture(&mut self, source: &str, examined: Examined<'_>) -> Result<(), Failure> {
        self.came_to.read += 1;
        self.came_to.partial += u64::from(examined.is_partial());
        self.came_to.worst = self.came_to.worst.max(examined.worst);
        let remarks = &examined.remarks;
        // In the text the line of the capture tells of the problem.
        let told = self.format == ScanFormat::Text;
        let problem = remarks.problem.iter().filter(|_| !told);
        for remark in problem.chain(&remarks.others) {
            self.progress.aside(|| complain(remark));
        }
        let out = self.output.writer();
        let digest = examined
            .deliver(&mut |piece| out.write_all(piece))
            .map_err(|error| self.output.failure(&error))?;
        self.archive.add(source, &digest, Scanned::Now);
        self.show()
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
        if extent == Extent::Whole && self.archive.captures() == 0 && self.came_to.unreadable == 0 {
            let skipped = match self.archive.skipped() {
                0 => String::new(),
                1 => ", but 1 other file".to_owned(),
                files => format!(", but {files} other files"),
            };
            return Err(Failure::new(format!("no capture found{skipped}")));
        }
        self.write_summary(extent)
            .map_err(|error| self.output.failure(&error))
    }

    fn write_summary(&mut self, extent: Extent) -> io::Result<()> {
        let out = self.output.writer();
        match self.format {
            ScanFormat::Text => {
                out.write_all(b"\n")?;
                self.archive
                    .write_text(out, self.look, self.names, extent)?;
            }
            ScanFormat::Ndjson => self.archive.write_ndjson(out, self.names, extent)?,
        }
        out.flush()
    }
}

/// What all captures together came to.
#[derive(Debug, Default)]
struct CameTo {
    read: u64,
    unreadable: u64,
    partial: u64,
    worst: Option<Severity>,
}

impl CameTo {
    fn exit(&self, fail_on: Option<Severity>, extent: Extent) -> Exit {
        if extent == Extent::Part {
            return Exit::Interrupted;
        }
        if self.read == 0 {
            return Exit::Failed;
        }
        // What was asked for comes before what was not.
        if fail_on.is_some_and(|least| self.worst >= Some(least)) {
            return Exit::Found;
        }
        if self.unreadable + self.partial > 0 {
            return Exit::Partial;
        }
        Exit::Done
    }
}
