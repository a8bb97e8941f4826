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
