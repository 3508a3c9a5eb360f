//! Licences as SPDX expressions.
//!
//! Source: SPDX specification 2.3, annex D ("SPDX license expressions"), and the SPDX license
//! list that the crate `spdx` carries.

/// The longest expression that is believed, in bytes.
const LONGEST: usize = 2048;

/// Returns a text as a licence expression when it is one: identifiers of the SPDX license list
/// in its own spelling, `LicenseRef-…`, operators in capitals. What says nothing
/// (`NOASSERTION`, `NONE`) is none.
pub fn expression(text: &str) -> Option<String> {
    let text = text.trim();
    let short = !text.is_empty() && text.len() <= LONGEST;
    let parsed = short.then(|| spdx::Expression::parse(text).ok()).flatten()?;
    let nothing = ["NOASSERTION", "NONE"];
    let says = parsed.requirements().all(|one| !nothing.contains(&&*one.req.license.to_string()));
    says.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_expressions_are_licences() {
        for text in [
            "Apache-2.0",
            "MIT OR Apache-2.0",
            "(GPL-2.0-only WITH Classpath-exception-2.0) AND BSD-3-Clause",
            "LicenseRef-scancode-public-domain",
            " 0BSD ",
        ] {
            assert_eq!(expression(text).as_deref(), Some(text.trim()), "{text}");
        }
        let nested = format!("{}MIT{}", "(".repeat(500), ")".repeat(500));
        let long = vec!["MIT"; 400].join(" OR ");
        for text in [
            "",
            "  ",
            "NOASSERTION",
            "NONE",
            "Apache 2",
            "GPL",
            "MIT OR",
            "MIT,BSD",
            "see LICENSE",
            &long,
        ] {
            assert_eq!(expression(text), None, "{text}");
        }
        // However deep, it ends.
        let _ = expression(&nested);
    }
}
