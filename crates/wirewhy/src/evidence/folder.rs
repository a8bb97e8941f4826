//! The folder of evidence: one file for each failed connection, and no more than were asked for.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, BufWriter, ErrorKind};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use wirewhy_detect::Diagnosis;
use wirewhy_flow::Endpoint;
use wirewhy_packet::{Interval, Timestamp};
use wirewhy_report::rfc3339;

use super::file::{self, Case};

/// How many files may be written at once, and how many a second after that: a storm of failures must not keep the
/// program from its packets.
const BURST: u32 = 64;
const PER_SECOND: i64 = 8;

/// How long nothing is written after writing failed.
const PAUSE: Interval = Interval::from_secs(30);

/// What all names begin with, and end with.
const PREFIX: &str = "wirewhy_";
const SUFFIX: &str = ".pcapng";
/// What files are called while they are being written.
const UNFINISHED: &str = ".unfinished";

/// Writes evidence into a folder.
///
/// When there are as many files as there may be, the oldest of the cause that has most gives way: a storm of one
/// failure does not drive out the only trace of another. Files of earlier runs count; files with other names are never
/// touched.
#[derive(Debug)]
pub struct Evidence {
    folder: PathBuf,
    most: usize,
    /// The names of the files there, oldest first, by the code of their root cause.
    kept: BTreeMap<String, VecDeque<String>>,
    allowance: Allowance,
    counts: Counts,
    /// Since when writing fails, and how: said once.
    failing: Option<(Timestamp, ErrorKind)>,
}

/// What became of the failed connections.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Files written.
    pub written: u64,
    /// Files removed to make room for others.
    pub removed: u64,
    /// Connections without a file because there were too many at once.
    pub passed_over: u64,
    /// Connections without a file because it could not be written.
    pub failed: u64,
}

/// Why evidence cannot be written.
#[derive(Debug)]
pub struct EvidenceError {
    /// The folder or file.
    pub path: PathBuf,
    /// What the system says.
    pub error: io::Error,
}

impl fmt::Display for EvidenceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.error.to_string();
        // The system's number for it is of no use to the reader.
        let words = text.split(" (os error").next().unwrap_or(&text);
        write!(f, "{}: {words}", self.path.display())
    }
}

impl std::error::Error for EvidenceError {}

impl Evidence {
    /// Opens a folder for evidence, at most so many files of it, and makes it if it is not there.
    ///
    /// # Errors
    ///
    /// Where the folder cannot be made, read or written into.
    pub fn open(folder: &Path, most: usize) -> Result<Evidence, EvidenceError> {
        let fail = |error| EvidenceError {
            path: folder.to_owned(),
            error,
        };
        make_folder(folder).map_err(fail)?;
        let mut names = Vec::new();
        for entry in fs::read_dir(folder).map_err(fail)? {
            let name = entry.map_err(fail)?.file_name();
            let Some(name) = name.to_str() else { continue };
            if name.starts_with(PREFIX) && name.ends_with(UNFINISHED) {
                // Of a run that was killed.
                fs::remove_file(folder.join(name)).map_err(fail)?;
            } else if code_of(name).is_some() {
                names.push(name.to_owned());
            }
        }
        // Names begin with the time.
        names.sort_unstable();
        let mut evidence = Evidence {
            folder: folder.to_owned(),
            most,
            kept: BTreeMap::new(),
            allowance: Allowance::default(),
            counts: Counts::default(),
            failing: None,
        };
        for name in names {
            evidence.note(name);
        }
        evidence.try_writing().map_err(fail)?;
        Ok(evidence)
    }

    /// Writes the packets of a failed connection, and gives the path of the file; `None` where there is none because of
    /// one of the reasons that [`counts`](Evidence::counts) counts. `now` is the time of the capture.
    ///
    /// The file appears whole or not at all.
    ///
    /// # Errors
    ///
    /// Where writing begins to fail. While it goes on failing the same way nothing more is said, and it is tried again now
    /// and then.
    pub fn keep(
        &mut self,
        case: &Case<'_>,
        now: Timestamp,
    ) -> Result<Option<PathBuf>, EvidenceError> {
        if self.most == 0 {
            return Ok(None);
        }
        if self.is_pausing(now) {
            self.counts.failed = self.counts.failed.saturating_add(1);
            return Ok(None);
        }
        if !self.allowance.take(now) {
            self.pass_over();
            return Ok(None);
        }
        match self.write(case) {
            Ok(path) => {
                self.failing = None;
                self.counts.written = self.counts.written.saturating_add(1);
                Ok(Some(path))
            }
            Err(failed) => {
                self.counts.failed = self.counts.failed.saturating_add(1);
                let before = self.failing.replace((now, failed.error.kind()));
                match before {
                    Some((_, kind)) if kind == failed.error.kind() => Ok(None),
                    _ => Err(failed),
                }
            }
        }
    }

    /// Counts a connection that is to have no file because there are too many at once.
    pub fn pass_over(&mut self) {
        self.counts.passed_over = self.counts.passed_over.saturating_add(1);
    }

    /// What became of the failed connections.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    fn is_pausing(&self, now: Timestamp) -> bool {
        self.failing.is_some_and(|(since, _)| {
            let waited = now.since(since);
            waited >= Interval::ZERO && waited < PAUSE
        })
    }

    fn write(&mut self, case: &Case<'_>) -> Result<PathBuf, EvidenceError> {
        let failed = |path: &Path, error| EvidenceError {
            path: path.to_owned(),
            error,
        };
        while self.kept.values().map(VecDeque::len).sum::<usize>() >= self.most {
            self.make_room()?;
        }
        let name = self.free_name(case.diagnosis);
        let path = self.folder.join(&name);
        let unfinished = self.folder.join(format!("{name}{UNFINISHED}"));
        // One may have stayed of a run beside this one.
        let _ = fs::remove_file(&unfinished);
        let written = create(&unfinished)
            .and_then(|file| file::write(BufWriter::new(file), case))
            .and_then(|()| fs::rename(&unfinished, &path));
        if let Err(error) = written {
            // On a full disk even this much is room.
            let _ = fs::remove_file(&unfinished);
            return Err(failed(&path, error));
        }
        self.note(name);
        Ok(path)
    }

    /// Removes the oldest file of the cause that has most.
    fn make_room(&mut self) -> Result<(), EvidenceError> {
        // Of several that have as many, the one whose oldest is the oldest.
        let most = self.kept.values_mut().max_by(|one, other| {
            let longer = one.len().cmp(&other.len());
            longer.then_with(|| other.front().cmp(&one.front()))
        });
        let Some(name) = most.and_then(VecDeque::pop_front) else {
            return Ok(());
        };
        let path = self.folder.join(name);
        match fs::remove_file(&path) {
            Ok(()) => self.counts.removed = self.counts.removed.saturating_add(1),
            // Another process removed it.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(EvidenceError { path, error }),
        }
        Ok(())
    }

    fn note(&mut self, name: String) {
        if let Some(code) = code_of(&name) {
            let code = code.to_owned();
            self.kept.entry(code).or_default().push_back(name);
        }
    }

    /// A name that no file has.
    fn free_name(&self, diagnosis: &Diagnosis) -> String {
        let stem = stem(diagnosis);
        let mut name = format!("{stem}{SUFFIX}");
        let mut copy = 1_u32;
        while self.folder.join(&name).exists() && copy < 1_000 {
            copy = copy.saturating_add(1);
            name = format!("{stem}_{copy}{SUFFIX}");
        }
        name
    }

    /// Finds out at the start whether files can be made there.
    fn try_writing(&self) -> io::Result<()> {
        let path = self.folder.join(format!("{PREFIX}try{UNFINISHED}"));
        create(&path).and_then(|_| fs::remove_file(&path))
    }
}

/// What a file's name says: when the connection began, who with whom, and why it failed. Only letters, digits and
/// `_.-` of ASCII.
fn stem(diagnosis: &Diagnosis) -> String {
    let connection = &diagnosis.connection;
    let begun = rfc3339(connection.first.time);
    // Microseconds are enough to tell connections apart, and colons are not allowed everywhere.
    let begun = begun.get(..26).unwrap_or(&begun).replace(['-', ':'], "");
    let client = place(&connection.client);
    let server = place(&connection.server);
    let cause = diagnosis.root_cause().map_or("none", |cause| cause.code);
    format!("{PREFIX}{begun}Z_{client}_{server}_{cause}")
}

fn place(endpoint: &Endpoint) -> String {
    let address = match endpoint.address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => address.to_string().replace(':', "-"),
    };
    format!("{address}.{}", endpoint.port)
}

/// The code in the name of a file of ours; `None` for other files.
fn code_of(name: &str) -> Option<&str> {
    let fields: Vec<&str> = name
        .strip_prefix(PREFIX)?
        .strip_suffix(SUFFIX)?
        .split('_')
        .collect();
    match fields.as_slice() {
        [_, _, _, code] | [_, _, _, code, _] => Some(code),
        _ => None,
    }
}

/// Who may read evidence: its owner and its group, whatever mask the program was started with.
const FILE_MODE: u32 = 0o640;
const FOLDER_MODE: u32 = 0o750;

/// The traffic of others is readable by its owner only.
fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    // Never through a symbolic link that another user made.
    options.write(true).create_new(true).mode(FILE_MODE);
    let file = options.open(path)?;
    file.set_permissions(Permissions::from_mode(FILE_MODE))?;
    Ok(file)
}

/// Makes a folder where there is none.
fn make_folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true).mode(FOLDER_MODE).create(path)?;
    fs::set_permissions(path, Permissions::from_mode(FOLDER_MODE))
}

/// How many files may be written now: a bucket that time fills.
#[derive(Debug)]
struct Allowance {
    left: u32,
    since: Option<Timestamp>,
}

impl Default for Allowance {
    fn default() -> Allowance {
        Allowance {
            left: BURST,
            since: None,
        }
    }
}

impl Allowance {
    fn take(&mut self, now: Timestamp) -> bool {
        let since = *self.since.get_or_insert(now);
        let earned = now.since(since).0.saturating_mul(PER_SECOND) / Interval::from_secs(1).0;
        if earned != 0 {
            // Time that ran backwards earns nothing and starts anew.
            let earned = u32::try_from(earned).unwrap_or(0);
            self.left = self.left.saturating_add(earned).min(BURST);
            self.since = Some(now);
        }
        let allowed = self.left > 0;
        self.left = self.left.saturating_sub(1);
        allowed
    }
}
