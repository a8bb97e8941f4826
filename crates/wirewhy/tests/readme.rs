//! The README shows what the program prints.

#[cfg(test)]
mod readme {
    use std::path::{Path, PathBuf};
    use std::process::Command;

    /// Set to rewrite the README's runs instead of comparing them.
    const BLESS: &str = "WIREWHY_BLESS";
    const BEGIN: &str = "```console\n$ wirewhy ";
    const END: &str = "```\n";

    fn root() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
    }

    /// What `wirewhy ARGUMENTS` prints in the repository's root.
    fn printed(arguments: &str) -> String {
        let done = Command::new(env!("CARGO_BIN_EXE_wirewhy"))
            .args(arguments.split(' '))
            .current_dir(root())
            .env_remove("COLUMNS")
            // No configuration of whoever runs the tests.
            .env("XDG_CONFIG_HOME", root().join("fixtures"))
            .output()
            .unwrap();
        assert!(done.status.success(), "wirewhy {arguments}: {done:?}");
        String::from_utf8(done.stdout).unwrap()
    }

    #[test]
    fn every_run_it_shows_is_real() {
        let path = root().join("README.md");
        let readme = std::fs::read_to_string(&path).unwrap();
        let mut parts = readme.split(BEGIN);
        let mut real = parts.next().unwrap().to_owned();
        let mut runs = 0;
        for part in parts {
            let (arguments, rest) = part.split_once('\n').unwrap();
            let (_, after) = rest.split_once(END).expect("the end of a run");
            real += &format!("{BEGIN}{arguments}\n{}{END}{after}", printed(arguments));
            runs += 1;
        }
        assert!(runs > 0, "it shows a run");
        if std::env::var_os(BLESS).is_some() {
            std::fs::write(&path, real).unwrap();
            return;
        }
        assert_eq!(readme, real, "set {BLESS}=1 to rewrite it");
    }
}
