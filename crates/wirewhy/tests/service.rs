//! The systemd unit, as systemd reads it, and what packages have of options and versions.

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::path::Path;
    use std::process::{Command, Output};

    const UNIT: &str = include_str!("../../../packaging/wirewhy.service");

    const DEFAULT: &str = include_str!("../../../packaging/debian/default");
    const CHANGELOG: &str = include_str!("../../../packaging/debian/changelog");
    const LOGROTATE: &str = include_str!("../../../packaging/logrotate/wirewhy");
    const DAEMON_SET: &str = include_str!("../../../packaging/kubernetes/daemonset.yaml");
    const DEBUG_CONTAINER: &str =
        include_str!("../../../packaging/kubernetes/debug-container.yaml");

    /// The exposure that may not be passed, in tenths: systemd calls what is below 4.0 OK.
    const MOST_EXPOSED: &str = "20";

    /// Runs systemd-analyze on the unit with the program that was built; `None` where there is no systemd and that is no fault.
    fn analyze(arguments: &[&str]) -> Option<Output> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("wirewhy.service");
        let unit = UNIT.replace("/usr/bin/wirewhy", env!("CARGO_BIN_EXE_wirewhy"));
        std::fs::write(&path, unit).unwrap();
        let ran = Command::new("systemd-analyze")
            .args(arguments)
            .arg(Path::new(&path))
            .output();
        match ran {
            Ok(output) => Some(output),
            Err(error) => {
                let why = format!("systemd-analyze: {error}, so the unit is NOT tested");
                assert!(std::env::var_os("CI").is_none(), "{why}");
                eprintln!("{why}");
                None
            }
        }
    }

    #[test]
    fn systemd_understands_every_line() {
        let Some(output) = analyze(&["verify", "--man=no"]) else {
            return;
        };
        let printed = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{printed}");
        let about_ours: Vec<&str> = printed
            .lines()
            .filter(|line| line.contains("wirewhy.service"))
            .collect();
        assert!(about_ours.is_empty(), "{about_ours:?}");
    }

    #[test]
    fn little_is_exposed() {
        let threshold = format!("--threshold={MOST_EXPOSED}");
        let Some(output) = analyze(&["security", "--offline=true", "--no-pager", &threshold])
        else {
            return;
        };
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{printed}");
    }

    /// What stands behind each `WIREWHY_OPTIONS=`, those in comments included.
    fn options(text: &'static str) -> Vec<Vec<&'static str>> {
        let values = text
            .lines()
            .filter_map(|line| line.split_once("WIREWHY_OPTIONS="));
        values
            .map(|(_, value)| value.trim_matches('"').split(' ').collect())
            .collect()
    }

    /// Runs `live` with the same options for interfaces that are not there: what is refused then is not the options.
    fn assert_understood(options: &[&str]) {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().to_str().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_wirewhy"));
        command.arg("live");
        let mut last = "";
        for option in options {
            let (name, value) = match option.split_once('=') {
                Some((name, value)) => (name, value),
                None if option.starts_with('-') => (*option, ""),
                None => (last, *option),
            };
            let value = match name {
                "-i" | "--interface" => "no-such-name",
                "--evidence" => folder,
                "--metrics" => "127.0.0.1:0",
                "-o" => "/dev/null",
                _ => value,
            };
            match option.split_once('=') {
                Some(_) => command.arg(format!("{name}={value}")),
                None if option.starts_with('-') => command.arg(option),
                None => command.arg(value),
            };
            last = option;
        }
        let output = command.output().unwrap();
        let printed = String::from_utf8_lossy(&output.stderr);
        assert!(
            printed.contains("no-such-name: no such interface"),
            "{options:?}: {printed}"
        );
    }

    #[test]
    fn the_command_understands_the_options() {
        let all = options(UNIT);
        assert_eq!(all.len(), 2, "{all:?}");
        let more = options(DEFAULT);
        assert_eq!(more.len(), 3, "{more:?}");
        for options in all.iter().chain(&more) {
            assert_understood(options);
        }
    }

    #[test]
    fn the_command_understands_the_daemon_set() {
        let (_, list) = DAEMON_SET.split_once("\n          args:\n").unwrap();
        let arguments: Vec<&str> = list
            .lines()
            .map_while(|line| line.strip_prefix("            - "))
            .collect();
        let ["live", options @ ..] = arguments.as_slice() else {
            panic!("{arguments:?}");
        };
        assert!(options.len() > 5);
        assert_understood(options);
    }

    #[test]
    fn what_is_rotated_is_what_the_unit_may_write() {
        let (folder, _) = LOGROTATE
            .lines()
            .find_map(|line| line.strip_prefix("/var/log/")?.split_once('/'))
            .unwrap();
        assert!(UNIT.contains(&format!("\nLogsDirectory={folder}\n")));
        assert!(UNIT.contains("\nExecReload="));
    }

    #[test]
    fn packages_have_the_version_of_the_program() {
        let version = env!("CARGO_PKG_VERSION");
        assert!(CHANGELOG.starts_with(&format!("wirewhy ({version}-1) ")));
        let image = format!("image: wirewhy:{version}\n");
        assert!(DAEMON_SET.contains(&image));
        assert!(DEBUG_CONTAINER.contains(&format!("--image=wirewhy:{version} ")));
    }
}
