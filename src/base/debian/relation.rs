//! What a package depends on (Debian Policy, 7.1; deb-control(5)).

use super::{Version, is_package_name};
use std::fmt;

/// The most groups of one field, and the most alternatives of one group.
const MOST: usize = 1000;

/// One dependency: any of these will do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group(pub Vec<Alternative>);

/// One way to satisfy a dependency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alternative {
    /// The name of a package, or of what packages provide.
    pub name: String,
    /// What its version must be.
    pub version: Option<(Relation, Version)>,
}

/// How a version must compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Relation {
    Earlier,
    EarlierOrEqual,
    Equal,
    LaterOrEqual,
    Later,
}

/// The text is no dependency.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no dependency")]
pub struct InvalidRelation(String);

impl Relation {
    /// Says whether a version is as it must be.
    pub fn holds(self, version: &Version, wanted: &Version) -> bool {
        let order = version.cmp(wanted);
        match self {
            Self::Earlier => order.is_lt(),
            Self::EarlierOrEqual => order.is_le(),
            Self::Equal => order.is_eq(),
            Self::LaterOrEqual => order.is_ge(),
            Self::Later => order.is_gt(),
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Earlier => "<<",
            Self::EarlierOrEqual => "<=",
            Self::Equal => "=",
            Self::LaterOrEqual => ">=",
            Self::Later => ">>",
        }
    }
}

impl Alternative {
    /// Says whether a version satisfies it; what has no version satisfies only what asks for none.
    pub fn accepts(&self, version: Option<&Version>) -> bool {
        match (&self.version, version) {
            (None, _) => true,
            (Some((relation, wanted)), Some(version)) => relation.holds(version, wanted),
            (Some(_), None) => false,
        }
    }
}

impl fmt::Display for Alternative {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.version {
            None => f.write_str(&self.name),
            Some((relation, version)) => write!(f, "{} ({} {version})", self.name, relation.text()),
        }
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&all.join(" | "))
    }
}

/// Reads the value of `Depends`, `Pre-Depends` or `Provides`.
///
/// # Errors
/// The first part that is no dependency.
pub fn parse(value: &str) -> Result<Vec<Group>, InvalidRelation> {
    let value = value.trim().trim_end_matches(',');
    if value.is_empty() {
        return Ok(Vec::new());
    }
    let few = |count: usize, text: &str| match count > MOST {
        true => Err(InvalidRelation(text.chars().take(60).collect())),
        false => Ok(()),
    };
    few(value.matches(',').count(), value)?;
    let group = |text: &str| {
        few(text.matches('|').count(), text)?;
        Ok(Group(text.split('|').map(alternative).collect::<Result<_, _>>()?))
    };
    value.split(',').map(group).collect()
}

fn alternative(text: &str) -> Result<Alternative, InvalidRelation> {
    let text = text.trim();
    let invalid = || InvalidRelation(text.chars().take(60).collect());
    let (name, version) = match text.split_once('(') {
        Some((name, rest)) => {
            let rest = rest.trim_end().strip_suffix(')').ok_or_else(invalid)?.trim();
            let relations = [
                ("<<", Relation::Earlier),
                ("<=", Relation::EarlierOrEqual),
                (">=", Relation::LaterOrEqual),
                (">>", Relation::Later),
                ("=", Relation::Equal),
            ];
            let found = relations.iter().find_map(|(sign, relation)| {
                Some((*relation, rest.strip_prefix(sign)?.trim().parse().ok()?))
            });
            (name.trim(), Some(found.ok_or_else(invalid)?))
        }
        None => (text, None),
    };
    // `:any` and the like say for which architecture; a base has one.
    let (name, _) = name.split_once(':').unwrap_or((name, ""));
    match is_package_name(name) {
        true => Ok(Alternative { name: name.to_owned(), version }),
        false => Err(invalid()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_are_read() {
        let groups =
            parse("libc6 (>= 2.38), debconf (>= 0.5) | debconf-2.0,\n python3:any").unwrap();
        let shown: Vec<_> = groups.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["libc6 (>= 2.38)", "debconf (>= 0.5) | debconf-2.0", "python3"]);
        let accepts = |version: &str| groups[0].0[0].accepts(Some(&version.parse().unwrap()));
        assert!(accepts("2.38") && accepts("2.41-12") && !accepts("2.37-9"));
        assert!(!groups[0].0[0].accepts(None) && groups[2].0[0].accepts(None));
        assert!(parse(" ").unwrap().is_empty());
        for (relation, less, same, more) in [
            ("<<", true, false, false),
            ("<=", true, true, false),
            ("=", false, true, false),
            (">=", false, true, true),
            (">>", false, false, true),
        ] {
            let one = &parse(&format!("ab ({relation} 2)")).unwrap()[0].0[0];
            let holds = |version: &str| one.accepts(Some(&version.parse().unwrap()));
            assert_eq!([holds("1"), holds("2"), holds("3")], [less, same, more], "{relation}");
        }
    }

    #[test]
    fn what_is_no_dependency_is_refused() {
        for bad in [
            "a1,,b1",
            "a1 |",
            "a1 (2)",
            "a1 (>= )",
            "a1 (>= 1",
            "A1",
            "a1 (! 1)",
            "../x",
            "${misc:Depends}",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert!(parse(&vec!["ab"; MOST + 2].join(", ")).is_err());
    }
}
