//! What a registry says about who may ask: the header `WWW-Authenticate`.
//!
//! Source: RFC 9110, section 11.6.1; RFC 6750, section 3; distribution-spec, "Authentication"
//! as registries implement it (`distribution`, `docs/content/spec/auth/token.md`).

/// One challenge of the kinds that karat can answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Challenge {
    /// A user name and a password are wanted.
    Basic,
    /// A token is wanted that a server gives out.
    Bearer(Bearer),
}

/// Where a token is had, and for what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bearer {
    /// The address of the token server. Foreign text: to be held against the host policy.
    pub realm: String,
    /// The name of the service.
    pub service: Option<String>,
    /// What is to be allowed.
    pub scope: Option<String>,
}

/// The longest header that is read, in bytes.
const MAX_HEADER: usize = 8192;

/// Reads the challenges of one header, in order. Those of other kinds, and those without a
/// realm, are left out; what is malformed ends the reading.
pub fn parse(header: &str) -> Vec<Challenge> {
    let mut found = Vec::new();
    if header.len() > MAX_HEADER {
        return found;
    }
    let mut rest = header.trim_start_matches([' ', '\t', ',']);
    while !rest.is_empty() {
        let Some((scheme, after)) = token(rest) else { break };
        let mut bearer = Bearer::default();
        let Some(after) = parameters(after, &mut |name, value| match name {
            "realm" => bearer.realm = value,
            "service" => bearer.service = Some(value),
            "scope" => bearer.scope = Some(value),
            _ => {}
        }) else {
            break;
        };
        if scheme.eq_ignore_ascii_case("basic") {
            found.push(Challenge::Basic);
        } else if scheme.eq_ignore_ascii_case("bearer") && !bearer.realm.is_empty() {
            found.push(Challenge::Bearer(bearer));
        }
        if after.len() >= rest.len() {
            break;
        }
        rest = after;
    }
    found
}

/// Reads `name=value` pairs until the next scheme begins; none when they are malformed.
fn parameters<'a>(mut rest: &'a str, take: &mut impl FnMut(&str, String)) -> Option<&'a str> {
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let Some((name, after)) = token(rest) else {
            return rest.is_empty().then_some(rest);
        };
        let Some(value) = after.trim_start_matches([' ', '\t']).strip_prefix('=') else {
            // No pair: the next scheme.
            return Some(rest);
        };
        let value = value.trim_start_matches([' ', '\t']);
        let (value, after) = match value.strip_prefix('"') {
            Some(quoted) => unquote(quoted)?,
            None => token68(value)?,
        };
        take(&name.to_ascii_lowercase(), value);
        rest = after;
    }
}

/// Reads a token (RFC 9110, section 5.6.2).
fn token(text: &str) -> Option<(&str, &str)> {
    let good = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    let end = text.find(|c| !good(c)).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

fn token68(text: &str) -> Option<(String, &str)> {
    let end = text.find([' ', '\t', ',']).unwrap_or(text.len());
    (end > 0).then(|| (text[..end].to_owned(), &text[end..]))
}

/// Reads a quoted string behind its first quote (RFC 9110, section 5.6.4).
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(chars.next()?.1),
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Challenge {
        Challenge::Bearer(Bearer {
            realm: realm.to_owned(),
            service: service.map(str::to_owned),
            scope: scope.map(str::to_owned),
        })
    }

    #[test]
    fn headers_of_registries_are_read() {
        for (header, challenges) in [
            (
                r#"Bearer realm="https://auth.example/token",service="reg.example",scope="repository:a/b:pull,push""#,
                vec![bearer(
                    "https://auth.example/token",
                    Some("reg.example"),
                    Some("repository:a/b:pull,push"),
                )],
            ),
            ("Basic realm=\"x\"", vec![Challenge::Basic]),
            ("basic", vec![Challenge::Basic]),
            (
                r#"Negotiate, Bearer realm = "r\"1" , error="insufficient_scope", Basic realm=y"#,
                vec![bearer("r\"1", None, None), Challenge::Basic],
            ),
            ("BEARER Realm=abc", vec![bearer("abc", None, None)]),
            ("Negotiate abc==, Basic realm=x", vec![Challenge::Basic]),
            ("Bearer service=x", vec![]),
            ("Bearer realm=\"open", vec![]),
            ("", vec![]),
            (", ,", vec![]),
        ] {
            assert_eq!(parse(header), challenges, "{header}");
        }
        assert!(parse(&format!("Basic realm=\"{}\"", "x".repeat(9000))).is_empty());
    }
}
