//! Keys in tokens: found, and asked to sign. The key never leaves its token.
//!
//! Source: OASIS PKCS #11 Specification, version 3.1, sections 4.9 and 6.3.

use super::super::failure::Failure;
use super::super::settings;
use super::super::site::variable;
use super::uri::Uri;
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error as TokenError, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;
use karat::finding::escape;
use karat::signature::{Error, KeyHandle, PublicKey};
use p256::pkcs8::{EncodePublicKey as _, LineEnding};
use sha2::{Digest as _, Sha256};
use std::io::IsTerminal as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use zeroize::Zeroizing;

/// The longest file of a PIN, in bytes.
const MAX_PIN: usize = 1024;
/// DER of an octet string of 65 bytes, which a point of P-256 is.
const POINT: [u8; 2] = [0x04, 65];

/// A key in a token.
pub(in crate::cli) struct TokenKey {
    public: PublicKey,
    key: ObjectHandle,
    session: Mutex<Session>,
}

fn failed(what: &str, error: &TokenError) -> Failure {
    Failure::failed(format!("{what}: {error}"))
}

impl TokenKey {
    /// Loads the library, finds token and key, and logs in.
    pub(super) fn find(uri: &Uri) -> Result<Self, Failure> {
        let named = variable("COSIGN_PKCS11_MODULE_PATH").map(Into::into);
        let module = uri.module.clone().or(named).ok_or_else(|| {
            Failure::usage("nothing says which library reaches the token")
                .hint("`?module-path=/usr/lib/….so` in the address, or COSIGN_PKCS11_MODULE_PATH")
        })?;
        let shown = module.display();
        let library = Pkcs11::new(&module).map_err(|error| {
            Failure::usage(format!("the library `{shown}` cannot be loaded: {error}"))
        })?;
        library
            .initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK))
            .map_err(|error| failed(&format!("the library `{shown}` does not start"), &error))?;
        let slot = slot(&library, uri)?;
        let session = library
            .open_ro_session(slot)
            .map_err(|error| failed("the token opens no session", &error))?;
        let pin = pin(uri)?;
        match session.login(UserType::User, Some(&AuthPin::new(pin.to_string().into()))) {
            Ok(()) | Err(TokenError::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => {}
            Err(TokenError::Pkcs11(
                RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange,
                _,
            )) => {
                return Err(Failure::usage("the token does not take the PIN")
                    .hint("after a few wrong ones tokens lock themselves"));
            }
            Err(error) => return Err(failed("the token lets nobody in", &error)),
        }
        let key = key(&session, uri)?;
        let public = public_key(&session, key)?;
        Ok(Self { public, key, session: Mutex::new(session) })
    }
}

/// Finds the one token that an address means.
fn slot(library: &Pkcs11, uri: &Uri) -> Result<Slot, Failure> {
    let mut fitting = Vec::new();
    let mut labels = Vec::new();
    let slots = library.get_slots_with_token();
    for slot in slots.map_err(|error| failed("the library lists no tokens", &error))? {
        let info = library
            .get_token_info(slot)
            .map_err(|error| failed("a token says nothing of itself", &error))?;
        if !info.token_initialized() {
            continue;
        }
        let is = |wanted: &Option<String>, found: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted == found.trim_end())
        };
        labels.push(format!("`{}`", escape::terminal(info.label().trim_end())));
        if is(&uri.token, info.label())
            && is(&uri.serial, info.serial_number())
            && is(&uri.manufacturer, info.manufacturer_id())
            && is(&uri.model, info.model())
            && uri.slot.is_none_or(|wanted| wanted == slot.id())
        {
            fitting.push(slot);
        }
    }
    match fitting[..] {
        [slot] => Ok(slot),
        [] if labels.is_empty() => Err(Failure::usage("the library reaches no token")),
        [] => Err(Failure::usage("the address fits no token")
            .hint(format!("there are {}", labels.join(", ")))),
        _ => Err(Failure::usage(format!("the address fits {} tokens", fitting.len()))
            .hint("`token=LABEL`, `serial=…` or `slot-id=…` tells them apart")),
    }
}

/// Finds the one private key that an address means.
fn key(session: &Session, uri: &Uri) -> Result<ObjectHandle, Failure> {
    let mut wanted = vec![Attribute::Class(ObjectClass::PRIVATE_KEY)];
    wanted.extend(uri.object.clone().map(|label| Attribute::Label(label.into_bytes())));
    wanted.extend(uri.id.clone().map(Attribute::Id));
    let found = session
        .find_objects(&wanted)
        .map_err(|error| failed("the token does not look for the key", &error))?;
    let [key] = found[..] else {
        return Err(Failure::usage(match found.len() {
            0 => "the token holds no private key of that label and id".to_owned(),
            several => format!("the token holds {several} private keys of that label and id"),
        })
        .hint("`pkcs11-tool --list-objects --login` shows what it holds"));
    };
    Ok(key)
}

/// Reads the public key that belongs to a private one: the object with the same id.
fn public_key(session: &Session, key: ObjectHandle) -> Result<PublicKey, Failure> {
    let unreadable = |error: TokenError| failed("the key says nothing of itself", &error);
    let asked = [AttributeType::KeyType, AttributeType::Id];
    let mut same = vec![Attribute::Class(ObjectClass::PUBLIC_KEY)];
    for attribute in session.get_attributes(key, &asked).map_err(unreadable)? {
        match attribute {
            Attribute::KeyType(KeyType::EC) => {}
            Attribute::KeyType(_) => return Err(other_kind()),
            Attribute::Id(id) if !id.is_empty() => same.push(Attribute::Id(id)),
            _ => {}
        }
    }
    let found = session.find_objects(&same).map_err(unreadable)?;
    let [public] = found[..] else {
        return Err(Failure::usage("the token holds no public key of the private one's id"));
    };
    let points = session.get_attributes(public, &[AttributeType::EcPoint]).map_err(unreadable)?;
    let Some(Attribute::EcPoint(point)) = points.first() else { return Err(other_kind()) };
    // Some tokens leave the DER around it out.
    let point = point.strip_prefix(&POINT[..]).filter(|rest| rest.len() == 65).unwrap_or(point);
    let public = p256::PublicKey::from_sec1_bytes(point).map_err(|_| other_kind())?;
    let pem = public.to_public_key_pem(LineEnding::LF).map_err(|_| other_kind())?;
    PublicKey::from_pem(&pem).map_err(|_| other_kind())
}

fn other_kind() -> Failure {
    Failure::usage("the key is none of ECDSA on the curve P-256, which karat signs with")
}

/// Reads the PIN: from the file that the address names, from `COSIGN_PKCS11_PIN`, or asks for it.
fn pin(uri: &Uri) -> Result<Zeroizing<String>, Failure> {
    if let Some(path) = &uri.pin_file {
        return pin_of(path);
    }
    if let Some(pin) = variable("COSIGN_PKCS11_PIN") {
        return Ok(pin.into());
    }
    if !std::io::stdin().is_terminal() {
        return Err(Failure::usage(
            "the token needs a PIN, and there is no terminal to ask for it",
        )
        .hint("set COSIGN_PKCS11_PIN, or name its file, `pin-source=file:PATH`"));
    }
    let asked = rpassword::prompt_password("PIN of the token: ");
    Ok(asked.map_err(|error| Failure::failed(format!("failed to read the PIN: {error}")))?.into())
}

fn pin_of(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let bytes = Zeroizing::new(settings::file(path, "a PIN", MAX_PIN)?);
    let text = std::str::from_utf8(&bytes).ok().map(|text| text.trim_end_matches(['\r', '\n']));
    let text = text.filter(|text| !text.is_empty());
    let none = || Failure::usage(format!("`{}` holds no PIN", path.display()));
    Ok(text.ok_or_else(none)?.to_owned().into())
}

impl KeyHandle for TokenKey {
    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        self.sign_sha256(&Sha256::digest(message).into())
    }

    fn sign_sha256(&self, sha256: &[u8; 32]) -> Result<Vec<u8>, Error> {
        let broken = |message: String| Error::Service { message, may_help: false };
        let session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let raw = session
            .sign(&Mechanism::Ecdsa, self.key, sha256)
            .map_err(|error| broken(format!("the token does not sign: {error}")))?;
        let signature = p256::ecdsa::Signature::from_slice(&raw)
            .map_err(|_| broken("what the token has signed is no signature".to_owned()))?;
        Ok(signature.to_der().as_bytes().to_vec())
    }
}
