//! Packets with the bytes that they are made of, so that one thread decodes them and another follows them.

use wirewhy_capture::Secrets;
use wirewhy_flow::{Located, PackedArrival};
use wirewhy_packet::{Frame, LinkType, Packet, RecordingGap};

use super::following::{Fed, Following};

/// Consecutive packets of a recording.
#[derive(Debug, Default)]
pub(super) struct Batch {
    forms: Vec<Form>,
    /// Those that are packed, which most are, and the others.
    packed: Vec<Packed>,
    packets: Vec<Owned>,
    /// Payloads, frames, and the datagrams that were put together from several of them.
    bytes: Vec<u8>,
}

/// What a packet is kept as.
#[derive(Clone, Copy, Debug)]
enum Form {
    Packed,
    Owned,
}

/// A segment that nothing else came with.
#[derive(Debug)]
struct Packed {
    arrival: PackedArrival,
    payload: ByteRange,
}

/// A packet with all that is known of it.
#[derive(Debug)]
struct Owned {
    packet: Packet<'static>,
    located: Option<Located>,
    link_type: LinkType,
    /// That of the frame: some link layers name another one, which the packet has.
    interface: u32,
    passes: bool,
    frame: ByteRange,
    /// What the packet borrows.
    borrowed: ByteRange,
    aside: Option<Box<Aside>>,
}

/// Where bytes are among those of the batch.
#[derive(Clone, Copy, Debug)]
struct ByteRange {
    from: u32,
    len: u32,
}

impl ByteRange {
    fn new(from: usize, len: usize) -> ByteRange {
        // A batch is full long before.
        let [from, len] = [from, len].map(|number| u32::try_from(number).unwrap_or(u32::MAX));
        ByteRange { from, len }
    }

    fn start(self) -> usize {
        usize::try_from(self.from).unwrap_or(usize::MAX)
    }

    fn of(self, bytes: &[u8]) -> &[u8] {
        let len = usize::try_from(self.len).unwrap_or(usize::MAX);
        let behind = bytes.get(self.start()..).unwrap_or_default();
        behind.get(..len).unwrap_or_default()
    }
}

/// What the recording gave with it, which is rare.
#[derive(Debug)]
struct Aside {
    secrets: Vec<Secrets>,
    gap: Option<RecordingGap>,
}

impl Batch {
    /// So many packets, and the bytes of what were put in before, make a batch: enough to make handing it over cheap, and few enough to
    /// stay in the cache of a processor.
    const PACKETS: usize = 512;
    const BYTES: usize = 256 * 1024;

    /// Whether no more packets are to be put in.
    pub(super) fn is_full(&self) -> bool {
        self.forms.len() >= Batch::PACKETS || self.bytes.len() >= Batch::BYTES
    }

    /// Puts in a copy of one more, with its frame if that may be wanted.
    pub(super) fn push(&mut self, fed: &Fed<'_, '_>, located: Option<&Located>, keeps_frame: bool) {
        let has_aside = fed.gap.is_some() || !fed.secrets.is_empty();
        if !keeps_frame
            && !has_aside
            && fed.passes
            && let Some((arrival, payload)) =
                located.and_then(|located| PackedArrival::of(fed.packet, located))
        {
            let payload = self.copy(payload);
            self.packed.push(Packed { arrival, payload });
            self.forms.push(Form::Packed);
            return;
        }
        let (packet, borrowed) = fed.packet.detach();
        let data = fed.frame.data;
        let frame = self.copy(data);
        let borrowed = match position_in(data, borrowed) {
            Some(at) => ByteRange::new(frame.start().saturating_add(at), borrowed.len()),
            None => self.copy(borrowed),
        };
        self.forms.push(Form::Owned);
        self.packets.push(Owned {
            packet,
            located: located.copied(),
            link_type: fed.frame.link_type,
            interface: fed.frame.interface,
            passes: fed.passes,
            frame,
            borrowed,
            aside: has_aside.then(|| {
                Box::new(Aside {
                    secrets: fed.secrets.to_vec(),
                    gap: fed.gap,
                })
            }),
        });
    }

    /// Follows each, in the order in which they were put in, and is empty then.
    pub(super) fn follow(&mut self, following: &mut Following) {
        self.drain(|taken| match taken {
            Taken::Packed(arrival, payload) => following.follow_packed(arrival, payload),
            Taken::Fed(fed, located) => following.follow(fed, located),
        });
    }

    /// Calls `take` with each, in the order in which they were put in, and is empty then.
    #[inline]
    fn drain(&mut self, mut take: impl FnMut(Taken<'_, '_, '_>)) {
        let bytes = self.bytes.as_slice();
        let (mut packed, mut packets) = (self.packed.iter(), self.packets.drain(..));
        for form in self.forms.drain(..) {
            match form {
                Form::Packed => {
                    if let Some(Packed { arrival, payload }) = packed.next() {
                        take(Taken::Packed(arrival, payload.of(bytes)));
                    }
                }
                Form::Owned => {
                    if let Some(owned) = packets.next() {
                        owned.give(bytes, |fed, located| take(Taken::Fed(fed, located)));
                    }
                }
            }
        }
        drop(packets);
        self.packed.clear();
        self.bytes.clear();
        // A single frame may be of many megabytes.
        self.bytes.shrink_to(2 * Batch::BYTES);
    }

    fn copy(&mut self, bytes: &[u8]) -> ByteRange {
        let range = ByteRange::new(self.bytes.len(), bytes.len());
        self.bytes.extend_from_slice(bytes);
        range
    }
}

/// What comes out of a batch.
#[derive(Debug)]
enum Taken<'a, 'p, 'f> {
    Packed(&'a PackedArrival, &'a [u8]),
    Fed(&'a Fed<'p, 'f>, Option<&'a Located>),
}

impl Owned {
    /// Calls `take` with the packet.
    fn give(self, bytes: &[u8], take: impl FnOnce(&Fed<'_, '_>, Option<&Located>)) {
        let packet = self.packet.attach(self.borrowed.of(bytes));
        let frame = Frame {
            number: packet.frame,
            time: packet.time,
            link_type: self.link_type,
            interface: self.interface,
            original_len: packet.wire_len,
            data: self.frame.of(bytes),
        };
        let aside = self.aside.as_deref();
        let fed = Fed {
            frame: &frame,
            packet: &packet,
            passes: self.passes,
            secrets: aside.map_or(&[], |aside| &aside.secrets),
            gap: aside.and_then(|aside| aside.gap),
        };
        take(&fed, self.located.as_ref());
    }
}

/// Where in `whole` a part of it begins; `None` for what is not part of it.
fn position_in(whole: &[u8], part: &[u8]) -> Option<usize> {
    let at = part.as_ptr().addr().checked_sub(whole.as_ptr().addr())?;
    let end = at.checked_add(part.len())?;
    (end <= whole.len()).then_some(at)
}

#[cfg(test)]
mod tests {
    use wirewhy_capture::SecretsType;
    use wirewhy_flow::{Over, StreamTable};
    use wirewhy_packet::{Decoder, Timestamp, Transport, UdpDatagram};
    use wirewhy_testkit::trace;

    use super::*;
    use crate::engine::EngineOptions;

    /// Datagrams in fragments, TCP, ICMP and what else there is.
    const TEXT: &str = "
        0.0 > S 0:0(0) <mss 1460>
        0.1 < SA 0:0(0) ack 1 <mss 1460>
        0.2 > PA 1:6(5) ack 1 \"hello\"
        0.3 dns 192.0.2.1:5000 > 192.0.2.53 1 www.example.com A
        0.4 icmp 192.0.2.254 > client unreachable host";

    fn secrets() -> Vec<Secrets> {
        vec![Secrets {
            kind: SecretsType::TLS_KEY_LOG,
            data: b"CLIENT_RANDOM".to_vec(),
        }]
    }

    /// A packet that nothing else came with.
    fn fed<'p, 'f>(frame: &'p Frame<'f>, packet: &'p Packet<'f>, passes: bool) -> Fed<'p, 'f> {
        Fed {
            frame,
            packet,
            passes,
            secrets: &[],
            gap: None,
        }
    }

    fn shown(fed: &Fed<'_, '_>) -> String {
        format!("{fed:?}")
    }

    /// What came out as it went in.
    fn fed_of(taken: &Taken<'_, '_, '_>) -> Option<String> {
        match taken {
            Taken::Fed(fed, _) => Some(shown(fed)),
            Taken::Packed(..) => None,
        }
    }

    #[test]
    fn what_is_packed_comes_to_the_same() {
        let frames = trace(TEXT);
        let mut reports = Vec::new();
        for keeps_frames in [false, true] {
            let options = EngineOptions::default();
            let mut following = Following::new(&options, wirewhy_protocol::KeyLog::new());
            let (mut batch, mut streams) = (Batch::default(), following.tracker.take_streams());
            let mut decoder = Decoder::new();
            for (number, frame) in (0..).zip(&frames) {
                let frame = frame.as_frame();
                let packet = decoder.decode(&frame);
                let located = streams.number(&packet);
                let fed = fed(&frame, &packet, number != 2);
                batch.push(&fed, located.as_ref(), keeps_frames);
            }
            let packed = batch.packed.len();
            assert_eq!(packed, if keeps_frames { 0 } else { 2 });
            batch.follow(&mut following);
            let mut left = following.tracker.end();
            let rest = std::iter::from_fn(|| following.tracker.next_left(&mut left));
            reports.push(rest.map(Over::into_connection).collect::<Vec<_>>());
        }
        let [packed, owned] = &reports[..] else {
            panic!("two of them")
        };
        assert_eq!(packed.len(), 1);
        assert_eq!(packed, owned);
    }

    #[test]
    fn what_comes_out_is_what_was_put_in() {
        let gap = RecordingGap {
            from: Timestamp(1),
            until: Timestamp(2),
            frame: 3,
        };
        let (mut batch, secrets) = (Batch::default(), secrets());
        let (mut decoder, mut streams) = (Decoder::new(), StreamTable::new());
        for round in 0..2 {
            let mut expected = Vec::new();
            for (number, frame) in (0..).zip(&trace(TEXT)) {
                let frame = frame.as_frame();
                let packet = decoder.decode(&frame);
                let fed = Fed {
                    secrets: if number == 1 { &secrets } else { &[] },
                    gap: (number == 2).then_some(gap),
                    ..fed(&frame, &packet, number != 2)
                };
                expected.push(shown(&fed));
                batch.push(&fed, streams.number(&packet).as_ref(), true);
            }
            let mut found = Vec::new();
            batch.drain(|taken| found.extend(fed_of(&taken)));
            assert_eq!(found, expected, "{round}");
        }
    }

    #[test]
    fn what_differs_from_the_frame_is_kept_beside_it() {
        let frame = Frame {
            number: 1,
            time: Timestamp(0),
            link_type: LinkType::ETHERNET,
            interface: 7,
            original_len: 3,
            data: b"abc",
        };
        let mut decoder = Decoder::new();
        let mut packet = decoder.decode(&frame);
        packet.link.interface = 3;
        let whole = b"put together from several".to_vec();
        packet.transport = Transport::Udp(UdpDatagram {
            source_port: 1,
            destination_port: 2,
            payload: &whole,
            payload_len: 25,
        });
        let fed = Fed {
            frame: &frame,
            packet: &packet,
            passes: true,
            secrets: &[],
            gap: None,
        };
        let mut batch = Batch::default();
        batch.push(&fed, None, false);
        let mut found = Vec::new();
        batch.drain(|taken| found.extend(fed_of(&taken)));
        assert_eq!(found, [shown(&fed)]);
    }

    #[test]
    fn a_batch_is_full_of_packets_or_of_bytes() {
        let packets = |len: usize| {
            let data = vec![0; len];
            let frame = Frame {
                number: 1,
                time: Timestamp(0),
                link_type: LinkType::ETHERNET,
                interface: 0,
                original_len: 0,
                data: &data,
            };
            let mut batch = Batch::default();
            while !batch.is_full() {
                let mut decoder = Decoder::new();
                let fed = Fed {
                    frame: &frame,
                    packet: &decoder.decode(&frame),
                    passes: true,
                    secrets: &[],
                    gap: None,
                };
                batch.push(&fed, None, true);
            }
            batch.forms.len()
        };
        assert_eq!((packets(60), packets(65_536)), (Batch::PACKETS, 4));
    }
}
