//! The lines of a ladder, for text and HTML alike.

use wirewhy_detect::Judged;
use wirewhy_flow::{Connection, EventKind};
use wirewhy_packet::{Interval, Timestamp};

use super::IcmpRow;
use super::window::Window;
use crate::PacketRow;
use crate::messages::Messages;
use crate::packets::{Kept, Packets};

/// Silence from here on gets a line of its own.
const NOTABLE_SILENCE: Interval = Interval::from_secs(1);

/// One line of a ladder.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Line<'a> {
    /// Neither side sent anything for so long.
    Silence(Interval),
    /// Neither side sent anything more for so long, and then the capture ended or the connection was no longer followed.
    Nothing(Interval),
    /// So many packets are not drawn.
    LeftOut(u64),
    /// A packet, and what it carries of TLS and HTTP.
    Packet(&'a PacketRow, String),
    /// An ICMP error.
    Icmp(IcmpRow),
}

/// Gives `draw` the lines of a ladder one by one, until it fails.
pub(crate) fn lines<'a, E>(
    judged: &Judged,
    packets: &'a Packets,
    all: bool,
    draw: &mut dyn FnMut(Line<'a>) -> Result<(), E>,
) -> Result<(), E> {
    let connection = &*judged.connection;
    let rows = packets.rows();
    let frames: Vec<u64> = rows.iter().map(|kept| kept.row.frame).collect();
    let window = Window::new(&frames, &judged.findings, all);
    let messages = Messages::of_connection(connection);
    let mut icmp = icmp_rows(connection).into_iter().peekable();
    let mut time = Clock::default();
    // The place behind the latest packet that is drawn, and where the one before in the rows stands.
    let (mut next, mut before) = (0, None);
    for (index, kept) in rows.into_iter().enumerate() {
        if !window.shows(index) {
            before = Some(kept);
            continue;
        }
        let Kept { place, row } = kept;
        if *place > next {
            draw(Line::LeftOut(place - next))?;
            // What follows is silent since the packet before it, if that is known.
            time.set(before.filter(|before: &&Kept| before.place + 1 == *place));
        }
        next = place + 1;
        while let Some(error) = icmp.next_if(|error| error.frame < row.frame) {
            if let Some(silent) = time.pass(error.time) {
                draw(silent)?;
            }
            draw(Line::Icmp(error))?;
        }
        if let Some(silent) = time.pass(row.time) {
            draw(silent)?;
        }
        draw(Line::Packet(row, messages.of(row.frame, row.from)))?;
    }
    let left_out = packets.count().saturating_sub(next);
    if left_out > 0 {
        draw(Line::LeftOut(left_out))?;
    }
    for error in icmp {
        if let Some(silent) = time.pass(error.time) {
            draw(silent)?;
        }
        draw(Line::Icmp(error))?;
    }
    let silent = connection.heard_after(connection.last.time);
    if silent >= NOTABLE_SILENCE && !is_over(connection) {
        draw(Line::Nothing(silent))?;
    }
    Ok(())
}

/// Whether silence is what is expected of it: it was reset, or both sides closed.
fn is_over(connection: &Connection) -> bool {
    let ends = [&connection.client.tcp, &connection.server.tcp];
    ends.iter().any(|end| end.counts.resets > 0) || ends.iter().all(|end| end.fin.is_some())
}

/// The time of the line before.
#[derive(Default)]
struct Clock(Option<Timestamp>);

impl Clock {
    fn set(&mut self, kept: Option<&Kept>) {
        self.0 = kept.map(|kept| kept.row.time);
    }

    /// Goes on to a time; returns a line where it was silent up to then.
    fn pass(&mut self, now: Timestamp) -> Option<Line<'static>> {
        let silent = now.since(self.0.replace(now)?);
        (silent >= NOTABLE_SILENCE).then_some(Line::Silence(silent))
    }
}

/// The ICMP errors about a connection.
pub(crate) fn icmp_rows(connection: &Connection) -> Vec<IcmpRow> {
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
