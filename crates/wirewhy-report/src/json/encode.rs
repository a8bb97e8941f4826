//! Values to JSON text in which nothing is invisible.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{CharEscape, CompactFormatter, Formatter, Serializer};

use crate::safe::is_hidden;

/// The longest string, in bytes of UTF-8; of a longer one the beginning is written, with `...` behind it. As many as a path may
/// have, and a text of [`Safe::MAX_CHARS`](crate::Safe::MAX_CHARS) characters takes at most.
const LONGEST: usize = 4 * crate::Safe::MAX_CHARS;

/// Writes a value as compact JSON. Characters that a terminal would obey or not show are escaped, so that the output
/// is safe to look at and decodes to the same strings; those that are very long are cut.
pub(crate) fn encode(out: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    value
        .serialize(&mut Serializer::with_formatter(out, Visible { left: None }))
        .map_err(io::Error::from)
}

struct Visible {
    /// How many more bytes of the string are written; `None` once it was cut.
    left: Option<usize>,
}

impl Formatter for Visible {
    fn begin_string<W>(&mut self, out: &mut W) -> io::Result<()>
    where
        W: ?Sized + Write,
    {
        self.left = Some(LONGEST);
        out.write_all(b"\"")
    }

    fn end_string<W>(&mut self, out: &mut W) -> io::Result<()>
    where
        W: ?Sized + Write,
    {
        out.write_all(if self.left.is_some() { b"\"" } else { b"...\"" })
    }

    fn write_char_escape<W>(&mut self, out: &mut W, escape: CharEscape) -> io::Result<()>
    where
        W: ?Sized + Write,
    {
        self.left = self.left.and_then(|left| left.checked_sub(1));
        match self.left {
            Some(_) => CompactFormatter.write_char_escape(out, escape),
            None => Ok(()),
        }
    }

    fn write_string_fragment<W>(&mut self, out: &mut W, fragment: &str) -> io::Result<()>
    where
        W: ?Sized + Write,
    {
        let Some(left) = self.left else {
            return Ok(());
        };
        let end = fragment.floor_char_boundary(left);
        self.left = (end == fragment.len()).then_some(left.saturating_sub(end));
        let mut rest = fragment.get(..end).unwrap_or_default();
        while let Some((at, hidden)) = rest.char_indices().find(|(_, c)| is_hidden(*c)) {
            let (before, after) = rest.split_at(at);
            out.write_all(before.as_bytes())?;
            for unit in hidden.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}")?;
            }
            rest = after.get(hidden.len_utf8()..).unwrap_or_default();
        }
        out.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(text: &str) -> String {
        let mut out = Vec::new();
        encode(&mut out, &text).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn invisible_characters_are_escaped_and_survive() {
        let hostile = "a\u{1b}[2J\u{9b}\u{202e}\u{200b}\u{7f}\u{e0041}\u{2028}\"\\\nü日";
        let text = encoded(hostile);
        assert!(!text.chars().any(is_hidden), "{text}");
        assert!(
            text.contains("\\u202e") && text.contains("\\udb40\\udc41"),
            "{text}"
        );
        assert_eq!(serde_json::from_str::<String>(&text).unwrap(), hostile);
    }

    #[test]
    fn long_strings_are_cut_at_a_character() {
        let fits = "x".repeat(LONGEST);
        assert_eq!(encoded(&fits), format!("\"{fits}\""));
        assert_eq!(encoded(&format!("{fits}y")), format!("\"{fits}...\""));
        for piece in ["\u{fc}", "\u{e0041}", "\n", "\"a", "日"] {
            let long = piece.repeat(60_000);
            let text = encoded(&long);
            let read: String = serde_json::from_str(&text).unwrap();
            let kept = read.strip_suffix("...").unwrap();
            assert!(long.starts_with(kept) && kept.len() <= LONGEST);
            assert!(kept.len() + 4 > LONGEST);
        }
    }

    #[test]
    fn ordinary_text_is_left_alone() {
        assert_eq!(encoded("bücher.example"), "\"bücher.example\"");
    }
}
