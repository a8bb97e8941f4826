//! `wirewhy show`: one connection in full.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;

use wirewhy::engine::{self, Analysis, Feed};
use wirewhy_capture::{Filters, Recording};
use wirewhy_detect::Judged;
use wirewhy_flow::wireshark::{self, Marked};
use wirewhy_flow::{Connection, Endpoint, EventKind, Side};
use wirewhy_packet::{Packet, TcpFlags, Transport};
use wirewhy_report::{IcmpRow, Ladder, PacketRow};

use super::packets::{DUPLICATE, mark};
use super::window::Window;
use crate::cli::ShowArgs;
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::setup::{Completeness, Setup, open, spoken};
use crate::terminal;

/// How many packets are kept from the beginning of the connection, and as many from its end, unless all are to be drawn.
const KEPT: usize = 50_000;

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
    let mut output = Output::open(args.common.output.as_deref(), &setup.reads(&args.files))?;
    let look = terminal::look(output.target(), args.common.color);
    let mut ladder = Ladder::new(output.writer(), look, setup.names.clone());
    let rows = &found.rows;
    let drawn = draw(&mut ladder, &judged, rows, args.all_packets)
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
#[derive(Default)]
struct Found {
    judged: Option<Judged>,
    rows: Rows,
    last_stream: Option<u32>,
}

/// One packet, until it is known which side is the client.
struct Row {
    source: SocketAddr,
    flags: TcpFlags,
    len: u32,
    window: u16,
    frame: u64,
    time: wirewhy_packet::Timestamp,
    marked: Marked,
    is_copy: bool,
}

/// Packets of one connection, bounded.
#[derive(Default)]
struct Rows {
    first: Vec<Row>,
    last: VecDeque<Row>,
    left_out: u64,
}

impl Rows {
    fn push(&mut self, row: Row, keep_all: bool) {
        if keep_all || self.first.len() < KEPT {
            self.first.push(row);
            return;
        }
        if self.last.len() >= KEPT {
            self.last.pop_front();
            self.left_out += 1;
        }
        self.last.push_back(row);
    }
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
    let mut found = Found::default();
    let mut judged = None;
    let mut sink = |one: &Judged| {
        if one.connection.stream == wanted {
            judged.get_or_insert_with(|| one.clone());
        }
        Ok(())
    };
    let mut feed = Feed::new(recording, filters);
    while let Some(taken) = feed.next(|fed| {
        let marked = mark(&mut marks, fed.packet).map(|(marked, _)| marked);
        found.last_stream = found.last_stream.max(marked.map(|marked| marked.stream));
        let observed = analysis.take(fed, &mut sink)?;
        let of_wanted = marked.filter(|marked| fed.passes && marked.stream == wanted);
        let is_copy = observed.is_some_and(|observed| observed.is_copy);
        if let Some(row) = of_wanted.and_then(|marked| row(fed.packet, marked, is_copy)) {
            found.rows.push(row, args.all_packets);
        }
        io::Result::Ok(())
    }) {
        taken?;
    }
    analysis.finish(&engine::summarize(recording), &mut sink)?;
    found.judged = judged;
    Ok(found)
}

/// The packet itself; what an ICMP error quotes is drawn from the events of the connection.
fn row(packet: &Packet<'_>, marked: Marked, is_copy: bool) -> Option<Row> {
    let Transport::Tcp(segment) = &packet.transport else {
        return None;
    };
    Some(Row {
        source: SocketAddr::new(packet.ip?.source, segment.source_port),
        flags: segment.flags,
        len: segment.payload_len,
        window: segment.window,
        frame: packet.frame,
        time: packet.time,
        marked,
        is_copy,
    })
}

fn draw(
    ladder: &mut Ladder<impl io::Write>,
    judged: &Judged,
    rows: &Rows,
    all: bool,
) -> io::Result<()> {
    let connection = &judged.connection;
    ladder.columns(socket(&connection.client), socket(&connection.server))?;
    if let Some(tls) = connection.app.as_deref().and_then(|app| app.tls.as_deref()) {
        ladder.messages(tls);
    }
    let mut icmp = icmp_rows(connection).into_iter().peekable();
    let mut marks = Vec::new();
    let frames: Vec<u64> = rows
        .first
        .iter()
        .chain(&rows.last)
        .map(|row| row.frame)
        .collect();
    let window = Window::new(&frames, &judged.findings, all);
    let mut left_out = 0;
    let mut latest = connection.first.time;
    for (index, row) in rows.first.iter().chain(&rows.last).enumerate() {
        if index == rows.first.len() {
            left_out += rows.left_out;
        }
        if !window.shows(index) {
            left_out += 1;
            latest = row.time;
            continue;
        }
        if left_out > 0 {
            ladder.left_out(left_out, latest)?;
            left_out = 0;
        }
        while let Some(error) = icmp.next_if(|error| error.frame < row.frame) {
            ladder.icmp(&error)?;
        }
        marks.clear();
        marks.extend(row.marked.marks.names());
        if row.is_copy {
            marks.push(DUPLICATE);
        }
        ladder.packet(&PacketRow {
            frame: row.frame,
            time: row.time,
            stream: row.marked.stream,
            from: side(connection, row.source),
            flags: row.flags,
            seq: row.marked.relative_seq,
            ack: row.marked.relative_ack,
            len: row.len,
            window: row.window,
            marks: &marks,
        })?;
    }
    icmp.try_for_each(|error| ladder.icmp(&error))
}

fn socket(endpoint: &Endpoint) -> SocketAddr {
    SocketAddr::new(endpoint.address, endpoint.port)
}

fn side(connection: &Connection, source: SocketAddr) -> Side {
    if socket(&connection.server) == source {
        Side::Server
    } else {
        Side::Client
    }
}

fn icmp_rows(connection: &Connection) -> Vec<IcmpRow> {
    connection
        .events
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::Icmp(icmp) => Some(IcmpRow {
                frame: event.frame,
                time: event.time,
                reporter: icmp.reporter,
                to: event.from,
                v6: icmp.v6,
                kind: icmp.kind,
                code: icmp.code,
                mtu: icmp.mtu,
            }),
            _ => None,
        })
        .collect()
}
