//! Keys and signatures for tests, made by other programs.
//!
//! These are test keys of no value: their secrets are public by being here, and nothing trusts
//! them.

/// Password of [`COSIGN_KEY`].
pub(super) const COSIGN_PASSWORD: &[u8] = b"karat test password";

/// Written by `cosign generate-key-pair`, cosign v3.1.2, with scrypt N=65536.
pub(super) const COSIGN_KEY: &str = "\
-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----
eyJrZGYiOnsibmFtZSI6InNjcnlwdCIsInBhcmFtcyI6eyJOIjo2NTUzNiwiciI6
OCwicCI6MX0sInNhbHQiOiIyK1NyOThKYXhSQllVUk5hUUN6RXVHbzdWUzBnYWxS
QndLc2hOa0Q0L2dvPSJ9LCJjaXBoZXIiOnsibmFtZSI6Im5hY2wvc2VjcmV0Ym94
Iiwibm9uY2UiOiJ0djRxMjY1MEFIZ0sveUU4aGhTZFZXUWNBTTlIV3B4SSJ9LCJj
aXBoZXJ0ZXh0IjoiWTFHSnZvYkJzVVJaeEcwY1Y1Sk5hMUJXVkZaeGZhNWlNVCs0
WU52M3NmVCtjSXdWV3dWUWRPM1cyMlNaSEp0Zk9uMzNzQitTeTQzNktNTTJybEJn
MHlhcFFleDArS3NKYVZPYmkrYkplY1JUN2pPOUhFbEU1dHNyNXc0RWNPSE5MWUlR
cmh2MzNsTy8xZ1pIbFhOL2xrczRDNWIzYmhHb2dZVmwyaGs2N3hoZStkaWZwNU83
bVNWOTNZdWV0cWlOUVRidldVY1VsYnZaN0E9PSJ9
-----END ENCRYPTED SIGSTORE PRIVATE KEY-----
";

/// Public key of [`COSIGN_KEY`], by the same command.
pub(super) const COSIGN_PUB: &str = "\
-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAErbqS3Qlbt+iKNkraHE0IVdAQQRrP
onXH7WEaHIAdbrV7osIR1RlYxUDBtjPYsxwfNIhWceN4fDLwy3AyVBULcA==
-----END PUBLIC KEY-----
";

/// Written by cosign v3.1.2 with [`COSIGN_KEY`] and a signing configuration without any service:
/// `cosign attest-blob --key cosign.key --predicate pred.json --type
/// https://sigstore.dev/cosign/sign/v1
/// --signing-config signing-config.json --bundle out.json blob`.
pub(super) const COSIGN_BUNDLE: &str = r#"{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json", "verificationMaterial":{"publicKey":{"hint":"7hf5sJzQFI4cVNpCwNQ/ozTghp2r3NEi7fhgpulQJYQ="}}, "dsseEnvelope":{"payload":"eyJfdHlwZSI6Imh0dHBzOi8vaW4tdG90by5pby9TdGF0ZW1lbnQvdjAuMSIsICJzdWJqZWN0IjpbeyJuYW1lIjoiYmxvYiIsICJkaWdlc3QiOnsic2hhMjU2IjoiNzlkOTk2NGQ1YzNkZmEyZGYxODJmMTg2NDllNzZhMDQ2YjBmNDljMzY4NWZjNDVkZTM2OTljMDc3YTdhNGNmMSJ9fV0sICJwcmVkaWNhdGVUeXBlIjoiaHR0cHM6Ly9zaWdzdG9yZS5kZXYvY29zaWduL3NpZ24vdjEiLCAicHJlZGljYXRlIjp7fX0=", "payloadType":"application/vnd.in-toto+json", "signatures":[{"sig":"MEYCIQCBWP6tyhOkIQs06XVjT8PK3VJ/n6EiX/cTBC4p6v4vugIhAOuEUYOAaxM6LlOq0nstE7aPKoQ1W68T+I1Tyao1MiA5"}]}}"#;

/// Digest of the `blob` that [`COSIGN_BUNDLE`] is about.
pub(super) const COSIGN_BUNDLE_SUBJECT: &str =
    "79d9964d5c3dfa2df182f18649e76a046b0f49c3685fc45de3699c077a7a4cf1";

/// Written by Python 3.11.7 `hashlib.scrypt` with N=32768, PyNaCl 1.6.2 and cryptography 50.0.2,
/// under the empty password.
pub(super) const LEGACY_KEY: &str = "\
-----BEGIN ENCRYPTED COSIGN PRIVATE KEY-----
eyJrZGYiOnsibmFtZSI6InNjcnlwdCIsInBhcmFtcyI6eyJOIjozMjc2OCwiciI6
OCwicCI6MX0sInNhbHQiOiJZMGVhMXBvSkN5V0NkK3lQdW0rWlFab3YreVNKZ1ZF
R1Y4bEV6TkVVanBjPSJ9LCJjaXBoZXIiOnsibmFtZSI6Im5hY2wvc2VjcmV0Ym94
Iiwibm9uY2UiOiJlRGQ3VWxkWHRKUkNmNGtCVDVmWG1TanprNDBVNjFIaSJ9LCJj
aXBoZXJ0ZXh0IjoiQzExTk5YZWZaNnB1a01LOE9sbFgxTzZtNk1GMXluK21CblZK
RCsyaXhoUXJOc3hlaVFjWHJ0WUh1MXdBT1IyR2tLbE9UbWFsVDZMY0VuTXdrZndE
NTVnaytvdXZGTDJoK1JFaXhPbE9GMWtIejYwRUhJQ3dIQWtVMkVFVnFnbWpYUWhJ
eWpwelF0bDlTdXBRc2FTbEhYK2JLV3luZlpwQy9zeDJxaGZYSldkWnR5VCs0YVJX
b2F4bm9wKzBVRHpqVUVEWkd0QnB4TzhSK2c9PSJ9
-----END ENCRYPTED COSIGN PRIVATE KEY-----
";

/// Public key of [`LEGACY_KEY`], by cryptography 50.0.2.
pub(super) const LEGACY_PUB: &str = "\
-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEGf/jvwriKaSH+foL+4Ca244BERv6
Dh7qMYuWfYBbHHODeRPB4pMxLd1bK1lr9UWVtC5Y4vqay8bBlS2Gc7r1JQ==
-----END PUBLIC KEY-----
";

/// Written by `openssl ecparam -name prime256v1 -genkey`, OpenSSL 3.0.19.
pub(super) const SEC1: &str = "\
-----BEGIN EC PARAMETERS-----
BggqhkjOPQMBBw==
-----END EC PARAMETERS-----
-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIBA5pXeAMpmVvagO2DJk10cFuIet6vmrSwE8iH733THBoAoGCCqGSM49
AwEHoUQDQgAELVVZ7sjwzPJDVrOkscwK/40p/wpJDeLgdGMkXqM/5Vh1Xql4FkCl
sQfvj02O41KRkFQotz+VhvvC/lbwVIDXcQ==
-----END EC PRIVATE KEY-----
";

/// Key of [`SEC1`], by `openssl pkcs8 -topk8 -nocrypt`.
pub(super) const PKCS8: &str = "\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgEDmld4AymZW9qA7Y
MmTXRwW4h63q+atLATyIfvfdMcGhRANCAAQtVVnuyPDM8kNWs6SxzAr/jSn/CkkN
4uB0YyReoz/lWHVeqXgWQKWxB++PTY7jUpGQVCi3P5WG+8L+VvBUgNdx
-----END PRIVATE KEY-----
";

/// Public key of [`SEC1`], by `openssl ec -pubout`.
pub(super) const PUB: &str = "\
-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAELVVZ7sjwzPJDVrOkscwK/40p/wpJ
DeLgdGMkXqM/5Vh1Xql4FkClsQfvj02O41KRkFQotz+VhvvC/lbwVIDXcQ==
-----END PUBLIC KEY-----
";

/// Public key of [`SEC1`], by `openssl ec -pubout -conv_form compressed`.
pub(super) const PUB_COMPRESSED: &str = "\
-----BEGIN PUBLIC KEY-----
MDkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDIgADLVVZ7sjwzPJDVrOkscwK/40p/wpJ
DeLgdGMkXqM/5Vg=
-----END PUBLIC KEY-----
";

/// Key of [`SEC1`], by `openssl ec -aes128`.
pub(super) const SEC1_ENCRYPTED: &str = "\
-----BEGIN EC PRIVATE KEY-----
Proc-Type: 4,ENCRYPTED
DEK-Info: AES-128-CBC,CBDFD7612870EA73DC4B62531AD7D4E8

MTZX/qvTbb4mT/Ge2sPjClV/Gtgq2QMpez32fErWEHSyl+qORTBYMKsVByNa4DR8
gz+YxQt2m7nbY8QG34jkIsi3oV/mnuPrOJ6TTqoqvtgEhhOqMC73cbcSzVTt0pOt
oyVI+usL2flVZz5uDoLHYgx8mXdwUrIlEWNThS7dLJU=
-----END EC PRIVATE KEY-----
";

/// Key of [`SEC1`], by `openssl pkcs8 -topk8`.
pub(super) const PKCS8_ENCRYPTED: &str = "\
-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAgZa8fAmNTK3QICCAAw
DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEENSmyXhdEkCVejbEyCeabZsEgZDF
LYeAW1sCXZc/7VKQvdvNwqjjNHYmfMTggP6VR/hF801Wuj5DaigBI9lXpVIYvIdX
t4PYNeDCe5TJmnTGNghMA1XPlYJ6ojro88QRCe9grh/s6YnMrjhzlCaFzGO2bVQP
6+ENC+gNU9wuPEALFns1fa4TALWQotknCITVEkSNh12FvjBySoC32oofVtxN3zg=
-----END ENCRYPTED PRIVATE KEY-----
";

/// Written by `openssl genpkey -algorithm ed25519`.
pub(super) const PKCS8_ED25519: &str = "\
-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEILkChNG0k22cx2d3S8O8YWVb/EnZUymkEVGuP/aGrN3K
-----END PRIVATE KEY-----
";

/// Public key of [`PKCS8_ED25519`].
pub(super) const PUB_ED25519: &str = "\
-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEA47HzBwH6TWyKj9dOUJDRnXEOPhlW4y9Ez19pND7dh1E=
-----END PUBLIC KEY-----
";

/// Written by `openssl ecparam -name secp384r1 -genkey`.
pub(super) const PKCS8_P384: &str = "\
-----BEGIN PRIVATE KEY-----
MIG2AgEAMBAGByqGSM49AgEGBSuBBAAiBIGeMIGbAgEBBDBepyfiXC3WiIUxlAEM
wVJXiSzuhWDercGedZu/242j6bBf1AEJcMBGgklr6JDahWyhZANiAASF57fdnRyo
3RAmiFPo9gCcekhU6TtomwBm60nYEZBmR+9v32xh4NIjPC7XpMzo6nPvMgMir7WT
Cv/RkndK5qKzPtyfo7ZQJbOOTJMaqENpSjZ0CJ8S2XeTJXt5DLgVqIE=
-----END PRIVATE KEY-----
";

/// Public key of [`PKCS8_P384`].
pub(super) const PUB_P384: &str = "\
-----BEGIN PUBLIC KEY-----
MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEhee33Z0cqN0QJohT6PYAnHpIVOk7aJsA
ZutJ2BGQZkfvb99sYeDSIzwu16TM6Opz7zIDIq+1kwr/0ZJ3Suaisz7cn6O2UCWz
jkyTGqhDaUo2dAifEtl3kyV7eQy4FaiB
-----END PUBLIC KEY-----
";

/// Key of the test vector in DSSE's `protocol.md`, brought into PKCS#8 by cryptography 50.0.2.
pub(super) const DSSE_KEY: &str = "\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg1z7EN/1jRuNhnF6/
3/8PaRaASVWtMqyaxJKw7eH2/7ehRANCAARnzTkPd6o1nLCMIjX2UicEk6ntgysK
vMAfcJVMA5DSOAx4K9VOJpElpE9EM6/xQyzpThK8pzqmesgM6hJgjd90
-----END PRIVATE KEY-----
";
