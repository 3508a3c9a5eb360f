//! A sigstore instance of the tests' own: Fulcio, TesseraCT, Rekor v2 and the timestamp authority,
//! run by `scripts/private-sigstore`. What karat signs there, cosign, sigstore-python and
//! @sigstore/verify accept; what cosign signs there, karat accepts.

use crate::project::{Layout, Project};
use crate::registry::{Kind, Registry};
use crate::support::{
    Outcome, Skip, command, fail, node_modules, program, python, repository, succeed,
};
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

const WHO: &str = "ci@example.test";
const OTHER: &str = "other@example.test";

/// The instance. It ends with the input that these tests hold open.
struct Instance {
    folder: tempfile::TempDir,
    issuer: String,
    _child: Child,
}

impl Instance {
    /// The one instance of all tests: its parts take fixed ports too.
    fn shared() -> Result<&'static Self, Skip> {
        for name in ["fulcio", "tesseract", "rekor-server", "timestamp-server", "openssl"] {
            program(name)?;
        }
        let python = program("python3")?;
        static ONE: OnceLock<Instance> = OnceLock::new();
        Ok(ONE.get_or_init(|| {
            let folder = tempfile::tempdir().expect("a folder");
            let mut child = command(python)
                .arg(repository().join("scripts/private-sigstore"))
                .arg(folder.path())
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .expect("the instance starts");
            let mut line = String::new();
            let out = child.stdout.take().expect("its output");
            BufReader::new(out).read_line(&mut line).expect("a line");
            assert_eq!(line, "ready\n", "the instance did not start");
            let issuer = fs::read_to_string(folder.path().join("issuer")).expect("the issuer");
            Self { folder, issuer, _child: child }
        }))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a fresh token for somebody into a file of a project.
    fn token(&self, project: &Project, who: &str) -> PathBuf {
        let authority = self.issuer.strip_prefix("http://").expect("an address");
        let mut stream = TcpStream::connect(authority).expect("the provider");
        write!(stream, "GET /token?email={who} HTTP/1.0\r\n\r\n").expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let (head, token) = answer.split_once("\r\n\r\n").expect("a body");
        assert!(head.contains(" 200 "), "{head}");
        project.write("token", token);
        project.path("token")
    }

    /// Adds to a command where it signs and by what it verifies.
    fn services(&self, command: &mut Command, token: &Path) {
        command.arg("--identity-token").arg(token);
        command.arg("--signing-config").arg(self.path("signing_config.json"));
        command.arg("--trusted-root").arg(self.path("trusted_root.json"));
    }

    /// `karat verify` of what somebody must have signed.
    fn karat_verify(&self, project: &Project, what: &[&str], who: &str) -> Command {
        let mut karat = project.karat();
        karat.arg("verify").args(what).args(["--identity", who, "--issuer", &self.issuer]);
        karat.arg("--trusted-root").arg(self.path("trusted_root.json"));
        karat
    }

    /// Something of cosign's that verifies.
    fn cosign(&self, what: &[&str], who: &str) -> Result<Command, Skip> {
        let mut cosign = command(program("cosign")?);
        cosign.args(what).args(["--certificate-identity", who]);
        cosign.args(["--certificate-oidc-issuer", &self.issuer]).arg("--trusted-root");
        cosign.arg(self.path("trusted_root.json"));
        Ok(cosign)
    }

    /// sigstore-python and @sigstore/verify on a bundle around a statement.
    fn libraries(&self, bundle: &Path, who: &str, hex: &str) -> Result<[Command; 2], Skip> {
        let scripts = repository().join("tests/interop");
        let mut node = command(program("node")?);
        node.env("NODE_PATH", node_modules("@sigstore/verify")?);
        node.arg(scripts.join("node/verify-identity.js"));
        let mut python = command(python()?);
        python.arg(scripts.join("python/sigstore_check.py"));
        Ok([node, python].map(|mut command| {
            command.arg(self.path("trusted_root.json")).arg(bundle);
            command.args([who, &self.issuer, hex]);
            command
        }))
    }
}

pub(crate) fn every_verifier_accepts_what_karat_signs_keyless() -> Outcome {
    let instance = Instance::shared()?;
    let project = Project::of_a_go_program()?;
    let token = instance.token(&project, WHO);
    let mut build = project.karat();
    build.args(["build", "--output", "oci:layout", "--sign", "keyless"]);
    instance.services(&mut build, &token);
    let printed = succeed(&mut build);
    let digest = printed.trim_end().rsplit('@').next().expect("a digest").to_owned();
    let layout = Layout::open(project.path("layout"), digest.clone());
    succeed(&mut instance.karat_verify(&project, &["oci:layout"], WHO));
    fail(&mut instance.karat_verify(&project, &["oci:layout"], OTHER));

    let bundles = layout.bundles();
    assert_eq!(bundles.len(), 9, "three statements of the index and of both platforms");
    let file = project.path("bundle.json");
    for bundle in &bundles {
        fs::write(&file, &bundle.bytes).expect("a file");
        for mut library in instance.libraries(&file, WHO, bundle.hex())? {
            assert_eq!(succeed(&mut library).trim_end(), bundle.predicate_type);
        }
    }
    for mut library in instance.libraries(&file, OTHER, bundles[0].hex())? {
        fail(&mut library);
    }
    for mut library in instance.libraries(&file, WHO, &"0".repeat(64))? {
        fail(&mut library);
    }

    let registry = Registry::start(&project, Kind::Crane, "")?;
    let place = registry.place("golden/app");
    succeed(project.karat().args(["push", "oci:layout", &format!("docker://{place}:v1")]));
    let reference = format!("{place}@{digest}");
    let verify = ["verify", "--allow-http-registry", &reference];
    succeed(&mut instance.cosign(&verify, WHO)?);
    fail(&mut instance.cosign(&verify, OTHER)?);
    let attested = ["verify-attestation", "--allow-http-registry", "--type", "slsaprovenance1"];
    succeed(&mut instance.cosign(&[&attested[..], &[&*reference]].concat(), WHO)?);

    // Once more: it is there already. By somebody else it is not.
    let sign = |who: &str| {
        let token = instance.token(&project, who);
        let mut sign = project.karat();
        sign.args(["sign", &format!("docker://{reference}"), "--keyless"]);
        instance.services(&mut sign, &token);
        let output = sign.output().expect("karat");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(sign(WHO).contains("nothing was added"));
    assert!(sign(OTHER).contains("added 3"));
    succeed(&mut instance.cosign(&verify, OTHER)?);
    Ok(())
}

pub(crate) fn karat_accepts_what_cosign_signs_keyless() -> Outcome {
    let cosign = program("cosign")?;
    let instance = Instance::shared()?;
    let project = Project::of_a_c_program()?;
    project.key();
    let digest = project.build(&["--output", "oci:layout"]);
    let registry = Registry::start(&project, Kind::Crane, "")?;
    let place = registry.place("golden/app");
    succeed(project.karat().args(["push", "oci:layout", &format!("docker://{place}:v1")]));
    let reference = format!("docker://{place}@{digest}");
    let what = [&*reference, "--require", "signature"];
    fail(&mut instance.karat_verify(&project, &what, WHO));
    let token = instance.token(&project, WHO);
    let mut sign = command(&cosign);
    sign.args(["sign", "--yes", "--allow-http-registry", &format!("{place}@{digest}")]);
    instance.services(&mut sign, &token);
    succeed(&mut sign);
    succeed(&mut instance.karat_verify(&project, &what, WHO));
    fail(&mut instance.karat_verify(&project, &what, OTHER));
    Ok(())
}

pub(crate) fn a_file_is_signed_and_verified_both_ways() -> Outcome {
    let cosign = program("cosign")?;
    let instance = Instance::shared()?;
    let project = Project::of_a_c_program()?;
    let token = instance.token(&project, WHO);
    project.write("weights", "not many");
    let mut sign = project.karat();
    sign.args(["sign", "weights", "--bundle", "ours.json", "--keyless"]);
    instance.services(&mut sign, &token);
    succeed(&mut sign);
    let verify = |bundle: &str, file: &str, who: &str| {
        let mut cosign = instance.cosign(&["verify-blob", "--bundle", bundle, file], who)?;
        cosign.current_dir(project.path(""));
        Ok::<_, Skip>(cosign)
    };
    succeed(&mut verify("ours.json", "weights", WHO)?);
    fail(&mut verify("ours.json", "weights", OTHER)?);
    fail(&mut verify("ours.json", "app.c", WHO)?);

    let mut theirs = command(cosign);
    theirs.args(["sign-blob", "--yes", "--bundle", "theirs.json", "weights"]);
    theirs.current_dir(project.path(""));
    instance.services(&mut theirs, &token);
    succeed(&mut theirs);
    for bundle in ["ours.json", "theirs.json"] {
        let what = ["weights", "--bundle", bundle];
        succeed(&mut instance.karat_verify(&project, &what, WHO));
        fail(&mut instance.karat_verify(&project, &what, OTHER));
        fail(&mut instance.karat_verify(&project, &["app.c", "--bundle", bundle], WHO));
    }
    Ok(())
}
