//! `wirewhy show`: one connection in full.

use std::io;

use wirewhy::engine::{self, Analysis, Feed};
use wirewhy_capture::{Filters, Recording};
use wirewhy_detect::Judged;
use wirewhy_flow::wireshark;
use wirewhy_report::{Ladder, PacketChoice, Packets};

use crate::cli::ShowArgs;
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::setup::{Completeness, Setup, open, spoken};
use crate::terminal;

/// How many packets are kept, unless all are to be drawn.
const KEPT: usize = 200_000;

pub(crate) fn run(args: &ShowArgs) -> Result<Exit, Failure> {
    let setup = Setup::new(&args.common, &args.select, &args.tls)?;
    let mut recording = open(&args.files)?;
    let mut filters = setup.filters.clone();
    let found = find(&mut recording, filters.as_mut(), &setup, args).map_err(Failure::new)?;
    let whole = setup.wrap_up(&recording, filters.as_ref());
    let Some(judged) = found.judged else {
        let source = spoken(&engine::summarize(&recording).source).to_owned();
        return Err(Failure::new(match found.last_stream {
            Some(last) if last >= args.stream => {
                format!(
                    "{source}: nothing of stream {} is left to show",
                    args.stream
                )
            }
            Some(last) => {
                format!(
                    "{source}: has no stream {}; its streams are 0 to {last}",
                    args.stream
                )
            }
            None => format!("{source}: has no TCP connection"),
        }));
    };
    let shown = args.shown();
    if let PacketChoice::Frames(range) = &shown
        && !found.packets.iter().any(|row| range.contains(&row.frame))
    {
        let (first, last) = (judged.connection.first, judged.connection.last);
        return Err(Failure::new(format!(
            "--frames: none of these frames is of stream {}, which has frames {} to {}",
            args.stream, first.frame, last.frame
        )));
    }
    let mut output = Output::open(args.common.output.as_deref(), &setup.reads(&args.files))?;
    let look = terminal::look(output.target(), args.common.color);
    let mut ladder = Ladder::new(output.writer(), look, setup.names.clone());
    let drawn = ladder
        .draw(&judged, &found.packets, &shown)
        .and_then(|()| ladder.finish(&judged, &setup.view(true, None)));
    drop(ladder);
    drawn.map_err(|error| output.failure(&error))?;
    output.close()?;
    match whole {
        Completeness::Whole => Ok(Exit::Done),
        Completeness::Partial => Ok(Exit::Partial),
    }
}

/// What the capture holds of one stream.
struct Found {
    judged: Option<Judged>,
    packets: Packets,
    last_stream: Option<u32>,
}

fn find(
    recording: &mut Recording,
    filters: Option<&mut Filters>,
    setup: &Setup,
    args: &ShowArgs,
) -> io::Result<Found> {
    let wanted = args.stream;
    let mut marks = wireshark::Analysis::new();
    let mut analysis = Analysis::new(setup.options.clone());
    let mut packets = Packets::new(match args.shown() {
        PacketChoice::Folded => KEPT,
        PacketChoice::All | PacketChoice::Frames(_) => usize::MAX,
    });
    let mut last_stream = None;
    let mut judged = None;
    let mut sink = |one: &Judged| {
        if one.connection.stream == wanted {
            judged.get_or_insert_with(|| one.clone());
        }
        Ok(())
    };
    let mut feed = Feed::new(recording, filters);
    while let Some(taken) = feed.next(|fed| {
        let marked = marks.observe(fed.packet);
        last_stream = last_stream.max(marked.map(|marked| marked.stream));
        let observed = analysis.take(fed, &mut sink)?;
        let is_copy = observed.is_some_and(|observed| observed.is_copy);
        let of_wanted = marked.filter(|marked| fed.passes && marked.stream == wanted);
        if let Some(marked) = of_wanted {
            packets.add(fed.packet, &marked, is_copy);
        }
        io::Result::Ok(())
    }) {
        taken?;
    }
    analysis.finish(&engine::summarize(recording), &mut sink)?;
    if let Some(judged) = &judged {
        let server = &judged.connection.server;
        packets.name_sides((server.address, server.port).into());
    }
    Ok(Found {
        judged,
        packets,
        last_stream,
    })
}
