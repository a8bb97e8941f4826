//! `wirewhy packets`: one line a TCP frame.

use std::io;

use wirewhy_capture::{Filters, Reader};
use wirewhy_flow::wireshark::{Analysis, Marked};
use wirewhy_flow::{Bounds, Tracker};
use wirewhy_packet::{Decoder, Packet, TcpHeader, Transport};
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
    let mut reader = open(&args.file)?;
    let mut filters = setup.filters.clone();
    let mut output = Output::open(
        args.common.output.as_deref(),
        std::slice::from_ref(&args.file),
    )?;
    let out = output.writer();
    let written = match args.format {
        RowFormat::Text => {
            let mut table = PacketsText::new(out);
            rows(&mut reader, filters.as_mut(), &mut |row| table.row(row))
                .and_then(|()| table.finish())
        }
        RowFormat::Ndjson => {
            let mut table = PacketsNdjson::new(out);
            rows(&mut reader, filters.as_mut(), &mut |row| table.row(row))
                .and_then(|()| table.finish())
        }
    };
    written.map_err(|error| output.failure(&error))?;
    output.close()?;
    match setup.wrap_up(&reader, filters.as_ref()) {
        Completeness::Whole => Ok(Exit::Done),
        Completeness::Partial => Ok(Exit::Partial),
    }
}

/// Marks every frame, so that numbers and marks are those of the whole capture, and hands on those the filter lets
/// through.
fn rows(
    reader: &mut Reader,
    mut filters: Option<&mut Filters>,
    sink: &mut dyn FnMut(&PacketRow<'_>) -> io::Result<()>,
) -> io::Result<()> {
    let mut decoder = Decoder::new();
    let mut analysis = Analysis::new();
    let mut tracker = Tracker::new(Bounds::default());
    let mut marks = Vec::new();
    while let Some(frame) = reader.next() {
        let passes = filters
            .as_mut()
            .is_none_or(|filters| filters.matches(&frame));
        let packet = decoder.decode(&frame);
        let observed = tracker.observe(&packet, &mut |_| {});
        let Some((marked, header)) = mark(&mut analysis, &packet) else {
            continue;
        };
        if !passes {
            continue;
        }
        marks.clear();
        marks.extend(marked.marks.names());
        if observed.is_some_and(|observed| observed.is_copy) {
            marks.push(DUPLICATE);
        }
        sink(&row(&packet, &marked, &header, &marks))?;
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
