//! `wirewhy analyze`: captures in, reports out.

use std::io::{self, IsTerminal as _, Write};
use std::path::PathBuf;

use clap::CommandFactory as _;
use clap::error::ErrorKind;
use wirewhy::engine::{self, Analyzed, Crew};
use wirewhy_detect::Severity;
use wirewhy_report::{Json, Look, Ndjson, Reporter, Text, View};

use crate::cli::{AnalyzeArgs, Cli, Format};
use crate::exit::{Exit, Failure};
use crate::output::{Output, complain};
use crate::setup::{Completeness, Setup, open, threads};
use crate::terminal;

pub(crate) fn run(args: &AnalyzeArgs) -> Result<Exit, Failure> {
    let files = files(args);
    let setup = Setup::new(&args.common, &args.judging.select, &args.judging.tls)?;
    let mut output = Output::open(args.common.output.as_deref(), &files)?;
    let look = terminal::look(output.target(), args.common.color);
    let mut came_to = CameTo::default();
    let view = View {
        all: args.all,
        min_severity: args.judging.min_severity.map(Severity::from),
    };
    let (crew, alone) = (Crew::new(threads(args.threads) - 1), Crew::default());
    for path in &files {
        let mut reader = match open(path) {
            Ok(reader) => reader,
            Err(Failure::Message(message)) => {
                complain(&message);
                came_to.unreadable += 1;
                continue;
            }
            Err(closed) => return Err(closed),
        };
        let mut filters = setup.filters.clone();
        let apart = args.format == Format::Text && came_to.read > 0;
        let lead = if apart { "\n" } else { "" };
        // What comes by a pipe may come slowly.
        let crew = if path.is_file() { &crew } else { &alone };
        let analyzed = output
            .writer()
            .write_all(lead.as_bytes())
            .and_then(|()| {
                let mut reporter = reporter(args.format, look, view, &setup, &mut output);
                let options = &setup.options;
                let reporter = reporter.as_mut();
                engine::analyze(
                    &mut reader,
                    filters.as_mut(),
                    options,
                    &view,
                    crew,
                    reporter,
                )
            })
            .map_err(|error| output.failure(&error))?;
        came_to.add(&analyzed, setup.wrap_up(&reader, filters.as_ref()));
    }
    output.close()?;
    Ok(came_to.exit(args.judging.fail_on.map(Severity::from)))
}

/// The captures named; standard input where none is, unless a person sits there.
fn files(args: &AnalyzeArgs) -> Vec<PathBuf> {
    if !args.files.is_empty() {
        return args.files.clone();
    }
    if io::stdin().is_terminal() {
        let message = "no capture given: name a FILE, or pipe one in";
        Cli::command()
            .error(ErrorKind::MissingRequiredArgument, message)
            .exit();
    }
    vec![PathBuf::from("-")]
}

fn reporter<'a>(
    format: Format,
    look: Look,
    view: View,
    setup: &Setup,
    output: &'a mut Output,
) -> Box<dyn Reporter + 'a> {
    let names = setup.names.clone();
    let out = output.writer();
    match format {
        Format::Text => Box::new(Text::new(out, look, view, names)),
        Format::Json => Box::new(Json::new(out, view, names)),
        Format::Ndjson => Box::new(Ndjson::new(out, view, names)),
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
