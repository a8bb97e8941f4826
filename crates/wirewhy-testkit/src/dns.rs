//! DNS messages over UDP.

use std::net::{IpAddr, SocketAddr};

use wirewhy_packet::MacAddr;

use crate::parse::{FrameChanges, frame_change};
use crate::wire;
use crate::words::{Word, Words};

/// A message, or the refusal of one.
#[derive(Debug)]
pub(crate) struct Dns {
    pub(crate) client: SocketAddr,
    pub(crate) resolver: SocketAddr,
    pub(crate) content: DnsMessage,
    pub(crate) frame: FrameChanges,
}

#[derive(Debug)]
pub(crate) enum DnsMessage {
    Query(Vec<u8>),
    /// A response, and who sends it.
    Response(Vec<u8>, SocketAddr),
    /// The first fragment of a response.
    Fragment(Vec<u8>),
    /// ICMP port unreachable in answer to the last frame.
    Refusal,
}

const A: u16 = 1;
const NS: u16 = 2;
const CNAME: u16 = 5;
const SOA: u16 = 6;
const AAAA: u16 = 28;
const OPT: u16 = 41;

/// Reads what follows the word `dns`.
pub(crate) fn dns(words: &mut Words) -> Result<Dns, String> {
    let client = socket(&words.plain("client")?, 40_000)?;
    let arrow = words.plain("> or <")?;
    let resolver = socket(&words.plain("resolver")?, 53)?;
    let mut frame = FrameChanges::default();
    let content = match arrow.as_str() {
        ">" => DnsMessage::Query(query(words, &mut frame)?),
        "<" => response(words, &mut frame, resolver)?,
        "refused" => DnsMessage::Refusal,
        other => return Err(format!("{other} is no direction")),
    };
    Ok(Dns {
        client,
        resolver,
        content,
        frame,
    })
}

fn socket(word: &str, port: u16) -> Result<SocketAddr, String> {
    word.parse()
        .or_else(|_| word.parse().map(|ip: IpAddr| SocketAddr::new(ip, port)))
        .map_err(|_| format!("{word} is no address"))
}

/// `ID NAME TYPE`, then `norec`, `edns N`.
fn query(words: &mut Words, frame: &mut FrameChanges) -> Result<Vec<u8>, String> {
    let mut message = Message::about(words.parsed("number")?, 0x0100);
    message.ask(words)?;
    while let Some(word) = words.peek().map(str::to_owned) {
        match word.as_str() {
            "norec" => {
                words.next();
                message.flags = 0;
            }
            "edns" => {
                words.next();
                message.edns = Some(words.parsed("size")?);
            }
            _ if frame_change(frame, words)? => {}
            _ => break,
        }
    }
    Ok(message.bytes())
}

/// `ID RCODE NAME TYPE`, then records and flags.
fn response(
    words: &mut Words,
    frame: &mut FrameChanges,
    resolver: SocketAddr,
) -> Result<DnsMessage, String> {
    let id = words.parsed("number")?;
    let rcode = words.plain("response code")?;
    let mut message = Message::about(id, 0x8180 | code(&rcode)?);
    message.ask(words)?;
    let (mut life, mut sender, mut is_fragment) = (300_u32, resolver, false);
    let mut owner = message.question.first().cloned().unwrap_or_default();
    while let Some(word) = words.peek().map(str::to_owned) {
        if let Ok(address) = word.parse::<IpAddr>() {
            words.next();
            let (kind, data) = match address {
                IpAddr::V4(address) => (A, address.octets().to_vec()),
                IpAddr::V6(address) => (AAAA, address.octets().to_vec()),
            };
            message.answers.push(record(&owner, kind, life, &data));
            continue;
        }
        if frame_change(frame, words)? {
            continue;
        }
        words.next();
        match word.as_str() {
            "cname" => {
                let target = name(&words.plain("name")?)?;
                message.answers.push(record(&owner, CNAME, life, &target));
                owner = target;
            }
            "life" => life = words.parsed("seconds")?,
            "tc" => message.flags |= 0x0200,
            "aa" => message.flags |= 0x0400,
            "nora" => message.flags &= !0x0080,
            "soa" => {
                let zone = words.plain("zone")?;
                let mut data = name(&format!("ns1.{zone}"))?;
                data.extend_from_slice(&name(&format!("admin.{zone}"))?);
                data.extend_from_slice(&[0; 20]);
                message
                    .authority
                    .push(record(&name(&zone)?, SOA, life, &data));
            }
            "ns" => {
                let zone = words.plain("zone")?;
                let data = name(&format!("ns1.{zone}"))?;
                message
                    .authority
                    .push(record(&name(&zone)?, NS, life, &data));
            }
            "edns" => message.edns = Some(words.parsed("size")?),
            "ede" => {
                message.edns.get_or_insert(1232);
                message.error = Some((words.parsed("code")?, text(words)));
            }
            "from" => sender = socket(&words.plain("address")?, resolver.port())?,
            "noquestion" => message.question.clear(),
            "fragment" => is_fragment = true,
            other => return Err(format!("{other} is nothing of a response")),
        }
    }
    let bytes = message.bytes();
    Ok(if is_fragment {
        DnsMessage::Fragment(bytes)
    } else {
        DnsMessage::Response(bytes, sender)
    })
}

fn text(words: &mut Words) -> Vec<u8> {
    match words.next() {
        Some(Word::Text(text)) => text,
        _ => Vec::new(),
    }
}

/// The name of a response code.
fn code(word: &str) -> Result<u16, String> {
    let known = [
        "noerror", "formerr", "servfail", "nxdomain", "notimp", "refused",
    ];
    known
        .iter()
        .position(|name| *name == word)
        .and_then(|code| u16::try_from(code).ok())
        .ok_or_else(|| format!("{word} is no response code"))
}

fn kind(word: &str) -> Result<u16, String> {
    Ok(match word {
        "A" => A,
        "NS" => NS,
        "CNAME" => CNAME,
        "SOA" => SOA,
        "PTR" => 12,
        "MX" => 15,
        "TXT" => 16,
        "AAAA" => AAAA,
        "SRV" => 33,
        "HTTPS" => 65,
        other => return Err(format!("{other} is no type")),
    })
}

/// A name on the wire.
fn name(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    for label in text.split('.').filter(|label| !label.is_empty()) {
        let length = u8::try_from(label.len()).ok().filter(|length| *length < 64);
        bytes.push(length.ok_or_else(|| format!("{label} is too long a label"))?);
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
    Ok(bytes)
}

fn record(owner: &[u8], kind: u16, life: u32, data: &[u8]) -> Vec<u8> {
    let mut bytes = owner.to_vec();
    bytes.extend_from_slice(&kind.to_be_bytes());
    bytes.extend_from_slice(&[0, 1]);
    bytes.extend_from_slice(&life.to_be_bytes());
    bytes.extend_from_slice(&u16::try_from(data.len()).unwrap_or(0).to_be_bytes());
    bytes.extend_from_slice(data);
    bytes
}

#[derive(Default)]
struct Message {
    id: u16,
    flags: u16,
    /// The name, and the whole question.
    question: Vec<Vec<u8>>,
    answers: Vec<Vec<u8>>,
    authority: Vec<Vec<u8>>,
    edns: Option<u16>,
    error: Option<(u16, Vec<u8>)>,
}

impl Message {
    fn about(id: u16, flags: u16) -> Message {
        Message {
            id,
            flags,
            ..Message::default()
        }
    }

    fn ask(&mut self, words: &mut Words) -> Result<(), String> {
        let asked = name(&words.plain("name")?)?;
        let kind = kind(&words.plain("type")?)?;
        let whole = [&asked[..], &kind.to_be_bytes(), &[0, 1]].concat();
        self.question = vec![asked, whole];
        Ok(())
    }

    fn bytes(&self) -> Vec<u8> {
        let count = |many: usize| u16::try_from(many).unwrap_or(u16::MAX);
        let opt = self.edns.map(|size| self.opt(size));
        let mut bytes = Vec::new();
        for field in [
            self.id,
            self.flags,
            count(self.question.len().min(1)),
            count(self.answers.len()),
            count(self.authority.len()),
            count(usize::from(opt.is_some())),
        ] {
            bytes.extend_from_slice(&field.to_be_bytes());
        }
        bytes.extend(self.question.get(1).into_iter().flatten());
        bytes.extend(self.answers.iter().flatten());
        bytes.extend(self.authority.iter().flatten());
        bytes.extend(opt.into_iter().flatten());
        bytes
    }

    /// The OPT record: RFC 6891 section 6.1.2, RFC 8914 section 2.
    fn opt(&self, size: u16) -> Vec<u8> {
        let mut bytes = vec![0];
        bytes.extend_from_slice(&OPT.to_be_bytes());
        bytes.extend_from_slice(&size.to_be_bytes());
        bytes.extend_from_slice(&[0; 4]);
        let mut options = Vec::new();
        if let Some((code, text)) = &self.error {
            let length = u16::try_from(text.len() + 2).unwrap_or(u16::MAX);
            options.extend_from_slice(&[0, 15]);
            options.extend_from_slice(&length.to_be_bytes());
            options.extend_from_slice(&code.to_be_bytes());
            options.extend_from_slice(text);
        }
        bytes.extend_from_slice(&u16::try_from(options.len()).unwrap_or(0).to_be_bytes());
        bytes.extend_from_slice(&options);
        bytes
    }
}

/// Makes of an IPv4 packet the first fragment of a longer one.
pub(crate) fn make_first_fragment(frame: &mut [u8], ethernet: usize) {
    const MORE_FRAGMENTS: u8 = 0x20;
    if let Some(packet) = frame.get_mut(ethernet..) {
        if let Some(place) = packet.get_mut(6) {
            *place = MORE_FRAGMENTS;
        }
        let ttl = packet.get(8).copied().unwrap_or(64);
        // Sets the checksum, too.
        wire::set_ttl(packet, ttl);
    }
}

/// The MAC address of a host that takes part in no connection.
pub(crate) fn mac_of(address: IpAddr) -> MacAddr {
    let last = match address {
        IpAddr::V4(address) => address.octets()[3],
        IpAddr::V6(address) => address.octets()[15],
    };
    MacAddr([2, 0, 0, 0, 1, last])
}
