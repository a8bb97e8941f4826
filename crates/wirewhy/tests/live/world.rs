//! Network namespaces with traffic in them, and a `wirewhy live` that watches.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid, gettid};
use serde_json::Value;
use wirewhy_packet::{Interval, Timestamp};

/// Moves the calling thread, and with it the test, into a network namespace of its own.
///
/// Says why where that cannot be, and then fails unless an ordinary user runs the tests outside of CI.
pub(crate) fn in_namespace() -> bool {
    let refused = match unshare(CloneFlags::CLONE_NEWNET) {
        Ok(()) => {
            ip("link set lo up");
            return true;
        }
        Err(refused) => refused,
    };
    let why = format!(
        "network namespaces cannot be made here, so live analysis is NOT tested: {refused}"
    );
    assert!(
        !geteuid().is_root() && std::env::var_os("CI").is_none(),
        "{why}"
    );
    eprintln!("{why}; run the tests as root");
    false
}

/// Runs `ip` with these arguments.
#[track_caller]
pub(crate) fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status();
    assert!(
        status.as_ref().is_ok_and(ExitStatus::success),
        "ip {arguments}: {status:?} (the package iproute2 has ip)"
    );
}

/// A host in a namespace of its own at the other end of a cable: 10.0.1.2, and this side is 10.0.1.1 on `near`.
pub(crate) struct Neighbour {
    orders: Option<Sender<Order>>,
    thread: Option<JoinHandle<()>>,
}

type Order = Box<dyn FnOnce() + Send>;

impl Neighbour {
    pub(crate) fn new() -> Neighbour {
        let (orders, taken) = channel::<Order>();
        let (tell, reported) = channel();
        let thread = std::thread::spawn(move || {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            tell.send(gettid().as_raw()).unwrap();
            for order in taken {
                order();
            }
        });
        let neighbour = Neighbour {
            orders: Some(orders),
            thread: Some(thread),
        };
        let thread = reported.recv().unwrap();
        ip("link add near type veth peer name far");
        ip(&format!("link set far netns {thread}"));
        ip("link set dev near addrgenmode none");
        ip("addr add 10.0.1.1/24 dev near");
        ip("link set near up");
        neighbour.run(|| {
            ip("link set dev far addrgenmode none");
            ip("addr add 10.0.1.2/24 dev far");
            ip("link set far up");
        });
        neighbour
    }

    /// Does something over there, and waits until it is done.
    pub(crate) fn run<T: Send + 'static>(&self, act: impl FnOnce() -> T + Send + 'static) -> T {
        let (tell, reported) = channel();
        let order = Box::new(move || drop(tell.send(act())));
        self.orders.as_ref().unwrap().send(order).unwrap();
        reported.recv().expect("the neighbour lives")
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        drop(self.orders.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A `wirewhy live` that runs.
pub(crate) struct Watch {
    child: Child,
    lines: Receiver<(Timestamp, String)>,
    seen: Vec<(Timestamp, String)>,
    printed: Receiver<String>,
}

/// How long the machine may take for what the program does at once.
const PATIENCE: Duration = Duration::from_secs(45);

impl Watch {
    /// Starts it, and waits until it listens.
    pub(crate) fn start(arguments: &[&str]) -> Watch {
        Watch::spawn(&mut Command::new(env!("CARGO_BIN_EXE_wirewhy")), arguments)
    }

    /// As [`start`](Watch::start), under this mask for the modes of new files.
    pub(crate) fn masked(mask: &str, arguments: &[&str]) -> Watch {
        let run = [
            "-c",
            "umask $0; exec \"$@\"",
            mask,
            env!("CARGO_BIN_EXE_wirewhy"),
        ];
        Watch::spawn(Command::new("sh").args(run), arguments)
    }

    fn spawn(command: &mut Command, arguments: &[&str]) -> Watch {
        let mut child = command
            .arg("live")
            .args(arguments)
            .env_remove("XDG_CONFIG_HOME")
            .env("HOME", "/nowhere")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = lines_of(child.stdout.take().unwrap());
        let printed = lines_of(child.stderr.take().unwrap());
        let (tell, reported) = channel();
        let listening = printed
            .recv_timeout(PATIENCE)
            .expect("a word on the start")
            .1;
        assert!(listening.contains("listening on"), "{listening}");
        std::thread::spawn(move || {
            for (_, line) in printed {
                if tell.send(line).is_err() {
                    return;
                }
            }
        });
        Watch {
            child,
            lines,
            seen: Vec::new(),
            printed: reported,
        }
    }

    /// With records as output.
    pub(crate) fn records(interface: &str, more: &[&str]) -> Watch {
        let mut arguments = vec!["-i", interface, "--format", "ndjson"];
        arguments.extend(more);
        Watch::start(&arguments)
    }

    /// Waits for a finding about a connection to this port, and says when it came.
    #[track_caller]
    pub(crate) fn finding(&mut self, code: &str, port: u16) -> (Timestamp, Value) {
        self.record(&format!("{code} for port {port}"), |record| {
            record["code"] == code && record["server"]["port"] == port
        })
    }

    /// Waits for a finding about a lookup of this name, and says when it came.
    #[track_caller]
    pub(crate) fn lookup(&mut self, code: &str, name: &str) -> (Timestamp, Value) {
        self.record(&format!("{code} for {name}"), |record| {
            record["code"] == code && record["facts"]["name"] == name
        })
    }

    #[track_caller]
    fn record(&mut self, what: &str, test: impl Fn(&Value) -> bool) -> (Timestamp, Value) {
        let is_it = |line: &str| {
            let record: Value = serde_json::from_str(line).unwrap();
            (record["type"] == "finding" && test(&record)).then_some(record)
        };
        if let Some(found) = self
            .seen
            .iter()
            .find_map(|(at, line)| Some((*at, is_it(line)?)))
        {
            return found;
        }
        loop {
            let Ok((at, line)) = self.lines.recv_timeout(PATIENCE) else {
                let seen: Vec<&str> = self.seen.iter().map(|(_, line)| line.as_str()).collect();
                panic!("no {what} in\n{}", seen.join("\n"));
            };
            let found = is_it(&line);
            self.seen.push((at, line));
            if let Some(record) = found {
                return (at, record);
            }
        }
    }

    /// The next line on standard error.
    #[track_caller]
    pub(crate) fn printed(&mut self) -> String {
        self.printed
            .recv_timeout(PATIENCE)
            .expect("something is said")
    }

    /// The next line of output.
    #[track_caller]
    pub(crate) fn line(&mut self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("a line").1
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        kill(pid, signal).unwrap();
    }

    /// Whether it ends within this time, and how.
    pub(crate) fn ends_within(&mut self, time: Duration) -> Option<ExitStatus> {
        let step = Duration::from_millis(20);
        let mut waited = Duration::ZERO;
        while waited < time {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Some(status);
            }
            std::thread::sleep(step);
            waited += step;
        }
        None
    }

    /// Waits for its end. Returns how it ended, every line it wrote, and everything else it said.
    pub(crate) fn end(mut self) -> (ExitStatus, Vec<String>, Vec<String>) {
        let status = self.ends_within(PATIENCE).expect("it ends");
        let mut lines: Vec<String> = std::mem::take(&mut self.seen)
            .into_iter()
            .map(|(_, line)| line)
            .collect();
        lines.extend(self.lines.iter().map(|(_, line)| line));
        (status, lines, self.printed.iter().collect())
    }

    /// Asks it to end, and waits.
    pub(crate) fn terminate(self) -> (ExitStatus, Vec<String>, Vec<String>) {
        self.signal(Signal::SIGTERM);
        self.end()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Every line of a pipe with the time it came at.
fn lines_of(pipe: impl std::io::Read + Send + 'static) -> Receiver<(Timestamp, String)> {
    let (tell, reported) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines() {
            let Ok(line) = line else { return };
            if tell.send((wirewhy_capture::now(), line)).is_err() {
                return;
            }
        }
    });
    reported
}

/// Asks over HTTP and gives the whole answer.
pub(crate) fn ask(address: &str, path: &str, more: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\n{more}\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// How long after `then`, in seconds.
pub(crate) fn seconds(at: Timestamp, then: Timestamp) -> f64 {
    let Interval(nanos) = at.since(then);
    nanos as f64 / 1e9
}
