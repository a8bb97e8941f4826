//! `wirewhy annotate`: a capture once more, with its findings as comments.
//!
//! The capture is read twice: for the findings, and to be written. Where packets are left out, it is read in between to
//! choose them, because a comment cites packets by the numbers they have in the new file.

mod chosen;
mod copy;
mod input;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::atomic::Ordering;

use clap::error::ErrorKind;
use wirewhy::engine::{self, ThreadPool};
use wirewhy::packets::all_ends;
use wirewhy_detect::{Diagnosis, Facts, Finding, Outcome};
use wirewhy_flow::Transport;
use wirewhy_report::{CaptureSummary, Reporter, Text, TextStyle, View};
use wirewhy_survey::{GroupFinding, Totals};

use crate::cli::{AnnotateArgs, usage_error};
use crate::exit::{Exit, Failure};
use crate::output::{refuse_capture, refuse_read, warn};
use crate::setup::{Completeness, Setup, threads};
use crate::signals;
use crate::terminal::Target;
use chosen::Chosen;
use copy::{Copy, Interfaces};
use input::Input;

/// How many findings get comments; the story on the section counts all of them.
const MOST_FINDINGS: usize = 200_000;

pub(crate) fn run(args: &AnnotateArgs) -> Result<Exit, Failure> {
    let setup = Setup::new(&args.common, &args.select, &args.tls)?;
    let Some(path) = args.common.output.as_deref() else {
        let message = "annotate writes a capture: name it with --output, or - for a pipe";
        usage_error("annotate", ErrorKind::MissingRequiredArgument, message);
    };
    check(path, args, &setup)?;
    let stop = signals::watch().map_err(Failure::new)?;
    let input = Input::new(&args.files, &stop)?;
    let mut recording = input.open()?;
    let mut filters = setup.filters.clone();
    let view = setup.view(false, args.min_severity);
    let mut found = Found::new(&view, &setup);
    engine::analyze(
        &mut recording,
        filters.as_mut(),
        &setup.options,
        &view,
        &ThreadPool::new(threads(None) - 1),
        &mut found,
    )
    .map_err(Failure::new)?;
    let whole = setup.wrap_up(&recording, filters.as_ref());
    let files = recording.files();
    if stop.load(Ordering::Relaxed) {
        warn("interrupted before all was read: nothing is written");
        return Ok(Exit::Interrupted);
    }
    let mut once_more = input.open()?;
    let mut filters = setup.filters.clone();
    let trouble = args.failed.then_some(&found.trouble);
    let chosen = Chosen::new(&mut once_more, filters.as_mut(), trouble);
    if found.passed_over > 0 && setup.warns() {
        warn(&format!(
            "{} findings beyond the first {MOST_FINDINGS} have no comments",
            found.passed_over
        ));
    }
    let name = path.display().to_string();
    let fail = |error: io::Error| Failure::writing(&name, &error);
    let about = about(found.story, &chosen, args);
    let mut copy = Copy {
        chosen: &chosen,
        findings: &found.findings,
        interfaces: Interfaces::new(&files),
        filter: args.common.filter.as_deref(),
        stop: &stop,
    };
    let mut last = input.open()?;
    let out = BufWriter::new(create(path).map_err(fail)?);
    copy.write(out, &mut last, &about).map_err(fail)?;
    if stop.load(Ordering::Relaxed) {
        warn(&format!(
            "{name}: interrupted: its last packets are missing"
        ));
        return Ok(Exit::Interrupted);
    }
    match whole {
        Completeness::Whole => Ok(Exit::Done),
        Completeness::Partial => Ok(Exit::Partial),
    }
}

/// Refuses an output that would destroy something, or that a person would see as noise.
fn check(path: &Path, args: &AnnotateArgs, setup: &Setup) -> Result<(), Failure> {
    if path == Path::new("-") {
        return match Target::of_stdout() {
            Target::Terminal => Err(Failure::new(
                "a capture is not for a terminal: name a file with --output, or use a pipe",
            )),
            Target::Journal | Target::Elsewhere => Ok(()),
        };
    }
    refuse_read(path, &setup.reads(&args.files))?;
    if !args.overwrite {
        refuse_capture(path, "; --overwrite replaces it")?;
        // Whatever else it is, it is not a capture that this command made.
        if fs::metadata(path).is_ok_and(|data| data.is_file() && data.len() > 0) {
            let name = path.display();
            return Err(Failure::new(format!(
                "{name}: exists; --overwrite replaces it"
            )));
        }
    }
    Ok(())
}

fn create(path: &Path) -> io::Result<Box<dyn Write + Send>> {
    Ok(if path == Path::new("-") {
        Box::new(io::stdout())
    } else {
        Box::new(File::create(path)?)
    })
}

/// What is to be known of the whole file: the report, and what is not in the file.
fn about(story: Text<Vec<u8>>, chosen: &Chosen, args: &AnnotateArgs) -> Vec<String> {
    let mut about = Vec::new();
    let (kept, all) = (chosen.kept(), chosen.all());
    if kept < all {
        let which = match args.failed {
            true => "the connections in trouble with their lookups",
            false => "what the filter matches",
        };
        about.push(format!(
            "Only {which}: {kept} of {all} packets. Frame and stream numbers in the report are those of the whole capture; \
             each packet has its frame number there as its packet id."
        ));
    }
    about.push(String::from_utf8_lossy(&story.into_inner()).into_owned());
    about
}

/// The connections in trouble, and what belongs to them.
#[derive(Debug, Default)]
struct Trouble {
    /// The streams of those over TCP.
    streams: BTreeSet<u32>,
    /// Of those over UDP the frames, from the first to the last, by the ends that they were seen between.
    datagrams: BTreeMap<[(IpAddr, u16); 2], Vec<RangeInclusive<u64>>>,
    /// The hosts of each, the lower address first.
    hosts: BTreeSet<(IpAddr, IpAddr)>,
    /// Frames of the lookups they waited for, and those that findings cite.
    frames: BTreeSet<u64>,
}

/// What the first reading finds.
struct Found<'a> {
    view: &'a View,
    story: Text<Vec<u8>>,
    findings: Vec<Finding>,
    passed_over: u64,
    trouble: Trouble,
}

impl<'a> Found<'a> {
    fn new(view: &'a View, setup: &Setup) -> Found<'a> {
        Found {
            view,
            story: Text::new(
                Vec::new(),
                TextStyle::default(),
                view.clone(),
                setup.names.clone(),
            ),
            findings: Vec::new(),
            passed_over: 0,
            trouble: Trouble::default(),
        }
    }

    fn keep(&mut self, finding: &Finding) {
        if !self.view.counts(finding) {
            return;
        }
        if self.findings.len() >= MOST_FINDINGS {
            self.passed_over = self.passed_over.saturating_add(1);
            return;
        }
        self.trouble.frames.extend(&finding.frames);
        self.findings.push(Finding {
            // They are not part of a comment.
            facts: Facts::default(),
            ..finding.clone()
        });
    }
}

impl Reporter for Found<'_> {
    fn connection(&mut self, diagnosis: &Diagnosis) -> io::Result<()> {
        let connection = &diagnosis.connection;
        let is_shown = diagnosis
            .findings
            .iter()
            .any(|finding| self.view.counts(finding));
        if is_shown && matches!(diagnosis.outcome(), Outcome::Failed | Outcome::Degraded) {
            let (one, other) = (connection.client.address, connection.server.address);
            match connection.transport {
                Transport::Tcp => {
                    self.trouble.streams.insert(connection.stream);
                }
                Transport::Udp => {
                    for ends in all_ends(connection) {
                        let frames = connection.first.frame..=connection.last.frame;
                        self.trouble.datagrams.entry(ends).or_default().push(frames);
                    }
                }
            }
            self.trouble.hosts.insert((one.min(other), one.max(other)));
            if let Some(lookup) = connection.looked_up.as_deref() {
                let trouble = lookup.trouble.as_deref();
                let missed = trouble.into_iter().flat_map(|trouble| &trouble.missed);
                let frames = &mut self.trouble.frames;
                frames.extend(lookup.answer.map(|mark| mark.frame));
                frames.extend(trouble.map(|trouble| trouble.first.frame));
                frames.extend(missed.map(|missed| missed.since.frame));
            }
        }
        for finding in &diagnosis.findings {
            self.keep(finding);
        }
        self.story.connection(diagnosis)
    }

    fn finish(
        &mut self,
        capture: &CaptureSummary,
        totals: &Totals,
        group: &[GroupFinding],
    ) -> io::Result<()> {
        for found in group {
            self.keep(&found.finding);
        }
        self.story.finish(capture, totals, group)
    }
}
