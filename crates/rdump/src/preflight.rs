//! What can be known before anything is locked or written: names, and the account's privileges.

use mysql::privileges::{self, Grants, Need, Privilege};
use mysql::wire::WireConn;
use mysql::{ErrorClass, Flavor};
use tracing::warn;

use crate::config::{Config, Consistency};
use crate::error::{Doing, DumpError, Result};
use crate::listing::{self, Listing, ObjectKind};
use crate::position;
use crate::programs;
use crate::resume::Resume;
use crate::source::{Source, ask, needs_privilege};

/// Lists what will be dumped and looks for privileges that are missing.
///
/// # Errors
/// Names that are not there; a missing privilege with its GRANT.
pub async fn check(
    conn: &mut WireConn,
    source: &Source,
    config: &Config,
    consistency: Consistency,
) -> Result<Listing> {
    let listing = match config.sql {
        Some(_) => Listing::default(),
        None => listing::list(conn, &source.server, config, &source.account).await?,
    };
    let grants = grants(conn, source).await?;
    // Without a lock a position that can't be read is a warning, which comes later; TiDB's is its snapshot.
    if !matches!(consistency, Consistency::Snapshot | Consistency::None)
        && !grants.allows(&Need::global(Privilege::BinlogStatus))
    {
        position::read(conn, source, consistency).await?;
    }
    for object in &listing.objects {
        let name = &object.name;
        let (privilege, word, sql) = match object.kind {
            ObjectKind::Table if !config.no_data => {
                (Privilege::Select, "SELECT", format!("SELECT * FROM {name} LIMIT 0"))
            }
            ObjectKind::View if !config.no_schemas => {
                (Privilege::ShowView, "SHOW VIEW", format!("SHOW CREATE VIEW {name}"))
            }
            _ => continue,
        };
        // What SHOW GRANTS says is not the last word (roles, patterns, partial revokes), the server's answer is.
        if !grants.allows(&Need::table(privilege, name.schema.clone(), name.table.clone()))
            && let Err(error) = ask(conn, &sql).await
            && error.class() == ErrorClass::AccessDenied
        {
            let doing = match object.kind {
                ObjectKind::View => format!("read the definition of view {name}"),
                _ => format!("read table {name}"),
            };
            return Err(needs_privilege(error, doing, word, &name.quoted(), &source.account));
        }
    }
    if config.resume == Resume::Chunks {
        check_binlog(&grants, consistency)?;
    }
    if config.output.portable && !config.no_schemas {
        programs::check_privileges(&grants, &listing)?;
    }
    Ok(listing)
}

/// `--resume-chunks` looks for changes in the binlog; who lacks the right to had better know before it is needed.
fn check_binlog(grants: &Grants, consistency: Consistency) -> Result<()> {
    if !matches!(consistency, Consistency::Flush | Consistency::Lock) {
        warn!(
            consistency = consistency.name(),
            "finished chunks can only be kept with the consistency flush or lock: --resume-chunks is --resume here"
        );
        return Ok(());
    }
    let missing = privileges::missing(grants, &[Need::global(Privilege::ReplicationSlave)]);
    match missing.first() {
        None => Ok(()),
        Some(missing) => Err(DumpError::Consistency(format!(
            "--resume-chunks reads the binlog, for which the account lacks the privilege {}; an administrator can give it: {}",
            missing.privilege, missing.grant_statement
        ))),
    }
}

/// What the account may do, as SHOW GRANTS says.
///
/// # Errors
/// The server's.
pub async fn grants(conn: &mut WireConn, source: &Source) -> Result<Grants> {
    let doing = || "read the account's privileges".to_owned();
    let mut sql = "SHOW GRANTS".to_owned();
    if source.server.is_mysql(8, 0, 0) || source.server.flavor == Flavor::TiDb {
        let answer = ask(conn, "SELECT CURRENT_ROLE()").await.doing(doing)?;
        let roles = answer.at(0, 0).unwrap_or_default();
        if !roles.is_empty() && !roles.eq_ignore_ascii_case("NONE") {
            sql = format!("SHOW GRANTS FOR CURRENT_USER() USING {roles}");
        }
    }
    let answer = ask(conn, &sql).await.doing(doing)?;
    let lines: Vec<String> = (0..answer.len()).filter_map(|row| answer.at(row, 0)).collect();
    let names = "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('lower_case_table_names', 'partial_revokes')";
    let names = ask(conn, names).await.doing(doing)?;
    let value = |name: &str| {
        let row = (0..names.len()).find(|&row| names.at(row, 0).is_some_and(|found| found == name))?;
        names.at(row, 1)
    };
    let grants = Grants::parse(&source.raw_account, &source.server, lines.iter().map(String::as_str));
    Ok(grants.with_names(value("partial_revokes").as_deref(), value("lower_case_table_names").as_deref()))
}
