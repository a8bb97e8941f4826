//! `wirewhy man`: manual pages.

use clap::CommandFactory as _;
use clap_mangen::Man;

use crate::cli::Cli;
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::spelling::hint;

pub(crate) fn run(subcommand: Option<&str>) -> Result<Exit, Failure> {
    let mut command = Cli::command();
    // Usage lines of subcommands name the whole command only once it is built.
    command.build();
    let page = match subcommand {
        None => command,
        Some(name) => match command.find_subcommand(name) {
            Some(found) => found.clone(),
            None => {
                let known: Vec<&str> = command.get_subcommands().map(|c| c.get_name()).collect();
                let hint = hint(name, known);
                return Err(Failure::new(format!(
                    "no subcommand is called {name}{hint}"
                )));
            }
        },
    };
    let mut output = Output::open(None, &[])?;
    Man::new(page)
        .render(output.writer())
        .map_err(|error| output.failure(&error))?;
    output.close()?;
    Ok(Exit::Done)
}
