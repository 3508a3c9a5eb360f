//! Whether the functions that an advisory names are in a Go program.
//!
//! The linker leaves out what nothing reaches, so that a function whose name is not in the
//! table of functions is not in the program. That holds only for a table that was read whole,
//! and is that of a Go program: with `runtime.` and `main.main`, and with a function of the
//! very module that is affected; else nothing is said.

use super::osv::Import;
use crate::binary::ReadAt;
use crate::binary::elf::View;
use crate::binary::go;
use std::collections::{BTreeMap, BTreeSet};

/// The most functions of affected packages that are kept of one program.
const MOST: usize = 500_000;

/// The functions of some packages of a program.
#[derive(Debug, Default)]
pub(super) struct Functions {
    /// By package, for the packages that were asked for.
    of: BTreeMap<String, BTreeSet<String>>,
    /// The modules of which there is any function.
    modules: BTreeSet<String>,
    whole: bool,
    runtime: bool,
    main: bool,
}

/// What the functions say of an advisory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    /// Some of what it names is there.
    Present(Vec<String>),
    /// Nothing of it is there.
    Absent,
    /// Nothing can be said: why.
    Nothing(&'static str),
}

impl Functions {
    /// Reads the functions of some packages, and which of some modules have any.
    pub(super) fn read(
        source: &dyn ReadAt,
        packages: &BTreeSet<String>,
        modules: &BTreeSet<String>,
    ) -> Self {
        let mut found = Self::default();
        let Ok(Some(view)) = View::read(source) else { return found };
        let mut count = 0;
        let whole = go::visit_functions(source, &view, &mut |name| {
            let Some(function) = go::function(name) else { return };
            let package = &*function.package;
            found.runtime |= package == "runtime";
            found.main |= package == "main" && function.symbol == "main";
            if packages.contains(package) && count < MOST {
                count += 1;
                found.of.entry(package.to_owned()).or_default().insert(function.symbol);
            }
            // The longest module whose path the package begins with.
            let mut path = package;
            loop {
                if modules.contains(path) {
                    found.modules.insert(path.to_owned());
                    break;
                }
                match path.rsplit_once('/') {
                    Some((parent, _)) => path = parent,
                    None => break,
                }
            }
        });
        found.whole = whole.unwrap_or(false) && count < MOST;
        found
    }

    /// Says whether anything of an affected module that an advisory names is there. `goos` and
    /// `goarch` are what the program was built for, where that is known.
    pub(super) fn say(
        &self,
        module: &str,
        imports: &[Import],
        goos: Option<&str>,
        goarch: Option<&str>,
    ) -> Said {
        if imports.is_empty() {
            return Said::Nothing("the advisory names no functions");
        }
        let fits = |list: &[String], own: Option<&str>| {
            list.is_empty() || own.is_none_or(|own| list.iter().any(|one| one == own))
        };
        let mut present = Vec::new();
        for import in
            imports.iter().filter(|one| fits(&one.goos, goos) && fits(&one.goarch, goarch))
        {
            let Some(functions) = self.of.get(&import.path) else { continue };
            if import.symbols.is_empty() {
                present.push(import.path.clone());
            }
            let there = import.symbols.iter().filter(|symbol| functions.contains(*symbol));
            present.extend(there.map(|symbol| format!("{}.{symbol}", import.path)));
        }
        if !present.is_empty() {
            return Said::Present(present);
        }
        let standard = module == "stdlib" || module == "toolchain";
        match (self.whole, self.runtime && self.main, self.modules.contains(module) || standard) {
            (false, ..) => Said::Nothing("the table of functions is not there or not whole"),
            (_, false, _) => Said::Nothing("the table of functions is not that of a Go program"),
            (.., false) => Said::Nothing("the table has no function of the affected module"),
            _ => Said::Absent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn import(path: &str, symbols: &[&str], goos: &[&str]) -> Import {
        let owned = |list: &[&str]| list.iter().map(|one| (*one).to_owned()).collect();
        Import {
            path: path.to_owned(),
            symbols: owned(symbols),
            goos: owned(goos),
            goarch: Vec::new(),
        }
    }

    fn functions(all: &[(&str, &str)]) -> Functions {
        let mut found =
            Functions { whole: true, runtime: true, main: true, ..Functions::default() };
        for (package, symbol) in all {
            found.of.entry((*package).to_owned()).or_default().insert((*symbol).to_owned());
        }
        found.modules.insert("a.b/m".to_owned());
        found
    }

    #[test]
    fn absence_counts_only_in_a_whole_table_with_the_module() {
        let imports = [import("a.b/m/p", &["Parse", "T.M"], &[])];
        let say = |functions: &Functions| functions.say("a.b/m", &imports, None, None);
        assert_eq!(say(&functions(&[("a.b/m/p", "Other")])), Said::Absent);
        assert_eq!(say(&functions(&[])), Said::Absent);
        let present = Said::Present(vec!["a.b/m/p.T.M".to_owned()]);
        assert_eq!(say(&functions(&[("a.b/m/p", "T.M")])), present);
        for broken in [
            Functions { whole: false, ..functions(&[]) },
            Functions { runtime: false, ..functions(&[]) },
            Functions { main: false, ..functions(&[]) },
            Functions { modules: BTreeSet::new(), ..functions(&[]) },
        ] {
            assert!(matches!(say(&broken), Said::Nothing(_)), "{broken:?}");
        }
        // What is there is there, whatever else is not.
        let cut = Functions { whole: false, ..functions(&[("a.b/m/p", "Parse")]) };
        assert!(matches!(say(&cut), Said::Present(_)));
    }

    #[test]
    fn a_package_without_functions_named_counts_whole_and_other_systems_do_not() {
        let functions = functions(&[("a.b/m/p", "X")]);
        let say = |import: Import| functions.say("a.b/m", &[import], Some("linux"), Some("amd64"));
        assert!(matches!(say(import("a.b/m/p", &[], &[])), Said::Present(_)));
        assert_eq!(say(import("a.b/m/q", &[], &[])), Said::Absent);
        assert_eq!(say(import("a.b/m/p", &[], &["windows"])), Said::Absent);
        assert!(matches!(say(import("a.b/m/p", &[], &["linux"])), Said::Present(_)));
        assert!(matches!(functions.say("a.b/m", &[], None, None), Said::Nothing(_)));
    }
}
