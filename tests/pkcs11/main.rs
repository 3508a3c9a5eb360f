//! Keys in a token, with the real SoftHSM2: `cargo test --features pkcs11 --test pkcs11`.
//!
//! Skips with a notice where `softhsm2-util` or `pkcs11-tool` is missing; under
//! `KARAT_REQUIRE_INTEROP=1` that fails.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const PIN: &str = "648219";

/// A token of one's own, in a folder that is gone with it.
struct Token {
    folder: tempfile::TempDir,
    module: PathBuf,
}

fn module() -> Option<PathBuf> {
    let folders =
        ["/usr/lib/softhsm", "/usr/lib/x86_64-linux-gnu/softhsm", "/usr/local/lib/softhsm"];
    folders.iter().map(|folder| Path::new(folder).join("libsofthsm2.so")).find(|file| file.exists())
}

impl Token {
    /// Makes a token with two keys of one label, one key of its own, and one of another curve.
    fn new() -> Option<Self> {
        let there = |program: &str| Command::new(program).arg("--help").output().is_ok();
        let module = module().filter(|_| there("softhsm2-util") && there("pkcs11-tool"));
        let Some(module) = module else {
            let required = std::env::var_os("KARAT_REQUIRE_INTEROP").is_some_and(|one| one == "1");
            assert!(!required, "softhsm2 and opensc are required, and not installed");
            eprintln!("SKIPPED: softhsm2 and opensc are not installed");
            return None;
        };
        let token = Self { folder: tempfile::tempdir().expect("a folder"), module };
        fs::create_dir(token.path("tokens")).expect("a folder");
        let settings = format!("directories.tokendir = {}\n", token.path("tokens").display());
        fs::write(token.path("softhsm2.conf"), settings).expect("its settings");
        let init = ["--init-token", "--free", "--label", "Release keys", "--pin", PIN];
        token.done("softhsm2-util", &[&init[..], &["--so-pin", "1234567"]].concat());
        for (label, id, curve) in [
            ("signer", "01", "prime256v1"),
            ("twice", "02", "prime256v1"),
            ("twice", "03", "prime256v1"),
            ("large", "04", "secp384r1"),
        ] {
            let module = token.module.to_str().expect("text").to_owned();
            let kind = format!("EC:{curve}");
            let login = ["--module", &module, "--login", "--pin", PIN, "--keypairgen"];
            let what = ["--key-type", &kind, "--label", label, "--id", id];
            token.done("pkcs11-tool", &[&login[..], &what[..]].concat());
        }
        Some(token)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(args)
            .current_dir(self.folder.path())
            .env("SOFTHSM2_CONF", self.path("softhsm2.conf"))
            .env_remove("COSIGN_PKCS11_PIN")
            .env("COSIGN_PKCS11_MODULE_PATH", &self.module)
            .stdin(std::process::Stdio::null());
        command
    }

    fn done(&self, program: &str, args: &[&str]) {
        let output = self.command(program, args).output().expect("it starts");
        assert!(output.status.success(), "{program} {args:?}: {output:?}");
    }

    /// Runs karat with the PIN, and makes sure of the exit code and of what it says.
    #[track_caller]
    fn karat(&self, pin: Option<&str>, args: &[&str], code: i32, says: &[&str]) -> Output {
        let mut command = self.command(env!("CARGO_BIN_EXE_karat"), args);
        command.envs(pin.map(|pin| ("COSIGN_PKCS11_PIN", pin)));
        let output = command.output().expect("karat starts");
        let said = String::from_utf8_lossy(&output.stderr).into_owned()
            + &String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        for part in says {
            assert!(said.contains(part), "{args:?}: `{part}` is not in: {said}");
        }
        assert!(!said.contains(PIN), "the PIN is never shown: {said}");
        output
    }
}

#[test]
fn keys_in_tokens_sign_and_say_what_is_wrong() {
    let Some(token) = Token::new() else { return };
    fs::write(token.path("model.bin"), b"some weights").expect("a file");
    let key = "pkcs11:token=Release%20keys;object=signer;type=private";
    let public = token.karat(Some(PIN), &["key", "public", "--key", key], 0, &[]);
    fs::write(token.path("token.pub"), &public.stdout).expect("the public key");
    assert!(public.stdout.starts_with(b"-----BEGIN PUBLIC KEY-----"));

    let sign = |key: &str| {
        ["sign", "model.bin", "--key", key, "--bundle", "model.sigstore.json"].map(str::to_owned)
    };
    let run = |pin: Option<&str>, key: &str, code: i32, says: &[&str]| {
        let args = sign(key);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        token.karat(pin, &args, code, says)
    };
    run(Some(PIN), key, 0, &["signed"]);
    let verify = ["verify", "model.bin", "--bundle", "model.sigstore.json", "--key", "token.pub"];
    token.karat(None, &verify, 0, &["accepted"]);
    token.karat(Some(PIN), &[&verify[..5], &[key]].concat(), 0, &["accepted"]);
    fs::write(token.path("model.bin"), b"other weights").expect("a file");
    token.karat(None, &verify, 1, &["rejected"]);

    // What others read accepts it: the key as the token's own tool exports it.
    let module = token.module.to_str().expect("text");
    let read = ["--module", module, "--read-object", "--type", "pubkey", "--id", "01"];
    token.done("pkcs11-tool", &[&read[..], &["--output-file", "token.der"]].concat());
    let der = fs::read(token.path("token.der")).expect("the key");
    let body: String = String::from_utf8_lossy(&public.stdout)
        .lines()
        .filter(|line| !line.starts_with("-----"))
        .collect();
    use base64::Engine as _;
    let own = base64::engine::general_purpose::STANDARD.decode(body).expect("base64");
    assert_eq!(own, der, "the same key as the token's tool exports");

    // The PIN from a file, and a key by its id.
    fs::write(token.path("pin"), format!("{PIN}\n")).expect("a file");
    let with_file = |path: &str| format!("pkcs11:id=%01?pin-source=file:{path}");
    run(None, &with_file(token.path("pin").to_str().expect("text")), 0, &["signed"]);

    let module_of = |path: &str| format!("{key}?module-path={path}");
    for (pin, key, says) in [
        (None, key.to_owned(), "COSIGN_PKCS11_PIN"),
        (Some("000000"), key.to_owned(), "does not take the PIN"),
        (Some(PIN), "pkcs11:token=Other;object=signer".to_owned(), "`Release keys`"),
        (Some(PIN), "pkcs11:object=twice".to_owned(), "2 private keys"),
        (Some(PIN), "pkcs11:object=nobody".to_owned(), "no private key"),
        (Some(PIN), "pkcs11:object=large".to_owned(), "P-256"),
        (Some(PIN), module_of("/nonexistent.so"), "cannot be loaded"),
        (Some(PIN), module_of("/etc/passwd"), "cannot be loaded"),
        (None, format!("{key}?pin-value={PIN}"), "no part of an address"),
        (None, with_file("/nonexistent"), "/nonexistent"),
    ] {
        run(pin, &key, 2, &[says]);
    }
    run(Some(PIN), "pkcs11:object=twice;id=%02", 0, &["signed"]);
}
