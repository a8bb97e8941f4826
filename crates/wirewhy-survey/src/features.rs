//! How the attempts at one service differ: what the failed ones have in common and no working one has.

use wirewhy_flow::Connection;
use wirewhy_protocol::{AppProtocol, ClientHello, ProtocolVersion};

/// What an attempt asked for or is like, by name, and how it is seen in its connection; `None` where it shows neither.
const FEATURES: [Feature; 8] = [
    ("ecn", "asked for ECN in the SYN", |connection| {
        opened(connection).then_some(connection.client.tcp.offer.ecn)
    }),
    ("fast-open", "used TCP Fast Open", |connection| {
        opened(connection).then_some(connection.client.tcp.offer.fast_open)
    }),
    ("tls", "spoke TLS", |connection| uses_tls(connection)),
    ("no-tls", "did not speak TLS", |connection| {
        uses_tls(connection).map(|tls| !tls)
    }),
    (
        "long-hello",
        "sent a ClientHello of several segments",
        |connection| {
            let hello = hello(connection)?;
            Some(hello.begun.frame != hello.mark.frame)
        },
    ),
    ("tls-1.3", "offered TLS 1.3", |connection| {
        Some(offers_1_3(hello(connection)?))
    }),
    ("no-tls-1.3", "offered at most TLS 1.2", |connection| {
        Some(!offers_1_3(hello(connection)?))
    }),
    ("ech", "sent an encrypted ClientHello", |connection| {
        Some(hello(connection)?.has_ech())
    }),
];

type Feature = (&'static str, &'static str, fn(&Connection) -> Option<bool>);

/// What one attempt asked for or is like: a bit for each of [`FEATURES`].
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Shown {
    with: u8,
    without: u8,
    /// The server name asked for.
    name: Option<Box<str>>,
}

impl Shown {
    /// Of a SYN that asks for neither ECN nor Fast Open: the first two of [`FEATURES`].
    pub(crate) fn by_plain_syn() -> Shown {
        Shown {
            without: 0b11,
            ..Shown::default()
        }
    }

    /// The same where HTTP is spoken behind it: the third is missing, and the fourth is shown.
    pub(crate) fn by_plain_http() -> Shown {
        Shown {
            with: 0b1000,
            without: 0b111,
            name: None,
        }
    }

    pub(crate) fn of(connection: &Connection) -> Shown {
        let mut shown = Shown {
            name: connection.server_name.clone(),
            ..Shown::default()
        };
        for (place, (_, _, shows)) in FEATURES.iter().enumerate() {
            match shows(connection) {
                Some(true) => shown.with |= 1 << place,
                Some(false) => shown.without |= 1 << place,
                None => {}
            }
        }
        shown
    }
}

/// What some attempts at a service have in common.
#[derive(Clone, Debug, Default)]
pub(crate) struct Features {
    attempts: u32,
    /// How many have each feature.
    with: [u32; FEATURES.len()],
    /// How many have it not.
    without: [u32; FEATURES.len()],
    /// The server names asked for; at most [`Features::NAMES`].
    names: Vec<Box<str>>,
    /// More names than are kept, or attempts without one.
    other_names: bool,
}

impl Features {
    const NAMES: usize = 8;

    /// Takes in one attempt.
    pub(crate) fn add(&mut self, shown: &Shown) {
        self.attempts = self.attempts.saturating_add(1);
        count(&mut self.with, shown.with);
        count(&mut self.without, shown.without);
        match &shown.name {
            Some(name) if self.names.contains(name) => {}
            Some(name) if self.names.len() < Self::NAMES => self.names.push(name.clone()),
            _ => self.other_names = true,
        }
    }

    /// What all of these have and none of `others` has: the names of the features, and a sentence for each.
    pub(crate) fn missing_in(&self, others: &Features) -> Vec<(&'static str, String)> {
        let counts = self
            .with
            .iter()
            .zip(others.with.iter().zip(&others.without));
        let mut missing: Vec<(&'static str, String)> = FEATURES
            .iter()
            .zip(counts)
            .filter(|(_, (own, (with, without)))| {
                **own == self.attempts && **with == 0 && **without > 0
            })
            .map(|((name, words, _), _)| {
                (*name, format!("all of them {words}, and none that worked"))
            })
            .collect();
        if let ([name], false) = (self.names.as_slice(), self.other_names)
            && !others.names.is_empty()
            && !others.other_names
            && !others.names.contains(name)
        {
            let words = format!("all of them asked for {name}, and none that worked");
            missing.push(("server-name", words));
        }
        missing
    }
}

/// Counts what is in a set.
fn count(counts: &mut [u32; FEATURES.len()], mut set: u8) {
    while let Some(count) = counts.get_mut(set.trailing_zeros() as usize) {
        *count = count.saturating_add(1);
        set &= set - 1;
    }
}

fn opened(connection: &Connection) -> bool {
    connection.client.tcp.isn.is_some()
}

fn uses_tls(connection: &Connection) -> Option<bool> {
    let spoken = connection.app.as_deref()?.client.protocol?;
    Some(spoken == AppProtocol::Tls)
}

fn hello(connection: &Connection) -> Option<&ClientHello> {
    let tls = connection.app.as_deref()?.tls.as_deref()?;
    tls.client_hello.as_deref()
}

fn offers_1_3(hello: &ClientHello) -> bool {
    hello.versions().contains(&ProtocolVersion(0x0304))
}
