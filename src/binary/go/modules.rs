//! The module list in the build information.
//!
//! Takes: the text between the sentinels of the Go command. Gives: [`BuildInfo`]. Must not: make more than 100,000
//! modules or settings.

use super::Error;

/// Most modules, and most settings.
const ENTRIES_MAX: usize = 100_000;

/// What the Go command says of one build.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BuildInfo {
    /// The version of Go with experiments, such as `go1.26.0 X:boringcrypto`.
    pub go_version: String,
    /// The import path of the main package; empty when unknown, as in GOPATH mode.
    pub path: String,
    /// The module of the main package.
    pub main: Option<Module>,
    /// The other modules, in their order.
    pub deps: Vec<Module>,
    /// The build settings, such as `CGO_ENABLED` or `vcs.modified`, in their order.
    pub settings: Vec<(String, String)>,
}

/// One module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Module {
    /// The module path.
    pub path: String,
    /// The version with its `v`, or `(devel)`; may be empty.
    pub version: String,
    /// The `h1:` checksum; empty for the main module and for directories.
    pub sum: String,
    /// The module that was built instead of this one.
    pub replaced_by: Option<Box<Module>>,
}

impl Module {
    /// Returns the module whose code is in the file: the replacement if there is one.
    #[must_use]
    pub fn effective(&self) -> &Self {
        self.replaced_by.as_deref().unwrap_or(self)
    }

    /// Returns whether the path is a directory (`./`, `../` or `/`), so that the version is unknown.
    #[must_use]
    pub fn is_directory(&self) -> bool {
        ["./", "../", "/"].iter().any(|start| self.path.starts_with(start))
            || matches!(self.path.as_str(), "." | "..")
    }

    fn parse(fields: &str) -> Result<Self, Error> {
        let mut columns = fields.split('\t');
        let (path, version) = (columns.next().unwrap_or_default(), columns.next());
        let sum = columns.next().unwrap_or_default();
        match version {
            Some(version) if !path.is_empty() && columns.next().is_none() => Ok(Self {
                path: path.to_owned(),
                version: version.to_owned(),
                sum: sum.to_owned(),
                replaced_by: None,
            }),
            _ => Err(Error::Malformed("module line does not have two or three columns")),
        }
    }
}

impl BuildInfo {
    /// Returns the value of a build setting, such as `GOARCH`.
    #[must_use]
    pub fn setting(&self, key: &str) -> Option<&str> {
        self.settings.iter().find(|(found, _)| found == key).map(|(_, value)| value.as_str())
    }

    /// Parses the module list with its sentinels, as `runtime/debug.ParseBuildInfo`; a list without them is empty.
    pub(super) fn parse(go_version: String, framed: &[u8]) -> Result<Self, Error> {
        let mut info = Self { go_version, ..Self::default() };
        let end = framed.len().saturating_sub(16);
        let text = match framed.get(16..end) {
            Some(text) if text.ends_with(b"\n") => String::from_utf8_lossy(text),
            _ => return Ok(info),
        };
        // What a replacement line refers to is the module of the line before.
        let mut last = Last::None;
        for line in text.lines() {
            let Some((key, rest)) = line.split_once('\t') else {
                continue;
            };
            match key {
                "path" => rest.clone_into(&mut info.path),
                "mod" => {
                    info.main = Some(Module::parse(rest)?);
                    last = Last::Main;
                }
                "dep" => {
                    bound(info.deps.len(), "module list")?;
                    info.deps.push(Module::parse(rest)?);
                    last = Last::Dependency;
                }
                "=>" => {
                    let replaced = match last {
                        Last::None => None,
                        Last::Main => info.main.as_mut(),
                        Last::Dependency => info.deps.last_mut(),
                    };
                    let replaced = replaced
                        .ok_or(Error::Malformed("replacement without a module before it"))?;
                    replaced.replaced_by = Some(Box::new(Module::parse(rest)?));
                    last = Last::None;
                }
                "build" => {
                    bound(info.settings.len(), "list of settings")?;
                    info.settings.push(setting(rest)?);
                }
                _ => {}
            }
        }
        Ok(info)
    }
}

enum Last {
    None,
    Main,
    Dependency,
}

fn bound(count: usize, what: &'static str) -> Result<(), Error> {
    if count < ENTRIES_MAX {
        Ok(())
    } else {
        Err(Error::TooLarge { what, limit: ENTRIES_MAX as u64 })
    }
}

/// Splits `key=value`, either of which may be quoted.
fn setting(line: &str) -> Result<(String, String), Error> {
    let malformed = || Error::Malformed("build line is not key=value");
    let (key, value) = if line.starts_with(['"', '`']) {
        let (key, rest) = unquote(line).ok_or_else(malformed)?;
        (key, rest.strip_prefix('=').ok_or_else(malformed)?)
    } else {
        let (key, value) = line.split_once('=').ok_or_else(malformed)?;
        (key.to_owned(), value)
    };
    if key.is_empty() {
        return Err(malformed());
    }
    if value.starts_with(['"', '`']) {
        let (value, rest) = unquote(value).ok_or_else(malformed)?;
        return if rest.is_empty() { Ok((key, value)) } else { Err(malformed()) };
    }
    Ok((key, value.to_owned()))
}

/// Returns the Go string literal at the start of `text` and what follows it (Go specification, "String literals").
fn unquote(text: &str) -> Option<(String, &str)> {
    if let Some(raw) = text.strip_prefix('`') {
        return raw.split_once('`').map(|(literal, rest)| (literal.to_owned(), rest));
    }
    let mut rest = text.strip_prefix('"')?;
    let mut bytes = Vec::new();
    loop {
        let mut characters = rest.chars();
        let first = characters.next()?;
        rest = characters.as_str();
        match first {
            '"' => return Some((String::from_utf8_lossy(&bytes).into_owned(), rest)),
            '\\' => {
                let kind = characters.next()?;
                rest = characters.as_str();
                let simple = match kind {
                    'a' => 7,
                    'b' => 8,
                    't' => b'\t',
                    'n' => b'\n',
                    'v' => 11,
                    'f' => 12,
                    'r' => b'\r',
                    '\\' | '"' | '\'' => kind as u8,
                    'x' => u8::try_from(digits(&mut rest, 2, 16)?).ok()?,
                    'u' | 'U' => {
                        let number = digits(&mut rest, if kind == 'u' { 4 } else { 8 }, 16)?;
                        bytes.extend_from_slice(
                            char::from_u32(number)?.encode_utf8(&mut [0; 4]).as_bytes(),
                        );
                        continue;
                    }
                    '0'..='3' => {
                        let high = kind.to_digit(8)? * 64;
                        u8::try_from(high + digits(&mut rest, 2, 8)?).ok()?
                    }
                    _ => return None,
                };
                bytes.push(simple);
            }
            other => bytes.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

/// Takes `count` digits of `radix` from the front of `rest`.
fn digits(rest: &mut &str, count: usize, radix: u32) -> Option<u32> {
    let (number, behind) = rest.split_at_checked(count)?;
    // from_str_radix would take a sign.
    if !number.chars().all(|digit| digit.is_digit(radix)) {
        return None;
    }
    *rest = behind;
    u32::from_str_radix(number, radix).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<BuildInfo, Error> {
        BuildInfo::parse(
            "go1.26".to_owned(),
            format!("{0}{text}{0}", "0123456789abcdef").as_bytes(),
        )
    }

    #[test]
    fn lines_of_every_kind() {
        let info = parse(
            "path\texample.com/m/cmd\nmod\texample.com/m\tv1.2.3+dirty\t\ndep\ta.org/x\tv1.0.0\th1:aa=\n\
             dep\tb.org/y\tv2.0.0\n=>\tc.org/z\tv2.1.0\th1:bb=\ndep\td.org/w\tv0.1.0\n=>\t../w\t\t\n\
             build\tCGO_ENABLED=0\nbuild\t-ldflags=\"-X main.v=\\\"1\\\"\\t\\x41\\u00e9\\101\"\nbuild\t\"a b\"=`c d`\nnew\tline\n",
        )
        .unwrap();
        assert_eq!(info.path, "example.com/m/cmd");
        assert_eq!(info.main.as_ref().unwrap().version, "v1.2.3+dirty");
        assert_eq!(info.deps[0].sum, "h1:aa=");
        assert_eq!(info.deps[0].effective().path, "a.org/x");
        assert_eq!(info.deps[1].effective().version, "v2.1.0");
        assert!(info.deps[2].effective().is_directory());
        assert!(!info.deps[2].is_directory());
        assert_eq!(info.setting("CGO_ENABLED"), Some("0"));
        assert_eq!(info.setting("-ldflags"), Some("-X main.v=\"1\"\tA\u{e9}A"));
        assert_eq!(info.setting("a b"), Some("c d"));
    }

    #[test]
    fn list_without_sentinels_is_empty() {
        for framed in [&b""[..], b"short", &[b'x'; 40]] {
            let info = BuildInfo::parse("go1.20".to_owned(), framed).unwrap();
            assert_eq!(info, BuildInfo { go_version: "go1.20".to_owned(), ..BuildInfo::default() });
        }
    }

    #[test]
    fn malformed_lines_are_errors() {
        for text in [
            "=>\ta\tv1\n",
            "dep\ta\tv1\n=>\tb\tv1\n=>\tc\tv1\n",
            "dep\tonly\n",
            "dep\t\tv1\n",
            "dep\ta\tb\tc\td\n",
            "build\tno value\n",
            "build\t=x\n",
            "build\tk=\"open\n",
            "build\tk=\"\\x+1\"\n",
            "build\tk=\"a\"b\n",
            "build\tk=\"\\u\u{e9}\u{e9}\"\n",
            "build\t\"k\"\n",
        ] {
            assert!(matches!(parse(text), Err(Error::Malformed(_))), "{text:?}");
        }
    }

    #[test]
    fn too_many_entries_are_errors() {
        let text = "dep\ta\tv1\n".repeat(ENTRIES_MAX + 1);
        assert!(matches!(parse(&text), Err(Error::TooLarge { .. })));
        assert_eq!(parse(&text[9..]).unwrap().deps.len(), ENTRIES_MAX);
        assert!(matches!(
            parse(&"build\ta=b\n".repeat(ENTRIES_MAX + 1)),
            Err(Error::TooLarge { .. })
        ));
    }
}
