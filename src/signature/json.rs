//! One strict pass over foreign JSON.
//!
//! RFC 8259 section 4 leaves the meaning of two equal keys to the reader, so a document with them
//! may be one thing to the verifier and another to the program that acts on it. This pass refuses
//! such documents, and documents that are too deep or too large, before any type is built from
//! them. It holds no more than the keys of the objects it is inside of.

use std::{collections::HashSet, fmt, marker::PhantomData};

use serde::{
    Deserialize, Serialize,
    de::{
        DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer,
    },
};

use super::error::{Error, quoted};

/// Bounds what a JSON document may cost its reader.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// The kind of document, for errors.
    pub what: &'static str,
    /// Largest size in bytes.
    pub bytes: usize,
    /// Deepest nesting of objects and arrays; below 128, where `serde_json` itself stops.
    pub depth: usize,
    /// Largest number of values, containers included.
    pub values: usize,
}

/// Refuses a text that is no JSON, has a duplicate key in any object, or exceeds a limit.
pub(super) fn check(text: &[u8], limits: Limits) -> Result<(), Error> {
    if text.len() > limits.bytes {
        return Err(Error::TooLarge { what: limits.what, limit: limits.bytes });
    }
    let mut scan = Scan { limits, values: 0, violation: None };
    let mut reader = serde_json::Deserializer::from_slice(text);
    let outcome =
        Value { scan: &mut scan, depth: 0 }.deserialize(&mut reader).and_then(|()| reader.end());
    match (scan.violation, outcome) {
        (Some(violation), _) => Err(violation),
        (None, Err(error)) => Err(invalid(limits.what, &error)),
        (None, Ok(())) => Ok(()),
    }
}

/// Reads a text that [`check`] has accepted into a type whose JSON form is an object.
pub(super) fn object<'de, T: Deserialize<'de>>(
    text: &'de [u8],
    what: &'static str,
) -> Result<T, Error> {
    serde_json::from_slice::<Object<T>>(text)
        .map(|object| object.0)
        .map_err(|error| invalid(what, &error))
}

/// Reads its content from a JSON object only.
///
/// A derived `Deserialize` also takes an array with the fields in order, a form no other reader of
/// these formats knows.
#[derive(Serialize)]
#[serde(transparent)]
pub(super) struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData)).map(Self)
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

/// Reports a `serde_json` error without repeating control characters of the document.
pub(super) fn invalid(what: &'static str, error: &serde_json::Error) -> Error {
    Error::Json { what, reason: quoted(&error.to_string()) }
}

struct Scan {
    limits: Limits,
    values: usize,
    violation: Option<Error>,
}

impl Scan {
    fn refuse<E: serde::de::Error>(&mut self, violation: Error) -> E {
        self.violation = Some(violation);
        E::custom("refused")
    }
}

struct Value<'s> {
    scan: &'s mut Scan,
    depth: usize,
}

impl Value<'_> {
    fn enter<E: serde::de::Error>(&mut self) -> Result<(), E> {
        self.depth += 1;
        let limits = self.scan.limits;
        if self.depth > limits.depth {
            return Err(self
                .scan
                .refuse(Error::TooDeep { what: limits.what, limit: limits.depth }));
        }
        Ok(())
    }

    fn child(&mut self) -> Value<'_> {
        Value { scan: self.scan, depth: self.depth }
    }
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.scan.values += 1;
        let limits = self.scan.limits;
        if self.scan.values > limits.values {
            return Err(self
                .scan
                .refuse(Error::TooManyValues { what: limits.what, limit: limits.values }));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
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

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut sequence: A) -> Result<(), A::Error> {
        self.enter()?;
        while sequence.next_element_seed(self.child())?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        self.enter()?;
        let mut seen = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            // Compared after unescaping: "a" and "\u0061" are the same key to every reader.
            if seen.contains(&key) {
                let duplicate =
                    Error::DuplicateKey { what: self.scan.limits.what, key: quoted(&key) };
                return Err(self.scan.refuse(duplicate));
            }
            seen.insert(key);
            map.next_value_seed(self.child())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { what: "document", bytes: 200_000, depth: 16, values: 100 };

    #[test]
    fn accepts_plain_json() {
        let text = br#"{"a":[1,-2,3.5,null,true,"x"],"b":{"a":{}}}"#;
        assert_eq!(check(text, LIMITS), Ok(()));
    }

    #[test]
    fn refuses_duplicate_keys_at_any_depth_and_in_any_spelling() {
        for text in
            [r#"{"a":1,"a":1}"#, r#"{"x":[{"y":{"a":1,"b":2,"a":3}}]}"#, r#"{"a":1,"\u0061":2}"#]
        {
            assert_eq!(
                check(text.as_bytes(), LIMITS),
                Err(Error::DuplicateKey { what: "document", key: "a".to_owned() }),
                "{text}"
            );
        }
    }

    #[test]
    fn refuses_deep_nesting_without_recursing_into_it() {
        for text in ["[".repeat(100_000), "{\"a\":".repeat(30_000)] {
            assert_eq!(
                check(text.as_bytes(), LIMITS),
                Err(Error::TooDeep { what: "document", limit: 16 })
            );
        }
        let fits = format!("{}{}", "[".repeat(16), "]".repeat(16));
        assert_eq!(check(fits.as_bytes(), LIMITS), Ok(()));
    }

    #[test]
    fn refuses_too_many_values_and_too_many_bytes() {
        let wide = format!("[{}0]", "0,".repeat(100));
        assert_eq!(
            check(wide.as_bytes(), LIMITS),
            Err(Error::TooManyValues { what: "document", limit: 100 })
        );
        let long = " ".repeat(200_001);
        assert_eq!(
            check(long.as_bytes(), LIMITS),
            Err(Error::TooLarge { what: "document", limit: 200_000 })
        );
    }

    #[test]
    fn objects_are_not_read_from_arrays() {
        #[derive(Deserialize)]
        struct Pair {
            a: u8,
        }
        assert_eq!(object::<Pair>(br#"{"a":1}"#, "pair").unwrap().a, 1);
        assert!(matches!(object::<Pair>(b"[1]", "pair"), Err(Error::Json { what: "pair", .. })));
    }

    #[test]
    fn refuses_what_is_not_one_json_value_of_utf8() {
        for text in [
            &b""[..],
            b"{",
            b"{} {}",
            b"{'a':1}",
            b"\xef\xbb\xbf{}",
            b"\"\xff\"",
            b"{\"\\ud800\":1}",
            b"[1,]",
        ] {
            assert!(matches!(check(text, LIMITS), Err(Error::Json { .. })), "{text:?}");
        }
    }
}
