//! What a detector concluded.

use std::net::IpAddr;

use wirewhy_packet::Interval;

use crate::Record;

/// One diagnosed fact about a connection, a service, a host or the capture.
#[derive(Clone, PartialEq, Debug)]
pub struct Finding {
    /// The stable name, `group.kebab-case`.
    pub code: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// How sure it is.
    pub confidence: Confidence,
    /// Who caused it.
    pub culprit: Culprit,
    /// One sentence with the numbers in it. May hold text from the wire: reporters make it safe. Empty where the finding was not
    /// put into words ([`diagnose_briefly`](crate::diagnose_briefly)).
    pub summary: String,
    /// Frames that prove it, the decisive one first; at most [`Finding::MAX_FRAMES`].
    pub frames: Vec<u64>,
    /// The measured values behind the sentence.
    pub facts: Facts,
    /// The code of the finding of the same connection that explains this one.
    pub consequence_of: Option<&'static str>,
}

impl Finding {
    /// A finding that is to be put into words yet.
    pub(crate) fn brief(
        record: &'static Record,
        severity: Severity,
        confidence: Confidence,
        culprit: Culprit,
    ) -> Finding {
        Finding {
            code: record.code,
            severity,
            confidence,
            culprit,
            summary: String::new(),
            frames: Vec::new(),
            facts: Facts::default(),
            consequence_of: None,
        }
    }

    /// How many frames a finding cites at most.
    pub const MAX_FRAMES: usize = 16;

    /// How sure it is who caused it: never surer than the finding itself. `None` where the packets do not tell who did.
    #[must_use]
    pub fn culprit_confidence(&self) -> Option<Confidence> {
        (self.culprit.role != Role::Unknown).then(|| self.culprit.confidence.min(self.confidence))
    }
}

/// How much a finding matters; ordered, the worst last.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Severity {
    /// Worth knowing, harmless by itself.
    Note,
    /// It worked, but badly.
    Warning,
    /// The connection failed, or part of its work was lost.
    Error,
}

impl Severity {
    /// The word used in output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

/// How sure a finding is; ordered, the surest last.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Confidence {
    /// One of several readings.
    Possible,
    /// The packets fit this and no other common cause.
    Likely,
    /// The packets prove it.
    Certain,
}

impl Confidence {
    /// The word used in output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Confidence::Possible => "possible",
            Confidence::Likely => "likely",
            Confidence::Certain => "certain",
        }
    }
}

/// Who caused it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Culprit {
    /// The part played.
    pub role: Role,
    /// The address, where one is known.
    pub address: Option<IpAddr>,
    /// How sure it is that this one is at fault, if the finding is right; see [`Finding::culprit_confidence`].
    pub confidence: Confidence,
}

impl Culprit {
    /// A culprit the finding names without a doubt of its own.
    #[must_use]
    pub fn new(role: Role, address: impl Into<Option<IpAddr>>) -> Culprit {
        Culprit {
            role,
            address: address.into(),
            confidence: Confidence::Certain,
        }
    }

    /// The same culprit, no surer than this.
    #[must_use]
    pub fn at_most(self, confidence: Confidence) -> Culprit {
        Culprit {
            confidence: self.confidence.min(confidence),
            ..self
        }
    }
}

/// The part a culprit plays.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Role {
    /// The side that opened the connection.
    Client,
    /// The side that was asked.
    Server,
    /// A middlebox, a filter, the network between.
    Path,
    /// The recording, not the traffic.
    Capture,
    /// The packets do not tell.
    Unknown,
}

impl Role {
    /// The word used in output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Role::Client => "client",
            Role::Server => "server",
            Role::Path => "path",
            Role::Capture => "capture",
            Role::Unknown => "unknown",
        }
    }
}

impl From<Role> for Culprit {
    fn from(role: Role) -> Culprit {
        Culprit::new(role, None)
    }
}

/// What a finding beyond one connection is about.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Scope {
    /// The recording.
    Capture,
    /// One host.
    Host,
    /// One service: address and port.
    Service,
    /// One name lookup.
    Lookup,
}

impl Scope {
    /// The word used in output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Scope::Capture => "capture",
            Scope::Host => "host",
            Scope::Service => "service",
            Scope::Lookup => "lookup",
        }
    }
}

/// Measured values by name, in the order a reader wants them; units stand in the name (`idle_seconds`, `mss_bytes`).
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Facts(pub Vec<(&'static str, Value)>);

impl Facts {
    /// Adds a value; builder style.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Facts {
        if self.0.is_empty() {
            // As many as most findings have.
            self.0.reserve_exact(8);
        }
        self.0.push((name, value.into()));
        self
    }

    /// The value of a name.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.0
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value)
    }
}

/// One measured value.
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    /// Not known.
    Absent,
    /// Yes or no.
    Flag(bool),
    /// A count, or a size in bytes.
    Count(u64),
    /// A signed number.
    Signed(i64),
    /// A span in seconds.
    Seconds(Interval),
    /// A fraction between 0 and 1.
    Share(f64),
    /// Text; may come from the wire.
    Text(String),
    /// An address.
    Address(IpAddr),
    /// Several values.
    List(Vec<Value>),
    /// Values by name.
    Object(Vec<(&'static str, Value)>),
}

impl From<bool> for Value {
    fn from(value: bool) -> Value {
        Value::Flag(value)
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Value {
        Value::Count(value)
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Value {
        Value::Count(u64::from(value))
    }
}

impl From<u16> for Value {
    fn from(value: u16) -> Value {
        Value::Count(u64::from(value))
    }
}

impl From<u8> for Value {
    fn from(value: u8) -> Value {
        Value::Count(u64::from(value))
    }
}

impl From<Interval> for Value {
    fn from(value: Interval) -> Value {
        Value::Seconds(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Value {
        Value::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Value {
        Value::Text(value)
    }
}

impl From<IpAddr> for Value {
    fn from(value: IpAddr) -> Value {
        Value::Address(value)
    }
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(values: Vec<T>) -> Value {
        Value::List(values.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Value {
        value.map_or(Value::Absent, Into::into)
    }
}
