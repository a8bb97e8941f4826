//! The blocks that hold a packet.

use wirewhy_packet::LinkType;

use super::clock::Clock;
use super::{PcapNg, TRAILER_LEN, blocks};
use crate::step::ReadStats;

/// Type and total length.
const BLOCK_HEADER_LEN: usize = 8;
const ENHANCED_HEADER_LEN: usize = 28;
const SIMPLE_HEADER_LEN: usize = 12;

/// A packet block, read.
pub(super) struct PacketBlock {
    /// Where in the block its bytes begin.
    pub(super) start: usize,
    pub(super) len: usize,
    pub(super) ticks: Option<u64>,
    pub(super) interface: SectionInterface,
    pub(super) interface_id: u32,
    pub(super) original_len: u32,
}

/// What a packet block needs of its interface.
#[derive(Clone, Copy)]
pub(super) struct SectionInterface {
    pub(super) link_type: LinkType,
    pub(super) snap_len: u32,
    pub(super) clock: Clock,
}

/// Reads an enhanced packet block (section 4.3).
#[inline]
pub(super) fn enhanced(
    block: &[u8],
    section: &PcapNg,
    stats: &mut ReadStats,
) -> Result<PacketBlock, &'static str> {
    let (&[interface, high, low, captured, original], rest) = fields(block)?;
    let order = section.order;
    let captured = order.u32(captured);
    let (len, after) = split_body(rest, captured)?;
    if !after.is_empty()
        && let Some(count) = blocks::drop_count(after, order)
    {
        stats.info.add_dropped(count);
    }
    let interface_id = order.u32(interface);
    Ok(PacketBlock {
        start: ENHANCED_HEADER_LEN,
        len,
        ticks: Some(ticks(order.u32(high), order.u32(low))),
        interface: section.interface(interface_id)?,
        interface_id,
        original_len: order.u32(original).max(captured),
    })
}

/// Reads an obsolete packet block (appendix A).
pub(super) fn obsolete(
    block: &[u8],
    section: &PcapNg,
    stats: &mut ReadStats,
) -> Result<PacketBlock, &'static str> {
    let (&[interface, high, low, captured, original], rest) = fields(block)?;
    let order = section.order;
    let captured = order.u32(captured);
    let (len, _) = split_body(rest, captured)?;
    let [i0, i1, d0, d1] = interface;
    let interface_id = u32::from(order.u16([i0, i1]));
    let interface = section.interface(interface_id)?;
    // All ones means that the writer did not know.
    match order.u16([d0, d1]) {
        u16::MAX => {}
        count => stats.info.add_dropped(u64::from(count)),
    }
    Ok(PacketBlock {
        start: ENHANCED_HEADER_LEN,
        len,
        ticks: Some(ticks(order.u32(high), order.u32(low))),
        interface,
        interface_id,
        original_len: order.u32(original).max(captured),
    })
}

/// Reads a simple packet block (section 4.4): a packet of the first interface, without time, cut at its snap length.
pub(super) fn simple(
    block: &[u8],
    section: &PcapNg,
    _: &mut ReadStats,
) -> Result<PacketBlock, &'static str> {
    let (&[original], rest) = fields(block)?;
    let original_len = section.order.u32(original);
    let interface = section.interface(0)?;
    let captured = match interface.snap_len {
        0 => original_len,
        snap_len => original_len.min(snap_len),
    };
    let (len, _) = split_body(rest, captured)?;
    Ok(PacketBlock {
        start: SIMPLE_HEADER_LEN,
        len,
        ticks: None,
        interface,
        interface_id: 0,
        original_len,
    })
}

impl PcapNg {
    #[inline]
    fn interface(&self, id: u32) -> Result<SectionInterface, &'static str> {
        usize::try_from(id)
            .ok()
            .and_then(|id| self.interfaces.get(id))
            .copied()
            .ok_or("its interface was not declared")
    }
}

/// The words that follow type and length, and the bytes between them and the length at the end.
#[inline]
fn fields<const N: usize>(block: &[u8]) -> Result<(&[[u8; 4]; N], &[u8]), &'static str> {
    let end = block.len().saturating_sub(TRAILER_LEN);
    let body = block.get(BLOCK_HEADER_LEN..end).unwrap_or_default();
    let (words, _) = body.as_chunks::<4>();
    let words = words.first_chunk().ok_or("shorter than its fixed fields")?;
    let rest = body.get(4 * N..).unwrap_or_default();
    Ok((words, rest))
}

#[inline]
fn ticks(high: u32, low: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

/// Splits what follows a packet block's header into the packet (by its length) and what comes after its padding.
#[inline]
fn split_body(rest: &[u8], captured: u32) -> Result<(usize, &[u8]), &'static str> {
    match usize::try_from(captured) {
        Ok(len) if len <= rest.len() => {
            let after = blocks::padded(len).and_then(|padded| rest.get(padded..));
            Ok((len, after.unwrap_or_default()))
        }
        _ => Err("its packet is longer than the block"),
    }
}
