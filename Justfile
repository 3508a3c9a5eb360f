# Lists what can be done.
default:
    @{{ just_executable() }} --list

# Packs karat itself into dist/karat.
build:
    cargo run --release -- build recipes/karat.toml

# Runs the tests; those that need other programs run where these are there.
test *ARGUMENTS:
    cargo test {{ ARGUMENTS }}

# Checks the form of the code and what the linter says.
lint:
    cargo fmt --check
    cargo clippy --all-targets -- -D warnings

# Formats the code.
fmt:
    cargo fmt

# Measures karat beside crane, umoci and buildah, where these are installed; with --inspect, inspection.
bench *ARGUMENTS:
    cargo build --release --bin karat --example unpack
    scripts/bench {{ ARGUMENTS }}

# Runs each fuzz target for an hour, or those that are named.
fuzz *TARGETS:
    #!/usr/bin/env bash
    set -euo pipefail
    targets=({{ TARGETS }})
    [[ ${#targets[@]} -gt 0 ]] || mapfile -t targets < <(ls fuzz/fuzz_targets | sed 's/\.rs$//')
    scripts/fuzz $((3600 * ${#targets[@]})) "${targets[@]}"

# Makes the corpus of real programs (it fetches 0.8 GB once) and holds the gate against it.
gate:
    scripts/make-gate-corpus
    KARAT_REQUIRE_GATE_CORPUS=1 cargo test --test gate

# Tests keys in tokens, with SoftHSM2. The program is not static then, and so everything is built again.
pkcs11:
    #!/usr/bin/env bash
    set -euo pipefail
    scripts/install-tools pkcs11
    export RUSTFLAGS="-C target-feature=-crt-static" CARGO_TARGET_DIR=target/pkcs11
    cargo clippy --features pkcs11 --all-targets --locked -- -D warnings
    KARAT_REQUIRE_INTEROP=1 cargo test --locked --features pkcs11 --test pkcs11

# Shows beside karat what trivy, syft and dockle see in the corpus; builds them first, which takes long.
compare-scanners:
    cargo build --release
    scripts/install-tools scanners
    scripts/compare-scanners --evidence docs/evidence/scanners.md

# Measures the fingerprint table against a folder of unpacked packages.
fingerprints FOLDER:
    KARAT_FINGERPRINTS={{ absolute_path(FOLDER) }} cargo test --test gate measured

# Runs all that must hold before a change is taken.
ci:
    bash .ci/run

# Runs `ci`, `pkcs11`, `gate` and the long measurements; the log goes to docs/evidence/ci-full.log.
ci-full:
    #!/usr/bin/env bash
    set -euo pipefail
    mkdir -p docs/evidence
    {
        bash .ci/run && {{ just_executable() }} pkcs11 && {{ just_executable() }} gate && {{ just_executable() }} bench --large --inspect
    } 2>&1 |
        sed -u -e "s|$PWD|.|g" -e "s|$HOME|~|g" | tee docs/evidence/ci-full.log
