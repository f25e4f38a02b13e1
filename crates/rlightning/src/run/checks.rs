//! What is looked at before anything is written, and again before rows are.

use std::collections::{BTreeMap, BTreeSet};

use common::error::lightning_codes as codes;
use common::ident::TableName;
use mysql::{Conn, Flavor};

use super::Prepared;
use crate::config::Config;
use crate::downstream::Target;
use crate::downstream::tables::{self, TargetInfo};
use crate::error::{Error, Result, fail};
use crate::ledger::{self, Asked};
use crate::precheck::{self, Check};
use crate::schema::SourceTables;

/// All checks that write nothing.
pub(super) async fn check(
    config: &Config,
    prepared: &Prepared,
    target: &Target,
    conn: &mut Conn,
    asked: &Asked<'_>,
) -> Result<()> {
    let Prepared { dump, sources, .. } = prepared;
    if config.verify && target.server().flavor == Flavor::TiDb {
        return Err(fail(
            codes::INVALID_CONFIG,
            "--verify is not there yet for TiDB: it needs CREATE TEMPORARY TABLE … SELECT, which TiDB lacks",
        ));
    }
    let wanted: BTreeSet<&TableName> = dump.tables.keys().collect();
    let targets = tables::load(conn, &wanted).await?;
    let to_create = |name: &TableName| !config.source.no_schema && !targets.contains_key(name);
    let needs = precheck::needs(config, dump, to_create);
    let rights = precheck::missing_rights(conn, &needs, to_create).await?;
    let rights: Vec<String> = rights.iter().map(ToString::to_string).collect();
    let engines = tables::transactional_engines(conn).await?;
    let mut complaints = Vec::new();
    // Without rights the tables cannot be seen, and would be taken for missing.
    if rights.is_empty() {
        complaints = precheck::tables(
            dump,
            &targets,
            sources,
            &engines,
            target.server().flavor,
            config.source.no_schema,
        );
    }
    let ledger = match ledger::peek(conn, asked).await {
        Ok(()) => Vec::new(),
        Err(Error::Failed(error)) => vec![error.message().to_owned()],
        Err(other) => return Err(other),
    };
    let mut checks = vec![
        precheck::file_sizes(dump),
        Check::critical("the checkpoints are valid", ledger),
        Check::critical("Cluster version check passed", Vec::new()),
        Check::critical("Lightning has the correct storage permission", Vec::new()),
        Check::critical("the account has the privileges it needs", rights),
    ];
    if config.check_requirements {
        checks.push(Check::critical("the target tables take the rows of the dump", complaints));
    }
    precheck::conclude(&checks, config.check_requirements)
}

/// The checks without which rows could be lost or doubled, whatever `check-requirements` says.
pub(super) async fn final_complaints(
    config: &Config,
    prepared: &Prepared,
    target: &Target,
    conn: &mut Conn,
    targets: &BTreeMap<TableName, TargetInfo>,
) -> Result<Vec<String>> {
    let engines = tables::transactional_engines(conn).await?;
    let none = SourceTables::new();
    let sources = if config.check_requirements { &prepared.sources } else { &none };
    Ok(precheck::tables(&prepared.dump, targets, sources, &engines, target.server().flavor, true))
}
