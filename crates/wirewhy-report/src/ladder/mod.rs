//! One connection in full: every packet between two columns, then its numbers and its findings.

mod lines;
mod quic;
mod window;

use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};

use wirewhy_detect::{Diagnosis, Severity};
use wirewhy_flow::{Connection, Endpoint, LookedUp, Side};
use wirewhy_packet::Timestamp;

use crate::messages;
use crate::model::StreamId;
use crate::style::{Page, Sheet, wrap};
use crate::text::entry;
use crate::{Names, PacketRow, Packets, Safe, TextStyle, View, format, lookup};
pub(crate) use lines::{Line, icmp_rows, lines};
pub use window::PacketChoice;

/// Width of what stands before the lane: frame number and time.
const MARGIN: usize = 23;

/// An ICMP error about the connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct IcmpRow {
    /// The frame number.
    pub(crate) frame: u64,
    /// When it was captured.
    pub(crate) time: Timestamp,
    /// Who reported the error.
    pub(crate) reporter: IpAddr,
    /// The side whose packet it quotes, and which it is sent to.
    pub(crate) to: Side,
    /// Whether it is ICMPv6.
    pub(crate) v6: bool,
    /// ICMP type.
    pub(crate) kind: u8,
    /// ICMP code.
    pub(crate) code: u8,
    /// Next-hop MTU in bytes, where it carries one.
    pub(crate) mtu: Option<u32>,
}

impl IcmpRow {
    /// What it says, by name and number (RFC 792, RFC 1122, RFC 1812, RFC 4443).
    pub(crate) fn message(&self) -> String {
        let IcmpRow { v6, kind, code, .. } = *self;
        let name = match (v6, kind, code) {
            (false, 3, 0) => "net unreachable",
            (false, 3, 1) => "host unreachable",
            (false, 3, 2) => "protocol unreachable",
            (false, 3, 3) | (true, 1, 4) => "port unreachable",
            (false, 3, 4) => "fragmentation needed",
            (false, 3, 9) => "net administratively prohibited",
            (false, 3, 10) => "host administratively prohibited",
            (false, 3, 13) => "communication administratively prohibited",
            (false, 4, _) => "source quench",
            (false, 5, _) | (true, 137, _) => "redirect",
            (false, 11, 0) | (true, 3, 0) => "time exceeded in transit",
            (false, 11, _) | (true, 3, _) => "fragment reassembly time exceeded",
            (false, 12, _) | (true, 4, _) => "parameter problem",
            (true, 1, 0) => "no route to destination",
            (true, 1, 1) => "communication administratively prohibited",
            (true, 1, 2) => "beyond scope of source address",
            (true, 1, 3) => "address unreachable",
            (true, 1, 5) => "source address failed ingress or egress policy",
            (true, 1, 6) => "reject route to destination",
            (false, 3, _) | (true, 1, _) => "destination unreachable",
            (true, 2, _) => "packet too big",
            _ => "error",
        };
        match self.mtu {
            Some(mtu) => format!("{name} (type {kind}, code {code}), mtu {mtu}"),
            None => format!("{name} (type {kind}, code {code})"),
        }
    }
}

/// Draws a connection packet by packet, as the packets come.
#[derive(Debug)]
pub struct Ladder<W> {
    out: W,
    look: TextStyle,
    names: Names,
    first: Option<Timestamp>,
    /// Whether the option that draws everything was named.
    is_named: bool,
}

impl<W: Write> Ladder<W> {
    /// A ladder with nothing on it.
    pub fn new(out: W, look: TextStyle, names: Names) -> Ladder<W> {
        Ladder {
            out,
            look,
            names,
            first: None,
            is_named: false,
        }
    }

    /// Names the two columns.
    fn columns(&mut self, client: SocketAddr, server: SocketAddr) -> io::Result<()> {
        // A name that alone is wider than the lane would run over the edge.
        let lane = self.lane();
        let fitting = |text: String| match text.chars().count() > lane {
            true => {
                // The end of an address and the port tell more than its beginning.
                let over = text.chars().count() + 1 - lane;
                format!("…{}", text.chars().skip(over).collect::<String>())
            }
            false => text,
        };
        let client = fitting(self.names.socket(client.ip(), client.port()));
        let server = fitting(self.names.socket(server.ip(), server.port()));
        let room = self
            .lane()
            .saturating_sub(client.chars().count() + server.chars().count());
        let margin = MARGIN;
        let heading = format!("{:>8} {:>12}  ", "frame", "seconds");
        write!(
            self.out,
            "{}",
            self.look.quiet(&format!("{heading:<margin$}"))
        )?;
        if room == 0 {
            // Two long names: one under the other rather than over the edge.
            writeln!(self.out, "{}", self.look.strong(&client))?;
            let lane = self.lane();
            return writeln!(
                self.out,
                "{:margin$}{}",
                "",
                self.look.strong(&format!("{server:>lane$}"))
            );
        }
        let gap = " ".repeat(room);
        writeln!(
            self.out,
            "{}{gap}{}",
            self.look.strong(&client),
            self.look.strong(&server)
        )
    }

    /// Keeps what is drawn apart from what stands before it, where something does.
    pub fn apart(&mut self, is_behind_another: bool) -> io::Result<()> {
        match is_behind_another {
            true => writeln!(self.out),
            false => Ok(()),
        }
    }

    /// The packets of a connection and the ICMP errors about it. `shown` is which packets are
    /// drawn; what is left out is counted.
    pub fn draw(
        &mut self,
        diagnosis: &Diagnosis,
        packets: &Packets,
        shown: &PacketChoice,
    ) -> io::Result<()> {
        let ends = [&diagnosis.connection.client, &diagnosis.connection.server];
        let [client, server] = ends.map(|end| SocketAddr::new(end.address, end.port));
        self.columns(client, server)?;
        lines(diagnosis, packets, shown, &mut |line| match line {
            Line::Silence(silent) => self.in_the_middle(&format!("{} later", format::span(silent))),
            Line::Nothing(silent) => {
                self.in_the_middle(&format!("nothing more in {}", format::span(silent)))
            }
            Line::LeftOut(left_out) => self.left_out(&left_out.words()),
            Line::Packet(row, carries) => self.packet(row, &carries),
            Line::Icmp(row) => self.icmp(&row),
        })
    }

    /// Packets that are not drawn; how to have them drawn is noted once.
    fn left_out(&mut self, what: &str) -> io::Result<()> {
        let mut note = format!("… {what}");
        if !std::mem::replace(&mut self.is_named, true) {
            note.push_str("; --all draws every packet");
        }
        wrap(&note, self.lane().saturating_sub(8))
            .iter()
            .try_for_each(|line| self.in_the_middle(line))
    }

    /// One TCP packet, or one datagram of QUIC.
    fn packet(&mut self, row: &PacketRow, carries: &str) -> io::Result<()> {
        if let Some(kinds) = row.quic_packets() {
            let label = format!("{kinds}  len {}", row.len);
            self.rung(row.frame, row.time, &arrow(&label, row.from, self.lane()))?;
            return self.remarks(carries, row.from);
        }
        let mut label = format!("{}  seq {}", row.flags, row.seq);
        if let Some(ack) = row.ack {
            label.push_str(&format!("  ack {ack}"));
        }
        if row.len > 0 {
            label.push_str(&format!("  len {}", row.len));
        }
        label.push_str(&format!("  win {}", row.window));
        self.rung(row.frame, row.time, &arrow(&label, row.from, self.lane()))?;
        // What a packet repeats was named where it was seen first.
        self.remarks(carries, row.from)?;
        let marks: Vec<&str> = row.mark_names().collect();
        self.remarks(&marks.join(", ").replace('_', " "), row.from)
    }

    /// One ICMP error: drawn from the middle, where a third party stands, to the side it is sent to.
    fn icmp(&mut self, row: &IcmpRow) -> io::Result<()> {
        let reporter = self.names.host(row.reporter);
        let drawn = from_the_middle(&format!("ICMP from {reporter}"), row.to, self.lane());
        self.rung(row.frame, row.time, &drawn)?;
        self.remarks(&row.message(), row.to)
    }

    /// The numbers of the connection, and its findings as far as they are shown.
    pub fn finish(&mut self, diagnosis: &Diagnosis, view: &View) -> io::Result<()> {
        let mut page = Page::new(&mut self.out, self.look);
        page.blank()?;
        numbers(&mut page, diagnosis, &self.names)?;
        let all = diagnosis.findings.iter();
        let mut findings: Vec<_> = all.filter(|found| view.counts(found)).collect();
        let hidden = diagnosis.findings.len() - findings.len();
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        for finding in findings {
            page.blank()?;
            entry::finding(&mut page, finding, &self.names)?;
        }
        if diagnosis.findings.is_empty() {
            page.blank()?;
            page.text(match diagnosis.connection.dtls() {
                Some(_) => {
                    "DTLS is named and not diagnosed: nothing is concluded about this connection."
                }
                None => "Nothing was found wrong with this connection.",
            })?;
        }
        if hidden > 0 {
            page.blank()?;
            page.hidden(hidden as u64, &view.hidden_by())?;
        }
        self.out.flush()
    }

    /// Columns between the margin and the edge.
    fn lane(&self) -> usize {
        self.look.width.saturating_sub(MARGIN)
    }

    fn rung(&mut self, frame: u64, time: Timestamp, lane: &str) -> io::Result<()> {
        let first = *self.first.get_or_insert(time);
        let at = time.since(first).as_secs_f64();
        writeln!(self.out, "{frame:>8} {at:>12.6}  {lane}")
    }

    /// A note that is about no packet.
    fn in_the_middle(&mut self, note: &str) -> io::Result<()> {
        let end = usize::midpoint(self.lane(), note.chars().count());
        self.between(note, Side::Client, end)
    }

    /// Remarks on a packet, under its arrow.
    fn remarks(&mut self, remarks: &str, from: Side) -> io::Result<()> {
        for line in wrap(remarks, self.lane().saturating_sub(8)) {
            self.between(&line, from, line.chars().count() + 4)?;
        }
        Ok(())
    }

    /// Text between the two columns, ending `end` characters from the side given.
    fn between(&mut self, text: &str, side: Side, end: usize) -> io::Result<()> {
        let margin = MARGIN;
        let inner = self.lane().saturating_sub(2);
        let lane = match side {
            Side::Client => format!("{:<inner$}", format!("{text:>end$}")),
            Side::Server => format!("{:>inner$}", format!("{text:<end$}")),
        };
        let lane = self.look.quiet(&format!("|{lane}|"));
        writeln!(self.out, "{:margin$}{lane}", "")
    }
}

/// An arrow over the whole lane with a label near its tail: `|--- S  seq 0  win 64240 ------>|`.
fn arrow(label: &str, from: Side, lane: usize) -> String {
    let room = lane.saturating_sub(label.chars().count() + 8).max(1);
    let shaft = "-".repeat(room);
    match from {
        Side::Client => format!("|--- {label} {shaft}>|"),
        Side::Server => format!("|<{shaft} {label} ---|"),
    }
}

/// An arrow from the middle of the lane, where a third party stands: `|<=== ICMP from 10.0.0.254 =*        |`.
fn from_the_middle(label: &str, to: Side, lane: usize) -> String {
    let inner = lane.saturating_sub(2);
    let room = (inner / 2).saturating_sub(label.chars().count() + 5).max(1);
    let shaft = "=".repeat(room);
    match to {
        Side::Client => format!("|{:<inner$}|", format!("<{shaft} {label} =*")),
        Side::Server => format!("|{:>inner$}|", format!("*= {label} {shaft}>")),
    }
}

fn numbers(page: &mut Page<'_>, diagnosis: &Diagnosis, names: &Names) -> io::Result<()> {
    let connection = &diagnosis.connection;
    let Connection { client, server, .. } = &*diagnosis.connection;
    let outcome = diagnosis.outcome().name();
    let outcome = match diagnosis
        .findings
        .iter()
        .map(|finding| finding.severity)
        .max()
    {
        Some(severity @ (Severity::Error | Severity::Warning)) => {
            page.look.severity(severity, outcome)
        }
        _ => outcome.to_owned(),
    };
    let cause = match diagnosis.root_cause() {
        Some(cause) => format!(", root cause {}", cause.code),
        None => String::new(),
    };
    let stream = format!("Stream {}: {outcome}{cause}", StreamId::of(connection));
    page.line(&stream)?;
    page.labelled("when", &when(connection))?;
    let place = names.socket(client.address, client.port);
    page.labelled("client", &side(client, &place))?;
    page.labelled("server", &side(server, &names.server(connection)))?;
    if let Some(found) = connection.looked_up.as_deref() {
        page.labelled("lookup", &looked_up(found))?;
    }
    page.labelled("state", &state(connection))?;
    if let Some(quic) = connection.quic() {
        page.labelled("quic", &quic::summary(quic))?;
        page.labelled("ids", &quic::ids(quic))?;
    }
    if let Some(dtls) = connection.dtls() {
        page.labelled("dtls", &messages::dtls(dtls))?;
    }
    if let Some(tls) = connection.app.as_deref().and_then(|app| app.tls.as_deref()) {
        page.labelled("tls", &messages::summary(tls))?;
    }
    if let Some(round_trip) = round_trip(connection) {
        page.labelled("rtt", &round_trip)?;
    }
    let guess = if connection.roles.are_known() {
        ""
    } else {
        "; which side is the client is a guess, as the opening was not recorded"
    };
    page.labelled(
        "seen",
        &format!("vantage {}{guess}", connection.vantage().name()),
    )
}

fn when(connection: &Connection) -> String {
    format!(
        "{} UTC, {}, frames {} to {}",
        format::date_time(connection.first.time),
        format::span(connection.duration()),
        connection.first.frame,
        connection.last.frame
    )
}

/// What the client had looked up: `www.example.com, answered in frame 2 after 50 ms`.
fn looked_up(found: &LookedUp) -> String {
    let after = match found.took {
        Some(took) => format!(" after {}", format::span(took)),
        None => String::new(),
    };
    let answered = match found.answer {
        Some(answer) => format!(", answered in frame {}{after}", answer.frame),
        None => String::new(),
    };
    let trouble = match lookup::sentence(found) {
        Some(sentence) => format!("; {}", Safe(&sentence)),
        None => String::new(),
    };
    format!("{}{answered}{trouble}", Safe(&found.name))
}

fn side(endpoint: &Endpoint, place: &str) -> String {
    let (counts, tcp) = (&endpoint.counts, &endpoint.tcp.counts);
    let mut text = format!(
        "{place}: {}, {} of payload",
        format::counted(counts.packets, "packet"),
        format::size(counts.payload_bytes),
    );
    let extras = [
        (u64::from(tcp.retransmissions), "retransmission"),
        (u64::from(tcp.out_of_order), "out-of-order segment"),
        (u64::from(tcp.duplicate_acks), "duplicate ACK"),
        (u64::from(tcp.zero_windows), "zero window"),
        (u64::from(tcp.resets), "reset"),
        (tcp.unseen_bytes, "byte never recorded though acknowledged"),
    ];
    for (number, thing) in extras.into_iter().filter(|(number, _)| *number > 0) {
        let noted = match thing.strip_prefix("byte ") {
            Some(rest) => format!("{} {rest}", format::counted(number, "byte")),
            None => format::counted(number, thing),
        };
        text.push_str(&format!(", {noted}"));
    }
    if let Some(mss) = endpoint.tcp.offer.mss {
        text.push_str(&format!(", mss {mss}"));
    }
    if let Some(ttl) = endpoint.ttl.constant() {
        text.push_str(&format!(", ttl {ttl}"));
    }
    text
}

fn state(connection: &Connection) -> String {
    if let Some(quic) = connection.quic() {
        let stage = connection.stage().name();
        return format!("reached {stage}; Zeek's history {}", quic.history);
    }
    format!(
        "reached {}; Zeek {} {}",
        connection.stage().name(),
        connection.zeek.conn_state().name(),
        connection.zeek.history()
    )
}

fn round_trip(connection: &Connection) -> Option<String> {
    let rtt = connection.round_trip();
    let parts = [
        ("whole", rtt.handshake),
        ("to the server", rtt.to_server),
        ("to the client", rtt.to_client),
    ];
    let shown: Vec<String> = parts
        .into_iter()
        .filter_map(|(name, span)| Some(format!("{name} {}", format::span(span?))))
        .collect();
    (!shown.is_empty()).then(|| shown.join(", "))
}
