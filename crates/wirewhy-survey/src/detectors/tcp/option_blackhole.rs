//! `tcp.option-blackhole`: SYNs that ask for ECN or Fast Open fail, the same without it work.

use wirewhy_detect::wording::{count, socket};
use wirewhy_detect::{
    Cause, Confidence, Culprit, Facts, Finding, Group, Record, Reportable, Role, Severity,
};
use wirewhy_flow::{Connection, EventKind, Side};

use crate::options::{Ask, Fate};
use crate::rule::{Rule, SurveyDetector};

pub(crate) const RECORD: Record = Record {
    code: "tcp.option-blackhole",
    group: Group::Tcp,
    title: "SYNs with ECN or Fast Open are dropped, without it they pass",
    severity: Severity::Error,
    means: "The client's SYN asks for explicit congestion notification or for Fast Open, and a device on the way, or an old host, does not take \
            such a SYN. Clients that try again without it lose a second or more on each connection; those that do not never connect.",
    recognised: "On at least two connections to one service SYNs that ask for it get no answer, or a refusal; none that asks for it is accepted, \
                 and SYNs that do not ask for it are.",
    look_alikes: "One lost SYN whose repetition leaves ECN out (as Linux does) is loss by chance: tcp.syn-retransmitted. Where SYNs without it \
                  fail too, it is not the matter: tcp.syn-unanswered, tcp.refused.",
    check_next: &[
        "As a test and a cure on the client: sysctl net.ipv4.tcp_ecn=0, net.ipv4.tcp_fastopen=0.",
        "tracebox, or hping3 -S -X -Y -p PORT HOST (ECE and CWR set), shows from which hop on such SYNs are lost.",
        "Look for old firewalls, DSL routers and load balancers that drop the two ECN bits or unknown TCP options.",
    ],
    explained_by: &[Cause::IfAsSevere("tcp.refused")],
    reportable: Reportable::SynUnanswered,
};

pub(crate) const DETECTOR: SurveyDetector = SurveyDetector {
    record: &RECORD,
    rule: Rule::Connection,
};

/// What was found of one option at one service.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    /// The option.
    pub(crate) ask: Ask,
    /// What becomes of SYNs with it.
    pub(crate) fate: Fate,
    /// On how many connections.
    pub(crate) times: u32,
    /// A stream whose SYN without it was accepted.
    pub(crate) stream: u32,
}

/// The finding about one of these connections.
pub(crate) fn finding(connection: &Connection, found: &Found) -> Finding {
    let opened = connection.tcp.handshake.syn_ack.is_some();
    let culprit = match found.fate {
        Fate::Dropped => Culprit::new(Role::Path, None).at_most(Confidence::Possible),
        Fate::Refused => {
            Culprit::new(Role::Server, connection.server.address).at_most(Confidence::Possible)
        }
    };
    let syns: Vec<u64> = connection
        .events
        .iter()
        .filter(|event| event.from == Side::Client && matches!(event.kind, EventKind::Syn { .. }))
        .map(|event| event.frame)
        .collect();
    let ask = found.ask.name();
    Finding {
        code: RECORD.code,
        severity: if opened {
            Severity::Warning
        } else {
            Severity::Error
        },
        confidence: Confidence::Likely,
        culprit,
        summary: format!(
            "{} {} SYNs that ask for {ask} ({}), and accepts them without it (stream {})",
            socket(&connection.server),
            match found.fate {
                Fate::Dropped => "never answers",
                Fate::Refused => "refuses",
            },
            count(u64::from(found.times), "connection"),
            found.stream,
        ),
        frames: syns,
        facts: Facts::default()
            .with("option", ask)
            .with("connections", found.times)
            .with("works_without_in_stream", found.stream)
            .with("attempts", connection.tcp.handshake.syns)
            .with("stage", "syn"),
        consequence_of: None,
    }
}

#[cfg(test)]
mod tests {
    use wirewhy_detect::{Outcome, Severity};

    use crate::testing::diagnose_all;

    /// A connection whose SYN has these flags and options, and is answered or not.
    fn attempt(n: u32, syn: &str, answer: &str) -> String {
        format!("{n}.00 #{n} > {syn}\n{answer}")
    }

    fn accepted(n: u32, at: &str) -> String {
        format!(
            "{n}.{at}2 #{n} < SA 0:0(0) ack 1
             {n}.{at}3 #{n} > A 1:1(0) ack 1
             {n}.{at}4 #{n} > FA 1:1(0) ack 1
             {n}.{at}5 #{n} < FA 1:1(0) ack 2
             {n}.{at}6 #{n} > A 2:2(0) ack 2\n"
        )
    }

    /// The first SYN unanswered, the one without ECN 0.5 s later accepted.
    fn falls_back(n: u32) -> String {
        attempt(
            n,
            "SEC 0:0(0)",
            &format!("{n}.50 #{n} > S 0:0(0)\n{}", accepted(n, "5")),
        )
    }

    fn found(lines: &str) -> Vec<(usize, Severity)> {
        let diagnosis = diagnose_all(&format!("{lines}\n 20 end"));
        diagnosis
            .iter()
            .enumerate()
            .filter_map(|(at, diagnosis)| {
                let root = diagnosis.root_cause()?;
                (root.code == "tcp.option-blackhole").then_some((at, root.severity))
            })
            .collect()
    }

    #[test]
    fn syns_with_ecn_are_lost_and_the_same_without_pass() {
        let lines = [1, 2, 3].map(falls_back).concat();
        assert_eq!(found(&lines), [0, 1, 2].map(|at| (at, Severity::Warning)));
    }

    #[test]
    fn one_that_never_falls_back_never_opens() {
        let lost = |n| attempt(n, "SEC 0:0(0)", &format!("{n}.90 #{n} > SEC 0:0(0)\n"));
        let works = attempt(3, "S 0:0(0)", &accepted(3, "0"));
        let lines = [lost(1), lost(2), works].concat();
        assert_eq!(found(&lines), [0, 1].map(|at| (at, Severity::Error)));
    }

    #[test]
    fn fast_open_with_a_cookie_and_data() {
        let syn = "S 0:10(10) <mss 1460,tfo 0102030405060708>";
        let lines = [1, 2]
            .map(|n| {
                attempt(
                    n,
                    syn,
                    &format!("{n}.50 #{n} > S 0:0(0)\n{}", accepted(n, "5")),
                )
            })
            .concat();
        assert_eq!(found(&lines), [0, 1].map(|at| (at, Severity::Warning)));
    }

    #[test]
    fn one_lost_syn_with_ecn_is_chance() {
        assert_eq!(found(&falls_back(1)), []);
    }

    #[test]
    fn where_ecn_is_accepted_once_it_is_not_the_matter() {
        let works = attempt(3, "SEC 0:0(0)", &accepted(3, "0"));
        assert_eq!(found(&[falls_back(1), falls_back(2), works].concat()), []);
    }

    #[test]
    fn where_syns_without_it_fail_too_it_is_not_the_matter() {
        let lost = |n| attempt(n, "SEC 0:0(0)", "");
        let plain = attempt(3, "S 0:0(0)", "");
        let works = attempt(4, "S 0:0(0)", &accepted(4, "0"));
        assert_eq!(found(&[lost(1), lost(2), plain, works].concat()), []);
    }

    #[test]
    fn a_refusal_stays_the_cause_and_the_option_is_named_beside_it() {
        let refused = |n| attempt(n, "SEC 0:0(0)", &format!("{n}.02 #{n} < RA 0:0(0) ack 1\n"));
        let works = attempt(3, "S 0:0(0)", &accepted(3, "0"));
        let diagnosis = diagnose_all(&[refused(1), refused(2), works].concat());
        let first = &diagnosis[0];
        assert_eq!(first.outcome(), Outcome::Failed);
        assert_eq!(first.root_cause().unwrap().code, "tcp.refused");
        let beside = first
            .findings
            .iter()
            .find(|found| found.code == "tcp.option-blackhole");
        assert_eq!(beside.unwrap().consequence_of, Some("tcp.refused"));
        assert!(diagnosis[2].findings.is_empty());
    }
}
