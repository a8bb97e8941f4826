//! Where the output goes: standard output, or a file.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::exit::Failure;
use crate::terminal::Target;

/// Buffered output with a name for error messages.
pub(crate) struct Output {
    writer: BufWriter<Box<dyn Write>>,
    name: String,
    target: Target,
}

impl Output {
    /// Opens what `-o` names, standard output where it names nothing or `-`.
    ///
    /// A file among `reads`, which the command reads, is refused, and so is a capture: either would be emptied.
    pub(crate) fn open(path: Option<&Path>, reads: &[PathBuf]) -> Result<Output, Failure> {
        let Some(path) = path.filter(|path| *path != Path::new("-")) else {
            return Ok(Output {
                writer: buffered(Box::new(io::stdout())),
                name: "standard output".to_owned(),
                target: Target::of_stdout(),
            });
        };
        refuse_read(path, reads)?;
        refuse_capture(path, "")?;
        let file = File::create(path)
            .map_err(|error| Failure::writing(&path.display().to_string(), &error))?;
        Ok(Output::into_file(file, path))
    }

    /// Output into a file that is open, from where it stands.
    pub(crate) fn into_file(file: File, path: &Path) -> Output {
        Output {
            writer: buffered(Box::new(file)),
            name: path.display().to_string(),
            target: Target::Elsewhere,
        }
    }

    pub(crate) fn target(&self) -> Target {
        self.target
    }

    pub(crate) fn writer(&mut self) -> &mut BufWriter<Box<dyn Write>> {
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

/// As much as a pipe holds.
const BUFFER: usize = 64 << 10;

fn buffered(writer: Box<dyn Write>) -> BufWriter<Box<dyn Write>> {
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

/// A line on standard error. What cannot be said there is said nowhere.
pub(crate) fn complain(message: &str) {
    let _ = writeln!(io::stderr(), "wirewhy: {}", wirewhy_report::Safe(message));
}
