//! Metrics and health over HTTP/1.1, read only.

use std::collections::VecDeque;
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use wirewhy_capture::now;
use wirewhy_packet::{Interval, Timestamp};
use wirewhy_report::Metrics;

use crate::exit::{Failure, in_words};
use crate::service::Progress;

/// How many requests are open at once. One more makes the oldest give way: who reads slowly or sends slowly keeps no other
/// from an answer.
const MOST_AT_ONCE: usize = 16;

/// How many bytes the head of a request may have.
const LONGEST_HEAD: usize = 8 << 10;

/// How many header fields a request may have.
const MOST_FIELDS: usize = 64;

/// How long a request and its answer may take together.
const PATIENCE: Interval = Interval::from_secs(5);

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const CLASSIC: &str = "text/plain; version=0.0.4; charset=utf-8";
const PLAIN: &str = "text/plain; charset=utf-8";

/// Takes an address to be asked at. Others than this host's own are refused unless `remote` is allowed: what fails here
/// is for this host alone by default.
pub(super) fn bind(address: &str, remote: bool) -> Result<TcpListener, Failure> {
    let refuse = |words: &str| Failure::new(format!("--metrics {address}: {words}"));
    let addresses: Vec<SocketAddr> = address
        .to_socket_addrs()
        .map_err(|_| refuse("is no ADDRESS:PORT, as in 127.0.0.1:8999"))?
        .collect();
    if !remote && !addresses.iter().all(|address| address.ip().is_loopback()) {
        return Err(refuse(
            "can be reached from other hosts; --metrics-allow-remote says that this is meant",
        ));
    }
    TcpListener::bind(addresses.as_slice()).map_err(|error| refuse(&in_words(&error)))
}

/// Answers from a thread of its own.
pub(super) fn serve(
    listener: TcpListener,
    metrics: Arc<Metrics>,
    progress: Arc<Progress>,
) -> Result<(), Failure> {
    let open = Arc::new(Open::default());
    let accept = move || {
        for (number, stream) in (0_u64..).zip(listener.incoming()) {
            let Ok(stream) = stream.and_then(|stream| open.add(number, stream)) else {
                // Out of descriptors, most likely: they come back.
                thread::sleep(Duration::from_millis(100));
                continue;
            };
            let (metrics, progress) = (Arc::clone(&metrics), Arc::clone(&progress));
            let done = Arc::clone(&open);
            let answer = move || {
                // A failure concerns only the client, and it has left.
                let _ = answer(stream, &metrics, &progress);
                done.remove(number);
            };
            if thread::Builder::new().spawn(answer).is_err() {
                open.remove(number);
            }
        }
    };
    thread::Builder::new()
        .name("metrics".to_owned())
        .spawn(accept)
        .map(drop)
        .map_err(|error| Failure::new(format!("--metrics: {}", in_words(&error))))
}

/// The requests that are open, by number, the oldest first.
#[derive(Default)]
struct Open(Mutex<VecDeque<(u64, TcpStream)>>);

impl Open {
    /// Adds one, and ends the oldest if there are too many.
    fn add(&self, number: u64, stream: TcpStream) -> io::Result<TcpStream> {
        let handle = stream.try_clone()?;
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.push_back((number, handle));
        if open.len() > MOST_AT_ONCE
            && let Some((_, oldest)) = open.pop_front()
        {
            // Its thread finds the connection closed. If it is closed already, so much the better.
            let _ = oldest.shutdown(Shutdown::Both);
        }
        Ok(stream)
    }

    fn remove(&self, number: u64) {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|(other, _)| *other != number);
    }
}

/// A connection on which nothing is waited for beyond a moment.
struct Timed {
    stream: TcpStream,
    until: Timestamp,
}

impl Timed {
    fn left(&self) -> io::Result<Duration> {
        // A clock that is set back does not make the wait longer.
        let left = self.until.since(now()).min(PATIENCE);
        match u64::try_from(left.0) {
            Ok(left) if left > 0 => Ok(Duration::from_nanos(left)),
            _ => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

impl io::Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(self.left()?))?;
        self.stream.read(buffer)
    }
}

impl io::Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(self.left()?))?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// What is said to a request.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Response {
    status: &'static str,
    content_type: &'static str,
    /// A header line of its own, with its end.
    more: &'static str,
    body: String,
    /// Whether the request asked for the head only.
    head_only: bool,
}

impl Response {
    fn plain(body: &str, head_only: bool) -> Response {
        Response {
            status: "200 OK",
            content_type: PLAIN,
            more: "",
            body: body.to_owned(),
            head_only,
        }
    }

    fn error(status: &'static str) -> Response {
        Response {
            status,
            content_type: PLAIN,
            more: "",
            body: format!("{status}\n"),
            head_only: false,
        }
    }
}

fn answer(stream: TcpStream, metrics: &Metrics, progress: &Progress) -> io::Result<()> {
    let until = now().after(PATIENCE);
    let mut stream = Timed { stream, until };
    let mut head = Vec::new();
    let mut chunk = [0; 2048];
    let response = loop {
        if let Some(response) = respond(&head, metrics, progress) {
            break response;
        }
        let read = stream.read(&mut chunk)?;
        if read == 0 {
            return Ok(());
        }
        head.extend(chunk.iter().take(read));
    };
    let Response {
        status,
        content_type,
        more,
        body,
        head_only,
    } = response;
    let length = body.len();
    let lead = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n{more}Connection: close\r\n\r\n"
    );
    stream.write_all(lead.as_bytes())?;
    if !head_only {
        stream.write_all(body.as_bytes())?;
    }
    stream.stream.shutdown(Shutdown::Write)?;
    // Closing with unread input would reset the connection before the answer is read.
    let _ = stream.read(&mut chunk);
    Ok(())
}

/// The answer to a request, once enough of it has come.
fn respond(head: &[u8], metrics: &Metrics, progress: &Progress) -> Option<Response> {
    let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    match request.parse(head) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) if head.len() < LONGEST_HEAD => return None,
        Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
            return Some(Response::error("431 Request Header Fields Too Large"));
        }
        Err(_) => return Some(Response::error("400 Bad Request")),
    }
    let head_only = match request.method {
        Some("GET") => false,
        Some("HEAD") => true,
        _ => {
            return Some(Response {
                more: "Allow: GET, HEAD\r\n",
                ..Response::error("405 Method Not Allowed")
            });
        }
    };
    let path = request.path.unwrap_or_default();
    let path = path.split('?').next().unwrap_or_default();
    let response = match path {
        "/metrics" => {
            let accepts = request
                .headers
                .iter()
                .filter(|field| field.name.eq_ignore_ascii_case("accept"))
                .any(|field| {
                    String::from_utf8_lossy(field.value).contains("application/openmetrics-text")
                });
            let (content_type, body) = if accepts {
                (OPENMETRICS, metrics.openmetrics())
            } else {
                (CLASSIC, metrics.text())
            };
            Response {
                status: "200 OK",
                content_type,
                more: "Vary: Accept\r\n",
                body,
                head_only,
            }
        }
        "/healthz" if progress.is_stalled() => Response {
            head_only,
            ..Response::error("503 Service Unavailable")
        },
        "/healthz" => Response::plain("ok\n", head_only),
        "/" => Response::plain(
            "wirewhy: metrics are at /metrics, health at /healthz\n",
            head_only,
        ),
        _ => Response {
            head_only,
            ..Response::error("404 Not Found")
        },
    };
    Some(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer_to(request: &str) -> Option<Response> {
        respond(request.as_bytes(), &Metrics::new(10), &Progress::default())
    }

    fn status(request: &str) -> &'static str {
        answer_to(request).unwrap().status
    }

    #[test]
    fn an_unfinished_request_is_waited_for() {
        assert_eq!(answer_to(""), None);
        assert_eq!(answer_to("GET /metrics HTTP/1.1\r\nHost: x\r\n"), None);
    }

    #[test]
    fn what_is_asked_for_decides_the_format() {
        let classic = answer_to("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        assert_eq!((classic.status, classic.content_type), ("200 OK", CLASSIC));
        assert!(
            classic
                .body
                .contains("# TYPE wirewhy_packets_total counter")
        );
        let accept = "Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5";
        let open = answer_to(&format!("GET /metrics HTTP/1.1\r\n{accept}\r\n\r\n")).unwrap();
        assert_eq!(open.content_type, OPENMETRICS);
        assert!(open.body.ends_with("# EOF\n"));
    }

    #[test]
    fn health_is_that_of_the_analysis() {
        assert_eq!(status("GET /healthz HTTP/1.1\r\n\r\n"), "200 OK");
        let stalled = Progress::ago(Interval::from_secs(60));
        let request = b"GET /healthz HTTP/1.1\r\n\r\n";
        let response = respond(request, &Metrics::new(10), &stalled).unwrap();
        assert_eq!(response.status, "503 Service Unavailable");
    }

    #[test]
    fn everything_else_is_refused_by_its_proper_name() {
        assert_eq!(status("GET /other HTTP/1.1\r\n\r\n"), "404 Not Found");
        assert_eq!(
            status("POST /metrics HTTP/1.1\r\n\r\n"),
            "405 Method Not Allowed"
        );
        assert_eq!(status("nonsense\r\n\r\n"), "400 Bad Request");
        let long = format!("GET /metrics HTTP/1.1\r\nX: {}", "y".repeat(LONGEST_HEAD));
        assert_eq!(status(&long), "431 Request Header Fields Too Large");
        assert!(
            answer_to("HEAD /metrics HTTP/1.1\r\n\r\n")
                .unwrap()
                .head_only
        );
    }

    #[test]
    fn other_hosts_may_ask_only_where_that_is_meant() {
        assert!(bind("127.0.0.1:0", false).is_ok());
        assert!(bind("[::1]:0", false).is_ok() || bind("[::1]:0", true).is_err());
        assert!(bind("0.0.0.0:0", false).is_err());
        assert!(bind("0.0.0.0:0", true).is_ok());
        assert!(bind("8999", true).is_err());
    }
}
