//! What was seen of DTLS.

use serde::Serialize;
use wirewhy_flow::Side;
use wirewhy_protocol::{DtlsAlert, DtlsFacts, DtlsTally, Role};

use crate::format;

/// One conversation over DTLS.
#[derive(Serialize)]
pub(super) struct DtlsShape<'a> {
    version: Option<String>,
    client_versions: Vec<String>,
    server_name: Option<&'a str>,
    client_alpn: Vec<&'a str>,
    cipher_suite: Option<String>,
    client_hello_frame: Option<u64>,
    verify_request_frame: Option<u64>,
    server_hello_frame: Option<u64>,
    client: TallyShape,
    server: TallyShape,
    alerts: Vec<AlertShape>,
}

#[derive(Serialize)]
struct TallyShape {
    records: u64,
    encrypted: u64,
}

#[derive(Serialize)]
struct AlertShape {
    from: &'static str,
    level: String,
    description: String,
    code: u8,
    frame: u64,
}

impl<'a> DtlsShape<'a> {
    pub(super) fn new(dtls: &'a DtlsFacts) -> DtlsShape<'a> {
        let tally = |tally: &DtlsTally| TallyShape {
            records: tally.records,
            encrypted: tally.encrypted,
        };
        DtlsShape {
            version: dtls.version.map(|version| version.to_string()),
            client_versions: dtls.offered.iter().map(ToString::to_string).collect(),
            server_name: dtls.server_name.as_deref(),
            client_alpn: dtls.alpn.iter().map(|name| &**name).collect(),
            cipher_suite: dtls.cipher_suite.map(|suite| suite.to_string()),
            client_hello_frame: dtls.client_hello.map(|mark| mark.frame),
            verify_request_frame: dtls.verify_request.map(|mark| mark.frame),
            server_hello_frame: dtls.server_hello.map(|mark| mark.frame),
            client: tally(&dtls.client),
            server: tally(&dtls.server),
            alerts: dtls.alerts.iter().map(AlertShape::new).collect(),
        }
    }
}

impl AlertShape {
    fn new(alert: &DtlsAlert) -> AlertShape {
        let from = match alert.from {
            Role::Client => Side::Client,
            Role::Server => Side::Server,
        };
        AlertShape {
            from: from.name(),
            level: format::alert_level(alert.level),
            description: alert.description.to_string(),
            code: alert.description.0,
            frame: alert.mark.frame,
        }
    }
}
