//! Distinguished names as text (RFC 4514).

use std::fmt::Write;

use x509_parser::asn1_rs::Tag;
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

/// The name in the string form of RFC 4514, the last relative name first.
pub(super) fn text(name: &X509Name<'_>) -> Box<str> {
    let mut out = String::new();
    let names: Vec<_> = name.iter_rdn().collect();
    for (index, relative) in names.into_iter().rev().enumerate() {
        if index > 0 {
            out.push(',');
        }
        for (index, attribute) in relative.iter().enumerate() {
            if index > 0 {
                out.push('+');
            }
            push_attribute(&mut out, attribute);
        }
    }
    out.into_boxed_str()
}

/// The last common name.
pub(super) fn common_name(name: &X509Name<'_>) -> Option<Box<str>> {
    let last = name.iter_common_name().last()?;
    directory_string(last).map(String::into_boxed_str)
}

fn push_attribute(out: &mut String, attribute: &AttributeTypeAndValue<'_>) {
    let identifier = attribute.attr_type().to_id_string();
    out.push_str(short_name(&identifier).unwrap_or(&identifier));
    out.push('=');
    match directory_string(attribute) {
        Some(value) => push_escaped(out, &value),
        // Section 2.4: what has no string form is written as its encoding.
        None => {
            let value = attribute.attr_value();
            out.push('#');
            push_hex(out, &[u8::try_from(value.tag().0).unwrap_or(u8::MAX)]);
            push_length(out, value.data.len());
            push_hex(out, value.data);
        }
    }
}

/// RFC 4514 section 3, and the names every tool prints for the other attributes of web certificates.
fn short_name(identifier: &str) -> Option<&'static str> {
    Some(match identifier {
        "2.5.4.3" => "CN",
        "2.5.4.4" => "SN",
        "2.5.4.5" => "serialNumber",
        "2.5.4.6" => "C",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.9" => "STREET",
        "2.5.4.10" => "O",
        "2.5.4.11" => "OU",
        "2.5.4.12" => "title",
        "2.5.4.13" => "description",
        "2.5.4.15" => "businessCategory",
        "2.5.4.17" => "postalCode",
        "2.5.4.42" => "GN",
        "2.5.4.46" => "dnQualifier",
        "2.5.4.65" => "pseudonym",
        "2.5.4.97" => "organizationIdentifier",
        "1.2.840.113549.1.9.1" => "emailAddress",
        "0.9.2342.19200300.100.1.1" => "UID",
        "0.9.2342.19200300.100.1.25" => "DC",
        "1.3.6.1.4.1.311.60.2.1.1" => "jurisdictionL",
        "1.3.6.1.4.1.311.60.2.1.2" => "jurisdictionST",
        "1.3.6.1.4.1.311.60.2.1.3" => "jurisdictionC",
        _ => return None,
    })
}

/// The text of a value in any of the string types; bytes that are wrong in their type are replaced, not refused.
fn directory_string(attribute: &AttributeTypeAndValue<'_>) -> Option<String> {
    let value = attribute.attr_value();
    let bytes: &[u8] = value.data;
    match value.tag() {
        Tag::Utf8String
        | Tag::PrintableString
        | Tag::NumericString
        | Tag::Ia5String
        | Tag::VisibleString
        | Tag::GeneralString => Some(String::from_utf8_lossy(bytes).into_owned()),
        // Everyone who still issues T61 means Latin-1 by it, and some UTF-8.
        Tag::T61String => Some(match std::str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(_) => bytes.iter().copied().map(char::from).collect(),
        }),
        Tag::BmpString => {
            let units = bytes
                .as_chunks::<2>()
                .0
                .iter()
                .map(|unit| u16::from_be_bytes(*unit));
            Some(
                char::decode_utf16(units)
                    .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
                    .collect(),
            )
        }
        Tag::UniversalString => Some(
            bytes
                .as_chunks::<4>()
                .0
                .iter()
                .map(|unit| {
                    char::from_u32(u32::from_be_bytes(*unit)).unwrap_or(char::REPLACEMENT_CHARACTER)
                })
                .collect(),
        ),
        _ => None,
    }
}

/// RFC 4514 section 2.4; control characters as the hex of their bytes.
fn push_escaped(out: &mut String, value: &str) {
    let last = value.chars().count().saturating_sub(1);
    for (index, letter) in value.chars().enumerate() {
        match letter {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => {
                out.push('\\');
                out.push(letter);
            }
            '#' | ' ' if index == 0 => {
                out.push('\\');
                out.push(letter);
            }
            ' ' if index == last => out.push_str("\\ "),
            _ if letter.is_control() => {
                let mut bytes = [0; 4];
                for byte in letter.encode_utf8(&mut bytes).bytes() {
                    out.push('\\');
                    push_hex(out, &[byte]);
                }
            }
            _ => out.push(letter),
        }
    }
}

/// A length as DER writes it (X.690 section 10.1).
fn push_length(out: &mut String, length: usize) {
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => push_hex(out, &[short]),
        _ => {
            let bytes = length.to_be_bytes();
            let used = usize::BITS / 8 - length.leading_zeros() / 8;
            push_hex(out, &[0x80 | u8::try_from(used).unwrap_or(0)]);
            for byte in bytes.iter().skip_while(|byte| **byte == 0) {
                push_hex(out, &[*byte]);
            }
        }
    }
}

/// The bytes in lower-case hexadecimal.
pub(super) fn push_hex(out: &mut String, bytes: &[u8]) {
    for byte in bytes {
        // Writing to a String does not fail.
        let _ = write!(out, "{byte:02x}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use x509_parser::prelude::FromDer;

    fn read(der: &[u8]) -> (Box<str>, Option<Box<str>>) {
        let (_, name) = X509Name::from_der(der).unwrap();
        (text(&name), common_name(&name))
    }

    /// A name of one attribute type, each value in a relative name of its own.
    fn name_of(kind: &[u8], values: &[(u8, &[u8])]) -> Vec<u8> {
        let wrap = |tag: u8, inside: &[u8]| {
            let mut out = vec![tag, u8::try_from(inside.len()).unwrap()];
            out.extend_from_slice(inside);
            out
        };
        let mut sets = Vec::new();
        for (tag, value) in values {
            let mut pair = wrap(6, kind);
            pair.extend(wrap(*tag, value));
            sets.extend(wrap(0x31, &wrap(0x30, &pair)));
        }
        wrap(0x30, &sets)
    }

    const CN: &[u8] = &[0x55, 0x04, 0x03];

    #[test]
    fn last_relative_name_comes_first() {
        let (text, common) = read(&name_of(CN, &[(0x0c, b"one"), (0x13, b"two")]));
        assert_eq!(&*text, "CN=two,CN=one");
        assert_eq!(common.as_deref(), Some("two"));
    }

    #[test]
    fn each_string_type_is_text() {
        for (tag, bytes) in [
            (0x14, &b"Z\xfcrich"[..]),
            (0x14, "Zürich".as_bytes()),
            (0x1e, &b"\0Z\0\xfc\0r\0i\0c\0h"[..]),
            (0x1c, &b"\0\0\0Z\0\0\0\xfc\0\0\0r\0\0\0i\0\0\0c\0\0\0h"[..]),
            (0x0c, "Zürich".as_bytes()),
        ] {
            assert_eq!(
                &*read(&name_of(CN, &[(tag, bytes)])).0,
                "CN=Zürich",
                "{tag:#x}"
            );
        }
    }

    #[test]
    fn hostile_text_is_escaped() {
        let (text, _) = read(&name_of(CN, &[(0x0c, b" a,b\x1b[31m\n+c=\"d\" ")]));
        assert_eq!(&*text, "CN=\\ a\\,b\\1b[31m\\0a\\+c=\\\"d\\\"\\ ");
    }

    #[test]
    fn unknown_attribute_is_its_identifier() {
        let (text, common) = read(&name_of(&[0x2a, 0x03], &[(0x04, &[1, 0xff])]));
        assert_eq!(&*text, "1.2.3=#040201ff");
        assert_eq!(common, None);
    }

    #[test]
    fn empty_name_is_empty_text() {
        assert_eq!(read(&[0x30, 0]), ("".into(), None));
    }
}
