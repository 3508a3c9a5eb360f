//! The command line as users meet it: every test types commands in a folder of its own and
//! looks at exit code, output and files. Needs no network, no root, and no program but karat.
//!
//! Expected values come from the contract. Layouts are read by code of this folder alone
//! (`support/layout.rs`), never by karat's library.

mod architecture;
mod archives;
mod attacks;
mod bases;
mod build;
mod bundles;
mod content;
mod doctor;
mod fleet;
mod gate;
mod gate_config;
mod gate_layers;
mod gate_structure;
mod golden;
mod help;
mod hostile;
mod inputs;
mod keyless;
mod known;
mod legacy;
mod load;
mod mirror;
mod nested;
mod old_form;
mod policy;
mod provenance;
mod rebase;
mod rebuild;
mod registry;
mod registry_faults;
mod reports;
mod reproducible;
mod sbom;
mod scan;
mod scanners;
mod service_keys;
mod signing;
mod site;
mod standing;
mod stated;
mod support;
mod trust;
mod upstream;
mod vex;
mod vouched;
mod vouching;
mod waivers;
