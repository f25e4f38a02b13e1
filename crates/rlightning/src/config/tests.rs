use super::*;

fn resolved(text: &str) -> Result<Config> {
    let raw: RawConfig = common::config::from_toml(text, "test").unwrap().strict("test").unwrap();
    Config::resolve(&raw, &Flags::default(), LogConfig::default())
}

fn error(text: &str) -> String {
    resolved(text).unwrap_err().to_string()
}

const BASE: &str =
    "[tikv-importer]\nbackend = 'tidb'\n[mydumper]\ndata-source-dir = '/'\n[tidb]\nport = 4000\n";

#[test]
fn a_small_file_and_its_defaults() {
    let config = resolved(BASE).unwrap();
    assert!(config.checkpoint && config.check_requirements && !config.source.no_schema);
    assert_eq!(config.ledger_schema, "lightning_task_info");
    assert_eq!(config.on_duplicate, OnDuplicate::Error);
    assert_eq!(config.keep_after_success, KeepAfterSuccess::Remove);
    assert_eq!(config.log_progress, Duration::from_secs(300));
    assert_eq!(config.statement_bytes, None);
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
}

#[test]
fn every_key_of_the_real_tool_is_known() {
    let raw = RawConfig::default();
    let text = toml::to_string(&raw).unwrap();
    // What is written by default is read again: no name is misspelt on one side only.
    let again = common::config::from_toml::<RawConfig>(&text, "test").unwrap();
    assert_eq!(again.unknown, [""; 0]);
    let odd = format!("{BASE}hots = 'x'\n[mydumper.csv]\nseperator = ','\n");
    let keys =
        common::config::from_toml::<RawConfig>(&odd, "test").unwrap().strict("test").unwrap_err().to_string();
    assert_eq!(
        keys,
        "config file contained unknown configuration options: mydumper.csv.seperator, tidb.hots"
    );
}

#[test]
fn kinds_of_values() {
    let text = "[lightning]\nmax-error = { type = 0, conflict = 9 }\n[checkpoint]\nkeep-after-success = true\n\
        [post-restore]\nchecksum = false\nanalyze = 'optional'\n[cron]\nlog-progress = '10s'\n\
        [mydumper]\nread-block-size = '64KiB'\n[mydumper.csv]\nnull = ['a', 'b']\n[tidb.session-vars]\nx = 'y'\n";
    let raw: RawConfig = common::config::from_toml(text, "test").unwrap().strict("test").unwrap();
    assert_eq!(raw.checkpoint.keep_after_success, KeepAfterSuccess::Rename);
    assert_eq!(raw.post_restore.checksum, OpLevel::Off);
    assert_eq!(raw.cron.log_progress.get(), Duration::from_secs(10));
    let bad = |text: &str| common::config::from_toml::<RawConfig>(text, "t").unwrap_err().to_string();
    assert!(bad("[lightning]\nmax-error = 'x'").contains("lightning.max-error: invalid max-error"));
    assert!(bad("[post-restore]\nchecksum = 'x'").contains("invalid op level 'x'"));
    assert!(bad("[checkpoint]\nkeep-after-success = 'x'").contains("keep-after-success 'x'"));
    assert!(bad("[tidb]\nport = 'x'").contains("tidb.port"));
}

#[test]
fn what_is_not_there_or_not_allowed_is_refused_by_name() {
    for (change, expected) in [
        (BASE.replace("'tidb'", "'local'"), "tikv-importer.backend"),
        (BASE.replace("'tidb'", "'x'"), "unsupported `tikv-importer.backend` (x)"),
        (BASE.replace("'tidb'", "''"), "must not be empty"),
        (BASE.replace("port = 4000", ""), "invalid `tidb.port` setting"),
        (BASE.replace("'/'", "'/no/such'"), "'/no/such': `mydumper.data-source-dir` does not exist"),
        (BASE.replace("'/'", "'s3://b/p?acl=public-read'"), "s3://b/p: `acl` is not supported"),
        (format!("{BASE}tls = 'x'"), "unsupported `tidb.tls` config x"),
        (format!("{BASE}sql-mode = 'a;b'"), "must be a valid SQL_MODE"),
        (format!("{BASE}[lightning]\nmax-error = 3\ntask-info-schema-name = ''"), "lightning.max-error.type"),
        (format!("{BASE}[checkpoint]\ndriver = 'x'"), "unknown checkpoint driver 'x'"),
        (format!("{BASE}[conflict]\nstrategy = 'x'"), "invalid conflict.strategy 'x'"),
        (format!("{BASE}[conflict]\nthreshold = 3"), "conflict.threshold cannot be set"),
        (format!("{BASE}[conflict]\nprecheck-conflict-before-import = true"), "cannot be set to true"),
        (
            format!("{BASE}[[routes]]\nschema-pattern = 'a'"),
            "target schema of table route rule should not be empty",
        ),
        (BASE.replace("'/'", "'/'\nfilter = ['a']"), "`mydumper.filter`"),
        (BASE.replace("'/'", "'/'\ncharacter-set = 'big5'"), "`mydumper.character-set`"),
        (BASE.replace("'tidb'", "'tidb'\nlogical-import-batch-size = 0"), "should be larger than 0"),
    ] {
        let text = error(&change);
        assert!(text.contains(expected), "{text}\nshould contain {expected}");
    }
}

#[test]
fn keys_in_a_url_are_not_shown() {
    let url = BASE.replace("'/'", "'s3://b/p?access-key=AK&secret-access-key=x%2Fy'");
    let raw: RawConfig = common::config::from_toml(&url, "test").unwrap().value;
    let config = Config::resolve(&raw, &Flags::default(), LogConfig::default()).unwrap();
    assert!(config.shown.contains("s3://b/p\"") && !config.shown.contains("x%2Fy"), "{}", config.shown);
}

#[test]
fn the_command_line_wins() {
    let mut raw: RawConfig = common::config::from_toml(BASE, "test").unwrap().value;
    let flags = Flags {
        tidb_host: Some("h".into()),
        tidb_port: Some(3306),
        tidb_password: Some("secret-Pw".into()),
        enable_checkpoint: Some(false),
        filter: vec!["a.*".into()],
        source_time_zone: Some("+08:00".into()),
        ..Flags::default()
    };
    overlay(&mut raw, &flags).unwrap();
    let config = Config::resolve(&raw, &flags, LogConfig::default()).unwrap();
    assert_eq!(config.target.address(), "h:3306");
    assert!(!config.checkpoint);
    assert!(config.source.filter.matches_table("a", "t") && !config.source.filter.matches_table("b", "t"));
    assert!(!config.shown.contains("secret-Pw"), "{}", config.shown);
    assert!(!format!("{config:?}").contains("secret-Pw"));
}

#[test]
fn session_variables_are_quoted_only_where_they_must_be() {
    let text = format!("{BASE}[tidb.session-vars]\na = '1'\nb = 'ON'\nc = \"it's\"\nd = 5\ne = true\n");
    let config = resolved(&text).unwrap();
    let values: Vec<&str> = config.session.variables.iter().map(|(_, value)| value.as_str()).collect();
    assert_eq!(values, ["1", "ON", "'it''s'", "5", "1"]);
    assert!(
        error(&format!("{BASE}[tidb.session-vars]\n\"a b\" = '1'\n")).contains("is no name of a variable")
    );
}

/// Mutated configuration: an error or a result, never a panic.
#[test]
fn mutated_files_never_panic() {
    let mut numbers = testkit::Random::of_target("tidb-lightning.toml");
    let mut random = |below| numbers.below(below);
    let text = include_str!("../../../../config-examples/tidb-lightning.toml").as_bytes();
    for _ in 0..testkit::random::fuzz_rounds(2_000) {
        let mut bad = text.to_vec();
        for _ in 0..1 + random(3) {
            if bad.is_empty() {
                break;
            }
            let at = random(bad.len());
            match random(3) {
                0 => bad[at] = b"[]='\"\n#.~*!@0\xff"[random(14)],
                1 => drop(bad.remove(at)),
                _ => bad.truncate(at.max(1)),
            }
        }
        let Ok(text) = common::config::text_of(bad, "test") else { continue };
        if let Ok(loaded) = common::config::from_toml::<RawConfig>(&text, "test") {
            let _ = Config::resolve(&loaded.value, &Flags::default(), LogConfig::default());
        }
    }
}

#[test]
fn the_shipped_example_is_good() {
    let text = include_str!("../../../../config-examples/tidb-lightning.toml");
    let loaded = common::config::from_toml::<RawConfig>(text, "test").unwrap();
    let mut raw = loaded.strict("test").unwrap();
    raw.mydumper.data_source_dir = "/".into();
    let config = Config::resolve(&raw, &Flags::default(), LogConfig::default()).unwrap();
    assert_eq!(
        config.source.router.route("my_db1", "table2").unwrap().name().to_string(),
        "`my_db`.`table5`"
    );
}
