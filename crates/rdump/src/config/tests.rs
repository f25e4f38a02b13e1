//! Flags in, configuration or words out.

use common::dumpfile::Format;

use super::*;
use crate::cli::pflag;

pub(crate) fn resolve(args: &[&str]) -> Result<Config, String> {
    let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
    let parsed = pflag::parse(FLAGS, &args).map_err(|e| e.to_string())?;
    let environment = |name: &str| (name == PASSWORD_VARIABLE).then(|| "from-env".to_owned());
    Config::resolve(&parsed, environment, "NOW").map_err(|e| e.to_string())
}

#[test]
fn the_command_of_the_job() {
    let config = resolve(&[
        "-h",
        "db1",
        "-P",
        "3306",
        "-u",
        "dump",
        "-p",
        "s",
        "-t",
        "16",
        "-r",
        "200000",
        "-F",
        "256MB",
        "-B",
        "my_db1",
        "-f",
        "my_db1.table[12]",
        "-o",
        "out",
    ])
    .unwrap();
    assert_eq!((config.host.as_str(), config.port, config.threads), ("db1", 3306, 16));
    assert_eq!((config.rows, config.output.file_size), (ChunkSize::Rows(200_000), Some(256 << 20)));
    assert_eq!((config.databases, config.output_url), (vec!["my_db1".to_owned()], "out".to_owned()));
    assert!(config.filter.matches_table("my_db1", "table2"));
    assert!(!config.filter.matches_table("my_db1", "table3"));
    assert_eq!(config.password.expose(), "s");
    assert_eq!(config.consistency, Consistency::Auto);
}

#[test]
fn defaults_are_dumplings() {
    let config = resolve(&[]).unwrap();
    assert_eq!((config.host.as_str(), config.port, config.user.as_str()), ("127.0.0.1", 4000, "root"));
    assert_eq!((config.threads, config.rows, config.output.statement_size), (4, ChunkSize::Whole, 1_000_000));
    assert_eq!(resolve(&["-r", "auto"]).unwrap().rows, ChunkSize::Auto);
    assert_eq!((config.output.file_size, config.output.format), (None, Format::Sql));
    assert!(config.no_views && config.no_sequences && config.dump_empty_database);
    assert!(config.order_by_primary_key && config.output.escape_backslash);
    assert_eq!(config.output_url, "./export-NOW");
    assert_eq!(config.password.expose(), "from-env");
    assert_eq!(config.read_timeout, Duration::from_secs(900));
    assert!(!config.filter.matches_table("mysql", "user") && config.filter.matches_table("a", "b"));
    assert_eq!(resolve(&["-p", ""]).unwrap().password.expose(), "");
    assert_eq!(resolve(&["-s", "0"]).unwrap().output.statement_size, u64::MAX);
    assert_eq!(resolve(&["-S", "select 1"]).unwrap().output.format, Format::Csv);
}

#[test]
fn wrong_values_have_dumplings_words() {
    for (args, text) in [
        (&["-t", "0"][..], "--threads is set to 0. It should be greater than 0"),
        (&["--tables-list", "a"], "--tables-list only accepts qualified table names, but `a` lacks a dot"),
        (
            &["-T", "a.b", "-f", "a.*"],
            "failed to parse filter: cannot pass --tables-list and --filter together",
        ),
        (&["-f", "a"], "failed to parse filter: at <cmdline>:1: wrong table pattern"),
        (&["--filetype", "x"], "unknown config.FileType 'x'"),
        (
            &["-S", "q", "--filetype", "sql"],
            "unsupported config.FileType 'sql' when we specify --sql, please unset --filetype or set it to 'csv'",
        ),
        (
            &["-S", "q", "--where", "w"],
            "can't specify both --sql and --where at the same time. Please try to combine them into --sql",
        ),
        (&["-c", "x"], "unknown compress type x"),
        (&["--csv-separator", ""], "--csv-separator is set to \"\". It must not be an empty string"),
        (&["-F", "abc"], "failed to parse filesize (-F 'abc')"),
        (&["--loglevel", "x"], "unrecognized level: \"x\""),
        (&["--consistency", "x"], "invalid consistency option x"),
        (&["--csv-output-dialect", "x"], "unknown output dialect x"),
        (
            &["--csv-output-dialect", "bigquery", "--filetype", "CSV"],
            "csv-output-dialect is only supported when dumping whole table to csv, not compatible with CSV",
        ),
        (
            &["--filetype", "parquet", "--parquet-row-group-size", "0"],
            "--parquet-row-group-size is set to 0. It is a size from 1B to 1048576MiB",
        ),
        (&["--filetype", "parquet", "--parquet-times", "x"], "unknown --parquet-times 'x': typed or text"),
        (
            &["--filetype", "parquet", "--params", "time_zone=+08:00"],
            "--filetype parquet writes instants in UTC: leave --params time_zone=... out, or write texts with --parquet-times=text",
        ),
        (
            &["--output-filename-template", "{{nope}}"],
            "failed to parse output filename template (--output-filename-template '{{nope}}'): template: function \"nope\" not defined",
        ),
        (
            &["-c", "zstd", "--compress-level", "23"],
            "--compress-level is set to 23. For zstd it lies between 1 and 22",
        ),
        (&["--compress-level", "2"], "--compress-level needs --compress gzip or zstd"),
        (
            &["--column-filter", "{matcher=['a.*'], columns=['b']}"],
            "--column-filter needs --no-schemas: the files hold fewer columns than the tables have",
        ),
        (&["-p", "x", "--ask-password"], "--password and --ask-password exclude each other: give one"),
        (
            &["--include-generated-columns", "all"],
            "unknown --include-generated-columns 'all': none or stored",
        ),
    ] {
        assert_eq!(resolve(args).unwrap_err(), text);
    }
    assert_eq!(resolve(&["-F", "64"]).unwrap().warnings.len(), 1);
}

#[test]
fn portable_excludes_what_it_would_break() {
    for (args, word) in [
        (&["--portable", "--filetype", "csv"][..], "SQL files"),
        (&["--portable", "--sql", "SELECT 1"], "SQL files"),
        (&["--portable", "--dumpling-bytes"], "--dumpling-bytes"),
        (&["--portable", "--escape-backslash=false"], "sql_mode"),
        (&["--portable", "--params", "Time_Zone=+08:00"], "UTC"),
    ] {
        let error = resolve(args).unwrap_err();
        assert!(error.contains(word), "{args:?}: {error}");
    }
    assert!(resolve(&["--portable", "--params", "sql_mode="]).unwrap().output.portable);
}
