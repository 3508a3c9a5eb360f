use super::*;
use crate::finding::Severity;
use crate::settings::{DriftState, Mirror, Requirement, Verdict};

fn parse(text: &str) -> Loaded {
    Loaded::parse("karat-policy.toml", text)
        .unwrap_or_else(|faults| panic!("{}", faults.render(false)))
}

/// The line and message of every fault.
fn faults(text: &str) -> Vec<(usize, String)> {
    let faults = Loaded::parse("karat-policy.toml", text).expect_err("it has faults");
    faults.located().iter().map(|one| (one.line, one.message.to_owned())).collect()
}

const HEAD: &str = "[policy]\nname = \"mine\"\n";

fn with(text: &str) -> String {
    format!("{HEAD}{text}")
}

#[test]
fn what_a_file_leaves_out_is_built_in() {
    let loaded = parse(HEAD);
    assert_eq!(loaded.policy, Policy { name: "mine".to_owned(), ..Policy::golden() });
    assert_eq!(loaded.lines.into_iter().collect::<Vec<_>>(), [("policy.name".to_owned(), 2)]);
}

#[test]
fn every_value_is_read() {
    let loaded = parse(&with(
        "karat-min = \"0.1\"\n\
         [gate]\n\
         edition = 1\n\
         fail-on = [\"high\", \"critical\", \"medium\"]\n\
         max-size = \"64KiB\"\n\
         require = [\"sbom\", \"signature\"]\n\
         [gate.rules]\n\
         script = \"critical\"\n\
         debugger = { severity = \"low\", reason = \"r\", owner = \"o\", expires = \"2027-03-31\" }\n\
         sniffer = { severity = \"off\", reason = \"r\", owner = \"o\", expires = \"2027-03-31\" }\n\
         [waivers]\n\
         max-days = 30\n\
         approval = \"code-review\"\n\
         approvers = []\n\
         never = [\"shell\", \"secret-*\"]\n",
    ));
    let Policy { gate, waivers, .. } = &loaded.policy;
    assert_eq!(gate.fail_on, [Severity::Critical, Severity::High, Severity::Medium]);
    assert_eq!(gate.max_size, 65_536);
    assert_eq!(gate.require, [Requirement::Signature, Requirement::Sbom]);
    assert_eq!(gate.rules["script"].severity, Some(Severity::Critical));
    assert_eq!(gate.rules["script"].exception, None);
    assert_eq!(gate.rules["debugger"].severity, Some(Severity::Low));
    let lowered = gate.rules["debugger"].exception.as_ref().unwrap();
    assert_eq!((lowered.owner.as_str(), lowered.expires.to_string()), ("o", "2027-03-31".into()));
    assert_eq!(gate.rules["sniffer"].severity, None);
    assert_eq!(waivers.max_days, 30);
    assert_eq!(waivers.never, ["shell", "secret-*"]);
    assert_eq!(loaded.lines["gate.fail-on"], 6);
    assert_eq!(loaded.lines["gate.rules.script"], 10);
    assert_eq!(loaded.lines["waivers.never"], 17);
}

#[test]
fn digest_is_of_what_is_meant_and_not_of_how_it_is_written() {
    let digest = |text: &str| parse(&with(text)).policy.digest();
    let one = digest("[gate]\nfail-on = [\"critical\", \"high\"]\nmax-size = \"1MiB\"\n");
    let same = digest(
        "# a comment\n[gate]\nmax-size = \"1024KiB\"\nfail-on = [ \"high\",\"critical\" ]\n",
    );
    assert_eq!(one, same);
    assert_ne!(one, digest("[gate]\nmax-size = \"2MiB\"\n"));
    assert_eq!(
        parse("[policy]\nname = \"golden\"\n").policy.digest(),
        Policy::golden().digest(),
        "a file that says what is built in is the built-in policy"
    );
}

/// A root of trust that vouches for nothing.
const ROOT: &str = r#"{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1","tlogs":[],"certificateAuthorities":[],"ctlogs":[],"timestampAuthorities":[]}"#;

#[test]
fn a_root_of_trust_is_part_of_the_policy_by_its_bytes() {
    let files = |path: &str, _: usize| match path {
        "trust/root.json" => Ok(ROOT.as_bytes().to_vec()),
        "other.json" => Ok(format!("{ROOT}\n").into_bytes()),
        "broken.json" => Ok(b"{}".to_vec()),
        _ => Err("it is not there".to_owned()),
    };
    let read = |path: &str| {
        let text = with(&format!("[sigstore]\ntrusted-root = \"{path}\"\n"));
        Loaded::parse_beside("karat-policy.toml", &text, &files)
    };
    let policy = read("trust/root.json").unwrap().policy;
    let other = read("other.json").unwrap().policy;
    assert_eq!(policy.sigstore.as_ref().unwrap().trusted_root.bytes(), ROOT.as_bytes());
    assert_ne!(policy.digest(), other.digest());
    assert_ne!(policy.digest(), parse(HEAD).policy.digest());
    for (path, says) in [
        ("broken.json", "no root of trust"),
        ("gone.json", "not there"),
        ("/trust/root.json", "no path below"),
        ("../root.json", "no path below"),
        ("trust/../trust/root.json", "no path below"),
        ("", "no path below"),
    ] {
        let faults = read(path).expect_err(path);
        assert!(faults.render(false).contains(says), "{path}: {}", faults.render(false));
    }
    assert!(faults(&with("[sigstore]\n"))[0].1.contains("names no root"));
}

#[test]
fn who_approves_waivers_is_read_or_refused() {
    let with = |lines: &str| with(&format!("[waivers]\n{lines}"));
    let who = "{ keyless = { issuer = \"https://i.example\", subject = \"a@b.example\" } }";
    let text = with(&format!("approval = \"signed\"\napprovers = [{who}]\n"));
    let policy = parse(&text).policy;
    assert_eq!(policy.waivers.approvers.as_ref().map(Vec::len), Some(1));
    let plain = parse(&with("approval = \"code-review\"\napprovers = []\n")).policy;
    assert_eq!(plain.waivers.approvers, None);
    assert_ne!(policy.digest(), plain.digest());
    for (lines, says) in [
        ("approval = \"signed\"\n".to_owned(), "from 1 to 1000"),
        ("approval = \"signed\"\napprovers = []\n".to_owned(), "from 1 to 1000"),
        (format!("approvers = [{who}]\n"), "nothing asks"),
        (format!("approval = \"code-review\"\napprovers = [{who}]\n"), "nobody signs"),
        (format!("approval = \"by-mail\"\napprovers = [{who}]\n"), "no way to approve"),
        ("approval = \"signed\"\napprovers = [{}]\n".to_owned(), "one of the two"),
        ("approval = \"signed\"\napprovers = [\"a.pub\"]\n".to_owned(), "must be a table"),
        ("approval = \"signed\"\napprovers = [{ key = \"none.pub\" }]\n".to_owned(), "none.pub"),
        (
            format!("approval = \"signed\"\napprovers = [{}]\n", who.replace("a@b", "{repo}@b")),
            "{repo}",
        ),
    ] {
        let found = faults(&with(&lines));
        assert!(found.iter().any(|(_, message)| message.contains(says)), "{lines}: {found:?}");
    }
}

#[test]
fn what_is_not_enforced_yet_is_refused_line_by_line() {
    let text = "[policy]\nname = \"golden\"\nfrom = \"registry.example/policy:v7\"\n\
         \n\n\
         [gate]\nrequire = [\"signature\"]\n\
         [sigstore]\nsigning-config = \"s.json\"\ntrusted-root = \"root.json\"\n\
         [cache]\ntrust = []\n[weights]\nrequire-verified = false\n\
         [defaults.image]\nbase = \"scratch\"\n";
    let found: Vec<_> =
        faults(text).into_iter().filter(|one| !one.1.contains("root.json")).collect();
    let named: Vec<_> = found
        .iter()
        .map(|(_, message)| {
            let rest = message.strip_prefix("this version of karat does not enforce `");
            rest.and_then(|rest| rest.strip_suffix("` yet")).unwrap_or_else(|| panic!("{message}"))
        })
        .collect();
    let mut sorted = named.clone();
    sorted.sort_unstable();
    let mut wanted = ["from", "signing-config", "[cache]", "[weights]", "[defaults]"];
    wanted.sort_unstable();
    assert_eq!(sorted, wanted);
    let line = |name: &str| found.iter().find(|(_, message)| message.contains(name)).unwrap().0;
    assert_eq!((line("`from`"), line("signing-config"), line("[cache]")), (3, 9, 11));
}

#[test]
fn the_trust_root_is_read() {
    let text = "[policy]\nname = \"golden\"\n[registry]\npublish = \"reg.example/golden\"\n\
         staging = \"reg.example/staging\"\nallow = [\"reg.example/golden\", \"reg.example/base\"]\n\
         storage-hosts = [\"store.example:8443\"]\nauth-hosts = [\"auth.example\"]\n\
         allowlist-only = true\nrequire-digest = true\nimmutable-tags = true\n";
    let registry = Loaded::parse("p.toml", text).unwrap().policy.registry.unwrap();
    assert_eq!(registry.staging.as_deref(), Some("reg.example/staging"));
    assert_eq!(registry.allow, ["reg.example/golden", "reg.example/base"]);
    assert_eq!(registry.storage_hosts, ["store.example:8443"]);
    assert_eq!(registry.auth_hosts, ["auth.example"]);
    assert!(registry.allowlist_only && registry.require_digest && registry.immutable_tags);
    for (wrong, message) in [
        ("storage-hosts = [\"*.example\"]", "no host"),
        ("storage-hosts = [\"https://store.example\"]", "no host"),
        ("auth-hosts = [\"Auth.example\"]", "no host"),
        ("allow = [\"reg.example\"]", "no place in a registry"),
        ("allow = [\"user@reg.example/a\"]", "no place in a registry"),
        ("staging = \"reg.example/a/../b\"", "no place in a registry"),
        ("mirrors = { \"up.example\" = \"reg.example\" }", "no place in a registry"),
        ("mirrors = { \"up\" = \"reg.example/a\" }", "no host of a registry and no place"),
        ("mirrors = { \"https://up.example\" = \"reg.example/a\" }", "no host of a registry"),
    ] {
        let found = faults(&format!("[policy]\nname = \"golden\"\n[registry]\n{wrong}\n"));
        assert!(found.len() == 1 && found[0].1.contains(message), "{wrong}: {found:?}");
    }
}

#[test]
fn what_vulnerabilities_do_is_read() {
    let text = with(
        "[gate]\nvulnerabilities = { fail-on = [\"critical\"], unknown-severity = \"inform\", unfixed = \"fail\" }\n\
         [advisories]\nmax-age = \"30d\"\n",
    );
    let policy = parse(&text).policy;
    let rules = &policy.gate.vulnerabilities;
    assert_eq!(rules.fail_on, [Severity::Critical]);
    assert_eq!((rules.unknown_severity, rules.unfixed), (Verdict::Inform, Verdict::Fail));
    assert_eq!((policy.advisories.max_age, policy.advisories.database), (30, None));
    assert_ne!(policy.digest(), parse(HEAD).policy.digest());
    let digest = crate::oci::Digest::of(b"db");
    let pinned = parse(&with(&format!("[advisories]\ndatabase = \"{digest}\"\n"))).policy;
    assert_eq!(pinned.advisories.database, Some(digest));
    for (text, told) in [
        ("[gate]\nvulnerabilities = { fail-on = [\"high\"] }\n", "leaves out a severity"),
        ("[gate]\nvulnerabilities = { fail-on = [] }\n", "nothing would reject"),
        ("[gate]\nvulnerabilities = { unfixed = \"maybe\" }\n", "`maybe` is nothing"),
        ("[advisories]\nmax-age = \"soon\"\n", "no age"),
        ("[advisories]\ndatabase = \"latest\"\n", ""),
    ] {
        let found = faults(&with(text));
        assert!(found.len() == 1 && found[0].1.contains(told), "{text}: {found:?}");
    }
}

#[test]
fn mirrors_and_sources_are_read() {
    let text = "[policy]\nname = \"golden\"\n[registry]\n\
         mirrors = { \"up.example\" = \"reg.example/m/up\", \"other.example/a\" = \"reg.example/a\" }\n\
         [mirror]\nsources = [\"up.example\", \"other.example:5000/a/b\"]\n";
    let policy = Loaded::parse("p.toml", text).unwrap().policy;
    let registry = policy.registry.unwrap();
    assert_eq!(registry.mirrored("up.example/x"), "reg.example/m/up/x");
    let (fits, others) = (
        ["up.example/x", "up.example/x/y", "other.example:5000/a/b", "other.example:5000/a/b/c"],
        [
            "up.example.evil/x",
            "other.example:5000/a/bc",
            "other.example/a/b",
            "other.example:5000/a",
        ],
    );
    assert!(fits.iter().all(|place| policy.mirror.is_source(place)));
    assert!(!others.iter().any(|place| policy.mirror.is_source(place)));
    assert_eq!(policy.mirror.fail_on_drift, Mirror::default().fail_on_drift);
    let text = "[policy]\nname = \"golden\"\n[mirror]\nfail-on-drift = [\"tag-moved\", \"signature-lost\"]\n";
    let policy = Loaded::parse("p.toml", text).unwrap().policy;
    assert_eq!(policy.mirror.fail_on_drift, [DriftState::SignatureLost, DriftState::TagMoved]);
    let found = faults(&text.replace("tag-moved", "in-sync"));
    assert!(found.len() == 1 && found[0].1.contains("`in-sync` is no state"), "{found:?}");
    let found = faults("[policy]\nname = \"golden\"\n[mirror]\nsources = [\"up\"]\n");
    assert!(found.len() == 1 && found[0].1.contains("no host of a registry"), "{found:?}");
}

#[test]
fn every_mistake_is_told_with_its_line() {
    let found = faults(
        "[policy]\nname = \"Mine\"\nkarat-min = \"99\"\n\
         [gate]\nedition = 7\nfail-on = [\"high\", \"awful\"]\nmax-size = \"big\"\nrequire = [\"blessing\"]\n\
         [gate.rules]\nshel = \"low\"\nscript = \"mild\"\n\
         [waivers]\nmax-days = 0\napproval = \"gut-feeling\"\nnever = [\"shel\", \"*\"]\n",
    );
    let lines: Vec<_> = found.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [2, 3, 5, 6, 6, 7, 8, 10, 11, 13, 14, 15, 15], "{found:#?}");
    let unknown = faults(&with("[gate]\nfailon = []\n"));
    assert_eq!(unknown.len(), 1);
    assert_eq!(unknown[0].0, 4);
    assert!(unknown[0].1.contains("failon"), "{unknown:?}");
    assert!(!faults("").is_empty());
    assert!(!faults("[gate]\n").is_empty(), "a policy has a name");
}

#[test]
fn a_rule_is_lowered_only_with_a_reason_and_an_end() {
    for (line, said) in [
        ("script = \"low\"", "without a reason"),
        ("script = \"off\"", "without a reason"),
        ("shell = \"low\"", "cannot be waived"),
        (
            "shell = { severity = \"off\", reason = \"r\", owner = \"o\", expires = \"2027-01-01\" }",
            "cannot be waived",
        ),
        (
            "script = { severity = \"low\", reason = \" \", owner = \"o\", expires = \"2027-01-01\" }",
            "`reason` says something",
        ),
        (
            "script = { severity = \"low\", reason = \"r\", owner = \"o\", expires = \"soon\" }",
            "`expires`",
        ),
    ] {
        let found = faults(&with(&format!("[gate.rules]\n{line}\n")));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].1.contains(said), "{line}: {found:?}");
    }
    // What `never` names can be neither waived nor lowered.
    let never = "[waivers]\nnever = [\"scr*\"]\n[gate.rules]\nscript = { severity = \"low\", reason = \"r\", owner = \"o\", expires = \"2027-01-01\" }\n";
    assert!(faults(&with(never))[0].1.contains("cannot be waived"));
}

#[test]
fn fail_on_names_every_severity_from_the_worst() {
    assert!(faults(&with("[gate]\nfail-on = [\"high\"]\n"))[0].1.contains("leaves out"));
    assert!(faults(&with("[gate]\nfail-on = []\n"))[0].1.contains("nothing would reject"));
    assert_eq!(
        parse(&with("[gate]\nfail-on = [\"critical\"]\n")).policy.gate.fail_on,
        [Severity::Critical]
    );
}

#[test]
fn profiles_are_read_and_every_mistake_in_them_is_told() {
    let lowered =
        "{ severity = \"info\", reason = \"r\", owner = \"o\", expires = \"2027-03-31\" }";
    let text = format!(
        "[policy]\nname = \"golden\"\n[registry]\npublish = \"registry.example:5000/golden\"\n\
         [[profile]]\nimages = \"registry.example:5000/golden/jvm/**\"\n\
         rules = {{ interpreter = {lowered}, script = \"critical\" }}\n\
         [[profile]]\nimages = \"legacy/*\"\nmode = \"report\"\nuntil = \"2027-01-31\"\n"
    );
    let loaded = parse(&text);
    let [jvm, legacy] = &loaded.policy.profile[..] else { panic!("{loaded:?}") };
    assert_eq!(jvm.rules["interpreter"].severity, Some(Severity::Info));
    assert_eq!(jvm.rules["script"].severity, Some(Severity::Critical));
    assert_eq!((jvm.report_until, legacy.report_until), (None, "2027-01-31".parse().ok()));
    assert_eq!(loaded.lines["profile.0.rules.interpreter"], 7);
    assert_eq!((loaded.lines["registry.publish"], loaded.lines["profile.1.until"]), (4, 11));
    assert_ne!(loaded.policy.digest(), Policy::golden().digest());

    for (profile, said) in [
        ("images = \"a/*\"\nmode = \"report\"", "`report` has an end"),
        ("images = \"a/*\"\nuntil = \"2027-01-31\"", "`until` is the end of `report`"),
        ("images = \"a/*\"\nmode = \"off\"", "`off` is no mode"),
        ("images = \"a/*\"\nmode = \"report\"\nuntil = \"soon\"", "soon"),
        ("images = \"A/*\"", "no pattern of repositories"),
        ("images = \"a/*\"\nrules = { shell = \"low\" }", "cannot be waived"),
        ("images = \"a/*\"\nrules = { script = \"low\" }", "without a reason"),
        ("images = \"a/*\"\nrules = { scirpt = \"low\" }", "there is no rule `scirpt`"),
        ("images = \"a/*\"\nfail-on = []", "unknown key `fail-on`"),
        ("images = \"a/*\"\n[[profile]]\nimages = \"a/*\"", "another profile is for `a/*`"),
        ("mode = \"enforce\"", "has no `images`"),
    ] {
        let found = faults(&format!("[policy]\nname = \"golden\"\n[[profile]]\n{profile}\n"));
        assert!(found.iter().any(|(_, message)| message.contains(said)), "{said}: {found:?}");
    }
    for publish in ["golden", "registry.example", "https://registry.example/golden", "r.example/G"]
    {
        let text = format!("[policy]\nname = \"golden\"\n[registry]\npublish = \"{publish}\"\n");
        let found = faults(&text);
        assert!(found[0].1.contains("no place in a registry"), "{publish}: {found:?}");
    }
}
