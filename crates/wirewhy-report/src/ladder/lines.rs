//! The lines of a ladder, for text and HTML alike.

use wirewhy_detect::Diagnosis;
use wirewhy_flow::{Connection, EventKind, Side};
use wirewhy_packet::{Interval, Timestamp};

use super::IcmpRow;
use super::window::{PacketChoice, Window};
use crate::PacketRow;
use crate::format::{count, counted, size, span};
use crate::messages::Messages;
use crate::packets::{Kept, Packets};

/// Silence from here on gets a line of its own.
pub(super) const NOTABLE_SILENCE: Interval = Interval::from_secs(1);

/// One line of a ladder.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Line<'a> {
    /// Neither side sent anything for so long.
    Silence(Interval),
    /// Neither side sent anything more for so long, and then the capture ended or the connection was no longer followed.
    Nothing(Interval),
    /// Packets that are not drawn.
    LeftOut(LeftOut),
    /// A packet, and what it carries of TLS and HTTP.
    Packet(&'a PacketRow, String),
    /// An ICMP error.
    Icmp(IcmpRow),
}

/// What is known of packets that are not drawn.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct LeftOut {
    /// How many they are.
    pub(crate) packets: u64,
    /// How many of them were looked at; the others were not kept, and nothing below counts them.
    pub(crate) known: u64,
    /// Payload to the client, in bytes.
    pub(crate) to_client: u64,
    /// Payload to the server, in bytes.
    pub(crate) to_server: u64,
    /// How many of them have a mark.
    pub(crate) marked: u64,
    /// The times of the first and of the last.
    times: Option<(Timestamp, Timestamp)>,
}

impl LeftOut {
    fn add(&mut self, row: &PacketRow) {
        self.known += 1;
        match row.from {
            Side::Client => self.to_server += u64::from(row.len),
            Side::Server => self.to_client += u64::from(row.len),
        }
        self.marked += u64::from(!row.marks.is_empty() || row.is_copy);
        let first = self.times.map_or(row.time, |(first, _)| first);
        self.times = Some((first, row.time));
    }

    /// From the first of them to the last.
    pub(crate) fn took(&self) -> Interval {
        self.times
            .map_or(Interval::default(), |(first, last)| last.since(first))
    }

    /// What they were, in words: `1,180 packets not shown: 118 kB to the server in 5.9 s`.
    pub(crate) fn words(&self) -> String {
        let mut text = format!("{} not shown", counted(self.packets, "packet"));
        if self.known < self.packets {
            return text;
        }
        let ways = [(self.to_server, "server"), (self.to_client, "client")];
        let mut parts: Vec<String> = ways
            .into_iter()
            .filter(|(bytes, _)| *bytes > 0)
            .map(|(bytes, to)| format!("{} to the {to}", size(bytes)))
            .collect();
        if self.marked > 0 {
            parts.push(format!("{} marked", count(self.marked)));
        }
        if parts.is_empty() {
            parts.push("no payload".to_owned());
        }
        text.push_str(&format!(": {} in {}", parts.join(", "), span(self.took())));
        text
    }
}

/// Gives `draw` the lines of a ladder one by one, until it fails.
pub(crate) fn lines<'a, E>(
    diagnosis: &Diagnosis,
    packets: &'a Packets,
    shown: &PacketChoice,
    draw: &mut dyn FnMut(Line<'a>) -> Result<(), E>,
) -> Result<(), E> {
    let connection = &*diagnosis.connection;
    let rows = packets.rows();
    let messages = Messages::of_connection(connection);
    let window = Window::over(&rows, &diagnosis.findings, shown, &|kept| {
        !messages.of(kept.row.frame, kept.row.from).is_empty()
    });
    let mut icmp = icmp_rows(connection).into_iter().peekable();
    let mut time = Clock::default();
    // The place behind the latest packet that is drawn, and where the one before in the rows stands.
    let (mut next, mut before) = (0, None);
    let mut left_out = LeftOut::default();
    for (index, kept) in rows.into_iter().enumerate() {
        if !window.shows(index) {
            left_out.add(&kept.row);
            before = Some(kept);
            continue;
        }
        let Kept { place, row } = kept;
        if *place > next {
            let packets = place - next;
            let left_out = std::mem::take(&mut left_out);
            draw(Line::LeftOut(LeftOut {
                packets,
                ..left_out
            }))?;
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
    let behind = packets.count().saturating_sub(next);
    if behind > 0 {
        draw(Line::LeftOut(LeftOut {
            packets: behind,
            ..left_out
        }))?;
        time.set(before);
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

/// Whether silence is what is expected of it: it was reset, or both sides closed; over QUIC one side did (RFC 9000 section 10.2).
fn is_over(connection: &Connection) -> bool {
    if let Some(quic) = connection.quic() {
        return quic.reset.is_some() || !quic.closes.is_empty();
    }
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
