//! What a user may write in a site's file, key by key.

use crate::strict_toml::Spanned;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The JSON schema of a site's file.
pub const JSON: &str = include_str!("../../schemas/site.schema.json");

/// What belongs to a site and not to a policy.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct File {
    /// Where archives of packages are: lists of addresses by the names that definitions of bases use, `debian` and `debian-security`.
    #[serde(default)]
    pub(super) mirrors: BTreeMap<String, Vec<Spanned<String>>>,
    /// How connections are made. The environment has precedence.
    pub(super) network: Option<Network>,
    /// What is kept between runs.
    pub(super) cache: Option<Cache>,
}

/// How connections are made. Files and folders stand below the folder of this file unless they are absolute.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Network {
    /// A file of certificates (PEM) that take the place of the compiled-in authorities, as `SSL_CERT_FILE`.
    pub(super) ca_file: Option<String>,
    /// A folder with `HOST[:PORT]/*.crt`, `client.cert` and `client.key`, as `KARAT_CERTS_DIR`.
    pub(super) certs_dir: Option<String>,
    /// What `docker login` has written, as `REGISTRY_AUTH_FILE`.
    pub(super) auth_file: Option<String>,
    /// Registries without TLS, `HOST[:PORT]`, as `KARAT_PLAIN_HTTP`.
    #[serde(default)]
    pub(super) plain_http: Vec<String>,
    /// After how many seconds of silence a peer counts as dead, 1 to 3600, as `KARAT_HTTP_TIMEOUT`.
    pub(super) timeout: Option<Spanned<u64>>,
    /// How often a request is tried again when the moment was bad, 0 to 20, as `KARAT_HTTP_RETRIES`.
    pub(super) retries: Option<Spanned<u64>>,
    /// The proxy for addresses with TLS, as `HTTPS_PROXY`.
    pub(super) https_proxy: Option<String>,
    /// The proxy for addresses without TLS, as `HTTP_PROXY`.
    pub(super) http_proxy: Option<String>,
    /// The hosts that are reached without a proxy, with commas, as `NO_PROXY`.
    pub(super) no_proxy: Option<String>,
}

/// What is kept between runs.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Cache {
    /// The folder of packages and layers, as `KARAT_CACHE`.
    pub(super) folder: Option<String>,
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_schema_is_made_from_these_types() {
        crate::strict_toml::testing::schema_is_made_from::<super::File>("site");
    }
}
