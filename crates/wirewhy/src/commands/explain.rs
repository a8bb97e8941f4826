//! `wirewhy explain`: the catalogue.

use wirewhy::engine::glob_matches;
use wirewhy_detect::Record;
use wirewhy_survey::{record_of, records};

use crate::cli::ExplainArgs;
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::spelling::nearest;
use crate::terminal;

pub(crate) fn run(args: &ExplainArgs) -> Result<Exit, Failure> {
    let found = match &args.code {
        Some(wanted) => found(wanted)?,
        None => Found::Several(records().collect()),
    };
    let mut output = Output::open(args.output.as_deref(), &[])?;
    let style = terminal::style(output.target(), args.color);
    let written = match found {
        Found::One(record) => wirewhy_report::explain(output.writer(), style, record),
        Found::Several(records) => {
            wirewhy_report::list_codes(output.writer(), style, records.into_iter())
        }
    };
    written.map_err(|error| output.failure(&error))?;
    output.close()?;
    Ok(Exit::Done)
}

/// What was asked for.
enum Found {
    One(&'static Record),
    Several(Vec<&'static Record>),
}

/// A code, the name behind its group, a glob, or a word of its texts.
fn found(wanted: &str) -> Result<Found, Failure> {
    if let Some(record) = record_of(wanted) {
        return Ok(Found::One(record));
    }
    let matching: Vec<&Record> = if wanted.contains('*') {
        records()
            .filter(|record| glob_matches(wanted, record.code))
            .collect()
    } else {
        let named: Vec<&Record> = records()
            .filter(|record| name(record.code) == wanted)
            .collect();
        if let [record] = named.as_slice() {
            return Ok(Found::One(record));
        }
        by_word(&wanted.to_lowercase())
    };
    match matching.as_slice() {
        [] => Err(Failure::new(format!(
            "no finding is called {wanted}{}; `wirewhy explain` lists them all",
            closest(wanted).map_or_else(String::new, |code| format!(" (did you mean {code}?)"))
        ))),
        [record] if !wanted.contains('*') => Ok(Found::One(record)),
        _ => Ok(Found::Several(matching)),
    }
}

/// The codes with a word in them, then those with it in their titles, then those with it in what they mean.
fn by_word(word: &str) -> Vec<&'static Record> {
    let texts: [fn(&Record) -> &str; 3] = [
        |record| record.code,
        |record| record.title,
        |record| record.means,
    ];
    let mut matching: Vec<&Record> = Vec::new();
    for (index, text) in texts.into_iter().enumerate() {
        let holds = |record: &&Record| {
            let text = text(record).to_lowercase();
            // A part of a code is a word of it; texts have words of their own.
            let parts = text.split(|letter: char| !letter.is_alphanumeric());
            parts.clone().any(|part| part == word) || index == 0 && text.contains(word)
        };
        let known: Vec<&str> = matching.iter().map(|record| record.code).collect();
        matching.extend(
            records()
                .filter(holds)
                .filter(|record| !known.contains(&record.code)),
        );
    }
    matching
}

/// The code that was most likely meant, with its group or without.
fn closest(wanted: &str) -> Option<&'static str> {
    if wanted.contains('.') {
        return nearest(wanted, records().map(|record| record.code));
    }
    let near = nearest(wanted, records().map(|record| name(record.code)))?;
    records()
        .map(|record| record.code)
        .find(|code| name(code) == near)
}

/// A code without its group.
fn name(code: &str) -> &str {
    code.split_once('.').map_or(code, |(_, name)| name)
}
