//! One line of a trace, split into words.

/// A word of a line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Word {
    /// Anything without spaces.
    Plain(String),
    /// What stood between double quotes, escapes resolved.
    Text(Vec<u8>),
    /// What stood between `<` and `>`. A `<` followed by a space is an arrow and therefore plain.
    Options(String),
}

/// The words of a line, read from left to right.
#[derive(Debug)]
pub(crate) struct Words {
    rest: std::iter::Peekable<std::vec::IntoIter<Word>>,
}

impl Words {
    /// Splits a line; a comment runs from `//` to the end of the line.
    pub(crate) fn split(line: &str) -> Result<Words, String> {
        let mut words = Vec::new();
        let mut rest = line.trim_start();
        while !rest.is_empty() && !rest.starts_with("//") {
            let (word, behind) = first_word(rest)?;
            words.push(word);
            rest = behind.trim_start();
        }
        Ok(Words {
            rest: words.into_iter().peekable(),
        })
    }

    pub(crate) fn next(&mut self) -> Option<Word> {
        self.rest.next()
    }

    pub(crate) fn is_empty(&mut self) -> bool {
        self.rest.peek().is_none()
    }

    pub(crate) fn peek(&mut self) -> Option<&str> {
        match self.rest.peek() {
            Some(Word::Plain(word)) => Some(word),
            _ => None,
        }
    }

    /// Takes the next word if it is this one.
    pub(crate) fn take(&mut self, literal: &str) -> bool {
        let found = self.peek() == Some(literal);
        if found {
            self.rest.next();
        }
        found
    }

    pub(crate) fn plain(&mut self, what: &str) -> Result<String, String> {
        match self.rest.next() {
            Some(Word::Plain(word)) => Ok(word),
            Some(_) | None => Err(format!("{what} expected")),
        }
    }

    pub(crate) fn parsed<T: std::str::FromStr>(&mut self, what: &str) -> Result<T, String> {
        let word = self.plain(what)?;
        word.parse().map_err(|_| format!("{word} is no {what}"))
    }

    /// Fails if anything is left.
    pub(crate) fn finish(&mut self) -> Result<(), String> {
        match self.rest.next() {
            None => Ok(()),
            Some(word) => Err(format!("unexpected {word:?}")),
        }
    }
}

fn first_word(rest: &str) -> Result<(Word, &str), String> {
    if let Some(behind) = rest.strip_prefix('"') {
        return quoted(behind);
    }
    let spaced = |text: &str| text.is_empty() || text.starts_with(char::is_whitespace);
    if let Some(behind) = rest.strip_prefix('<')
        && !spaced(behind)
    {
        let (inside, behind) = behind.split_once('>').ok_or("option list without >")?;
        return Ok((Word::Options(inside.to_owned()), behind));
    }
    let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
    let (word, behind) = rest.split_at_checked(end).unwrap_or((rest, ""));
    Ok((Word::Plain(word.to_owned()), behind))
}

fn quoted(text: &str) -> Result<(Word, &str), String> {
    let mut bytes = Vec::new();
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match char {
            '"' => return Ok((Word::Text(bytes), chars.as_str())),
            '\\' => bytes.push(escaped(&mut chars)?),
            other => bytes.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Err("text without closing quote".to_owned())
}

fn escaped(chars: &mut std::str::Chars<'_>) -> Result<u8, String> {
    Ok(match chars.next() {
        Some('r') => b'\r',
        Some('n') => b'\n',
        Some('t') => b'\t',
        Some('0') => 0,
        Some('\\') => b'\\',
        Some('"') => b'"',
        Some('x') => {
            let digits: String = chars.by_ref().take(2).collect();
            *hex(&digits)?.first().ok_or("\\x needs two digits")?
        }
        _ => return Err("unknown escape".to_owned()),
    })
}

/// Bytes from hexadecimal digits.
pub(crate) fn hex(digits: &str) -> Result<Vec<u8>, String> {
    let nibbles: Option<Vec<u32>> = digits.chars().map(|digit| digit.to_digit(16)).collect();
    let nibbles = nibbles.ok_or_else(|| format!("{digits} is not hexadecimal"))?;
    if nibbles.len() % 2 != 0 {
        return Err(format!("{digits} has half a byte"));
    }
    let (pairs, _) = nibbles.as_chunks::<2>();
    pairs
        .iter()
        .map(|[high, low]| u8::try_from(high << 4 | low).map_err(|error| error.to_string()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrows_options_text_and_comments_are_told_apart() {
        let mut words =
            Words::split(r#"0.5 < A <nop,ts 1 2> "a // \x41\r\n\"" // "comment"#).expect("line");
        let all: Vec<Word> = std::iter::from_fn(|| words.next()).collect();
        let plain = |word: &str| Word::Plain(word.to_owned());
        assert_eq!(
            all,
            [
                plain("0.5"),
                plain("<"),
                plain("A"),
                Word::Options("nop,ts 1 2".to_owned()),
                Word::Text(b"a // A\r\n\"".to_vec()),
            ]
        );
    }

    #[test]
    fn what_is_left_open_is_an_error() {
        for line in [r#""abc"#, r#""\q""#, r#""\x4""#, "<mss 1460", r#""\xzz""#] {
            assert!(Words::split(line).is_err(), "{line}");
        }
    }
}
