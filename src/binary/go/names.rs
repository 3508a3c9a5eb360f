//! Package and symbol out of the name of a Go function.
//!
//! Takes: a name of the function table. Gives: import path and symbol as vulnerability databases write them.
//! Must not: look at files.

use std::borrow::Cow;

/// A function by its package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function<'a> {
    /// The import path without `vendor/`, such as `golang.org/x/net/http2`; `main` for the main package.
    pub package: Cow<'a, str>,
    /// The function or method without type arguments, such as `Framer.ReadFrame`; closures keep their suffix.
    pub symbol: String,
}

/// Returns the import path of the package that the function called `name` belongs to.
///
/// It ends at the first dot behind the last slash; type arguments are cut, `%2e` becomes a dot, everything up to
/// `vendor/` is stripped. `None` for generated names (`type:.eq.T`, `go:buildid`, `glob..func1`) and for names that
/// are not UTF-8. Source: `cmd/internal/objabi.PathToPrefix`.
#[must_use]
pub fn package_of(name: &[u8]) -> Option<Cow<'_, str>> {
    split(name).map(|(package, _)| package)
}

/// Returns package and symbol of the function called `name`, `None` where [`package_of`] gives `None`.
///
/// `(*T).M` and `T.M` both give `T.M`, as the Go vulnerability database writes methods.
#[must_use]
pub fn function(name: &[u8]) -> Option<Function<'_>> {
    let (package, rest) = split(name)?;
    let mut symbol = String::with_capacity(rest.len());
    let mut depth = 0_usize;
    for character in rest.chars() {
        match character {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            _ if depth > 0 => {}
            '(' | ')' | '*' => {}
            _ => symbol.push(character),
        }
    }
    if symbol.ends_with("-fm") {
        symbol.truncate(symbol.len() - 3);
    }
    Some(Function { package, symbol })
}

/// Splits at the dot that ends the import path.
fn split(name: &[u8]) -> Option<(Cow<'_, str>, &str)> {
    let name = std::str::from_utf8(name).ok()?;
    // Type arguments hold slashes and dots, even colons, of other packages.
    let plain = name.split_once('[').map_or(name, |(plain, _)| plain);
    if plain.contains(':')
        || plain.contains("..")
        || plain.starts_with("go.")
        || plain.starts_with("type.")
    {
        return None;
    }
    let last = plain.rfind('/').map_or(0, |slash| slash + 1);
    let dot = last + plain[last..].find('.')?;
    let path = &name[..dot];
    let path = path.rfind("/vendor/").map_or(path, |at| &path[at + 8..]);
    let path = path.strip_prefix("vendor/").unwrap_or(path);
    (!path.is_empty()).then(|| (unescape(path), &name[dot + 1..]))
}

/// Replaces `%xx` by the byte it stands for.
fn unescape(path: &str) -> Cow<'_, str> {
    if !path.contains('%') {
        return Cow::Borrowed(path);
    }
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [first, behind @ ..] = rest {
        let digit = |at: usize| behind.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        if let (b'%', Some(high), Some(low)) = (first, digit(0), digit(1)) {
            bytes.push((high * 16 + low) as u8);
            rest = &behind[2..];
        } else {
            bytes.push(*first);
            rest = behind;
        }
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_split() {
        for (name, package, symbol) in [
            ("main.main", "main", "main"),
            ("main.main.func1.2", "main", "main.func1.2"),
            (
                "golang.org/x/net/http2.(*Framer).ReadFrame",
                "golang.org/x/net/http2",
                "Framer.ReadFrame",
            ),
            ("vendor/golang.org/x/net/idna.T.M-fm", "golang.org/x/net/idna", "T.M"),
            ("github.com/a/b/vendor/c.org/d.F", "c.org/d", "F"),
            ("gopkg.in/yaml%2ev3.Unmarshal", "gopkg.in/yaml.v3", "Unmarshal"),
            ("example.com/a%2.F", "example.com/a%2", "F"),
            (
                "slices.SortFunc[go.shape.struct { a/b.C; x [3]int }].func1",
                "slices",
                "SortFunc.func1",
            ),
            ("sync/atomic.(*Pointer[...]).Load", "sync/atomic", "Pointer.Load"),
            ("a/b.F[c:d]", "a/b", "F"),
        ] {
            let found = function(name.as_bytes()).unwrap();
            assert_eq!((&*found.package, &*found.symbol), (package, symbol), "{name}");
        }
    }

    #[test]
    fn generated_names_are_dropped() {
        for name in [
            "type:.eq.main.T",
            "go:buildid",
            "go.buildid",
            "type..hash.x",
            "main.glob..func1",
            "",
            "x",
            "a/b",
            ".x",
            "[.]",
        ] {
            assert_eq!(package_of(name.as_bytes()), None, "{name}");
        }
        assert_eq!(package_of(b"\xff.x"), None);
    }
}
