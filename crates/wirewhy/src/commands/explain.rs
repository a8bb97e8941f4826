//! `wirewhy explain`: the catalogue.

use wirewhy_survey::{record_of, records};

use crate::cli::ExplainArgs;
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::spelling::hint;
use crate::terminal;

pub(crate) fn run(args: &ExplainArgs) -> Result<Exit, Failure> {
    let record = match &args.code {
        Some(code) => Some(record_of(code).ok_or_else(|| {
            let hint = hint(code, records().map(|record| record.code));
            Failure::new(format!("no finding is called {code}{hint}"))
        })?),
        None => None,
    };
    let mut output = Output::open(args.output.as_deref(), &[])?;
    let look = terminal::look(output.target(), args.color);
    let written = match record {
        Some(record) => wirewhy_report::explain(output.writer(), look, record),
        None => wirewhy_report::list_codes(output.writer(), look, records()),
    };
    written.map_err(|error| output.failure(&error))?;
    output.close()?;
    Ok(Exit::Done)
}
