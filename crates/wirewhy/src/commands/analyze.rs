//! `wirewhy analyze`: captures in, reports out.

use std::collections::VecDeque;
use std::io::{self, IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::error::ErrorKind;
use wirewhy::engine::{self, Analyzed, EngineOptions, ThreadPool};
use wirewhy::evidence::SharedRecorder;
use wirewhy::packets::Saved;
use wirewhy_capture::{FileSequence, Opener, from_stdin_until, open_until, recordings};
use wirewhy_detect::Severity;
use wirewhy_report::{
    Ecs, Html, Json, Markdown, Ndjson, PacketSource, Reporter, Text, TextStyle, View,
};

use crate::cli::{AnalyzeArgs, Format, usage_error};
use crate::exit::{Exit, Failure};
use crate::output::{Output, warn};
use crate::setup::{Completeness, Setup, threads, unreadable};
use crate::signals;
use crate::terminal;

/// How many bytes of packets are kept of what cannot be read twice.
const KEPT: usize = 64 << 20;

pub(crate) fn run(args: &AnalyzeArgs) -> Result<Exit, Failure> {
    let files = files(args);
    let mut setup = Setup::new(&args.common, &args.diagnosing.select, &args.diagnosing.tls)?;
    setup.options.max_bytes = args.diagnosing.max_bytes.map(|most| most.0);
    let mut left: VecDeque<FileSequence> = recordings(&files, args.joining.choice()).into();
    if args.format == Format::Html && left.len() > 1 {
        refuse_pages(left.len());
    }
    let mut output = Output::open(args.common.output.as_deref(), &setup.reads(&files))?;
    let style = terminal::style(output.target(), args.common.color);
    let mut came_to = CameTo::default();
    let view = setup.view(args.all, args.diagnosing.min_severity);
    let (pool, alone) = (
        ThreadPool::new(threads(args.threads) - 1),
        ThreadPool::default(),
    );
    let stop = signals::watch().map_err(Failure::new)?;
    while !stop.load(Ordering::Relaxed)
        && let Some(sequence) = left.pop_front()
    {
        // What comes by a pipe may come slowly.
        let is_saved = sequence.paths().all(Path::is_file);
        let pool = if is_saved { &pool } else { &alone };
        let options = &EngineOptions {
            // What cannot be read twice is drawn from what is kept of it.
            recorder: (args.format == Format::Html && !is_saved).then(|| SharedRecorder::new(KEPT)),
            ..setup.options.clone()
        };
        let again = sequence.clone();
        let mut recording = match sequence.open_with(opener(&stop)) {
            Ok(recording) => recording,
            Err(errors) => {
                for error in errors {
                    warn(&unreadable(&error));
                    came_to.unreadable += 1;
                }
                continue;
            }
        };
        let mut filters = setup.filters.clone();
        let apart = matches!(args.format, Format::Text | Format::Markdown) && came_to.read > 0;
        let lead = if apart { "\n" } else { "" };
        let analyzed = output
            .writer()
            .write_all(lead.as_bytes())
            .and_then(|()| {
                let packets: Box<dyn PacketSource> = match &options.recorder {
                    None => Box::new(Saved::new(again, setup.filters.clone())),
                    Some(recorder) => Box::new(recorder.clone()),
                };
                let shape = (args.format, style, packets);
                let mut reporter = reporter(shape, &view, &setup, &mut output);
                let reporter = reporter.as_mut();
                engine::analyze(
                    &mut recording,
                    filters.as_mut(),
                    options,
                    &view,
                    pool,
                    reporter,
                )
            })
            .map_err(|error| output.failure(&error))?;
        came_to.add(&analyzed, setup.wrap_up(&recording, filters.as_ref()));
        if let Some(rest) = recording.into_rest() {
            if args.format == Format::Html {
                return Err(Failure::new(
                    "the files are more than one recording, and a page of HTML is about one: it has the first of them",
                ));
            }
            left.push_front(rest);
        }
    }
    output.close()?;
    Ok(came_to.exit(args.diagnosing.fail_on.map(Severity::from)))
}

/// A page is about one recording.
fn refuse_pages(recordings: usize) -> ! {
    let message = format!(
        "these are {recordings} recordings, and a page of HTML is about one: name one, put them together with --join, or make \
         one page over all of them with wirewhy scan --format html"
    );
    usage_error("analyze", ErrorKind::ArgumentConflict, message)
}

/// Opens files that can be read until a signal comes: then the report is about what was read.
fn opener(stop: &Arc<AtomicBool>) -> Opener {
    let stop = Arc::clone(stop);
    Box::new(move |path| {
        if path == Path::new("-") {
            from_stdin_until(&stop)
        } else {
            open_until(path, &stop)
        }
    })
}

/// The captures named; standard input where none is, unless a person sits there.
fn files(args: &AnalyzeArgs) -> Vec<PathBuf> {
    if !args.files.is_empty() {
        return args.files.clone();
    }
    if io::stdin().is_terminal() {
        let message = "no capture given: name a FILE, or pipe one in";
        usage_error("analyze", ErrorKind::MissingRequiredArgument, message);
    }
    vec![PathBuf::from("-")]
}

fn reporter<'a>(
    (format, style, packets): (Format, TextStyle, Box<dyn PacketSource>),
    view: &View,
    setup: &Setup,
    output: &'a mut Output,
) -> Box<dyn Reporter + 'a> {
    let names = setup.names.clone();
    let (out, view) = (output.writer(), view.clone());
    match format {
        Format::Text => Box::new(Text::new(out, style, view, names)),
        Format::Json => Box::new(Json::new(out, view, names)),
        Format::Ndjson => Box::new(Ndjson::new(out, view, names)),
        Format::Ecs => Box::new(Ecs::new(out, view, names)),
        Format::Markdown => Box::new(Markdown::new(out, view, names)),
        Format::Html => Box::new(Html::new(out, view, names, packets)),
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
    fn add(&mut self, analyzed: &Analyzed, whole: Completeness) {
        self.read += 1;
        self.partial += u64::from(whole == Completeness::Partial);
        self.worst = self.worst.max(analyzed.worst);
    }

    fn exit(&self, fail_on: Option<Severity>) -> Exit {
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
