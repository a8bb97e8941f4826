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
}
