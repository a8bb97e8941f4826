//! A line of a trace to what it asks for.

use std::net::{IpAddr, SocketAddr};

use wirewhy_packet::{MacAddr, TcpFlags};

use crate::dns::{Dns, dns};
use crate::options::{self, Opt};
use crate::words::{Word, Words, hex};

/// One of the two ends of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    Client,
    Server,
}

impl End {
    pub(crate) fn other(self) -> End {
        match self {
            End::Client => End::Server,
            End::Server => End::Client,
        }
    }
}

/// What a line asks for.
#[derive(Debug)]
pub(crate) enum Line {
    Empty,
    /// `snap 96`
    Snap(usize),
    /// `[#2] client 10.0.0.1:4000 isn 7 …`
    Setting(u32, End, Setting),
    /// A line that starts with a time.
    TraceEvent(When, TraceEvent),
}

/// Nanoseconds since the start of the trace, or since the event before.
#[derive(Clone, Copy, Debug)]
pub(crate) enum When {
    At(i64),
    After(i64),
}

#[derive(Debug)]
pub(crate) enum TraceEvent {
    Segment(Box<TraceSegment>),
    /// The frame before, recorded again.
    Duplicate(FrameChanges),
    Icmp(Icmp),
    Dns(Box<Dns>),
    /// Who asks for whom.
    ArpRequest(SocketOrEnd, SocketOrEnd),
    /// Who tells whom its MAC address.
    ArpReply(SocketOrEnd, SocketOrEnd),
    End,
}

/// An address, or the end that has it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SocketOrEnd {
    End(End),
    Address(IpAddr),
}

/// What a setting line changes; `None` leaves as it is.
#[derive(Debug, Default)]
pub(crate) struct Setting {
    pub(crate) address: Option<SocketAddr>,
    pub(crate) isn: Option<u32>,
    pub(crate) ttl: Option<u8>,
    pub(crate) id: Option<u16>,
    pub(crate) mac: Option<MacAddr>,
    pub(crate) dont_fragment: Option<bool>,
}

/// Between whom a segment goes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Route {
    /// A numbered connection and the sender.
    Numbered(u32, End),
    /// Sender and receiver by address; whether the sender was named first.
    Named(SocketAddr, SocketAddr, bool),
}

#[derive(Debug)]
pub(crate) struct TraceSegment {
    pub(crate) route: Route,
    pub(crate) flags: TcpFlags,
    pub(crate) seq: i64,
    pub(crate) len: usize,
    pub(crate) ack: i64,
    pub(crate) window: u16,
    pub(crate) options: Vec<Opt>,
    pub(crate) payload: Vec<u8>,
    pub(crate) absolute_seq: bool,
    pub(crate) absolute_ack: bool,
    pub(crate) data_offset: Option<u8>,
    pub(crate) bad_checksum: bool,
    pub(crate) frame: FrameChanges,
}

/// Departures from the defaults below TCP.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FrameChanges {
    pub(crate) ttl: Option<u8>,
    /// Hops passed since the frame before; for `dup ttl-1`.
    pub(crate) hops: u8,
    pub(crate) id: Option<u16>,
    pub(crate) dont_fragment: Option<bool>,
    pub(crate) tos: Option<u8>,
    pub(crate) source_mac: Option<MacAddr>,
    pub(crate) destination_mac: Option<MacAddr>,
    pub(crate) snap: Option<usize>,
    pub(crate) ip_len: Option<u16>,
}

#[derive(Debug)]
pub(crate) struct Icmp {
    pub(crate) connection: u32,
    pub(crate) from: SocketOrEnd,
    pub(crate) to: End,
    pub(crate) message: Message,
    /// The number of the quoted frame.
    pub(crate) quoting: Option<u64>,
    /// How many bytes of it are quoted, from its IP header on.
    pub(crate) quote: Option<usize>,
    pub(crate) frame: FrameChanges,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Message {
    Unreachable(Unreachable),
    TimeExceeded,
    TooBig(u32),
    Code(u8, u8),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Unreachable {
    Net,
    Host,
    Protocol,
    Port,
    Admin,
}

pub(crate) fn line(text: &str) -> Result<Line, String> {
    let mut words = Words::split(text)?;
    let Some(first) = words.peek() else {
        words.finish()?;
        return Ok(Line::Empty);
    };
    let line = if let Some(when) = when(first)? {
        words.next();
        Line::TraceEvent(when, event(&mut words)?)
    } else if words.take("snap") {
        Line::Snap(words.parsed("length")?)
    } else {
        let number = connection(&mut words)?.unwrap_or(1);
        let end = end(&words.plain("client or server")?)
            .ok_or("a line starts with a time, #, client, server or snap")?;
        Line::Setting(number, end, setting(&mut words)?)
    };
    words.finish()?;
    Ok(line)
}

fn when(word: &str) -> Result<Option<When>, String> {
    let (relative, digits) = match word.strip_prefix('+') {
        Some(digits) => (true, digits),
        None => (false, word),
    };
    if !digits.starts_with(|first: char| first.is_ascii_digit()) {
        return Ok(None);
    }
    let (seconds, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let wrong = || format!("{word} is no time");
    if fraction.is_empty() || fraction.len() > 9 {
        return Err(wrong());
    }
    let seconds: u32 = seconds.parse().map_err(|_| wrong())?;
    let fraction: u32 = format!("{fraction:0<9}").parse().map_err(|_| wrong())?;
    let nanos = i64::from(seconds) * 1_000_000_000 + i64::from(fraction);
    Ok(Some(if relative {
        When::After(nanos)
    } else {
        When::At(nanos)
    }))
}

fn event(words: &mut Words) -> Result<TraceEvent, String> {
    if words.take("end") {
        return Ok(TraceEvent::End);
    }
    if words.take("dup") {
        return Ok(TraceEvent::Duplicate(frame_changes(words)?));
    }
    if words.take("arp") {
        return arp(words);
    }
    if words.take("dns") {
        return dns(words).map(|dns| TraceEvent::Dns(Box::new(dns)));
    }
    let number = connection(words)?;
    if words.take("icmp") {
        return icmp(number.unwrap_or(1), words);
    }
    let route = route(number, words)?;
    segment(route, words).map(|segment| TraceEvent::Segment(Box::new(segment)))
}

fn connection(words: &mut Words) -> Result<Option<u32>, String> {
    let Some(number) = words.peek().and_then(|word| word.strip_prefix('#')) else {
        return Ok(None);
    };
    let number: u32 = number
        .parse()
        .map_err(|_| format!("#{number} is no connection"))?;
    if number == 0 {
        return Err("connections are numbered from #1".to_owned());
    }
    words.next();
    Ok(Some(number))
}

fn end(word: &str) -> Option<End> {
    match word {
        "client" => Some(End::Client),
        "server" => Some(End::Server),
        _ => None,
    }
}

fn socket_or_end(words: &mut Words) -> Result<SocketOrEnd, String> {
    let word = words.plain("address, client or server")?;
    match end(&word) {
        Some(end) => Ok(SocketOrEnd::End(end)),
        None => word
            .parse()
            .map(SocketOrEnd::Address)
            .map_err(|_| format!("{word} is no address")),
    }
}

fn route(number: Option<u32>, words: &mut Words) -> Result<Route, String> {
    let named = match number {
        None => words
            .peek()
            .and_then(|word| word.parse::<SocketAddr>().ok()),
        Some(_) => None,
    };
    if named.is_some() {
        words.next();
    }
    let arrow = words.plain("> or <")?;
    let from = match arrow.as_str() {
        ">" => End::Client,
        "<" => End::Server,
        other => return Err(format!("{other} where > or < is expected")),
    };
    let Some(left) = named else {
        return Ok(Route::Numbered(number.unwrap_or(1), from));
    };
    let right = words.parsed("address:port")?;
    Ok(match from {
        End::Client => Route::Named(left, right, true),
        End::Server => Route::Named(right, left, false),
    })
}

fn segment(route: Route, words: &mut Words) -> Result<TraceSegment, String> {
    let flags = flags(&words.plain("flags")?)?;
    let (seq, len) = range(&words.plain("seq:end(length)")?)?;
    let mut segment = TraceSegment {
        route,
        flags,
        seq,
        len,
        ack: 0,
        window: 64_240,
        options: Vec::new(),
        payload: Vec::new(),
        absolute_seq: false,
        absolute_ack: false,
        data_offset: None,
        bad_checksum: false,
        frame: FrameChanges::default(),
    };
    let mut acked = false;
    while !words.is_empty() {
        if frame_change(&mut segment.frame, words)? {
            continue;
        }
        match words.next() {
            None => break,
            Some(Word::Text(text)) => segment.payload.extend_from_slice(&text),
            Some(Word::Options(list)) => segment.options.extend(options::parse(&list)?),
            Some(Word::Plain(word)) => match word.as_str() {
                "ack" => {
                    segment.ack = words.parsed("acknowledgement")?;
                    acked = true;
                }
                "win" => segment.window = words.parsed("window")?,
                "sack" => {
                    let blocks = words.plain("sack block")?;
                    segment
                        .options
                        .extend([Opt::Nop, Opt::Nop, options::sack(&blocks)?]);
                }
                "hex" => segment.payload.extend(hex(&words.plain("hex digits")?)?),
                "abs" => (segment.absolute_seq, segment.absolute_ack) = (true, true),
                "abs-seq" => segment.absolute_seq = true,
                "abs-ack" => segment.absolute_ack = true,
                "off" => segment.data_offset = Some(words.parsed("data offset")?),
                "badsum" => segment.bad_checksum = true,
                other => return Err(format!("{other} is not known here")),
            },
        }
    }
    if flags.has(TcpFlags::ACK) && !acked {
        return Err("flag A without an ack number".to_owned());
    }
    if segment.payload.len() > len {
        let given = segment.payload.len();
        return Err(format!("{given} bytes of payload in a segment of {len}"));
    }
    Ok(segment)
}

fn flags(word: &str) -> Result<TcpFlags, String> {
    if word == "." {
        return Ok(TcpFlags(0));
    }
    let mut flags = TcpFlags(0);
    for letter in word.chars() {
        let bit = match letter {
            'F' => TcpFlags::FIN,
            'S' => TcpFlags::SYN,
            'R' => TcpFlags::RST,
            'P' => TcpFlags::PSH,
            'A' => TcpFlags::ACK,
            'U' => TcpFlags::URG,
            'E' => TcpFlags::ECE,
            'C' => TcpFlags::CWR,
            'N' => TcpFlags::AE,
            other => return Err(format!("{other} in {word} is no flag")),
        };
        if flags.has(bit) {
            return Err(format!("{letter} twice in {word}"));
        }
        flags = flags.with(bit);
    }
    Ok(flags)
}

/// `seq:end(length)`, which must agree.
fn range(word: &str) -> Result<(i64, usize), String> {
    let wrong = || format!("{word} where seq:end(length) is expected");
    let (seq, rest) = word.split_once(':').ok_or_else(wrong)?;
    let (end, len) = rest
        .strip_suffix(')')
        .and_then(|rest| rest.split_once('('))
        .ok_or_else(wrong)?;
    let seq: i64 = seq.parse().map_err(|_| wrong())?;
    let end: i64 = end.parse().map_err(|_| wrong())?;
    let len: u32 = len.parse().map_err(|_| wrong())?;
    if seq.checked_add(i64::from(len)) != Some(end) {
        return Err(format!(
            "{word}: {len} bytes from {seq} do not end at {end}"
        ));
    }
    Ok((seq, usize::try_from(len).map_err(|_| wrong())?))
}

fn icmp(connection: u32, words: &mut Words) -> Result<TraceEvent, String> {
    let from = socket_or_end(words)?;
    if !words.take(">") {
        return Err("> expected behind the reporter".to_owned());
    }
    let to = words.plain("client or server")?;
    let to = end(&to).ok_or_else(|| format!("{to} where client or server is expected"))?;
    let message = message(words)?;
    let mut icmp = Icmp {
        connection,
        from,
        to,
        message,
        quoting: None,
        quote: None,
        frame: FrameChanges::default(),
    };
    while !words.is_empty() {
        if words.take("quoting") {
            icmp.quoting = Some(words.parsed("frame number")?);
        } else if words.take("quote") {
            icmp.quote = Some(words.parsed("length")?);
        } else if !frame_change(&mut icmp.frame, words)? {
            words.finish()?;
        }
    }
    Ok(TraceEvent::Icmp(icmp))
}

fn message(words: &mut Words) -> Result<Message, String> {
    let word = words.plain("message")?;
    Ok(match word.as_str() {
        "unreachable" => {
            let what = words.plain("what is unreachable")?;
            Message::Unreachable(match what.as_str() {
                "net" => Unreachable::Net,
                "host" => Unreachable::Host,
                "protocol" => Unreachable::Protocol,
                "port" => Unreachable::Port,
                "admin" => Unreachable::Admin,
                other => return Err(format!("unreachable {other} is not known")),
            })
        }
        "time-exceeded" => Message::TimeExceeded,
        "frag-needed" | "packet-too-big" => {
            if !words.take("mtu") {
                return Err(format!("mtu expected behind {word}"));
            }
            Message::TooBig(words.parsed("mtu")?)
        }
        "code" => Message::Code(words.parsed("ICMP type")?, words.parsed("ICMP code")?),
        other => return Err(format!("{other} is no ICMP message")),
    })
}

fn arp(words: &mut Words) -> Result<TraceEvent, String> {
    let who = socket_or_end(words)?;
    match words.plain("asks or tells")?.as_str() {
        "asks" => Ok(TraceEvent::ArpRequest(who, socket_or_end(words)?)),
        "tells" => Ok(TraceEvent::ArpReply(who, socket_or_end(words)?)),
        other => Err(format!("{other} where asks or tells is expected")),
    }
}

fn setting(words: &mut Words) -> Result<Setting, String> {
    let mut setting = Setting::default();
    while !words.is_empty() {
        let word = words.plain("setting")?;
        match word.as_str() {
            "isn" => setting.isn = Some(words.parsed("sequence number")?),
            "ttl" => setting.ttl = Some(words.parsed("ttl")?),
            "id" => setting.id = Some(words.parsed("identification")?),
            "mac" => setting.mac = Some(mac(&words.plain("MAC address")?)?),
            "df" => setting.dont_fragment = Some(true),
            "nodf" => setting.dont_fragment = Some(false),
            other => {
                let address = other
                    .parse()
                    .map_err(|_| format!("{other} is no setting"))?;
                setting.address = Some(address);
            }
        }
    }
    Ok(setting)
}

fn frame_changes(words: &mut Words) -> Result<FrameChanges, String> {
    let mut changes = FrameChanges::default();
    while !words.is_empty() {
        if !frame_change(&mut changes, words)? {
            words.finish()?;
        }
    }
    Ok(changes)
}

/// Reads one departure from the defaults, if the next word starts one.
pub(crate) fn frame_change(changes: &mut FrameChanges, words: &mut Words) -> Result<bool, String> {
    let Some(word) = words.peek() else {
        return Ok(false);
    };
    if let Some(hops) = word.strip_prefix("ttl-") {
        changes.hops = hops.parse().map_err(|_| format!("{word}: no number"))?;
        words.next();
        return Ok(true);
    }
    let word = word.to_owned();
    if !matches!(
        word.as_str(),
        "ttl" | "id" | "df" | "nodf" | "tos" | "src" | "dst" | "snap" | "iplen"
    ) {
        return Ok(false);
    }
    words.next();
    match word.as_str() {
        "ttl" => changes.ttl = Some(words.parsed("ttl")?),
        "id" => changes.id = Some(words.parsed("identification")?),
        "tos" => changes.tos = Some(words.parsed("type of service")?),
        "src" => changes.source_mac = Some(mac(&words.plain("MAC address")?)?),
        "dst" => changes.destination_mac = Some(mac(&words.plain("MAC address")?)?),
        "snap" => changes.snap = Some(words.parsed("length")?),
        "iplen" => changes.ip_len = Some(words.parsed("length")?),
        df => changes.dont_fragment = Some(df == "df"),
    }
    Ok(true)
}

fn mac(word: &str) -> Result<MacAddr, String> {
    let bytes: Result<Vec<u8>, _> = word
        .split(':')
        .map(|byte| u8::from_str_radix(byte, 16))
        .collect();
    bytes
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .map(MacAddr)
        .ok_or_else(|| format!("{word} is no MAC address"))
}
