//! `wirewhy show`: one connection in full.

use std::io;
use std::path::Path;

use wirewhy::engine::{self, Analysis, Feed};
use wirewhy::packets::reread;
use wirewhy_capture::{Filters, Recording};
use wirewhy_detect::Diagnosis;
use wirewhy_flow::{Connection, Transport, wireshark};
use wirewhy_report::{Ladder, PacketChoice, Packets};

use crate::cli::ShowArgs;
use crate::exit::{Exit, Failure};
use crate::measures::StreamNumber;
use crate::output::Output;
use crate::setup::{Completeness, Setup, open, spoken};
use crate::terminal;

/// How many packets are kept, unless all are to be drawn.
const KEPT: usize = 200_000;

pub(crate) fn run(args: &ShowArgs) -> Result<Exit, Failure> {
    let setup = Setup::new(&args.common, &args.select, &args.tls)?;
    let mut recording = open(&args.files)?;
    let mut filters = setup.filters.clone();
    let mut found = find(&mut recording, filters.as_mut(), &setup, args).map_err(Failure::new)?;
    let whole = setup.wrap_up(&recording, filters.as_ref());
    if found.all.is_empty() {
        let source = spoken(&engine::summarize(&recording).source).to_owned();
        return Err(Failure::new(missing(&source, args.stream, &found)));
    }
    if args.stream.transport == Transport::Udp {
        read_datagrams(args, &setup, &mut found)?;
    }
    let shown = args.shown();
    if let PacketChoice::Frames(range) = &shown
        && let [(first, _), ..] = found.all.as_slice()
        && let Some((last, _)) = found.all.last()
    {
        let mut rows = found.all.iter().flat_map(|(_, packets)| packets.iter());
        if !rows.any(|row| range.contains(&row.frame)) {
            return Err(Failure::new(format!(
                "--frames: none of these frames is of stream {}, which has frames {} to {}",
                args.stream, first.connection.first.frame, last.connection.last.frame
            )));
        }
    }
    let mut output = Output::open(args.common.output.as_deref(), &setup.reads(&args.files))?;
    let style = terminal::style(output.target(), args.common.color);
    let mut drawn = Ok(());
    for (at, (diagnosis, packets)) in found.all.iter().enumerate() {
        let mut ladder = Ladder::new(output.writer(), style, setup.names.clone());
        drawn = ladder
            .apart(at > 0)
            .and_then(|()| ladder.draw(diagnosis, packets, &shown))
            .and_then(|()| ladder.finish(diagnosis, &setup.view(true, None)));
        if drawn.is_err() {
            break;
        }
    }
    drawn.map_err(|error| output.failure(&error))?;
    output.close()?;
    match whole {
        Completeness::Whole => Ok(Exit::Done),
        Completeness::Partial => Ok(Exit::Partial),
    }
}

/// Whether a conversation over UDP is one of those whose datagrams can be drawn.
fn has_rows(connection: &Connection) -> bool {
    connection.quic().is_some() || connection.dtls().is_some()
}

/// Why there is nothing to show.
fn missing(source: &str, wanted: StreamNumber, found: &Found) -> String {
    let Some(last) = found.last_stream else {
        return match wanted.transport {
            Transport::Tcp => format!("{source}: has no TCP connection"),
            Transport::Udp => format!("{source}: has no connection over QUIC or DTLS"),
        };
    };
    match wanted.transport {
        Transport::Tcp if last >= wanted.number => {
            format!("{source}: nothing of stream {wanted} is left to show")
        }
        Transport::Tcp => format!("{source}: has no stream {wanted}; its streams are 0 to {last}"),
        Transport::Udp => format!("{source}: stream {wanted} is no connection over QUIC or DTLS"),
    }
}

/// What the capture holds of one stream.
struct Found {
    /// The connections, in the order of their first frames, and their packets: one over TCP; over QUIC several may follow each
    /// other between the same ends.
    all: Vec<(Diagnosis, Packets)>,
    last_stream: Option<u32>,
}

fn room(args: &ShowArgs) -> usize {
    match args.shown() {
        PacketChoice::Folded => KEPT,
        PacketChoice::All | PacketChoice::Frames(_) => usize::MAX,
    }
}

fn find(
    recording: &mut Recording,
    filters: Option<&mut Filters>,
    setup: &Setup,
    args: &ShowArgs,
) -> io::Result<Found> {
    let wanted = args.stream;
    let is_tcp = wanted.transport == Transport::Tcp;
    let mut marks = wireshark::WiresharkAnalysis::new();
    let mut analysis = Analysis::new(setup.options.clone());
    let mut packets = Packets::new(room(args));
    let mut last_stream = None;
    let mut last_quic = None;
    let mut diagnosis: Vec<Diagnosis> = Vec::new();
    let mut sink = |one: &Diagnosis| {
        let connection = &one.connection;
        let is_it = connection.transport == wanted.transport && connection.stream == wanted.number;
        if has_rows(connection) {
            last_quic = last_quic.max(Some(connection.stream));
        }
        // Only the first of a stream of TCP.
        let shown = match is_tcp {
            true => diagnosis.is_empty(),
            false => has_rows(connection),
        };
        if is_it && shown {
            diagnosis.push(one.clone());
        }
        Ok(())
    };
    let mut feed = Feed::new(recording, filters);
    while let Some(taken) = feed.next(|fed| {
        let marked = marks.observe(fed.packet);
        last_stream = last_stream.max(marked.map(|marked| marked.stream));
        let observed = analysis.take(fed, &mut sink)?;
        let is_copy = observed.is_some_and(|observed| observed.is_copy);
        let of_wanted =
            marked.filter(|marked| is_tcp && fed.passes && marked.stream == wanted.number);
        if let Some(marked) = of_wanted {
            packets.add(fed.packet, &marked, is_copy);
        }
        io::Result::Ok(())
    }) {
        taken?;
    }
    analysis.finish(&engine::summarize(recording), &mut sink)?;
    diagnosis.sort_by_key(|one| one.connection.first.frame);
    let mut all: Vec<(Diagnosis, Packets)> = Vec::new();
    for one in diagnosis {
        let mut own = std::mem::replace(&mut packets, Packets::new(0));
        let server = &one.connection.server;
        own.name_sides((server.address, server.port).into());
        all.push((one, own));
    }
    Ok(Found {
        all,
        last_stream: if is_tcp { last_stream } else { last_quic },
    })
}

/// Reads the files again for the datagrams of connections over QUIC: which are theirs is known once they are diagnosed, as a connection
/// may move to other addresses and ports. What cannot be read twice has none to be drawn.
fn read_datagrams(args: &ShowArgs, setup: &Setup, found: &mut Found) -> Result<(), Failure> {
    if args.files.iter().any(|file| file == Path::new("-")) {
        return Ok(());
    }
    let mut recording = open(&args.files)?;
    let wanted: Vec<&Diagnosis> = found.all.iter().map(|(diagnosis, _)| diagnosis).collect();
    let again = reread(&mut recording, setup.filters.clone().as_mut(), &wanted);
    for ((_, packets), read) in found.all.iter_mut().zip(again) {
        if let Some(read) = read {
            *packets = read;
        }
    }
    Ok(())
}
