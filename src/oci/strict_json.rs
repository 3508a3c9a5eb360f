//! One strict pass over foreign JSON, before any type is built from it.
//!
//! RFC 8259, section 4, leaves the meaning of two equal keys to the reader, and types skip what
//! they do not know: a document with a key twice, or nested without end, may be one thing here
//! and another to a runtime. Takes bytes, gives an error or nothing.

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use std::collections::HashSet;
use std::fmt;

/// The deepest nesting of objects and arrays. Documents of images need less than ten.
const DEPTH: usize = 64;

/// Refuses a text that is no JSON, repeats a key in any object, or nests more than 64 deep.
pub(super) fn check(text: &[u8]) -> Result<(), serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    Value { left: DEPTH }.deserialize(&mut reader)?;
    reader.end()
}

/// Reads a text of any shape.
///
/// # Errors
/// When it is no JSON, repeats a key in any object, or nests more than 64 deep.
pub fn value(text: &[u8]) -> Result<serde_json::Value, serde_json::Error> {
    check(text)?;
    serde_json::from_slice(text)
}

/// A value of any kind, with how much deeper it may go.
#[derive(Clone, Copy)]
struct Value {
    left: usize,
}

impl Value {
    fn inner<E: serde::de::Error>(self) -> Result<Self, E> {
        let left = self.left.checked_sub(1);
        left.map(|left| Self { left }).ok_or_else(|| E::custom("it is nested too deep"))
    }
}

impl<'de> DeserializeSeed<'de> for Value {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let inner = self.inner()?;
        while items.next_element_seed(inner)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let inner = self.inner()?;
        let mut keys = HashSet::new();
        while let Some(key) = members.next_key::<String>()? {
            if keys.contains(&key) {
                return Err(A::Error::custom(format!("duplicate key {key:?}")));
            }
            keys.insert(key);
            members.next_value_seed(inner)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_repeat_and_deep_documents_are_refused() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        for good in [r#"{"a":1,"b":{"a":[{"a":null},{"a":-1.5}]}}"#, "[]", &nested(64)] {
            check(good.as_bytes()).unwrap();
        }
        for bad in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":{"b":1,"\u0062":2}}"#,
            r#"[{"x":[{"y":1,"z":2,"y":3}]}]"#,
            "{} {}",
            "\u{feff}{}",
            "{\"a\":1,}",
            &nested(65),
            &nested(100_000),
        ] {
            assert!(check(bad.as_bytes()).is_err(), "{bad:.60}");
        }
    }
}
