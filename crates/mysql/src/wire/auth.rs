//! The answers of the authentication plugins, as bytes.

use rsa::pkcs8::DecodePublicKey;
use rsa::rand_core::OsRng;
use rsa::{Oaep, RsaPublicKey};
use sha1::{Digest, Sha1};
use sha2::Sha256;

/// The plugins we can answer for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plugin {
    Native,
    CachingSha2,
    Sha256,
    /// The password in the clear: only over TLS with a verified server, and only when asked for.
    Clear,
}

impl Plugin {
    pub(crate) fn named(name: &str) -> Option<Plugin> {
        [Plugin::Native, Plugin::CachingSha2, Plugin::Sha256, Plugin::Clear]
            .into_iter()
            .find(|plugin| plugin.name() == name)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Plugin::Native => "mysql_native_password",
            Plugin::CachingSha2 => "caching_sha2_password",
            Plugin::Sha256 => "sha256_password",
            Plugin::Clear => "mysql_clear_password",
        }
    }
}

/// First byte of an extra packet of caching_sha2_password: the password was in the server's cache.
pub(crate) const FAST_OK: u8 = 3;
/// First byte of an extra packet of caching_sha2_password: the whole password is wanted.
pub(crate) const FULL_WANTED: u8 = 4;
/// Asks caching_sha2_password for the server's public key.
pub(crate) const CACHING_SHA2_WANT_KEY: u8 = 2;
/// Asks sha256_password for the server's public key.
pub(crate) const SHA256_WANT_KEY: u8 = 1;

/// SHA1(password) xor SHA1(nonce, SHA1(SHA1(password))); nothing for no password.
pub(crate) fn native(password: &str, nonce: &[u8]) -> Vec<u8> {
    if password.is_empty() {
        return Vec::new();
    }
    let once = Sha1::digest(password.as_bytes());
    let twice = Sha1::digest(once);
    let mixed = Sha1::new().chain_update(nonce).chain_update(twice).finalize();
    once.iter().zip(mixed).map(|(a, b)| a ^ b).collect()
}

/// SHA256(password) xor SHA256(SHA256(SHA256(password)), nonce); nothing for no password.
pub(crate) fn caching_sha2(password: &str, nonce: &[u8]) -> Vec<u8> {
    if password.is_empty() {
        return Vec::new();
    }
    let once = Sha256::digest(password.as_bytes());
    let twice = Sha256::digest(once);
    let mixed = Sha256::new().chain_update(twice).chain_update(nonce).finalize();
    once.iter().zip(mixed).map(|(a, b)| a ^ b).collect()
}

/// The password with a zero at its end, as plugins want it that take it whole.
pub(crate) fn clear(password: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(password.len() + 1);
    bytes.extend_from_slice(password.as_bytes());
    bytes.push(0);
    bytes
}

/// The password for a server without TLS: mixed with the nonce, then under the server's public key.
pub(crate) fn encrypted(password: &str, nonce: &[u8], key_pem: &[u8]) -> Result<Vec<u8>, String> {
    let pem = std::str::from_utf8(key_pem).map_err(|_| "the server's public key is no text".to_owned())?;
    let key = RsaPublicKey::from_public_key_pem(pem.trim_end_matches('\0').trim())
        .map_err(|error| format!("the server's public key cannot be read: {error}"))?;
    if nonce.is_empty() {
        return Err("the server sent no nonce".into());
    }
    let mixed: Vec<u8> = clear(password).iter().zip(nonce.iter().cycle()).map(|(a, b)| a ^ b).collect();
    key.encrypt(&mut OsRng, Oaep::new::<Sha1>(), &mixed)
        .map_err(|error| format!("the password cannot be encrypted with the server's public key: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn native_answer_proves_the_stored_hash() {
        // The server's check: SHA1(answer xor SHA1(nonce, stored)) == stored, stored = SHA1(SHA1(password)).
        let nonce = b"01234567890123456789";
        let answer = native("secret", nonce);
        let stored = Sha1::digest(Sha1::digest(b"secret"));
        let mixed = Sha1::new().chain_update(nonce).chain_update(stored).finalize();
        let once: Vec<u8> = answer.iter().zip(mixed).map(|(a, b)| a ^ b).collect();
        assert_eq!(Sha1::digest(once), stored);
        assert!(native("", nonce).is_empty());
    }

    #[test]
    fn caching_sha2_answer_proves_the_stored_hash() {
        let nonce = b"01234567890123456789";
        let answer = caching_sha2("secret", nonce);
        let stored = Sha256::digest(Sha256::digest(b"secret"));
        let mixed = Sha256::new().chain_update(stored).chain_update(nonce).finalize();
        let once: Vec<u8> = answer.iter().zip(mixed).map(|(a, b)| a ^ b).collect();
        assert_eq!(Sha256::digest(once), stored);
        assert!(caching_sha2("", nonce).is_empty());
    }

    #[test]
    fn a_bad_key_is_an_error() {
        assert!(encrypted("x", b"n", b"\xff\xfe").is_err());
        assert!(
            encrypted("x", b"n", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n").is_err()
        );
    }
}
