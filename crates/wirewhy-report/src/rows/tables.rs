//! What the tables have for columns.

use super::shred::{Field, Kind};

/// A table. Each stands in a folder of its name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Table {
    /// One row a connection.
    Connections,
    /// One row a finding about a host, a service or a capture.
    Findings,
    /// One row a capture, with what could not be read of it.
    Captures,
}

impl Table {
    /// All of them.
    pub const ALL: [Table; 3] = [Table::Connections, Table::Findings, Table::Captures];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Table::Connections => "connections",
            Table::Findings => "findings",
            Table::Captures => "captures",
        }
    }

    /// What each of its rows has.
    pub fn fields(self) -> impl Iterator<Item = &'static Field> {
        let parts: [&'static [Field]; 2] = match self {
            Table::Connections => [CONNECTION, &[]],
            Table::Findings => [BEYOND, FOUND],
            Table::Captures => [CAPTURE, &[]],
        };
        parts.into_iter().flatten()
    }

    /// The table in Parquet's language of schemas.
    pub(super) fn declared(self) -> String {
        let fields: String = self.fields().map(Field::declared).collect();
        format!("message {} {{ {fields} }}", self.name())
    }
}

const fn text(name: &'static str) -> Field {
    Field::Leaf(name, Kind::Text)
}

const fn maybe(name: &'static str) -> Field {
    Field::Maybe(name, Kind::Text)
}

const fn integer(name: &'static str) -> Field {
    Field::Leaf(name, Kind::Integer)
}

const fn seconds(name: &'static str) -> Field {
    Field::Maybe(name, Kind::Number)
}

const ENDPOINT: &[Field] = &[text("address"), integer("port"), maybe("name")];

const DIRECTION: &[Field] = &[
    integer("packets"),
    integer("bytes"),
    integer("payload_bytes"),
    integer("retransmissions"),
    integer("fast_retransmissions"),
    integer("spurious_retransmissions"),
    integer("out_of_order"),
    integer("duplicate_acks"),
    integer("zero_windows"),
    integer("resets"),
];

/// As the members of a connection's record.
const CONNECTION: &[Field] = &[
    text("source"),
    text("transport"),
    integer("stream"),
    text("community_id"),
    Field::Group("client", ENDPOINT),
    Field::Group("server", ENDPOINT),
    Field::Leaf("start", Kind::Time),
    Field::Leaf("duration_seconds", Kind::Number),
    integer("first_frame"),
    integer("last_frame"),
    text("outcome"),
    maybe("root_cause"),
    text("stage"),
    text("vantage"),
    Field::Leaf("roles_known", Kind::Flag),
    maybe("signature"),
    text("conn_state"),
    text("history"),
    Field::Group(
        "rtt_seconds",
        &[
            seconds("handshake"),
            seconds("to_server"),
            seconds("to_client"),
            seconds("smoothed"),
        ],
    ),
    Field::Group("client_to_server", DIRECTION),
    Field::Group("server_to_client", DIRECTION),
    Field::Maybe("tls", Kind::Json),
    Field::Maybe("quic", Kind::Json),
    Field::Maybe("dtls", Kind::Json),
    Field::Maybe("upgrade", Kind::Json),
    Field::Maybe("lookup", Kind::Json),
    Field::List("findings", &Field::Group("element", FOUND)),
];

/// A finding.
const FOUND: &[Field] = &[
    text("code"),
    text("severity"),
    text("confidence"),
    Field::Group(
        "culprit",
        &[text("role"), maybe("address"), maybe("confidence")],
    ),
    text("summary"),
    Field::List("frames", &integer("element")),
    Field::Leaf("facts", Kind::Json),
    maybe("consequence_of"),
];

/// What goes before a finding beyond single connections.
const BEYOND: &[Field] = &[text("source"), text("scope"), text("subject")];

/// A capture and its totals, or why it could not be read: then only `source` and `problem` are there.
const CAPTURE: &[Field] = &[
    text("source"),
    Field::Leaf("readable", Kind::Flag),
    maybe("problem"),
    maybe("format"),
    maybe("compression"),
    Field::List("link_types", &text("element")),
    integer("packets"),
    integer("bytes"),
    Field::Maybe("first_time", Kind::Time),
    Field::Maybe("last_time", Kind::Time),
    seconds("duration_seconds"),
    Field::Maybe("dropped_packets", Kind::Integer),
    Field::Maybe("files", Kind::Json),
    Field::Maybe("gaps", Kind::Json),
    Field::Maybe("given_up_connections", Kind::Integer),
    Field::Maybe("unread_connections", Kind::Integer),
    Field::Maybe("unverified_chains", Kind::Integer),
    integer("connections"),
    integer("failed"),
    integer("degraded"),
    integer("ok"),
    integer("undecided"),
    integer("tcp_packets"),
    integer("resets"),
    integer("retransmissions"),
];
