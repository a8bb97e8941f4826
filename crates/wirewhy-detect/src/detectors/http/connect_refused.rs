//! `http.connect-refused`: a proxy does not open the tunnel it is asked for.

use wirewhy_flow::Connection;
use wirewhy_protocol::{Purpose, Refusals, Request};

use super::{after, answer_frames, facts, refusals, status, unsettled, worst, written_by};
use crate::wording::socket;
use crate::{
    Confidence, Culprit, Detector, Finding, Group, Limits, Record, Reportable, Role, Rule,
    Severity, Signs,
};

pub(crate) const RECORD: Record = Record {
    code: "http.connect-refused",
    group: Group::Http,
    title: "The proxy refused the tunnel",
    severity: Severity::Error,
    means: "The client asked an HTTP proxy with CONNECT for a tunnel to a host and port, and the proxy answered with an error: nothing of what \
            was to go through it was sent.",
    recognised: "Any final status but 2xx to CONNECT. A note where it is 407 and the client then authenticated and got its tunnel, in the same \
                 connection or in another one within ten seconds.",
    look_alikes: "A tunnel that opens and then carries a failure is that failure. A web server that is not a proxy answers 400 or 405.",
    check_next: &[
        "403: is host or port allowed in the proxy's rules?",
        "401, 407: does the client have credentials for this proxy, in a scheme it knows?",
        "502, 503, 504: can the proxy itself resolve and reach the target?",
    ],
    explained_by: &[],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Connection(Signs::HTTP_TROUBLE, detect),
};

fn severity(kind: &Refusals) -> Severity {
    match unsettled(kind) {
        0 if kind.status == 407 => Severity::Note,
        _ => Severity::Error,
    }
}

fn detect(connection: &Connection, _limits: &Limits) -> Option<Finding> {
    let (severity, kind) = worst(refusals(connection, &[Purpose::Connect]), severity)?;
    let (proxy, client) = (&connection.server, &connection.client);
    let request = kind.first.request.as_deref();
    let target = request.map(Request::target).unwrap_or_default();
    let (culprit, words) = match kind.status {
        407 => (
            Culprit::new(Role::Client, client.address).at_most(Confidence::Likely),
            "it wants the client to authenticate".to_owned(),
        ),
        400 | 405 | 501 => (
            Culprit::new(Role::Client, client.address).at_most(Confidence::Possible),
            "it does not open tunnels at all, or not with this request".to_owned(),
        ),
        403 => (
            Culprit::new(Role::Server, proxy.address).at_most(Confidence::Likely),
            "its rules do not allow this host or port".to_owned(),
        ),
        500..=599 => (
            Culprit::new(Role::Server, proxy.address).at_most(Confidence::Likely),
            format!("it could not reach the target{}", written_by(kind)),
        ),
        _ => (
            Culprit::new(Role::Server, proxy.address).at_most(Confidence::Likely),
            "it refuses".to_owned(),
        ),
    };
    let met = match severity {
        Severity::Note => "; the client did, and got its tunnel",
        _ => "",
    };
    Some(Finding {
        code: RECORD.code,
        severity,
        confidence: Confidence::Certain,
        culprit,
        summary: format!(
            "the proxy {} answered {} {} to CONNECT {target}{}: {words}{met}",
            socket(proxy),
            kind.status,
            status::phrase(kind.status),
            after(kind),
        ),
        frames: answer_frames(kind),
        facts: facts(connection, kind).with("target", &*target),
        consequence_of: None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::traces::exchanges;
    use crate::testing::{codes, only};
    use crate::{Role, Severity};

    #[test]
    fn a_port_that_is_not_allowed_and_a_target_that_is_not_there() {
        let refused = only(&exchanges(&[("CONNECT a:25", "403 Filtered", "", "")]));
        assert_eq!(
            (refused.code, refused.severity, refused.culprit.role),
            ("http.connect-refused", Severity::Error, Role::Server)
        );
        let away = only(&exchanges(&[("CONNECT a:443", "502 Bad Gateway", "", "")]));
        assert!(away.summary.contains("could not reach"), "{}", away.summary);
    }

    #[test]
    fn a_proxy_that_wants_a_name_and_gets_it() {
        let challenge = (
            "CONNECT a:443",
            "407 Proxy Authentication Required",
            "Proxy-Authenticate: Basic realm=x\r\n",
            "",
        );
        let left = only(&exchanges(&[challenge]));
        assert_eq!(
            (left.severity, left.culprit.role),
            (Severity::Error, Role::Client)
        );
        let met = only(&exchanges(&[
            challenge,
            ("CONNECT a:443", "200 OK", "", ""),
        ]));
        assert_eq!(met.severity, Severity::Note);
    }

    #[test]
    fn a_tunnel_that_opens() {
        let opened = exchanges(&[("CONNECT a:443", "200 Connection established", "", "")]);
        assert_eq!(codes(&opened), [] as [&str; 0]);
    }
}
