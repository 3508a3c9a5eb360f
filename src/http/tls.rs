//! Whom a TLS connection trusts, and who it says that we are.
//!
//! The roots are those of Mozilla, compiled in: karat is one static file that also runs in
//! an image without a certificate store, and trusts the same authorities on every machine.
//! A site names its own in a file.

use super::Secret;
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};

/// The longest file of certificates that is read, in bytes; Mozilla's bundle has 220 kB.
pub const MAX_PEM: usize = 4 << 20;
/// The most certificates of one file.
const MAX_CERTIFICATES: usize = 2000;

/// What a site says about TLS: the contents of PEM files that the caller has read.
#[derive(Clone, Default)]
pub struct Tls {
    /// Takes the place of the roots that are compiled in, as `SSL_CERT_FILE` does everywhere.
    pub roots: Option<Vec<u8>>,
    /// A certificate for servers that ask who we are, with its chain.
    pub client_certificate: Option<Vec<u8>>,
    /// The key of that certificate.
    pub client_key: Option<Secret>,
}

/// Why the files cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum TlsError {
    #[error("the {0} holds no certificate in PEM form")]
    NoCertificate(&'static str),
    #[error("the {0} cannot be read as PEM")]
    Pem(&'static str),
    #[error("the {0} holds more than {MAX_CERTIFICATES} certificates")]
    Many(&'static str),
    #[error("the client certificate and its key are both needed")]
    Half,
    #[error("the client key holds no private key in PEM form")]
    NoKey,
}

impl Tls {
    pub(super) fn config(&self) -> Result<TlsConfig, TlsError> {
        let mut config = TlsConfig::builder();
        config = config.root_certs(match &self.roots {
            Some(pem) => RootCerts::new_with_certs(&certificates("file of roots", pem)?),
            None => RootCerts::WebPki,
        });
        match (&self.client_certificate, &self.client_key) {
            (None, None) => {}
            (Some(chain), Some(key)) => {
                let chain = certificates("client certificate", chain)?;
                let key =
                    PrivateKey::from_pem(key.expose().as_bytes()).map_err(|_| TlsError::NoKey)?;
                config = config.client_cert(Some(ClientCert::new_with_certs(&chain, key)));
            }
            _ => return Err(TlsError::Half),
        }
        Ok(config.build())
    }
}

fn certificates(what: &'static str, pem: &[u8]) -> Result<Vec<Certificate<'static>>, TlsError> {
    let mut found = Vec::new();
    for item in parse_pem(pem) {
        match item.map_err(|_| TlsError::Pem(what))? {
            PemItem::Certificate(one) => found.push(one),
            _ => continue,
        }
        if found.len() > MAX_CERTIFICATES {
            return Err(TlsError::Many(what));
        }
    }
    if found.is_empty() { Err(TlsError::NoCertificate(what)) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_without_certificates_are_refused() {
        let roots = |bytes: &[u8]| Tls { roots: Some(bytes.to_vec()), ..Tls::default() };
        assert!(Tls::default().config().is_ok());
        assert_eq!(roots(b"").config().unwrap_err(), TlsError::NoCertificate("file of roots"));
        assert_eq!(roots(b"text").config().unwrap_err(), TlsError::NoCertificate("file of roots"));
        let half = Tls { client_key: Some(Secret::new("x")), ..Tls::default() };
        assert_eq!(half.config().unwrap_err(), TlsError::Half);
    }
}
