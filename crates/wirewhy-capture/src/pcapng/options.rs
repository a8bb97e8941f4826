//! The option list at the end of a block (draft-ietf-opsawg-pcapng section 3.5).

use nom::bytes::complete::take;
use nom::combinator::opt;
use nom::number::complete::u16;
use nom::{IResult, Parser};

use crate::info::ByteOrder;

/// The options of a block, one after another, as far as they are well formed.
pub(super) struct Options<'a> {
    rest: &'a [u8],
    order: ByteOrder,
}

/// One option.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct BlockOption<'a> {
    pub(super) code: u16,
    pub(super) value: &'a [u8],
}

impl<'a> Options<'a> {
    pub(super) fn new(bytes: &'a [u8], order: ByteOrder) -> Options<'a> {
        Options { rest: bytes, order }
    }
}

impl<'a> Iterator for Options<'a> {
    type Item = BlockOption<'a>;

    fn next(&mut self) -> Option<BlockOption<'a>> {
        let (rest, option) = option(self.rest, self.order).ok()?;
        self.rest = rest;
        // opt_endofopt; it may be missing, then the block's end ends the list.
        (option.code != 0).then_some(option)
    }
}

fn option(input: &[u8], order: ByteOrder) -> IResult<&[u8], BlockOption<'_>> {
    let (input, code) = u16(order.nom()).parse(input)?;
    let (input, len) = u16(order.nom()).parse(input)?;
    let (input, value) = take(len).parse(input)?;
    // The last padding may be missing in sloppy files.
    let (input, _) = opt(take(padding(usize::from(len)))).parse(input)?;
    Ok((input, BlockOption { code, value }))
}

/// How many bytes fill `len` up to a multiple of four.
pub(super) fn padding(len: usize) -> usize {
    len.wrapping_neg() & 3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_padded_and_end() {
        let bytes = [
            0, 2, 0, 5, 1, 2, 3, 4, 5, 0, 0, 0, 0, 9, 0, 1, 6, 0, 0, 0, 0, 0, 0, 0, 1,
        ];
        let all: Vec<_> = Options::new(&bytes, ByteOrder::Big).collect();
        let [first, second] = all[..] else {
            panic!("{all:?}")
        };
        assert_eq!((first.code, first.value), (2, &[1, 2, 3, 4, 5][..]));
        assert_eq!((second.code, second.value), (9, &[6][..]));
    }

    #[test]
    fn a_lying_length_ends_the_list() {
        let bytes = [2, 0, 1, 0, b'a', 0, 0, 0, 3, 0, 9, 0, b'b'];
        let all: Vec<_> = Options::new(&bytes, ByteOrder::Little).collect();
        assert_eq!(all.len(), 1);
    }
}
