//! What a file looks like that is no capture.

use std::fmt;

/// What the first bytes of a file look like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum LooksLike {
    /// A known kind of file, in words with their article: `a ZIP archive`.
    Known(&'static str),
    /// Text of no known kind.
    Text,
    /// Nothing but zero bytes.
    Zeros,
    /// None of those.
    Unknown {
        /// The first bytes, as many as there are.
        first: [u8; 4],
    },
}

impl LooksLike {
    /// Recognises a file by its first bytes; with more of them it is more certain, 512 are plenty.
    pub(crate) fn sniff(head: &[u8]) -> LooksLike {
        if let Some(known) = by_magic(head) {
            return LooksLike::Known(known);
        }
        if head.iter().all(|byte| *byte == 0) {
            return LooksLike::Zeros;
        }
        match readable(head) {
            Some(text) => by_first_words(text).map_or(LooksLike::Text, LooksLike::Known),
            None => {
                let mut first = [0; 4];
                first
                    .iter_mut()
                    .zip(head)
                    .for_each(|(to, from)| *to = *from);
                LooksLike::Unknown { first }
            }
        }
    }
}

impl fmt::Display for LooksLike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LooksLike::Known(name) => f.write_str(name),
            LooksLike::Text => f.write_str("text"),
            LooksLike::Zeros => f.write_str("nothing but zero bytes"),
            LooksLike::Unknown {
                first: [a, b, c, d],
            } => write!(
                f,
                "an unknown kind of file (it begins {a:02x} {b:02x} {c:02x} {d:02x})"
            ),
        }
    }
}

/// Offset, bytes there, kind of file. Longer signatures stand before shorter ones that they contain.
const SIGNATURES: &[(usize, &[u8], &str)] = &[
    // Other capture formats first: their users can convert them.
    (
        0,
        b"snoop\0\0\0",
        "a Solaris snoop capture (convert it with editcap -F pcapng)",
    ),
    (
        0,
        b"btsnoop\0",
        "a Bluetooth snoop capture (convert it with editcap -F pcapng)",
    ),
    (
        0,
        b"GMBU",
        "a Microsoft Network Monitor 2 capture (convert it with editcap -F pcapng)",
    ),
    (
        0,
        b"RTSS",
        "a Microsoft Network Monitor 1 capture (convert it with editcap -F pcapng)",
    ),
    (
        72,
        b"\x02\x00\x01\xc0",
        "a Windows event trace (convert it with etl2pcapng)",
    ),
    (
        72,
        b"\x02\x00\x02\xc0",
        "a Windows event trace (convert it with etl2pcapng)",
    ),
    (
        0,
        b"TRSNIFF data    \x1a",
        "a DOS Sniffer capture (convert it with editcap -F pcapng)",
    ),
    (
        0,
        b"XCP\0",
        "a NetXRay or Windows Sniffer capture (convert it with editcap -F pcapng)",
    ),
    (
        0,
        b"VL\0\0",
        "a NetXRay capture (convert it with editcap -F pcapng)",
    ),
    (
        0,
        b"iptrace 1.0",
        "an AIX iptrace capture (convert it with editcap -F pcapng)",
    ),
    (
        0,
        b"iptrace 2.0",
        "an AIX iptrace capture (convert it with editcap -F pcapng)",
    ),
    (
        0,
        b"\x7fver",
        "an EtherPeek or OmniPeek capture (convert it with editcap -F pcapng)",
    ),
    (
        0,
        b"\xa1\xb2\xc3\xcb",
        "a libpcap savefile of a kind that was never released",
    ),
    (
        0,
        b"\xcb\xc3\xb2\xa1",
        "a libpcap savefile of a kind that was never released",
    ),
    (
        0,
        b"\xa1\x2b\x3c\x4d",
        "a Navtel savefile, which no program is known to read",
    ),
    (
        0,
        b"\x4d\x3c\x2b\xa1",
        "a Navtel savefile, which no program is known to read",
    ),
    (
        0,
        b"\x1c\x00\x01\xac",
        "an Ixia capture (convert it with editcap -F pcapng)",
    ),
    (
        0,
        b"\xac\x01\x00\x1c",
        "an Ixia capture (convert it with editcap -F pcapng)",
    ),
    (
        0,
        b"\x1c\x00\x01\xab",
        "an Ixia capture (convert it with editcap -F pcapng)",
    ),
    (
        0,
        b"\xab\x01\x00\x1c",
        "an Ixia capture (convert it with editcap -F pcapng)",
    ),
    (0, b"LPKSHHRH", "a systemd journal"),
    // Archives and compressed files.
    (0, b"PK\x03\x04", "a ZIP archive (unpack it first)"),
    (0, b"PK\x05\x06", "an empty ZIP archive"),
    (
        0,
        b"7z\xbc\xaf\x27\x1c",
        "a 7-Zip archive (unpack it first)",
    ),
    (0, b"Rar!\x1a\x07", "a RAR archive (unpack it first)"),
    (257, b"ustar", "a tar archive (unpack it first)"),
    (0, b"BZh", "a bzip2 file (unpack it first)"),
    (0, b"\x1f\x8b", "a gzip file (unpack it first)"),
    (0, b"\x28\xb5\x2f\xfd", "a zstd file (unpack it first)"),
    (0, b"\x04\x22\x4d\x18", "an lz4 file (unpack it first)"),
    (0, b"\xfd7zXZ\0", "an xz file (unpack it first)"),
    (
        0,
        b"\x1f\x9d",
        "a file packed by compress (unpack it first)",
    ),
    (0, b"LZIP", "an lzip file (unpack it first)"),
    (0, b"\x5d\0\0\x80\0", "an lzma file (unpack it first)"),
    // Programs, documents, pictures, databases.
    (0, b"\x7fELF", "an ELF program or library"),
    (0, b"MZ", "a Windows program"),
    (0, b"\xfe\xed\xfa\xce", "a Mach-O program"),
    (0, b"\xfe\xed\xfa\xcf", "a Mach-O program"),
    (0, b"\xce\xfa\xed\xfe", "a Mach-O program"),
    (0, b"\xcf\xfa\xed\xfe", "a Mach-O program"),
    (0, b"\xca\xfe\xba\xbe", "a Java class or a Mach-O program"),
    (0, b"%PDF-", "a PDF document"),
    (
        0,
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        "an old Microsoft Office document",
    ),
    (0, b"\x89PNG\r\n\x1a\n", "a PNG picture"),
    (0, b"\xff\xd8\xff", "a JPEG picture"),
    (0, b"GIF8", "a GIF picture"),
    (0, b"SQLite format 3\0", "an SQLite database"),
    (0, b"PAR1", "a Parquet file"),
    (0, b"ARROW1", "an Arrow file"),
    (0, b"\xff\xfe", "UTF-16 text"),
    (0, b"\xfe\xff", "UTF-16 text"),
];

fn by_magic(head: &[u8]) -> Option<&'static str> {
    SIGNATURES
        .iter()
        .find(|(offset, magic, _)| head.get(*offset..).is_some_and(|at| at.starts_with(magic)))
        .map(|(_, _, name)| *name)
}

/// The head as text, if it is text: UTF-8 without control characters. A character cut off at the end is forgiven.
fn readable(head: &[u8]) -> Option<&str> {
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(head.get(..error.valid_up_to())?).ok()?
        }
        Err(_) => return None,
    };
    let strange = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\x0c' | '\x1b');
    (!text.is_empty() && !text.chars().any(strange)).then_some(text)
}

fn by_first_words(text: &str) -> Option<&'static str> {
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let mut lower: String = text.chars().take(64).collect();
    lower.make_ascii_lowercase();
    let begins = |word: &str| lower.starts_with(word);
    if begins("<!doctype html") || begins("<html") || begins("<head") {
        Some("an HTML page")
    } else if begins("<?xml") {
        Some("XML")
    } else if begins("{") || begins("[") {
        Some("JSON")
    } else if begins("#!") {
        Some("a script")
    } else if begins("-----begin ") {
        Some("a PEM file")
    } else if begins("version https://git-lfs") {
        Some("a Git LFS pointer (the capture itself was not fetched)")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(head: &[u8]) -> String {
        LooksLike::sniff(head).to_string()
    }

    #[test]
    fn names_what_people_feed_by_mistake() {
        assert!(shown(b"PK\x03\x04\x14\0").starts_with("a ZIP archive"));
        assert!(shown(b"\x7fELF\x02\x01").starts_with("an ELF"));
        assert_eq!(shown(b"\n <!DOCTYPE HTML><html>"), "an HTML page");
        assert_eq!(shown(b"{\"a\": 1}"), "JSON");
        assert_eq!(shown(b"%PDF-1.7"), "a PDF document");
        assert!(shown(b"snoop\0\0\0\0\0\0\x02").contains("snoop"));
        assert!(shown(b"GMBU\0\x02").contains("Network Monitor"));
        assert_eq!(shown(b"LPKSHHRH"), "a systemd journal");
    }

    #[test]
    fn signatures_beyond_the_start_are_found() {
        let mut tar = vec![b'a'; 300];
        tar[257..262].copy_from_slice(b"ustar");
        assert!(shown(&tar).starts_with("a tar archive"));
        let mut trace = vec![0; 100];
        trace[72..76].copy_from_slice(&[2, 0, 2, 0xc0]);
        assert!(shown(&trace).starts_with("a Windows event trace"));
    }

    #[test]
    fn text_is_told_from_bytes() {
        assert_eq!(LooksLike::sniff(b"10:00:01 IP a > b"), LooksLike::Text);
        assert_eq!(LooksLike::sniff("gr\u{fc}n".as_bytes()), LooksLike::Text);
        assert_eq!(LooksLike::sniff(b"gr\xc3"), LooksLike::Text);
        assert_eq!(LooksLike::sniff(&[0; 40]), LooksLike::Zeros);
        let noise = LooksLike::Unknown {
            first: [1, 2, 0x80, 0xff],
        };
        assert_eq!(LooksLike::sniff(&[1, 2, 0x80, 0xff, 9]), noise);
        assert!(noise.to_string().contains("01 02 80 ff"));
    }

    #[test]
    fn no_signature_is_hidden_by_an_earlier_one() {
        for (index, (offset, magic, name)) in SIGNATURES.iter().enumerate() {
            let mut head = vec![0xEE; *offset];
            head.extend_from_slice(magic);
            let first = SIGNATURES
                .iter()
                .position(|(at, m, _)| head.get(*at..).is_some_and(|h| h.starts_with(m)));
            assert_eq!(first, Some(index), "{name}");
        }
    }
}
