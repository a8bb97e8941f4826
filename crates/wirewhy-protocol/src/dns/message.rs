//! Bytes to a message, by the crate `domain`, section by section as far as they go.

use std::hash::BuildHasher;
use std::net::IpAddr;

use domain::base::iana::{Rtype, SvcParamKey};
use domain::base::message::RecordSection;
use domain::base::opt::ExtendedError as RawError;
use domain::base::record::ParsedRecord;
use domain::base::{Header, Message, ParsedName};
use domain::rdata::{A, Aaaa, Cname, Dname, Https, Soa, Svcb, svcb::SvcParams};
use foldhash::SharedSeed;
use foldhash::fast::SeedableRandomState;

use super::name::text_of;
use super::{
    DnsAnswer, DnsAuthority, DnsData, DnsMessage, DnsQuestion, Edns, ExtendedError, codes,
};

/// The top bit of the class: a unicast answer is wanted, or what is cached is to be forgotten (RFC 6762).
const MULTICAST_BIT: u16 = 0x8000;

/// The most records of one message that are looked at.
const MOST_RECORDS: usize = 512;

impl DnsMessage {
    /// The shortest message: a header.
    pub const HEADER: usize = 12;

    /// Reads a message, of which `bytes` were captured and `length` bytes were on the wire. `None` where they are no message:
    /// shorter than a header, or with a question that cannot be one.
    #[must_use]
    pub fn read(bytes: &[u8], length: u32) -> Option<DnsMessage> {
        let raw = Message::from_octets(bytes).ok()?;
        let header = raw.header();
        let counts = raw.header_counts();
        let question = first_question(&raw);
        let captured = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let is_cut = captured < length;
        if counts.qdcount() > 0 && question.is_none() && !is_cut {
            return None;
        }
        let mut message = DnsMessage {
            id: header.id(),
            is_response: header.qr(),
            opcode: header.opcode().to_int(),
            rcode: u16::from(header.rcode().to_int()),
            authoritative: header.aa(),
            truncated: header.tc(),
            recursion_desired: header.rd(),
            recursion_available: header.ra(),
            authentic: header.ad(),
            questions: counts.qdcount(),
            question,
            announced_answers: counts.ancount(),
            answers: Vec::new(),
            authority: None,
            refers: false,
            edns: None,
            length: length.max(captured),
            is_cut,
            digest: 0,
        };
        if message.is_query() {
            message.read_records(&raw, header);
        }
        message.digest = message.digest();
        Some(message)
    }

    fn read_records(&mut self, raw: &Message<&[u8]>, header: Header) {
        let Ok(mut section) = raw.answer() else {
            return;
        };
        for record in section.by_ref().take(MOST_RECORDS) {
            let Ok(record) = record else { return };
            if self.answers.len() < Self::ANSWERS {
                self.answers.push(DnsAnswer {
                    owner: text_of(&record.owner()),
                    ttl: record.ttl().as_secs(),
                    data: data_of(&record),
                });
            }
        }
        let Ok(Some(mut section)) = section.next_section() else {
            return;
        };
        self.read_authority(&mut section);
        let Some(opt) = raw.opt() else { return };
        self.rcode = opt.rcode(header).to_int();
        let error = opt.opt().iter::<RawError<&[u8]>>().flatten().next();
        self.edns = Some(Edns {
            size: opt.udp_payload_size(),
            dnssec_ok: opt.dnssec_ok(),
            error: error.map(|error| Box::new(extended(&error))),
        });
    }

    fn digest(&self) -> u64 {
        // The same for all messages of a process, and not known before it runs.
        let state = SeedableRandomState::with_seed(0, SharedSeed::global_random());
        let answers = self
            .answers
            .iter()
            .map(|answer| state.hash_one(&answer.data));
        // A sum, since servers turn the order from answer to answer.
        answers.fold(state.hash_one(self.rcode), u64::wrapping_add)
    }

    fn read_authority(&mut self, section: &mut RecordSection<'_, &[u8]>) {
        let mut has_servers = false;
        for record in section.by_ref().take(MOST_RECORDS) {
            let Ok(record) = record else { return };
            has_servers |= record.rtype() == Rtype::NS;
            if self.authority.is_none()
                && let Ok(Some(found)) = record.to_record::<Soa<ParsedName<&[u8]>>>()
            {
                self.authority = Some(Box::new(DnsAuthority {
                    zone: text_of(found.owner()),
                    primary: text_of(found.data().mname()),
                }));
            }
        }
        self.refers = has_servers && self.authority.is_none();
    }
}

fn first_question(raw: &Message<&[u8]>) -> Option<DnsQuestion> {
    let question = raw.question().next()?.ok()?;
    Some(DnsQuestion {
        name: text_of(question.qname()),
        kind: question.qtype().to_int(),
        class: question.qclass().to_int() & !MULTICAST_BIT,
    })
}

fn data_of(record: &ParsedRecord<'_, &[u8]>) -> DnsData {
    let kind = record.rtype().to_int();
    let read = match kind {
        codes::A => address(record.to_record::<A>().ok().flatten(), |data| {
            IpAddr::V4(data.addr())
        }),
        codes::AAAA => address(record.to_record::<Aaaa>().ok().flatten(), |data| {
            IpAddr::V6(data.addr())
        }),
        codes::CNAME => record
            .to_record::<Cname<ParsedName<&[u8]>>>()
            .ok()
            .flatten()
            .map(|found| DnsData::Alias(text_of(found.data().cname()))),
        codes::DNAME => record
            .to_record::<Dname<ParsedName<&[u8]>>>()
            .ok()
            .flatten()
            .map(|found| DnsData::Alias(text_of(found.data().dname()))),
        codes::HTTPS => record
            .to_record::<Https<&[u8], ParsedName<&[u8]>>>()
            .ok()
            .flatten()
            .map(|found| service(found.data().target(), found.data().params())),
        codes::SVCB => record
            .to_record::<Svcb<&[u8], ParsedName<&[u8]>>>()
            .ok()
            .flatten()
            .map(|found| service(found.data().target(), found.data().params())),
        _ => None,
    };
    read.unwrap_or(DnsData::Other(kind))
}

fn address<N, D>(
    record: Option<domain::base::Record<N, D>>,
    of: impl FnOnce(&D) -> IpAddr,
) -> Option<DnsData> {
    record.map(|record| DnsData::Address(of(record.data())))
}

/// A service's target and the addresses it hints at (RFC 9460 section 7.3).
fn service(target: &ParsedName<&[u8]>, params: &SvcParams<&[u8]>) -> DnsData {
    let mut hints = Vec::new();
    for param in params.iter_raw() {
        let value = param.as_slice();
        match param.key() {
            SvcParamKey::IPV4HINT => {
                let (hinted, _) = value.as_chunks::<4>();
                hints.extend(hinted.iter().map(|octets| IpAddr::from(*octets)));
            }
            SvcParamKey::IPV6HINT => {
                let (hinted, _) = value.as_chunks::<16>();
                hints.extend(hinted.iter().map(|octets| IpAddr::from(*octets)));
            }
            _ => {}
        }
    }
    hints.truncate(DnsMessage::ANSWERS);
    DnsData::Service {
        target: text_of(target),
        hints,
    }
}

fn extended(error: &RawError<&[u8]>) -> ExtendedError {
    let text = error.text_slice().unwrap_or(&[]);
    let kept = text.get(..ExtendedError::TEXT).unwrap_or(text);
    ExtendedError {
        code: error.code().to_int(),
        text: String::from_utf8_lossy(kept).trim_end_matches('\0').into(),
    }
}
