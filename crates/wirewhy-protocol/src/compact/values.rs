//! Values of no type of ours.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use wirewhy_packet::{IpId, MacAddr};

use super::{Compact, CompactReader, CompactWriter};

macro_rules! numbers {
    ($($number:ty),*) => {$(
        impl Compact for $number {
            fn write(&self, to: &mut CompactWriter) {
                to.number((*self).into());
            }

            fn read(from: &mut CompactReader<'_>) -> Option<$number> {
                from.number()?.try_into().ok()
            }
        }
    )*};
}

numbers!(u16, u32, u64);

impl Compact for u8 {
    fn write(&self, to: &mut CompactWriter) {
        to.number((*self).into());
    }

    fn read(from: &mut CompactReader<'_>) -> Option<u8> {
        from.number()?.try_into().ok()
    }

    fn write_all(items: &[u8], to: &mut CompactWriter) {
        to.text(items);
    }

    fn read_all(from: &mut CompactReader<'_>) -> Option<Vec<u8>> {
        from.text()
    }
}

impl Compact for usize {
    fn write(&self, to: &mut CompactWriter) {
        to.length(*self);
    }

    fn read(from: &mut CompactReader<'_>) -> Option<usize> {
        from.length()
    }
}

impl Compact for i32 {
    fn write(&self, to: &mut CompactWriter) {
        to.signed((*self).into());
    }

    fn read(from: &mut CompactReader<'_>) -> Option<i32> {
        from.signed()?.try_into().ok()
    }
}

impl Compact for bool {
    fn write(&self, to: &mut CompactWriter) {
        to.number((*self).into());
    }

    fn read(from: &mut CompactReader<'_>) -> Option<bool> {
        from.number().map(|number| number != 0)
    }
}

impl<T: Compact> Compact for Option<T> {
    fn write(&self, to: &mut CompactWriter) {
        to.tag(self.is_some().into());
        if let Some(value) = self {
            value.write(to);
        }
    }

    fn read(from: &mut CompactReader<'_>) -> Option<Option<T>> {
        match from.number()? {
            0 => Some(None),
            _ => T::read(from).map(Some),
        }
    }
}

impl<T: Compact> Compact for Box<T> {
    fn write(&self, to: &mut CompactWriter) {
        T::write(self, to);
    }

    fn read(from: &mut CompactReader<'_>) -> Option<Box<T>> {
        T::read(from).map(Box::new)
    }
}

impl<T: Compact> Compact for Vec<T> {
    fn write(&self, to: &mut CompactWriter) {
        T::write_all(self, to);
    }

    fn read(from: &mut CompactReader<'_>) -> Option<Vec<T>> {
        T::read_all(from)
    }
}

impl<T: Compact> Compact for Box<[T]> {
    fn write(&self, to: &mut CompactWriter) {
        T::write_all(self, to);
    }

    fn read(from: &mut CompactReader<'_>) -> Option<Box<[T]>> {
        T::read_all(from).map(Vec::into_boxed_slice)
    }
}

impl Compact for Box<str> {
    fn write(&self, to: &mut CompactWriter) {
        u8::write_all(self.as_bytes(), to);
    }

    fn read(from: &mut CompactReader<'_>) -> Option<Box<str>> {
        let text = String::from_utf8(u8::read_all(from)?);
        text.ok().map(String::into_boxed_str)
    }
}

impl<T: Compact> Compact for VecDeque<T> {
    fn write(&self, to: &mut CompactWriter) {
        to.length(self.len());
        for item in self {
            item.write(to);
        }
    }

    fn read(from: &mut CompactReader<'_>) -> Option<VecDeque<T>> {
        T::read_all(from).map(VecDeque::from)
    }
}

impl<K: Compact + Ord, T: Compact> Compact for BTreeMap<K, T> {
    fn write(&self, to: &mut CompactWriter) {
        to.length(self.len());
        for (key, item) in self {
            key.write(to);
            item.write(to);
        }
    }

    fn read(from: &mut CompactReader<'_>) -> Option<BTreeMap<K, T>> {
        let count = from.length()?;
        let items = (0..count).map(|_| Some((K::read(from)?, T::read(from)?)));
        items.collect()
    }
}

impl<T: Compact + Default, const N: usize> Compact for [T; N] {
    fn write(&self, to: &mut CompactWriter) {
        for item in self {
            item.write(to);
        }
    }

    fn read(from: &mut CompactReader<'_>) -> Option<[T; N]> {
        let mut items = std::array::from_fn(|_| T::default());
        for item in &mut items {
            *item = T::read(from)?;
        }
        Some(items)
    }
}

impl<A: Compact, B: Compact> Compact for (A, B) {
    fn write(&self, to: &mut CompactWriter) {
        self.0.write(to);
        self.1.write(to);
    }

    fn read(from: &mut CompactReader<'_>) -> Option<(A, B)> {
        Some((A::read(from)?, B::read(from)?))
    }
}

impl Compact for IpAddr {
    fn write(&self, to: &mut CompactWriter) {
        let (is_v6, address) = match self {
            IpAddr::V4(address) => (false, address.to_bits().into()),
            IpAddr::V6(address) => (true, address.to_bits()),
        };
        is_v6.write(to);
        for half in [address >> 64, address & u128::from(u64::MAX)] {
            to.number(u64::try_from(half).unwrap_or(0));
        }
    }

    fn read(from: &mut CompactReader<'_>) -> Option<IpAddr> {
        let is_v6 = bool::read(from)?;
        let [high, low] = [from.number()?, from.number()?];
        Some(if is_v6 {
            Ipv6Addr::from_bits(u128::from(high) << 64 | u128::from(low)).into()
        } else {
            Ipv4Addr::from_bits(u32::try_from(low).ok()?).into()
        })
    }
}

impl Compact for MacAddr {
    fn write(&self, to: &mut CompactWriter) {
        let [a, b, c, d, e, f] = self.0;
        to.number(u64::from_be_bytes([0, 0, a, b, c, d, e, f]));
    }

    fn read(from: &mut CompactReader<'_>) -> Option<MacAddr> {
        let [_, _, octets @ ..] = from.number()?.to_be_bytes();
        Some(MacAddr(octets))
    }
}

impl Compact for IpId {
    fn write(&self, to: &mut CompactWriter) {
        let IpId { id, dont_fragment } = self;
        id.write(to);
        dont_fragment.write(to);
    }

    fn read(from: &mut CompactReader<'_>) -> Option<IpId> {
        Some(IpId {
            id: u16::read(from)?,
            dont_fragment: bool::read(from)?,
        })
    }
}
