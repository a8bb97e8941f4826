//! What the terminal is like, and what the user says about it.

use std::env;
use std::io::{self, IsTerminal as _};

use clap::ValueEnum;
use wirewhy_report::{Color, TextStyle};

use crate::journal;

/// When colour is used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub(crate) enum ColorChoice {
    /// On a terminal that can show it.
    #[default]
    Auto,
    /// Even into a file or a pipe.
    Always,
    /// Not at all.
    Never,
}

/// Where the output goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Target {
    /// A terminal.
    Terminal,
    /// The journal of systemd.
    Journal,
    /// A file or a pipe.
    Elsewhere,
}

impl Target {
    /// What standard output is.
    pub(crate) fn of_stdout() -> Target {
        if io::stdout().is_terminal() {
            Target::Terminal
        } else if journal::is_stdout() {
            Target::Journal
        } else {
            Target::Elsewhere
        }
    }
}

/// How text for this target looks.
pub(crate) fn style(target: Target, choice: ColorChoice) -> TextStyle {
    let variable = |name: &str| env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    let columns = match target {
        Target::Terminal => terminal_size::terminal_size().map(|(width, _)| usize::from(width.0)),
        Target::Journal | Target::Elsewhere => None,
    };
    TextStyle::new(
        columns.unwrap_or(TextStyle::MAX_WIDTH),
        color(target, choice, variable),
    )
}

/// The option decides, else [NO_COLOR](https://no-color.org), else `CLICOLOR_FORCE`, else `CLICOLOR` and the terminal.
fn color(target: Target, choice: ColorChoice, variable: impl Fn(&str) -> Option<String>) -> Color {
    let set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
    let forced = variable("CLICOLOR_FORCE").is_some_and(|value| !value.is_empty() && value != "0");
    let off = variable("CLICOLOR").is_some_and(|value| value == "0");
    let dumb = variable("TERM").is_some_and(|value| value == "dumb");
    match (choice, target) {
        (ColorChoice::Always, _) => Color::Always,
        (ColorChoice::Never, _) => Color::Never,
        (ColorChoice::Auto, _) if set("NO_COLOR") => Color::Never,
        (ColorChoice::Auto, _) if forced => Color::Always,
        (ColorChoice::Auto, Target::Terminal) if !dumb && !off => Color::Always,
        (ColorChoice::Auto, _) => Color::Never,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(target: Target, choice: ColorChoice, set: &[(&str, &str)]) -> Color {
        let variable = |name: &str| {
            set.iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| (*value).to_owned())
        };
        color(target, choice, variable)
    }

    #[test]
    fn colour_is_for_terminals_that_can_show_it() {
        use ColorChoice::Auto;
        use Target::{Elsewhere, Terminal};
        assert_eq!(with(Terminal, Auto, &[]), Color::Always);
        assert_eq!(with(Elsewhere, Auto, &[]), Color::Never);
        assert_eq!(with(Terminal, Auto, &[("TERM", "dumb")]), Color::Never);
        assert_eq!(with(Terminal, Auto, &[("CLICOLOR", "0")]), Color::Never);
        assert_eq!(with(Terminal, Auto, &[("NO_COLOR", "1")]), Color::Never);
        assert_eq!(with(Terminal, Auto, &[("NO_COLOR", "")]), Color::Always);
        assert_eq!(
            with(Elsewhere, Auto, &[("CLICOLOR_FORCE", "1")]),
            Color::Always
        );
        assert_eq!(
            with(Elsewhere, Auto, &[("CLICOLOR_FORCE", "0")]),
            Color::Never
        );
        let both = [("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")];
        assert_eq!(with(Elsewhere, Auto, &both), Color::Never);
    }

    #[test]
    fn the_option_beats_the_environment() {
        let set = [("NO_COLOR", "1"), ("TERM", "dumb")];
        assert_eq!(
            with(Target::Elsewhere, ColorChoice::Always, &set),
            Color::Always
        );
        let forced = [("CLICOLOR_FORCE", "1")];
        assert_eq!(
            with(Target::Terminal, ColorChoice::Never, &forced),
            Color::Never
        );
    }
}
