//! Where the next page of a list is: the header `Link`.
//!
//! Source: RFC 8288, section 3; distribution-spec, "Listing Tags" and "Listing Referrers".

/// The longest header that is read, in bytes.
const MAX_HEADER: usize = 16 << 10;

/// Returns the target of the first link whose relation is `next`. Foreign text: to be resolved
/// and held against the host policy.
pub fn next(header: &str) -> Option<&str> {
    if header.len() > MAX_HEADER {
        return None;
    }
    let mut rest = header;
    loop {
        let (_, after) = rest.split_once('<')?;
        let (target, after) = after.split_once('>')?;
        let (parameters, after) = up_to_comma(after);
        let is_next = parameters.split(';').any(|parameter| {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let value = value.trim().trim_matches('"');
            name.trim().eq_ignore_ascii_case("rel")
                && value.split_ascii_whitespace().any(|one| one.eq_ignore_ascii_case("next"))
        });
        if is_next {
            return Some(target);
        }
        rest = after;
    }
}

/// Splits at the first comma outside quotes.
fn up_to_comma(text: &str) -> (&str, &str) {
    let mut quoted = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            b',' if !quoted => return (&text[..at], &text[at + 1..]),
            _ => {}
        }
    }
    (text, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_found() {
        for (header, target) in [
            ("</v2/a/tags/list?last=b&n=2>; rel=\"next\"", Some("/v2/a/tags/list?last=b&n=2")),
            ("</first>; rel=first, </next>; rel=next", Some("/next")),
            ("</x>; title=\"a, b; rel=next\"; rel=\"prev next\"", Some("/x")),
            ("</x>; rel=prev", None),
            ("</x", None),
            ("", None),
        ] {
            assert_eq!(next(header), target, "{header}");
        }
    }
}
