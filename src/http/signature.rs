//! Is this webhook from GitHub? Decided over the raw body, before anything is parsed.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::secret::{ExposeSecret, SecretString};

/// Above this many bytes the caller runs [`verify`] in `tokio::task::spawn_blocking`, because hashing 25 MiB takes some 30 ms.
pub const BLOCKING_ABOVE: usize = 256 * 1024;

/// Why a webhook is not believed. Answered 401; nothing is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// There is no `X-Hub-Signature-256`. The SHA-1 header alone is not enough.
    #[error("the X-Hub-Signature-256 header is missing; set a secret on the webhook")]
    Missing,
    /// It is not `sha256=` and 64 hexadecimal digits.
    #[error("the X-Hub-Signature-256 header is not `sha256=` and 64 hexadecimal digits")]
    Malformed,
    /// No secret of ours made it.
    #[error("the signature does not belong to this body and our webhook secret")]
    Mismatch,
}

/// Verifies `header`, the value of `X-Hub-Signature-256`, over the raw body, in constant time. Any of `secrets` may have made it,
/// so that a secret can be replaced without losing a delivery. An empty secret matches nothing.
///
/// # Errors
/// As [`SignatureError`] says. A signature made with SHA-1 is malformed.
pub fn verify(secrets: &[SecretString], raw: &[u8], header: Option<&str>) -> Result<(), SignatureError> {
    let header = header.ok_or(SignatureError::Missing)?;
    let mut signature = [0; 32];
    let digits = header.trim().strip_prefix("sha256=").ok_or(SignatureError::Malformed)?;
    hex::decode_to_slice(digits, &mut signature).map_err(|_| SignatureError::Malformed)?;
    let usable = secrets.iter().map(|secret| secret.expose_secret().as_bytes()).filter(|secret| !secret.is_empty());
    let matches = usable.filter(|secret| made_by(secret, raw, &signature)).count();
    if matches > 0 { Ok(()) } else { Err(SignatureError::Mismatch) }
}

fn made_by(secret: &[u8], raw: &[u8], signature: &[u8; 32]) -> bool {
    keyed(secret).chain_update(raw).verify_slice(signature).is_ok()
}

/// The value of `X-Hub-Signature-256` for a body: what stand-ins and `threadbox replay` send.
pub fn sign(secret: &SecretString, raw: &[u8]) -> String {
    let code = keyed(secret.expose_secret().as_bytes()).chain_update(raw).finalize().into_bytes();
    format!("sha256={}", hex::encode(code))
}

fn keyed(secret: &[u8]) -> Hmac<Sha256> {
    Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of any length")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::secret;

    const BODY: &[u8] = b"Hello, World!";
    const GOOD: &str = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    fn ours() -> Vec<SecretString> {
        vec![secret("It's a Secret to Everybody")]
    }

    #[test]
    fn the_published_example_is_believed_and_made() {
        assert_eq!(verify(&ours(), BODY, Some(GOOD)), Ok(()));
        assert_eq!(verify(&ours(), BODY, Some(&GOOD.to_uppercase().replace("SHA256", "sha256"))), Ok(()));
        assert_eq!(sign(&ours()[0], BODY), GOOD);
    }

    #[test]
    fn either_secret_is_believed_while_one_is_replaced() {
        let secrets = vec![secret("next"), ours().remove(0)];
        assert_eq!(verify(&secrets, BODY, Some(GOOD)), Ok(()));
        assert_eq!(verify(&secrets, BODY, Some(&sign(&secret("next"), BODY))), Ok(()));
    }

    #[test]
    fn nothing_else_is_believed() {
        assert_eq!(verify(&ours(), BODY, None), Err(SignatureError::Missing));
        assert_eq!(verify(&ours(), b"Hello, World?", Some(GOOD)), Err(SignatureError::Mismatch));
        assert_eq!(verify(&[secret("another")], BODY, Some(GOOD)), Err(SignatureError::Mismatch));
        assert_eq!(verify(&[], BODY, Some(GOOD)), Err(SignatureError::Mismatch));
        let empty = secret("");
        assert_eq!(verify(std::slice::from_ref(&empty), BODY, Some(&sign(&empty, BODY))), Err(SignatureError::Mismatch));
        let sha1 = "sha1=f5f2b7e6cbb2e4b5a8f1b0e1b8a9c0d1e2f3a4b5";
        for malformed in [sha1, "", "sha256=", &GOOD[..70], &GOOD[7..], &format!("{GOOD}00"), &GOOD.replace('7', "g")] {
            assert_eq!(verify(&ours(), BODY, Some(malformed)), Err(SignatureError::Malformed), "{malformed}");
        }
    }
}
