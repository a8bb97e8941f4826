//! Taking results that no longer hold out of the output and the journal.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, BufWriter, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use super::lines::{Check, append, read_lines};
use super::{Destination, Entry, Identity, Line, Made, Past, Recordings, read};
use crate::exit::{Failure, in_words};
use crate::scan::escape::unescape_path;

/// Which entries no longer hold, by number: the file has changed since, it is part of another recording `now`, or it could
/// not be read by a scan that ended.
pub(super) fn stale(
    journal: &File,
    past: &Past,
    recordings: &Recordings,
) -> io::Result<HashSet<u64>> {
    let mut stale = HashSet::new();
    let mut number = 0;
    read(journal, &mut |line, made| {
        let Line::File(entry) = line else {
            return Ok(());
        };
        let changed = recordings.supersede(&entry) || has_changed(&entry);
        let retried = entry.identity.is_none() && (past.ended || made == Made::Earlier);
        if changed || retried {
            stale.insert(number);
        }
        number += 1;
        Ok(())
    })?;
    Ok(stale)
}

/// Whether the files of an entry are others than they were. One that was removed has not changed; a recording of which a
/// file was removed is another one.
fn has_changed(entry: &Entry) -> bool {
    let paths: Vec<PathBuf> = match entry.files.as_slice() {
        [] => vec![unescape_path(&entry.path)],
        files => files.iter().map(|file| unescape_path(file)).collect(),
    };
    let is_there = paths.iter().any(|path| fs::metadata(path).is_ok());
    entry.identity.is_some() && is_there && entry.identity != Some(Identity::of_all(&paths))
}

/// Takes stale results out of the output, and their entries out of the journal. The journal is replaced first and then
/// the output, which a scan that finds only the first done makes up for.
pub(super) fn rewrite(
    path: &Path,
    place: Destination<'_>,
    journal: &File,
    stale: &HashSet<u64>,
    past: &Past,
) -> Result<(), Failure> {
    let next = past.rewritten + 1;
    let new_journal = beside(path, next);
    let write = || -> io::Result<()> {
        let mut entries = BufWriter::new(File::create(&new_journal)?);
        let mut keep = Keeper::new(place, next, journal, stale)?;
        let mut number = 0;
        let (mut check, mut text) = (Check::default(), Vec::new());
        read_lines(journal, &mut |line| {
            let line = match line {
                Line::State { options, name, .. } => Line::State {
                    options,
                    rewritten: next,
                    name,
                },
                Line::File(entry) => {
                    number += 1;
                    match keep.kept(*entry, stale.contains(&(number - 1)))? {
                        Some(entry) => Line::File(Box::new(entry)),
                        None => return Ok(()),
                    }
                }
                other => other,
            };
            text.clear();
            append(&mut text, &line, &mut check)?;
            entries.write_all(&text)
        })?;
        keep.finish()?;
        entries.into_inner()?.sync_all()?;
        fs::rename(&new_journal, path)
    };
    write().map_err(|error| Failure::new(format!("{}: {}", path.display(), in_words(&error))))?;
    finish_rewriting(place, next)
}

/// Keeps the results that hold.
enum Keeper {
    /// Copies them from the old file to the new.
    File {
        old: File,
        new: File,
        begin: u64,
        end: u64,
    },
    /// Gives up these parts whole, with all that is in them: a part cannot be cut. Those that no state file refers to any more are
    /// removed by the next scan into the folder.
    Folder { given_up: HashSet<u64> },
}

impl Keeper {
    fn new(
        place: Destination<'_>,
        next: u64,
        journal: &File,
        stale: &HashSet<u64>,
    ) -> io::Result<Keeper> {
        if let Destination::File(output) = place {
            return Ok(Keeper::File {
                old: File::open(output)?,
                new: File::create(beside(output, next))?,
                begin: 0,
                end: 0,
            });
        }
        let (mut given_up, mut number) = (HashSet::new(), 0);
        read_lines(journal, &mut |line| {
            if let Line::File(entry) = line {
                if stale.contains(&number) && entry.digest.is_some() {
                    given_up.insert(entry.end);
                }
                number += 1;
            }
            Ok(())
        })?;
        Ok(Keeper::Folder { given_up })
    }

    fn kept(&mut self, entry: Entry, is_stale: bool) -> io::Result<Option<Entry>> {
        match self {
            Keeper::File {
                old,
                new,
                begin,
                end,
            } => {
                let (from, len) = (*begin, entry.end.saturating_sub(*begin));
                *begin = entry.end;
                if is_stale {
                    return Ok(None);
                }
                old.seek(SeekFrom::Start(from))?;
                io::copy(&mut io::Read::take(old, len), new)?;
                *end += len;
                Ok(Some(Entry { end: *end, ..entry }))
            }
            Keeper::Folder { given_up } => {
                Ok((!is_stale && !given_up.contains(&entry.end)).then_some(entry))
            }
        }
    }

    fn finish(self) -> io::Result<()> {
        match self {
            Keeper::File { new, .. } => new.sync_all(),
            Keeper::Folder { .. } => Ok(()),
        }
    }
}

/// Puts an output that was rewritten into its place, if it is not there yet.
pub(super) fn finish_rewriting(place: Destination<'_>, rewritten: u64) -> Result<(), Failure> {
    let Destination::File(output) = place else {
        return Ok(());
    };
    match fs::rename(beside(output, rewritten), output) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Failure::new(format!(
            "{}: {}",
            output.display(),
            in_words(&error)
        ))),
        _ => Ok(()),
    }
}

/// The name of a file while it is rewritten.
fn beside(path: &Path, number: u64) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}.new"));
    PathBuf::from(name)
}
