//! What an account may do, and the GRANT that helps when it is not enough.

mod check;
mod parse;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::conn::Conn;
use crate::error::Result;
use crate::version::{Flavor, ServerInfo};

pub use check::{grant_statements, missing};

/// A right that a tool needs. What it is called differs between servers: see [`Privilege::names`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Privilege {
    /// Read rows.
    Select,
    /// Insert rows.
    Insert,
    /// Change rows.
    Update,
    /// Delete rows.
    Delete,
    /// Create databases and tables.
    Create,
    /// Drop them.
    Drop,
    /// Create temporary tables.
    CreateTemporaryTables,
    /// Change tables.
    Alter,
    /// Create and drop indexes.
    Index,
    /// Foreign keys.
    References,
    /// Triggers, also to see them.
    Trigger,
    /// Events, also to see them.
    Event,
    /// Create procedures and functions.
    CreateRoutine,
    /// Create views.
    CreateView,
    /// See the definition of views.
    ShowView,
    /// LOCK TABLES; at least for a whole database.
    LockTables,
    /// FLUSH.
    Reload,
    /// See and watch other sessions.
    Process,
    /// See where the binlog ends and which files there are.
    BinlogStatus,
    /// See the state of a replica.
    ReplicaStatus,
    /// Read the binlog.
    ReplicationSlave,
    /// See which replicas are connected.
    ReplicaList,
    /// LOCK INSTANCE FOR BACKUP of MySQL 8.0.
    BackupAdmin,
    /// Set the session's restricted variables, such as `sql_log_bin`.
    SessionVariables,
    /// See the text of all routines.
    ShowRoutine,
    /// Everything that older servers ask for.
    Super,
}

impl Privilege {
    /// What the server calls it; the first one is what to grant, each of the others does as well.
    pub fn names(self, server: &ServerInfo) -> &'static [&'static str] {
        let mysql8 = server.is_mysql(8, 0, 0);
        match self {
            Privilege::Select => &["SELECT"],
            Privilege::Insert => &["INSERT"],
            Privilege::Update => &["UPDATE"],
            Privilege::Delete => &["DELETE"],
            Privilege::Create => &["CREATE"],
            Privilege::CreateTemporaryTables => &["CREATE TEMPORARY TABLES"],
            Privilege::Drop => &["DROP"],
            Privilege::Alter => &["ALTER"],
            Privilege::Index => &["INDEX"],
            Privilege::References => &["REFERENCES"],
            Privilege::Trigger => &["TRIGGER"],
            Privilege::Event => &["EVENT"],
            Privilege::CreateRoutine => &["CREATE ROUTINE"],
            Privilege::CreateView => &["CREATE VIEW"],
            Privilege::ShowView => &["SHOW VIEW"],
            Privilege::LockTables => &["LOCK TABLES"],
            Privilege::Reload => &["RELOAD"],
            Privilege::Process => &["PROCESS"],
            // MariaDB 10.5.2 took REPLICATION CLIENT and SUPER apart; SUPER went on covering the pieces till 10.11.
            Privilege::BinlogStatus if server.is_mariadb(10, 11, 0) => {
                &["BINLOG MONITOR", "REPLICATION CLIENT"]
            }
            Privilege::BinlogStatus if server.is_mariadb(10, 5, 2) => {
                &["BINLOG MONITOR", "REPLICATION CLIENT", "SUPER"]
            }
            Privilege::BinlogStatus => &["REPLICATION CLIENT", "SUPER"],
            Privilege::ReplicaStatus if server.is_mariadb(10, 5, 9) => {
                &["SLAVE MONITOR", "REPLICA MONITOR", "SUPER"]
            }
            Privilege::ReplicaStatus if server.is_mariadb(10, 5, 2) => {
                &["REPLICATION SLAVE ADMIN", "REPLICATION REPLICA ADMIN", "SUPER"]
            }
            Privilege::ReplicaStatus => &["REPLICATION CLIENT", "SUPER"],
            Privilege::ReplicationSlave => &["REPLICATION SLAVE", "REPLICATION REPLICA"],
            Privilege::ReplicaList if server.is_mariadb(10, 5, 2) => &["REPLICATION MASTER ADMIN"],
            Privilege::ReplicaList => &["REPLICATION SLAVE"],
            Privilege::ShowRoutine if server.is_mysql(8, 0, 20) => &["SHOW_ROUTINE", "SELECT"],
            Privilege::ShowRoutine if server.is_mariadb(11, 3, 1) => &["SHOW CREATE ROUTINE", "SELECT"],
            Privilege::ShowRoutine => &["SELECT"],
            Privilege::BackupAdmin if mysql8 => &["BACKUP_ADMIN"],
            Privilege::BackupAdmin => &["RELOAD"],
            Privilege::SessionVariables if mysql8 => {
                if server.is_mysql(8, 0, 14) {
                    &["SESSION_VARIABLES_ADMIN", "SYSTEM_VARIABLES_ADMIN", "SUPER"]
                } else {
                    &["SYSTEM_VARIABLES_ADMIN", "SUPER"]
                }
            }
            Privilege::SessionVariables if server.is_mariadb(10, 5, 2) => &["BINLOG ADMIN", "SUPER"],
            Privilege::SessionVariables | Privilege::Super => &["SUPER"],
        }
    }

    /// Whether it exists for the whole server only.
    fn is_global(self) -> bool {
        use Privilege::{
            BackupAdmin, BinlogStatus, Process, Reload, ReplicaList, ReplicaStatus, ReplicationSlave,
            SessionVariables, ShowRoutine, Super,
        };
        matches!(
            self,
            BackupAdmin
                | BinlogStatus
                | Process
                | Reload
                | ReplicaList
                | ReplicaStatus
                | ReplicationSlave
                | SessionVariables
                | ShowRoutine
                | Super
        )
    }

    /// Whether it can't be given for a single table.
    fn is_for_schemas(self) -> bool {
        matches!(
            self,
            Privilege::LockTables
                | Privilege::Event
                | Privilege::CreateTemporaryTables
                | Privilege::CreateRoutine
        )
    }
}

/// What a right is needed for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// The whole server.
    Global,
    /// A database with everything in it.
    Schema(String),
    /// One table.
    Table(String, String),
}

/// As in a GRANT: `*.*`, `` `db`.* ``, `` `db`.`t` ``.
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use common::ident::quote;
        match self {
            Scope::Global => f.write_str("*.*"),
            Scope::Schema(schema) => write!(f, "{}.*", quote(schema)),
            Scope::Table(schema, table) => write!(f, "{}.{}", quote(schema), quote(table)),
        }
    }
}

/// A right and what it is needed for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Need {
    /// The right.
    pub privilege: Privilege,
    /// What for.
    pub scope: Scope,
}

impl Need {
    /// For the whole server.
    pub fn global(privilege: Privilege) -> Self {
        Self { privilege, scope: Scope::Global }
    }

    /// For everything in a database.
    pub fn schema(privilege: Privilege, schema: impl Into<String>) -> Self {
        Self { privilege, scope: Scope::Schema(schema.into()) }
    }

    /// With names in small letters.
    fn folded(&self) -> Self {
        let scope = match &self.scope {
            Scope::Global => Scope::Global,
            Scope::Schema(schema) => Scope::Schema(schema.to_lowercase()),
            Scope::Table(schema, table) => Scope::Table(schema.to_lowercase(), table.to_lowercase()),
        };
        Self { privilege: self.privilege, scope }
    }

    /// For one table.
    pub fn table(privilege: Privilege, schema: impl Into<String>, table: impl Into<String>) -> Self {
        Self { privilege, scope: Scope::Table(schema.into(), table.into()) }
    }
}

/// A right that an account lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// What this server calls it.
    pub privilege: &'static str,
    /// For what, as in a GRANT.
    pub object: String,
    /// The statement that gives it.
    pub grant_statement: String,
    /// A role that the account has but that is not active may be all that is missing; empty if there is none.
    pub note: String,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "missing privilege {} on {}: {}", self.privilege, self.object, self.grant_statement)?;
        if self.note.is_empty() { Ok(()) } else { write!(f, " ({})", self.note) }
    }
}

/// Names of rights as SHOW GRANTS prints them; `ALL PRIVILEGES` stands as itself.
type Names = BTreeSet<String>;

/// What an account may do, with its active roles.
#[derive(Debug, Clone)]
pub struct Grants {
    /// `'user'@'host'`.
    account: String,
    server: ServerInfo,
    global: Names,
    /// Patterns of database names (`_`, `%`, `\` as in LIKE).
    schemas: BTreeMap<String, Names>,
    tables: BTreeMap<(String, String), Names>,
    /// Taken from what `global` gives (partial revokes of MySQL 8.0.16).
    revoked: BTreeMap<String, Names>,
    /// Roles granted, active or not.
    roles: Vec<String>,
    /// Whether database names are no patterns (`partial_revokes`).
    literal_schemas: bool,
    /// Whether names are kept in small letters, however they are written (`lower_case_table_names`).
    folded: bool,
}

impl Grants {
    /// Reads the lines of SHOW GRANTS. `account` is what `CURRENT_USER()` gives.
    pub fn parse<'a>(account: &str, server: &ServerInfo, lines: impl IntoIterator<Item = &'a str>) -> Self {
        let mut grants = Self {
            account: quote_account(account),
            server: server.clone(),
            global: Names::new(),
            schemas: BTreeMap::new(),
            tables: BTreeMap::new(),
            revoked: BTreeMap::new(),
            roles: Vec::new(),
            literal_schemas: false,
            folded: false,
        };
        for line in lines {
            parse::line(&mut grants, line);
        }
        grants
    }

    /// How the server reads names: the values of `partial_revokes` (`None` where there is none) and `lower_case_table_names`.
    #[must_use]
    pub fn with_names(mut self, partial_revokes: Option<&str>, lower_case_table_names: Option<&str>) -> Self {
        self.literal_schemas = matches!(partial_revokes, Some("ON" | "1"));
        self.folded = lower_case_table_names.is_some_and(|value| value != "0");
        self
    }

    /// `'user'@'host'`, the account that the server took for this login.
    pub fn account(&self) -> &str {
        &self.account
    }

    /// The server they hold on.
    pub fn server(&self) -> &ServerInfo {
        &self.server
    }

    /// Whether this right is there.
    pub fn allows(&self, need: &Need) -> bool {
        check::allows(self, need)
    }
}

/// Reads what the account of this connection may do, with its active roles.
///
/// # Errors
/// The server's; everybody may see their own.
pub async fn grants(conn: &mut Conn) -> Result<Grants> {
    let server = conn.server().clone();
    let account = one_text(conn, "SELECT CURRENT_USER()").await?;
    let mut sql = "SHOW GRANTS".to_owned();
    // MariaDB shows the rights of active roles by itself.
    let has_roles = server.is_mysql(8, 0, 0) || server.flavor == Flavor::TiDb;
    if has_roles {
        let roles = one_text(conn, "SELECT CURRENT_ROLE()").await?;
        if !roles.is_empty() && !roles.eq_ignore_ascii_case("NONE") {
            sql = format!("SHOW GRANTS FOR CURRENT_USER() USING {roles}");
        }
    }
    let rows = conn.query(sql).await?;
    let lines = rows.iter().map(|row| row.text(0)).collect::<Result<Vec<_>>>()?;
    let revokes = crate::session::variable(conn, "partial_revokes").await?;
    let folds = crate::session::variable(conn, "lower_case_table_names").await?;
    let grants = Grants::parse(&account, &server, lines.iter().map(String::as_str));
    Ok(grants.with_names(revokes.as_deref(), folds.as_deref()))
}

async fn one_text(conn: &mut Conn, sql: &str) -> Result<String> {
    match conn.query_one(sql).await? {
        Some(row) => Ok(row.str(0)?.unwrap_or_default()),
        None => Ok(String::new()),
    }
}

/// `u@h` as `'u'@'h'`. The last `@` parts them: host names have none.
fn quote_account(account: &str) -> String {
    let quote = |text: &str| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"));
    match account.rsplit_once('@') {
        Some((user, host)) => format!("{}@{}", quote(user), quote(host)),
        None => quote(account),
    }
}
