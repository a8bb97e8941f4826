//! The files of an archive, one after another in an order that depends on names alone.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read as _};
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;
use wirewhy_capture::FileSequence;

use crate::cli::ScanArgs;
use crate::exit::{Failure, in_words};

/// No system takes a longer path; what is longer is no list of names.
const MAX_NAME: u64 = 64 << 10;

/// Standard input, as it is named on the command line.
pub(crate) const STDIN: &str = "-";

/// What the walk came by.
#[derive(Debug)]
pub(crate) enum Found {
    /// A file to look into.
    File(PathBuf),
    /// Standard input.
    Stdin,
    /// Several files that are one recording.
    Recording(FileSequence),
    /// Something named, or a folder on the way, that cannot be read.
    Unreadable {
        /// Its name.
        path: PathBuf,
        /// Why.
        message: String,
    },
    /// A symbolic link that is not followed, a socket, a device.
    Other,
}

/// Where a walk begins.
enum Root {
    Path(PathBuf),
    Stdin,
    Unreadable { path: PathBuf, message: String },
}

type Roots = Box<dyn Iterator<Item = Result<Root, Failure>> + Send>;

/// The walk. Folders are walked in the order of their entries' names, and what was named in the order it was named.
pub(crate) struct Walk {
    roots: Roots,
    tree: Option<walkdir::IntoIter>,
    links: Links,
    /// Files of our own, which are no part of the archive.
    ours: Vec<PathBuf>,
}

/// What becomes of symbolic links inside of folders. Those that were named are always followed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Links {
    Followed,
    Skipped,
}

impl Walk {
    /// The walk that the arguments ask for.
    pub(crate) fn new(args: &ScanArgs) -> Result<Walk, Failure> {
        let named = args.paths.clone().into_iter().flat_map(roots);
        let roots: Roots = match &args.files_from {
            None => Box::new(named),
            Some(list) => Box::new(named.chain(listed(list, args.null)?)),
        };
        let outputs = [args.common.output.as_ref(), args.state.as_ref()];
        Ok(Walk {
            roots,
            tree: None,
            links: if args.follow {
                Links::Followed
            } else {
                Links::Skipped
            },
            ours: outputs.into_iter().flatten().cloned().collect(),
        })
    }

    /// Whether the same walk can be made twice.
    pub(crate) fn is_repeatable(args: &ScanArgs) -> bool {
        args.files_from
            .as_ref()
            .is_none_or(|list| fs::metadata(list).is_ok_and(|data| data.is_file()))
    }

    fn is_ours(&self, path: &Path) -> bool {
        self.ours.iter().any(|ours| {
            ours.file_name() == path.file_name()
                && matches!((fs::canonicalize(ours), fs::canonicalize(path)), (Ok(a), Ok(b)) if a == b)
        })
    }
}

fn visit(entry: &walkdir::DirEntry) -> Option<Found> {
    let kind = entry.file_type();
    if kind.is_dir() {
        return None;
    }
    // What was named is read whatever it is: a pipe, the device of a shell's `<(...)`.
    if kind.is_file() || entry.depth() == 0 {
        return Some(Found::File(entry.path().to_path_buf()));
    }
    Some(Found::Other)
}

impl Iterator for Walk {
    type Item = Result<Found, Failure>;

    fn next(&mut self) -> Option<Result<Found, Failure>> {
        loop {
            match self.tree.as_mut().and_then(Iterator::next) {
                Some(Ok(entry)) if self.is_ours(entry.path()) => {
                    if let Some(tree) = self.tree.as_mut().filter(|_| entry.file_type().is_dir()) {
                        tree.skip_current_dir();
                    }
                    continue;
                }
                Some(Ok(entry)) => match visit(&entry) {
                    Some(found) => return Some(Ok(found)),
                    None => continue,
                },
                Some(Err(error)) => return Some(Ok(unreadable(&error))),
                None => self.tree = None,
            }
            match self.roots.next()? {
                Err(failure) => return Some(Err(failure)),
                Ok(Root::Unreadable { path, message }) => {
                    return Some(Ok(Found::Unreadable { path, message }));
                }
                Ok(Root::Stdin) => return Some(Ok(Found::Stdin)),
                Ok(Root::Path(path)) => {
                    let walk = WalkDir::new(path)
                        .follow_links(self.links == Links::Followed)
                        .sort_by_file_name();
                    self.tree = Some(walk.into_iter());
                }
            }
        }
    }
}

fn unreadable(error: &walkdir::Error) -> Found {
    let message = match (error.io_error(), error.loop_ancestor()) {
        (Some(error), _) => message_of(error),
        (None, Some(above)) => format!("is a link back to {}", above.display()),
        (None, None) => error.to_string(),
    };
    Found::Unreadable {
        path: error.path().unwrap_or(Path::new("")).to_path_buf(),
        message,
    }
}

/// A failure of the system in the words used for captures.
pub(crate) fn message_of(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => format!("cannot be read: {}", in_words(error)),
    }
}

/// What a path on the command line stands for: itself where it is there, else what it matches as a glob.
fn roots(path: PathBuf) -> Roots {
    if path == Path::new(STDIN) {
        return Box::new(std::iter::once(Ok(Root::Stdin)));
    }
    let is_glob = |text: &&str| text.contains(['*', '?', '[']);
    let there = fs::symlink_metadata(&path).is_ok();
    match path.to_str().filter(is_glob).filter(|_| !there) {
        Some(pattern) => globbed(&path, pattern),
        None => Box::new(std::iter::once(Ok(Root::Path(path)))),
    }
}

fn globbed(path: &Path, pattern: &str) -> Roots {
    let nothing = |message: String| Root::Unreadable {
        path: path.to_path_buf(),
        message,
    };
    let paths = match glob::glob(pattern) {
        Ok(paths) => paths,
        Err(error) => {
            let message = format!("is no glob: {} at character {}", error.msg, error.pos);
            return Box::new(std::iter::once(Ok(nothing(message))));
        }
    };
    let mut paths = paths
        .map(|found| {
            Ok(match found {
                Ok(path) => Root::Path(path),
                Err(error) => Root::Unreadable {
                    path: error.path().to_path_buf(),
                    message: message_of(error.error()),
                },
            })
        })
        .peekable();
    if paths.peek().is_none() {
        return Box::new(std::iter::once(Ok(nothing("matches no file".to_owned()))));
    }
    Box::new(paths)
}

/// The names in a list, which are no globs.
fn listed(list: &Path, null: bool) -> Result<Roots, Failure> {
    let (name, source): (String, Box<dyn BufRead + Send>) = if list == Path::new("-") {
        let stdin = BufReader::new(io::stdin());
        ("standard input".to_owned(), Box::new(stdin))
    } else {
        let name = list.display().to_string();
        let file = File::open(list)
            .map_err(|error| Failure::new(format!("{name}: {}", message_of(&error))))?;
        (name, Box::new(BufReader::new(file)))
    };
    Ok(Box::new(List {
        name,
        source: Some(source),
        end: if null { 0 } else { b'\n' },
    }))
}

struct List {
    name: String,
    source: Option<Box<dyn BufRead + Send>>,
    end: u8,
}

impl Iterator for List {
    type Item = Result<Root, Failure>;

    fn next(&mut self) -> Option<Result<Root, Failure>> {
        let mut name = Vec::new();
        loop {
            name.clear();
            let source = self.source.as_mut()?;
            let read = source.take(MAX_NAME).read_until(self.end, &mut name);
            let wrong = match read {
                Ok(0) => return None,
                Ok(_) if name.len() as u64 >= MAX_NAME => "is no list of names".to_owned(),
                Ok(_) => {
                    if name.last() == Some(&self.end) {
                        name.pop();
                    }
                    if name.is_empty() {
                        continue;
                    }
                    return Some(Ok(Root::Path(PathBuf::from(OsString::from_vec(name)))));
                }
                Err(error) => message_of(&error),
            };
            self.source = None;
            return Some(Err(Failure::new(format!("{}: {wrong}", self.name))));
        }
    }
}
