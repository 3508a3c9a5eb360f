//! Clear-signed text: what is signed, and the signatures below it.
//!
//! Stricter than RFC 9580, section 7: nothing may stand before or behind, so that no reader
//! takes an unsigned line for a signed one.

/// The longest document, in bytes.
pub const MAX: usize = 8 << 20;

const BEGIN: &str = "-----BEGIN PGP SIGNED MESSAGE-----";
const SIGNATURE: &str = "-----BEGIN PGP SIGNATURE-----";
const END: &str = "-----END PGP SIGNATURE-----";

/// A clear-signed document, taken apart. Nothing is verified yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClearSigned {
    /// The lines that are signed, without blanks at their ends, each ended by a line feed.
    pub text: String,
    /// The armoured signatures.
    pub armor: String,
}

/// Why a text is no clear-signed document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum ClearSignError {
    #[error("it is longer than {MAX} bytes")]
    Long,
    #[error("it is no text")]
    NoText,
    #[error("it does not begin with `{BEGIN}`")]
    NoBegin,
    #[error("a web page came back instead of it")]
    WebPage,
    #[error("its headers say something that is no hash: `{0}`")]
    Header(String),
    #[error("line {0} begins with a dash that is not escaped")]
    Dash(usize),
    #[error("it has no signature")]
    NoSignature,
    #[error("its signature has no end")]
    NoEnd,
    #[error("text follows its signature")]
    Trailing,
}

impl ClearSigned {
    /// Takes a document apart.
    ///
    /// # Errors
    /// When it is not exactly one clear-signed document.
    pub fn parse(bytes: &[u8]) -> Result<Self, ClearSignError> {
        if bytes.len() > MAX {
            return Err(ClearSignError::Long);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| ClearSignError::NoText)?;
        if text.contains('\0') {
            return Err(ClearSignError::NoText);
        }
        let mut lines = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
        let first = lines.next().unwrap_or_default();
        if first != BEGIN {
            let page = ["<!doctype", "<html"];
            let start = first.trim_start().to_ascii_lowercase();
            return Err(match page.iter().any(|page| start.starts_with(page)) {
                true => ClearSignError::WebPage,
                false => ClearSignError::NoBegin,
            });
        }
        let mut number = 1;
        loop {
            number += 1;
            match lines.next() {
                Some("") => break,
                Some(line) if line.starts_with("Hash: ") => {}
                Some(line) => {
                    return Err(ClearSignError::Header(line.chars().take(60).collect()));
                }
                None => return Err(ClearSignError::NoSignature),
            }
        }
        let mut signed = String::with_capacity(text.len());
        loop {
            number += 1;
            let line = lines.next().ok_or(ClearSignError::NoSignature)?;
            if line == SIGNATURE {
                break;
            }
            let line = match line.strip_prefix("- ") {
                Some(line) => line,
                None if line.starts_with('-') => return Err(ClearSignError::Dash(number)),
                None => line,
            };
            // Blanks at the end of a line are not covered by the signature, a carriage return
            // within one is not what gpg makes of it.
            signed.push_str(line.trim_end_matches([' ', '\t', '\r']));
            signed.push('\n');
        }
        let mut armor = format!("{SIGNATURE}\n");
        loop {
            let line = lines.next().ok_or(ClearSignError::NoEnd)?;
            armor.push_str(line);
            armor.push('\n');
            if line == END {
                break;
            }
        }
        match lines.all(str::is_empty) {
            true => Ok(Self { text: signed, armor }),
            false => Err(ClearSignError::Trailing),
        }
    }

    /// Returns the bytes that the signatures are over: the lines with `CR LF` between them and
    /// none behind the last (RFC 9580, section 7.2).
    pub fn signed_bytes(&self) -> Vec<u8> {
        let text = self.text.strip_suffix('\n').unwrap_or(&self.text);
        text.replace('\n', "\r\n").into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nOrigin: x  \n- - dash\n\nlast\n-----BEGIN PGP SIGNATURE-----\n\nAAAA\n-----END PGP SIGNATURE-----\n";

    #[test]
    fn what_is_signed_is_taken_apart() {
        let signed = ClearSigned::parse(GOOD.as_bytes()).unwrap();
        assert_eq!(signed.text, "Origin: x\n- dash\n\nlast\n");
        assert_eq!(signed.signed_bytes(), b"Origin: x\r\n- dash\r\n\r\nlast");
        assert!(signed.armor.starts_with(SIGNATURE) && signed.armor.ends_with("SIGNATURE-----\n"));
        assert_eq!(ClearSigned::parse(GOOD.replace('\n', "\r\n").as_bytes()).unwrap(), signed);
    }

    #[test]
    fn nothing_stands_around_or_between() {
        let error = |from: &str, to: &str| {
            let text = GOOD.replacen(from, to, 1);
            assert_ne!(text, GOOD);
            ClearSigned::parse(text.as_bytes()).unwrap_err()
        };
        assert_eq!(
            error("-----BEGIN PGP SIGNED", "Origin: evil\n-----BEGIN PGP SIGNED"),
            ClearSignError::NoBegin
        );
        assert_eq!(error(BEGIN, "<!DOCTYPE html>"), ClearSignError::WebPage);
        assert!(matches!(error("Hash: SHA256", "Origin: evil"), ClearSignError::Header(_)));
        assert!(matches!(error("Hash: SHA256\n", "Hash: SHA256\n \n"), ClearSignError::Header(_)));
        assert_eq!(error("- - dash", "- dash\n-dash"), ClearSignError::Dash(6));
        assert_eq!(error(SIGNATURE, "-----BEGIN PGP SIGNATURE----- "), ClearSignError::Dash(8));
        assert_eq!(error("\n-----BEGIN PGP SIGNATURE-----", ""), ClearSignError::Dash(10));
        assert_eq!(error("\n-----END PGP SIGNATURE-----", ""), ClearSignError::NoEnd);
        assert_eq!(
            error("-----END PGP SIGNATURE-----\n", "-----END PGP SIGNATURE-----\nx\n"),
            ClearSignError::Trailing
        );
        assert_eq!(error("last", "la\0st"), ClearSignError::NoText);
        assert_eq!(ClearSigned::parse(b"\xff"), Err(ClearSignError::NoText));
        assert_eq!(ClearSigned::parse(&vec![b'-'; MAX + 1]), Err(ClearSignError::Long));
        for cut in 0..GOOD.len() - 1 {
            assert!(ClearSigned::parse(&GOOD.as_bytes()[..cut]).is_err(), "{cut}");
        }
    }
}
