//! Whether two names are entries of one search list.

/// How the name that is asked for next goes with one before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Relation {
    /// One is the other with a domain behind it.
    Extended,
    /// Both are one name with domains behind it, the one domain inside the other.
    Nested,
    /// Both are one name with different domains behind it.
    Branched,
    None,
}

/// The relation of two names in lower case.
pub(super) fn relation(earlier: &str, later: &str) -> Relation {
    if extends(earlier, later) || extends(later, earlier) {
        return Relation::Extended;
    }
    let shared = shared_labels(earlier, later);
    let (Some(one), Some(other)) = (earlier.get(shared..), later.get(shared..)) else {
        return Relation::None;
    };
    match shared {
        0 => Relation::None,
        _ if is_inside(one, other) || is_inside(other, one) => Relation::Nested,
        _ => Relation::Branched,
    }
}

/// The domain that was put behind a name.
pub(super) fn domain_behind<'a>(short: &str, long: &'a str) -> Option<&'a str> {
    long.strip_prefix(short)?.strip_prefix('.')
}

fn extends(long: &str, short: &str) -> bool {
    domain_behind(short, long).is_some_and(|rest| !rest.is_empty())
}

fn is_inside(long: &str, short: &str) -> bool {
    long.strip_suffix(short)
        .is_some_and(|rest| rest.ends_with('.'))
}

/// How many bytes of whole labels, with their dots, both begin with.
fn shared_labels(one: &str, other: &str) -> usize {
    let mut shared = 0;
    for (own, theirs) in one.split_inclusive('.').zip(other.split_inclusive('.')) {
        if own != theirs || !own.ends_with('.') {
            break;
        }
        shared += own.len();
    }
    shared
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_a_search_list() {
        let table = [
            (
                "api.example.com.shop.svc.cluster.local",
                "api.example.com",
                Relation::Extended,
            ),
            ("host", "host.example.com", Relation::Extended),
            (
                "a.shop.svc.cluster.local",
                "a.svc.cluster.local",
                Relation::Nested,
            ),
            ("db.example.org", "db.corp.example.net", Relation::Branched),
            ("a.example.com", "b.example.com", Relation::None),
            ("example.com", "myexample.com", Relation::None),
            ("a.example.com", "a.example.com", Relation::Branched),
        ];
        for (earlier, later, found) in table {
            assert_eq!(relation(earlier, later), found, "{earlier} {later}");
        }
    }
}
