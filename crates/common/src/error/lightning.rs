//! Lightning's form: `[Lightning:Class:ErrName]message: cause`.

use std::fmt;

/// A named code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RfcCode(pub &'static str);

impl RfcCode {
    /// An error with this code.
    pub fn error(self, message: impl Into<String>) -> LightningError {
        LightningError { code: self, message: message.into(), cause: None }
    }

    /// An error with this code and the error that caused it.
    pub fn wrap(
        self,
        message: impl Into<String>,
        cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> LightningError {
        LightningError { code: self, message: message.into(), cause: Some(cause.into()) }
    }
}

impl fmt::Display for RfcCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// An error as Lightning's operators see it.
#[derive(Debug)]
pub struct LightningError {
    code: RfcCode,
    message: String,
    cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl LightningError {
    /// The code.
    pub fn code(&self) -> RfcCode {
        self.code
    }

    /// What happened, without code and cause.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for LightningError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}]{}", self.code, self.message)?;
        match &self.cause {
            Some(cause) => write!(f, ": {}", super::chain(cause.as_ref())),
            None => Ok(()),
        }
    }
}

// `source` stays reachable for programs; printers use Display, which holds the whole chain.
impl std::error::Error for LightningError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_deref().map(|c| c as &(dyn std::error::Error + 'static))
    }
}

macro_rules! table {
    ($($(#[$note:meta])* $name:ident = $code:literal;)*) => {
        $(
            #[doc = concat!("`", $code, "`")]
            pub const $name: RfcCode = RfcCode($code);
        )*

        /// All codes.
        pub const ALL: &[RfcCode] = &[$($name),*];
    };
}
pub(super) use table;

#[cfg(test)]
mod tests {
    use super::super::lightning_codes::*;

    #[test]
    fn codes_are_unique() {
        let mut codes: Vec<_> = ALL.iter().map(|c| c.0).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), ALL.len());
    }

    #[test]
    fn rendering() {
        let cause = std::io::Error::other("boom");
        let e = ENCODE_KV.wrap("encode kv error in file a.sql at offset 7", cause);
        assert_eq!(
            e.to_string(),
            "[Lightning:Restore:ErrEncodeKV]encode kv error in file a.sql at offset 7: boom"
        );
        assert_eq!(CHECKSUM_MISMATCH.error("x").to_string(), "[Lighting:Restore:ErrChecksumMismatch]x");
    }
}
