//! What is in the image: the layer, the configuration, the manifest and the index.

use crate::support::elf::Elf;
use crate::support::layout::{CONFIG, INDEX, LAYER_GZIP, LAYER_ZSTD, MANIFEST, members};
use crate::support::{Project, digest_of, is_digest, recipe, recipe_on};
use serde_json::json;
use std::collections::BTreeSet;
use tar::EntryType;

const FULL: &str = r#"[image]
name = "full"
base = "static-debian13"
platforms = ["linux/amd64"]
entrypoint = ["/usr/bin/app", "--serve"]
cmd = ["--port", "8080"]
user = "1000:2000"
workdir = "/data"
env = { LOG = "info", PATH = "/usr/bin" }
ports = ["8080/tcp", "53/udp"]
stop-signal = "SIGINT"
labels = { "org.example.team" = "x" }
annotations = { "org.opencontainers.image.source" = "https://git.example/app" }

[[binary]]
source = "out/app"

[[binary]]
source = "out/second"
path = "/bin/second"

[[file]]
source = "config/"
path = "/etc/app/"
exclude = ["**/*.map", "private"]

[[file]]
source = "note.txt"
path = "/opt/notes/"
mode = "0400"
owner = "1000:2000"

[[directory]]
path = "/data"

[[directory]]
path = "/var/cache/app"
owner = "7:8"
mode = "0700"

[[link]]
path = "/app/server"
target = "/usr/bin/app"
"#;

fn full() -> Project {
    let project = Project::new();
    project.write("out/app", Elf::with("app").build());
    project.write("out/second", Elf::with("second").build());
    project.write("config/a.json", "{}");
    project.write("config/a.js.map", "excluded");
    project.write("config/sub/b.txt", "b");
    project.write("config/sub-x", "between");
    project.write("config/private/key", "excluded");
    project.write("note.txt", "note");
    project.write("full.karat.toml", FULL);
    project.done("build");
    project
}

#[test]
fn layer_holds_what_the_recipe_declares_and_nothing_else() {
    let project = full();
    let layout = project.dist("full");
    layout.is_whole();
    let found: Vec<_> = layout
        .added()
        .into_iter()
        .map(|one| (one.path, one.kind, one.mode, one.uid, one.gid, one.target))
        .collect();
    let row = |path: &str, kind, mode, uid, gid, target: Option<&str>| {
        (path.to_owned(), kind, mode, uid, gid, target.map(str::to_owned))
    };
    let folder = |path, mode, uid, gid| row(path, EntryType::Directory, mode, uid, gid, None);
    let file = |path, mode, uid, gid| row(path, EntryType::Regular, mode, uid, gid, None);
    let expected = [
        folder("app/", 0o755, 0, 0),
        row("app/server", EntryType::Symlink, 0o777, 0, 0, Some("/usr/bin/app")),
        folder("data/", 0o750, 1000, 2000),
        folder("etc/app/", 0o755, 0, 0),
        file("etc/app/a.json", 0o444, 0, 0),
        folder("etc/app/sub/", 0o755, 0, 0),
        file("etc/app/sub-x", 0o444, 0, 0),
        file("etc/app/sub/b.txt", 0o444, 0, 0),
        folder("opt/", 0o755, 0, 0),
        folder("opt/notes/", 0o755, 0, 0),
        file("opt/notes/note.txt", 0o400, 1000, 2000),
        file("usr/bin/app", 0o555, 0, 0),
        file("usr/bin/second", 0o555, 0, 0),
        folder("var/cache/", 0o755, 0, 0),
        folder("var/cache/app/", 0o700, 7, 8),
    ];
    // Only what the base lacks is made: which of these parents it has, its own list says.
    let base = base_paths(&layout);
    let expected: Vec<_> = expected
        .into_iter()
        .filter(|(path, kind, ..)| {
            *kind != EntryType::Directory || !base.contains(path.trim_end_matches('/'))
        })
        .collect();
    assert_eq!(found, expected);
}

fn base_paths(layout: &crate::support::layout::Layout) -> BTreeSet<String> {
    let manifest = layout.manifest();
    let layers = manifest["layers"].as_array().expect("layers");
    let base = &layers[..layers.len() - 1];
    base.iter()
        .flat_map(|layer| members(&layout.tar(layer)))
        .map(|one| one.path.trim_start_matches("./").trim_end_matches('/').to_owned())
        .collect()
}

#[test]
fn entries_are_in_byte_order_and_their_parents_come_first() {
    let added = full().dist("full").added();
    let paths: Vec<_> = added.iter().map(|one| one.path.trim_end_matches('/')).collect();
    let mut sorted = paths.clone();
    sorted.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
    assert_eq!(paths, sorted);
    let unique: BTreeSet<_> = paths.iter().collect();
    assert_eq!(unique.len(), paths.len(), "an entry twice");
}

#[test]
fn no_entry_changes_a_folder_of_the_base() {
    let project = full();
    let layout = project.dist("full");
    let base = base_paths(&layout);
    assert!(base.contains("usr/bin") && base.contains("etc"), "{base:?}");
    for one in layout.added() {
        assert!(!base.contains(one.path.trim_end_matches('/')), "{} is the base's", one.path);
    }
}

#[test]
fn path_through_a_link_of_the_base_lands_where_the_link_leads() {
    let project = full();
    let layout = project.dist("full");
    assert_eq!(layout.member("usr/bin/second").bytes, project.read("out/second"));
    assert!(layout.added().iter().all(|one| one.path != "bin" && !one.path.starts_with("bin/")));
    let manifest = layout.manifest();
    let links = manifest["layers"].as_array().expect("layers").iter();
    let bin: Vec<_> = links
        .flat_map(|layer| members(&layout.tar(layer)))
        .filter(|one| matches!(one.path.trim_end_matches('/'), "bin" | "./bin"))
        .collect();
    assert_eq!(bin.len(), 1);
    assert_eq!(bin[0].kind, EntryType::Symlink);
    assert_eq!(bin[0].target.as_deref(), Some("usr/bin"));
}

#[test]
fn owners_are_numbers_without_names() {
    for one in full().dist("full").added() {
        assert_eq!(one.names, (String::new(), String::new()), "{}", one.path);
    }
}

#[test]
fn times_are_the_epoch() {
    let project = full();
    assert!(project.dist("full").added().iter().all(|one| one.mtime == 0));
    assert_eq!(project.dist("full").config()["created"], "1970-01-01T00:00:00Z");
    project.karat(&["build"]).env("SOURCE_DATE_EPOCH", "1700000000").run().exits(0);
    let layout = project.dist("full");
    assert!(layout.added().iter().all(|one| one.mtime == 1_700_000_000));
    let config = layout.config();
    assert_eq!(config["created"], "2023-11-14T22:13:20Z");
    let annotations = &layout.manifest()["annotations"];
    assert_eq!(annotations["org.opencontainers.image.created"], "2023-11-14T22:13:20Z");
}

#[test]
fn configuration_says_what_the_recipe_says() {
    let config = full().dist("full").config();
    assert_eq!(config["os"], "linux");
    assert_eq!(config["architecture"], "amd64");
    let run = &config["config"];
    assert_eq!(run["User"], "1000:2000");
    assert_eq!(run["Entrypoint"], json!(["/usr/bin/app", "--serve"]));
    assert_eq!(run["Cmd"], json!(["--port", "8080"]));
    assert_eq!(run["WorkingDir"], "/data");
    assert_eq!(run["ExposedPorts"], json!({ "8080/tcp": {}, "53/udp": {} }));
    assert_eq!(run["StopSignal"], "SIGINT");
    assert_eq!(run["Labels"], json!({ "org.example.team": "x" }));
    let env: Vec<_> =
        run["Env"].as_array().expect("Env").iter().filter_map(|one| one.as_str()).collect();
    assert!(env.contains(&"LOG=info"), "{env:?}");
    assert!(env.contains(&"SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"), "{env:?}");
    let paths: Vec<_> = env.iter().filter(|one| one.starts_with("PATH=")).collect();
    assert_eq!(paths, [&"PATH=/usr/bin"], "the recipe's value replaces the base's");
    assert!(!run.as_object().expect("config").contains_key("Volumes"));
}

#[test]
fn configuration_has_golden_defaults() {
    let project = Project::small();
    project.write("app.karat.toml", recipe_on("static-debian13", "", "app", "app"));
    project.done("build");
    let run = project.dist("app").config()["config"].clone();
    assert_eq!(run["User"], "65532:65532");
    assert_eq!(run["Entrypoint"], json!(["/usr/bin/app"]));
    assert_eq!(run["WorkingDir"], "/");
    let env = run["Env"].as_array().expect("Env").clone();
    assert!(env.iter().any(|one| one.as_str().is_some_and(|one| one.starts_with("PATH=/"))));
    assert!(env.contains(&json!("SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt")), "{env:?}");
    assert!(run.get("Cmd").is_none_or(|cmd| cmd == &json!([])), "{run}");
}

#[test]
fn history_has_one_line_a_layer() {
    let project = full();
    let layout = project.dist("full");
    let (manifest, config) = (layout.manifest(), layout.config());
    let layers = manifest["layers"].as_array().expect("layers");
    let history = config["history"].as_array().expect("history");
    let filled = history.iter().filter(|one| one["empty_layer"] != true).count();
    assert_eq!(filled, layers.len());
    assert_eq!(config["rootfs"]["type"], "layers");
    assert_eq!(config["rootfs"]["diff_ids"].as_array().map(Vec::len), Some(layers.len()));
}

#[test]
fn manifest_is_of_the_specification() {
    let project = full();
    let layout = project.dist("full");
    let manifest = layout.manifest();
    assert_eq!(manifest["schemaVersion"], 2);
    assert_eq!(manifest["mediaType"], MANIFEST);
    assert_eq!(manifest["config"]["mediaType"], CONFIG);
    assert!(manifest.get("subject").is_none() && manifest.get("artifactType").is_none());
    let annotations = &manifest["annotations"];
    assert_eq!(annotations["org.opencontainers.image.source"], "https://git.example/app");
    for layer in manifest["layers"].as_array().expect("layers") {
        assert_eq!(layer["mediaType"], LAYER_GZIP);
    }
    let entry = layout.image(None);
    assert_eq!(entry["platform"], json!({ "architecture": "amd64", "os": "linux" }));
}

#[test]
fn base_is_named_with_one_digest_for_all_its_images() {
    let project = full();
    let annotations = |name: &str| {
        let annotations = project.dist(name).manifest()["annotations"].clone();
        (
            annotations["org.opencontainers.image.base.name"].clone(),
            annotations["org.opencontainers.image.base.digest"].clone(),
        )
    };
    let (name, digest) = annotations("full");
    assert_eq!(name, "static-debian13");
    assert!(is_digest(digest.as_str().expect("a digest")), "{digest}");
    project.write("other.karat.toml", recipe_on("static-debian13", "", "other", "out/second"));
    project.done("build other.karat.toml --source-date-epoch 5");
    assert_eq!(annotations("other"), (name, digest));
}

#[test]
fn base_layers_come_first_and_are_the_same_in_every_image() {
    let project = full();
    project.write("other.karat.toml", recipe_on("static-debian13", "", "other", "out/second"));
    project.done("build other.karat.toml");
    let layers = |name: &str| {
        let mut layers = project.dist(name).manifest()["layers"].as_array().expect("some").clone();
        (layers.pop(), layers)
    };
    let ((added, base), (other_added, other_base)) = (layers("full"), layers("other"));
    assert_eq!(base, other_base);
    assert!(base.len() >= 4);
    assert_ne!(added, other_added);
}

#[test]
fn scratch_has_one_layer_no_base_and_no_environment() {
    let project = Project::small();
    project.done("build");
    let layout = project.dist("app");
    let manifest = layout.manifest();
    assert_eq!(manifest["layers"].as_array().map(Vec::len), Some(1));
    let annotations = manifest["annotations"].as_object().expect("annotations");
    assert!(annotations.keys().all(|key| !key.contains(".base.")), "{annotations:?}");
    let run = layout.config()["config"].clone();
    assert!(run.get("Env").is_none_or(|env| env == &json!([])), "{run}");
    let paths: Vec<_> = layout.added().into_iter().map(|one| (one.path, one.mode)).collect();
    let expected = [("usr/", 0o755), ("usr/bin/", 0o755), ("usr/bin/app", 0o555)];
    assert_eq!(paths, expected.map(|(path, mode)| (path.to_owned(), mode)));
}

#[test]
fn platforms_are_in_the_order_of_the_recipe() {
    let project = Project::new();
    project.write("arm64/app", Elf::arm64().build());
    project.write("amd64/app", Elf::default().build());
    let platforms = "platforms = [\"linux/arm64\", \"linux/amd64\"]\n";
    project.write("app.karat.toml", recipe_on("static-debian13", platforms, "app", "{goarch}/app"));
    project.done("build");
    let layout = project.dist("app");
    layout.is_whole();
    let root = layout.image(None);
    assert_eq!(root["mediaType"], INDEX);
    let index = layout.document(&root);
    assert_eq!(index["schemaVersion"], 2);
    let platforms = layout.platforms(None);
    let listed: Vec<_> = platforms.iter().map(|one| one["platform"].clone()).collect();
    assert_eq!(listed[0]["architecture"], "arm64");
    assert_eq!(listed[0]["os"], "linux");
    assert_eq!(listed[1], json!({ "architecture": "amd64", "os": "linux" }));
    for (descriptor, source) in platforms.iter().zip(["arm64/app", "amd64/app"]) {
        let manifest = layout.document(descriptor);
        let config = layout.document(&manifest["config"]);
        assert_eq!(config["architecture"], descriptor["platform"]["architecture"]);
        let last = manifest["layers"].as_array().expect("layers").last().expect("one").clone();
        let app = members(&layout.tar(&last))
            .into_iter()
            .find(|one| one.path == "usr/bin/app")
            .expect("the program");
        assert_eq!(digest_of(&app.bytes), digest_of(&project.read(source)));
    }
}

#[test]
fn source_can_be_a_table_of_platforms() {
    let project = Project::new();
    project.write("x/one", Elf::default().build());
    project.write("y/two", Elf::arm64().build());
    project.write(
        "app.karat.toml",
        "[image]\nname = \"app\"\nbase = \"scratch\"\nplatforms = [\"linux/amd64\", \"linux/arm64\"]\n\n[[binary]]\npath = \"/app\"\nsource = { \"linux/amd64\" = \"x/one\", \"linux/arm64\" = \"y/two\" }\n",
    );
    project.done("build");
    project.dist("app").is_whole();
}

#[test]
fn rust_targets_are_known_to_placeholders() {
    let project = Project::new();
    project.write("target/x86_64-unknown-linux-musl/release/app", Elf::default().build());
    project.write("target/aarch64-unknown-linux-gnu/release/app", Elf::arm64().build());
    let one = |platform: &str, target: &str| {
        recipe_on(
            "scratch",
            &format!("platforms = [\"{platform}\"]\n"),
            "app",
            &format!("target/{{{target}}}/release/app"),
        )
    };
    project.write("app.karat.toml", one("linux/amd64", "rust-musl"));
    project.done("build");
    project.write("app.karat.toml", one("linux/arm64", "rust-gnu"));
    project.done("build");
}

#[test]
fn zstd_layer_has_its_media_type_and_the_same_content() {
    let project = Project::small();
    project.done("build");
    let gzip = project.dist("app");
    project.write("app.karat.toml", recipe("app", "app") + "\n[layer]\ncompression = \"zstd\"\n");
    let added = gzip.added();
    let diff_ids = gzip.config()["rootfs"]["diff_ids"].clone();
    project.done("build");
    let zstd = project.dist("app");
    zstd.is_whole();
    assert_eq!(zstd.manifest()["layers"][0]["mediaType"], LAYER_ZSTD);
    assert_eq!(zstd.added(), added);
    assert_eq!(zstd.config()["rootfs"]["diff_ids"], diff_ids);
}

#[test]
fn file_without_a_trailing_slash_takes_the_path_as_its_name() {
    let project = Project::small();
    let mut text = recipe("app", "app");
    text += "[[file]]\nsource = \"note.txt\"\npath = \"/etc/renamed\"\n";
    project.write("note.txt", "note");
    project.write("app.karat.toml", text);
    project.done("build");
    assert_eq!(project.dist("app").member("etc/renamed").bytes, b"note");
}

#[test]
fn empty_file_is_packed_as_data() {
    let project = Project::small();
    project.write("empty", "");
    project.write(
        "app.karat.toml",
        recipe("app", "app") + "[[file]]\nsource = \"empty\"\npath = \"/empty\"\n",
    );
    project.done("build");
    assert_eq!(project.dist("app").member("empty").bytes, b"");
}

#[test]
fn empty_folder_of_a_file_source_is_packed() {
    let project = Project::small();
    std::fs::create_dir_all(project.path("tree/empty")).expect("folders");
    project.write("tree/file", "x");
    project.write(
        "app.karat.toml",
        recipe("app", "app") + "[[file]]\nsource = \"tree\"\npath = \"/srv\"\n",
    );
    project.done("build");
    let folder = project.dist("app").member("srv/empty/");
    assert_eq!((folder.mode, folder.uid), (0o755, 0));
}

#[test]
fn long_and_non_ascii_names_survive() {
    let project = Project::small();
    let long = format!("{}/{}/{}", "a".repeat(90), "b".repeat(90), "c".repeat(120));
    project.write(&format!("tree/{long}"), "long");
    project.write("tree/größe-日本.txt", "umlaut");
    project.write(
        "app.karat.toml",
        recipe("app", "app") + "[[file]]\nsource = \"tree\"\npath = \"/srv\"\n",
    );
    project.done("build");
    let layout = project.dist("app");
    layout.is_whole();
    assert_eq!(layout.member(&format!("srv/{long}")).bytes, b"long");
    assert_eq!(layout.member("srv/größe-日本.txt").bytes, b"umlaut");
}

#[test]
fn sbom_and_provenance_are_of_their_kinds_and_name_the_image() {
    let project = full();
    let digest = project.dist("full").image(None)["digest"].as_str().expect("one").to_owned();
    let spdx = project.json("dist/full/sbom.spdx.json");
    assert_eq!(spdx["spdxVersion"], "SPDX-2.3");
    assert!(spdx.to_string().contains(digest.trim_start_matches("sha256:")));
    let cdx = project.json("dist/full/sbom.cdx.json");
    assert_eq!(cdx["bomFormat"], "CycloneDX");
    assert_eq!(cdx["specVersion"], "1.6");
    for package in ["base-files", "tzdata", "ca-certificates", "netbase"] {
        assert!(spdx.to_string().contains(package), "{package} is not in the SPDX document");
        assert!(cdx.to_string().contains(package), "{package} is not in the CycloneDX document");
    }
    let provenance = project.json("dist/full/provenance.json").to_string();
    let app = digest_of(&project.read("out/app"));
    assert!(provenance.contains(app.trim_start_matches("sha256:")), "{provenance}");
}
