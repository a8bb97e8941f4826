//! The lines of a journal as they stand in its file: JSON, and at the end of each a check.
//!
//! The check is the CRC-32 of all lines so far, each without its own check. So a line that follows another than the one it
//! was written behind has the wrong one.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Seek as _, SeekFrom};

use super::Line;

/// What goes before the check, and after it.
const BEFORE: &[u8] = b",\"check\":\"";
const AFTER: &[u8] = b"\"}\n";

/// How a check is written: so many hexadecimal digits.
const DIGITS: usize = 8;

/// The check of a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Check(u32);

impl Check {
    /// That of the line behind it, given without its check.
    fn behind(self, line: &[u8]) -> Check {
        let mut hasher = crc32fast::Hasher::new_with_initial(self.0);
        hasher.update(line);
        Check(hasher.finalize())
    }
}

/// Appends a line behind the one with this check, which is that of the new line then.
pub(super) fn append(out: &mut Vec<u8>, line: &Line, check: &mut Check) -> io::Result<()> {
    let text = serde_json::to_vec(line)?;
    *check = check.behind(&text);
    out.extend_from_slice(text.strip_suffix(b"}").unwrap_or(&text));
    out.extend_from_slice(BEFORE);
    out.extend_from_slice(format!("{:08x}", check.0).as_bytes());
    out.extend_from_slice(AFTER);
    Ok(())
}

/// Calls `each` with every whole line; returns how many bytes they are, and the check of the last.
///
/// # Errors
///
/// What reading fails with and what `each` returns; of the kind `InvalidData` where a line is none of a journal, or does not
/// belong behind the one before it. That a last line is not whole is no error.
pub(super) fn read_lines(
    journal: &File,
    each: &mut dyn FnMut(Line) -> io::Result<()>,
) -> io::Result<(u64, Check)> {
    let mut file = journal;
    file.seek(SeekFrom::Start(0))?;
    let mut reader = BufReader::new(file);
    let mut text = Vec::new();
    let (mut len, mut check) = (0, Check::default());
    for number in 1_u64.. {
        text.clear();
        reader.read_until(b'\n', &mut text)?;
        if text.last() != Some(&b'\n') {
            break;
        }
        let Some((line, behind)) = parsed(&text, check) else {
            let message = if number == 1 {
                NO_STATE.to_owned()
            } else {
                format!(
                    "line {number} is not what was written behind line {}: the state was changed or is damaged; \
                     remove it to scan everything anew",
                    number - 1
                )
            };
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        };
        len += text.len() as u64;
        check = behind;
        each(line)?;
    }
    Ok((len, check))
}

/// What is said of a file that is no journal.
pub(super) const NO_STATE: &str = "is not the state of a scan";

/// A line behind the one with the check `before`, and its check; nothing where it does not belong there.
fn parsed(text: &[u8], before: Check) -> Option<(Line, Check)> {
    let text = text.strip_suffix(AFTER)?;
    let (rest, digits) = text.split_at_checked(text.len().checked_sub(DIGITS)?)?;
    let mut line = rest.strip_suffix(BEFORE)?.to_vec();
    line.push(b'}');
    let check = before.behind(&line);
    let is_right = digits == format!("{:08x}", check.0).as_bytes();
    is_right.then(|| Some((serde_json::from_slice(&line).ok()?, check)))?
}

/// Whether the very first line of a journal was being written when the end came.
pub(super) fn is_torn_header(journal: &File) -> bool {
    let mut file = journal;
    let mut text = Vec::new();
    let read = file
        .seek(SeekFrom::Start(0))
        .and_then(|_| BufReader::new(file).read_until(b'\n', &mut text));
    read.is_ok()
        && text.last() != Some(&b'\n')
        && br#"{"type":"state""#.starts_with(text.get(..15).unwrap_or(&text))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use wirewhy_testkit::Random;

    use super::*;
    use crate::scan::state::Entry;

    fn lines() -> Vec<Line> {
        let entry = |path: &str, digest: &str| Entry {
            path: path.to_owned(),
            files: vec![path.to_owned(), format!("{path}1")],
            source: path.to_owned(),
            identity: None,
            end: 7_000,
            digest: serde_json::from_str(digest).unwrap(),
            worst: Some("error".to_owned()),
            whole: true,
        };
        let empty = serde_json::to_string(&wirewhy_report::Digest::default()).unwrap();
        vec![
            Line::State {
                options: "--format text".to_owned(),
                rewritten: 0,
                name: "5f".to_owned(),
            },
            Line::Run { number: 1 },
            Line::File(Box::new(entry("a.pcap", &empty))),
            Line::File(Box::new(entry("b.pcap", "null"))),
            Line::End,
        ]
    }

    /// The lines that a journal of these bytes has, and whether it is refused behind them.
    fn read(bytes: &[u8]) -> (Vec<String>, bool) {
        let mut journal = tempfile::tempfile().unwrap();
        journal.write_all(bytes).unwrap();
        let mut found = Vec::new();
        let ended = read_lines(&journal, &mut |line| {
            found.push(serde_json::to_string(&line).unwrap());
            Ok(())
        });
        let _ = is_torn_header(&journal);
        (found, ended.is_err())
    }

    #[test]
    fn what_is_read_from_a_damaged_journal_was_written() {
        let mut journal = Vec::new();
        let mut check = Check::default();
        for line in lines() {
            append(&mut journal, &line, &mut check).unwrap();
        }
        let (written, is_refused) = read(&journal);
        assert!(written.len() == 5 && !is_refused);
        let mut random = Random::new(17);
        for round in 0..4_000 {
            let mut damaged = journal.clone();
            for _ in 0..=random.below(5) {
                if damaged.is_empty() {
                    break;
                }
                let at = random.below(damaged.len());
                let end = (at + random.below(40)).min(damaged.len());
                match random.below(5) {
                    0 => damaged[at] ^= 1 << random.below(8),
                    1 => damaged.truncate(at.max(1)),
                    2 => damaged.insert(at, random.byte()),
                    3 => {
                        let again = damaged[at..end].to_vec();
                        damaged.splice(at..at, again);
                    }
                    _ => drop(damaged.drain(at..end)),
                }
            }
            let (found, is_refused) = read(&damaged);
            assert!(written.starts_with(&found), "round {round}: {found:?}");
            let is_all = found.len() == written.len();
            let ends_whole = damaged.last() == Some(&b'\n');
            assert!(is_all || is_refused || !ends_whole || damaged.len() < journal.len());
        }
    }

    /// A line of any JSON with the right check is read as what it says, or refused.
    #[test]
    fn no_line_with_a_right_check_panics() {
        let line = serde_json::to_vec(&lines()[2]).unwrap();
        let mut random = Random::new(18);
        for _ in 0..20_000 {
            let mut damaged = line.clone();
            for _ in 0..=random.below(3) {
                let at = random.below(damaged.len());
                match random.below(3) {
                    0 => damaged[at] = random.byte(),
                    1 => drop(damaged.remove(at)),
                    _ => damaged.insert(at, b"0123456789-eE.\"[]{},:"[random.below(21)]),
                }
            }
            let check = Check::default().behind(&damaged);
            damaged.truncate(damaged.len() - 1);
            damaged.extend_from_slice(BEFORE);
            damaged.extend_from_slice(format!("{:08x}", check.0).as_bytes());
            damaged.extend_from_slice(AFTER);
            let _ = parsed(&damaged, Check::default());
        }
    }
}
