//! Where the output goes: standard output, or a file.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
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
    /// A file among `inputs` is refused: it would be emptied before it was read.
    pub(crate) fn open(path: Option<&Path>, inputs: &[PathBuf]) -> Result<Output, Failure> {
        match path.filter(|path| *path != Path::new("-")) {
            None => Ok(Output {
                writer: buffered(Box::new(io::stdout())),
                name: "standard output".to_owned(),
                target: Target::of_stdout(),
            }),
            Some(path) => {
                let name = path.display().to_string();
                if inputs.iter().any(|input| same_file(input, path)) {
                    return Err(Failure::new(format!(
                        "{name}: is an input, and would be lost"
                    )));
                }
                let file = File::create(path).map_err(|error| Failure::writing(&name, &error))?;
                Ok(Output {
                    writer: buffered(Box::new(file)),
                    name,
                    target: Target::Elsewhere,
                })
            }
        }
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

fn same_file(one: &Path, other: &Path) -> bool {
    match (fs::canonicalize(one), fs::canonicalize(other)) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}

/// A line on standard error. What cannot be said there is said nowhere.
pub(crate) fn complain(message: &str) {
    let _ = writeln!(io::stderr(), "wirewhy: {}", wirewhy_report::Safe(message));
}
