//! The two ends of a session mean different data connections: another host connects, the side whose turn it was not, or from
//! another port than a firewall expects.

use std::net::IpAddr;

use wirewhy_detect::wording::socket_of;
use wirewhy_detect::{Confidence, Culprit, Role};
use wirewhy_flow::Connection;
use wirewhy_protocol::{FtpData, FtpFacts};

use super::data_connection_failed::Failed;
use crate::ftp::{Candidate, FtpConnections, Instead, places};

/// Replies to a transfer by which a server refuses a data connection of another host: vsftpd and pyftpdlib.
const OTHER_HOST: [&str; 2] = ["bad ip connecting", "from foreign address"];

/// Adds to a data connection that did not open what was opened in its place, and returns the kind of mismatch.
pub(super) fn name<'a>(
    control: &Connection,
    ftp: &FtpFacts,
    (index, data): (usize, &FtpData),
    connections: &'a FtpConnections,
    failed: &mut Failed<'a>,
) -> Option<&'static str> {
    match connections.instead(control, ftp, index, data) {
        Some(Instead::OtherHost(made)) if failed.candidate.is_none() => {
            other_host(control, data, made, failed);
            Some("other-host")
        }
        Some(Instead::OtherSide(made)) => {
            other_side(control, ftp, (index, data), made, failed);
            Some("wrong-side")
        }
        _ if refused_other_host(ftp, data) => {
            let (culprit, own, _) = turn(control, data);
            failed.culprit = culprit.at_most(Confidence::Possible);
            failed.words = format!("came from another address than {own}, as the server reports");
            Some("other-host")
        }
        _ => other_port(control, data, failed),
    }
}

/// Who was to connect: as a culprit, its address, and the word for it.
fn turn(control: &Connection, data: &FtpData) -> (Culprit, IpAddr, &'static str) {
    let (role, address, word) = match data.setup.is_passive() {
        true => (Role::Client, control.client.address, "client"),
        false => (Role::Server, control.server.address, "server"),
    };
    (Culprit::new(role, address), address, word)
}

/// What became of a connection, to stand in parentheses.
fn fate(made: &Candidate) -> String {
    match made.failure {
        Some(failure) => format!("stream {}, {}", made.stream, failure.code),
        None => format!("stream {}", made.stream),
    }
}

/// A host of several addresses, or a NAT with several: the other end expects that of the control connection.
fn other_host<'a>(
    control: &Connection,
    data: &FtpData,
    made: &'a Candidate,
    failed: &mut Failed<'a>,
) {
    let (culprit, own, word) = turn(control, data);
    failed.culprit = culprit.at_most(Confidence::Possible);
    failed.words = format!(
        "came from {} ({}), and the {word} of the control connection is {own}",
        made.client.0,
        fate(made)
    );
    failed.candidate = Some(made);
}

fn other_side<'a>(
    control: &Connection,
    ftp: &FtpFacts,
    (index, data): (usize, &FtpData),
    made: &'a Candidate,
    failed: &mut Failed<'a>,
) {
    let (_, _, word) = turn(control, data);
    let (role, address, wrong) = match data.setup.is_passive() {
        true => (Role::Server, control.server.address, "server"),
        false => (Role::Client, control.client.address, "client"),
    };
    let earlier = ftp.data.iter().take(index);
    let outdated = earlier
        .rev()
        .find(|earlier| places(control, earlier).contains(&made.server))
        .map_or(String::new(), |earlier| {
            format!(
                ", the place of an earlier {} that this {} replaced",
                earlier.setup.name(),
                data.setup.name()
            )
        });
    let (to, port) = made.server;
    let instead = format!(
        "it was the {word}'s turn to connect, and the {wrong} connected to {}{outdated} ({})",
        socket_of(to, port),
        fate(made)
    );
    failed.culprit = Culprit::new(role, address).at_most(Confidence::Likely);
    failed.words = match failed.candidate {
        Some(_) => format!("{}; {instead}", failed.words),
        None => format!("was not made: {instead}"),
    };
    failed.candidate = failed.candidate.or(Some(made));
}

/// Whether the reply to the transfer says that another host connected.
fn refused_other_host(ftp: &FtpFacts, data: &FtpData) -> bool {
    let Some(transfer) = &data.transfer else {
        return false;
    };
    ftp.errors.iter().any(|error| {
        let command = error.command.as_ref();
        let text = error.reply.text.to_ascii_lowercase();
        command.is_some_and(|command| command.mark == transfer.command.mark)
            && OTHER_HOST.iter().any(|words| text.contains(words))
    })
}

/// The server connects from the port below that of the control connection (RFC 959 section 5.2), for which firewalls without a
/// memory have a hole.
fn other_port(
    control: &Connection,
    data: &FtpData,
    failed: &mut Failed<'_>,
) -> Option<&'static str> {
    let made = failed.candidate.filter(|_| !data.setup.is_passive())?;
    let usual = [DATA, control.server.port.saturating_sub(1)];
    let unanswered = made
        .failure
        .is_some_and(|failure| failure.code == "tcp.syn-unanswered");
    let (_, port) = made.client;
    if !unanswered || usual.contains(&port) {
        return None;
    }
    let words = format!("; it came from port {port}, and some firewalls let only {DATA} in");
    failed.words.push_str(&words);
    Some("other-port")
}

/// The port from which a server connects.
const DATA: u16 = 20;

#[cfg(test)]
mod tests {
    use super::super::trace::Control;
    use crate::testing::diagnose_all;
    use wirewhy_detect::{Finding, Outcome, Role, Value};

    fn root(control: &Control) -> Finding {
        let diagnosis = diagnose_all(&control.trace()).remove(0);
        assert_eq!(diagnosis.outcome(), Outcome::Failed);
        let root = diagnosis.root_cause().cloned().expect("a root cause");
        assert_eq!(root.code, "ftp.data-connection-failed", "{}", root.summary);
        root
    }

    fn mismatch(found: &Finding) -> Option<String> {
        let mut facts = found.facts.0.iter();
        let (_, value) = facts.find(|(name, _)| *name == "mismatch")?;
        match value {
            Value::Text(text) => Some(text.clone()),
            _ => None,
        }
    }

    /// A connection that is refused.
    fn refused(number: u32, at: f64) -> String {
        format!(
            "{at:.3} #{number} > S 0:0(0)\n{:.3} #{number} < RA 0:0(0) ack 1",
            at + 0.01
        )
    }

    /// A session in active mode whose server reports that it could not connect.
    fn active(end: f64) -> Control {
        let mut control = Control::new();
        control.say(1.0, "> PORT 192,0,2,1,156,64");
        control.say(1.1, "< 200 PORT command successful.");
        control.say(1.2, "> LIST");
        control.say(end, "< 425 Failed to establish connection.");
        control.close(end + 1.0);
        control
    }

    #[test]
    fn the_client_connects_though_it_announced_a_port() {
        let mut control = active(1.4);
        control.add("#2 server 192.0.2.9:20");
        control.add(&refused(2, 1.3));
        let found = root(&control);
        assert_eq!(
            (mismatch(&found).as_deref(), found.culprit.role),
            (Some("wrong-side"), Role::Client)
        );
        let words = "was not made: it was the server's turn to connect, and the client connected to 192.0.2.9:20 (stream 1, tcp.refused)";
        assert!(found.summary.contains(words), "{}", found.summary);
    }

    #[test]
    fn the_client_connects_to_a_passive_port_that_was_replaced() {
        let mut control = Control::new();
        control.say(0.85, "> EPSV");
        control.say(0.9, "< 229 Entering (|||50000|)");
        control.say(1.0, "> PORT 192,0,2,1,156,64");
        control.say(1.1, "< 200 PORT command successful.");
        control.say(1.2, "> LIST");
        control.add("#2 client 192.0.2.9:20\n#2 server 192.0.2.1:40000\n#3 server 192.0.2.9:50000");
        control.add(&refused(2, 1.25));
        control.add(&refused(3, 1.3));
        control.say(1.4, "< 425 Failed to establish connection.");
        control.close(2.0);
        let found = root(&control);
        assert_eq!(mismatch(&found).as_deref(), Some("wrong-side"));
        for words in [
            "did not open: tcp.refused (stream 1); it was the server's turn",
            "192.0.2.9:50000, the place of an earlier EPSV that this PORT replaced",
        ] {
            assert!(found.summary.contains(words), "{}", found.summary);
        }
    }

    #[test]
    fn the_server_connects_though_it_announced_a_port() {
        let mut control = Control::new();
        control.say(1.0, "> EPSV");
        control.say(1.1, "< 229 Entering (|||50000|)");
        control.say(1.2, "> LIST");
        control.add("#2 client 192.0.2.9:20\n#2 server 192.0.2.1:40000");
        control.add(&refused(2, 1.3));
        control.say(1.4, "< 425 Failed to establish connection.");
        control.close(2.0);
        let found = root(&control);
        assert_eq!(
            (mismatch(&found).as_deref(), found.culprit.role),
            (Some("wrong-side"), Role::Server)
        );
    }

    #[test]
    fn the_data_connection_comes_from_another_address() {
        let mut control = active(4.0);
        control.add("#2 client 192.0.2.10:20\n#2 server 192.0.2.1:40000");
        control.add("1.300 #2 > S 0:0(0)\n2.300 #2 > S 0:0(0)\n3.300 #2 > S 0:0(0)");
        let found = root(&control);
        assert_eq!(
            (mismatch(&found).as_deref(), found.culprit.role),
            (Some("other-host"), Role::Server)
        );
        let words = "came from 192.0.2.10 (stream 1, tcp.syn-unanswered), and the server of the control connection is 192.0.2.9";
        assert!(found.summary.contains(words), "{}", found.summary);
        // Where only the reply is known, it says so.
        let mut control = Control::new();
        control.say(1.0, "> EPSV");
        control.say(1.1, "< 229 Entering (|||50000|)");
        control.say(1.2, "> LIST");
        control.say(1.4, "< 425 Security: Bad IP connecting.");
        control.close(2.0);
        let found = root(&control);
        assert_eq!(mismatch(&found).as_deref(), Some("other-host"));
    }

    #[test]
    fn a_firewall_that_expects_the_data_port() {
        let session = |port: u16| {
            let mut control = active(4.0);
            control.add(&format!(
                "#2 client 192.0.2.9:{port}\n#2 server 192.0.2.1:40000"
            ));
            control.add("1.300 #2 > S 0:0(0)\n2.300 #2 > S 0:0(0)\n3.300 #2 > S 0:0(0)");
            root(&control)
        };
        let odd = session(45_123);
        assert_eq!(mismatch(&odd).as_deref(), Some("other-port"));
        assert!(odd.summary.contains("from port 45123"), "{}", odd.summary);
        assert_eq!(mismatch(&session(20)), None);
    }

    #[test]
    fn what_belongs_to_others_is_no_mismatch() {
        // Another session of the same hosts has a data connection of its own, and one between them begins later.
        let mut control = active(1.4);
        control.add("#2 server 192.0.2.9:50007");
        control.add(&refused(2, 90.0));
        let found = root(&control);
        assert_eq!(mismatch(&found), None);
        assert!(
            found.summary.contains("no SYN of the server"),
            "{}",
            found.summary
        );
    }

    #[test]
    fn a_private_address_behind_port() {
        let mut control = Control::new();
        control.say(1.0, "> PORT 10,0,0,5,156,64");
        control.say(1.1, "< 200 PORT command successful.");
        control.say(1.2, "> LIST");
        control.say(1.4, "< 425 Failed to establish connection.");
        control.close(2.0);
        let found = root(&control);
        assert_eq!(found.culprit.role, Role::Client);
        let words = "10.0.0.5 is a private address, and the client's address here is 192.0.2.1";
        assert!(found.summary.contains(words), "{}", found.summary);
    }
}
