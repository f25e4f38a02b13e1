//! The form in which passwords stand in configuration files: AES-256 in CFB mode.
//!
//! A text is encrypted as base64 of 16 random bytes (the start vector), the byte `@` and the cipher bytes. The key
//! is a file of 64 hexadecimal digits. Facts: dm.md 2.5, crates.md 2.12.

use std::path::Path;

use aes::Aes256;
use base64::{Engine, engine::general_purpose::STANDARD};
use cfb_mode::{BufDecryptor, BufEncryptor, cipher::KeyIvInit};
use zeroize::Zeroizing;

use crate::secret::Secret;

const IV: usize = 16;
const SEPARATOR: u8 = b'@';

/// Why a key or a text can't be used. No variant holds secret text.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum CipherError {
    #[error("cannot read the secret key file {path}: {cause}")]
    Unreadable {
        path: String,
        #[source]
        cause: std::io::Error,
    },
    #[error("the secret key must be 64 hexadecimal digits (32 bytes), it has {0} characters")]
    KeySize(usize),
    #[error("the secret key is not hexadecimal")]
    KeyDigits,
    #[error("the encrypted text is not base64")]
    NotBase64,
    #[error("the encrypted text is too short")]
    TooShort,
    #[error("the encrypted text is not of this form, or of another key")]
    NotValid,
    #[error("no random bytes: {0}")]
    Random(String),
}

/// The key of a cluster. Wiped on drop, never printed.
#[derive(Clone)]
pub struct Key(Zeroizing<[u8; 32]>);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(crate::secret::MASK)
    }
}

impl Key {
    /// Takes 64 hexadecimal digits; blanks around them are dropped.
    ///
    /// # Errors
    /// Another length, other characters.
    pub fn from_hex(text: &str) -> Result<Self, CipherError> {
        let text = text.trim();
        if text.len() != 64 {
            return Err(CipherError::KeySize(text.chars().count()));
        }
        let bytes = Zeroizing::new(hex::decode(text).map_err(|_| CipherError::KeyDigits)?);
        Self::from_bytes(&bytes)
    }

    /// Takes the 32 bytes themselves.
    ///
    /// # Errors
    /// Another length.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CipherError> {
        let key: [u8; 32] = bytes.try_into().map_err(|_| CipherError::KeySize(bytes.len() * 2))?;
        Ok(Self(Zeroizing::new(key)))
    }

    /// Reads the key file (`secret-key-path`).
    ///
    /// # Errors
    /// Unreadable, or not a key.
    pub fn from_file(path: &Path) -> Result<Self, CipherError> {
        let text = std::fs::read_to_string(path)
            .map(Zeroizing::new)
            .map_err(|cause| CipherError::Unreadable { path: path.display().to_string(), cause })?;
        Self::from_hex(&text)
    }

    /// The 32 bytes, to hand to a worker. Never log them.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// Encrypts a text with a new start vector.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn encrypt(&self, plain: &Secret) -> Result<String, CipherError> {
        let mut iv = [0u8; IV];
        getrandom::fill(&mut iv).map_err(|e| CipherError::Random(e.to_string()))?;
        Ok(self.encrypt_with(iv, plain.expose().as_bytes()))
    }

    fn encrypt_with(&self, iv: [u8; IV], plain: &[u8]) -> String {
        let mut out = Vec::with_capacity(IV + 1 + plain.len());
        out.extend_from_slice(&iv);
        out.push(SEPARATOR);
        out.extend_from_slice(plain);
        BufEncryptor::<Aes256>::new(&(*self.0).into(), &iv.into()).encrypt(&mut out[IV + 1..]);
        STANDARD.encode(out)
    }

    /// Decrypts a text.
    ///
    /// # Errors
    /// Not base64, too short, no separator, or the result is no text (so the key is another).
    pub fn decrypt(&self, text: &str) -> Result<Secret, CipherError> {
        let mut bytes = STANDARD.decode(text.trim()).map_err(|_| CipherError::NotBase64)?;
        if bytes.len() < IV + 1 {
            return Err(CipherError::TooShort);
        }
        if bytes[IV] != SEPARATOR {
            return Err(CipherError::NotValid);
        }
        let iv: [u8; IV] = bytes[..IV].try_into().map_err(|_| CipherError::TooShort)?;
        let mut plain = Zeroizing::new(bytes.split_off(IV + 1));
        BufDecryptor::<Aes256>::new(&(*self.0).into(), &iv.into()).decrypt(&mut plain);
        std::str::from_utf8(&plain).map(Secret::new).map_err(|_| CipherError::NotValid)
    }
}

/// The password meant by a configuration file: decrypted if there is a key and the text is encrypted with it, else
/// the text as it stands.
pub fn decrypt_or_plain(key: Option<&Key>, text: &Secret) -> Secret {
    match key {
        Some(key) if !text.is_empty() => key.decrypt(text.expose()).unwrap_or_else(|_| text.clone()),
        _ => text.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Key {
        Key::from_hex(&"0123456789abcdef".repeat(4)).unwrap()
    }

    #[test]
    fn what_is_encrypted_is_decrypted() {
        for plain in ["", "a", "dmpass", "sixteen bytes!!!", "seventeen bytes!!", "pä$$wörd 🗝"] {
            let text = key().encrypt(&plain.into()).unwrap();
            assert_eq!(key().decrypt(&text).unwrap().expose(), plain);
            assert_ne!(text, key().encrypt(&plain.into()).unwrap(), "a new start vector each time");
        }
    }

    #[test]
    fn the_form_is_that_of_nist_cfb128() {
        // NIST SP 800-38A F.3.17 (CFB128-AES256), first segment.
        let key = Key::from_hex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4").unwrap();
        let iv: [u8; 16] = hex::decode("000102030405060708090a0b0c0d0e0f").unwrap().try_into().unwrap();
        let plain = hex::decode("6bc1bee22e409f96e93d7e117393172a").unwrap();
        let out = STANDARD.decode(key.encrypt_with(iv, &plain)).unwrap();
        assert_eq!(&out[..16], iv);
        assert_eq!(out[16], b'@');
        assert_eq!(hex::encode(&out[17..]), "dc7e84bfda79164b7ecd8486985d3860");
    }

    #[test]
    fn what_is_not_encrypted_is_plain() {
        let key = key();
        for plain in ["", "dmpass", "YWJj", "MTIzNDU2Nzg5MDEyMzQ1NkBhYmM"] {
            assert_eq!(decrypt_or_plain(Some(&key), &plain.into()).expose(), plain);
        }
        let text = key.encrypt(&"x".into()).unwrap();
        assert_eq!(decrypt_or_plain(Some(&key), &text.as_str().into()).expose(), "x");
        assert_eq!(decrypt_or_plain(None, &text.as_str().into()).expose(), text);
    }

    #[test]
    fn keys_and_texts_that_cannot_be_used() {
        assert!(matches!(Key::from_hex("abc"), Err(CipherError::KeySize(3))));
        assert!(matches!(Key::from_hex(&"g".repeat(64)), Err(CipherError::KeyDigits)));
        assert!(matches!(Key::from_file(Path::new("/no/such")), Err(CipherError::Unreadable { .. })));
        assert!(matches!(key().decrypt("%%%"), Err(CipherError::NotBase64)));
        assert!(matches!(key().decrypt("YWJj"), Err(CipherError::TooShort)));
        let other = Key::from_hex(&"f".repeat(64)).unwrap();
        let text = key().encrypt(&"a longer text that is no UTF-8 afterwards".into()).unwrap();
        assert!(matches!(other.decrypt(&text), Err(CipherError::NotValid)));
        assert_eq!(format!("{:?}", key()), "******");
    }
}
