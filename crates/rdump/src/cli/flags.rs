//! Every flag, once: parser, usage text and documentation read this table.

use super::pflag::{Flag, Kind};

const CONNECTION: &str = "Connection";
/// Group of flags.
pub const WHAT: &str = "What to dump";
/// Group of flags.
pub const SPLIT: &str = "Parallelism and splitting";
/// Group of flags.
pub const FORMAT: &str = "Format";
const CONSISTENCY: &str = "Consistency";
const LOG: &str = "Log and operation";
/// Group of flags.
pub const STORAGE: &str = "Storage";

/// The groups in the order of the usage text.
pub const GROUPS: [&str; 7] = [CONNECTION, WHAT, SPLIT, FORMAT, CONSISTENCY, LOG, STORAGE];

const fn flag(
    group: &'static str,
    name: &'static str,
    short: Option<char>,
    kind: Kind,
    default: &'static str,
    help: &'static str,
) -> Flag {
    Flag { name, short, kind, default, group, help, hidden: false, not_yet: false }
}

const fn hidden(flag: Flag) -> Flag {
    Flag { hidden: true, ..flag }
}

/// A flag of Dumpling whose feature is still to come; it is refused, never ignored.
const fn not_yet(group: &'static str, name: &'static str, kind: Kind) -> Flag {
    Flag {
        name,
        short: None,
        kind,
        default: "",
        group,
        help: "not supported yet",
        hidden: true,
        not_yet: true,
    }
}

use Kind::{Bool, Duration, Int, List, Map, Text, Texts, Uint, UintOrAuto};

/// All flags.
pub const FLAGS: &[Flag] = &[
    flag(CONNECTION, "host", Some('h'), Text, "127.0.0.1", "Host to connect to (TCP)"),
    flag(CONNECTION, "port", Some('P'), Int, "4000", "Port to connect to"),
    flag(CONNECTION, "user", Some('u'), Text, "root", "User name"),
    flag(
        CONNECTION,
        "password",
        Some('p'),
        Text,
        "",
        "Password; it is wiped from the process list. Without this flag $MYSQL_PWD is taken",
    ),
    flag(
        CONNECTION,
        "password-file",
        None,
        Text,
        "",
        "File with the password; the end of its last line is cut off",
    ),
    flag(CONNECTION, "ask-password", None, Bool, "false", "Ask for the password, or read a line from stdin"),
    flag(CONNECTION, "ca", None, Text, "", "CA certificate file; with it the server's chain is verified"),
    flag(CONNECTION, "cert", None, Text, "", "Client certificate file"),
    flag(CONNECTION, "key", None, Text, "", "Client private key file"),
    flag(
        CONNECTION,
        "params",
        None,
        Map,
        "",
        "Session variables for every connection, for example time_zone=+00:00; unknown ones are skipped",
    ),
    flag(
        CONNECTION,
        "allow-cleartext-passwords",
        None,
        Bool,
        "false",
        "Allow the mysql_clear_password plugin (LDAP, PAM), over TLS with a verified server only: give --ca, too",
    ),
    hidden(flag(
        CONNECTION,
        "read-timeout",
        None,
        Duration,
        "15m",
        "How long one read from the server may take",
    )),
    flag(
        CONNECTION,
        "tidb-mem-quota-query",
        None,
        Uint,
        "0",
        "Bytes a query may use on TiDB; 0 leaves the server's setting",
    ),
    flag(WHAT, "database", Some('B'), List, "", "Databases to dump, exact names"),
    flag(
        WHAT,
        "tables-list",
        Some('T'),
        List,
        "",
        "Tables to dump as db.table, exact names; not together with --filter",
    ),
    flag(
        WHAT,
        "filter",
        Some('f'),
        List,
        "*.*,!/^(mysql|sys|INFORMATION_SCHEMA|PERFORMANCE_SCHEMA|METRICS_SCHEMA|INSPECTION_SCHEMA)$/.*",
        "Table filter rules; the last that matches wins. Giving any rule drops the default",
    ),
    flag(WHAT, "case-sensitive", None, Bool, "false", "Whether the filter looks at upper and lower case"),
    flag(WHAT, "where", None, Text, "", "Condition on the rows of every table"),
    hidden(flag(WHAT, "sql", Some('S'), Text, "", "Dump the result of one query as CSV")),
    flag(WHAT, "no-data", Some('d'), Bool, "false", "Schema files only"),
    flag(WHAT, "no-schemas", Some('m'), Bool, "false", "Data files only"),
    flag(WHAT, "no-views", Some('W'), Bool, "true", "Leave out views; --no-views=false dumps them"),
    flag(WHAT, "no-sequences", None, Bool, "true", "Leave out sequences"),
    flag(
        WHAT,
        "dump-empty-database",
        None,
        Bool,
        "true",
        "Write a schema file for a database without tables, too",
    ),
    flag(SPLIT, "threads", Some('t'), Int, "4", "Connections that read rows at the same time"),
    flag(
        SPLIT,
        "rows",
        Some('r'),
        UintOrAuto,
        "0",
        "Split tables into chunks of about this many rows, read in parallel; auto: by size and readers; 0 does not split",
    ),
    flag(
        SPLIT,
        "filesize",
        Some('F'),
        Text,
        "",
        "Begin a new file after about this many bytes (before compression), for example 256MiB",
    ),
    flag(
        SPLIT,
        "statement-size",
        Some('s'),
        Uint,
        "1000000",
        "Bytes of one INSERT statement, about; 0: no limit",
    ),
    flag(SPLIT, "order-by-primary-key", None, Bool, "true", "Sort rows by the primary key"),
    flag(FORMAT, "filetype", None, Text, "", "sql, csv or parquet; sql if not given, csv with --sql"),
    flag(FORMAT, "compress", Some('c'), Text, "", "gzip, snappy, zstd or no-compression"),
    flag(
        FORMAT,
        "compress-level",
        None,
        Text,
        "",
        "Level of gzip (0 to 9, else 6) or zstd (1 to 22, else 3)",
    ),
    flag(FORMAT, "complete-insert", None, Bool, "false", "Name the columns in every INSERT"),
    flag(
        FORMAT,
        "escape-backslash",
        None,
        Bool,
        "true",
        "Escape special characters with backslashes; off for targets with NO_BACKSLASH_ESCAPES",
    ),
    flag(FORMAT, "no-header", None, Bool, "false", "CSV without the line of column names"),
    flag(FORMAT, "csv-separator", None, Text, ",", "Between CSV fields"),
    flag(FORMAT, "csv-delimiter", None, Text, "\"", "Around CSV fields that are no numbers; may be empty"),
    flag(FORMAT, "csv-null-value", None, Text, "\\N", "NULL in CSV, written without the delimiter"),
    flag(FORMAT, "csv-line-terminator", None, Text, "\r\n", "End of a CSV record; in a shell write $'\\n'"),
    flag(
        FORMAT,
        "csv-output-dialect",
        None,
        Text,
        "",
        "How CSV shows binary data: default (raw), snowflake and redshift (hex), bigquery (base64)",
    ),
    flag(FORMAT, "output", Some('o'), Text, "", "Folder for the dump; default ./export-TIME"),
    flag(
        LOG,
        "against-source",
        None,
        Bool,
        "false",
        "rdump verify: read all rows again and compare them, too",
    ),
    flag(
        LOG,
        "resume",
        None,
        Bool,
        "false",
        "Go on with an unfinished dump in the folder: tables that are whole are kept, the others are dumped anew",
    ),
    flag(
        LOG,
        "resume-chunks",
        None,
        Bool,
        "false",
        "As --resume, and finished chunks of other tables are kept where the binlog shows that safe mode will make them exact",
    ),
    flag(
        FORMAT,
        "output-filename-template",
        None,
        Text,
        "",
        "Names of files by Go's text/template, for example '{{fn .DB}}/{{fn .Table}}.{{.Index}}'",
    ),
    flag(
        WHAT,
        "column-filter",
        None,
        Texts,
        "",
        "Columns to dump: {matcher=['db.t*'], columns=['*', '!secret']}; may be repeated, the first that takes a table \
         decides; with -m",
    ),
    flag(
        WHAT,
        "mask",
        None,
        Texts,
        "",
        "Values to replace: {matcher=['db.t*'], columns=['email'], with='hash'}; with = hash, keep-length, null, or fixed \
         and a value; may be repeated, the first that takes a column decides",
    ),
    flag(WHAT, "mask-file", None, Text, "", "TOML file with [[mask]] tables of the same form"),
    flag(
        WHAT,
        "mask-key-file",
        None,
        Text,
        "",
        "File with the secret of hash and keep-length; equal values have equal masks under the same secret",
    ),
    flag(
        WHAT,
        "column-filter-file",
        None,
        Text,
        "",
        "TOML file with [[column-filter]] tables of the same form",
    ),
    flag(
        FORMAT,
        "dumpling-bytes",
        None,
        Bool,
        "false",
        "FLOAT with six digits, as Dumpling; else with all digits that make the same number again",
    ),
    flag(
        FORMAT,
        "portable",
        None,
        Bool,
        "false",
        "Files that any MySQL or MariaDB client loads exactly (utf8mb4, UTC), with triggers, routines and events",
    ),
    flag(
        FORMAT,
        "include-generated-columns",
        None,
        Text,
        "",
        "none, or stored: columns that are generated and stored are written to CSV and Parquet, too",
    ),
    flag(FORMAT, "parquet-page-size", None, Text, "1MiB", "Parquet: bytes of values that make a page full"),
    flag(
        FORMAT,
        "parquet-row-group-size",
        None,
        Text,
        "16MiB",
        "Parquet: bytes of values that make a row group full, which each reader keeps in memory, compressed",
    ),
    flag(
        FORMAT,
        "parquet-compress",
        None,
        Text,
        "",
        "Parquet: compression of pages, where it shall not be that of --compress",
    ),
    flag(
        FORMAT,
        "parquet-times",
        None,
        Text,
        "typed",
        "Parquet: typed (a zero date, or a TIME that is no time of a day, ends the dump), or text, as the server prints them",
    ),
    flag(
        CONSISTENCY,
        "consistency",
        None,
        Text,
        "auto",
        "auto, flush (global read lock), lock (LOCK TABLES), snapshot (TiDB) or none",
    ),
    flag(CONSISTENCY, "snapshot", None, Text, "", "TiDB: dump as of this TSO or time, 'YYYY-MM-DD hh:mm:ss'"),
    flag(
        CONSISTENCY,
        "lock-wait-timeout",
        None,
        Duration,
        "1m",
        "How long to wait for a lock, and for long statements before it; 0: as long as the server lets",
    ),
    flag(
        CONSISTENCY,
        "long-query-limit",
        None,
        Duration,
        "1m",
        "The global read lock is not asked for while statements run for longer than this; 0: it is",
    ),
    flag(
        CONSISTENCY,
        "block-ddl",
        None,
        Bool,
        "false",
        "MySQL 8.0: LOCK INSTANCE FOR BACKUP, MariaDB 10.4: BACKUP STAGE BLOCK_DDL, to the end, so that no DDL spoils the dump",
    ),
    hidden(flag(
        CONSISTENCY,
        "transactional-consistency",
        None,
        Bool,
        "true",
        "Release the lock as soon as all snapshots are open; =false keeps it to the end",
    )),
    flag(SPLIT, "rate-limit", None, Text, "", "Bytes a second of all readers together, for example 50MiB"),
    flag(
        SPLIT,
        "max-load",
        None,
        Map,
        "",
        "Pause above these values: status variables such as Threads_running=25, history=1000000 (InnoDB), lag=10 (seconds)",
    ),
    flag(SPLIT, "critical-load", None, Map, "", "End the dump above these values, of the same form"),
    flag(
        LOG,
        "config",
        None,
        Text,
        "",
        "TOML file with flags: host = \"db1\", rows = 200000, filter = [\"shop.*\"], ...",
    ),
    flag(
        LOG,
        "dry-run",
        None,
        Bool,
        "false",
        "Say what would be dumped, its size, locks, missing privileges and binlog retention; lock and write nothing",
    ),
    flag(LOG, "loglevel", None, Text, "info", "debug, info, warn, error"),
    flag(LOG, "logfile", Some('L'), Text, "", "Log file; without it the log goes to stdout"),
    flag(LOG, "logfmt", None, Text, "text", "text or json"),
    flag(LOG, "status-addr", None, Text, ":8281", "Address of /metrics and /status; empty: none"),
    flag(LOG, "help", None, Bool, "false", "Print this text"),
    flag(LOG, "version", Some('V'), Bool, "false", "Print the version"),
    flag(
        STORAGE,
        "s3.endpoint",
        None,
        Text,
        "",
        "Address of an S3 service that is not AWS, such as https://minio:9000",
    ),
    flag(STORAGE, "s3.region", None, Text, "", "Region; on AWS it is looked up if it is not given"),
    flag(STORAGE, "s3.storage-class", None, Text, "", "Storage class of the files"),
    flag(STORAGE, "s3.sse", None, Text, "", "Encryption by the service: AES256, aws:kms or aws:kms:dsse"),
    flag(STORAGE, "s3.sse-kms-key-id", None, Text, "", "Key of --s3.sse aws:kms"),
    flag(STORAGE, "s3.acl", None, Text, "", "Only private; other rights are set by a policy of the bucket"),
    flag(
        STORAGE,
        "s3.provider",
        None,
        Text,
        "",
        "aws, alibaba, ceph, minio, netease and others: how the bucket is addressed",
    ),
    flag(STORAGE, "s3.role-arn", None, Text, "", "Role that is assumed for the bucket"),
    flag(STORAGE, "s3.external-id", None, Text, "", "External id for that role"),
    not_yet(STORAGE, "gcs.endpoint", Text),
    not_yet(STORAGE, "gcs.storage-class", Text),
    not_yet(STORAGE, "gcs.predefined-acl", Text),
    not_yet(STORAGE, "gcs.credentials-file", Text),
    flag(STORAGE, "azblob.endpoint", None, Text, "", "Address of a blob service that is not Azure"),
    not_yet(STORAGE, "azblob.access-tier", Text),
    flag(STORAGE, "azblob.account-name", None, Text, "", "Storage account; else $AZURE_STORAGE_ACCOUNT"),
    flag(
        STORAGE,
        "azblob.account-key",
        None,
        Text,
        "",
        "Key of the account; it is wiped from the process list",
    ),
    flag(
        STORAGE,
        "azblob.sas-token",
        None,
        Text,
        "",
        "Shared access signature; it is wiped from the process list",
    ),
    not_yet(STORAGE, "azblob.encryption-scope", Text),
    flag(
        STORAGE,
        "azblob.encryption-key",
        None,
        Text,
        "",
        "Key of the customer in base64; it is wiped from the process list",
    ),
];

/// The usage text, with examples first.
pub fn usage() -> String {
    let mut out = String::from(
        "rdump writes a MySQL, MariaDB or TiDB server's tables to files, consistently and in parallel.\n\
         It takes Dumpling's flags and writes Dumpling's files.\n\n\
         Usage:\n  rdump [flags]\n  rdump verify -o FOLDER [--against-source] [flags]\n\n\
         Examples:\n\
         \x20 Dump the server, 8 readers, tables in chunks of 200,000 rows, files of 256 MiB:\n\
         \x20   rdump -h db1 -P 3306 -u dump -p secret -t 8 -r 200000 -F 256MiB -o /backup/db1\n\
         \x20 Two tables of one database, compressed:\n\
         \x20   rdump -P 3306 -u dump -B shop -f 'shop.order[12]' -c zstd -o ./shop\n\
         \x20 The table definitions only:\n\
         \x20   rdump -P 3306 -u dump -d -o ./schemas\n",
    );
    for group in GROUPS {
        let flags: Vec<&Flag> =
            FLAGS.iter().filter(|flag| flag.group == group && !flag.hidden && !flag.not_yet).collect();
        if flags.is_empty() {
            continue;
        }
        out.push_str(&format!("\n{group}:\n"));
        for flag in flags {
            let short = flag.short.map_or_else(|| "    ".to_owned(), |short| format!("-{short}, "));
            let word = flag.kind.word();
            let blank = if word.is_empty() { "" } else { " " };
            let head = format!("  {short}--{}{blank}{word}", flag.name);
            let default = match flag.default {
                "" | "false" => String::new(),
                "\r\n" => " (default: CR LF)".into(),
                default if flag.kind == Kind::Text => format!(" (default \"{default}\")"),
                default => format!(" (default {default})"),
            };
            out.push_str(&format!("{head:<36} {}{default}\n", flag.help));
        }
    }
    out.push_str(
        "\nThe account needs SELECT, RELOAD, LOCK TABLES, REPLICATION CLIENT and PROCESS (SHOW VIEW for views).\n\
         Exit codes: 0 the dump is whole; 1 it failed; 2 the flags can't be read; 130, 143 stopped by a signal.\n",
    );
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_grouped() {
        for (i, flag) in FLAGS.iter().enumerate() {
            assert!(GROUPS.contains(&flag.group));
            for other in &FLAGS[i + 1..] {
                assert_ne!(flag.name, other.name);
                assert!(flag.short.is_none() || flag.short != other.short, "{}", flag.name);
            }
        }
    }

    #[test]
    fn the_usage_text_names_every_flag_that_works() {
        let usage = usage();
        for flag in FLAGS.iter().filter(|flag| !flag.hidden) {
            assert!(usage.contains(&format!("--{}", flag.name)), "{}", flag.name);
        }
        assert!(!usage.contains("gcs.predefined-acl"));
    }
}
