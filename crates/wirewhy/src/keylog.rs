//! Key logs named on the command line.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::Path;

use wirewhy_protocol::{KeyLog, KeyLogLines};

use crate::exit::{Failure, in_words};

/// The longest line is a TLS 1.3 secret of 48 bytes: under 300 bytes. What is longer is cut, and then not understood.
const MAX_LINE: u64 = 4 * 1024;

/// Adds the secrets of a key log. Returns what the user should know of lines that hold none.
pub(crate) fn read(path: &Path, keys: &mut KeyLog) -> Result<Option<String>, Failure> {
    let lines = File::open(path).and_then(|file| add(BufReader::new(file), keys));
    let name = path.display();
    match lines {
        Ok(lines) => Ok(warning(&lines).map(|warning| format!("{name}: {warning}"))),
        Err(error) => Err(Failure::new(format!("{name}: {}", in_words(&error)))),
    }
}

fn add(mut reader: impl BufRead, keys: &mut KeyLog) -> io::Result<KeyLogLines> {
    let mut all = KeyLogLines::default();
    let mut line = Vec::new();
    let mut number = 0;
    loop {
        line.clear();
        if reader
            .by_ref()
            .take(MAX_LINE)
            .read_until(b'\n', &mut line)?
            == 0
        {
            return Ok(all);
        }
        number += 1;
        if !line.ends_with(b"\n") {
            reader.skip_until(b'\n')?;
        }
        let added = keys.add(&line);
        all.secrets += added.secrets;
        all.forgotten += added.forgotten;
        if added.not_understood > 0 {
            all.not_understood += 1;
            all.first_not_understood.get_or_insert(number);
        }
    }
}

fn warning(lines: &KeyLogLines) -> Option<String> {
    if let Some(first) = lines.first_not_understood {
        let others = match lines.not_understood {
            0 | 1 => String::new(),
            2 => ", nor is 1 other line".to_owned(),
            count => format!(", nor are {} other lines", count - 1),
        };
        let rest = match lines.secrets {
            0 => "it holds no secrets".to_owned(),
            1 => "its 1 secret is used".to_owned(),
            count => format!("its {count} secrets are used"),
        };
        return Some(format!(
            "line {first} is not a line of a key log{others}; {rest}"
        ));
    }
    if lines.secrets == 0 {
        return Some("holds no secrets".to_owned());
    }
    (lines.forgotten > 0).then(|| {
        let most = KeyLog::MAX_CONNECTIONS;
        format!("has secrets of more than {most} connections; the last {most} are used")
    })
}
