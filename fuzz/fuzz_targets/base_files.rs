//! Definitions and locks of bases: what users write, and what only karat writes.
#![no_main]

use karat::base::definition::Definition;
use karat::base::lock::{Lock, LockError};
use karat_fuzz::{assert_shows, mode};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((mode, rest)) = mode(data) else { return };
    let Ok(text) = std::str::from_utf8(rest) else { return };
    if mode % 2 == 0 {
        match Definition::parse("up", "bases/up.toml", text) {
            Ok(definition) => assert_eq!(definition.digest(), definition.digest()),
            Err(faults) => assert_shows(&faults.render(false)),
        }
        return;
    }
    match Lock::parse("bases/up.lock.toml", text) {
        // What is read is written so that it is read again as the same.
        Ok(lock) => {
            let written = lock.to_text("up");
            let again = Lock::parse("bases/up.lock.toml", &written).expect("it is a lock");
            assert_eq!(again, lock);
            assert_eq!(again.to_text("up"), written);
        }
        Err(LockError::Faults(faults)) => assert_shows(&faults.render(false)),
        Err(LockError::Edited(_)) => {}
    }
});
