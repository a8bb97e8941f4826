//! `http2.protocol-mismatch`: one side speaks HTTP/2, the other something else.

use wirewhy_flow::Connection;
use wirewhy_protocol::AppProtocol;

use crate::wording::socket;
use crate::{
    Confidence, Culprit, Detector, Facts, Finding, Group, Limits, Record, Reportable, Role, Rule,
    Severity, Signs,
};

pub(crate) const RECORD: Record = Record {
    code: "http2.protocol-mismatch",
    group: Group::Http2,
    title: "One side speaks HTTP/2, the other does not",
    severity: Severity::Error,
    means: "HTTP/2 in the clear must be agreed on beforehand. One side began with it and the other with HTTP/1 or something else, and neither \
            understood the other.",
    recognised: "The client's HTTP/2 preface answered by an HTTP/1 status line or by bytes that are no SETTINGS frame; or an HTTP/1 request \
                 answered by SETTINGS.",
    look_alikes: "A server that is silent behind the preface is tcp.no-response. A client that offers only h2 in TLS and gets no protocol is \
                  tls.alpn-mismatch. An upgrade to h2c that is not taken goes on in HTTP/1.1.",
    check_next: &[
        "Which protocol is this port for? gRPC needs HTTP/2 on every hop: look at each proxy's protocol towards the server behind it.",
        "Kubernetes: appProtocol or the port's name; Envoy and Istio: http2_protocol_options; nginx: grpc_pass, not proxy_pass.",
    ],
    explained_by: &[],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Connection(Signs::HTTP2, detect),
};

fn detect(connection: &Connection, _limits: &Limits) -> Option<Finding> {
    let app = connection.app.as_deref()?;
    let (client, server) = (&connection.client, &connection.server);
    let (words, spoken) = match (app.client.app_protocol()?, app.server.app_protocol()?) {
        (AppProtocol::Http2Preface, AppProtocol::Http1Response) => (
            "the client speaks HTTP/2, and the server answered in HTTP/1",
            "HTTP/1",
        ),
        (AppProtocol::Http2Preface, other) if other != AppProtocol::Http2Settings => (
            "the client speaks HTTP/2, and the server answered in another protocol",
            other.name(),
        ),
        (AppProtocol::Http1Request, AppProtocol::Http2Settings) => (
            "the client speaks HTTP/1, and the server answered with SETTINGS of HTTP/2",
            "HTTP/2",
        ),
        _ => return None,
    };
    let status = app.http.last_status;
    let answer = status.map_or(String::new(), |status| format!(" (status {status})"));
    let frames = [server.first_payload, client.first_payload];
    Some(Finding {
        code: RECORD.code,
        severity: Severity::Error,
        confidence: Confidence::Certain,
        culprit: Culprit::new(Role::Client, client.address).at_most(Confidence::Possible),
        summary: format!("{words}{answer} at {}", socket(server)),
        frames: frames
            .into_iter()
            .flatten()
            .map(|mark| mark.frame)
            .collect(),
        facts: Facts::default()
            .with("server_speaks", spoken)
            .with("status", status),
        consequence_of: None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::traces::{PREFACE, SETTINGS, conversation};
    use crate::detectors::tls::traces::ConversationTrace;
    use crate::testing::{codes, findings};
    use crate::{Role, Severity};

    #[test]
    fn the_preface_at_a_server_of_http_1() {
        let refused = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
        let conversation = ConversationTrace::open().client(PREFACE).server(refused);
        let found = findings(&conversation.client_closes().lines()).remove(0);
        assert_eq!(
            (found.code, found.severity, found.culprit.role),
            ("http2.protocol-mismatch", Severity::Error, Role::Client)
        );
    }

    #[test]
    fn a_request_of_http_1_at_a_server_of_http_2() {
        let asked = ConversationTrace::open().client(b"GET / HTTP/1.1\r\n\r\n");
        let found = codes(&asked.server(SETTINGS).client_closes().lines());
        assert!(found.contains(&"http2.protocol-mismatch"), "{found:?}");
    }

    #[test]
    fn both_speak_http_2() {
        assert_eq!(
            codes(&conversation().client_closes().lines()),
            [] as [&str; 0]
        );
    }
}
