//! `ssh.not-ssh`: one side speaks SSH, the other plainly something else.

use wirewhy_flow::{Connection, Side};
use wirewhy_protocol::AppProtocol;

use crate::wording::socket;
use crate::{
    Confidence, Culprit, Detector, Facts, Finding, Group, Limits, Record, Reportable, Role, Rule,
    Severity, Signs,
};

pub(crate) const RECORD: Record = Record {
    code: "ssh.not-ssh",
    group: Group::Ssh,
    title: "One side speaks SSH, the other does not",
    severity: Severity::Error,
    means: "An SSH client reached a service that is none, or a client of something else an SSH server: the wrong port or host, or a proxy \
            in between that answers itself.",
    recognised: "One side begins with SSH's identification string, the other with bytes that are plainly another protocol.",
    look_alikes: "TLS on one side is tls.not-tls. A server that says nothing, or what is not known, is not judged. Multiplexers (sslh) \
                  answer each client in its own protocol.",
    check_next: &[
        "Compare host and port with what the service listens on (ss -ltnp on the server).",
        "nc HOST PORT: what does the service say first?",
    ],
    explained_by: &[],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Connection(Signs::SSH, detect),
};

/// A protocol in words, where it is plainly one, and neither SSH nor TLS.
fn other(protocol: Option<AppProtocol>) -> Option<&'static str> {
    match protocol? {
        AppProtocol::Ssh
        | AppProtocol::Tls
        | AppProtocol::ProxyProtocol
        | AppProtocol::Socks
        | AppProtocol::Unknown => None,
        protocol => Some(protocol.name()),
    }
}

fn detect(connection: &Connection, _limits: &Limits) -> Option<Finding> {
    let app = connection.app.as_deref()?;
    let (client, server) = (app.client.app_protocol(), app.server.protocol);
    let ssh = Some(AppProtocol::Ssh);
    let (speaks_ssh, spoken) = match (client == ssh, server == ssh) {
        (true, false) => (Side::Client, other(server)?),
        (false, true) => (Side::Server, other(client)?),
        _ => return None,
    };
    let first = [&connection.client, &connection.server].map(|side| side.first_payload);
    let [asked, answered] = first;
    let summary = match speaks_ssh {
        Side::Client => format!(
            "an SSH client reached {}, which speaks {spoken}",
            socket(&connection.server)
        ),
        Side::Server => format!(
            "a client that speaks {spoken} reached an SSH server at {}",
            socket(&connection.server)
        ),
    };
    // At its own port the service is what it should be; elsewhere either side may be the one that is set up wrongly.
    let at_home = match speaks_ssh {
        Side::Server => connection.server.port == 22,
        Side::Client => matches!(
            connection.server.port,
            21 | 25 | 80 | 110 | 143 | 587 | 8080
        ),
    };
    let confidence = match at_home {
        true => Confidence::Likely,
        false => Confidence::Possible,
    };
    Some(Finding {
        code: RECORD.code,
        severity: Severity::Error,
        confidence: Confidence::Certain,
        culprit: Culprit::new(Role::Client, connection.client.address).at_most(confidence),
        summary,
        frames: [answered, asked]
            .into_iter()
            .flatten()
            .map(|mark| mark.frame)
            .collect(),
        facts: Facts::default()
            .with(
                "ssh",
                match speaks_ssh {
                    Side::Client => "client",
                    Side::Server => "server",
                },
            )
            .with("other", spoken),
        consequence_of: None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::super::tls::traces::ConversationTrace;
    use crate::testing::{codes, findings};

    #[test]
    fn a_client_at_a_web_server() {
        let conversation = ConversationTrace::open()
            .client(b"SSH-2.0-OpenSSH_9.2\r\n")
            .server(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
            .server_closes();
        let found = findings(&conversation.lines());
        let summary = &found[0].summary;
        assert!(summary.contains("which speaks HTTP"), "{summary}");
        // The web server's complaint follows from it.
        assert_eq!(found[0].code, "ssh.not-ssh");
        assert_eq!(found[1].consequence_of, Some("ssh.not-ssh"));
    }

    #[test]
    fn a_browser_at_an_ssh_server() {
        let conversation = ConversationTrace::open()
            .client(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            .server(b"SSH-2.0-OpenSSH_9.2\r\nInvalid SSH identification string.\r\n")
            .server_closes();
        assert_eq!(codes(&conversation.lines())[0], "ssh.not-ssh");
    }

    #[test]
    fn two_that_speak_it() {
        let conversation = ConversationTrace::open()
            .client(b"SSH-2.0-OpenSSH_9.2\r\n")
            .server(b"SSH-2.0-OpenSSH_9.2\r\n")
            .client_closes();
        assert_eq!(codes(&conversation.lines()), [""; 0]);
    }
}
