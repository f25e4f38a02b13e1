//! What can go wrong with a dump. The variants are what a caller can tell apart; the texts name the way out.

use common::storage::StorageError;

/// Result of a step of the dump.
pub type Result<T, E = DumpError> = std::result::Result<T, E>;

/// See the module.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DumpError {
    /// The server refused or the connection failed. `doing` is a bare verb phrase.
    #[error("{doing}: {source}")]
    Server {
        /// What was tried.
        doing: String,
        /// The cause.
        #[source]
        source: mysql::Error,
    },
    /// The account lacks a privilege.
    #[error(
        "{doing}: the account lacks the privilege {privilege}; an administrator can give it: {grant} ({source})"
    )]
    Privilege {
        /// What was tried.
        doing: String,
        /// Name of the privilege.
        privilege: &'static str,
        /// The statement that helps.
        grant: String,
        /// The server's refusal.
        #[source]
        source: mysql::Error,
    },
    /// The server leaves out what the account may not see, without a word.
    #[error(
        "--portable: the account does not see all {what}, for lack of privileges; an administrator can give them: {grants}"
    )]
    Invisible {
        /// Triggers, routines, events.
        what: String,
        /// The statements that help.
        grants: String,
    },
    /// The storage.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The output folder can't take this dump.
    #[error("{0}")]
    Folder(String),
    /// `-B` names what is not there.
    #[error("Unknown databases [{}]{}", .names.join(","), .hint)]
    UnknownDatabases {
        /// The names.
        names: Vec<String>,
        /// What may have caused it.
        hint: String,
    },
    /// `-T` names what is not there.
    #[error("table {0} doesn't exist, or the account may not see it")]
    UnknownTable(String),
    /// A consistency mode that this server can't have, a snapshot that can't be read.
    #[error("{0}")]
    Consistency(String),
    /// A lock that is not given, or not asked for.
    #[error("{0}")]
    Locked(String),
    /// The server's load is critical.
    #[error("the server's load is above --critical-load: {0}; run again with --resume when it has rest")]
    Load(String),
    /// The server's answer is not of the known form.
    #[error("{doing}: unexpected answer: {what}")]
    Answer {
        /// What was asked.
        doing: String,
        /// What is odd.
        what: String,
    },
    /// `--column-filter` leaves nothing.
    #[error(
        "--column-filter leaves no column of table {0}: let it take some, or leave the table out with -f"
    )]
    ColumnFilter(String),
    /// `--mask` can't be followed.
    #[error("--mask: {0}")]
    Mask(String),
    /// A file name template that can't be followed.
    #[error("{0}")]
    Template(String),
    /// Rows that were read and rows that were written differ.
    #[error("{0}")]
    Count(String),
    /// A value that the format of the files can't hold.
    #[error("{0}")]
    Value(String),
    /// A signal or another failure ended this task.
    #[error("stopped")]
    Stopped,
    /// A task of ours panicked.
    #[error("internal error: {0}")]
    Internal(String),
}

/// Adds what was tried to a server error.
pub trait Doing<T> {
    /// `doing` is a bare verb phrase such as ``read table `a`.`b` ``.
    ///
    /// # Errors
    /// The error with its context.
    fn doing(self, doing: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Doing<T> for mysql::Result<T> {
    fn doing(self, doing: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|source| DumpError::Server { doing: doing(), source })
    }
}

impl DumpError {
    /// The server's error, if there is one behind this.
    pub fn server(&self) -> Option<&mysql::Error> {
        match self {
            DumpError::Server { source, .. } | DumpError::Privilege { source, .. } => Some(source),
            _ => None,
        }
    }
}
