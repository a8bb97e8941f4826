//! `wirewhy live`: interfaces in, a line a finding, a summary at the end.

mod endpoint;
mod feeder;
mod memory;
mod session;
mod sinks;

use std::io::{BufWriter, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use wirewhy::evidence::{Evidence, EvidenceWriter, Recorder, SharedRecorder};
use wirewhy_capture::Followed;
use wirewhy_capture::live::{Keep, Options, Source, is_root, lower_privileges};
use wirewhy_detect::Severity;
use wirewhy_report::{
    Html, LiveEcs, LiveHtml, LiveNdjson, LiveReporter, LiveText, Metrics, Screen, View,
};

use crate::cli::{LiveArgs, LiveFormat};
use crate::exit::{Exit, Failure};
use crate::journal::Priority;
use crate::output::{Output, print_line, warn};
use crate::service::ServiceManager;
use crate::setup::{Setup, spoken, unreadable};
use crate::signals;
use crate::terminal::{self, Target};
use feeder::{Feeder, Growth};
use session::{Plan, Session};
use sinks::LiveSinks;

pub(crate) fn run(args: &LiveArgs) -> Result<Exit, Failure> {
    let mut setup = Setup::new(&args.common, &args.select, &args.tls)?;
    if args.format == LiveFormat::Html {
        // What is drawn passed long ago.
        setup.options.recorder = Some(recorder(args, &setup));
    }
    // Connected while this process has all its rights.
    let manager = ServiceManager::from_environment();
    let stop = signals::watch().map_err(Failure::new)?;
    let hangup = signals::hangup().map_err(Failure::new)?;
    let listener = match &args.metrics {
        Some(address) => Some(endpoint::bind(address, args.metrics_allow_remote)?),
        None => None,
    };
    let feeder = feeder(args, &setup, &stop)?;
    let mut output = Output::open(
        args.common.output.as_deref(),
        &setup.reads(args.follow.as_slice()),
    )?;
    lay_down_rights(args)?;
    let evidence_writer = match &args.evidence {
        Some(folder) => Some(evidence_writer(args, folder)?),
        None => None,
    };
    let metrics = match listener {
        Some(listener) => Some(serve(args, listener, &manager)?),
        None => None,
    };
    if setup.warns() {
        let what = match &args.follow {
            Some(path) => format!("following {}", spoken(&path.display().to_string())),
            None => format!("listening on {}", args.interface.join(", ")),
        };
        let line = format!("{what}; times are UTC; Ctrl-C ends with a summary");
        print_line(Priority::Info, &line);
    }
    let plan = Plan::new(args, &setup, stop, (hangup, output.reopen()));
    let screen = screen(output.target());
    let view = setup.view(args.all, args.min_severity);
    let mut reporter = reporter(args, &setup, &view, screen, &mut output);
    let sinks = LiveSinks::new(reporter.as_mut(), metrics, evidence_writer, view.clone());
    let ended = Session::new(plan, feeder, sinks, setup.warns(), manager).run();
    drop(reporter);
    let worst = ended.map_err(|error| output.failure(&error))?;
    output.close()?;
    let fail_on = args.fail_on.map(Severity::from);
    if fail_on.is_some_and(|least| worst >= Some(least)) {
        return Ok(Exit::Found);
    }
    Ok(Exit::Done)
}

/// Opens the interfaces, or what is to be followed.
fn feeder(args: &LiveArgs, setup: &Setup, stop: &Arc<AtomicBool>) -> Result<Feeder, Failure> {
    let Some(path) = &args.follow else {
        return Ok(Feeder::Interfaces {
            names: args.interface.clone(),
            source: Source::open(options(args)).map_err(Failure::new)?,
        });
    };
    let followed =
        Followed::open(path, Arc::clone(stop)).map_err(|error| Failure::new(unreadable(&error)))?;
    let name = path.display().to_string();
    let growth = Growth::new(name, followed, setup.filters.clone());
    Ok(Feeder::Recording(growth))
}

/// Everything is open that takes rights to open. Before any thread begins: rights belong to threads.
fn lay_down_rights(args: &LiveArgs) -> Result<(), Failure> {
    let user = args.user.as_deref();
    let stays_root = user.is_none() && is_root();
    let keep = Keep {
        reopening: args.follow.is_none(),
        // Files to come may be anybody's.
        reading: args.follow.is_some(),
        // Root without its rights cannot write into the folders of others.
        writing: stays_root && args.evidence.is_some(),
    };
    match lower_privileges(user, keep) {
        Err(error) if user.is_some() => Err(Failure::new(format!("--user: {error}"))),
        Err(error) if stays_root => {
            warn(&format!("goes on with all rights of root: {error}"));
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The last packets that passed, for a page to draw.
fn recorder(args: &LiveArgs, setup: &Setup) -> SharedRecorder {
    let memory = usize::try_from(args.evidence_buffer.0).unwrap_or(usize::MAX);
    let known = setup.options.recorder.clone();
    known.unwrap_or_else(|| SharedRecorder::new(memory))
}

fn evidence_writer(args: &LiveArgs, folder: &Path) -> Result<EvidenceWriter, Failure> {
    let memory = usize::try_from(args.evidence_buffer.0).unwrap_or(usize::MAX);
    let filter = args.common.filter.clone();
    let evidence = Evidence::open(folder, args.evidence_max)
        .map_err(|error| Failure::new(format!("--evidence: {error}")))?;
    Ok(EvidenceWriter::new(Recorder::new(memory), evidence, filter))
}

fn serve(
    args: &LiveArgs,
    listener: TcpListener,
    manager: &ServiceManager,
) -> Result<Arc<Metrics>, Failure> {
    let limit = u64::try_from(args.max_connections).unwrap_or(u64::MAX);
    let metrics = Arc::new(Metrics::new(limit));
    endpoint::serve(listener, Arc::clone(&metrics), manager.watched_progress())?;
    Ok(metrics)
}

fn options(args: &LiveArgs) -> Options {
    Options {
        interfaces: args.interface.clone(),
        filter: args.common.filter.clone(),
        snap_len: args.snaplen,
        buffer: args.buffer.0,
        promiscuous: args.promiscuous,
    }
}

/// A terminal without a cursor to move gets lines only.
fn screen(target: Target) -> Screen {
    let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    match target {
        Target::Terminal if !dumb => Screen::Terminal,
        Target::Journal => Screen::Journal,
        _ => Screen::Lines,
    }
}

fn reporter<'a>(
    args: &LiveArgs,
    setup: &Setup,
    view: &View,
    screen: Screen,
    output: &'a mut Output,
) -> Box<dyn LiveReporter + 'a> {
    let style = terminal::style(output.target(), args.common.color);
    let (names, view) = (setup.names.clone(), view.clone());
    let out: &mut BufWriter<Box<dyn Write + Send>> = output.writer();
    match args.format {
        LiveFormat::Text => Box::new(LiveText::new(out, screen, style, view, names)),
        LiveFormat::Ndjson => {
            let records = LiveNdjson::new(out, view, names);
            Box::new(match screen {
                Screen::Journal => records.for_journal(),
                Screen::Lines | Screen::Terminal => records,
            })
        }
        LiveFormat::Ecs => {
            let documents = LiveEcs::new(out, view, names);
            Box::new(match screen {
                Screen::Journal => documents.for_journal(),
                Screen::Lines | Screen::Terminal => documents,
            })
        }
        LiveFormat::Html => {
            let packets = Box::new(recorder(args, setup));
            Box::new(LiveHtml::new(Html::new(out, view, names, packets)))
        }
    }
}
