//! The one form in which JSON is written before it is hashed or signed.

use serde::Serialize;

/// Writes a value as canonical JSON: keys sorted, no spaces, one spelling for every
/// string and number.
///
/// Source: RFC 8785 (JSON Canonicalization Scheme).
///
/// # Panics
/// Never for the types of this crate: they have text keys and finite numbers only,
/// which are the two things that RFC 8785 cannot write.
pub fn json(value: &impl Serialize) -> Vec<u8> {
    #[expect(
        clippy::expect_used,
        reason = "the types of this crate have text keys and whole numbers"
    )]
    serde_json_canonicalizer::to_vec(value).expect("the value has a canonical form")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_sorted_and_nothing_is_added() {
        let value: serde_json::Value =
            serde_json::from_str(r#"{ "b": [1, 2.0], "a": {"\u00e9": "\u20ac", "d": null} }"#)
                .unwrap();
        assert_eq!(json(&value), "{\"a\":{\"d\":null,\"é\":\"€\"},\"b\":[1,2]}".as_bytes());
    }
}
