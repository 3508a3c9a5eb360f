//! What `karat-site.toml` says of connections and of the cache.

use crate::registry::project;
use crate::support::Output;
use crate::support::proxy::Proxy;
use crate::support::registry::{Registry, Ways};

#[test]
fn connections_are_made_as_the_site_says() {
    let registry = Registry::start(Ways { basic: Some("user:pass".to_owned()), ..Ways::default() });
    let proxy = Proxy::start(registry.host());
    let project = project();
    let host = "registry.internal.example:5000";
    let login = format!(r#"{{"auths":{{"{host}":{{"auth":"dXNlcjpwYXNz"}}}}}}"#);
    project.write("secrets/auth.json", login);
    let site = |auth: &str| {
        format!(
            "[network]\nplain-http = [\"{host}\"]\nauth-file = \"{auth}\"\nretries = 0\ntimeout = 5\n\
             http-proxy = \"http://who:hidden@{}\"\n",
            proxy.address
        )
    };
    let karat = |line: &str| {
        let args: Vec<_> = line.split_whitespace().collect();
        project.karat(&args).env("HOME", project.outside().join("home"))
    };
    let push = format!("push oci:one docker://{host}/golden/app:v1");
    let is_silent =
        |output: Output| assert!(!output.stderr.contains("hidden"), "{}", output.stderr);

    // Without a site's file nobody knows where this host is.
    karat(&push).env("KARAT_HTTP_RETRIES", "0").run().exits(3);
    assert!(proxy.seen().is_empty());
    // Files stand below the folder of the site's file, whatever the current folder is.
    project.write("karat-site.toml", site("secrets/auth.json"));
    project.write("deep/down/empty", "");
    let mut below = karat(&push.replace("oci:one", "oci:../../one"));
    below.command().current_dir(project.path("deep/down"));
    is_silent(below.run().exits(0));
    assert!(proxy.seen().iter().all(|one| one == host), "{:?}", proxy.seen());
    assert!(registry.repository("golden/app").tags.contains_key("v1"));

    // The environment has precedence.
    project.write("docker/config.json", "{}");
    is_silent(karat(&push).env("DOCKER_CONFIG", "docker").run().exits(3).says(&["401"]));
    let before = proxy.seen().len();
    let refused = karat(&push).env("HTTP_PROXY", "http://127.0.0.1:1").run().exits(3);
    assert_eq!(proxy.seen().len(), before);
    is_silent(refused);
    let tls = karat(&push).env("KARAT_PLAIN_HTTP", "other.example").run().exits(3);
    is_silent(tls);
    // A file that is named is there.
    project.write("karat-site.toml", site("secrets/none.json"));
    is_silent(karat(&push).run().exits(2).says(&["auth-file", "none.json", "not there"]));

    // Without one in the project the user's counts.
    std::fs::remove_file(project.path("karat-site.toml")).expect("the file");
    let own = project.outside().join("home/.config/karat");
    std::fs::create_dir_all(&own).expect("folders");
    let auth = project.path("secrets/auth.json");
    std::fs::write(own.join("karat-site.toml"), site(&auth.display().to_string())).expect("a file");
    is_silent(karat(&push).run().exits(0).says(&["sent 0 blobs"]));
}

#[test]
fn the_sites_file_is_strict_and_names_the_fault() {
    let project = project();
    for (text, says) in [
        ("[network]\ntimeout = 0\n", "0 is no number from 1 to 3600"),
        ("[network]\nproxy = \"x\"\n", "proxy"),
        ("[cache]\nfolder = 3\n", "folder"),
    ] {
        project.write("karat-site.toml", text);
        let said = project.run("push oci:one docker://127.0.0.1:1/a:v1").exits(2);
        let said = said.says(&["karat-site.toml", says]);
        assert!(!said.stderr.contains("127.0.0.1"), "{}", said.stderr);
    }
}
