//! A recording that still grows: a file that is being written, a folder that gets new files, a pipe.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use wirewhy_packet::{Frame, LinkType, RecordingGap, Timestamp};

use crate::grouping::Name;
use crate::{
    FileSequence, Interface, InterfaceStatistics, Item, OpenError, OpenErrorKind, Reader,
    Recording, Secrets, from_stdin_until,
};

/// How often a file is looked at that has no more bytes.
const LOOK: Duration = Duration::from_millis(100);

/// How many frames are buffered between the thread that reads and the one that analyses.
const WAITING: usize = 1_024;

/// A recording that is read as it grows, from its beginning, until `stop` is set or, of a pipe, until its end.
///
/// A folder is read from its newest capture on, and then each file with a name like it that is written later.
#[derive(Debug)]
pub struct Followed {
    frames: Receiver<Arrived>,
    reader: Option<JoinHandle<Result<Recording, OpenError>>>,
    current: Option<Arrived>,
    interfaces: Vec<Interface>,
}

/// A frame of its own.
#[derive(Debug)]
struct Arrived {
    number: u64,
    time: Timestamp,
    link_type: LinkType,
    interface: u32,
    original_len: u32,
    data: Vec<u8>,
    secrets: Vec<Secrets>,
    gap: Option<RecordingGap>,
}

/// What waiting for a frame brought.
#[derive(Debug)]
pub enum Next<'a> {
    /// A frame.
    Item(Item<'a>),
    /// Nothing in the time given.
    Idle,
    /// There is nothing more to come.
    End,
}

impl Followed {
    /// Follows a file, a folder, or standard input (`-`).
    ///
    /// # Errors
    ///
    /// Where the thread that reads cannot be started, or there is no such path. What is no capture is found once it is
    /// read: see [`finish`](Followed::finish).
    pub fn open(path: &Path, stop: Arc<AtomicBool>) -> Result<Followed, OpenError> {
        let fail = |error: io::Error| OpenError {
            source: path.display().to_string(),
            kind: match error.kind() {
                io::ErrorKind::NotFound => OpenErrorKind::NotFound,
                io::ErrorKind::PermissionDenied => OpenErrorKind::PermissionDenied,
                _ => OpenErrorKind::Io(error),
            },
        };
        if path != Path::new("-") {
            fs::metadata(path).map_err(fail)?;
        }
        let (sender, frames) = sync_channel(WAITING);
        let followed = path.to_path_buf();
        let reader = thread::Builder::new()
            .name("follow".to_owned())
            .spawn(move || read(&followed, &stop, &sender))
            .map_err(fail)?;
        Ok(Followed {
            frames,
            reader: Some(reader),
            current: None,
            interfaces: Vec::new(),
        })
    }

    /// The next frame, if one comes in time.
    pub fn next(&mut self, wait: Duration) -> Next<'_> {
        let arrived = match self.frames.recv_timeout(wait) {
            Ok(arrived) => arrived,
            Err(RecvTimeoutError::Timeout) => return Next::Idle,
            Err(RecvTimeoutError::Disconnected) => return Next::End,
        };
        let wanted = usize::try_from(arrived.interface).unwrap_or(usize::MAX);
        while self.interfaces.len() <= wanted.min(MOST_INTERFACES) {
            self.interfaces.push(Interface {
                link_type: arrived.link_type,
                snap_len: 0,
                name: None,
                statistics: InterfaceStatistics::default(),
            });
        }
        let arrived = self.current.insert(arrived);
        Next::Item(Item {
            frame: Frame {
                number: arrived.number,
                time: arrived.time,
                link_type: arrived.link_type,
                interface: arrived.interface,
                original_len: arrived.original_len,
                data: &arrived.data,
            },
            secrets: &arrived.secrets,
            gap: arrived.gap,
        })
    }

    /// The interfaces that frames came from so far.
    #[must_use]
    pub fn interfaces(&self) -> &[Interface] {
        &self.interfaces
    }

    /// What was read, once there is nothing more to come.
    ///
    /// # Errors
    ///
    /// Why nothing could be read.
    pub fn finish(mut self) -> Result<Recording, OpenError> {
        // The reading thread must not wait for room in a buffer that is no longer read.
        drop(self.frames);
        match self.reader.take().map(JoinHandle::join) {
            Some(Ok(read)) => read,
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            None => Err(OpenError {
                source: String::new(),
                kind: OpenErrorKind::NotFound,
            }),
        }
    }
}

/// How many interfaces are described.
const MOST_INTERFACES: usize = 1_024;

fn read(
    path: &Path,
    stop: &Arc<AtomicBool>,
    sender: &SyncSender<Arrived>,
) -> Result<Recording, OpenError> {
    let mut recording = if path == Path::new("-") {
        from_stdin_until(stop)?.into()
    } else if path.is_dir() {
        folder(path, stop)?
    } else {
        let files = Files::only(path, stop);
        files.open(path)?.into()
    };
    while let Some(item) = recording.next() {
        let Item {
            frame,
            secrets,
            gap,
        } = item;
        let arrived = Arrived {
            number: frame.number,
            time: frame.time,
            link_type: frame.link_type,
            interface: frame.interface,
            original_len: frame.original_len,
            data: frame.data.to_vec(),
            secrets: secrets.to_vec(),
            gap,
        };
        if sender.send(arrived).is_err() {
            break;
        }
    }
    Ok(recording)
}

/// The files of a folder, from its newest capture on.
fn folder(path: &Path, stop: &Arc<AtomicBool>) -> Result<Recording, OpenError> {
    let empty = || OpenError {
        source: path.display().to_string(),
        kind: OpenErrorKind::Empty { compression: None },
    };
    let newest = loop {
        match newest_capture(path) {
            Some(newest) => break newest,
            None if stop.load(Ordering::Relaxed) => return Err(empty()),
            None => thread::park_timeout(LOOK),
        }
    };
    let files = Files::like(&newest, stop);
    let (opener, next) = (files.clone(), files);
    let sequence = FileSequence::of_one(newest);
    let recording = sequence
        .open_with(Box::new(move |path| opener.open(path)))
        .map_err(|errors| errors.into_iter().next().unwrap_or_else(empty))?;
    Ok(recording.going_on_with(Box::new(move || next.take_next())))
}

fn newest_capture(folder: &Path) -> Option<PathBuf> {
    let mut files: Vec<(SystemTime, PathBuf)> = files_of(folder);
    files.sort();
    files
        .into_iter()
        .rev()
        .map(|(_, path)| path)
        .find(|path| crate::open(path).is_ok())
}

/// The files in a folder, and when each was written last.
fn files_of(folder: &Path) -> Vec<(SystemTime, PathBuf)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let data = entry.metadata().ok()?;
            Some((data.is_file().then(|| data.modified().ok())??, entry.path()))
        })
        .collect()
}

/// Files that are written one after the other.
#[derive(Clone)]
struct Files {
    stop: Arc<AtomicBool>,
    /// What names of further files are like; `None` where there are none.
    like: Option<Name>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    read: HashSet<PathBuf>,
    next: Option<PathBuf>,
}

impl Files {
    fn only(_: &Path, stop: &Arc<AtomicBool>) -> Files {
        Files {
            stop: Arc::clone(stop),
            like: None,
            state: Arc::default(),
        }
    }

    fn like(path: &Path, stop: &Arc<AtomicBool>) -> Files {
        Files {
            like: Name::of(path),
            ..Files::only(path, stop)
        }
    }

    fn open(&self, path: &Path) -> Result<Reader, OpenError> {
        let name = path.display().to_string();
        let file = File::open(path).map_err(|error| OpenError {
            source: name.clone(),
            kind: OpenErrorKind::Io(error),
        })?;
        self.state().read.insert(path.to_path_buf());
        let growing = Growing {
            file,
            path: path.to_path_buf(),
            files: self.clone(),
        };
        Reader::new(Box::new(growing), name)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_next(&self) -> Option<PathBuf> {
        self.state().next.take()
    }

    /// Whether another file is written by now; it is the next one then.
    fn has_next(&self, current: &Path) -> bool {
        let Some(like) = &self.like else {
            return false;
        };
        let modified = |path: &Path| fs::metadata(path).and_then(|data| data.modified()).ok();
        let written = modified(current);
        let mut later: Vec<(SystemTime, PathBuf)> = current
            .parent()
            .map(files_of)
            .unwrap_or_default()
            .into_iter()
            .filter(|(time, path)| {
                let is_like = Name::of(path).is_some_and(|name| name.is_like(like));
                // A ring writes its oldest file anew.
                let is_new = !self.state().read.contains(path) || Some(*time) > written;
                path != current && is_like && is_new && Some(*time) >= written
            })
            .collect();
        later.sort();
        let next = later.into_iter().next().map(|(_, path)| path);
        let has_next = next.is_some();
        self.state().next = next;
        has_next
    }
}

/// A file that is read on when bytes are appended to it.
struct Growing {
    file: File,
    path: PathBuf,
    files: Files,
}

impl Read for Growing {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let len = self.file.read(out)?;
            if len > 0 || out.is_empty() || self.files.stop.load(Ordering::Relaxed) {
                return Ok(len);
            }
            if self.files.has_next(&self.path) {
                // What was written before the next file was begun is there by now.
                return self.file.read(out);
            }
            thread::park_timeout(LOOK);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use tempfile::TempDir;

    use super::*;
    use crate::ByteOrder;
    use crate::testbytes::Bytes;

    /// Longer than anything here takes.
    const WAIT: Duration = Duration::from_secs(60);

    fn header() -> Vec<u8> {
        let mut file = Bytes::new(ByteOrder::Little);
        file.pcap_header(0xa1b2_c3d4, (2, 4), 1);
        file.bytes
    }

    fn record(second: u32) -> Vec<u8> {
        let mut file = Bytes::new(ByteOrder::Little);
        file.record((1_500_000_000 + second, 0), (4, 4), 0, b"abcd");
        file.bytes
    }

    fn number(followed: &mut Followed) -> u64 {
        match followed.next(WAIT) {
            Next::Item(item) => item.frame.number,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_appended_to_a_file_comes_until_it_is_to_stop() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("t.pcap");
        let mut file = File::create(&path).unwrap();
        file.write_all(&[header(), record(1)].concat()).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let mut followed = Followed::open(&path, Arc::clone(&stop)).unwrap();
        assert_eq!(number(&mut followed), 1);
        // In two pieces.
        let record = record(2);
        file.write_all(&record[..7]).unwrap();
        file.write_all(&record[7..]).unwrap();
        assert_eq!(number(&mut followed), 2);
        stop.store(true, Ordering::Relaxed);
        assert!(matches!(followed.next(WAIT), Next::End));
        let recording = followed.finish().unwrap();
        assert_eq!(recording.files()[0].problem, None);
    }

    #[test]
    fn a_folder_goes_on_with_the_file_that_is_written_next() {
        let folder = TempDir::new().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("t.pcap"), [header(), record(1)].concat()).unwrap();
        fs::write(at("notes.txt"), "text").unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let mut followed = Followed::open(folder.path(), Arc::clone(&stop)).unwrap();
        assert_eq!(number(&mut followed), 1);
        fs::write(at("t.pcap1"), [header(), record(2)].concat()).unwrap();
        assert_eq!(number(&mut followed), 2);
        fs::write(at("t.pcap2"), [header(), record(3)].concat()).unwrap();
        assert_eq!(number(&mut followed), 3);
        stop.store(true, Ordering::Relaxed);
        assert!(matches!(followed.next(WAIT), Next::End));
        assert_eq!(followed.finish().unwrap().files().len(), 3);
    }

    #[test]
    fn what_is_not_there_cannot_be_followed() {
        let stop = Arc::new(AtomicBool::new(false));
        assert!(Followed::open(Path::new("no-such-file"), stop).is_err());
    }
}
