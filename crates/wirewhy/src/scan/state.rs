//! What is done: a journal beside the output, from which a scan that was killed goes on.
//!
//! One line a capture, appended after the results before it are safe on disk, so that the journal never promises
//! more than the output holds. What the output holds beyond the promise is cut off before the scan goes on. A line that
//! was being written when the end came is no line. Each line has a check over itself and all before it (see [`lines`]): where
//! a line is missing, repeated, moved or changed, the scan does not go on from it.

mod lines;
mod rewrite;

use std::collections::{HashMap, HashSet};
use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::hash::{BuildHasher as _, DefaultHasher, Hash, Hasher, RandomState};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use wirewhy_detect::wording::{count, size};
use wirewhy_report::Digest;

use self::lines::{Check, NO_STATE, append, is_torn_header, read_lines};
use super::escape::escape_path;
use super::parts::is_whole;
use super::walk::Found;
use crate::exit::{Failure, in_words};

/// As much work as is done again at most: so many captures, or so many bytes in them.
const FILES_AT_ONCE: usize = 64;
const BYTES_AT_ONCE: u64 = 256 << 20;

/// A line of the journal.
#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Line {
    /// The first: what the results depend on, how often the output was rewritten, and the scan's name in a folder of parts.
    State {
        options: String,
        rewritten: u64,
        #[serde(default, skip_serializing_if = "String::is_empty")]
        name: String,
    },
    /// A scan begins.
    Run { number: u64 },
    /// A file is done.
    File(Box<Entry>),
    /// A scan came to the end of the archive.
    End,
}

/// A file that is done.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// Its name, as [`escape_path`].
    pub(crate) path: String,
    /// The names of all files of the recording, where there are several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) files: Vec<String>,
    /// Its name as the results have it.
    pub(crate) source: String,
    /// What it was like when it was opened; nothing where it could not be.
    pub(crate) identity: Option<Identity>,
    /// Where its results end in the output; the part they are in where there are parts.
    pub(crate) end: u64,
    /// What the summary needs to know; nothing where it could not be read.
    pub(crate) digest: Option<Digest>,
    /// The worst severity found, by its name.
    pub(crate) worst: Option<String>,
    /// Whether all of it could be read.
    pub(crate) whole: bool,
}

/// By what a file that changed is known.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub(crate) struct Identity {
    size: u64,
    seconds: i64,
    nanoseconds: i64,
}

impl From<&Metadata> for Identity {
    fn from(data: &Metadata) -> Identity {
        Identity {
            size: data.size(),
            seconds: data.mtime(),
            nanoseconds: data.mtime_nsec(),
        }
    }
}

impl Identity {
    /// Of several files together: all bytes, and the latest change.
    pub(crate) fn of_all(paths: &[PathBuf]) -> Identity {
        let none = Identity {
            size: 0,
            seconds: 0,
            nanoseconds: 0,
        };
        let files = paths.iter().filter_map(|path| std::fs::metadata(path).ok());
        files.fold(none, |sum, data| {
            let one = Identity::from(&data);
            let latest = (sum.seconds, sum.nanoseconds).max((one.seconds, one.nanoseconds));
            Identity {
                size: sum.size.saturating_add(one.size),
                seconds: latest.0,
                nanoseconds: latest.1,
            }
        })
    }

    /// How many bytes there are.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }
}

/// The recordings of several files that there are now, by the names of their files.
#[derive(Debug, Default)]
pub(crate) struct Recordings(HashMap<u64, Identity>);

impl Recordings {
    pub(crate) fn of<'a>(found: impl Iterator<Item = &'a Found>) -> Recordings {
        let mut now = HashMap::new();
        for found in found {
            if let Found::Recording(sequence) = found {
                let files: Vec<PathBuf> = sequence.paths().map(Path::to_path_buf).collect();
                let identity = Identity::of_all(&files);
                now.extend(
                    files
                        .iter()
                        .map(|file| (hashed(&escape_path(file)), identity)),
                );
            }
        }
        Recordings(now)
    }

    /// Whether a result no longer holds because its files are part of a recording now, or of another one than then.
    fn supersede(&self, entry: &Entry) -> bool {
        let then = entry.files.iter().chain([&entry.path]);
        then.filter_map(|path| self.0.get(&hashed(path)))
            .any(|now| entry.identity != Some(*now))
    }
}

/// Where results go.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Destination<'a> {
    /// One after another into a file.
    File(&'a Path),
    /// Into a folder, in parts.
    Folder(&'a Path),
}

/// When an entry was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Made {
    /// By an earlier scan that ended.
    Earlier,
    /// By the scan that goes on.
    Now,
}

/// Which files are done. Two numbers a file, whatever its name.
#[derive(Debug, Default)]
pub(crate) struct Known(HashMap<u64, Option<u64>>);

impl Known {
    /// Whether a file is done as it is; where it could not be read, whatever it is.
    pub(crate) fn has(&self, path: &Path, identity: Option<Identity>) -> bool {
        match self.0.get(&hashed(&escape_path(path))) {
            None => false,
            Some(None) => true,
            Some(known) => identity.map(|identity| hashed(&identity)) == *known,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn hashed(thing: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    thing.hash(&mut hasher);
    hasher.finish()
}

/// The journal.
pub(crate) struct State {
    path: PathBuf,
    journal: File,
    /// Nothing where there are parts: a part is safe once it is closed.
    output: Option<File>,
    /// By what its parts are known in a folder of parts.
    name: String,
    /// Lines that wait for their results to be safe.
    waiting: Vec<u8>,
    /// Of the last line.
    check: Check,
    files: usize,
    bytes: u64,
    /// Where the results end.
    end: u64,
    /// Where there are parts: those that were promised.
    parts: HashSet<u64>,
    /// Files of which results were taken by this very process.
    taken: HashSet<u64>,
}

/// What was read from a journal.
struct Past {
    /// How much of it is whole.
    len: u64,
    /// The number of the last scan, and whether it ended.
    run: u64,
    ended: bool,
    options: Option<String>,
    rewritten: u64,
    name: String,
    check: Check,
    /// Captures that were read, and the bytes of their packets.
    captures: u64,
    bytes: u64,
}

impl State {
    /// Opens a journal and the output beside it, and cuts off what was not promised. Tells `replay` of what is done.
    pub(crate) fn open(
        path: &Path,
        place: Destination<'_>,
        options: &str,
        now: &Recordings,
        replay: &mut dyn FnMut(Entry, Made),
    ) -> Result<(State, Known), Failure> {
        let name = path.display();
        let fail = |error: io::Error| Failure::new(format!("{name}: {}", in_words(&error)));
        let mut journal = locked(path)?;
        let mut past = look_back(path, &journal)?;
        if past.options.as_ref().is_some_and(|past| past != options) {
            return Err(Failure::new(format!(
                "{name}: is the state of a scan with other options or of another version; \
                 remove it to scan everything anew: {}, {} of packets",
                count(past.captures, "capture"),
                size(past.bytes)
            )));
        }
        journal.set_len(past.len).map_err(fail)?;
        rewrite::finish_rewriting(place, past.rewritten)?;
        let stale = rewrite::stale(&journal, &past, now).map_err(fail)?;
        if !stale.is_empty() {
            rewrite::rewrite(path, place, &journal, &stale, &past)?;
            journal = locked(path)?;
            past = look_back(path, &journal)?;
        }
        let mut known = Known::default();
        let mut end = 0;
        let mut parts = HashSet::new();
        read(&journal, &mut |line, made| {
            if let Line::File(entry) = line {
                end = entry.end;
                parts.insert(end);
                let identity = entry.identity.map(|identity| hashed(&identity));
                known.0.insert(hashed(&entry.path), identity);
                replay(*entry, made);
            }
            Ok(())
        })
        .map_err(fail)?;
        let output = match place {
            Destination::File(output) => Some(resumed(output, end)?),
            Destination::Folder(folder) => {
                if !parts.iter().all(|part| is_whole(folder, *part)) {
                    return Err(lacks(folder));
                }
                None
            }
        };
        let mut state = State {
            path: path.to_path_buf(),
            journal,
            output,
            name: past.name,
            waiting: Vec::new(),
            check: past.check,
            files: 0,
            bytes: 0,
            end,
            parts,
            taken: HashSet::new(),
        };
        if past.options.is_none() {
            if let Destination::Folder(_) = place {
                state.name = format!("{:016x}", RandomState::new().hash_one(path));
            }
            state.line(&Line::State {
                options: options.to_owned(),
                rewritten: 0,
                name: state.name.clone(),
            })?;
            // Before there is a part that has this name.
            state.commit()?;
        }
        if past.ended || past.run == 0 {
            state.line(&Line::Run {
                number: past.run + 1,
            })?;
        }
        Ok((state, known))
    }

    /// By what its parts are known in a folder of parts.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The output, as far as it is promised; nothing where there are parts.
    pub(crate) fn output(&self) -> Option<io::Result<File>> {
        self.output.as_ref().map(File::try_clone)
    }

    /// Whether a part was promised.
    pub(crate) fn has_part(&self, part: u64) -> bool {
        self.parts.contains(&part)
    }

    /// The number of the first part that comes after all that were promised.
    pub(crate) fn next_part(&self) -> u64 {
        self.parts.iter().max().map_or(0, |last| last + 1)
    }

    /// Where the results end.
    pub(crate) fn results_end(&self) -> u64 {
        self.end
    }

    /// Whether a path comes for the first time: one that is named twice is reported once.
    pub(crate) fn is_first(&mut self, path: &Path) -> bool {
        self.taken.insert(hashed(&escape_path(path)))
    }

    /// Notes a file whose results were written. Whether it is time to make them safe.
    pub(crate) fn note(&mut self, entry: Entry) -> Result<Due, Failure> {
        self.files += 1;
        self.bytes += entry.digest.as_ref().map_or(0, |digest| digest.bytes);
        self.bytes += entry.end.saturating_sub(self.end);
        self.end = entry.end;
        self.line(&Line::File(Box::new(entry)))?;
        Ok(
            if self.files >= FILES_AT_ONCE || self.bytes >= BYTES_AT_ONCE {
                Due::Now
            } else {
                Due::Later
            },
        )
    }

    /// Promises everything noted. The results must have been handed to the system.
    pub(crate) fn commit(&mut self) -> Result<(), Failure> {
        let output = self.output.as_ref();
        output
            .map_or(Ok(()), File::sync_data)
            .and_then(|()| self.journal.seek(SeekFrom::End(0)).map(drop))
            .and_then(|()| self.journal.write_all(&self.waiting))
            .and_then(|()| self.journal.sync_data())
            .map_err(|error| self.failure(&error))?;
        self.waiting.clear();
        (self.files, self.bytes) = (0, 0);
        Ok(())
    }

    /// The scan came to its end, and its summary was written.
    pub(crate) fn end(&mut self) -> Result<(), Failure> {
        self.line(&Line::End)?;
        self.commit()
    }

    fn line(&mut self, line: &Line) -> Result<(), Failure> {
        let written = append(&mut self.waiting, line, &mut self.check);
        written.map_err(|error| self.failure(&error))
    }

    fn failure(&self, error: &io::Error) -> Failure {
        Failure::new(format!("{}: {}", self.path.display(), in_words(error)))
    }
}

/// Whether results must be made safe.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Due {
    /// At once.
    Now,
    /// More may come first.
    Later,
}

/// Opens a journal that no other process writes.
fn locked(path: &Path) -> Result<File, Failure> {
    let name = path.display();
    let journal = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(|error| Failure::new(format!("{name}: {}", in_words(&error))))?;
    match journal.try_lock() {
        Ok(()) => Ok(journal),
        Err(TryLockError::WouldBlock) => {
            Err(Failure::new(format!("{name}: is in use by another scan")))
        }
        Err(TryLockError::Error(error)) => Err(Failure::new(format!(
            "{name}: cannot be locked: {}",
            in_words(&error)
        ))),
    }
}

/// Opens the output to go on behind the results that were promised.
fn resumed(path: &Path, end: u64) -> Result<File, Failure> {
    let name = path.display();
    let fail = |error: io::Error| Failure::new(format!("{name}: {}", in_words(&error)));
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(fail)?;
    let data = file.metadata().map_err(fail)?;
    if !data.is_file() {
        return Err(Failure::new(format!(
            "{name}: --state needs a file to go on with"
        )));
    }
    if data.len() < end {
        return Err(lacks(path));
    }
    file.set_len(end).map_err(fail)?;
    file.seek(SeekFrom::Start(end)).map_err(fail)?;
    Ok(file)
}

fn lacks(output: &Path) -> Failure {
    let name = output.display();
    Failure::new(format!(
        "{name}: lacks results that the state remembers; remove the state to scan everything anew"
    ))
}

fn look_back(path: &Path, journal: &File) -> Result<Past, Failure> {
    let name = path.display();
    let mut past = Past {
        len: 0,
        run: 0,
        ended: false,
        options: None,
        rewritten: 0,
        name: String::new(),
        check: Check::default(),
        captures: 0,
        bytes: 0,
    };
    let (len, check) = read_lines(journal, &mut |line| {
        match line {
            Line::State {
                options,
                rewritten,
                name,
            } => {
                past.options = Some(options);
                past.rewritten = rewritten;
                past.name = name;
            }
            Line::Run { number } => (past.run, past.ended) = (number, false),
            Line::File(entry) => {
                if let Some(digest) = entry.digest {
                    past.captures += 1;
                    past.bytes = past.bytes.saturating_add(digest.bytes);
                }
            }
            Line::End => past.ended = true,
        }
        Ok(())
    })
    .map_err(|error| Failure::new(format!("{name}: {}", in_words(&error))))?;
    let is_empty = journal.metadata().is_ok_and(|data| data.len() == 0);
    if past.options.is_none() && !is_empty && !is_torn_header(journal) {
        return Err(Failure::new(format!("{name}: {NO_STATE}")));
    }
    past.len = len;
    past.check = check;
    Ok(past)
}

/// Calls `each` with every line and whether the scan that goes on made it.
fn read(journal: &File, each: &mut dyn FnMut(Line, Made) -> io::Result<()>) -> io::Result<()> {
    let (mut run, mut last, mut ended) = (0, 0, false);
    read_lines(journal, &mut |line| {
        match line {
            Line::Run { number } => (last, ended) = (number, false),
            Line::End => ended = true,
            _ => {}
        }
        Ok(())
    })?;
    let current = if ended { last + 1 } else { last };
    read_lines(journal, &mut |line| {
        if let Line::Run { number } = line {
            run = number;
        }
        let made = if run == current {
            Made::Now
        } else {
            Made::Earlier
        };
        each(line, made)
    })?;
    Ok(())
}
