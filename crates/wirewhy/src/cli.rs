//! The arguments. Help, man pages and completions come from here.

use std::num::NonZero;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use wirewhy_detect::Severity;

use crate::terminal::ColorChoice;

const AFTER_HELP: &str = "\
Exit status:
  0  done
  1  there is a finding at or above --fail-on
  2  wrong usage, or nothing could be read or written
  3  done, but some input was unreadable or cut short

`wirewhy FILE...` is the same as `wirewhy analyze FILE...`.";

/// Why TCP and TLS connections fail, from packets alone
///
/// Names, for every connection that failed or limped, the root cause, who caused it, the frames that prove it, how sure
/// that is, and what to check next. It only ever listens.
#[derive(Parser, Debug)]
#[command(name = "wirewhy", version, after_help = AFTER_HELP)]
#[command(args_conflicts_with_subcommands = true, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) analyze: AnalyzeArgs,
}

/// What to do.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Analyse saved captures and print a report
    #[command(after_help = AFTER_HELP)]
    Analyze(AnalyzeArgs),
    /// Analyse whole archives of captures in parallel
    #[command(after_help = AFTER_HELP)]
    Scan(ScanArgs),
    /// Print one line per TCP frame, with its analysis marks
    Packets(PacketsArgs),
    /// Show one connection in full: every packet, its numbers, its findings
    Show(ShowArgs),
    /// Explain what a finding means, how it is recognised, and what to check next
    Explain(ExplainArgs),
    /// Print a shell completion script
    Completions {
        /// The shell to complete in
        shell: Shell,
    },
    /// Print a manual page in roff
    Man {
        /// The subcommand to print the page of; without it, that of wirewhy itself
        command: Option<String>,
    },
}

/// Arguments of `wirewhy analyze`.
#[derive(Args, Clone, Debug)]
pub(crate) struct AnalyzeArgs {
    /// Captures to read: pcap or pcapng, plain or compressed; - for standard input
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// How the report is written
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: Format,
    /// Healthy connections too
    #[arg(long)]
    pub(crate) all: bool,
    /// Leave out what is less severe
    #[arg(long, value_name = "SEVERITY")]
    pub(crate) min_severity: Option<SeverityArg>,
    #[command(flatten)]
    pub(crate) select: SelectArgs,
    #[command(flatten)]
    pub(crate) tls: TlsArgs,
    /// Exit with status 1 if anything found is this severe or worse
    #[arg(long, value_name = "SEVERITY")]
    pub(crate) fail_on: Option<SeverityArg>,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

/// Arguments of `wirewhy scan`.
#[derive(Args, Clone, Debug)]
pub(crate) struct ScanArgs {
    /// Folders to walk, captures, and globs for the program to expand ('2026-*/*.pcap')
    #[arg(value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// Read more paths from this file, one a line; - for standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) files_from: Option<PathBuf>,
    /// The paths in --files-from end with a zero byte, as `find -print0` writes them
    #[arg(short = '0', long, requires = "files_from")]
    pub(crate) null: bool,
    /// Follow symbolic links inside folders; those named are always followed
    #[arg(short = 'L', long)]
    pub(crate) follow: bool,
    /// How many captures are analysed at once; as many as there are processors by default
    #[arg(short, long, value_name = "NUMBER")]
    pub(crate) jobs: Option<NonZero<usize>>,
    /// Remember in this file what is done: a scan that was killed goes on where it was, and the next one analyses only
    /// what is new or has changed, and says what it found new
    #[arg(long, value_name = "FILE", requires = "output")]
    pub(crate) state: Option<PathBuf>,
    /// How results are written
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: ScanFormat,
    /// Healthy connections and captures too
    #[arg(long)]
    pub(crate) all: bool,
    /// Leave out what is less severe
    #[arg(long, value_name = "SEVERITY")]
    pub(crate) min_severity: Option<SeverityArg>,
    #[command(flatten)]
    pub(crate) select: SelectArgs,
    #[command(flatten)]
    pub(crate) tls: TlsArgs,
    /// Exit with status 1 if anything found is this severe or worse
    #[arg(long, value_name = "SEVERITY")]
    pub(crate) fail_on: Option<SeverityArg>,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

/// Arguments of `wirewhy packets`.
#[derive(Args, Clone, Debug)]
pub(crate) struct PacketsArgs {
    /// The capture to read; - for standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// How the rows are written
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: RowFormat,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

/// Arguments of `wirewhy show`.
#[derive(Args, Clone, Debug)]
pub(crate) struct ShowArgs {
    /// The capture to read; - for standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The connection, by the number Wireshark and the reports give it (tcp.stream)
    #[arg(value_name = "STREAM")]
    pub(crate) stream: u32,
    #[command(flatten)]
    pub(crate) select: SelectArgs,
    #[command(flatten)]
    pub(crate) tls: TlsArgs,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

/// Arguments of `wirewhy explain`.
#[derive(Args, Clone, Debug)]
pub(crate) struct ExplainArgs {
    /// The code of a finding; without it, all codes are listed
    #[arg(value_name = "CODE")]
    pub(crate) code: Option<String>,
    /// Write to this file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// When to use colour
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: ColorChoice,
}

/// Which findings count.
#[derive(Args, Clone, Debug)]
pub(crate) struct SelectArgs {
    /// Only findings whose code matches, as in 'tcp.*'; may be given several times
    #[arg(long, value_name = "CODE-GLOB", value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    /// No findings whose code matches; may be given several times
    #[arg(long, value_name = "CODE-GLOB", value_delimiter = ',')]
    pub(crate) ignore: Vec<String>,
}

/// What is known of TLS besides the captures.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct TlsArgs {
    /// Decrypt TLS with the secrets in this file, which the endpoint wrote where SSLKEYLOGFILE says; may be given several
    /// times. Secrets in a pcapng file are used without asking
    #[arg(long, value_name = "FILE")]
    pub(crate) keylog: Vec<PathBuf>,
}

/// Arguments of every command that reads captures.
#[derive(Args, Clone, Debug)]
pub(crate) struct CommonArgs {
    /// Only packets this libpcap filter matches; frame and stream numbers stay those of the whole capture
    #[arg(short, long, value_name = "BPF")]
    pub(crate) filter: Option<String>,
    /// Write to this file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Thresholds, ignored codes and names for addresses, in TOML; else wirewhy/config.toml in $XDG_CONFIG_HOME or
    /// ~/.config, where there is one
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// When to use colour
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: ColorChoice,
    /// No warnings on standard error, only errors
    #[arg(short, long, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Say on standard error what else is odd about a capture
    #[arg(short, long)]
    pub(crate) verbose: bool,
}

/// How a report is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Format {
    /// For a person at a terminal
    Text,
    /// One JSON document for each capture
    Json,
    /// JSON, one record a line
    Ndjson,
}

/// How the results of a scan are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum ScanFormat {
    /// For a person: a line for each capture with trouble in it, and a summary over all
    Text,
    /// JSON, one record a line, each with the name of its capture; the summary is the last
    Ndjson,
    /// Parquet, one row a connection, in parts in the folder that --output names; the summary is text
    Parquet,
}

/// How rows are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum RowFormat {
    /// Aligned columns
    Text,
    /// JSON, one record a line
    Ndjson,
}

/// A severity on the command line.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum SeverityArg {
    /// Worth knowing
    Note,
    /// It worked, but badly
    Warning,
    /// It failed
    Error,
}

impl From<SeverityArg> for Severity {
    fn from(severity: SeverityArg) -> Severity {
        match severity {
            SeverityArg::Note => Severity::Note,
            SeverityArg::Warning => Severity::Warning,
            SeverityArg::Error => Severity::Error,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_definition_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_file_alone_is_analysed() {
        let cli = Cli::try_parse_from(["wirewhy", "-f", "tcp", "a.pcap", "-"]).unwrap();
        assert!(cli.command.is_none());
        assert_eq!(
            cli.analyze.files,
            [PathBuf::from("a.pcap"), PathBuf::from("-")]
        );
        assert_eq!(cli.analyze.common.filter.as_deref(), Some("tcp"));
    }

    #[test]
    fn globs_may_be_listed() {
        let args = [
            "wirewhy",
            "analyze",
            "--ignore",
            "tls.*,tcp.probe",
            "--ignore",
            "rst.*",
            "x",
        ];
        let Some(Command::Analyze(analyze)) = Cli::try_parse_from(args).unwrap().command else {
            panic!("not analyze");
        };
        assert_eq!(analyze.select.ignore, ["tls.*", "tcp.probe", "rst.*"]);
    }
}
