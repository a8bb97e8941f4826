//! `wirewhy completions`: a script for a shell.

use std::io::Write as _;

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::cli::Cli;
use crate::exit::{Exit, Failure};
use crate::output::Output;

pub(crate) fn run(shell: Shell) -> Result<Exit, Failure> {
    // The generator panics where its writer fails, so it writes to memory.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "wirewhy", &mut script);
    let mut output = Output::open(None, &[])?;
    output
        .writer()
        .write_all(&script)
        .map_err(|error| output.failure(&error))?;
    output.close()?;
    Ok(Exit::Done)
}
