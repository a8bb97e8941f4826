//! The repository on disk.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize().unwrap()
}

/// Every file of the repository, relative to its root, in order; neither what builds leave behind nor hidden folders
/// other than `.ci`.
pub(crate) fn files() -> Vec<PathBuf> {
    let mut found = Vec::new();
    walk(&root(), Path::new(""), &mut found);
    found.sort();
    assert!(found.len() > 100, "the walk finds the repository");
    found
}

fn walk(root: &Path, folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(root.join(folder)).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = folder.join(&name);
        if !entry.file_type().unwrap().is_dir() {
            found.push(path);
        } else if name == ".ci" || !(name.starts_with('.') || is_built(&path)) {
            walk(root, &path, found);
        }
    }
}

/// What `.gitignore` leaves out.
fn is_built(folder: &Path) -> bool {
    folder.file_name().is_some_and(|name| name == "__pycache__")
        || folder == Path::new("target")
        || folder == Path::new("crates/wirewhy-python/target")
        || (folder.starts_with("fuzz")
            && ["target", "corpus", "artifacts"]
                .iter()
                .any(|name| folder.ends_with(name)))
}

/// The text of a file, or `None` for a binary one.
pub(crate) fn text(path: &Path) -> Option<String> {
    String::from_utf8(std::fs::read(root().join(path)).unwrap())
        .ok()
        .filter(|text| !text.contains('\0'))
}

/// The folders of the workspace's packages, relative to the root.
pub(crate) fn packages() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = files()
        .into_iter()
        .filter(|path| {
            path.ends_with("Cargo.toml")
                && (path.starts_with("crates") || path.starts_with("benches"))
        })
        .filter_map(|path| path.parent().map(Path::to_path_buf))
        .collect();
    found.sort();
    found
}

/// The Rust sources of a package that end up in what users run: no tests, no code behind `cfg(test)`.
pub(crate) fn shipped(package: &Path) -> Vec<(PathBuf, String)> {
    let sources: Vec<(PathBuf, String)> = files()
        .into_iter()
        .filter(|path| path.starts_with(package.join("src")))
        .filter(|path| path.extension().is_some_and(|ending| ending == "rs"))
        .filter_map(|path| text(&path).map(|text| (path, text)))
        .collect();
    let mut for_tests = BTreeSet::new();
    for (path, text) in &sources {
        for module in test_modules(text) {
            for inside in [module_folder(path), path.with_extension("")] {
                for_tests.insert(inside.join(format!("{module}.rs")));
                for_tests.insert(inside.join(&module).join("mod.rs"));
            }
        }
    }
    sources
        .into_iter()
        .filter(|(path, _)| !for_tests.contains(path))
        .map(|(path, text)| (path, without_tests(&text)))
        .collect()
}

fn module_folder(path: &Path) -> PathBuf {
    path.parent().unwrap_or(Path::new("")).to_path_buf()
}

/// The names of `#[cfg(test)] mod NAME;`.
fn test_modules(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    lines
        .windows(2)
        .filter(|pair| pair[0] == "#[cfg(test)]")
        .filter_map(|pair| pair[1].strip_suffix(';')?.rsplit_once("mod "))
        .map(|(_, name)| name.to_owned())
        .collect()
}

/// The text up to the tests at its end, without comments.
fn without_tests(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let end = lines
        .windows(2)
        .position(|pair| pair[0] == "#[cfg(test)]" && pair[1].ends_with('{'))
        .unwrap_or(lines.len());
    lines[..end]
        .iter()
        .filter(|line| !line.trim_start().starts_with("//"))
        .fold(String::new(), |text, line| text + line + "\n")
}

#[test]
fn tests_are_not_shipped() {
    let text = "use a;\n/// b\nfn c() {}\n#[cfg(test)]\nmod d;\n\n#[cfg(test)]\nmod tests {\n    use e;\n}\n";
    assert_eq!(test_modules(text), ["d"]);
    assert!(without_tests(text).contains("fn c()"));
    assert!(!without_tests(text).contains("use e"));
    assert!(!without_tests(text).contains("/// b"));
}
