//! Where the output goes: standard output, or a file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::exit::{Failure, in_words};
use crate::journal::{self, Priority};
use crate::terminal::Target;

/// Buffered output with a name for error messages.
pub(crate) struct Output {
    writer: BufWriter<Box<dyn Write + Send>>,
    name: String,
    target: Target,
    /// Raised to open a file of this name anew at the next write or flush; nothing where the output is no file.
    reopen: Option<Arc<AtomicBool>>,
}

impl Output {
    /// Opens what `-o` names, standard output where it names nothing or `-`.
    ///
    /// A file among `reads`, which the command reads, is refused, and so is a capture: either would be emptied. A file of an
    /// earlier run is emptied with the first byte that is written: where nothing can be read, it stays.
    pub(crate) fn open(path: Option<&Path>, reads: &[PathBuf]) -> Result<Output, Failure> {
        let Some(path) = path.filter(|path| *path != Path::new("-")) else {
            return Ok(Output {
                writer: buffered(Box::new(io::stdout())),
                name: "standard output".to_owned(),
                target: Target::of_stdout(),
                reopen: None,
            });
        };
        refuse_read(path, reads)?;
        refuse_capture(path, "")?;
        let name = path.display().to_string();
        let file = append_to(path).map_err(|error| Failure::writing(&name, &error))?;
        let is_file = file.metadata().is_ok_and(|data| data.is_file());
        let reopen = is_file.then(|| Arc::new(AtomicBool::new(false)));
        Ok(Output {
            writer: buffered(Box::new(Replaced {
                file,
                path: path.to_path_buf(),
                is_emptied: !is_file,
                reopen: reopen.clone(),
            })),
            name,
            target: Target::Elsewhere,
            reopen,
        })
    }

    /// Output into a file that is open, from where it stands.
    pub(crate) fn into_file(file: File, path: &Path) -> Output {
        Output {
            writer: buffered(Box::new(file)),
            name: path.display().to_string(),
            target: Target::Elsewhere,
            reopen: None,
        }
    }

    /// A flag that makes the next write or flush open the file anew, which is another one if the old one was renamed; nothing
    /// where the output is no regular file.
    pub(crate) fn reopen(&self) -> Option<Arc<AtomicBool>> {
        self.reopen.clone()
    }

    pub(crate) fn target(&self) -> Target {
        self.target
    }

    pub(crate) fn writer(&mut self) -> &mut BufWriter<Box<dyn Write + Send>> {
        &mut self.writer
    }

    /// What writing failed with.
    pub(crate) fn failure(&self, error: &io::Error) -> Failure {
        Failure::writing(&self.name, error)
    }

    /// Hands on everything still buffered.
    pub(crate) fn close(mut self) -> Result<(), Failure> {
        self.writer.flush().map_err(|error| self.failure(&error))
    }
}

/// A file whose earlier content goes when the new one comes, and that is opened anew where that is due.
struct Replaced {
    file: File,
    path: PathBuf,
    is_emptied: bool,
    reopen: Option<Arc<AtomicBool>>,
}

impl Replaced {
    fn reopen_if_due(&mut self) {
        let reopen = self.reopen.as_deref();
        if reopen.is_some_and(|due| due.swap(false, Ordering::Relaxed)) {
            match append_to(&self.path) {
                Ok(file) => self.file = file,
                Err(error) => warn(&format!(
                    "{}: cannot be opened anew, and the old file is written on: {}",
                    self.path.display(),
                    in_words(&error)
                )),
            }
        }
    }
}

impl Write for Replaced {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.is_emptied {
            self.file.set_len(0)?;
            self.is_emptied = true;
        }
        self.reopen_if_due();
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.reopen_if_due();
        self.file.flush()
    }
}

/// What stands in the file already stays.
fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

/// As much as a pipe holds.
const BUFFER: usize = 64 << 10;

fn buffered(writer: Box<dyn Write + Send>) -> BufWriter<Box<dyn Write + Send>> {
    BufWriter::with_capacity(BUFFER, writer)
}

/// Refuses an output that is one of the files which the command reads, by whatever name; `-` stands for standard input.
pub(crate) fn refuse_read(path: &Path, reads: &[PathBuf]) -> Result<(), Failure> {
    let Some(output) = identity(fs::metadata(path)) else {
        return Ok(());
    };
    let is_read = reads.iter().any(|read| {
        let read = match read.to_str() {
            Some("-") => standard_input(),
            _ => fs::metadata(read),
        };
        identity(read) == Some(output)
    });
    if is_read {
        let name = path.display();
        return Err(Failure::new(format!(
            "{name}: is an input, and would be lost"
        )));
    }
    Ok(())
}

/// Refuses an output that is a capture now; `otherwise` ends the sentence.
pub(crate) fn refuse_capture(path: &Path, otherwise: &str) -> Result<(), Failure> {
    let is_file = fs::metadata(path).is_ok_and(|data| data.is_file());
    if is_file && wirewhy_capture::open(path).is_ok() {
        let name = path.display();
        return Err(Failure::new(format!(
            "{name}: is a capture, and would be lost{otherwise}"
        )));
    }
    Ok(())
}

/// Device and inode of a file: what it is, whatever its name. `None` for what writing does not empty.
fn identity(metadata: io::Result<fs::Metadata>) -> Option<(u64, u64)> {
    let metadata = metadata.ok().filter(fs::Metadata::is_file)?;
    Some((metadata.dev(), metadata.ino()))
}

fn standard_input() -> io::Result<fs::Metadata> {
    let input = io::stdin().as_fd().try_clone_to_owned()?;
    File::from(input).metadata()
}

/// A warning on standard error: see [`print_line`].
pub(crate) fn warn(message: &str) {
    print_line(Priority::Warning, message);
}

/// A line on standard error, which has its priority in front where standard error is the journal. An error of writing is
/// ignored: there is no other place for it.
pub(crate) fn print_line(priority: Priority, message: &str) {
    let prefix = if journal::is_stderr() {
        priority.prefix()
    } else {
        ""
    };
    let line = format!("{prefix}wirewhy: {}\n", wirewhy_report::Safe(message));
    let _ = io::stderr().write_all(line.as_bytes());
}
