//! Text from the wire, made harmless: the one place that decides what a terminal may be sent.

use std::fmt::{self, Write as _};

/// Shows text with everything escaped that could command a terminal, hide, or reorder its surroundings.
///
/// Control characters (escape sequences begin with one), line separators, bidirectional controls (CVE-2021-42574 shows
/// what they do) and characters without width appear as `\u{1b}`. What is longer than [`Safe::MAX_CHARS`] is cut.
#[derive(Clone, Copy, Debug)]
pub struct Safe<'a>(pub &'a str);

impl Safe<'_> {
    /// How many characters of a text are shown.
    pub const MAX_CHARS: usize = 1024;
}

impl fmt::Display for Safe<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, character) in self.0.chars().enumerate() {
            if index == Self::MAX_CHARS {
                return f.write_str("...");
            }
            if is_hidden(character) {
                write!(f, "{}", character.escape_unicode())?;
            } else {
                f.write_char(character)?;
            }
        }
        Ok(())
    }
}

/// Whether a character must not reach a terminal as it is: it commands, reorders, breaks lines, or cannot be seen.
pub(crate) fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}' // soft hyphen
                | '\u{34f}' // combining grapheme joiner
                | '\u{61c}' // Arabic letter mark
                | '\u{115f}'..='\u{1160}' // Hangul fillers
                | '\u{17b4}'..='\u{17b5}' // Khmer inherent vowels
                | '\u{180b}'..='\u{180f}' // Mongolian selectors and separator
                | '\u{200b}'..='\u{200f}' // zero width, left-to-right and right-to-left marks
                | '\u{2028}'..='\u{202e}' // separators, embeddings and overrides
                | '\u{2060}'..='\u{206f}' // joiner, invisible operators, isolates
                | '\u{3164}' // Hangul filler
                | '\u{fe00}'..='\u{fe0f}' // variation selectors
                | '\u{feff}' // byte order mark
                | '\u{ffa0}' // halfwidth Hangul filler
                | '\u{fff0}'..='\u{fffb}' // unassigned and interlinear annotation
                | '\u{1bca0}'..='\u{1bca3}' // shorthand controls
                | '\u{1d173}'..='\u{1d17a}' // musical controls
                | '\u{e0000}'..='\u{e0fff}' // tags and further selectors
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_do_not_reach_the_terminal() {
        let clear_screen = Safe("a\x1b[2J\u{9b}31mb").to_string();
        assert_eq!(clear_screen, r"a\u{1b}[2J\u{9b}31mb");
        assert_eq!(
            Safe("x\r\ny\u{7f}\0").to_string(),
            r"x\u{d}\u{a}y\u{7f}\u{0}"
        );
    }

    #[test]
    fn what_reorders_or_hides_is_shown() {
        let tricks = "\u{202e}\u{2066}\u{200b}\u{2028}\u{feff}\u{e0041}\u{61c}\u{ad}";
        let shown = Safe(tricks).to_string();
        assert!(shown.is_ascii(), "{shown}");
        assert_eq!(shown.matches("\\u{").count(), tricks.chars().count());
    }

    #[test]
    fn letters_of_every_script_stay() {
        let name = "bücher.example 日本 пример";
        assert_eq!(Safe(name).to_string(), name);
    }

    #[test]
    fn length_is_bounded() {
        let long = "é".repeat(Safe::MAX_CHARS + 1);
        let shown = Safe(&long).to_string();
        assert_eq!(shown.chars().count(), Safe::MAX_CHARS + 3);
        assert!(shown.ends_with("..."));
        let fits = "é".repeat(Safe::MAX_CHARS);
        assert_eq!(Safe(&fits).to_string(), fits);
    }
}
