//! README and book: what they show was printed by the program, what they name exists, and the pages made from the code are as
//! the code is.

#[cfg(test)]
mod generated;
#[cfg(test)]
mod parquet;
#[cfg(test)]
mod runs;

#[cfg(test)]
mod pages {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};
    use std::sync::{Mutex, MutexGuard, PoisonError};

    use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag};

    /// Set to rewrite what is made by the program instead of comparing it.
    pub(crate) const BLESS: &str = "WIREWHY_BLESS";

    /// The root of the repository.
    pub(crate) fn root() -> PathBuf {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        root.canonicalize().unwrap()
    }

    /// Every page of Markdown in the repository, in order.
    pub(crate) fn all() -> Vec<PathBuf> {
        let mut folders = vec![root()];
        let mut found = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                if path.is_dir() {
                    // What builds and tools leave behind.
                    if !name.starts_with('.') && !["target", "corpus"].contains(&&*name) {
                        folders.push(path);
                    }
                } else if name.ends_with(".md") {
                    found.push(path);
                }
            }
        }
        found.sort();
        assert!(found.len() > 10, "{found:?}");
        found
    }

    /// Taken while a page is read and written, so that two tests may rewrite parts of one page.
    pub(crate) fn alone() -> MutexGuard<'static, ()> {
        static WRITING: Mutex<()> = Mutex::new(());
        WRITING.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Compares a page with what it should be, or writes it.
    pub(crate) fn hold(path: &Path, real: &str) {
        if std::env::var_os(BLESS).is_some() {
            std::fs::write(path, real).unwrap();
            return;
        }
        let found = std::fs::read_to_string(path).unwrap_or_default();
        let path = path.display();
        let line = found.lines().zip(real.lines()).position(|(a, b)| a != b);
        let line = line.unwrap_or_else(|| found.lines().count().min(real.lines().count()));
        let [is, should] = [found.as_str(), real].map(|text| text.lines().nth(line));
        assert!(
            found == real,
            "{path}, line {}:\n  is         {is:?}\n  should be  {should:?}\nset {BLESS}=1 to rewrite it",
            line + 1
        );
    }

    /// A heading's address in its page, as mdBook and GitHub make it.
    pub(crate) fn anchor(heading: &str) -> String {
        let kept = heading.chars().filter_map(|c| match c {
            ' ' => Some('-'),
            '-' | '_' => Some(c),
            c if c.is_alphanumeric() => c.to_lowercase().next(),
            _ => None,
        });
        kept.collect()
    }

    /// The addresses of a page's headings.
    fn anchors(text: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut heading: Option<String> = None;
        for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
            match event {
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::End(pulldown_cmark::TagEnd::Heading(_)) => {
                    found.extend(heading.take().map(|heading| anchor(&heading)));
                }
                Event::Text(text) | Event::Code(text) => {
                    if let Some(heading) = &mut heading {
                        heading.push_str(&text);
                    }
                }
                _ => {}
            }
        }
        found
    }

    #[test]
    fn every_link_leads_somewhere() {
        let mut wrong = Vec::new();
        let mut followed = 0;
        for page in all() {
            let text = std::fs::read_to_string(&page).unwrap();
            for event in Parser::new_ext(&text, Options::ENABLE_TABLES) {
                let (Event::Start(Tag::Link { dest_url, .. })
                | Event::Start(Tag::Image { dest_url, .. })) = event
                else {
                    continue;
                };
                if dest_url.contains(':') {
                    continue;
                }
                followed += 1;
                let (path, place) = dest_url.split_once('#').unwrap_or((&dest_url, ""));
                let target = match path.is_empty() {
                    true => page.clone(),
                    false => page.parent().unwrap_or(&page).join(path),
                };
                let has_place = || {
                    std::fs::read_to_string(&target)
                        .is_ok_and(|text| anchors(&text).contains(place))
                };
                if !target.exists() || !(place.is_empty() || has_place()) {
                    wrong.push(format!("{}: {dest_url}", page.display()));
                }
            }
        }
        assert!(followed > 30, "{followed} links");
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn the_book_lists_all_of_its_pages() {
        let folder = root().join("docs/src");
        let summary = std::fs::read_to_string(folder.join("SUMMARY.md")).unwrap();
        let mut missing = Vec::new();
        for page in all() {
            let Ok(name) = page.strip_prefix(&folder) else {
                continue;
            };
            let name = name.to_string_lossy();
            if name != "SUMMARY.md" && !summary.contains(&format!("({name})")) {
                missing.push(name.into_owned());
            }
        }
        assert!(missing.is_empty(), "not in SUMMARY.md: {missing:?}");
    }

    #[test]
    fn what_the_book_takes_in_exists() {
        for page in all() {
            let text = std::fs::read_to_string(&page).unwrap();
            for (at, begin) in text.match_indices("{{#include ") {
                let rest = &text[at + begin.len()..];
                let place = rest.split("}}").next().unwrap();
                let (path, part) = place.split_once(':').unwrap_or((place, ""));
                let target = page.parent().unwrap_or(&page).join(path);
                let has_part = std::fs::read_to_string(target).is_ok_and(|text| {
                    part.is_empty() || text.contains(&format!("ANCHOR: {part} "))
                });
                assert!(has_part, "{}: {place}", page.display());
            }
        }
    }

    /// `mdbook test` takes a block without a language for Rust, and compiles it.
    #[test]
    fn every_block_of_code_names_its_language() {
        let mut wrong = Vec::new();
        for page in all() {
            let text = std::fs::read_to_string(&page).unwrap();
            for (event, place) in Parser::new(&text).into_offset_iter() {
                let Event::Start(Tag::CodeBlock(kind)) = event else {
                    continue;
                };
                let named = match kind {
                    CodeBlockKind::Indented => page.ends_with("benches/RESULTS.md"),
                    CodeBlockKind::Fenced(language) => !["", "rust"].contains(&&*language),
                };
                if !named {
                    let line = text[..place.start].lines().count();
                    wrong.push(format!("{}:{line}", page.display()));
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn anchors_are_those_of_the_book() {
        assert_eq!(anchor("`tcp.syn-unanswered`"), "tcpsyn-unanswered");
        assert_eq!(anchor("What it cannot see"), "what-it-cannot-see");
    }
}
