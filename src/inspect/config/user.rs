//! The rules about the user.
//!
//! Source: how runtimes read `User` (moby/sys/user, `GetExecUser`; containerd, `WithUser`):
//! a number as Go's `Atoi` reads it, else a name of the image's /etc/passwd; without a
//! group, that of the user's line, else group 0.

use super::super::Look;
use super::super::access::RunAs;
use crate::binary::ReadAt as _;
use crate::finding::{Finding, escape, rules};

/// How much of an account file is read.
const ACCOUNTS: usize = 1 << 20;
/// The greatest number that runtimes take.
const GREATEST: i128 = i32::MAX as i128;

/// A line of an account file: its name, its number, and the number behind it.
struct Account {
    name: Vec<u8>,
    id: Option<i128>,
    next: Option<i128>,
}

pub(super) fn check(look: &mut Look<'_>, user: &str) -> Option<RunAs> {
    let (name, group) = user.split_once(':').unwrap_or((user, ""));
    let shown = escape::terminal(user);
    let accounts = accounts(look, b"etc/passwd");
    let root = |message: String| Finding::new(&rules::USER_ROOT, message);
    let uid = match number(name.trim()) {
        _ if user.is_empty() => {
            look.report(root("no user is set, so the image runs as root".to_owned()));
            Some(0)
        }
        _ if name.is_empty() || name == "root" => Some(0),
        Some(0) => Some(0),
        Some(uid) if !(0..=GREATEST).contains(&uid) => {
            let message = format!("the user is `{shown}`, and the greatest number is {GREATEST}");
            look.report(Finding::new(&rules::USER_OUT_OF_RANGE, message));
            None
        }
        Some(uid) if name == name.trim() => Some(uid),
        _ => {
            let listed: Vec<_> = accounts
                .iter()
                .filter(|account| account.name == name.as_bytes())
                .filter_map(|account| account.id)
                .collect();
            if listed.contains(&0) {
                look.report(root(format!(
                    "the user is the name `{shown}`, which /etc/passwd gives to root"
                )));
                return Some(RunAs { uid: 0, gid: 0 });
            }
            let why = match listed.first() {
                Some(uid) => format!("which /etc/passwd gives to user {uid}"),
                None => "which /etc/passwd does not list, so that nothing starts".to_owned(),
            };
            let message = format!("the user is the name `{shown}`, {why}");
            look.report(Finding::new(&rules::USER_NOT_NUMERIC, message));
            listed.first().copied().filter(|uid| (0..=GREATEST).contains(uid))
        }
    }?;
    if uid == 0 {
        if !user.is_empty() {
            look.report(root(format!("the user is `{shown}`, which is root")));
        }
        return Some(RunAs { uid: 0, gid: 0 });
    }
    let line = accounts.iter().find(|account| account.id == Some(uid));
    let gid = match number(group) {
        Some(gid) => Some(gid),
        None if group.is_empty() => Some(line.and_then(|line| line.next).unwrap_or(0)),
        None if group == "root" => Some(0),
        None => accounts_of_groups(look, group),
    };
    if gid == Some(0) {
        let message = if group.is_empty() {
            format!("the user is `{shown}` without a group, so the group is root")
        } else {
            format!("the user is `{shown}`, whose group is root")
        };
        look.report(Finding::new(&rules::GROUP_ROOT, message));
    }
    let narrow = |number: i128| u64::try_from(number).unwrap_or(u64::MAX);
    Some(RunAs { uid: narrow(uid), gid: gid.map_or(u64::MAX, narrow) })
}

fn accounts_of_groups(look: &Look<'_>, group: &str) -> Option<i128> {
    let groups = accounts(look, b"etc/group");
    groups.iter().find(|line| line.name == group.as_bytes()).and_then(|line| line.id)
}

/// Reads the lines of `/etc/passwd` or `/etc/group`: name, password, number, and more.
fn accounts(look: &Look<'_>, path: &[u8]) -> Vec<Account> {
    let Ok(node) = look.tree.file(path) else { return Vec::new() };
    let Some(content) = node.entry.content() else { return Vec::new() };
    let bytes = content.read_vec(0, ACCOUNTS).unwrap_or_default();
    let line = |line: &[u8]| {
        let mut fields = line.split(|byte| *byte == b':');
        let name = fields.next()?.to_vec();
        let mut field = || fields.next().and_then(|field| std::str::from_utf8(field).ok());
        let _password = field();
        let (id, next) = (field().and_then(number), field().and_then(number));
        id.is_some().then_some(Account { name, id, next })
    };
    bytes.split(|byte| *byte == b'\n').filter_map(line).collect()
}

/// Reads a number as Go's `strconv.Atoi` does: digits behind at most one sign.
fn number(text: &str) -> Option<i128> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|c| c.is_ascii_digit()) {
        return None;
    }
    let value = digits.parse().unwrap_or(i128::MAX);
    Some(if text.starts_with('-') { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_go_reads_them() {
        for (text, value) in [
            ("0", Some(0)),
            ("00", Some(0)),
            ("+0", Some(0)),
            ("-0", Some(0)),
            ("+65532", Some(65532)),
            ("-1", Some(-1)),
            ("4294967296", Some(1 << 32)),
            ("", None),
            ("+", None),
            ("++1", None),
            ("0x0", None),
            ("1 ", None),
        ] {
            assert_eq!(number(text), value, "{text}");
        }
        assert!(number(&"9".repeat(100)).is_some_and(|value| value > GREATEST));
    }
}
