//! The ladder: a table with a row for each packet, and an arrow in it.

use std::collections::BTreeSet;
use std::convert::Infallible;

use maud::{Markup, html};
use wirewhy_detect::Diagnosis;
use wirewhy_flow::wireshark::Marks;
use wirewhy_flow::{Connection, Side};
use wirewhy_packet::{TcpFlags, Timestamp};

use super::{Cited, Key};
use crate::format::{count, counted, span};
use crate::ladder::{IcmpRow, Line, PacketChoice, lines};
use crate::model::StreamId;
use crate::{Names, PacketRow, Packets};

/// A ladder, drawn.
pub(super) struct Drawn {
    pub(super) table: Markup,
    /// The frames that prove a finding and have a row.
    pub(super) frames: BTreeSet<u64>,
}

/// The table of a connection.
pub(super) fn of(
    diagnosis: &Diagnosis,
    packets: &Packets,
    names: &Names,
    cited: &Cited<'_>,
    key: &Key,
) -> Drawn {
    let connection = &*diagnosis.connection;
    let ladder = LadderPicture {
        names,
        cited,
        key,
        origin: connection.first.time,
    };
    let mut rows: Vec<Markup> = Vec::new();
    let mut frames = BTreeSet::new();
    let drawn: Result<(), Infallible> =
        lines(diagnosis, packets, &PacketChoice::Folded, &mut |line| {
            let frame = match &line {
                Line::Packet(row, _) => Some(row.frame),
                Line::Icmp(row) => Some(row.frame),
                _ => None,
            };
            frames.extend(frame.filter(|frame| cited.is_cited(*frame)));
            rows.push(ladder.row(&line));
            Ok(())
        });
    let Ok(()) = drawn;
    let table = table(connection, packets, names, &rows);
    Drawn { table, frames }
}

fn table(connection: &Connection, packets: &Packets, names: &Names, rows: &[Markup]) -> Markup {
    let place = |side: Side| {
        let end = connection.side(side);
        names.socket(end.address, end.port)
    };
    html! {
        figure.ladder {
            table {
                caption { "The packets of the connection: stream " (StreamId::of(connection)) ", " (counted(packets.count(), "packet")) }
                thead {
                    tr {
                        th.n scope="col" { "Frame" }
                        th.n scope="col" { "Seconds" }
                        th.lane scope="col" {
                            span.end { (place(Side::Client)) }
                            span.end { (place(Side::Server)) }
                        }
                        th.n scope="col" { "Seq" }
                        th.n scope="col" { "Ack" }
                        th.n scope="col" { "Win" }
                        th scope="col" { "What it carries, and its marks" }
                    }
                }
                tbody {
                    @for row in rows { (row) }
                }
            }
        }
    }
}

struct LadderPicture<'a> {
    names: &'a Names,
    cited: &'a Cited<'a>,
    key: &'a Key,
    origin: Timestamp,
}

impl LadderPicture<'_> {
    fn row(&self, line: &Line<'_>) -> Markup {
        match line {
            Line::Silence(silent) => between("rest", &format!("{} of silence", span(*silent))),
            Line::Nothing(silent) => between("rest", &format!("nothing more in {}", span(*silent))),
            Line::LeftOut(left_out) => between("folded", &format!("… {}", left_out.words())),
            Line::Packet(row, carries) => self.packet(row, carries),
            Line::Icmp(row) => self.icmp(row),
        }
    }

    fn packet(&self, row: &PacketRow, carries: &str) -> Markup {
        let marks: Vec<String> = row
            .mark_names()
            .map(|name| name.replace('_', " "))
            .collect();
        html! {
            tr id=[self.id(row.frame)] class=[self.class(row)] {
                td.n { (row.frame) }
                td.n { (self.seconds(row.time)) }
                td.lane { (arrow(row)) }
                @if row.datagram.is_empty() {
                    td.n { (row.seq) }
                    td.n { @if let Some(ack) = row.ack { (ack) } }
                    td.n { (row.window) }
                } @else {
                    td {} td {} td {}
                }
                td {
                    (self.cited.links(row.frame, self.key))
                    (carries)
                    @if !marks.is_empty() {
                        em class=[is_bad(row).then_some("bad")] { (marks.join(", ")) }
                    }
                }
            }
        }
    }

    fn icmp(&self, row: &IcmpRow) -> Markup {
        let (path, to) = match row.to {
            Side::Client => ("M130 15H5l6-4m-6 4l6 4", "client"),
            Side::Server => ("M130 15H255l-6-4m6 4l-6 4", "server"),
        };
        let reporter = self.names.host(row.reporter);
        html! {
            tr.icmp.cited[self.cited.is_cited(row.frame)] id=[self.id(row.frame)] {
                td.n { (row.frame) }
                td.n { (self.seconds(row.time)) }
                td.lane {
                    svg viewBox="0 0 260 22" role="img" aria-label=(format!("ICMP to the {to}")) {
                        path d=(path) {}
                        circle cx="130" cy="15" r="3" {}
                        text x="130" y="9" { "ICMP" }
                    }
                }
                td {} td {} td {}
                td { (self.cited.links(row.frame, self.key)) (row.message()) ", from " (reporter) }
            }
        }
    }

    /// Only what is linked to has an id.
    fn id(&self, frame: u64) -> Option<String> {
        self.cited
            .is_cited(frame)
            .then(|| format!("{}-{frame}", self.key))
    }

    fn class(&self, row: &PacketRow) -> Option<String> {
        let classes = [
            (self.cited.is_cited(row.frame), "cited"),
            (row.flags.has(TcpFlags::RST), "reset"),
            (is_bad(row), "bad"),
            (row.is_copy, "copy"),
        ];
        let classes: Vec<&str> = classes
            .into_iter()
            .filter_map(|(is_it, class)| is_it.then_some(class))
            .collect();
        (!classes.is_empty()).then(|| classes.join(" "))
    }

    fn seconds(&self, time: Timestamp) -> String {
        format!("{:.6}", time.since(self.origin).as_secs_f64())
    }
}

/// Whether a packet was lost, or is there because of a loss or of a window that is closed.
fn is_bad(row: &PacketRow) -> bool {
    const BAD: [Marks; 6] = [
        Marks::RETRANSMISSION,
        Marks::OUT_OF_ORDER,
        Marks::LOST_SEGMENT,
        Marks::ACK_LOST_SEGMENT,
        Marks::DUPLICATE_ACK,
        Marks::ZERO_WINDOW,
    ];
    BAD.into_iter().any(|mark| row.marks.has(mark))
}

/// A row about no packet.
fn between(class: &str, note: &str) -> Markup {
    html! {
        tr class=(class) {
            td colspan="2" {}
            td.lane { (note) }
            td colspan="4" {}
        }
    }
}

/// The arrow of a packet: a plain head, two heads where it was sent again, a cross for a reset.
fn arrow(row: &PacketRow) -> Markup {
    let (x, back, to) = match row.from {
        Side::Client => ("M4 15H", -6, "server"),
        Side::Server => ("M256 15H", 6, "client"),
    };
    let end = if row.from == Side::Client { 256 } else { 4 };
    let head = format!("l{back}-4m{} 4l{back} 4", -back);
    let path = if row.flags.has(TcpFlags::RST) {
        format!("{x}{end}m-4-4l8 8m0-8l-8 8")
    } else if row.marks.has(Marks::RETRANSMISSION) {
        format!("{x}{end}{head}M{} 15{head}", end + back)
    } else {
        format!("{x}{end}{head}")
    };
    let mut label = row.quic_packets().unwrap_or_else(|| flags(row.flags));
    if row.len > 0 {
        label.push_str(&format!(" {}", count(u64::from(row.len))));
    }
    html! {
        svg viewBox="0 0 260 22" role="img" aria-label=(format!("{label} to the {to}")) {
            path d=(path) {}
            text x="130" y="10" { (label) }
        }
    }
}

/// The control bits by their names.
fn flags(flags: TcpFlags) -> String {
    const NAMED: [(TcpFlags, &str); 8] = [
        (TcpFlags::SYN, "SYN"),
        (TcpFlags::FIN, "FIN"),
        (TcpFlags::RST, "RST"),
        (TcpFlags::PSH, "PSH"),
        (TcpFlags::ACK, "ACK"),
        (TcpFlags::URG, "URG"),
        (TcpFlags::ECE, "ECE"),
        (TcpFlags::CWR, "CWR"),
    ];
    let names: Vec<&str> = NAMED
        .into_iter()
        .filter(|(bit, _)| flags.has(*bit))
        .map(|(_, name)| name)
        .collect();
    match names.as_slice() {
        [] => "no flags".to_owned(),
        names => names.join(" "),
    }
}
