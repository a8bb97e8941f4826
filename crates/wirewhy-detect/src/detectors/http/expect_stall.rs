//! `http.expect-stall`: a body held back for a "100 Continue" that does not come.

use wirewhy_flow::Connection;

use crate::wording::{count, socket, span};
use crate::{
    Confidence, Culprit, Detector, Facts, Finding, Group, Limits, Record, Reportable, Role, Rule,
    Severity, Signs, Value,
};

pub(crate) const RECORD: Record = Record {
    code: "http.expect-stall",
    group: Group::Http,
    title: "Uploads wait for a 100 Continue that does not come",
    severity: Severity::Warning,
    means: "The client announces its body with \"Expect: 100-continue\" and holds it back until the server agrees. The server does not answer, \
            and the client sends it after a timer of its own: every upload takes that much longer.",
    recognised: "A request with Expect: 100-continue whose body begins 300 ms or more behind its header, with no response in between. curl and \
                 Go wait 1 s, .NET 350 ms.",
    look_alikes: "A client that sends the body at once does not wait. A final status before the body (401, 413, 417) is an answer.",
    check_next: &[
        "Let the server or the proxy in front of it answer 100 Continue, or 417, as RFC 9110 section 10.1.1 demands.",
        "Let the client do without: curl -H 'Expect:', ExpectContinue = false in .NET.",
    ],
    explained_by: &[],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Connection(Signs::HTTP_TROUBLE, detect),
};

fn detect(connection: &Connection, limits: &Limits) -> Option<Finding> {
    let trouble = connection.app.as_deref()?.http.trouble.as_deref()?;
    let held = trouble.held.as_ref()?;
    if held.longest < limits.expect_stall {
        return None;
    }
    let server = &connection.server;
    let request = held.request.as_deref();
    let what = request.map_or(String::new(), |request| {
        format!(", the first of {} {}", request.method(), request.target())
    });
    Some(Finding {
        code: RECORD.code,
        severity: Severity::Warning,
        confidence: Confidence::Certain,
        culprit: Culprit::new(Role::Server, server.address).at_most(Confidence::Likely),
        summary: format!(
            "the client held {} back for up to {}, {} in all, because {} did not answer \"Expect: 100-continue\"{what}",
            count(held.count, "body").replace("bodys", "bodies"),
            span(held.longest),
            span(held.total),
            socket(server),
        ),
        frames: vec![held.sent.frame, held.asked.frame],
        facts: Facts::default()
            .with("bodies_held", held.count)
            .with("longest_seconds", held.longest)
            .with("lost_seconds", held.total)
            .with(
                "request",
                request.map(|asked| Value::from(format!("{} {}", asked.method(), asked.target()))),
            )
            .with("threshold_seconds", limits.expect_stall),
        consequence_of: None,
    })
}

#[cfg(test)]
mod tests {
    use crate::testing::{codes, only};
    use crate::{Role, Severity};

    /// An upload whose body follows its header after so many milliseconds; `between` comes before it.
    fn upload(wait: u32, between: &str) -> String {
        let at = f64::from(wait) / 1_000.0 + 0.04;
        let next = if between.is_empty() { 1 } else { 26 };
        format!(
            "0.00 > S 0:0(0)
             0.02 < SA 0:0(0) ack 1
             0.03 > A 1:1(0) ack 1
             0.04 > PA 1:71(70) ack 1 \"PUT /a HTTP/1.1\\r\\nHost: h\\r\\nContent-Length: 10\\r\\nExpect: 100-continue\\r\\n\\r\\n\"
             {between}
             {at:.3} > PA 71:81(10) ack {next} \"0123456789\"
             {:.3} < PA {next}:{}(38) ack 81 \"HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n\"
             {:.3} > FA 81:81(0) ack {}
             {:.3} < FA {}:{}(0) ack 82
             {:.3} > A 82:82(0) ack {}",
            at + 0.02,
            next + 38,
            at + 0.03,
            next + 38,
            at + 0.05,
            next + 38,
            next + 38,
            at + 0.06,
            next + 39,
        )
    }

    #[test]
    fn a_body_held_back_for_a_second() {
        let found = only(&upload(1_000, ""));
        assert_eq!(
            (found.code, found.severity, found.culprit.role),
            ("http.expect-stall", Severity::Warning, Role::Server)
        );
    }

    #[test]
    fn a_client_that_does_not_wait() {
        assert_eq!(codes(&upload(60, "")), [] as [&str; 0]);
    }

    #[test]
    fn a_server_that_agrees_late() {
        let agreed = "0.90 < PA 1:26(25) ack 71 \"HTTP/1.1 100 Continue\\r\\n\\r\\n\"";
        assert_eq!(codes(&upload(1_000, agreed)), [] as [&str; 0]);
    }
}
