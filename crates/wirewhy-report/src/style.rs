//! How text is laid out: width, colour, wrapping.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use wirewhy_detect::Severity;

use crate::{FileSummary, format};

/// Whether colour is used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Color {
    /// Plain text.
    Never,
    /// ANSI escape sequences.
    Always,
}

/// How text looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TextStyle {
    /// Columns a line may take.
    pub width: usize,
    /// Whether colour is used.
    pub color: Color,
}

impl TextStyle {
    /// The widest a report gets, however wide the terminal.
    pub const MAX_WIDTH: usize = 100;
    /// Below this, lines run over rather than break at every word.
    const MIN_WIDTH: usize = 40;

    /// The smaller of `columns` and [`TextStyle::MAX_WIDTH`], but never so small that nothing fits.
    #[must_use]
    pub fn new(columns: usize, color: Color) -> TextStyle {
        TextStyle {
            width: columns.clamp(Self::MIN_WIDTH, Self::MAX_WIDTH),
            color,
        }
    }

    fn paint(self, style: Style, text: &str) -> String {
        match self.color {
            Color::Never => text.to_owned(),
            Color::Always => format!("{style}{text}{style:#}"),
        }
    }

    pub(crate) fn severity(self, severity: Severity, text: &str) -> String {
        let style = match severity {
            Severity::Error => AnsiColor::Red.on_default().bold(),
            Severity::Warning => AnsiColor::Yellow.on_default().bold(),
            Severity::Note => AnsiColor::Cyan.on_default(),
        };
        self.paint(style, text)
    }

    pub(crate) fn good(self, text: &str) -> String {
        self.paint(AnsiColor::Green.on_default(), text)
    }

    pub(crate) fn strong(self, text: &str) -> String {
        self.paint(Style::new().bold(), text)
    }

    pub(crate) fn quiet(self, text: &str) -> String {
        self.paint(Style::new().dimmed(), text)
    }
}

impl Default for TextStyle {
    fn default() -> TextStyle {
        TextStyle {
            width: TextStyle::MAX_WIDTH,
            color: Color::Never,
        }
    }
}

/// Stands for a space at which a line is not broken.
pub(crate) const JOINED: char = '\u{a0}';

/// What an entry of a report is written on: lines of text, or a list of labels with what stands beside them.
pub(crate) trait Sheet {
    /// The files that frames are in, where there are several.
    fn files(&self) -> &[FileSummary];

    /// The first line of an entry.
    fn headline(&mut self, severity: Severity, code: &str, title: &str) -> io::Result<()>;

    /// A label, and text beside it.
    fn labelled(&mut self, label: &str, text: &str) -> io::Result<()>;

    /// Rows of a table under one label.
    fn table(&mut self, label: &str, rows: &[String]) -> io::Result<()>;

    /// A label, and a list beside it: each item begins on a line of its own.
    fn listed(&mut self, label: &str, items: &[&str]) -> io::Result<()> {
        let mut label = label;
        for item in items {
            self.labelled(label, item)?;
            label = "";
        }
        Ok(())
    }
}

/// Lines of labelled, wrapped text.
pub(crate) struct Page<'a> {
    out: &'a mut dyn Write,
    pub(crate) look: TextStyle,
    /// The files that frames are in, where there are several.
    pub(crate) files: &'a [FileSummary],
}

impl<'a> Page<'a> {
    /// Width of the column of labels.
    pub(crate) const MARGIN: usize = 9;

    pub(crate) fn new(out: &'a mut dyn Write, look: TextStyle) -> Page<'a> {
        Page {
            out,
            look,
            files: &[],
        }
    }

    /// A page about a recording of several files.
    pub(crate) fn about(self, files: &'a [FileSummary]) -> Page<'a> {
        Page { files, ..self }
    }

    pub(crate) fn blank(&mut self) -> io::Result<()> {
        self.out.write_all(b"\n")
    }

    /// A line as it is.
    pub(crate) fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{text}")
    }

    /// Text over the whole width.
    pub(crate) fn text(&mut self, text: &str) -> io::Result<()> {
        wrap(text, self.look.width)
            .iter()
            .try_for_each(|line| self.line(line))
    }

    /// Text behind a margin.
    pub(crate) fn indented(&mut self, margin: usize, text: &str) -> io::Result<()> {
        for line in wrap(text, self.look.width.saturating_sub(margin)) {
            writeln!(self.out, "{:margin$}{line}", "")?;
        }
        Ok(())
    }

    /// One step of a numbered list.
    pub(crate) fn numbered(&mut self, number: usize, text: &str) -> io::Result<()> {
        const MARGIN: usize = 5;
        let mut lead = format!("{number:>3}. ");
        for line in wrap(text, self.look.width.saturating_sub(MARGIN)) {
            writeln!(self.out, "{lead}{line}")?;
            lead = " ".repeat(MARGIN);
        }
        Ok(())
    }

    /// What the reader left out: that nothing is shown does not mean that nothing was found.
    pub(crate) fn hidden(&mut self, findings: u64, by: &str) -> io::Result<()> {
        let are = if findings == 1 { "is" } else { "are" };
        let findings = format::counted(findings, "finding");
        self.text(&format!("{findings} {are} hidden by {by}."))
    }
}

impl Sheet for Page<'_> {
    fn files(&self) -> &[FileSummary] {
        self.files
    }

    fn headline(&mut self, severity: Severity, code: &str, title: &str) -> io::Result<()> {
        let margin = Self::MARGIN;
        let word = self
            .look
            .severity(severity, &format!("{:<margin$}", severity.name()));
        let strong = self.look.strong(code);
        let fits = margin + code.len() + 2 + title.chars().count() <= self.look.width;
        if title.is_empty() || !fits {
            writeln!(self.out, "{word}{strong}")?;
            return self.labelled("", title);
        }
        writeln!(self.out, "{word}{strong}  {title}")
    }

    fn labelled(&mut self, label: &str, text: &str) -> io::Result<()> {
        let margin = Self::MARGIN;
        let mut shown = self.look.quiet(&format!("{label:<margin$}"));
        for line in wrap(text, self.look.width.saturating_sub(margin)) {
            writeln!(self.out, "{shown}{line}")?;
            shown = " ".repeat(margin);
        }
        Ok(())
    }

    /// The rows are kept as they are where they fit.
    fn table(&mut self, label: &str, rows: &[String]) -> io::Result<()> {
        let margin = Self::MARGIN;
        let room = self.look.width.saturating_sub(margin);
        let mut label = label;
        for row in rows {
            if row.chars().count() <= room {
                let shown = self.look.quiet(&format!("{label:<margin$}"));
                self.line(&format!("{shown}{row}"))?;
            } else {
                self.labelled(label, row)?;
            }
            label = "";
        }
        Ok(())
    }
}

/// The text, cut to a width where it is longer.
pub(crate) fn shortened(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// Breaks text into lines of at most `width` characters, at spaces where there are any.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut used = 0;
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let mut word: Vec<char> = word
            .chars()
            .map(|c| if c == JOINED { ' ' } else { c })
            .collect();
        if used > 0 && used + 1 + word.len() > width {
            lines.push(std::mem::take(&mut line));
            used = 0;
        }
        while word.len() > width {
            let rest = word.split_off(width);
            lines.push(word.into_iter().collect());
            word = rest;
        }
        if used > 0 {
            line.push(' ');
            used += 1;
        }
        used += word.len();
        line.extend(word);
    }
    if used > 0 {
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_wider_than_asked() {
        let text =
            "a quite ordinary sentence with averyveryverylongwordinitthatdoesnotfit and more";
        for width in 1..=90 {
            let lines = wrap(text, width);
            assert!(
                lines.iter().all(|line| line.chars().count() <= width),
                "{width}: {lines:?}"
            );
            let squeezed: String = lines.concat().split_whitespace().collect();
            assert_eq!(
                squeezed,
                text.split_whitespace().collect::<String>(),
                "{width}"
            );
        }
    }

    #[test]
    fn joined_words_stay_together() {
        let text = format!("use tcp.stream{JOINED}=={JOINED}7 here");
        assert_eq!(wrap(&text, 18), ["use", "tcp.stream == 7", "here"]);
        assert!(wrap("", 10).is_empty());
    }

    #[test]
    fn a_label_stands_beside_the_first_line_only() {
        let mut out = Vec::new();
        let look = TextStyle::new(40, Color::Never);
        Page::new(&mut out, look)
            .labelled("what", "The SYN was answered by a reset 0.3 ms later.")
            .unwrap();
        let shown = String::from_utf8(out).unwrap();
        assert_eq!(
            shown,
            "what     The SYN was answered by a reset\n         0.3 ms later.\n"
        );
    }

    #[test]
    fn without_colour_there_is_no_escape_sequence() {
        let plain = TextStyle::default();
        assert_eq!(plain.severity(Severity::Error, "error"), "error");
        let colored = TextStyle::new(100, Color::Always).severity(Severity::Error, "error");
        assert!(colored.starts_with('\u{1b}') && colored.contains("error"));
    }

    #[test]
    fn a_width_is_never_absurd() {
        assert_eq!(TextStyle::new(0, Color::Never).width, 40);
        assert_eq!(TextStyle::new(300, Color::Never).width, 100);
    }
}
