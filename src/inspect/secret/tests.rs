//! Every form is found where it is meant, and nowhere else. The secrets are made here, by
//! rule: none was ever anybody's.

use super::forms::FORMS;
use super::search::{self, in_text, marks_are_ready};
use super::*;
use crate::inspect::needles::Needles;
use crate::inspect::pass::{CHUNK, Pass, Search};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

/// Characters without a pattern: a sequence that repeats after all of them.
fn random(alphabet: &str, length: usize) -> String {
    let alphabet = alphabet.as_bytes();
    let mut state = 7_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        alphabet[(state >> 16) as usize % alphabet.len()] as char
    };
    (0..length).map(|_| next()).collect()
}

fn alnum(length: usize) -> String {
    random("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", length)
}

fn hex(length: usize) -> String {
    random("0123456789abcdef", length)
}

fn upper(length: usize) -> String {
    random("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", length)
}

/// A GitHub token with the checksum that GitHub describes: CRC-32 in base 62.
fn github(prefix: &str) -> String {
    let body = alnum(30);
    let mut crc = crc32fast::hash(body.as_bytes());
    let mut check = String::new();
    while crc > 0 {
        let digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        check.insert(0, digits.as_bytes()[(crc % 62) as usize] as char);
        crc /= 62;
    }
    format!("{prefix}{body}{check:0>6}")
}

fn jwt(header: &str) -> String {
    let claims = URL_SAFE_NO_PAD.encode(r#"{"sub":"karat","exp":1}"#);
    format!("{}.{claims}.{}", URL_SAFE_NO_PAD.encode(header), alnum(43))
}

fn pem(label: &str) -> String {
    let body = alnum(64);
    format!("-----BEGIN {label}-----\n{body}\n{body}\n-----END {label}-----\n")
}

/// A secret of every form, and of some forms in several spellings.
fn planted() -> Vec<(&'static str, String)> {
    let word = |length| alnum(length);
    vec![
        ("aws-access-key", format!("AKIA{}", upper(16))),
        ("aws-access-key", format!("ASIA{}", upper(16))),
        ("github-token", github("ghp_")),
        ("github-token", github("gho_")),
        ("github-token", github("ghu_")),
        ("github-token", github("ghs_")),
        ("github-token", github("ghr_")),
        // The example of GitHub's own description.
        ("github-token", ["ghp_zQWBuTSOoRi4A9spHc", "VY5ncnsDkxkJ0mLq17"].concat()),
        ("github-token", format!("github_pat_{}_{}", word(22), word(59))),
        ("gitlab-token", format!("glpat-{}", word(20))),
        ("gitlab-token", format!("gldt-{}", word(20))),
        ("gitlab-token", format!("glrt-{}", word(20))),
        ("gitlab-token", format!("glptt-{}", hex(40))),
        ("gitlab-token", format!("glcbt-{}", word(22))),
        ("gitlab-token", format!("glsoat-{}", word(20))),
        ("gitlab-token", format!("glagent-{}", word(50))),
        ("slack-token", format!("xoxb-482910475618-739201846571-{}", word(24))),
        ("slack-token", format!("xoxp-482910475618-739201846571-{}", word(32))),
        ("slack-token", format!("xoxa-2-482910475618-{}", word(32))),
        ("slack-token", format!("xoxr-482910475618-{}", word(32))),
        ("slack-token", format!("xoxs-482910475618-{}", word(32))),
        ("slack-token", format!("xoxe-1-{}", word(146))),
        ("slack-token", format!("xoxe.xoxp-1-{}", word(160))),
        ("slack-token", format!("xapp-1-A{}-482910475618-{}", upper(10), hex(64))),
        (
            "slack-webhook",
            format!("https://hooks.slack.com/services/T{}/B{}/{}", upper(9), upper(9), word(24)),
        ),
        ("google-api-key", format!("AIza{}", word(35))),
        ("google-oauth-secret", format!("GOCSPX-{}", word(28))),
        ("azure-storage-key", format!("AccountName=x;AccountKey={}==;", word(86))),
        ("npm-token", format!("npm_{}", word(36))),
        ("npm-token", format!("//npm.example/:_authToken={}", word(40))),
        ("pypi-token", format!("pypi-AgEIcHlwaS5vcmc{}", word(140))),
        ("pypi-token", format!("pypi-AgENdGVzdC5weXBpLm9yZw{}", word(140))),
        ("rubygems-token", format!("rubygems_{}", hex(48))),
        ("vault-token", format!("hvs.{}", word(90))),
        ("vault-token", format!("hvb.{}", word(138))),
        ("vault-token", format!("hvr.{}", word(138))),
        ("terraform-token", format!("{}.atlasv1.{}", word(14), word(67))),
        ("pulumi-token", format!("pul-{}", hex(40))),
        ("docker-hub-token", format!("dckr_pat_{}", word(27))),
        ("docker-hub-token", format!("dckr_oat_{}", word(32))),
        ("digitalocean-token", format!("dop_v1_{}", hex(64))),
        ("digitalocean-token", format!("doo_v1_{}", hex(64))),
        ("digitalocean-token", format!("dor_v1_{}", hex(64))),
        ("stripe-key", format!("sk_live_{}", word(24))),
        ("stripe-key", format!("rk_live_{}", word(99))),
        ("sendgrid-key", format!("SG.{}.{}", word(22), word(43))),
        ("openai-key", format!("sk-{}T3BlbkFJ{}", word(20), word(20))),
        ("openai-key", format!("sk-proj-{}T3BlbkFJ{}", word(74), word(74))),
        ("anthropic-key", format!("sk-ant-api03-{}", word(95))),
        ("anthropic-key", format!("sk-ant-admin01-{}", word(95))),
        ("hugging-face-token", format!("hf_{}", random("abcdefghijklmnopqrstuvwxyzABCDEFG", 34))),
        ("databricks-token", format!("dapi{}", hex(32))),
        ("grafana-token", format!("glsa_{}_{}", word(32), hex(8))),
        ("new-relic-key", format!("NRAK-{}", upper(27))),
        ("atlassian-token", format!("ATATT3xFfGF0{}=ABCDEF12", word(171))),
        ("linear-key", format!("lin_api_{}", word(40))),
        ("shopify-token", format!("shpat_{}", hex(32))),
        ("shopify-token", format!("shpss_{}", hex(32))),
        ("tailscale-key", format!("tskey-auth-{}-{}", word(12), word(32))),
        ("tailscale-key", format!("tskey-api-{}-{}", word(12), word(32))),
        ("doppler-token", format!("dp.pt.{}", word(43))),
        ("postman-key", format!("PMAK-{}-{}", hex(24), hex(34))),
        ("planetscale-token", format!("pscale_tkn_{}", word(43))),
        ("planetscale-token", format!("pscale_pw_{}", word(43))),
        ("supabase-token", format!("sbp_{}", hex(40))),
        ("jfrog-key", format!("AKCp{}", word(69))),
        ("json-web-token", jwt(r#"{"alg":"HS256","typ":"JWT"}"#)),
        ("json-web-token", jwt(r#"{"typ":"JWT","kid":"1","alg":"ES256"}"#)),
        ("age-key", format!("AGE-SECRET-KEY-1{}", random("QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L", 58))),
        ("private-key", pem("PRIVATE KEY")),
        ("private-key", pem("RSA PRIVATE KEY")),
        ("private-key", pem("EC PRIVATE KEY").replace('\n', "\r\n")),
        ("private-key", pem("OPENSSH PRIVATE KEY").replace('\n', "\\n")),
        ("private-key", pem("ENCRYPTED PRIVATE KEY")),
        ("private-key", pem("PGP PRIVATE KEY BLOCK")),
        (
            "private-key",
            format!(
                "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\n{}\n",
                alnum(40)
            ),
        ),
        ("private-key", format!("client-key-data: {}", STANDARD.encode(pem("RSA PRIVATE KEY")))),
        (
            "putty-key",
            format!(
                "PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\nComment: x\nPublic-Lines: 2\n{}\nPrivate-Lines: 1\n{}\n",
                alnum(64),
                alnum(48)
            ),
        ),
        (
            "docker-login",
            format!(
                r#"{{"auths":{{"r.example":{{"auth": "{}"}}}}}}"#,
                STANDARD.encode("robot:hunter2!!")
            ),
        ),
        (
            "netrc-login",
            "\nmachine git.example.org\n  login robot\n  password hunter2!!\n".to_owned(),
        ),
        (
            "url-login",
            "x=https://robot:hunter2.k4rat@git.example.org/a.git".replace("example", "exampel"),
        ),
    ]
}

fn kinds(text: &str) -> Vec<&'static str> {
    in_text(text.as_bytes()).iter().map(|secret| secret.form().id).collect()
}

#[test]
fn every_planted_secret_is_found_and_named() {
    assert!(marks_are_ready());
    let planted = planted();
    for (kind, text) in &planted {
        for around in
            [("", ""), ("KEY=", "\n"), ("\"", "\","), ("\0", "\0rest of the data"), ("(", ")")]
        {
            let whole = format!("{}{text}{}", around.0, around.1);
            assert_eq!(kinds(&whole), [*kind], "{whole:?}");
        }
    }
    // No form without a case.
    for form in &FORMS {
        let has = planted.iter().any(|(kind, text)| *kind == form.id && text.contains(form.mark()));
        assert!(has, "{} by `{}` has no case", form.id, form.mark());
    }
}

#[test]
fn what_only_looks_like_a_secret_is_none() {
    let wrong_sum = github("ghp_").replace("ghp_", "ghp_A");
    for text in [
        format!("ghp_{}", alnum(36)),
        wrong_sum,
        format!("ghp_{}", "x".repeat(36)),
        format!("x{}", github("ghp_")),
        format!("AKIA{}", upper(15)),
        format!("AKIA{}", upper(17)),
        "AKIAIOSFODNN7EXAMPLE".to_owned(),
        format!("glpat-{}", alnum(19)),
        "glpat-xxxxxxxxxxxxxxxxxxxx".to_owned(),
        "the AIza of it".to_owned(),
        format!("npm_{}", alnum(37)),
        "npm_config_registry_of_the_whole_company_".to_owned(),
        format!("hf_{}", alnum(34)),
        jwt(r#"{"alg":"none"}"#),
        jwt(r#"{"typ":"JWT"}"#),
        format!("eyJhbGciOiJIUzI1NiJ9.{}", alnum(60)),
        "-----BEGIN PRIVATE KEY-----\n...\n".to_owned(),
        "-----BEGIN PRIVATE KEY-----".to_owned(),
        "-----BEGIN RSA PRIVATE KEY----------END RSA PRIVATE KEY-----".to_owned(),
        "-----BEGIN PRIVATE KEY-----\0-----BEGIN PUBLIC KEY-----".to_owned(),
        pem("PUBLIC KEY"),
        pem("CERTIFICATE"),
        pem("PRIVATE KEY").to_lowercase(),
        format!("crt: {}", STANDARD.encode(pem("CERTIFICATE"))),
        r#"{"auth": "token"}"#.to_owned(),
        r#"{"auth": "bm90aGluZw=="}"#.to_owned(),
        "machine learning is login for password".to_owned(),
        "machine git.example login <name> password <password>".to_owned(),
        "https://user:password@host.org/".to_owned(),
        "https://%s:%s@git.org/".to_owned(),
        "https://robot:hunter2.k4rat@localhost/".to_owned(),
        "https://h.org:8443/a@b".to_owned(),
        format!("SG.{}", alnum(66)),
        format!("{}.atlasv1.{}", alnum(9), alnum(67)),
        "T3BlbkFJ".repeat(9),
        "PuTTY-User-Key-File-3: ssh-rsa".to_owned(),
    ] {
        assert_eq!(kinds(&text), [] as [&str; 0], "{text:?}");
    }
}

#[test]
fn a_secret_is_told_without_its_characters() {
    let token = github("ghp_");
    let secret = &in_text(format!("A={token}").as_bytes())[0];
    let said = evidence(secret);
    assert!(said.starts_with("github-token at byte 2: `ghp_…`, 40 bytes, sha256 "), "{said}");
    for length in 4..token.len() - 4 {
        assert!(!said.contains(&token[4..4 + length]), "{said}");
    }
    let sum = crate::oci::Digest::of(token.as_bytes()).hex();
    assert!(said.contains(&sum[..16]), "{said}");
}

#[test]
fn secrets_are_found_at_every_place_of_a_file_once() {
    let needles = Needles::new(Vec::new());
    let token = github("ghp_");
    let key = pem("PRIVATE KEY");
    let size = 3 << 20;
    let places = |text: &str, at: usize| {
        let mut bytes = vec![b'.'; size];
        bytes[at..at + text.len()].copy_from_slice(text.as_bytes());
        let place = |pass: Pass| pass.secrets.iter().map(|one| one.place).collect::<Vec<_>>();
        let over = place(Pass::over(&&bytes[..], &needles, 0).unwrap());
        let mut search = Search::new(&needles, 0, 10_000);
        for piece in bytes.chunks(33_333) {
            search.bytes(piece, &needles);
        }
        (over, place(search.finish()))
    };
    let middle = size / 2;
    for around in [0, CHUNK, middle, size - key.len()] {
        for shift in [0_usize, 1, 10, 30, 41, 60, 100, 160, 1000, 1024, 1060, 1088, 1100] {
            for (text, back) in [(&token, shift), (&key, shift)] {
                let at = around.saturating_sub(back).min(size - text.len());
                let once = vec![at as u64];
                assert_eq!(places(text, at), (once.clone(), once), "{at}");
            }
        }
    }
}

#[test]
fn many_marks_end_in_bounded_findings() {
    let text = format!("{} ", github("ghp_")).repeat(5000);
    let found = in_text(text.as_bytes());
    assert_eq!(found.len(), search::MOST);
    // Marks that lead nowhere.
    for form in &FORMS {
        let marks = format!("{} ", form.mark()).repeat(20_000);
        assert_eq!(kinds(&marks), [] as [&str; 0], "{}", form.mark());
    }
}

#[test]
fn the_page_names_every_form() {
    let page = include_str!("../../../docs/secrets.md");
    for form in &FORMS {
        let row = page.lines().find(|line| line.starts_with(&format!("| `{}` |", form.id)));
        let row = row.unwrap_or_else(|| panic!("{} is not on the page", form.id));
        assert!(row.contains(&format!("`{}…`", form.mark())), "{}: {}", form.id, form.mark());
    }
    let rows = page.lines().filter(|line| line.starts_with("| `")).count();
    let kinds: std::collections::BTreeSet<&str> = FORMS.iter().map(|form| form.id).collect();
    assert_eq!(rows, kinds.len());
}
