//! Documents that come with a binary: an SBOM and the provenance of its own build.
//!
//! Each must name the binary by the hash of its bytes; one for another file is refused.

use crate::oci::Digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// The longest side-car that is read, in bytes.
pub const MAX_SIDECAR: u64 = 16 << 20;

/// Why a side-car is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum SidecarError {
    #[error("it is no JSON: {0}")]
    Json(String),
    #[error("it is neither a CycloneDX nor an SPDX document")]
    Format,
    #[error("line {0} is no in-toto statement and no DSSE envelope with one")]
    Statement(usize),
    #[error("it names no file with the binary's hash, {0}")]
    OtherFile(Digest),
    #[error("it is longer than {MAX_SIDECAR} bytes")]
    Long,
}

/// Makes sure that an SBOM is about a binary: CycloneDX by a hash of `metadata.component`
/// or of a component, SPDX 2 by a checksum of a package or file.
///
/// # Errors
/// When it is no such document, or about other files.
pub(super) fn check_sbom(bytes: &[u8], binary: &Digest) -> Result<(), SidecarError> {
    let document: Value =
        serde_json::from_slice(bytes).map_err(|error| SidecarError::Json(error.to_string()))?;
    let items = |key: &str| document[key].as_array().into_iter().flatten();
    let named = if document["bomFormat"] == "CycloneDX" {
        let main = std::iter::once(&document["metadata"]["component"]);
        main.chain(items("components"))
            .any(|one| has_hash(&one["hashes"], "alg", "SHA-256", "content", binary))
    } else if document["spdxVersion"].as_str().is_some_and(|version| version.starts_with("SPDX-2."))
    {
        items("packages")
            .chain(items("files"))
            .any(|one| has_hash(&one["checksums"], "algorithm", "SHA256", "checksumValue", binary))
    } else {
        return Err(SidecarError::Format);
    };
    if named { Ok(()) } else { Err(SidecarError::OtherFile(*binary)) }
}

fn has_hash(hashes: &Value, key: &str, algorithm: &str, content: &str, wanted: &Digest) -> bool {
    let wanted = wanted.hex();
    let mut hashes = hashes.as_array().into_iter().flatten();
    hashes.any(|hash| {
        hash[key] == algorithm
            && hash[content].as_str().is_some_and(|hex| hex.eq_ignore_ascii_case(&wanted))
    })
}

/// Makes sure that provenance, one statement or DSSE envelope a line, is about a binary.
/// Signatures are not judged here: whose they may be is for a policy to say.
///
/// # Errors
/// When a line is no statement, or none names the binary.
pub(super) fn check_provenance(bytes: &[u8], binary: &Digest) -> Result<(), SidecarError> {
    let text = std::str::from_utf8(bytes).map_err(|error| SidecarError::Json(error.to_string()))?;
    let wanted = binary.hex();
    let mut named = false;
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let broken = || SidecarError::Statement(number + 1);
        let line: Value = serde_json::from_str(line).map_err(|_| broken())?;
        let envelope = if line["dsseEnvelope"].is_object() { &line["dsseEnvelope"] } else { &line };
        let statement = match envelope["payload"].as_str() {
            Some(payload) => {
                let payload = STANDARD.decode(payload).map_err(|_| broken())?;
                serde_json::from_slice(&payload).map_err(|_| broken())?
            }
            None => line,
        };
        let kind = statement["_type"].as_str().unwrap_or_default();
        if !kind.starts_with("https://in-toto.io/Statement/") {
            return Err(broken());
        }
        let mut subjects = statement["subject"].as_array().into_iter().flatten();
        named |= subjects.any(|subject| subject["digest"]["sha256"] == wanted.as_str());
    }
    if named { Ok(()) } else { Err(SidecarError::OtherFile(*binary)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn documents_name_their_binary_or_are_refused() {
        let binary = Digest::of(b"binary");
        let cyclonedx = |hash: String| {
            json!({"bomFormat": "CycloneDX", "metadata": {"component": {"hashes": [{"alg": "SHA-256", "content": hash}]}}})
                .to_string()
        };
        let spdx = json!({"spdxVersion": "SPDX-2.3", "packages": [
            {"checksums": [{"algorithm": "SHA256", "checksumValue": binary.hex()}]}]})
        .to_string();
        assert_eq!(check_sbom(cyclonedx(binary.hex()).as_bytes(), &binary), Ok(()));
        assert_eq!(check_sbom(spdx.as_bytes(), &binary), Ok(()));
        let other = cyclonedx(Digest::of(b"other").hex());
        assert_eq!(check_sbom(other.as_bytes(), &binary), Err(SidecarError::OtherFile(binary)));
        assert_eq!(check_sbom(b"{}", &binary), Err(SidecarError::Format));
        assert!(matches!(check_sbom(b"{", &binary), Err(SidecarError::Json(_))));
        assert!(matches!(
            check_sbom("[".repeat(100_000).as_bytes(), &binary),
            Err(SidecarError::Json(_))
        ));
    }

    #[test]
    fn provenance_is_read_bare_and_in_envelopes() {
        let binary = Digest::of(b"binary");
        let statement = json!({"_type": "https://in-toto.io/Statement/v1",
            "subject": [{"digest": {"sha256": binary.hex()}}]});
        let envelope = json!({"payloadType": "application/vnd.in-toto+json",
            "payload": STANDARD.encode(statement.to_string()), "signatures": []});
        let bundle = json!({"dsseEnvelope": envelope});
        for line in [&statement, &envelope, &bundle] {
            assert_eq!(check_provenance(format!("{line}\n\n").as_bytes(), &binary), Ok(()));
            let other = Digest::of(b"other");
            let refused = check_provenance(line.to_string().as_bytes(), &other);
            assert_eq!(refused, Err(SidecarError::OtherFile(other)));
        }
        assert_eq!(check_provenance(b"{}\n", &binary), Err(SidecarError::Statement(1)));
    }
}
