//! The summary as JSON.

use std::io::{self, Write};
use std::net::IpAddr;

use serde::Serialize;

use super::top::TopCount;
use super::{Archive, Extent, Service, Shown, digest, time};
use crate::json::{Tagged, Time, TotalsShape, encode};
use crate::{Names, View};

/// How many services of one cause are listed.
const SERVICES_OF_A_CAUSE: usize = 5;

/// How many services, clients and new services are listed.
const LISTED: usize = 20;

/// How many findings beyond a connection are listed.
const BEYOND: usize = 100;

#[derive(Serialize)]
struct Summary<'a> {
    complete: bool,
    captures: Captures,
    packets: u64,
    bytes: u64,
    first_time: Option<Time>,
    last_time: Option<Time>,
    totals: TotalsShape,
    causes: Vec<CauseShape<'a>>,
    services: Vec<ServiceShape<'a>>,
    clients: Vec<Client<'a>>,
    findings: Vec<BeyondShape>,
    new: Option<NewsShape<'a>>,
}

#[derive(Serialize)]
struct Captures {
    read: u64,
    cut_short: u64,
    unreadable: u64,
    skipped: u64,
}

#[derive(Serialize)]
struct CauseShape<'a> {
    code: &'a str,
    connections: u64,
    captures: u64,
    first_time: Time,
    last_time: Time,
    first_source: &'a str,
    services: Vec<ServiceShape<'a>>,
}

#[derive(Serialize)]
struct ServiceShape<'a> {
    address: IpAddr,
    port: u16,
    name: Option<&'a str>,
    connections: u64,
    first_time: Time,
}

#[derive(Serialize)]
struct Client<'a> {
    address: IpAddr,
    name: Option<&'a str>,
    connections: u64,
    first_time: Time,
}

#[derive(Serialize)]
struct BeyondShape {
    code: String,
    severity: &'static str,
    scope: String,
    subject: Option<String>,
    captures: u64,
    first_time: Time,
}

#[derive(Serialize)]
struct NewsShape<'a> {
    captures: u64,
    causes: Vec<&'a str>,
    services: Vec<NewService<'a>>,
}

#[derive(Serialize)]
struct NewService<'a> {
    code: &'a str,
    #[serde(flatten)]
    place: ServiceShape<'a>,
}

pub(super) fn write(
    archive: &Archive,
    out: &mut dyn Write,
    Shown { names, view }: Shown<'_>,
    extent: Extent,
) -> io::Result<()> {
    let summary = Summary {
        complete: extent == Extent::Whole,
        captures: Captures {
            read: archive.captures,
            cut_short: archive.cut_short,
            unreadable: archive.unreadable,
            skipped: archive.skipped,
        },
        packets: archive.packets,
        bytes: archive.bytes,
        first_time: archive.first_time.map(at),
        last_time: archive.last_time.map(at),
        totals: archive.totals,
        causes: causes(archive, names, view),
        services: archive
            .places
            .largest(LISTED)
            .into_iter()
            .map(|((address, port), tally)| place(address, port, &tally, names))
            .collect(),
        clients: archive
            .clients
            .largest(LISTED)
            .into_iter()
            .map(|(address, tally)| Client {
                address,
                name: names.name(address),
                connections: tally.number,
                first_time: at(tally.first),
            })
            .collect(),
        findings: beyond(archive, view),
        new: archive.news(view).map(|news| NewsShape {
            captures: news.captures,
            causes: news.causes,
            services: news
                .services
                .into_iter()
                .take(LISTED)
                .map(|((code, address, port), tally)| NewService {
                    code,
                    place: place(*address, *port, tally, names),
                })
                .collect(),
        }),
    };
    line(out, "summary", &summary)
}

fn causes<'a>(archive: &'a Archive, names: &'a Names, view: &View) -> Vec<CauseShape<'a>> {
    let shape = |(code, cause): (&'a str, &'a super::Cause)| CauseShape {
        code,
        connections: cause.connections,
        captures: cause.captures,
        first_time: at(cause.first),
        last_time: at(cause.last),
        first_source: &cause.first_source,
        services: archive
            .services_of(code, SERVICES_OF_A_CAUSE)
            .into_iter()
            .map(|(service, tally): (&Service, &TopCount)| {
                place(service.1, service.2, tally, names)
            })
            .collect(),
    };
    archive.ranked(view).into_iter().map(shape).collect()
}

fn beyond(archive: &Archive, view: &View) -> Vec<BeyondShape> {
    let shape = |(key, tally): (super::Beyond, TopCount)| {
        let (severity, code, scope, subject) = key;
        BeyondShape {
            code,
            severity: digest::severity(severity).name(),
            scope,
            subject,
            captures: tally.number,
            first_time: at(tally.first),
        }
    };
    archive
        .beyond(view)
        .into_iter()
        .take(BEYOND)
        .map(shape)
        .collect()
}

fn place<'a>(address: IpAddr, port: u16, tally: &TopCount, names: &'a Names) -> ServiceShape<'a> {
    ServiceShape {
        address,
        port,
        name: names.name(address),
        connections: tally.number,
        first_time: at(tally.first),
    }
}

fn at(nanos: i64) -> Time {
    Time(time(nanos))
}

pub(super) fn write_error(out: &mut dyn Write, source: &str, message: &str) -> io::Result<()> {
    #[derive(Serialize)]
    struct UnreadableShape<'a> {
        source: &'a str,
        message: &'a str,
    }
    line(out, "error", &UnreadableShape { source, message })
}

fn line(out: &mut dyn Write, kind: &'static str, record: &impl Serialize) -> io::Result<()> {
    let mut out = out;
    encode(&mut out, &Tagged::new(kind, record))?;
    out.write_all(b"\n")
}
