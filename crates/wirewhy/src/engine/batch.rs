//! Packets with the bytes that they are made of, so that one thread decodes them and another follows them.

use wirewhy_capture::Secrets;
use wirewhy_packet::{Frame, LinkType, Packet, RecordingGap};

use super::following::Fed;

/// Consecutive packets of a recording.
#[derive(Debug, Default)]
pub(super) struct Batch {
    packets: Vec<Owned>,
    /// Their frames, and the datagrams that were put together from several of them.
    bytes: Vec<u8>,
}

/// One of them.
#[derive(Debug)]
struct Owned {
    packet: Packet<'static>,
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
        self.packets.len() >= Batch::PACKETS || self.bytes.len() >= Batch::BYTES
    }

    /// Puts in a copy of one more.
    pub(super) fn push(&mut self, fed: &Fed<'_, '_>) {
        let (packet, borrowed) = fed.packet.detach();
        let data = fed.frame.data;
        let frame = self.copy(data);
        let borrowed = match position_in(data, borrowed) {
            Some(at) => ByteRange::new(frame.start().saturating_add(at), borrowed.len()),
            None => self.copy(borrowed),
        };
        let has_aside = fed.gap.is_some() || !fed.secrets.is_empty();
        self.packets.push(Owned {
            packet,
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

    /// Calls `take` with each, in the order in which they were put in, and is empty then.
    pub(super) fn drain(&mut self, mut take: impl FnMut(&Fed<'_, '_>)) {
        for owned in self.packets.drain(..) {
            let packet = owned.packet.attach(owned.borrowed.of(&self.bytes));
            let frame = Frame {
                number: packet.frame,
                time: packet.time,
                link_type: owned.link_type,
                interface: owned.interface,
                original_len: packet.wire_len,
                data: owned.frame.of(&self.bytes),
            };
            let aside = owned.aside.as_deref();
            take(&Fed {
                frame: &frame,
                packet: &packet,
                passes: owned.passes,
                secrets: aside.map_or(&[], |aside| &aside.secrets),
                gap: aside.and_then(|aside| aside.gap),
            });
        }
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

/// Where in `whole` a part of it begins; `None` for what is not part of it.
fn position_in(whole: &[u8], part: &[u8]) -> Option<usize> {
    let at = part.as_ptr().addr().checked_sub(whole.as_ptr().addr())?;
    let end = at.checked_add(part.len())?;
    (end <= whole.len()).then_some(at)
}

#[cfg(test)]
mod tests {
    use wirewhy_capture::SecretsType;
    use wirewhy_packet::{Decoder, Timestamp, Transport, UdpDatagram};
    use wirewhy_testkit::trace;

    use super::*;

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

    fn shown(fed: &Fed<'_, '_>) -> String {
        format!("{fed:?}")
    }

    #[test]
    fn what_comes_out_is_what_was_put_in() {
        let gap = RecordingGap {
            from: Timestamp(1),
            until: Timestamp(2),
            frame: 3,
        };
        let (mut batch, secrets) = (Batch::default(), secrets());
        let mut decoder = Decoder::new();
        for round in 0..2 {
            let mut expected = Vec::new();
            for (number, frame) in (0..).zip(&trace(TEXT)) {
                let frame = frame.as_frame();
                let fed = Fed {
                    frame: &frame,
                    packet: &decoder.decode(&frame),
                    passes: number != 2,
                    secrets: if number == 1 { &secrets } else { &[] },
                    gap: (number == 2).then_some(gap),
                };
                expected.push(shown(&fed));
                batch.push(&fed);
            }
            let mut found = Vec::new();
            batch.drain(|fed| found.push(shown(fed)));
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
        batch.push(&fed);
        let mut found = Vec::new();
        batch.drain(|fed| found.push(shown(fed)));
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
                batch.push(&Fed {
                    frame: &frame,
                    packet: &Decoder::new().decode(&frame),
                    passes: true,
                    secrets: &[],
                    gap: None,
                });
            }
            batch.packets.len()
        };
        assert_eq!((packets(60), packets(65_536)), (Batch::PACKETS, 4));
    }
}
