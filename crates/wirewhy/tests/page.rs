//! Pages as a browser sees them: nothing on its console, so no violation of the policy and no request, and the script at work.

#[cfg(test)]
mod page {
    use std::path::{Path, PathBuf};
    use std::process::Command;

    fn root() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
    }

    /// A page that wirewhy writes.
    fn written(arguments: &[&str], path: &Path) -> String {
        let done = Command::new(env!("CARGO_BIN_EXE_wirewhy"))
            .args(arguments)
            .args(["--format", "html", "-q", "-o"])
            .arg(path)
            .current_dir(root())
            // No configuration of the person who runs the tests.
            .env("XDG_CONFIG_HOME", root().join("fixtures"))
            .output()
            .unwrap();
        assert!(done.status.success(), "{arguments:?}: {done:?}");
        std::fs::read_to_string(path).unwrap()
    }

    /// What Chromium writes to its console about a page, and the document once its script ran.
    fn opened(path: &Path, profile: &Path) -> (Vec<String>, String) {
        let done = Command::new("chromium")
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-background-networking",
            ])
            .args(["--enable-logging=stderr", "--dump-dom"])
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg(format!("file://{}", path.display()))
            .output()
            .unwrap();
        assert!(done.status.success(), "{done:?}");
        let log = String::from_utf8_lossy(&done.stderr);
        let console = log.lines().filter(|line| line.contains("CONSOLE"));
        let document = String::from_utf8(done.stdout).unwrap();
        (console.map(str::to_owned).collect(), document)
    }

    #[test]
    fn a_browser_has_nothing_to_say_about_a_page() {
        if Command::new("chromium").arg("--version").output().is_err() {
            assert!(std::env::var_os("CI").is_none(), "there is no chromium");
            eprintln!("NOT RUN: there is no chromium to open pages with");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("page.html");
        let profile = folder.path().join("profile");
        let captures = "fixtures/captures";
        let recording = format!("{captures}/service-flaky/server.pcap");
        let page = written(&["analyze", &recording], &path);
        let (console, document) = opened(&path, &profile);
        assert!(console.is_empty(), "{console:#?}");
        assert!(page.contains("class=\"drawn\""), "something is drawn");
        let is_sorted = "aria-sort=\"descending\"><button type=\"button\">";
        assert!(document.contains(is_sorted), "the script runs");

        let folders = ["service-down", "idle-timer-drop"].map(|name| format!("{captures}/{name}"));
        written(&["scan", &folders[0], &folders[1]], &path);
        let (console, document) = opened(&path, &profile);
        assert!(console.is_empty(), "{console:#?}");
        assert!(document.contains("<button type=\"button\">failed</button>"));

        // What is not in the policy would be on the console.
        let planted = [
            "<img src=\"http://127.0.0.1:9/\">",
            "<p style=\"color: red\">",
            "<p onclick=\"0\">",
            "<script>0</script>",
        ];
        std::fs::write(&path, page.replace("<main>", &planted.concat())).unwrap();
        let (console, _) = opened(&path, &profile);
        assert_eq!(console.len(), planted.len(), "{console:#?}");
    }
}
