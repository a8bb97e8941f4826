//! The arguments. Help, man pages and completions come from here.

use std::fmt;
use std::num::NonZero;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use wirewhy_capture::Joining;
use wirewhy_detect::Severity;
use wirewhy_report::PacketChoice;

use crate::measures::{Amount, Bytes, Frames, Span, StreamNumber, at_least_one};
use crate::roots::Roots;
use crate::terminal::ColorChoice;

const AFTER_HELP: &str = "\
Exit status:
  0  done
  1  there is a finding at or above --fail-on
  2  wrong usage, or nothing could be read or written
  3  done, but some input was unreadable or cut short

SIGINT and SIGTERM end reading with the report on what was read; a second one ends it at once.

`wirewhy FILE...` is the same as `wirewhy analyze FILE...`.";

const LIVE_HELP: &str = "\
SIGINT and SIGTERM end it with the summary and every file whole; a second one ends it at once. SIGHUP opens the file of -o anew, \
and ends it where there is none.

A service manager that has set NOTIFY_SOCKET is notified of start, reload, status, progress (WATCHDOG_USEC) and end. Lines that \
go to the journal (JOURNAL_STREAM) begin with their priority.

Exit status:
  0  done
  1  there is a finding at or above --fail-on
  2  wrong usage, or nothing could be captured or written";

const ANNOTATE_HELP: &str = "\
In Wireshark, frame.comment finds the comments, and packaging/wireshark/wirewhy.lua makes fields of them:
  wirewhy annotate a.pcap -o a.wirewhy.pcapng
  wireshark -X lua_script:wirewhy.lua -Y 'wirewhy.severity == \"error\"' a.wirewhy.pcapng

Exit status:
  0  done
  2  wrong usage, or nothing could be read or written
  3  done, but some input was unreadable or cut short";

/// Why TCP and TLS connections fail, from packets alone
///
/// Names, for every connection that failed or was degraded, the root cause, who caused it, the frames that prove it, how sure
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

/// Ends the program as one that was called wrongly, with the usage of this subcommand.
pub(crate) fn usage_error(subcommand: &str, kind: ErrorKind, message: impl fmt::Display) -> ! {
    let mut program = Cli::command();
    // Its name stands in the usage of subcommands only once it is built.
    program.build();
    let mut command = program
        .find_subcommand(subcommand)
        .cloned()
        .unwrap_or(program);
    command.error(kind, message).exit()
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
    /// Listen on interfaces: a line per finding the moment it is known, a summary at the end
    #[command(after_help = LIVE_HELP)]
    Live(LiveArgs),
    /// List the interfaces that can be captured, and what is missing where none can
    Interfaces(InterfacesArgs),
    /// Write a capture once more as pcapng, with every finding as a comment on the frames that prove it
    #[command(after_help = ANNOTATE_HELP)]
    Annotate(AnnotateArgs),
    /// Print one line per TCP frame, with its analysis marks
    Packets(PacketsArgs),
    /// Show one connection in full: every packet, its numbers, its findings
    Show(ShowArgs),
    /// Explain what a finding means, how it is detected, and what to check next
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

/// What counts, and how captures are diagnosed.
#[derive(Args, Clone, Debug)]
pub(crate) struct DiagnosisArgs {
    /// Show only findings at least this severe
    #[arg(long, value_name = "SEVERITY")]
    pub(crate) min_severity: Option<SeverityArg>,
    #[command(flatten)]
    pub(crate) select: SelectArgs,
    #[command(flatten)]
    pub(crate) tls: TlsArgs,
    /// Exit with status 1 if anything shown is this severe or worse
    #[arg(long, value_name = "SEVERITY")]
    pub(crate) fail_on: Option<SeverityArg>,
    /// Read at most this many bytes of each recording, decompressed, as in 20G
    #[arg(long, value_name = "BYTES")]
    pub(crate) max_bytes: Option<Amount>,
}

/// Arguments of `wirewhy analyze`.
#[derive(Args, Clone, Debug)]
pub(crate) struct AnalyzeArgs {
    /// Captures to read: pcap or pcapng, plain or compressed; - for standard input
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Without effect: tcpdump and tshark take the FILE behind it
    #[arg(short = 'r', hide = true)]
    pub(crate) read: bool,
    /// How the report is written
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: Format,
    /// Include healthy connections
    #[arg(long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) diagnosing: DiagnosisArgs,
    #[command(flatten)]
    pub(crate) joining: JoiningArgs,
    /// How many threads work on a large capture; as many as there are processors by default
    #[arg(long, value_name = "NUMBER")]
    pub(crate) threads: Option<NonZero<usize>>,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

/// Arguments of `wirewhy live`.
#[derive(Args, Clone, Debug)]
pub(crate) struct LiveArgs {
    /// The interface to listen on; may be given several times; 'any' stands for all
    #[arg(
        short,
        long,
        value_name = "IFACE",
        required_unless_present = "follow",
        value_delimiter = ','
    )]
    pub(crate) interface: Vec<String>,
    /// Follow a recording that still grows instead: a file that is being written, the newest capture of a folder and those
    /// that come after it, or - for standard input
    #[arg(long, value_name = "FILE|DIR|-", conflicts_with_all = ["interface", "promiscuous", "user"])]
    pub(crate) follow: Option<PathBuf>,
    /// How findings are written
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: LiveFormat,
    /// Include notes, and at the end healthy connections
    #[arg(long)]
    pub(crate) all: bool,
    /// Show only findings at least this severe
    #[arg(long, value_name = "SEVERITY")]
    pub(crate) min_severity: Option<SeverityArg>,
    #[command(flatten)]
    pub(crate) select: SelectArgs,
    /// Exit with status 1 if anything shown is this severe or worse
    #[arg(long, value_name = "SEVERITY")]
    pub(crate) fail_on: Option<SeverityArg>,
    /// End after this time, as in 90s, 15m or 2h
    #[arg(long, value_name = "TIME")]
    pub(crate) duration: Option<Span>,
    /// End after this many packets
    #[arg(long, value_name = "PACKETS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
    /// Follow at most this many connections at once; beyond that the oldest healthy ones are evicted and counted
    #[arg(long, value_name = "CONNECTIONS", default_value = "262144", value_parser = at_least_one)]
    pub(crate) max_connections: usize,
    /// Let the kernel hold this many bytes for each interface, as in 64M
    #[arg(long, value_name = "BYTES", default_value = "64M")]
    pub(crate) buffer: Bytes,
    /// Capture at most this many bytes of each packet
    #[arg(long, value_name = "BYTES", default_value = "262144", value_parser = clap::value_parser!(u32).range(64..=262_144))]
    pub(crate) snaplen: u32,
    /// Ask the interface for packets that are not meant for this host
    #[arg(short, long)]
    pub(crate) promiscuous: bool,
    /// Serve Prometheus metrics at http://ADDRESS:PORT/metrics, and at /healthz whether the analysis makes progress: 200, or 503
    /// after 30 s without
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) metrics: Option<String>,
    /// Allow --metrics on an address that other hosts can reach
    #[arg(long, requires = "metrics")]
    pub(crate) metrics_allow_remote: bool,
    /// Write the packets of each failed connection into this folder: a pcapng with the findings as comments
    #[arg(long, value_name = "DIR")]
    pub(crate) evidence: Option<PathBuf>,
    /// Keep the last packets in this much memory, so that evidence begins before the failure
    #[arg(
        long,
        value_name = "BYTES",
        default_value = "64M",
        requires = "evidence"
    )]
    pub(crate) evidence_buffer: Bytes,
    /// Keep at most this many files of evidence; beyond it the oldest of the most frequent cause give way
    #[arg(
        long,
        value_name = "FILES",
        default_value = "1000",
        requires = "evidence"
    )]
    pub(crate) evidence_max: usize,
    /// Drop to this user after opening the interfaces
    #[arg(long, value_name = "USER")]
    pub(crate) user: Option<String>,
    #[command(flatten)]
    pub(crate) tls: TlsArgs,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

/// Arguments of `wirewhy interfaces`.
#[derive(Args, Clone, Debug)]
pub(crate) struct InterfacesArgs {
    /// Write to this file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// Arguments of `wirewhy scan`.
#[derive(Args, Clone, Debug)]
pub(crate) struct ScanArgs {
    /// Folders to walk, captures, and globs for the program to expand ('2026-*/*.pcap'); - for standard input
    #[arg(value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// What the results call the capture on standard input
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Read more paths from this file, one a line; - for standard input. Files whose names come by a pipe are analysed one by
    /// one, unless --join is given
    #[arg(long, value_name = "FILE")]
    pub(crate) files_from: Option<PathBuf>,
    /// The paths in --files-from end with a zero byte, as `find -print0` writes them
    #[arg(short = '0', long, requires = "files_from")]
    pub(crate) null: bool,
    /// Follow symbolic links inside folders; those named are always followed
    #[arg(short = 'L', long)]
    pub(crate) follow: bool,
    /// How many threads work, on captures at once or on one that is large; as many as there are processors by default
    #[arg(short, long, visible_alias = "threads", value_name = "NUMBER")]
    pub(crate) jobs: Option<NonZero<usize>>,
    /// Remember in this file what is done: a scan that was killed goes on where it was, and the next one analyses only
    /// what is new or has changed, and says what it found new. A recording that grew by a file is analysed again from its
    /// start
    #[arg(long, value_name = "FILE", requires = "output")]
    pub(crate) state: Option<PathBuf>,
    /// How results are written
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: ScanFormat,
    /// Include healthy connections and captures
    #[arg(long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) diagnosing: DiagnosisArgs,
    #[command(flatten)]
    pub(crate) joining: JoiningArgs,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

/// Arguments of `wirewhy annotate`.
#[derive(Args, Clone, Debug)]
pub(crate) struct AnnotateArgs {
    /// The capture to read, or the files of one recording; - for standard input
    #[arg(value_name = "FILE", required = true, num_args = 1..)]
    pub(crate) files: Vec<PathBuf>,
    /// Only the connections in trouble, with the lookups they waited for and the ICMP errors about them
    #[arg(long)]
    pub(crate) failed: bool,
    /// Replace the output where it exists; never an input
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Show only findings at least this severe
    #[arg(long, value_name = "SEVERITY")]
    pub(crate) min_severity: Option<SeverityArg>,
    #[command(flatten)]
    pub(crate) select: SelectArgs,
    #[command(flatten)]
    pub(crate) tls: TlsArgs,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

/// Arguments of `wirewhy packets`.
#[derive(Args, Clone, Debug)]
pub(crate) struct PacketsArgs {
    /// The capture to read, or the files of one recording; - for standard input
    #[arg(value_name = "FILE", required = true, num_args = 1..)]
    pub(crate) files: Vec<PathBuf>,
    /// How the rows are written
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: RowFormat,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

/// Arguments of `wirewhy show`.
#[derive(Args, Clone, Debug)]
pub(crate) struct ShowArgs {
    /// The capture to read, or the files of one recording; - for standard input
    #[arg(value_name = "FILE", required = true, num_args = 1..)]
    pub(crate) files: Vec<PathBuf>,
    /// The connection, by the number Wireshark and the reports give it (tcp.stream); over QUIC udp:7, where 7 is udp.stream
    #[arg(value_name = "STREAM")]
    pub(crate) stream: StreamNumber,
    /// Draw every packet; otherwise bulk transfer is folded in a long connection
    #[arg(long, alias = "all-packets")]
    pub(crate) all: bool,
    /// Draw every packet from one frame number to another, as in 120-180; 120 alone is one frame, 120- is all from there
    #[arg(long, value_name = "A-B", conflicts_with = "all")]
    pub(crate) frames: Option<Frames>,
    #[command(flatten)]
    pub(crate) select: SelectArgs,
    #[command(flatten)]
    pub(crate) tls: TlsArgs,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

impl ShowArgs {
    pub(crate) fn shown(&self) -> PacketChoice {
        match (&self.frames, self.all) {
            (Some(Frames(range)), _) => PacketChoice::Frames(range.clone()),
            (None, true) => PacketChoice::All,
            (None, false) => PacketChoice::Folded,
        }
    }
}

/// Arguments of `wirewhy explain`.
#[derive(Args, Clone, Debug)]
pub(crate) struct ExplainArgs {
    /// The code of a finding, with its group or without; a glob such as 'tcp.*' or a word lists those it fits; without it, all
    /// codes are listed
    #[arg(value_name = "CODE")]
    pub(crate) code: Option<String>,
    /// Write to this file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// When to use colour
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: ColorChoice,
}

/// Which files are one recording.
#[derive(Args, Clone, Debug)]
pub(crate) struct JoiningArgs {
    /// Analyse each file by itself, even where several are recognised as one recording
    #[arg(long, conflicts_with = "join")]
    pub(crate) separate: bool,
    /// Analyse all files as one recording, in the order of their first packets
    #[arg(long)]
    pub(crate) join: bool,
}

impl JoiningArgs {
    pub(crate) fn choice(&self) -> Joining {
        match (self.separate, self.join) {
            (true, _) => Joining::Never,
            (false, true) => Joining::Always,
            (false, false) => Joining::Recognised,
        }
    }
}

/// Which findings are shown. Outcomes, root causes and totals stay as they are.
#[derive(Args, Clone, Debug)]
pub(crate) struct SelectArgs {
    /// Show only findings whose code matches, as in 'tcp.*'; may be given several times
    #[arg(long, value_name = "CODE-GLOB", value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    /// Hide findings whose code matches; may be given several times
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
    /// Root certificates to validate against: a PEM file of those the clients trust, or mozilla for the built-in ones, which are
    /// the default
    #[arg(long, value_name = "FILE|mozilla")]
    pub(crate) roots: Option<Roots>,
}

/// Arguments of every command that reads captures.
#[derive(Args, Clone, Debug)]
pub(crate) struct CommonArgs {
    /// Only analyse packets that match this BPF filter; frame and stream numbers stay those of the whole capture
    #[arg(short, long, value_name = "BPF")]
    pub(crate) filter: Option<String>,
    /// Write to this file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Thresholds, ignored codes, names for addresses and trusted roots, in TOML; else wirewhy/config.toml in $XDG_CONFIG_HOME or
    /// ~/.config, where there is one
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Use at most this much memory for the connections of a recording, as in 512M; beyond it half-received messages are
    /// dropped, then the oldest connections, and both are counted
    #[arg(long, value_name = "BYTES", default_value = "1G")]
    pub(crate) max_memory: Amount,
    /// When to use colour
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: ColorChoice,
    /// No warnings on standard error, only errors
    #[arg(short, long, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Also print the measured values behind each sentence and more of what to do next, and on standard error what else is odd
    /// about a capture
    #[arg(short, long)]
    pub(crate) verbose: bool,
}

/// How findings are written while they come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum LiveFormat {
    /// For a person at a terminal
    Text,
    /// JSON, one record a line
    Ndjson,
    /// JSON lines whose fields have the names of the Elastic Common Schema 9.3, which OpenTelemetry's converge with: each
    /// finding, each connection and the totals are a document; what ECS has no field for is below wirewhy
    Ecs,
    /// A page to look at and to send, written at the end
    Html,
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
    /// JSON lines whose fields have the names of the Elastic Common Schema 9.3, which OpenTelemetry's converge with: each
    /// finding, each connection and the totals are a document; what ECS has no field for is below wirewhy
    Ecs,
    /// A page to look at and to send: one file, with drawings of some connections
    Html,
    /// For a ticket or a chat: a table and the worst entries, two pages at most
    Markdown,
}

/// How the results of a scan are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum ScanFormat {
    /// For a person: a line for each capture with trouble in it, and a summary over all
    Text,
    /// JSON, one record a line, each with the name of its capture; the summary is the last
    Ndjson,
    /// One page over all captures, to look at and to send
    Html,
    /// Parquet: tables of connections, findings and captures in the folder that --output names; the summary is text
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
    fn roots_are_a_file_or_those_built_in() {
        let roots = |text: &str| {
            let cli = Cli::try_parse_from(["wirewhy", "--roots", text, "a.pcap"]).unwrap();
            cli.analyze.diagnosing.tls.roots
        };
        assert_eq!(roots("mozilla"), Some(Roots::Mozilla));
        assert_eq!(roots("ca.pem"), Some(Roots::File("ca.pem".into())));
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
        assert_eq!(
            analyze.diagnosing.select.ignore,
            ["tls.*", "tcp.probe", "rst.*"]
        );
    }
}
