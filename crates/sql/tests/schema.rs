//! What statements make of tracked tables, without a server.

use sql::SqlMode;
use sql::ddl::{self, DefaultValue, TypeKind};
use sql::schema::{Applied, Environment, SchemaError, Table, Tracker};

fn apply(tracker: &mut Tracker, text: &str) -> Result<Applied, SchemaError> {
    let ddl =
        ddl::parse(text.as_bytes(), SqlMode::default()).unwrap_or_else(|error| panic!("{error}\n{text}"));
    tracker.apply(&ddl, "d")
}

/// A tracker with database `d` in latin1 after these statements.
fn tracker(statements: &[&str]) -> Tracker {
    let mut tracker = Tracker::new(Environment::mysql(8, 0));
    tracker.set_database("d", "latin1", "latin1_swedish_ci");
    for text in statements {
        apply(&mut tracker, text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    }
    tracker
}

/// Columns, then indexes, in one line.
fn line(table: &Table) -> String {
    let columns: Vec<_> = table.columns.iter().map(|it| it.name.as_str()).collect();
    let indexes: Vec<_> = table
        .indexes
        .iter()
        .map(|it| format!("{}({})", it.name, it.columns().collect::<Vec<_>>().join("+")))
        .collect();
    format!("{} | {}", columns.join(" "), indexes.join(" "))
}

#[test]
fn a_failed_statement_changes_nothing() {
    let mut tracker = tracker(&["CREATE TABLE t (a INT, b INT, KEY k (a))"]);
    let before = tracker.table("d", "t").unwrap();
    for (text, expected) in [
        ("ALTER TABLE t ADD c INT, DROP COLUMN zz", "table `t` has no column `zz`"),
        ("ALTER TABLE t ADD A INT", "table `t` has a column `A` already"),
        ("ALTER TABLE t ADD c INT AFTER zz", "table `t` has no column `zz`"),
        ("ALTER TABLE t ADD KEY K (b)", "table `t` has an index `K` already"),
        ("ALTER TABLE t ADD KEY (zz)", "table `t` has no column `zz`"),
        ("ALTER TABLE t DROP KEY zz", "table `t` has no index `zz`"),
        ("ALTER TABLE t DROP PRIMARY KEY", "table `t` has no index `PRIMARY`"),
        ("ALTER TABLE t MODIFY zz INT", "table `t` has no column `zz`"),
        ("ALTER TABLE t RENAME INDEX zz TO y", "table `t` has no index `zz`"),
        ("ALTER TABLE t ADD c FOO(3)", "type foo of column `c` is not supported on tracked table `t`"),
        ("ALTER TABLE t CHARACTER SET foo", "unknown character set or collation `foo`"),
        ("ALTER TABLE nope ADD c INT", "table `d`.`nope` is not tracked"),
        ("CREATE TABLE t (x INT)", "table `d`.`t` exists already"),
        ("CREATE TABLE u LIKE nope", "table `d`.`nope` is not tracked"),
        ("CREATE TABLE u SELECT 1", "CREATE TABLE … SELECT is not supported on tracked table `u`"),
        ("CREATE TABLE e.u (a INT)", "the default character set of database `e` is not known"),
        ("RENAME TABLE t TO x, nope TO y", "table `d`.`nope` is not tracked"),
        ("ALTER TABLE t RENAME TO t2, DROP zz", "table `t` has no column `zz`"),
    ] {
        assert_eq!(apply(&mut tracker, text).unwrap_err().to_string(), expected, "{text}");
        assert_eq!(tracker.tables().count(), 1, "{text}");
        assert!(std::sync::Arc::ptr_eq(&before, &tracker.table("d", "t").unwrap()), "{text}");
    }
    // Where the statement says all, the database need not be known.
    apply(&mut tracker, "CREATE TABLE e.u (a CHAR(3)) CHARSET=utf8").unwrap();
    let no_schema = ddl::parse(b"DROP TABLE t", SqlMode::default()).unwrap();
    let error = tracker.apply(&no_schema, "").unwrap_err();
    assert_eq!(error, SchemaError::NoSchema { table: "t".into() });
}

#[test]
fn what_a_statement_did() {
    let mut tracker = tracker(&["CREATE TABLE a (x INT)", "CREATE TABLE b (y INT)"]);
    let pair = |schema: &str, table: &str| (schema.to_owned(), table.to_owned());
    let swapped = apply(&mut tracker, "RENAME TABLE a TO tmp, b TO a, tmp TO b").unwrap();
    assert_eq!(swapped.changed, [pair("d", "a"), pair("d", "b")]);
    assert_eq!(swapped.gone, [pair("d", "tmp")]);
    assert_eq!(line(&tracker.table("d", "a").unwrap()), "y | ");
    assert_eq!(tracker.table("d", "a").unwrap().name, "a");
    let moved = apply(&mut tracker, "ALTER TABLE a ADD z INT, RENAME TO e.c").unwrap();
    assert_eq!((moved.changed, moved.gone), (vec![pair("e", "c")], vec![pair("d", "a")]));
    let none = Applied::default();
    assert_eq!(apply(&mut tracker, "DROP TABLE IF EXISTS zz").unwrap(), none);
    assert_eq!(apply(&mut tracker, "TRUNCATE b").unwrap(), none);
    assert_eq!(apply(&mut tracker, "CREATE TEMPORARY TABLE tt (a INT)").unwrap(), none);
    assert_eq!(apply(&mut tracker, "DROP TEMPORARY TABLE b").unwrap(), none);
    assert_eq!(apply(&mut tracker, "CREATE TABLE IF NOT EXISTS b (q INT)").unwrap(), none);
    let dropped = apply(&mut tracker, "DROP DATABASE e").unwrap();
    assert_eq!(dropped.gone, [pair("e", "c")]);
    assert_eq!(tracker.tables().count(), 1);
}

#[test]
fn names_by_case() {
    let mut tracker = tracker(&["CREATE TABLE T (A INT)"]);
    assert!(tracker.table("d", "t").is_none());
    apply(&mut tracker, "ALTER TABLE T CHANGE a b INT, ADD KEY (B)").unwrap();
    assert_eq!(line(&tracker.table("d", "T").unwrap()), "b | b(b)");
    let mut folding = Tracker::new(Environment { lower_case_table_names: 1, ..Environment::mysql(8, 0) });
    folding.set_database("D", "utf8mb4", "utf8mb4_0900_ai_ci");
    let ddl = ddl::parse(b"CREATE TABLE D.T (a INT)", SqlMode::default()).unwrap();
    folding.apply(&ddl, "").unwrap();
    assert!(folding.table("d", "t").is_some());
}

#[test]
fn the_shard_table_of_the_main_job() {
    let text = "CREATE TABLE `table1` (\n  `id` bigint(20) NOT NULL AUTO_INCREMENT,\n  `sid` bigint(20) NOT NULL,\n  `pid` bigint(20) NOT NULL,\n  \
                `comment` varchar(255) DEFAULT NULL,\n  `at` timestamp NULL DEFAULT NULL,\n  PRIMARY KEY (`id`),\n  UNIQUE KEY `sid` (`sid`)\n) \
                ENGINE=InnoDB AUTO_INCREMENT=301 DEFAULT CHARSET=latin1";
    let table = Table::from_create(text.as_bytes(), SqlMode::default()).unwrap();
    assert_eq!(line(&table), "id sid pid comment at | PRIMARY(id) sid(sid)");
    let (at, comment) = table.column("COMMENT").unwrap();
    assert_eq!((at, comment.charset.as_deref(), comment.length), (3, Some("latin1"), Some(255)));
    assert_eq!(comment.default, Some(DefaultValue::Null));
    let id = &table.columns[0];
    assert!(id.auto_increment && !id.nullable && id.default.is_none() && id.kind == TypeKind::BigInt);
    assert_eq!(table.auto_increment, Some(301));
    assert_eq!(
        table.to_create(),
        "CREATE TABLE `table1` (\n  `id` bigint(20) NOT NULL AUTO_INCREMENT,\n  `sid` bigint(20) NOT NULL,\n  `pid` bigint(20) NOT NULL,\n  \
         `comment` varchar(255) DEFAULT NULL,\n  `at` timestamp NULL DEFAULT NULL,\n  PRIMARY KEY (`id`),\n  UNIQUE KEY `sid` (`sid`)\n) \
         ENGINE=InnoDB AUTO_INCREMENT=301 DEFAULT CHARSET=latin1 COLLATE=latin1_swedish_ci"
    );
}

/// What the tracker renders reads as the same table, for every statement of the table of texts that creates one.
#[test]
fn rendering_and_reading() {
    let mut count = 0;
    for text in super::rename::statements() {
        for environment in [Environment::mysql(8, 0), Environment::mariadb(10, 11), Environment::tidb()] {
            let Ok(table) = Table::from_create_in(text.as_bytes(), SqlMode::default(), &environment) else {
                continue;
            };
            let rendered = table.to_create();
            let again = Table::from_create_in(rendered.as_bytes(), SqlMode::default(), &environment)
                .unwrap_or_else(|error| panic!("{error}\n{rendered}"));
            assert_eq!(line(&again).len(), line(&table).len(), "{rendered}");
            for (a, b) in again.columns.iter().zip(&table.columns) {
                assert_eq!(
                    (&a.name, &a.kind, a.length, a.decimals),
                    (&b.name, &b.kind, b.length, b.decimals),
                    "{rendered}"
                );
                assert_eq!(
                    (a.unsigned, a.nullable, &a.charset, &a.collation),
                    (b.unsigned, b.nullable, &b.charset, &b.collation),
                    "{rendered}"
                );
                assert_eq!(
                    (&a.members, a.auto_increment, &a.comment),
                    (&b.members, b.auto_increment, &b.comment),
                    "{rendered}"
                );
            }
            count += 1;
        }
    }
    assert!(count > 150, "{count}");
}

#[test]
fn ids_are_never_used_twice() {
    let tracker = tracker(&[
        "CREATE TABLE t (a INT, b INT, KEY x (a), KEY y (b))",
        "ALTER TABLE t DROP COLUMN b",
        "ALTER TABLE t ADD c INT FIRST, ADD KEY (c)",
    ]);
    let table = tracker.table("d", "t").unwrap();
    assert_eq!(table.columns.iter().map(|it| it.id).collect::<Vec<_>>(), [3, 1]);
    assert_eq!(
        table.indexes.iter().map(|it| (it.name.as_str(), it.id)).collect::<Vec<_>>(),
        [("x", 1), ("c", 3)]
    );
    assert_eq!((table.max_column_id, table.max_index_id), (3, 3));
}

/// What is renamed is renamed in the foreign keys of other tables too, and these count as changed.
#[test]
fn foreign_keys_follow_their_parent() {
    let mut tracker = tracker(&[
        "CREATE TABLE par (id INT PRIMARY KEY, up INT, FOREIGN KEY (up) REFERENCES par (id) ON DELETE CASCADE)",
        "CREATE TABLE chi (pid INT, FOREIGN KEY (pid) REFERENCES par (id) ON DELETE CASCADE)",
        "CREATE TABLE e.far (pid INT, FOREIGN KEY (pid) REFERENCES d.par (id)) CHARSET=utf8",
        "CREATE TABLE other (id INT, FOREIGN KEY (id) REFERENCES chi (pid))",
    ]);
    let pair = |schema: &str, table: &str| (schema.to_owned(), table.to_owned());
    let refers = |tracker: &Tracker, schema: &str, table: &str| {
        let key = tracker.table(schema, table).unwrap().foreign_keys[0].clone();
        format!("{} ({})", key.parent.table, key.parent_columns.join(","))
    };
    let applied = apply(&mut tracker, "ALTER TABLE par CHANGE id ID INT, RENAME COLUMN up TO id2").unwrap();
    assert_eq!(applied.changed, [pair("d", "par"), pair("d", "chi"), pair("e", "far")]);
    for (schema, table) in [("d", "par"), ("d", "chi"), ("e", "far")] {
        assert_eq!(refers(&tracker, schema, table), "par (ID)");
    }
    let applied = apply(&mut tracker, "RENAME TABLE par TO par2").unwrap();
    assert_eq!(applied.changed, [pair("d", "par2"), pair("d", "chi"), pair("e", "far")]);
    apply(&mut tracker, "ALTER TABLE par2 RENAME COLUMN ID TO n, RENAME TO par3").unwrap();
    for (schema, table) in [("d", "par3"), ("d", "chi"), ("e", "far")] {
        assert_eq!(refers(&tracker, schema, table), "par3 (n)");
    }
    assert_eq!(refers(&tracker, "d", "other"), "chi (pid)");
}

/// MariaDB's system versioning: which tables have hidden columns, over DDL and JSON, and statements without it.
#[test]
fn system_versioning() {
    let environment = Environment::mariadb(10, 11);
    let hidden = |text: &str| {
        let table = Table::from_create_in(text.as_bytes(), SqlMode::default(), &environment).unwrap();
        let again = sql::table_info::from_json(&sql::table_info::to_json(&table)).unwrap();
        assert_eq!(again.hidden_period, table.hidden_period, "{text}");
        (table.hidden_period, table.row_end().map(|(at, _)| at))
    };
    let explicit = "CREATE TABLE t (a int, s timestamp(6) GENERATED ALWAYS AS ROW START INVISIBLE, e timestamp(6) GENERATED ALWAYS AS ROW END, \
                    PERIOD FOR SYSTEM_TIME (s, e)) ENGINE=InnoDB WITH SYSTEM VERSIONING";
    assert_eq!(
        hidden("CREATE TABLE t (a int, b int WITHOUT SYSTEM VERSIONING) WITH SYSTEM VERSIONING"),
        (true, None)
    );
    assert_eq!(hidden("CREATE TABLE t (a int WITH SYSTEM VERSIONING, b int)"), (true, None));
    assert_eq!(hidden(explicit), (false, Some(2)));
    assert_eq!(hidden("CREATE TABLE t (a int WITHOUT SYSTEM VERSIONING)"), (false, None));
    let mut tracker = Tracker::new(environment.clone());
    tracker.set_database("d", "latin1", "latin1_swedish_ci");
    let mut apply = |text: &str| {
        tracker.apply(&sql::ddl::parse(text.as_bytes(), SqlMode::default()).unwrap(), "d").unwrap();
        tracker.table("d", "t").unwrap().hidden_period
    };
    assert!(!apply("CREATE TABLE t (a int)") && apply("ALTER TABLE t ADD b int, ADD SYSTEM VERSIONING"));
    assert!(apply("ALTER TABLE t ADD c int FIRST") && !apply("ALTER TABLE t DROP SYSTEM VERSIONING, DROP c"));
    let without = |text: &str| {
        let parsed = sql::ddl::parse(text.as_bytes(), SqlMode::default()).unwrap();
        let text = parsed.without_versioning()?;
        if !text.is_empty() {
            sql::ddl::parse(&text, SqlMode::default()).unwrap();
        }
        Some(String::from_utf8(text).unwrap().split_whitespace().collect::<Vec<_>>().join(" "))
    };
    assert_eq!(without(explicit).unwrap(), "CREATE TABLE t (a int) ENGINE=InnoDB");
    assert_eq!(
        without("CREATE TABLE t (s timestamp(6) AS ROW START, a int WITHOUT SYSTEM VERSIONING COMMENT 'WITH SYSTEM VERSIONING') WITH SYSTEM VERSIONING PARTITION BY SYSTEM_TIME (PARTITION h HISTORY, PARTITION c CURRENT)").unwrap(),
        "CREATE TABLE t ( a int COMMENT 'WITH SYSTEM VERSIONING')"
    );
    assert_eq!(without("ALTER TABLE t ADD SYSTEM VERSIONING").unwrap(), "");
    assert_eq!(
        without("ALTER TABLE t ADD COLUMN s TIMESTAMP(6) GENERATED ALWAYS AS ROW START, ADD PERIOD FOR SYSTEM_TIME(s, e), ADD b int, ADD SYSTEM VERSIONING").unwrap(),
        "ALTER TABLE t ADD b int"
    );
    assert_eq!(without("ALTER TABLE t ADD system int").is_none(), without("DROP TABLE t").is_none());
}
