//! Laying down rights, for real: each case is this program once more, alone in a network namespace.
//!
//! The parent has all rights and plays the administrator; the child captures, gives up its rights, and says what it can
//! and cannot do any more. They exchange lines over the child's standard input and output.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that runs without the harness is not known to be one"
)]

use std::io::{self, BufRead, BufReader, Lines, Write};
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};
use std::time::Duration;

use wirewhy_capture::live::{
    Change, Keep, LiveError, Options, PrivilegeError, Pulled, Source, lower_privileges,
};

/// A case: what the parent does, and what the child does.
type Case = (&'static str, fn(&Namespace), fn());

const CASES: &[Case] = &[
    (
        "another_user_goes_on_capturing_and_opens_again",
        parent_reopens,
        child_reopens,
    ),
    (
        "without_rights_only_what_is_open_stays",
        parent_keeps_nothing,
        child_keeps_nothing,
    ),
    ("what_cannot_be_done_is_said", parent_refused, child_refused),
    (
        "the_command_that_is_named_grants_the_right",
        parent_grants,
        child_granted,
    ),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [first, name] = arguments.as_slice()
        && first == "child"
    {
        let (_, _, child) = case(name);
        child();
        return ExitCode::SUCCESS;
    }
    if arguments.iter().any(|argument| argument == "--list") {
        for (name, _, _) in CASES {
            println!("{name}: test");
        }
        return ExitCode::SUCCESS;
    }
    if let Err(why) = can_run() {
        println!(
            "rights and namespaces are not at hand, so laying down rights is NOT tested: {why}"
        );
        let root = nix::unistd::geteuid().is_root();
        let excused = !root && std::env::var_os("CI").is_none();
        return ExitCode::from(u8::from(!excused));
    }
    let filters: Vec<&String> = arguments
        .iter()
        .filter(|word| !word.starts_with('-'))
        .collect();
    let chosen = |name: &str| filters.is_empty() || filters.iter().any(|word| name.contains(*word));
    let mut passed = 0;
    for (name, parent, _) in CASES.iter().filter(|(name, _, _)| chosen(name)) {
        print!("test {name} ... ");
        io::stdout().flush().unwrap();
        // A panic ends the program and is seen by cargo.
        parent(&Namespace::new(name));
        println!("ok");
        passed += 1;
    }
    println!("\ntest result: ok. {passed} passed; 0 failed; 0 ignored; 0 measured; 0 filtered out");
    ExitCode::SUCCESS
}

fn case(name: &str) -> Case {
    *CASES
        .iter()
        .find(|(known, _, _)| *known == name)
        .expect("a case of that name")
}

fn can_run() -> Result<(), String> {
    for (program, package) in [
        ("ip", "iproute2"),
        ("setpriv", "util-linux"),
        ("setcap", "libcap2-bin"),
    ] {
        let ran = Command::new(program).arg("-h").output();
        ran.map_err(|error| format!("{program} of the package {package}: {error}"))?;
    }
    let probe = Command::new("ip")
        .args(["netns", "add", "wirewhy-probe"])
        .output();
    let output = probe.map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    run("ip", &["netns", "del", "wirewhy-probe"]);
    Ok(())
}

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .expect(program);
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {output:?}"
    );
}

/// A network namespace with a pair of interfaces, which goes when this is dropped.
struct Namespace {
    name: String,
    case: String,
}

impl Namespace {
    fn new(case: &str) -> Namespace {
        let namespace = Namespace {
            name: format!("wirewhy-{}", std::process::id()),
            case: case.to_owned(),
        };
        run("ip", &["netns", "add", &namespace.name]);
        namespace.ip("link set lo up");
        namespace.make_pair();
        namespace
    }

    fn ip(&self, arguments: &str) {
        let mut all = vec!["-n", &self.name];
        all.extend(arguments.split(' '));
        run("ip", &all);
    }

    fn make_pair(&self) {
        self.ip("link add one type veth peer name other");
        self.ip("link set dev one addrgenmode none");
        self.ip("link set dev other addrgenmode none");
        self.ip("addr add 10.0.1.1/24 dev one");
        self.ip("link set dev one up");
        self.ip("link set dev other up");
        self.ip("neigh add 10.0.1.2 lladdr 02:00:00:00:00:02 dev one nud permanent");
    }

    /// Starts the child inside, through a program that may change who it is.
    fn child(&self, program: &Path, through: &[&str]) -> ChildPipe {
        let mut child = Command::new("ip")
            .args(["netns", "exec", &self.name])
            .args(through)
            .arg(program)
            .args(["child", &self.case])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        ChildPipe {
            to: child.stdin.take(),
            from: BufReader::new(child.stdout.take().unwrap()).lines(),
            child,
        }
    }

    fn same_program(&self) -> ChildPipe {
        self.child(&std::env::current_exe().unwrap(), &[])
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        run("ip", &["netns", "del", &self.name]);
    }
}

/// The parent's end of the pipes to the child.
struct ChildPipe {
    child: Child,
    to: Option<ChildStdin>,
    from: Lines<BufReader<ChildStdout>>,
}

impl ChildPipe {
    fn hear(&mut self) -> String {
        self.from.next().expect("the child says something").unwrap()
    }

    fn say(&mut self, line: &str) {
        writeln!(self.to.as_mut().unwrap(), "{line}").unwrap();
    }

    fn end(mut self) {
        drop(self.to.take());
        assert!(self.child.wait().unwrap().success());
    }
}

/// Waits for the parent's word.
fn wait() {
    let mut line = String::new();
    assert!(
        io::stdin().lock().read_line(&mut line).unwrap() > 0,
        "the parent is there"
    );
}

fn say(line: &str) {
    println!("{line}");
    io::stdout().flush().unwrap();
}

fn options(interface: &str) -> Options {
    Options {
        interfaces: vec![interface.to_owned()],
        buffer: 1 << 20,
        ..Options::default()
    }
}

/// A line of what the kernel says of this process.
fn status(key: &str) -> String {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    line.unwrap()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

fn send() {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.send_to(b"hello", "10.0.1.2:9").unwrap();
}

/// What the source brings next, in a word.
fn next(source: &mut Source) -> String {
    loop {
        match source.next(Duration::from_secs(5)) {
            Pulled::Frame(frame) => return format!("frame of {} bytes", frame.data.len()),
            Pulled::Change(Change { transition, .. }) => return format!("{transition:?}"),
            Pulled::Idle => {}
        }
    }
}

const NOBODY: &str = "65534 65534 65534 65534";
const CAP_NET_RAW: &str = "0000000000002000";
const NO_RIGHTS: &str = "0000000000000000";

fn child_reopens() {
    let mut source = Source::open(options("one")).unwrap();
    let lowered = lower_privileges(Some("nobody"), Keep::REOPENING).unwrap();
    assert_eq!(
        (lowered.user.as_str(), lowered.can_reopen),
        ("nobody", true)
    );
    assert_eq!(status("Uid"), NOBODY);
    assert_eq!(status("CapPrm"), CAP_NET_RAW);
    for set in ["CapInh", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(status(set), NO_RIGHTS, "{set}");
    }
    assert_eq!(status("NoNewPrivs"), "1");
    assert!(
        !status("Groups").split(' ').any(|group| group == "0"),
        "{}",
        status("Groups")
    );
    assert!(std::fs::read("/etc/shadow").is_err());
    send();
    assert_eq!(next(&mut source), "frame of 47 bytes");
    say("captured");
    assert_eq!(next(&mut source), "Lost(Gone)");
    say("lost");
    assert_eq!(next(&mut source), "Back");
    assert_eq!(status("CapEff"), NO_RIGHTS, "the right sleeps again");
    wait();
    send();
    assert_eq!(next(&mut source), "frame of 47 bytes");
    say("captured again");
}

fn parent_reopens(namespace: &Namespace) {
    let mut child = namespace.same_program();
    assert_eq!(child.hear(), "captured");
    namespace.ip("link del one");
    assert_eq!(child.hear(), "lost");
    namespace.make_pair();
    child.say("made again");
    assert_eq!(child.hear(), "captured again");
    child.end();
}

fn child_keeps_nothing() {
    let mut source = Source::open(options("one")).unwrap();
    let lowered = lower_privileges(Some("65534"), Keep::NOTHING).unwrap();
    assert_eq!(
        (lowered.user.as_str(), lowered.can_reopen),
        ("nobody", false)
    );
    assert_eq!(status("CapPrm"), NO_RIGHTS);
    send();
    assert_eq!(next(&mut source), "frame of 47 bytes");
    say("captured");
    for expected in ["Down", "Back"] {
        assert_eq!(next(&mut source), expected);
        say(expected);
    }
    assert_eq!(next(&mut source), "Lost(Gone)");
    say("lost");
    let refused = next(&mut source);
    assert!(
        refused.starts_with("Refused(NoPermission(") && refused.contains("Restart"),
        "{refused}"
    );
    say("refused");
}

fn parent_keeps_nothing(namespace: &Namespace) {
    let mut child = namespace.same_program();
    assert_eq!(child.hear(), "captured");
    namespace.ip("link set dev one down");
    assert_eq!(child.hear(), "Down");
    namespace.ip("link set dev one up");
    assert_eq!(child.hear(), "Back");
    namespace.ip("link del one");
    assert_eq!(child.hear(), "lost");
    namespace.make_pair();
    assert_eq!(child.hear(), "refused");
    child.end();
}

fn child_refused() {
    let nobody = Some("nobody");
    assert_eq!(
        lower_privileges(Some("no-such-user"), Keep::NOTHING),
        Err(PrivilegeError::NoSuchUser("no-such-user".to_owned()))
    );
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || ended.recv());
    assert_eq!(
        lower_privileges(nobody, Keep::NOTHING),
        Err(PrivilegeError::Threads)
    );
    drop(end);
    let _ = thread.join();
    // The kernel takes a moment to forget a thread.
    let lowered = loop {
        match lower_privileges(nobody, Keep::NOTHING) {
            Err(PrivilegeError::Threads) => std::thread::yield_now(),
            other => break other,
        }
    };
    assert!(lowered.is_ok(), "{lowered:?}");
    let daemon = "daemon".to_owned();
    assert_eq!(
        lower_privileges(Some("daemon"), Keep::NOTHING),
        Err(PrivilegeError::NotRoot { user: daemon })
    );
    // Who one is already, one can become.
    assert!(lower_privileges(nobody, Keep::NOTHING).is_ok());
}

fn parent_refused(namespace: &Namespace) {
    namespace.same_program().end();
}

fn child_granted() {
    match Source::open(options("one")) {
        Err(LiveError { kind, .. }) => say(&kind.to_string()),
        Ok(mut source) => {
            assert_eq!(status("CapPrm"), CAP_NET_RAW);
            let lowered = lower_privileges(None, Keep::REOPENING).unwrap();
            assert!(lowered.can_reopen);
            assert_eq!(
                (status("CapEff").as_str(), status("CapPrm").as_str()),
                (NO_RIGHTS, CAP_NET_RAW)
            );
            send();
            assert_eq!(next(&mut source), "frame of 47 bytes");
            say("captured");
        }
    }
}

/// An ordinary user is shown a command; an administrator runs it; the user captures.
fn parent_grants(namespace: &Namespace) {
    let folder = tempfile::tempdir().unwrap();
    run("chmod", &["755", folder.path().to_str().unwrap()]);
    let program = folder.path().join("program");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let nobody = [
        "setpriv",
        "--reuid=nobody",
        "--regid=nogroup",
        "--clear-groups",
    ];
    let mut child = namespace.child(&program, &nobody);
    let message = child.hear();
    child.end();
    let (_, command) = message.split_once("`sudo ").expect(&message);
    let (command, _) = command.split_once('`').expect(&message);
    assert!(command.ends_with(program.to_str().unwrap()), "{command}");
    run("sh", &["-c", command]);
    let mut child = namespace.child(&program, &nobody);
    assert_eq!(child.hear(), "captured");
    child.end();
    // By a program of its own, which has no rights left that the next could take over.
    let mut bounded = nobody.to_vec();
    bounded.extend(["setpriv", "--no-new-privs"]);
    let mut child = namespace.child(&program, &bounded);
    let message = child.hear();
    assert!(message.contains("no_new_privs"), "{message}");
    child.end();
}
