//! Parquet in a folder, a folder for each table: parts that are closed whole or not there.
//!
//! A part is written under a name that readers of datasets pass over, and takes its own name once it is safe on disk. A
//! folder holds the parts of one scan. A scan with a state marks it as its own, so that it never removes the part of another.

use std::fs::{self, File, TryLockError};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use wirewhy_report::{Parquet, Table, Tables};

/// A part is closed behind the capture with which it has so many rows, or so many bytes of captures: that much is done
/// again by a scan that was killed.
const ROWS: u64 = 1 << 17;
const BYTES: u64 = 1 << 30;

/// In it stands whose parts a folder holds. Readers of datasets pass it over.
const MARK: &str = ".wirewhy-scan";

/// The captures that could not be read, and the same while it is being written.
const UNREADABLE: &str = "part-unreadable.parquet";
const UNREADABLE_NEW: &str = ".part-unreadable.parquet.new";

/// The parts of a scan, the last of them open.
pub(crate) struct Parts {
    folder: PathBuf,
    /// Held as long as parts are written, so that another scan into the same folder notices.
    _lock: File,
    /// The number of the next part to be closed.
    number: u64,
    open: Option<Tables<BufWriter<File>>>,
    /// The beginning of a record whose rest has not come yet.
    begun: Vec<u8>,
    /// Captures that cannot be read. They are tried again by each scan, and so are not in a part.
    unreadable: Option<Parquet<BufWriter<File>>>,
    bytes: u64,
    captures: u64,
}

impl Parts {
    /// Goes on with part `number` of the scan called `scan`, in a folder that is made if it is not there. Parts of this scan
    /// other than those in `kept` were never promised, and are removed.
    pub(crate) fn go_on(
        folder: &Path,
        scan: &str,
        number: u64,
        kept: impl Fn(u64) -> bool,
    ) -> io::Result<Parts> {
        let parts = Parts::locked(folder, number)?;
        let mark = folder.join(MARK);
        if fs::read(&mark).ok().as_deref() != Some(scan.as_bytes()) {
            refuse_parts(folder)?;
            fs::write(&mark, scan)?;
        }
        remove_parts(folder, kept)?;
        Ok(parts)
    }

    /// Begins in a folder that holds no part.
    pub(crate) fn begin(folder: &Path) -> io::Result<Parts> {
        let parts = Parts::locked(folder, 0)?;
        refuse_parts(folder)?;
        remove_parts(folder, |_| false)?;
        Ok(parts)
    }

    fn locked(folder: &Path, number: u64) -> io::Result<Parts> {
        for table in Table::ALL {
            fs::create_dir_all(folder.join(table.name()))?;
        }
        let lock = File::open(folder)?;
        // Where the file system has no locks, the mark has to do.
        if let Err(TryLockError::WouldBlock) = lock.try_lock() {
            let message = "is in use by another scan";
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
        }
        Ok(Parts {
            folder: folder.to_path_buf(),
            _lock: lock,
            number,
            open: None,
            begun: Vec::new(),
            unreadable: None,
            bytes: 0,
            captures: 0,
        })
    }

    /// Whether anything is in the part, be it captures without a row.
    pub(crate) fn has_some(&self) -> bool {
        self.captures > 0
    }

    /// The folder's name.
    pub(crate) fn name(&self) -> String {
        self.folder.display().to_string()
    }

    /// Where the results that come next will be.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Takes records, which may be cut anywhere.
    pub(crate) fn records(&mut self, piece: &[u8]) -> io::Result<()> {
        let mut rest = piece;
        while let Some(at) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, behind) = rest.split_at(at + 1);
            self.begun.extend_from_slice(line);
            let record = std::mem::take(&mut self.begun);
            self.open()?.record(&record)?;
            self.begun = record;
            self.begun.clear();
            rest = behind;
        }
        self.begun.extend_from_slice(rest);
        Ok(())
    }

    /// Takes a capture that cannot be read, and why.
    pub(crate) fn unreadable(&mut self, source: &str, problem: &str) -> io::Result<()> {
        if self.unreadable.is_none() {
            let file = File::create(self.captures_path(UNREADABLE_NEW))?;
            self.unreadable = Some(Parquet::new(Table::Captures, BufWriter::new(file))?);
        }
        self.unreadable
            .as_mut()
            .map_or(Ok(()), |file| file.unreadable(source, problem))
    }

    /// Puts the captures that cannot be read in the place of those that an earlier scan could not read.
    pub(crate) fn end(&mut self) -> io::Result<()> {
        let path = self.captures_path(UNREADABLE);
        if let Some(file) = self.unreadable.take() {
            safe(file.finish()?)?;
            return fs::rename(self.captures_path(UNREADABLE_NEW), path);
        }
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// A capture of so many bytes is done. Whether the part is full.
    pub(crate) fn capture(&mut self, bytes: u64) -> bool {
        self.captures += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        let rows = self.open.as_ref().map_or(0, Tables::rows);
        rows >= ROWS || self.bytes >= BYTES
    }

    /// Closes the part, and begins the next with the next record.
    pub(crate) fn close(&mut self) -> io::Result<()> {
        self.open()?;
        let Some(open) = self.open.take() else {
            return Ok(());
        };
        open.finish()?.into_iter().try_for_each(safe)?;
        for table in Table::ALL {
            let path = part_path(&self.folder, table, self.number);
            fs::rename(self.unfinished(table), path)?;
        }
        self.number += 1;
        (self.captures, self.bytes) = (0, 0);
        Ok(())
    }

    fn open(&mut self) -> io::Result<&mut Tables<BufWriter<File>>> {
        if self.open.is_none() {
            let create = |table| File::create(self.unfinished(table)).map(BufWriter::new);
            self.open = Some(Tables::new(create)?);
        }
        self.open
            .as_mut()
            .ok_or_else(|| io::Error::other("no part is open"))
    }

    fn unfinished(&self, table: Table) -> PathBuf {
        self.folder
            .join(table.name())
            .join(format!(".part-{:05}.parquet.new", self.number))
    }

    fn captures_path(&self, name: &str) -> PathBuf {
        self.folder.join(Table::Captures.name()).join(name)
    }
}

impl Drop for Parts {
    /// A scan that fails leaves no unfinished part. One that is killed does, and the next in the folder removes it.
    fn drop(&mut self) {
        if self.open.take().is_some() {
            for table in Table::ALL {
                let _ = fs::remove_file(self.unfinished(table));
            }
        }
        if self.unreadable.take().is_some() {
            let _ = fs::remove_file(self.captures_path(UNREADABLE_NEW));
        }
    }
}

/// Waits until a file is safe on disk.
fn safe(file: BufWriter<File>) -> io::Result<()> {
    let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()
}

/// Whether a part is there, in all tables.
pub(crate) fn is_whole(folder: &Path, number: u64) -> bool {
    let mut tables = Table::ALL.into_iter();
    tables.all(|table| part_path(folder, table, number).is_file())
}

/// The name of a part.
fn part_path(folder: &Path, table: Table, number: u64) -> PathBuf {
    folder
        .join(table.name())
        .join(format!("part-{number:05}.parquet"))
}

/// An error where the folder holds parts.
fn refuse_parts(folder: &Path) -> io::Result<()> {
    // Earlier versions had parts in the folder itself.
    let own = files_in(folder)?.into_iter();
    if own.chain(listed(folder)?).any(|(_, part)| part.is_some()) {
        let message = "holds the parts of another scan";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
    }
    Ok(())
}

/// Removes the parts that are not kept, and those that were never closed.
fn remove_parts(folder: &Path, kept: impl Fn(u64) -> bool) -> io::Result<()> {
    listed(folder)?
        .into_iter()
        .filter(|(_, part)| !part.is_some_and(&kept))
        .try_for_each(|(path, _)| fs::remove_file(path))
}

/// The files of all parts in a folder, and without a number those that were never closed.
fn listed(folder: &Path) -> io::Result<Vec<(PathBuf, Option<u64>)>> {
    let mut parts = Vec::new();
    for table in Table::ALL {
        parts.extend(files_in(&folder.join(table.name()))?);
    }
    Ok(parts)
}

fn files_in(folder: &Path) -> io::Result<Vec<(PathBuf, Option<u64>)>> {
    let mut parts = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let number = |name: &str| name.strip_prefix("part-")?.parse().ok();
        if let Some(part) = name.strip_suffix(".parquet").and_then(number) {
            parts.push((path, Some(part)));
        } else if let Some(part) = name.strip_suffix(".parquet.new")
            && part.strip_prefix('.').and_then(number).is_some()
        {
            parts.push((path, None));
        }
    }
    Ok(parts)
}
