//! The blocks that hold no packet: interface, statistics, names, secrets.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use nom::bytes::complete::take;
use nom::number::complete::{u16, u32};
use nom::{IResult, Parser};
use wirewhy_packet::LinkType;

use super::clock::Clock;
use super::options::{Options, padding};
use crate::info::{ByteOrder, InterfaceStatistics, NameRecord, SecretsType};

/// How much of a name is kept.
const MAX_NAME_LEN: usize = 255;

/// An interface description block.
pub(super) struct InterfaceBlock {
    pub(super) link_type: LinkType,
    pub(super) snap_len: u32,
    pub(super) name: Option<String>,
    pub(super) clock: Clock,
}

impl ByteOrder {
    pub(super) fn nom(self) -> nom::number::Endianness {
        match self {
            ByteOrder::Little => nom::number::Endianness::Little,
            ByteOrder::Big => nom::number::Endianness::Big,
        }
    }

    fn u64(self, bytes: &[u8]) -> Option<u64> {
        let bytes = *bytes.first_chunk()?;
        Some(match self {
            ByteOrder::Little => u64::from_le_bytes(bytes),
            ByteOrder::Big => u64::from_be_bytes(bytes),
        })
    }
}

/// Reads the body of an interface description block (section 4.2).
pub(super) fn interface(body: &[u8], order: ByteOrder) -> Option<InterfaceBlock> {
    let (options, (link_type, _reserved, snap_len)) = fixed(body, order).ok()?;
    let mut name = None;
    let mut tsresol = None;
    let mut tsoffset = 0;
    for option in Options::new(options, order) {
        match option.code {
            2 => name = Some(text(option.value)),
            9 => tsresol = option.value.first().copied(),
            14 => tsoffset = order.u64(option.value).unwrap_or(0).cast_signed(),
            _ => {}
        }
    }
    Some(InterfaceBlock {
        link_type: LinkType(u32::from(link_type)),
        snap_len,
        name: name.filter(|name| !name.is_empty()),
        clock: Clock::new(tsresol, tsoffset),
    })
}

fn fixed(body: &[u8], order: ByteOrder) -> IResult<&[u8], (u16, u16, u32)> {
    let order = order.nom();
    (u16(order), u16(order), u32(order)).parse(body)
}

/// Reads the body of an interface statistics block (section 4.6): the interface and its counters.
pub(super) fn statistics(body: &[u8], order: ByteOrder) -> Option<(u32, InterfaceStatistics)> {
    let time_len = 8_usize;
    let (options, (interface, _time)) = (
        u32::<&[u8], nom::error::Error<&[u8]>>(order.nom()),
        take(time_len),
    )
        .parse(body)
        .ok()?;
    let mut statistics = InterfaceStatistics::default();
    for option in Options::new(options, order) {
        let counter = match option.code {
            4 => &mut statistics.received,
            5 => &mut statistics.dropped_by_interface,
            6 => &mut statistics.accepted,
            7 => &mut statistics.dropped_by_system,
            8 => &mut statistics.delivered,
            _ => continue,
        };
        *counter = order.u64(option.value);
    }
    Some((interface, statistics))
}

/// Reads the records of a name resolution block (section 4.5) until `keep` says no.
pub(super) fn names(body: &[u8], order: ByteOrder, mut keep: impl FnMut(NameRecord) -> bool) {
    // The records are built like options, and the options that follow them hold nothing of use here.
    for record in Options::new(body, order) {
        let (address, strings) = match record.code {
            1 => match record.value.split_first_chunk::<4>() {
                Some((address, rest)) => (IpAddr::V4(Ipv4Addr::from(*address)), rest),
                None => continue,
            },
            2 => match record.value.split_first_chunk::<16>() {
                Some((address, rest)) => (IpAddr::V6(Ipv6Addr::from(*address)), rest),
                None => continue,
            },
            _ => continue,
        };
        for name in strings
            .split(|byte| *byte == 0)
            .filter(|name| !name.is_empty())
        {
            let name = text(name);
            if !keep(NameRecord { address, name }) {
                return;
            }
        }
    }
}

/// Reads the body of a decryption secrets block (section 4.7).
pub(super) fn secrets(body: &[u8], order: ByteOrder) -> Option<(SecretsType, &[u8])> {
    let parsed: IResult<&[u8], (u32, u32)> = (u32(order.nom()), u32(order.nom())).parse(body);
    let (rest, (kind, len)) = parsed.ok()?;
    let data = rest.get(..usize::try_from(len).ok()?)?;
    Some((SecretsType(kind), data))
}

/// The packets lost since the previous one, if the options of an enhanced packet block tell (`epb_dropcount`).
pub(super) fn drop_count(options: &[u8], order: ByteOrder) -> Option<u64> {
    let option = Options::new(options, order).find(|option| option.code == 4)?;
    order.u64(option.value)
}

/// Length with padding of `len` bytes, `None` where that is no length.
pub(super) fn padded(len: usize) -> Option<usize> {
    len.checked_add(padding(len))
}

fn text(value: &[u8]) -> String {
    let value = value.split(|byte| *byte == 0).next().unwrap_or_default();
    let kept = value.get(..MAX_NAME_LEN).unwrap_or(value);
    String::from_utf8_lossy(kept).into_owned()
}
