//! The wheel, built and used: its functions, Spark on one machine, an object store. All in one test, for what it takes is
//! heavy. It needs Python, pip and Java; what it runs is in `crates/wirewhy-python/tests`.

#[cfg(test)]
mod python {
    use std::path::{Path, PathBuf};
    use std::process::Command;

    /// A Python with what `requirements.txt` names; CI sets it.
    const PYTHON: &str = "WIREWHY_PYTHON";

    fn root() -> PathBuf {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        root.canonicalize().unwrap()
    }

    /// Runs a command, and returns its output, or what went wrong.
    fn run(command: &mut Command) -> Result<String, String> {
        let ran = command
            .output()
            .map_err(|error| format!("{command:?}: {error}"))?;
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        if ran.status.success() {
            return Ok(text(&ran.stdout));
        }
        Err(format!(
            "{command:?}\n{}{}",
            text(&ran.stdout),
            text(&ran.stderr)
        ))
    }

    /// A Python with everything that the tests import: the one that is named, or one that is made, once.
    fn python(target: &Path, crate_folder: &Path) -> Result<PathBuf, String> {
        if let Some(python) = std::env::var_os(PYTHON) {
            let imports =
                "import duckdb, maturin, moto.server, mypy, pandas, polars, pyarrow, pyspark, s3fs";
            run(Command::new(&python).args(["-c", imports]))?;
            return Ok(python.into());
        }
        let folder = target.join("venv");
        let python = folder.join("bin/python");
        let requirements = crate_folder.join("tests/requirements.txt");
        let done = folder.join("requirements.txt");
        let wanted = std::fs::read(&requirements).unwrap();
        if std::fs::read(&done).ok() != Some(wanted) {
            run(Command::new("python3")
                .args(["-m", "venv", "--clear"])
                .arg(&folder))?;
            run(Command::new(&python)
                .args(["-m", "pip", "install", "-q", "-r"])
                .arg(&requirements))?;
            std::fs::copy(&requirements, &done).unwrap();
        }
        Ok(python)
    }

    /// The wheel as `pip install .` makes it, in a folder of its own.
    fn install(python: &Path, target: &Path, crate_folder: &Path) -> Result<PathBuf, String> {
        let site = target.join("site");
        if site.exists() {
            std::fs::remove_dir_all(&site).unwrap();
        }
        let bin = python.parent().unwrap().to_owned();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths(std::iter::once(bin).chain(std::env::split_paths(&path)));
        run(Command::new(python)
            .args(["-m", "pip", "install", "-q", "--no-deps", "--no-index"])
            .args(["--no-build-isolation", "--target"])
            .arg(&site)
            .arg(".")
            .env("PATH", path.unwrap())
            .env("CARGO_TARGET_DIR", target)
            .env("MATURIN_PEP517_ARGS", "--profile dev")
            .current_dir(crate_folder))?;
        Ok(site)
    }

    #[test]
    fn the_wheel_gives_what_the_command_gives_in_python_and_in_spark() {
        let root = root();
        let crate_folder = root.join("crates/wirewhy-python");
        let target = root.join("target/python");
        std::fs::create_dir_all(&target).unwrap();
        let java = run(Command::new("java").arg("-version"));
        let ready = java.and_then(|_| python(&target, &crate_folder));
        let python = match ready {
            Ok(python) => python,
            Err(why) => {
                assert!(std::env::var_os("CI").is_none(), "{why}");
                eprintln!(
                    "THE WHEEL AND SPARK ARE NOT TESTED: Python, pip and Java are needed: {why}"
                );
                return;
            }
        };
        let site = install(&python, &target, &crate_folder).unwrap();
        for script in ["test_api.py", "test_spark.py"] {
            // A task of Spark that hangs must not hang all tests.
            let ran = run(Command::new("timeout")
                .args(["--kill-after=5", "900"])
                .arg(&python)
                .args(["-W", "ignore"])
                .arg(crate_folder.join("tests").join(script))
                .env("PYTHONPATH", &site)
                .env("PYTHONDONTWRITEBYTECODE", "1")
                .env("WIREWHY", env!("CARGO_BIN_EXE_wirewhy"))
                .env("WIREWHY_FIXTURES", root.join("fixtures/captures"))
                .current_dir(&target));
            if let Err(why) = ran {
                panic!("{why}");
            }
        }
    }
}
