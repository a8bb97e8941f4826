//! `wirewhy packets`: one line a TCP frame.

use std::io;

use wirewhy::engine::Feed;
use wirewhy_capture::{Filters, Recording};
use wirewhy_flow::wireshark::{Analysis, Marked};
use wirewhy_flow::{Bounds, Tracker};
use wirewhy_packet::{Packet, TcpHeader, Transport};
use wirewhy_report::{PacketRow, PacketsNdjson, PacketsText};

use crate::cli::{PacketsArgs, RowFormat, SelectArgs, TlsArgs};
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::setup::{Completeness, Setup, open};

/// The mark of a frame that was recorded before; Wireshark has no such mark.
pub(super) const DUPLICATE: &str = "capture_duplicate";

pub(crate) fn run(args: &PacketsArgs) -> Result<Exit, Failure> {
    let every = SelectArgs {
        only: Vec::new(),
        ignore: Vec::new(),
    };
    let setup = Setup::new(&args.common, &every, &TlsArgs::default())?;
    let mut recording = open(&args.files)?;
    let mut filters = setup.filters.clone();
    let mut output = Output::open(args.common.output.as_deref(), &setup.reads(&args.files))?;
    let out = output.writer();
    let written = match args.format {
        RowFormat::Text => {
            let mut table = PacketsText::new(out);
            rows(&mut recording, filters.as_mut(), &mut |row| table.row(row))
                .and_then(|()| table.finish())
        }
        RowFormat::Ndjson => {
            let mut table = PacketsNdjson::new(out);
            rows(&mut recording, filters.as_mut(), &mut |row| table.row(row))
                .and_then(|()| table.finish())
        }
    };
    written.map_err(|error| output.failure(&error))?;
    output.close()?;
    match setup.wrap_up(&recording, filters.as_ref()) {
        Completeness::Whole => Ok(Exit::Done),
        Completeness::Partial => Ok(Exit::Partial),
    }
}

/// Marks every frame, so that numbers and marks are those of the whole capture, and hands on those the filter lets
/// through.
fn rows(
    recording: &mut Recording,
    filters: Option<&mut Filters>,
    sink: &mut dyn FnMut(&PacketRow<'_>) -> io::Result<()>,
) -> io::Result<()> {
    let mut analysis = Analysis::new();
    let mut tracker = Tracker::new(Bounds::default());
    let mut marks = Vec::new();
    let mut feed = Feed::new(recording, filters);
    while let Some(written) = feed.next(|fed| {
        let observed = tracker.observe(fed.packet, &mut |_| {});
        let Some((marked, header)) = mark(&mut analysis, fed.packet) else {
            return Ok(());
        };
        if !fed.passes {
            return Ok(());
        }
        marks.clear();
        marks.extend(marked.marks.names());
        if observed.is_some_and(|observed| observed.is_copy) {
            marks.push(DUPLICATE);
        }
        sink(&row(fed.packet, &marked, &header, &marks))
    }) {
        written?;
    }
    Ok(())
}

/// Wireshark's view of a packet, with the TCP header it is about: the packet's own, or the one an ICMP error quotes.
pub(super) fn mark(analysis: &mut Analysis, packet: &Packet<'_>) -> Option<(Marked, TcpHeader)> {
    let marked = analysis.observe(packet)?;
    let header = match &packet.transport {
        Transport::Tcp(segment) => TcpHeader::from(segment),
        Transport::IcmpError(error) => error.quoted?.tcp?.header?,
        _ => return None,
    };
    Some((marked, header))
}

pub(super) fn row<'m>(
    packet: &Packet<'_>,
    marked: &Marked,
    header: &TcpHeader,
    marks: &'m [&'static str],
) -> PacketRow<'m> {
    PacketRow {
        frame: packet.frame,
        time: packet.time,
        stream: marked.stream,
        from: marked.from,
        flags: header.flags,
        seq: marked.relative_seq,
        ack: marked.relative_ack,
        len: header.payload_len,
        window: header.window,
        marks,
    }
}
