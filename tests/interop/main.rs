//! Interop: programs that nobody here wrote read, run and verify what karat makes.
//!
//! A case whose program or corpus is missing is skipped, and says so on standard error; with
//! `KARAT_REQUIRE_INTEROP=1`, as CI sets it, it fails. `KARAT_SKIP_INTEROP=1` skips all. The
//! last case to finish prints how many ran. `scripts/install-tools` installs the programs.
//!
//! | variable | meaning |
//! |---|---|
//! | `KARAT_TOOLS` | where `scripts/install-tools` installs; default `~/.cache/karat-tools` |
//! | `KARAT_CORPORA` | test data of other projects; default `../shared/corpora` |

#[path = "../it/support/archive_cases.rs"]
#[expect(dead_code, reason = "the command's tests use all of it")]
mod archive_cases;
mod bases;
mod conformance;
mod gotar;
mod keyless;
mod layout;
mod old_form;
mod platforms;
mod project;
#[path = "../it/support/raw_tar.rs"]
mod raw_tar;
mod registry;
mod run;
mod sbom;
mod scan;
mod schema;
mod signing;
mod source;
mod support;

/// Makes a test of each case and counts them, so that none can get lost.
macro_rules! cases {
    ($($module:ident: $($case:ident)*;)*) => {
        $($(
            #[test]
            fn $case() {
                support::case(concat!(stringify!($module), "::", stringify!($case)), $module::$case);
            }
        )*)*
        /// How many cases there are.
        const CASES: usize = [$($(stringify!($case)),*),*].len();
    };
}

cases! {
    bases:
        versions_are_ordered_as_dpkg_orders_them
        gpg_verifies_and_refuses_what_karat_does
        the_built_in_base_is_made_again_from_the_mirror
        a_dynamic_program_stands_on_the_cc_base;
    schema:
        every_document_of_a_signed_layout_validates
        every_document_of_two_platforms_validates
        the_validator_refuses_what_is_wrong;
    layout:
        skopeo_inspects_the_signed_layout
        skopeo_copies_the_signed_layout_without_changing_its_digest
        skopeo_reads_the_archive_in_both_of_its_formats
        skopeo_unpacks_zstd
        karat_inspects_what_skopeo_saves_for_engines
        crane_validates_the_archive
        umoci_unpacks_the_signed_layout
        gnu_tar_lists_every_layer_without_a_warning;
    run:
        runc_runs_the_image_as_its_user_without_rights
        names_resolve_inside_the_image_from_the_hosts_file
        names_resolve_inside_the_image_by_dns
        karat_runs_inside_its_own_image;
    signing:
        cosign_verifies_every_bundle
        cosign_refuses_other_keys_and_other_digests
        cosign_and_karat_read_each_others_keys
        cosign_and_karat_verify_each_others_files
        cosign_verifies_what_karat_adds_to_an_image
        sigstore_js_verifies_every_bundle
        sigstore_js_refuses_what_was_altered
        karat_refuses_what_was_altered;
    old_form:
        cosign_verifies_what_karat_signs_in_the_old_form
        cosign_refuses_what_karat_signed_and_somebody_changed
        what_cosign_signed_in_the_old_form_stays
        podmans_policy_takes_what_karat_signs_in_the_old_form
        cosign_verifies_a_layout_signed_in_the_old_form;
    keyless:
        every_verifier_accepts_what_karat_signs_keyless
        karat_accepts_what_cosign_signs_keyless
        a_file_is_signed_and_verified_both_ways;
    conformance:
        every_bundle_is_judged_as_its_name_says
        a_bundle_signed_after_its_certificate_is_refused_for_that
        an_attestation_of_the_old_form_needs_certificate_log_and_time
        the_root_of_trust_of_the_policy_judges
        the_policy_binds_certificates_to_images;
    sbom:
        pyspdxtools_accepts_the_spdx_document
        the_ntia_checker_finds_the_minimum_elements
        the_checkers_accept_the_spdx_3_document
        every_form_of_every_image_is_valid
        the_cyclonedx_library_accepts_the_document;
    scan:
        functions_that_go_has_not_linked_are_not_affected
        cosign_verifies_what_is_stated_of_vulnerabilities
        the_real_dumps_are_imported_whole;
    gotar:
        go_lists_the_accepted_layers_of_the_table
        go_lists_the_layers_that_karat_builds
        go_lists_generated_archives_alike
        go_sees_what_a_refused_layer_hides;
    platforms:
        skopeo_picks_each_platform_of_a_go_program
        skopeo_copies_both_platforms
        the_go_program_runs_and_finds_certificates_and_time_zones;
    registry:
        crane_and_skopeo_read_what_karat_pushed
        oras_and_cosign_find_what_refers_to_it
        karat_signs_what_others_pushed
        karat_reads_what_others_pushed
        copies_within_a_registry_mount
        a_base_that_cosign_has_signed_is_locked
        what_cosign_signs_in_the_old_form_is_verified
        doctor_leaves_a_registry_usable
        what_cosign_has_signed_is_mirrored
        passwords_and_a_private_authority;
    source:
        a_go_program_of_another_commit_or_of_changed_sources_is_told;
}
