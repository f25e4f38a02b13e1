//! How a run ends, other than well.

use common::error::{LightningError, RfcCode};

/// Why a run ended early.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something failed; the text holds the code, the causes and what to do.
    #[error(transparent)]
    Failed(#[from] LightningError),
    /// A signal asked for an orderly stop. What is committed stays, the next run goes on from there.
    #[error("context canceled")]
    Canceled,
}

impl Error {
    /// Whether time may cure it: a lost connection, a deadlock, a server that restarts.
    pub fn is_transient(&self) -> bool {
        let Error::Failed(error) = self else { return false };
        let mut cause = std::error::Error::source(error);
        while let Some(error) = cause {
            if let Some(error) = error.downcast_ref::<mysql::Error>() {
                return error.class().is_transient();
            }
            cause = error.source();
        }
        false
    }
}

/// Result of most calls of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// A failure with a code.
pub fn fail(code: RfcCode, message: impl Into<String>) -> Error {
    Error::Failed(code.error(message))
}

/// Adds a code and what was tried to an error.
pub trait Context<T> {
    /// `what` says what was tried, and where.
    ///
    /// # Errors
    /// The error, wrapped.
    fn context(self, code: RfcCode, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: std::error::Error + Send + Sync + 'static> Context<T> for std::result::Result<T, E> {
    fn context(self, code: RfcCode, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|cause| Error::Failed(code.wrap(what(), cause)))
    }
}

/// What the process returns to its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Everything asked for was done.
    Success,
    /// It failed, or was stopped by a signal (the real tool returns 0 then; a script would take that for success).
    Failure,
    /// Wrong arguments, or a configuration file that cannot be read.
    Usage,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Success => Self::SUCCESS,
            Exit::Failure => Self::from(1),
            Exit::Usage => Self::from(2),
        }
    }
}
