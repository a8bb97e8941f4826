//! The systemd unit, by systemd's own judgement.

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::path::Path;
    use std::process::{Command, Output};

    const UNIT: &str = include_str!("../../../packaging/wirewhy.service");

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
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        let about_ours: Vec<&str> = said
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
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}");
    }

    /// What stands behind `WIREWHY_OPTIONS=`, in the unit and in the example of its head.
    fn options() -> Vec<Vec<&'static str>> {
        let values = UNIT
            .lines()
            .filter_map(|line| line.split_once("WIREWHY_OPTIONS="));
        values
            .map(|(_, value)| value.trim_matches('"').split(' ').collect())
            .collect()
    }

    #[test]
    fn the_command_understands_the_options() {
        let all = options();
        assert_eq!(all.len(), 2, "{all:?}");
        let folder = tempfile::tempdir().unwrap();
        for options in all {
            // The same options for interfaces that are not there: what is refused then is not the options.
            let mut command = Command::new(env!("CARGO_BIN_EXE_wirewhy"));
            command.arg("live");
            let mut last = "";
            for option in options {
                match last {
                    "-i" => command.arg("no-such-name"),
                    "--evidence" => command.arg(folder.path()),
                    "--metrics" => command.arg("127.0.0.1:0"),
                    _ => command.arg(option),
                };
                last = option;
            }
            let output = command.output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(said.contains("no-such-name: no such interface"), "{said}");
        }
    }
}
