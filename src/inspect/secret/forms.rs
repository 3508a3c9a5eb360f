//! The forms of secrets: what each begins with, and what must follow.
//!
//! Only forms that nothing else has: prefixes that issuers chose to be found, with the lengths,
//! characters and checksums that they publish; keys in their armour, with a body; documents
//! that name a password. Words near a random string are no form: in programs they are noise.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::engine::{DecodePaddingMode, general_purpose::URL_SAFE_NO_PAD};
use memchr::memmem;

/// How many bytes behind the start of a mark say whether it is a secret.
pub(in crate::inspect) const REACH: usize = 1024;
/// How many bytes before it do.
pub(super) const BEFORE: usize = 64;

/// What a secret opens, and so which rule it breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opens {
    /// An account of a service.
    Account,
    /// Whatever trusts the key.
    Key,
    /// Something that asks for name and password.
    Login,
}

/// A kind of secret.
#[derive(Debug)]
pub(super) struct Form {
    /// Its name in evidence.
    pub(super) id: &'static str,
    /// What it is, in words.
    pub(super) what: &'static str,
    pub(super) opens: Opens,
    /// What it is found by, and a bar. In a program its strings stand side by side: without
    /// the bars karat would carry what looks like tokens, and find itself.
    marked: &'static str,
    /// Takes the bytes before the mark, and those from the mark on; gives how long the secret
    /// is from the mark on.
    check: Check,
}

#[derive(Debug, Clone, Copy)]
enum Check {
    /// So many characters of a class, at least and at most, then none of the class.
    Run(fn(u8) -> bool, usize, usize),
    /// More than characters and a length.
    Own(fn(&[u8], &[u8]) -> Option<usize>),
}

const fn run(
    id: &'static str,
    what: &'static str,
    marked: &'static str,
    class: fn(u8) -> bool,
    least: usize,
    most: usize,
) -> Form {
    Form { id, what, opens: Opens::Account, marked, check: Check::Run(class, least, most) }
}

const fn own(
    id: &'static str,
    what: &'static str,
    opens: Opens,
    marked: &'static str,
    check: fn(&[u8], &[u8]) -> Option<usize>,
) -> Form {
    Form { id, what, opens, marked, check: Check::Own(check) }
}

/// No end that matters.
const ANY: usize = 512;

/// The forms. One that is longer comes before one that it begins with.
pub(super) const FORMS: [Form; 72] = [
    run("aws-access-key", "an AWS access key", "AKIA|", base32, 16, 16),
    run("aws-access-key", "an AWS access key", "ASIA|", base32, 16, 16),
    own("github-token", "a GitHub token", Opens::Account, "ghp_|", github),
    own("github-token", "a GitHub token", Opens::Account, "gho_|", github),
    own("github-token", "a GitHub token", Opens::Account, "ghu_|", github),
    own("github-token", "a GitHub token", Opens::Account, "ghs_|", github),
    own("github-token", "a GitHub token", Opens::Account, "ghr_|", github),
    own("github-token", "a GitHub token", Opens::Account, "github_pat_|", fine_grained),
    run("gitlab-token", "a GitLab token", "glpat-|", word, 20, ANY),
    run("gitlab-token", "a GitLab token", "gldt-|", word, 20, ANY),
    run("gitlab-token", "a GitLab token", "glrt-|", word, 20, ANY),
    run("gitlab-token", "a GitLab token", "glptt-|", hex, 40, 40),
    run("gitlab-token", "a GitLab token", "glcbt-|", word, 20, ANY),
    run("gitlab-token", "a GitLab token", "glsoat-|", word, 20, ANY),
    run("gitlab-token", "a GitLab token", "glagent-|", word, 50, ANY),
    own("slack-token", "a Slack token", Opens::Account, "xoxb-|", slack),
    own("slack-token", "a Slack token", Opens::Account, "xoxp-|", slack),
    own("slack-token", "a Slack token", Opens::Account, "xoxa-|", slack),
    own("slack-token", "a Slack token", Opens::Account, "xoxr-|", slack),
    own("slack-token", "a Slack token", Opens::Account, "xoxs-|", slack),
    own("slack-token", "a Slack token", Opens::Account, "xoxe-|", slack),
    own("slack-token", "a Slack token", Opens::Account, "xoxe.xox|", slack),
    own("slack-token", "a Slack token", Opens::Account, "xapp-1-|", slack_app),
    own(
        "slack-webhook",
        "a Slack webhook",
        Opens::Account,
        "hooks.slack.com/services/T|",
        slack_hook,
    ),
    run("google-api-key", "a Google API key", "AIza|", word, 35, 35),
    run("google-oauth-secret", "a secret of a Google OAuth client", "GOCSPX-|", word, 28, 28),
    own("azure-storage-key", "an Azure storage key", Opens::Account, "AccountKey=|", azure),
    run("npm-token", "an npm token", "npm_|", alnum, 36, 36),
    run("npm-token", "an npm token", "_authToken=|", npmrc, 20, ANY),
    run("pypi-token", "a PyPI token", "pypi-AgEIcHlwaS5vcmc|", word, 50, ANY),
    run("pypi-token", "a PyPI token", "pypi-AgENdGVzdC5weXBpLm9yZw|", word, 50, ANY),
    run("rubygems-token", "a RubyGems token", "rubygems_|", hex, 48, 48),
    run("vault-token", "a Vault token", "hvs.|", word, 24, ANY),
    run("vault-token", "a Vault token", "hvb.|", word, 60, ANY),
    run("vault-token", "a Vault token", "hvr.|", word, 60, ANY),
    own("terraform-token", "a Terraform token", Opens::Account, ".atlasv1.|", terraform),
    run("pulumi-token", "a Pulumi token", "pul-|", hex, 40, 40),
    run("docker-hub-token", "a Docker Hub token", "dckr_pat_|", word, 27, 27),
    run("docker-hub-token", "a Docker Hub token", "dckr_oat_|", word, 32, 32),
    run("digitalocean-token", "a DigitalOcean token", "dop_v1_|", hex, 64, 64),
    run("digitalocean-token", "a DigitalOcean token", "doo_v1_|", hex, 64, 64),
    run("digitalocean-token", "a DigitalOcean token", "dor_v1_|", hex, 64, 64),
    run("stripe-key", "a Stripe key", "sk_live_|", alnum, 24, ANY),
    run("stripe-key", "a Stripe key", "rk_live_|", alnum, 24, ANY),
    own("sendgrid-key", "a SendGrid key", Opens::Account, "SG.|", sendgrid),
    own("openai-key", "an OpenAI key", Opens::Account, "T3BlbkFJ|", openai),
    run("anthropic-key", "an Anthropic key", "sk-ant-api03-|", word, 80, ANY),
    run("anthropic-key", "an Anthropic key", "sk-ant-admin01-|", word, 80, ANY),
    run("hugging-face-token", "a Hugging Face token", "hf_|", letter, 34, 34),
    run("databricks-token", "a Databricks token", "dapi|", hex, 32, 32),
    own("grafana-token", "a Grafana token", Opens::Account, "glsa_|", grafana),
    run("new-relic-key", "a New Relic key", "NRAK-|", upper, 27, 27),
    run("atlassian-token", "an Atlassian token", "ATATT3xFfGF0|", atlassian, 150, ANY),
    run("linear-key", "a Linear key", "lin_api_|", alnum, 40, 40),
    run("shopify-token", "a Shopify token", "shpat_|", hex, 32, 32),
    run("shopify-token", "a Shopify token", "shpss_|", hex, 32, 32),
    run("tailscale-key", "a Tailscale key", "tskey-auth-|", word, 24, ANY),
    run("tailscale-key", "a Tailscale key", "tskey-api-|", word, 24, ANY),
    run("doppler-token", "a Doppler token", "dp.pt.|", alnum, 40, 44),
    own("postman-key", "a Postman key", Opens::Account, "PMAK-|", postman),
    run("planetscale-token", "a PlanetScale token", "pscale_tkn_|", word, 32, ANY),
    run("planetscale-token", "a PlanetScale password", "pscale_pw_|", word, 32, ANY),
    run("supabase-token", "a Supabase token", "sbp_|", hex, 40, 40),
    run("jfrog-key", "a JFrog key", "AKCp|", alnum, 69, 69),
    own("json-web-token", "a JSON web token", Opens::Account, "eyJ|", json_web_token),
    run("age-key", "an age key", "AGE-SECRET-KEY-1|", bech32, 58, 58),
    own("private-key", "a private key", Opens::Key, "-----BEGIN |", pem),
    own("private-key", "a private key in base64", Opens::Key, "LS0tLS1CRUdJTi|", pem_in_base64),
    own("putty-key", "a PuTTY private key", Opens::Key, "PuTTY-User-Key-File-|", putty),
    own("docker-login", "the password of a registry", Opens::Login, "\"auth\"|", docker_auth),
    own("netrc-login", "a password in a netrc file", Opens::Login, "machine |", netrc),
    own("url-login", "a password in a web address", Opens::Login, "https://|", url_login),
];

/// Keys that their makers have published as examples, or for tests that are in the library:
/// they open nothing. The first digits of the SHA-256 of what is found of each.
pub(super) const PUBLISHED: [(&str, &str); 12] = [
    ("b3571d478999b981", "age-keygen, the key of its manual"),
    ("65370a1062a231c1", "GnuTLS, self-tests of the library"),
    ("6d36fd846dc5a9e2", "GnuTLS, self-tests of the library"),
    ("80669be1dcdb548c", "GnuTLS, self-tests of the library"),
    ("c0500d8eb43b35b3", "GnuTLS, self-tests of the library"),
    ("f325a8d88586dd86", "GnuTLS, self-tests of the library"),
    ("f8beca4e6c327f34", "GnuTLS, self-tests of the library"),
    ("2269e5a8097887c1", "Dovecot, test of its TLS streams"),
    ("348f40b8ca903c0a", "GnuTLS, self-tests of the library"),
    ("e5c643c952857f23", "GnuTLS, self-tests of the library"),
    ("377b72ebaae43d90", "GnuTLS, self-tests of the library"),
    ("23d51a270cb07113", "GnuTLS, self-tests of the library"),
];

/// The fewest different characters of a token; placeholders like `xxxx` have less.
const DIFFERENT: u32 = 8;

impl Form {
    /// Returns what it is found by.
    pub(super) fn mark(&self) -> &'static str {
        self.marked.strip_suffix('|').unwrap_or(self.marked)
    }

    /// Returns how long the secret is whose mark stands at `at`, from there on; none if that
    /// is no secret.
    pub(super) fn fits(&self, text: &[u8], at: usize) -> Option<usize> {
        let before = text.get(at.saturating_sub(BEFORE)..at)?;
        let rest = text.get(at..)?;
        let rest = rest.get(..REACH).unwrap_or(rest);
        match self.check {
            Check::Run(class, least, most) => {
                let first = self.mark().as_bytes().first().copied().unwrap_or_default();
                if first.is_ascii_alphanumeric() && before.last().copied().is_some_and(joined) {
                    return None;
                }
                let tail = rest.get(self.mark().len()..)?;
                let length = tail.iter().take(ANY + 1).take_while(|c| class(**c)).count();
                let token = tail.get(..length)?;
                let fits = (least..=most).contains(&length) || most == ANY && length >= least;
                (fits && is_random(token)).then_some(self.mark().len() + length)
            }
            Check::Own(check) => check(before, rest),
        }
    }
}

/// A character before a token that makes both one word.
fn joined(c: u8) -> bool {
    c.is_ascii_alphanumeric() || c == b'_'
}

/// Says whether characters look like chance, and not like a placeholder.
fn is_random(token: &[u8]) -> bool {
    let seen = token.iter().fold(0, |seen, c| seen | 1_u128 << (c & 127));
    let example = [&b"EXAMPLE"[..], b"example", b"XXXXXX", b"xxxxxx", b"000000", b"1234567"];
    seen.count_ones() >= DIFFERENT
        && !example.iter().any(|word| memmem::find(token, word).is_some())
}

fn upper(c: u8) -> bool {
    c.is_ascii_uppercase() || c.is_ascii_digit()
}

fn base32(c: u8) -> bool {
    c.is_ascii_uppercase() || matches!(c, b'2'..=b'7')
}

/// BIP 173, "Bech32", in capitals.
fn bech32(c: u8) -> bool {
    b"QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L".contains(&c)
}

fn letter(c: u8) -> bool {
    c.is_ascii_alphabetic()
}

fn alnum(c: u8) -> bool {
    c.is_ascii_alphanumeric()
}

fn hex(c: u8) -> bool {
    c.is_ascii_digit() || matches!(c, b'a'..=b'f')
}

fn word(c: u8) -> bool {
    c.is_ascii_alphanumeric() || c == b'_' || c == b'-'
}

fn npmrc(c: u8) -> bool {
    word(c) || matches!(c, b'.' | b'+' | b'/' | b'=')
}

fn atlassian(c: u8) -> bool {
    word(c) || c == b'='
}

/// Returns how many characters of a class a text begins with.
fn count(text: &[u8], class: fn(u8) -> bool) -> usize {
    text.iter().take(ANY + 1).take_while(|c| class(**c)).count()
}

/// Takes so many characters of a class, at least and at most, from the front.
fn take(text: &[u8], class: fn(u8) -> bool, least: usize, most: usize) -> Option<(&[u8], &[u8])> {
    let length = count(text, class);
    (least..=most).contains(&length).then(|| text.split_at(length))
}

fn stands_alone(before: &[u8]) -> Option<()> {
    (!before.last().copied().is_some_and(joined)).then_some(())
}

/// Returns how long what was taken from `whole` is.
fn taken(whole: &[u8], rest: &[u8]) -> usize {
    whole.len() - rest.len()
}

/// GitHub, "Behind GitHub's new authentication token formats": the last six characters are
/// the CRC-32 of the thirty before them, in base 62.
fn github(before: &[u8], text: &[u8]) -> Option<usize> {
    stands_alone(before)?;
    let (token, rest) = take(text.get(4..)?, alnum, 36, 36)?;
    let (body, check) = token.split_at(30);
    (base62(crc32fast::hash(body)) == check).then(|| taken(text, rest))
}

fn base62(mut number: u32) -> [u8; 6] {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut text = [b'0'; 6];
    for digit in text.iter_mut().rev() {
        *digit = DIGITS[(number % 62) as usize];
        number /= 62;
    }
    text
}

fn fine_grained(before: &[u8], text: &[u8]) -> Option<usize> {
    stands_alone(before)?;
    let (id, rest) = take(text.get(11..)?, alnum, 22, 22)?;
    let (secret, rest) = take(rest.strip_prefix(b"_")?, alnum, 59, 59)?;
    (is_random(id) && is_random(secret)).then(|| taken(text, rest))
}

/// Numbers of the workspace, and a random part.
fn slack(before: &[u8], text: &[u8]) -> Option<usize> {
    stands_alone(before)?;
    let dash = memchr::memchr(b'-', text).filter(|at| *at <= 9)?;
    let (token, rest) = take(text.get(dash + 1..)?, word, 24, ANY)?;
    let digits = token.iter().filter(|c| c.is_ascii_digit()).count();
    (is_random(token) && digits >= 6).then(|| taken(text, rest))
}

fn slack_app(before: &[u8], text: &[u8]) -> Option<usize> {
    stands_alone(before)?;
    let (app, rest) = take(text.get(7..)?, upper, 9, 14)?;
    let (number, rest) = take(rest.strip_prefix(b"-")?, |c| c.is_ascii_digit(), 10, 15)?;
    let (secret, rest) = take(rest.strip_prefix(b"-")?, hex, 64, 64)?;
    (app.starts_with(b"A") && !number.is_empty() && is_random(secret)).then(|| taken(text, rest))
}

fn slack_hook(_: &[u8], text: &[u8]) -> Option<usize> {
    let (_, rest) = take(text.get(25..)?, upper, 8, 14)?;
    let (bot, rest) = take(rest.strip_prefix(b"/")?, upper, 8, 14)?;
    let (secret, rest) = take(rest.strip_prefix(b"/")?, alnum, 23, 25)?;
    (bot.starts_with(b"B") && is_random(secret)).then(|| taken(text, rest))
}

/// 64 bytes in base64.
fn azure(_: &[u8], text: &[u8]) -> Option<usize> {
    let base64 = |c: u8| c.is_ascii_alphanumeric() || c == b'+' || c == b'/';
    let (key, rest) = take(text.get(11..)?, base64, 86, 86)?;
    let rest = rest.strip_prefix(b"==")?;
    is_random(key).then(|| taken(text, rest))
}

/// What stands before the mark is a part of the token.
fn terraform(before: &[u8], text: &[u8]) -> Option<usize> {
    let head = before.iter().rev().take_while(|c| c.is_ascii_alphanumeric()).count();
    let (secret, rest) = take(text.get(9..)?, |c| word(c) || c == b'=', 60, 70)?;
    (head == 14 && is_random(secret)).then(|| taken(text, rest))
}

fn sendgrid(before: &[u8], text: &[u8]) -> Option<usize> {
    stands_alone(before)?;
    let (id, rest) = take(text.get(3..)?, word, 22, 22)?;
    let (secret, rest) = take(rest.strip_prefix(b".")?, word, 43, 43)?;
    (is_random(id) && is_random(secret)).then(|| taken(text, rest))
}

/// Every such key holds the mark, which is `OpenAI` in base64.
fn openai(before: &[u8], text: &[u8]) -> Option<usize> {
    let head = before.iter().rev().take_while(|c| word(**c)).count();
    let head = before.get(before.len() - head..)?;
    let (secret, rest) = take(text.get(8..)?, word, 20, ANY)?;
    let fits = head.starts_with(b"sk-") && head.len() >= 20 || head.len() == BEFORE;
    (fits && is_random(head) && is_random(secret)).then(|| taken(text, rest))
}

fn grafana(before: &[u8], text: &[u8]) -> Option<usize> {
    stands_alone(before)?;
    let (secret, rest) = take(text.get(5..)?, alnum, 32, 32)?;
    let (_, rest) = take(rest.strip_prefix(b"_")?, hex, 8, 8)?;
    is_random(secret).then(|| taken(text, rest))
}

fn postman(before: &[u8], text: &[u8]) -> Option<usize> {
    stands_alone(before)?;
    let (id, rest) = take(text.get(5..)?, hex, 24, 24)?;
    let (secret, rest) = take(rest.strip_prefix(b"-")?, hex, 34, 34)?;
    (is_random(id) && is_random(secret)).then(|| taken(text, rest))
}

/// RFC 7519, 3: a header that names an algorithm, claims, and a signature.
fn json_web_token(before: &[u8], text: &[u8]) -> Option<usize> {
    if before.last().copied().is_some_and(|c| word(c) || c == b'.') {
        return None;
    }
    let (header, rest) = take(text, word, 16, ANY)?;
    let rest = rest.strip_prefix(b".")?;
    let claims = rest.starts_with(b"eyJ").then(|| count(rest, word))?;
    let header = URL_SAFE_NO_PAD.decode(header).ok()?;
    let header: serde_json::Value = serde_json::from_slice(&header).ok()?;
    let algorithm = header.get("alg")?.as_str()?;
    // An unsigned token opens nothing.
    if algorithm.eq_ignore_ascii_case("none") {
        return None;
    }
    let rest = rest.get(claims..)?;
    // The claims of some are longer than the reach; of those the beginning is enough.
    let signature = match rest.strip_prefix(b".") {
        Some(rest) => count(rest, word),
        None if rest.is_empty() || claims > ANY => ANY,
        None => return None,
    };
    (signature >= 32).then_some(text.len() - rest.len())
}

/// RFC 7468, 2, and its older relatives: a line that opens a private key, and what follows:
/// lines of headers, or at least 64 characters of base64. A line break may be written as `\n`.
fn pem(_: &[u8], text: &[u8]) -> Option<usize> {
    let label = text.get(11..)?;
    let end = memmem::find(label.get(..label.len().min(64))?, b"-----")?;
    let label = label.get(..end)?;
    let plain = |c: &u8| c.is_ascii_uppercase() || matches!(c, b' ' | b'0'..=b'9');
    if memmem::find(label, b"PRIVATE KEY").is_none() || !label.iter().all(plain) {
        return None;
    }
    let mut rest = text.get(11 + end + 5..)?;
    let (mut body, mut headers, mut last) = (0, false, rest);
    // Lines, until something is neither.
    for _ in 0..64 {
        rest = line_break(rest);
        let header = [&b"Proc-Type:"[..], b"DEK-Info:", b"Version:", b"Comment:"];
        if header.iter().any(|one| rest.starts_with(one)) {
            headers = true;
            let end = memchr::memchr2(b'\n', b'\\', rest)?;
            rest = rest.get(end..)?;
            continue;
        }
        let base64 = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'+' | b'/' | b'=');
        let length = count(rest, base64);
        if length == 0 {
            break;
        }
        body += length;
        rest = rest.get(length..)?;
        last = rest;
    }
    (body >= 64 || headers && body > 0).then(|| taken(text, last))
}

fn line_break(mut text: &[u8]) -> &[u8] {
    loop {
        let gaps = [&b"\\r"[..], b"\\n", b"\r", b"\n", b" ", b"\t"];
        match gaps.iter().find_map(|gap| text.strip_prefix(*gap)) {
            Some(rest) => text = rest,
            None => return text,
        }
    }
}

/// Takes base64 with and without its padding, and with bits that mean nothing.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The same inside base64, as Kubernetes' client configurations and secrets have it.
fn pem_in_base64(_: &[u8], text: &[u8]) -> Option<usize> {
    let base64 = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'+' | b'/' | b'=');
    let length = count(text, base64).min(ANY) / 4 * 4;
    let decoded = LENIENT.decode(text.get(..length)?).ok()?;
    pem(&[], &decoded).map(|_| length)
}

/// PuTTY, "PPK file format": the lines of the private part.
fn putty(_: &[u8], text: &[u8]) -> Option<usize> {
    memmem::find(text, b"\nPrivate-Lines: ").or_else(|| {
        // The public part of long keys fills the reach; the format's other lines are enough.
        let lines = memmem::find(text, b"\nPublic-Lines: ")?;
        memmem::find(text, b"\nEncryption: ").filter(|at| *at < lines)
    })
}

/// Docker, `config.json`: `name:password` in base64.
fn docker_auth(_: &[u8], text: &[u8]) -> Option<usize> {
    let rest = text.get(6..)?.trim_ascii_start().strip_prefix(b":")?;
    let rest = rest.trim_ascii_start().strip_prefix(b"\"")?;
    let base64 = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'+' | b'/' | b'=');
    let length = count(rest, base64);
    let decoded = LENIENT.decode(rest.get(..length)?).ok()?;
    let colon = memchr::memchr(b':', &decoded)?;
    let readable = decoded.iter().all(|c| (0x20..0x7f).contains(c));
    let closed = rest.get(length) == Some(&b'"');
    (closed && readable && colon > 0 && decoded.len() > colon + 4)
        .then(|| taken(text, rest) + length)
}

/// inetutils, `.netrc`: words in this order, at the start of a line.
fn netrc(before: &[u8], text: &[u8]) -> Option<usize> {
    if !matches!(before.last(), None | Some(b'\n' | b' ' | b'\t')) {
        return None;
    }
    let text_only = text.split(|c| *c == 0).next()?;
    let mut words = text_only.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let (_, host) = (words.next()?, words.next()?);
    let (login, _name) = (words.next()?, words.next()?);
    let (password, secret) = (words.next()?, words.next()?);
    let placeholder = secret.iter().any(|c| matches!(c, b'<' | b'>' | b'%' | b'$' | b'{' | b'*'));
    let fits = host.contains(&b'.') && login == b"login" && password == b"password";
    let at = memmem::rfind(text_only, secret)?;
    (fits && !placeholder && secret.len() >= 6).then(|| at + secret.len())
}

/// RFC 3986, 3.2.1: `name:password@` before a host. Placeholders and what programs print
/// (`%s`, `$NAME`, `user:pass@`) are none.
fn url_login(_: &[u8], text: &[u8]) -> Option<usize> {
    let rest = text.get(8..)?;
    let plain = |c: u8| {
        c.is_ascii_alphanumeric() || matches!(c, b'-' | b'.' | b'_' | b'~' | b'%' | b'+' | b'!')
    };
    let (name, rest) = take(rest, plain, 1, 100)?;
    let (password, rest) = take(rest.strip_prefix(b":")?, plain, 8, 200)?;
    let host = rest.strip_prefix(b"@")?;
    let host = host.get(..count(host, |c| word(c) || matches!(c, b'.' | b':')))?;
    let escapes = password.iter().zip(1..).filter(|(c, _)| **c == b'%').all(|(_, next)| {
        let digits = password.get(next..next + 2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    let lower = password.to_ascii_lowercase();
    let words = [&b"pass"[..], b"token", b"secret", b"user", b"xxx", b"example", b"your"];
    let placeholder = words.iter().any(|word| memmem::find(&lower, word).is_some());
    let examples = [&b"example."[..], b"localhost", b"host"];
    let documented = examples.iter().any(|one| memmem::find(host, one).is_some());
    let digits = password.iter().filter(|c| c.is_ascii_digit()).count();
    let fits = escapes && !placeholder && !documented && !name.is_empty() && digits > 0;
    (fits && host.contains(&b'.') && is_random(password)).then(|| taken(text, rest))
}
