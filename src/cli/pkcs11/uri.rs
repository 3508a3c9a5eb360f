//! Addresses of keys in tokens.
//!
//! Source: RFC 7512, "The PKCS #11 URI Scheme", sections 2.3 and 2.4. What is not known is refused,
//! and so is the PIN itself: who lists the processes of a machine reads the arguments.

use karat::finding::escape;
use std::path::PathBuf;

/// The longest address, in bytes.
const LONGEST: usize = 4096;

/// What an address says of a key. Everything that is said must fit.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Uri {
    /// The label of the token.
    pub(super) token: Option<String>,
    /// The number of the slot that it is in.
    pub(super) slot: Option<u64>,
    pub(super) serial: Option<String>,
    pub(super) manufacturer: Option<String>,
    pub(super) model: Option<String>,
    /// The label of the key.
    pub(super) object: Option<String>,
    /// The id of the key.
    pub(super) id: Option<Vec<u8>>,
    /// The library that reaches the token.
    pub(super) module: Option<PathBuf>,
    /// The file that holds the PIN.
    pub(super) pin_file: Option<PathBuf>,
}

impl Uri {
    /// Reads what stands behind `pkcs11:`.
    ///
    /// # Errors
    /// In words: what is said twice, is not known, is no text, or is a PIN.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.len() > LONGEST {
            return Err(format!("it is longer than {LONGEST} bytes"));
        }
        let (path, query) = text.split_once('?').unwrap_or((text, ""));
        let mut uri = Self::default();
        for part in path.split(';').filter(|part| !part.is_empty()) {
            let (name, value) = pair(part)?;
            match name {
                "token" => set(&mut uri.token, name, string(name, value)?)?,
                "serial" => set(&mut uri.serial, name, string(name, value)?)?,
                "manufacturer" => set(&mut uri.manufacturer, name, string(name, value)?)?,
                "model" => set(&mut uri.model, name, string(name, value)?)?,
                "object" => set(&mut uri.object, name, string(name, value)?)?,
                "id" => set(&mut uri.id, name, decoded(value)?)?,
                "slot-id" => {
                    let digits = value.bytes().all(|c| c.is_ascii_digit());
                    let number = value.parse().ok().filter(|_| digits);
                    set(&mut uri.slot, name, number.ok_or("`slot-id` is a number")?)?;
                }
                "type" if value == "private" => {}
                "type" => return Err("what signs has the `type` `private`".to_owned()),
                other => return Err(unknown(other)),
            }
        }
        for part in query.split('&').filter(|part| !part.is_empty()) {
            let (name, value) = pair(part)?;
            match name {
                "module-path" => set(&mut uri.module, name, string(name, value)?.into())?,
                "pin-source" => {
                    let file = string(name, value)?;
                    let file = file.strip_prefix("file:").unwrap_or(&file);
                    let file = file.strip_prefix("//").unwrap_or(file);
                    set(&mut uri.pin_file, name, file.into())?;
                }
                "pin-value" => {
                    return Err("a PIN is no part of an address, where others read it: name its file, `pin-source=file:PATH`, or set COSIGN_PKCS11_PIN".to_owned());
                }
                other => return Err(unknown(other)),
            }
        }
        if uri.object.is_none() && uri.id.is_none() {
            return Err("it names no key: `object=LABEL` or `id=%01`".to_owned());
        }
        Ok(uri)
    }
}

fn unknown(name: &str) -> String {
    let name: String = name.chars().take(40).collect();
    format!("`{}` is not known", escape::terminal(&name))
}

fn pair(part: &str) -> Result<(&str, &str), String> {
    part.split_once('=').ok_or_else(|| "a part of it is no `name=value`".to_owned())
}

fn set<T>(place: &mut Option<T>, name: &str, value: T) -> Result<(), String> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(format!("`{name}` is said twice")),
    }
}

fn string(name: &str, value: &str) -> Result<String, String> {
    let text = String::from_utf8(decoded(value)?).map_err(|_| format!("`{name}` is no text"))?;
    match text.is_empty() || text.contains('\0') {
        true => Err(format!("`{name}` says nothing, or holds a zero")),
        false => Ok(text),
    }
}

/// Undoes percent-encoding (RFC 3986 section 2.1).
fn decoded(value: &str) -> Result<Vec<u8>, String> {
    let digit = |at: usize| value.as_bytes().get(at).and_then(|c| char::from(*c).to_digit(16));
    let mut bytes = Vec::with_capacity(value.len());
    let mut at = 0;
    while let Some(byte) = value.as_bytes().get(at) {
        if *byte == b'%' {
            let number = digit(at + 1).zip(digit(at + 2)).map(|(high, low)| high * 16 + low);
            let number = number.and_then(|number| u8::try_from(number).ok());
            bytes.push(number.ok_or("`%` is not followed by two hexadecimal digits")?);
            at += 3;
        } else {
            bytes.push(*byte);
            at += 1;
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_or_refused() {
        let uri = Uri::parse(
            "token=Release%20keys;slot-id=7;object=signer;id=%01%ab;type=private?module-path=/usr/lib/p.so&pin-source=file:/run/pin",
        )
        .unwrap();
        assert_eq!(uri.token.as_deref(), Some("Release keys"));
        assert_eq!((uri.slot, uri.object.as_deref()), (Some(7), Some("signer")));
        assert_eq!(uri.id, Some(vec![1, 0xab]));
        assert_eq!(uri.module, Some("/usr/lib/p.so".into()));
        assert_eq!(uri.pin_file, Some("/run/pin".into()));
        for (text, says) in [
            ("", "names no key"),
            ("token=a", "names no key"),
            ("object=a;object=b", "twice"),
            ("object=a;colour=red", "`colour` is not known"),
            ("object=a?shade=red", "`shade` is not known"),
            ("object=a?pin-value=1234", "no part of an address"),
            ("object=%zz", "two hexadecimal"),
            ("object=%f", "two hexadecimal"),
            ("object=%ff", "no text"),
            ("object=", "says nothing"),
            ("object=a%00b", "a zero"),
            ("object=a;slot-id=-1", "a number"),
            ("object=a;slot-id=99999999999999999999999", "a number"),
            ("object=a;type=public", "private"),
            ("signer", "name=value"),
        ] {
            let error = Uri::parse(text).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
            assert!(!error.contains("1234"), "a PIN is never shown");
        }
        assert!(Uri::parse(&format!("object={}", "a".repeat(LONGEST))).is_err());
    }
}
