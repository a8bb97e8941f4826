//! The `wirewhy` command: arguments in, an exit status out; everything between is the library's.

mod cli;
mod commands;
mod config;
mod exit;
mod journal;
mod keylog;
mod measures;
mod output;
mod roots;
mod scan;
mod service;
mod setup;
mod signals;
mod spelling;
mod terminal;

use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::Cli;

fn main() -> ExitCode {
    commands::run(Cli::parse()).into()
}
