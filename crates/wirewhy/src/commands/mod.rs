//! The subcommands.

mod analyze;
mod annotate;
mod completions;
mod explain;
mod interfaces;
mod live;
mod man;
mod packets;
mod scan;
mod show;

use crate::cli::{Cli, Command};
use crate::exit::{Exit, Failure};
use crate::journal::Priority;
use crate::output::print_line;

/// Does what the arguments say.
pub(crate) fn run(cli: Cli) -> Exit {
    let done = match cli.command {
        None => analyze::run(&cli.analyze),
        Some(Command::Analyze(args)) => analyze::run(&args),
        Some(Command::Annotate(args)) => annotate::run(&args),
        Some(Command::Live(args)) => live::run(&args),
        Some(Command::Interfaces(args)) => interfaces::run(&args),
        Some(Command::Scan(args)) => scan::run(&args),
        Some(Command::Packets(args)) => packets::run(&args),
        Some(Command::Show(args)) => show::run(&args),
        Some(Command::Explain(args)) => explain::run(&args),
        Some(Command::Completions { shell }) => completions::run(shell),
        Some(Command::Man { command }) => man::run(command.as_deref()),
    };
    match done {
        Ok(exit) => exit,
        Err(Failure::ClosedPipe) => Exit::Done,
        Err(Failure::Message(message)) => {
            print_line(Priority::Error, &message);
            Exit::Failed
        }
    }
}
