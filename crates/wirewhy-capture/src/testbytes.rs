//! Capture files built byte by byte, for tests.

use std::io::{Cursor, Read};

use crate::{ByteOrder, OpenError, Problem, Reader};

/// Puts numbers into bytes in one byte order.
pub(crate) struct Bytes {
    order: ByteOrder,
    pub(crate) bytes: Vec<u8>,
}

impl Bytes {
    pub(crate) fn new(order: ByteOrder) -> Bytes {
        let bytes = Vec::new();
        Bytes { order, bytes }
    }

    pub(crate) fn u16(&mut self, value: u16) -> &mut Bytes {
        match self.order {
            ByteOrder::Little => self.raw(&value.to_le_bytes()),
            ByteOrder::Big => self.raw(&value.to_be_bytes()),
        }
    }

    pub(crate) fn u32(&mut self, value: u32) -> &mut Bytes {
        match self.order {
            ByteOrder::Little => self.raw(&value.to_le_bytes()),
            ByteOrder::Big => self.raw(&value.to_be_bytes()),
        }
    }

    pub(crate) fn u64(&mut self, value: u64) -> &mut Bytes {
        match self.order {
            ByteOrder::Little => self.raw(&value.to_le_bytes()),
            ByteOrder::Big => self.raw(&value.to_be_bytes()),
        }
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) -> &mut Bytes {
        self.bytes.extend_from_slice(bytes);
        self
    }

    fn pad(&mut self) -> &mut Bytes {
        let padded = self.bytes.len().next_multiple_of(4);
        self.bytes.resize(padded, 0);
        self
    }

    // pcap

    pub(crate) fn pcap_header(&mut self, magic: u32, version: (u16, u16), link: u32) -> &mut Bytes {
        self.u32(magic).u16(version.0).u16(version.1);
        self.u32(0).u32(0).u32(262_144).u32(link)
    }

    /// A record header with the two length fields as given, `extra` bytes more of it, and the packet.
    pub(crate) fn record(
        &mut self,
        time: (u32, u32),
        lengths: (u32, u32),
        extra: usize,
        packet: &[u8],
    ) -> &mut Bytes {
        self.u32(time.0).u32(time.1).u32(lengths.0).u32(lengths.1);
        self.raw(&vec![0; extra]).raw(packet)
    }

    // pcapng

    pub(crate) fn block(&mut self, kind: u32, body: &Bytes) -> &mut Bytes {
        let len = length(body.bytes.len().next_multiple_of(4) + 12);
        self.u32(kind).u32(len).raw(&body.bytes).pad().u32(len)
    }

    pub(crate) fn section(&mut self) -> &mut Bytes {
        let mut body = self.body();
        body.u32(0x1a2b_3c4d).u16(1).u16(0).u64(u64::MAX);
        self.block(0x0a0d_0d0a, &body)
    }

    pub(crate) fn interface(
        &mut self,
        link: u16,
        snap_len: u32,
        options: &[(u16, &[u8])],
    ) -> &mut Bytes {
        let mut body = self.body();
        body.u16(link).u16(0).u32(snap_len).options(options);
        self.block(1, &body)
    }

    pub(crate) fn enhanced(&mut self, interface: u32, ticks: u64, packet: &[u8]) -> &mut Bytes {
        self.enhanced_with(interface, ticks, packet, length(packet.len()), &[])
    }

    pub(crate) fn enhanced_with(
        &mut self,
        interface: u32,
        ticks: u64,
        packet: &[u8],
        original_len: u32,
        options: &[(u16, &[u8])],
    ) -> &mut Bytes {
        let mut body = self.body();
        body.u32(interface).ticks(ticks);
        body.u32(length(packet.len())).u32(original_len);
        body.raw(packet).pad().options(options);
        self.block(6, &body)
    }

    pub(crate) fn simple(&mut self, packet: &[u8], original_len: u32) -> &mut Bytes {
        let mut body = self.body();
        body.u32(original_len).raw(packet);
        self.block(3, &body)
    }

    pub(crate) fn obsolete(
        &mut self,
        interface: u16,
        drops: u16,
        ticks: u64,
        packet: &[u8],
    ) -> &mut Bytes {
        let mut body = self.body();
        body.u16(interface).u16(drops).ticks(ticks);
        body.u32(length(packet.len())).u32(length(packet.len()));
        body.raw(packet);
        self.block(2, &body)
    }

    pub(crate) fn ticks(&mut self, ticks: u64) -> &mut Bytes {
        let [a, b, c, d, e, f, g, h] = ticks.to_be_bytes();
        self.u32(u32::from_be_bytes([a, b, c, d]));
        self.u32(u32::from_be_bytes([e, f, g, h]))
    }

    pub(crate) fn options(&mut self, options: &[(u16, &[u8])]) -> &mut Bytes {
        for (code, value) in options {
            let len = u16::try_from(value.len()).unwrap();
            self.u16(*code).u16(len).raw(value).pad();
        }
        if !options.is_empty() {
            self.u32(0);
        }
        self
    }

    pub(crate) fn body(&self) -> Bytes {
        Bytes::new(self.order)
    }
}

pub(crate) fn length(len: usize) -> u32 {
    u32::try_from(len).unwrap()
}

/// A frame that outlives the reader's buffer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Owned {
    pub(crate) number: u64,
    pub(crate) nanos: i64,
    pub(crate) link_type: u32,
    pub(crate) interface: u32,
    pub(crate) original_len: u32,
    pub(crate) data: Vec<u8>,
}

/// Reads bytes as a capture.
pub(crate) fn reader(bytes: &[u8]) -> Result<Reader, OpenError> {
    Reader::new(Box::new(Cursor::new(bytes.to_vec())), "test".to_owned())
}

/// All frames a reader gives from here on.
pub(crate) fn drain(reader: &mut Reader) -> Vec<Owned> {
    let mut frames = Vec::new();
    while let Some(frame) = reader.next() {
        frames.push(Owned {
            number: frame.number,
            nanos: frame.time.0,
            link_type: frame.link_type.0,
            interface: frame.interface,
            original_len: frame.original_len,
            data: frame.data.to_vec(),
        });
    }
    frames
}

/// All frames, and the problem that ended them.
pub(crate) fn read(bytes: &[u8]) -> (Vec<Owned>, Option<Problem>) {
    let mut reader = reader(bytes).unwrap();
    let frames = drain(&mut reader);
    (frames, reader.problem().cloned())
}

/// All frames of a file that must be whole.
pub(crate) fn read_whole(bytes: &[u8]) -> Vec<Owned> {
    let (frames, problem) = read(bytes);
    assert_eq!(problem, None);
    frames
}

/// Gives one piece per read call.
pub(crate) struct Pieces(pub(crate) Vec<Vec<u8>>);

impl Read for Pieces {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let Some(first) = self.0.first_mut() else {
            return Ok(0);
        };
        let count = first.len().min(out.len());
        out[..count].copy_from_slice(&first[..count]);
        first.drain(..count);
        if first.is_empty() {
            self.0.remove(0);
        }
        Ok(count)
    }
}

/// A deterministic source of arbitrary numbers.
pub(crate) struct Arbitrary(pub(crate) u64);

impl Arbitrary {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(limit.max(1)).unwrap()).unwrap()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.next().to_be_bytes()[3]
    }

    pub(crate) fn packet(&mut self, max_len: usize) -> Vec<u8> {
        let len = self.below(max_len);
        (0..len).map(|_| self.byte()).collect()
    }
}

/// One file of every kind: name and bytes.
pub(crate) fn every_kind() -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    let mut arbitrary = Arbitrary(7);
    for order in [ByteOrder::Little, ByteOrder::Big] {
        for (name, magic, version, extra) in [
            ("micro", 0xa1b2_c3d4_u32, (2, 4), 0),
            ("nano", 0xa1b2_3c4d, (2, 4), 0),
            ("modified", 0xa1b2_cd34, (2, 4), 8),
            ("version 2.2", 0xa1b2_c3d4, (2, 2), 0),
            ("version 2.3", 0xa1b2_c3d4, (2, 3), 0),
            ("version 543.0", 0xa1b2_c3d4, (543, 0), 0),
        ] {
            let mut file = Bytes::new(order);
            file.pcap_header(magic, version, 1);
            for number in 0..20_u32 {
                let packet = arbitrary.packet(300);
                let captured = length(packet.len());
                let original = captured + 40 * (number % 3);
                let lengths = match version {
                    (2, 4) => (captured, original),
                    _ => (original, captured),
                };
                file.record(
                    (1_500_000_000 + number, 999_990 + number % 10),
                    lengths,
                    extra,
                    &packet,
                );
            }
            files.push((format!("pcap {name} {order:?}"), file.bytes));
        }
        let mut file = Bytes::new(order);
        file.section().interface(1, 65_535, &[(2, b"eth0")]);
        for number in 0..10_u64 {
            let packet = arbitrary.packet(300);
            file.enhanced(0, 1_500_000_000_000_000 + number, &packet);
        }
        files.push((format!("pcapng {order:?}"), file.bytes.clone()));
        file.section()
            .interface(113, 0, &[(9, &[9])])
            .interface(101, 96, &[(9, &[0x94])]);
        for number in 0..10_u64 {
            let packet = arbitrary.packet(96);
            let drops = Bytes::new(order).u64(3).bytes.clone();
            let original = length(packet.len()) + 9;
            file.enhanced_with(1, number << 20, &packet, original, &[(4, &drops)]);
            file.simple(&packet, length(packet.len()));
        }
        files.push((format!("pcapng, many interfaces, {order:?}"), file.bytes));
        let mut file = Bytes::new(order);
        file.section().interface(1, 65_535, &[]);
        for number in 0..10_u64 {
            file.obsolete(0, 1, number, &arbitrary.packet(50));
        }
        files.push((format!("pcapng, obsolete blocks, {order:?}"), file.bytes));
    }
    files
}
