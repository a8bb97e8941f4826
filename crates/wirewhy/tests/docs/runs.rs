//! The runs and commands that the pages show.
//!
//! A block `console` has commands behind `$`, and under each what it prints: each is run in the root of the repository. A block `sh`
//! has commands that are not run: of those of wirewhy every argument is checked.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::pages::{all, alone, hold, root};

const BEGIN: &str = "```console\n";
const END: &str = "```\n";

/// What a command prints in the root of the repository.
fn printed(command: &str) -> String {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_wirewhy"));
    let mut path = program.parent().unwrap().as_os_str().to_owned();
    path.push(":/usr/bin:/bin");
    let done = Command::new("/bin/sh")
        .args(["-c", command])
        .current_dir(root())
        .env("PATH", path)
        .env("TZ", "UTC")
        .env_remove("COLUMNS")
        .env_remove("NO_COLOR")
        // No configuration of the user that runs the tests.
        .env("XDG_CONFIG_HOME", root().join("fixtures"))
        .output()
        .unwrap();
    // 1 is what `--fail-on` ends with.
    assert!(
        matches!(done.status.code(), Some(0 | 1)),
        "{command}: {done:?}"
    );
    String::from_utf8(done.stdout).unwrap()
}

/// The inside of a block, with what its commands print now.
fn run_again(block: &str) -> String {
    let mut real = String::new();
    for line in block.lines() {
        if let Some(command) = line.strip_prefix("$ ") {
            writeln!(real, "{line}").unwrap();
            real.push_str(&printed(command));
        }
    }
    real
}

#[test]
fn every_run_shown_is_real() {
    let mut runs = 0;
    for path in all() {
        let _alone = alone();
        let text = fs::read_to_string(&path).unwrap();
        let mut parts = text.split(BEGIN);
        let mut real = parts.next().unwrap().to_owned();
        for part in parts {
            let (block, after) = part.split_once(END).expect("the end of a block");
            real += &[BEGIN, &run_again(block), END, after].concat();
            runs += 1;
        }
        hold(&path, &real);
    }
    assert!(runs > 5, "{runs} runs");
}

/// The blocks `sh` of a page.
fn commands(text: &str) -> impl Iterator<Item = String> {
    let behind = text.split("```sh\n").skip(1);
    let blocks = behind.filter_map(|part| part.split_once("```"));
    blocks.map(|(block, _)| block.to_owned())
}

/// A folder with nothing but a `wirewhy` that checks its arguments, and notes what is wrong with them.
fn checker(folder: &Path) -> PathBuf {
    let bin = folder.join("bin");
    fs::create_dir(&bin).unwrap();
    let script = format!(
        "#!/bin/sh\necho \"$*\" >> {0}/seen\n{1} \"$@\" --help > {0}/out 2>&1 || {{ echo \"wirewhy $*\"; /bin/cat {0}/out; }} >> {0}/wrong\n",
        folder.display(),
        env!("CARGO_BIN_EXE_wirewhy")
    );
    let path = bin.join("wirewhy");
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    bin
}

#[test]
fn every_command_shown_has_valid_arguments() {
    let folder = tempfile::tempdir().unwrap();
    let bin = checker(folder.path());
    let place = folder.path().join("in");
    fs::create_dir(&place).unwrap();
    for path in all() {
        let text = fs::read_to_string(&path).unwrap();
        for block in commands(&text) {
            // Nothing else can be run there; `sudo` and the like stand in front of a command.
            let block = ["sudo ", "kubectl exec -i POD -- "]
                .iter()
                .fold(block, |block, front| block.replace(front, ""));
            let _ = Command::new("/bin/sh")
                .args(["-c", &block])
                .current_dir(&place)
                .env_clear()
                .env("PATH", &bin)
                .stdin(std::process::Stdio::null())
                .output()
                .unwrap();
        }
    }
    let read = |name| fs::read_to_string(folder.path().join(name)).unwrap_or_default();
    let seen = read("seen").lines().count();
    assert!(seen > 20, "{seen} commands");
    assert_eq!(read("wrong"), "");
}
