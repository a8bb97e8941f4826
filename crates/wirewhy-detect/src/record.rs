//! A detector: the text of its code and its rule.

use wirewhy_flow::{Connection, Transport};

use crate::certificates::Presented;
use crate::detectors::quic;
use crate::handshake::Handshake;
use crate::resets::Resets;
use crate::{Cause, DETECTORS, Facts, Finding, Limits, Reportable, Severity, Signs, Value};

/// Everything a user reads about one code: `wirewhy explain`, the README's table and the tests read the same text.
#[derive(Clone, Copy, Debug)]
pub struct Record {
    /// The stable name, `group.kebab-case`; the file of the detector is named after it.
    pub code: &'static str,
    /// What it is about; the code begins with the name of the group.
    pub group: Group,
    /// A few words for a heading.
    pub title: &'static str,
    /// The worst severity it can have.
    pub severity: Severity,
    /// What it means for the person whose connection it is.
    pub means: &'static str,
    /// How it is detected in the packets.
    pub recognised: &'static str,
    /// What can be mistaken for it, and how it is told apart.
    pub look_alikes: &'static str,
    /// What to check and run next, one step a line. A step for certain codes or reasons begins with them and a colon:
    /// `502, 503, 504: …`.
    pub check_next: &'static [&'static str],
    /// The codes that explain this one where both are found on a connection. The first that was found does.
    pub explained_by: &'static [Cause],
    /// When a finding about a connection that goes on may be reported.
    pub reportable: Reportable,
}

/// The facts that say of which kind a finding is, as a protocol or a rule names kinds.
const KINDS: [&str; 8] = [
    "alert",
    "code",
    "error",
    "error_name",
    "name",
    "rcode",
    "reason",
    "status",
];

impl Record {
    /// What to check next of a finding with these facts: all steps in their order, but first the one for a kind that the facts name.
    #[must_use]
    pub fn steps_for(&self, facts: &Facts) -> Vec<&'static str> {
        let kinds: Vec<String> = KINDS
            .into_iter()
            .filter_map(|name| match facts.value(name)? {
                Value::Text(kind) => Some(kind.clone()),
                Value::Count(number) => Some(number.to_string()),
                _ => None,
            })
            .collect();
        let fits = |step: &str| {
            let (when, _) = step.split_once(": ").unwrap_or_default();
            let mut words = when.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            words.any(|word| kinds.iter().any(|kind| kind.eq_ignore_ascii_case(word)))
        };
        let mut steps = self.check_next.to_vec();
        if let Some(at) = steps.iter().position(|step| fits(step)) {
            steps.get_mut(..=at).unwrap_or_default().rotate_right(1);
        }
        steps
    }
}

/// What a code is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Group {
    /// Opening a connection and carrying data over it.
    Tcp,
    /// Who sent a reset, and why.
    Reset,
    /// TLS and the way to it.
    Tls,
    /// Connections over QUIC.
    Quic,
    /// The header of a proxy before the connection proper.
    Proxy,
    /// Looking up names in the DNS.
    Lookup,
    /// HTTP of any version.
    Http,
    /// What only HTTP/2 has: streams, and frames that end them.
    Http2,
    /// gRPC over HTTP/2.
    Grpc,
    /// FTP, its control and its data connections.
    Ftp,
    /// SSH.
    Ssh,
    /// A service that ends a session in the words of its own protocol.
    Session,
    /// What many attempts at a service show together.
    Service,
    /// What many connections of a host show together.
    Host,
    /// What ARP and neighbour discovery show of a link.
    Link,
    /// What the recording could not carry.
    Recording,
}

impl Group {
    /// Every group, in the order in which they are listed.
    pub const ALL: [Group; 16] = [
        Group::Tcp,
        Group::Reset,
        Group::Tls,
        Group::Quic,
        Group::Proxy,
        Group::Lookup,
        Group::Http,
        Group::Http2,
        Group::Grpc,
        Group::Ftp,
        Group::Ssh,
        Group::Session,
        Group::Service,
        Group::Host,
        Group::Link,
        Group::Recording,
    ];

    /// What its codes begin with.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Group::Tcp => "tcp",
            Group::Reset => "rst",
            Group::Tls => "tls",
            Group::Quic => "quic",
            Group::Proxy => "proxy",
            Group::Lookup => "dns",
            Group::Http => "http",
            Group::Http2 => "http2",
            Group::Grpc => "grpc",
            Group::Ftp => "ftp",
            Group::Ssh => "ssh",
            Group::Session => "app",
            Group::Service => "service",
            Group::Host => "host",
            Group::Link => "arp",
            Group::Recording => "capture",
        }
    }
}

/// A rule over one finished connection.
#[derive(Clone, Copy, Debug)]
pub struct Detector {
    /// Its text.
    pub record: &'static Record,
    pub(crate) rule: Rule,
}

/// Its verdict, and what it is about: what rests on the same reading of a connection shares it. It finds nothing about a
/// connection that shows none of its signs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rule {
    Connection(Signs, fn(&Connection, &Limits) -> Option<Finding>),
    /// Over a connection that uses TCP.
    Tcp(Signs, fn(&Connection, &Limits) -> Option<Finding>),
    /// Over a connection that uses QUIC.
    Quic(fn(&quic::Reading<'_>, &Limits) -> Option<Finding>),
    /// Asked where there are resets.
    Resets(fn(&Resets<'_>, &Limits) -> Option<Finding>),
    /// Asked where the beginning of a TLS handshake was seen.
    Handshake(fn(&Handshake<'_>, &Limits) -> Option<Finding>),
    /// Asked where such a handshake was not completed.
    FailedHandshake(fn(&Handshake<'_>, &Limits) -> Option<Finding>),
    /// Over the certificates that a server presented. Run by `detectors::tls::certificate`, which holds them against the
    /// trust store once for all.
    Certificate(fn(&Presented<'_>, &Limits) -> Option<Finding>),
}

/// A connection as the detectors read it.
#[derive(Debug)]
pub(crate) struct Readings<'a> {
    connection: &'a Connection,
    limits: &'a Limits,
    signs: Signs,
    resets: Option<Resets<'a>>,
    handshake: Option<Handshake<'a>>,
    quic: Option<quic::Reading<'a>>,
}

impl<'a> Readings<'a> {
    /// What the signs of a connection call for.
    pub(crate) fn of(connection: &'a Connection, limits: &'a Limits) -> Readings<'a> {
        Readings::with(connection, limits, Signs::of(connection, limits))
    }

    /// The same, where the signs are known.
    pub(crate) fn with(
        connection: &'a Connection,
        limits: &'a Limits,
        signs: Signs,
    ) -> Readings<'a> {
        let resets = match signs.any_of(Signs::RESET) {
            true => Resets::of(connection, limits),
            false => None,
        };
        let handshake = match signs.any_of(Signs::TLS) {
            true => Handshake::of(connection),
            false => None,
        };
        let of_tls = match &handshake {
            None => Signs::default(),
            Some(handshake) if handshake.is_completed() => Signs::TLS,
            Some(_) => Signs::TLS | Signs::FAILED_TLS,
        };
        Readings {
            connection,
            limits,
            signs: signs.without(Signs::TLS) | of_tls,
            resets,
            handshake,
            quic: match signs.any_of(Signs::QUIC) {
                true => quic::Reading::of(connection),
                false => None,
            },
        }
    }

    /// All that rules read, whatever the signs are.
    fn whole(connection: &'a Connection, limits: &'a Limits) -> Readings<'a> {
        Readings {
            resets: Resets::of(connection, limits),
            handshake: Handshake::of(connection),
            quic: quic::Reading::of(connection),
            ..Readings::of(connection, limits)
        }
    }

    /// What the connection shows.
    pub(crate) fn signs(&self) -> Signs {
        self.signs
    }

    /// The TLS handshake, where its beginning was seen.
    pub(crate) fn handshake(&self) -> Option<Handshake<'a>> {
        self.handshake
    }
}

impl Detector {
    /// Its verdict on a connection.
    #[must_use]
    pub fn detect(&self, connection: &Connection, limits: &Limits) -> Option<Finding> {
        self.diagnose(&Readings::whole(connection, limits))
    }

    /// What it rests on.
    pub(crate) fn signs(&self) -> Signs {
        match self.rule {
            Rule::Connection(signs, _) | Rule::Tcp(signs, _) => signs,
            Rule::Quic(_) => Signs::QUIC,
            Rule::Resets(_) => Signs::RESET,
            Rule::Handshake(_) | Rule::Certificate(_) => Signs::TLS,
            Rule::FailedHandshake(_) => Signs::FAILED_TLS,
        }
    }

    pub(crate) fn diagnose(&self, readings: &Readings<'_>) -> Option<Finding> {
        let limits = readings.limits;
        let handshake = readings.handshake.as_ref();
        match self.rule {
            Rule::Connection(_, detect) => detect(readings.connection, limits),
            Rule::Tcp(_, detect) if readings.connection.transport == Transport::Tcp => {
                detect(readings.connection, limits)
            }
            Rule::Tcp(..) | Rule::Certificate(_) => None,
            Rule::Quic(detect) => detect(readings.quic.as_ref()?, limits),
            Rule::Resets(detect) => detect(readings.resets.as_ref()?, limits),
            Rule::Handshake(detect) => detect(handshake?, limits),
            Rule::FailedHandshake(detect) => {
                detect(handshake.filter(|found| !found.is_completed())?, limits)
            }
        }
    }
}

/// The codes of rules that find something about a connection without one of their signs. There are none, unless a rule names
/// the wrong ones: for tests.
#[must_use]
pub fn found_without_sign(connection: &Connection, limits: &Limits) -> Vec<&'static str> {
    let readings = Readings::whole(connection, limits);
    let unasked = DETECTORS
        .iter()
        .filter(|detector| !readings.signs.any_of(detector.signs()));
    unasked
        .filter(|detector| detector.diagnose(&readings).is_some())
        .map(|detector| detector.record.code)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code;

    fn first_step(code: &str, facts: &Facts) -> &'static str {
        let detector = DETECTORS.iter().find(|found| found.record.code == code);
        detector.unwrap().record.steps_for(facts).first().unwrap()
    }

    #[test]
    fn the_step_for_what_the_facts_name_comes_first() {
        for (code, name, value, expected) in [
            (
                code::HTTP_ERROR_STATUS,
                "status",
                Value::Count(503),
                "502, 503, 504",
            ),
            (
                code::HTTP_ERROR_STATUS,
                "status",
                Value::Count(500),
                "Search",
            ),
            ("ftp.error-reply", "code", Value::Count(421), "421"),
            (
                "ftp.error-reply",
                "code",
                Value::Count(451),
                "The server's log",
            ),
            (
                "app.session-refused",
                "reason",
                "capacity".into(),
                "Capacity",
            ),
            (
                "app.session-refused",
                "message",
                "Capacity".into(),
                "The service's log",
            ),
            (
                "grpc.error-status",
                "name",
                "UNAVAILABLE".into(),
                "UNAVAILABLE",
            ),
            ("http2.goaway", "error", "NO_ERROR".into(), "NO_ERROR"),
            (
                "tls.cert-rejected",
                "alert",
                "unknown_ca".into(),
                "unknown_ca",
            ),
        ] {
            let step = first_step(code, &Facts::default().with(name, value));
            assert!(step.starts_with(expected), "{code}: {step}");
        }
    }

    #[test]
    fn no_step_is_lost_and_the_others_keep_their_order() {
        for detector in DETECTORS {
            let record = detector.record;
            for step in record.check_next {
                let kind = step.split([' ', ',', ':']).next().unwrap();
                let steps = record.steps_for(&Facts::default().with("code", kind));
                let first = record.check_next.iter().position(|step| *step == steps[0]);
                let mut rest = record.check_next.to_vec();
                rest.remove(first.unwrap());
                assert_eq!(steps[1..], rest, "{}", record.code);
            }
        }
    }
}
