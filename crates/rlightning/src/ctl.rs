//! `rlightning ctl`: looks at the ledger and changes it.

mod destroy;
mod dump;

use common::error::lightning_codes as codes;
use common::ident::TableName;

use crate::checkpoint;
use crate::cli::CtlCommand;
use crate::config::Config;
use crate::downstream::Target;
use crate::downstream::tables;
use crate::error::{Context, Result, fail};
use crate::ledger;
use crate::run;

/// Runs one command and prints what it did.
///
/// # Errors
/// The server's; a table that no task knows.
pub async fn run(config: &Config, command: &CtlCommand) -> Result<()> {
    let (_, mut conn) = Target::connect(config).await?;
    let schema = &config.ledger_schema;
    if let CtlCommand::Dump(dir) = command
        && let Some((_, found)) = checkpoint::ctl::of_real_tool(config, &mut conn).await?
    {
        return checkpoint::ctl::dump(&found, dir);
    }
    if matches!(command, CtlCommand::List { json: false })
        && let Some(line) = checkpoint::ctl::line(config, &mut conn).await?
    {
        common::out::println(&line);
    }
    if !ledger::exists(&mut conn, schema).await? {
        return match command {
            CtlCommand::List { json: false } => Ok(()),
            CtlCommand::List { json: true } => {
                common::out::println("{\"tasks\":[],\"finished\":[],\"put_off\":[]}");
                Ok(())
            }
            CtlCommand::Dump(_) => Err(fail(
                codes::CHECKPOINT_NOT_FOUND,
                format!("there is no ledger in schema `{schema}` of the target"),
            )),
            CtlCommand::Remove(table) | CtlCommand::ErrorIgnore(table) | CtlCommand::ErrorDestroy(table) => {
                if in_checkpoint(config, &mut conn, command).await? || table == "all" {
                    Ok(())
                } else {
                    Err(unknown(table, schema))
                }
            }
        };
    }
    let known = in_checkpoint(config, &mut conn, command).await?;
    match command {
        CtlCommand::ErrorDestroy(table) => {
            destroy::run(config, &mut conn, table, known).await?;
            // What the last run wrote tells of the rows, too.
            let named = if table == "all" { None } else { Some(parse_table(table)?) };
            checkpoint::ctl::forget(config, &mut conn, named.as_ref()).await
        }
        CtlCommand::Dump(dir) => dump::run(&mut conn, schema, dir).await,
        CtlCommand::List { json: true } => list_as_json(&mut conn, schema).await,
        CtlCommand::List { json: false } => list(&mut conn, schema).await,
        CtlCommand::Remove(table) if table == "all" => remove_all(config, &mut conn).await,
        CtlCommand::Remove(table) => remove(&mut conn, schema, table, known).await,
        CtlCommand::ErrorIgnore(table) => accept(config, &mut conn, table, known).await,
    }
}

/// Does to a checkpoint of the real tool's form what the command says. Whether it knows the table.
async fn in_checkpoint(config: &Config, conn: &mut mysql::Conn, command: &CtlCommand) -> Result<bool> {
    let named = |table: &str| if table == "all" { Ok(None) } else { parse_table(table).map(Some) };
    match command {
        CtlCommand::Remove(table) => checkpoint::ctl::remove(config, conn, named(table)?.as_ref()).await,
        CtlCommand::ErrorIgnore(table) => {
            checkpoint::ctl::ignore_errors(config, conn, named(table)?.as_ref()).await
        }
        CtlCommand::ErrorDestroy(table) => {
            checkpoint::ctl::destroy(config, conn, named(table)?.as_ref()).await
        }
        CtlCommand::Dump(_) | CtlCommand::List { .. } => Ok(false),
    }
}

fn changing() -> String {
    "change the ledger".to_owned()
}

async fn list_as_json(conn: &mut mysql::Conn, schema: &str) -> Result<()> {
    let tasks = ledger::list(conn, schema).await?;
    let finished = ledger::marks(conn, schema, None).await?;
    let put_off: Vec<_> = ledger::deferred(conn, schema, None)
        .await?
        .into_iter()
        .map(|one| serde_json::json!({ "table": one.table.quoted(), "index": one.definition }))
        .collect();
    let all = serde_json::json!({ "tasks": tasks, "finished": finished, "put_off": put_off });
    common::out::println(&all.to_string());
    Ok(())
}

async fn list(conn: &mut mysql::Conn, schema: &str) -> Result<()> {
    for task in ledger::list(conn, schema).await? {
        common::out::println(&format!(
            "task {} of {} from {}{}: {} files, {} batches, {} rows",
            task.task,
            task.created,
            task.source,
            if task.current { "" } else { " (set aside)" },
            task.files,
            task.batches,
            task.rows
        ));
    }
    say_put_off(conn, schema, None).await?;
    for mark in ledger::marks(conn, schema, None).await? {
        common::out::println(&format!(
            "finished {} from {}: {} rows at {}",
            mark.table, mark.source, mark.rows, mark.finished
        ));
    }
    Ok(())
}

async fn remove_all(config: &Config, conn: &mut mysql::Conn) -> Result<()> {
    let schema = &config.ledger_schema;
    let own = |task: &ledger::TaskSummary| config.source.dir.is_empty() || is_of(config, task);
    for task in ledger::list(conn, schema).await?.into_iter().filter(own) {
        ledger::remove(conn, schema, task.task).await.context(codes::CLEAN_CHECKPOINT, changing)?;
        common::out::println(&format!("removed task {}", task.task));
    }
    let source = if config.source.dir.is_empty() { None } else { Some(source_of(config)?) };
    let marks = ledger::forget_marks(conn, schema, None, source.as_deref())
        .await
        .context(codes::CLEAN_CHECKPOINT, changing)?;
    if marks > 0 {
        common::out::println(&format!("removed the marks of {marks} finished tables"));
    }
    say_put_off(conn, schema, None).await
}

async fn remove(conn: &mut mysql::Conn, schema: &str, table: &str, known: bool) -> Result<()> {
    let name = parse_table(table)?;
    let files = ledger::remove_table(conn, schema, &name).await.context(codes::CLEAN_CHECKPOINT, changing)?;
    let marks = ledger::forget_marks(conn, schema, Some(&name), None)
        .await
        .context(codes::CLEAN_CHECKPOINT, changing)?;
    if files == 0 && marks == 0 && !known {
        return Err(unknown(table, schema));
    }
    if files > 0 {
        common::out::println(&format!("removed the record of {files} files that go to {name}"));
    }
    if marks > 0 {
        common::out::println(&format!("removed the mark that {name} is finished"));
    }
    say_put_off(conn, schema, Some(&name)).await
}

async fn accept(config: &Config, conn: &mut mysql::Conn, table: &str, known: bool) -> Result<()> {
    let schema = &config.ledger_schema;
    if table == "all" {
        // Of this source alone: who says so knows of its rows.
        let tasks = ledger::list(conn, schema).await?;
        for task in tasks.iter().filter(|task| task.current && is_of(config, task)) {
            ledger::forget_note(conn, schema, task.task, checkpoint::WRITTEN)
                .await
                .context(codes::UPDATE_CHECKPOINT, changing)?;
        }
    }
    let names =
        if table == "all" { ledger::known_tables(conn, schema).await? } else { vec![parse_table(table)?] };
    for name in names {
        let found = tables::load(conn, &[&name].into()).await?;
        let Some(info) = found.get(&name) else {
            return Err(fail(codes::CHECKPOINT_NOT_FOUND, format!("table {name} is not in the target")));
        };
        let identity = tables::identity(conn, info).await?;
        let changed = ledger::accept_table(conn, schema, &name, &identity)
            .await
            .context(codes::UPDATE_CHECKPOINT, changing)?;
        if !changed && !known {
            return Err(unknown(table, schema));
        }
        common::out::println(&format!("{name} is taken as it is now"));
    }
    Ok(())
}

/// Names the indexes that a table, or any, lacks until its rows are in.
async fn say_put_off(conn: &mut mysql::Conn, schema: &str, table: Option<&TableName>) -> Result<()> {
    for one in ledger::deferred(conn, schema, table).await? {
        common::out::println(&format!("index of {} put off: {}", one.table, one.definition));
    }
    Ok(())
}

/// Whether a task is of the configuration's dump: another dump's rows are not forgotten with it.
fn is_of(config: &Config, task: &ledger::TaskSummary) -> bool {
    source_of(config).is_ok_and(|source| source == task.source)
}

/// The configuration's dump as the ledger names it.
fn source_of(config: &Config) -> Result<String> {
    let storage = common::storage::open(&config.source.dir, &common::storage::Options::default())
        .context(codes::INVALID_STORAGE_CONFIG, || "open the source".into())?;
    Ok(run::source_name(&*storage))
}

fn unknown(table: &str, schema: &str) -> crate::error::Error {
    fail(codes::CHECKPOINT_NOT_FOUND, format!("no task in the ledger `{schema}` has rows for {table}"))
}

/// `` `db`.`table` ``, as log lines and messages show it.
fn parse_table(text: &str) -> Result<TableName> {
    let names: Vec<String> = sql::lexer::Lexer::new(text.as_bytes(), sql::SqlMode::default())
        .filter(|token| token.kind != sql::lexer::TokenKind::Punct(b'.'))
        .map(|token| sql::lexer::name_text(token.span.of(text.as_bytes())))
        .collect();
    match <[String; 2]>::try_from(names) {
        Ok([schema, table]) => Ok(TableName::new(schema, table)),
        Err(_) => Err(fail(
            codes::INVALID_ARGUMENT,
            format!("'{text}' is neither `all` nor a name such as `db`.`table`"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_tables() {
        assert_eq!(parse_table("`a.b`.`c``d`").unwrap(), TableName::new("a.b", "c`d"));
        assert_eq!(parse_table("a.b").unwrap(), TableName::new("a", "b"));
        assert!(parse_table("a").is_err() && parse_table("").is_err() && parse_table("a.b.c").is_err());
    }
}
