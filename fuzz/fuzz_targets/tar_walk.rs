//! The strict walk. What it accepts, the crate `tar` must list the same.
#![no_main]

use karat::archive::tar_walk::{self, Kind};
use karat::archive::{Error, Limits};
use karat_fuzz::{mode, tar};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((mode, archive)) = mode(data) else { return };
    let mut archive = archive.to_vec();
    if mode & 1 == 0 {
        tar::sum_up(&mut archive);
    }
    let mut seen = Vec::new();
    let walked =
        tar_walk::walk::<_, Error>(&archive[..], &Limits::default(), &mut |member, data| {
            let mut bytes = Vec::new();
            data.read_to_end(&mut bytes)?;
            assert_eq!(bytes.len() as u64, member.size);
            let link = match member.kind {
                Kind::Symlink { target } | Kind::Hardlink { target } => Some(target),
                _ => None,
            };
            seen.push((member.path, bytes, link));
            Ok(())
        });
    if let Ok(summary) = walked {
        assert_eq!(summary.members, seen.len() as u64);
        assert_eq!(summary.bytes, archive.len() as u64);
        let listed = tar::list(&archive).expect("the crate tar reads what is accepted");
        assert_eq!(seen, listed);
    }
});
