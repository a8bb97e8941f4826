//! Vectors and extensions of TLS messages, read so that what is malformed ends nothing but itself (RFC 8446 section 3).

use super::ExtensionType;

/// Splits a number of two bytes off.
pub(super) fn u16(bytes: &mut &[u8]) -> Option<u16> {
    let (first, rest) = bytes.split_first_chunk::<2>()?;
    *bytes = rest;
    Some(u16::from_be_bytes(*first))
}

/// Splits `length` bytes off.
pub(super) fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (first, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(first)
}

/// Splits a vector off whose length takes one byte.
pub(super) fn vector8<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, mut rest) = bytes.split_first()?;
    let vector = take(&mut rest, usize::from(*length))?;
    *bytes = rest;
    Some(vector)
}

/// Splits a vector off whose length takes two bytes.
pub(super) fn vector16<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let mut rest = *bytes;
    let length = u16(&mut rest)?;
    let vector = take(&mut rest, usize::from(length))?;
    *bytes = rest;
    Some(vector)
}

/// The numbers of two bytes that follow one another; an odd byte at the end is left out.
pub(super) fn numbers(bytes: &[u8]) -> impl Iterator<Item = u16> + '_ {
    let (pairs, _) = bytes.as_chunks::<2>();
    pairs.iter().map(|pair| u16::from_be_bytes(*pair))
}

/// Extensions one after another.
#[derive(Clone, Copy)]
pub(super) struct Extensions<'a> {
    rest: &'a [u8],
}

impl<'a> Extensions<'a> {
    /// The extensions of what follows a hello's fixed part: a vector of two bytes' length, or nothing at all. One whose
    /// length passes the message's end is read as far as there are bytes.
    pub(super) fn of(mut rest: &'a [u8]) -> Extensions<'a> {
        let rest = vector16(&mut rest).unwrap_or_else(|| rest.get(2..).unwrap_or_default());
        Extensions { rest }
    }

    /// The body of the first whole extension of this type.
    pub(super) fn find(mut self, kind: ExtensionType) -> Option<&'a [u8]> {
        self.find_map(|(found, body)| body.filter(|_| found == kind))
    }
}

impl<'a> Iterator for Extensions<'a> {
    /// The type, and the body where all of it is there.
    type Item = (ExtensionType, Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        let kind = ExtensionType(u16(&mut self.rest)?);
        let body = vector16(&mut self.rest);
        if body.is_none() {
            self.rest = &[];
        }
        Some((kind, body))
    }
}
