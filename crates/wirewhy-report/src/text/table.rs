//! The table at the top of a report: one line an entry.

use std::io;

use wirewhy_detect::Severity;

use super::{blame, entry};
use crate::model::{Blame, Entry};
use crate::style::{Page, shortened};
use crate::{Safe, format};

/// How many entries the table lists.
const MAX_ROWS: usize = 20;

/// Between two columns.
const GAP: usize = 2;

/// What is not worth a column: fewer characters of what happened say nothing, fewer of a place do not tell which it is.
const LEAST_WHAT: usize = 18;
const LEAST_PLACE: usize = 12;

/// The widest that the columns of places and culprits get where there is room for more.
const MOST_PLACE: usize = 47;
const MOST_CULPRIT: usize = 26;

/// An entry in a line. Text from the wire is made safe.
pub(crate) struct Row {
    pub(crate) severity: Severity,
    pub(crate) count: String,
    pub(crate) code: String,
    pub(crate) place: String,
    pub(crate) culprit: String,
    pub(crate) what: String,
    is_possible: bool,
}

/// The widths of the columns; 0 for one that is left out.
struct Widths {
    severity: usize,
    count: usize,
    code: usize,
    place: usize,
    culprit: usize,
    what: usize,
}

/// One line for each entry, and one for those that are too many.
pub(super) fn write(page: &mut Page<'_>, entries: &[Entry<'_>]) -> io::Result<()> {
    if entries.is_empty() {
        return Ok(());
    }
    let (listed, rest) = entries.split_at(entries.len().min(MAX_ROWS));
    let mut rows: Vec<Row> = listed.iter().map(row).collect();
    let mut widths = Widths::new(&rows, page.look.width);
    if widths.what == 0 {
        for row in rows.iter_mut().filter(|row| row.is_possible) {
            row.code.insert_str(0, "possibly ");
        }
        widths = Widths::new(&rows, page.look.width);
    }
    page.blank()?;
    let header = widths.line(["#", "code", "where", "culprit", "what happened"]);
    let severity = widths.severity;
    let header = format!("{:severity$}  {header}", "");
    let header = page.look.quiet(header.trim_end());
    page.line(&header)?;
    for row in &rows {
        let word = format!("{:<severity$}", row.severity.name());
        let word = page.look.severity(row.severity, &word);
        let line = widths.line([&row.count, &row.code, &row.place, &row.culprit, &row.what]);
        page.line(format!("{word}  {line}").trim_end())?;
    }
    if rest.is_empty() {
        return Ok(());
    }
    let connections: u64 = rest.iter().map(Entry::connections).sum();
    page.text(&format!(
        "and {} more with {}",
        format::count(rest.len() as u64),
        format::counted(connections, "connection")
    ))
}

pub(crate) fn row(entry: &Entry<'_>) -> Row {
    let connections = entry.connections();
    let (culprits, what, is_possible) = match entry {
        Entry::Cause(problem, _) => (
            problem.detail.culprits(),
            entry::kinds_of(problem),
            problem.detail.is_possible(),
        ),
        Entry::Beyond(beyond) => {
            let blames = beyond.all().map(|found| (Blame::of(&found.finding), 1));
            let reason = beyond
                .reason()
                .map(|problem| entry::title(problem.code).to_owned());
            (blames.collect(), reason, entry::is_possible(beyond))
        }
    };
    let mut what = what.unwrap_or_else(|| entry::title(entry.code()).to_owned());
    if is_possible && !what.is_empty() {
        what.insert_str(0, "possibly: ");
    }
    Row {
        severity: entry.severity(),
        count: match connections {
            0 => String::new(),
            connections => format::count(connections),
        },
        code: entry.code().to_owned(),
        place: Safe(&entry::place(entry)).to_string(),
        culprit: blame::short(&culprits),
        what,
        is_possible,
    }
}

impl Widths {
    /// What fits: first what happened is cut or left out, then places are cut, then culprits and places are left out.
    fn new(rows: &[Row], width: usize) -> Widths {
        let widest = |cell: fn(&Row) -> &str| {
            let cells = rows.iter().map(|row| cell(row).chars().count());
            cells.max().unwrap_or(0)
        };
        let mut widths = Widths {
            severity: widest(|row| row.severity.name()),
            count: widest(|row| &row.count).max(1),
            code: widest(|row| &row.code),
            place: widest(|row| &row.place).min(MOST_PLACE),
            culprit: widest(|row| &row.culprit).clamp("culprit".len(), MOST_CULPRIT),
            what: widest(|row| &row.what),
        };
        let room = width.saturating_sub(widths.severity + GAP);
        let whole = widths.what;
        widths.what = 0;
        let left = room.saturating_sub(widths.taken() + GAP);
        if widths.taken() < room && left >= LEAST_WHAT.min(whole) {
            widths.what = left.min(whole);
            return widths;
        }
        let over = widths.taken().saturating_sub(room);
        let spare = widths.place.saturating_sub(LEAST_PLACE);
        widths.place -= over.min(spare);
        if widths.taken() > room {
            widths.culprit = 0;
        }
        if widths.taken() > room {
            widths.place = 0;
        }
        let over = widths.taken().saturating_sub(room);
        widths.code = widths.code.saturating_sub(over);
        widths
    }

    fn taken(&self) -> usize {
        let columns = [self.count, self.code, self.place, self.culprit, self.what];
        let shown = columns.iter().filter(|width| **width > 0);
        let gaps = GAP * shown.clone().count().saturating_sub(1);
        shown.sum::<usize>() + gaps
    }

    fn line(&self, [count, code, place, culprit, what]: [&str; 5]) -> String {
        let cells = [
            (self.count, format!("{count:>width$}", width = self.count)),
            (self.code, shortened(code, self.code)),
            (self.place, from_right(place, self.place)),
            (self.culprit, shortened(culprit, self.culprit)),
            (self.what, shortened(what, self.what)),
        ];
        let shown = cells.into_iter().filter(|(width, _)| *width > 0);
        let padded: Vec<String> = shown
            .map(|(width, text)| format!("{text:<width$}"))
            .collect();
        padded.join("  ")
    }
}

/// The text, cut at its beginning where it is too long: the end of an address and the port tell more.
fn from_right(text: &str, width: usize) -> String {
    let length = text.chars().count();
    if length <= width {
        return text.to_owned();
    }
    let kept: String = text
        .chars()
        .skip(length.saturating_sub(width.saturating_sub(1)))
        .collect();
    format!("…{kept}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(place: &str) -> Vec<Row> {
        vec![Row {
            severity: Severity::Error,
            count: "8".to_owned(),
            code: "tcp.peer-vanished".to_owned(),
            place: place.to_owned(),
            culprit: "server, possible".to_owned(),
            what: "The other side vanished in the middle of the connection".to_owned(),
            is_possible: false,
        }]
    }

    #[test]
    fn every_width_holds_what_it_can() {
        let rows = rows("[2001:db8:1:2::9]:443");
        for width in 40..140 {
            let widths = Widths::new(&rows, width);
            assert!(widths.severity + GAP + widths.taken() <= width, "{width}");
            assert_eq!(widths.code, "tcp.peer-vanished".len(), "{width}");
        }
        let narrow = Widths::new(&rows, 66);
        assert_eq!(narrow.what, 0);
        assert!(narrow.place < 21 && narrow.culprit > 0);
        assert!(Widths::new(&rows, 100).what >= LEAST_WHAT);
    }

    #[test]
    fn what_is_cut_says_so() {
        assert_eq!(shortened("a long text", 7), "a long…");
        assert_eq!(from_right("[2001:db8::9]:443", 9), "…::9]:443");
        assert_eq!(from_right("10.0.0.9:443", 12), "10.0.0.9:443");
    }
}
