use super::*;

const WHOLE: &str = "[[waiver]]\nid = \"wv-1\"\nrule = \"script\"\npath = \"/run.sh\"\n\
     images = \"payments/*\"\nreason = \"r\"\nowner = \"o\"\nticket = \"t\"\n\
     created = \"2026-11-01\"\nexpires = \"2026-12-01\"\n";

fn faults(text: &str) -> Vec<String> {
    match parse("waivers/a.toml", text) {
        Ok(waivers) => panic!("{waivers:?}"),
        Err(diagnostics) => diagnostics.faults.into_iter().map(|fault| fault.message).collect(),
    }
}

#[test]
fn a_file_of_waivers_is_read() {
    let waivers = parse("waivers/a.toml", &format!("{WHOLE}\n{}", WHOLE.replace("wv-1", "wv-2")));
    let waivers = waivers.unwrap();
    assert_eq!(waivers.len(), 2);
    let first = &waivers[0];
    assert_eq!((first.id.as_str(), first.rule.as_str()), ("wv-1", "script"));
    assert_eq!(first.subject, Subject::Path("/run.sh".parse().unwrap()));
    assert_eq!(first.images.as_ref().unwrap().to_string(), "payments/*");
    assert_eq!((first.file.as_str(), first.shared), ("waivers/a.toml", true));
    assert!(parse("waivers/a.toml", "waiver = []\n").unwrap().is_empty());
}

#[test]
fn every_fault_is_named() {
    for (change, to, said) in [
        ("id = \"wv-1\"", "id = \" \"", "`id` says something"),
        ("reason = \"r\"", "reason = \"\"", "`reason` says something"),
        ("owner = \"o\"\n", "", "has no `owner`"),
        ("path = \"/run.sh\"\n", "", "exactly one of"),
        ("path = ", "sha256 = \"00\"\npath = ", "exactly one of"),
        ("path = \"/run.sh\"", "sha256 = \"00\"", "64 hexadecimal"),
        ("path = \"/run.sh\"", "path = \"run.sh\"", "the path is relative"),
        ("payments/*", "payments/[a]", "no pattern"),
        ("2026-12-01", "2026-13-01", "2026-13-01"),
        ("owner = ", "ownr = ", "unknown key `ownr`"),
        (
            "path = ",
            "vulnerability = \"CVE-2026-1\"\npath = ",
            "bound to `vulnerability` and `package`",
        ),
        ("path = ", "package = \"pkg:deb/x\"\npath = ", "bound to `vulnerability` and `package`"),
        ("[[waiver]]", "[[waivers]]", "unknown key `waivers`"),
    ] {
        let text = WHOLE.replacen(change, to, 1);
        assert_ne!(text, WHOLE, "{change}");
        let faults = faults(&text);
        assert!(faults.iter().any(|fault| fault.contains(said)), "{said}: {faults:?}");
    }
    let twice = faults(&format!("{WHOLE}\n{WHOLE}"));
    assert_eq!(twice, ["another waiver has the name `wv-1`"]);
}
