//! JSON and floating point numbers are compared by value: servers write them in different ways.

use mysql::Conn;
use testkit::{Account, Kind, Options, Server};

use super::{TARGET, subtask, verdict, write_checkpoint};

/// A source with `my_db1.table1 (id, v, j)` and a target that has its rows, put in as the texts that the source gives.
struct World {
    source: Server,
    target: Server,
    /// How many rows have another text at the target.
    written_otherwise: usize,
}

impl World {
    fn start(kind: Kind, values: &[&str], keys: &str) -> Option<World> {
        let source = Server::start_or_skip(kind, Options::default())?;
        let target = Server::start_or_skip(Kind::MySql8033, Options::default())?;
        source.sql(
            "CREATE DATABASE my_db1; CREATE TABLE my_db1.table1 (id int PRIMARY KEY, v varchar(9), j json) DEFAULT CHARSET=utf8mb4",
        );
        target.sql(format!(
            "CREATE DATABASE merged; CREATE TABLE {TARGET} (id int NOT NULL, v varchar(9), j json{keys})"
        ));
        let quoted = |text: &str| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"));
        for (n, value) in values.iter().enumerate() {
            let value = value.strip_prefix('=').map_or_else(|| quoted(value), str::to_owned);
            source.sql(format!("INSERT INTO my_db1.table1 VALUES ({n},'v{n}',{value})"));
        }
        let mut written_otherwise = 0;
        for row in &source.rows("SELECT id, v, CAST(j AS CHAR) FROM my_db1.table1") {
            let (id, text) = (row.text(0).unwrap(), row.str(2).unwrap());
            let value = text.as_deref().map_or_else(|| "NULL".into(), quoted);
            target.sql(format!("INSERT INTO {TARGET} VALUES ({id},'{}',{value})", row.text(1).unwrap()));
            let there = target.rows(format!("SELECT CAST(j AS CHAR) FROM {TARGET} WHERE id={id}"));
            written_otherwise += usize::from(there.first().unwrap().str(0).unwrap() != text);
        }
        Some(World { source, target, written_otherwise })
    }

    fn set(&self, id: usize, value: &str) {
        self.target.sql(format!("UPDATE {TARGET} SET j={value} WHERE id={id}"));
    }

    /// The rows that are equal, and what is said about the others.
    async fn verify(&self, chunk_rows: u64) -> (u64, Vec<String>) {
        let subtask = subtask(&self.source, &self.target);
        let mut source: Conn = self.source.conn(Account::Admin).await;
        let here = mysql::session::binlog_location(&mut source).await.unwrap().unwrap();
        write_checkpoint(&mut self.target.conn(Account::Admin).await, &subtask, &here).await;
        let verdict = verdict(&[subtask], chunk_rows).await;
        assert_eq!(verdict.remarks, Vec::<String>::new());
        assert_eq!(verdict.differing, verdict.differences.len() as u64);
        (verdict.equal, verdict.differences.iter().map(ToString::to_string).collect())
    }

    /// All rows are equal; with any of these values in a row only that row is not.
    async fn finds(&self, rows: u64, changes: &[(usize, &str)]) {
        assert_eq!(self.verify(50).await, (rows, vec![]));
        for (id, value) in changes {
            let old = format!("(SELECT j FROM merged.old WHERE id={id})");
            self.target.sql(format!("CREATE TABLE merged.old AS SELECT * FROM {TARGET} WHERE id={id}"));
            self.set(*id, value);
            let said = format!("`merged`.`t`: id={id}: other values than in `my_db1`.`table1` of source s1");
            assert_eq!(self.verify(50).await, (rows - 1, vec![said]), "{id}: {value}");
            self.set(*id, &old);
            self.target.sql("DROP TABLE merged.old");
        }
        // What is no JSON is compared as before.
        self.target.sql(format!("UPDATE {TARGET} SET v='V1' WHERE id=1"));
        assert_eq!(self.verify(50).await.0, rows - 1);
        self.target.sql(format!("UPDATE {TARGET} SET v='v1' WHERE id=1"));
        assert_eq!(self.verify(50).await, (rows, vec![]));
    }
}

/// Values of MySQL: what starts with `=` is SQL.
const MYSQL: [&str; 12] = [
    "{\"b\": 1, \"a\": [1, 2.5, null, true, \"x\"], \"aa\": 1e10}",
    "1.0",
    "1e10",
    "=CAST(CAST(2.50 AS DECIMAL(10,4)) AS JSON)",
    "9007199254740993",
    "1e300",
    "\"1\"",
    "1",
    "true",
    "=NULL",
    "null",
    "=JSON_OBJECT('t', CAST('2024-01-02 03:04:05.5' AS DATETIME(1)), 'e', '\u{e9}\u{1f600}\\\"')",
];

async fn mysql(kind: Kind) {
    let Some(world) = World::start(kind, &MYSQL, ", PRIMARY KEY (id)") else { return };
    assert!(world.written_otherwise >= 1, "{}", world.written_otherwise);
    let changes = [
        (0, "JSON_SET(j, '$.a[1]', 2.25)"),
        (0, "JSON_REMOVE(j, '$.a[2]')"),
        (1, "'1.5'"),
        (2, "'10000000001'"),
        (3, "'2.51'"),
        (4, "'9007199254740992'"),
        (4, "'9007199254740993.0'"),
        (6, "'1'"),
        (7, "'true'"),
        (7, "'\"1\"'"),
        (8, "'1'"),
        (9, "'null'"),
        (10, "NULL"),
        (10, "'{}'"),
        (11, "JSON_SET(j, '$.e', 'e')"),
    ];
    world.finds(12, &changes).await;
}

#[tokio::test]
async fn of_mysql_57() {
    mysql(Kind::MySql57).await;
}

#[tokio::test]
async fn of_mysql_80() {
    mysql(Kind::MySql8033).await;
}

#[tokio::test]
async fn of_mariadb() {
    let values = [
        "{\"b\":1,\"a\":[1,2.5,null,true,\"x\"],\"aa\":1e10}",
        " {\n\"a\" : \"\\u00e9\\/\" } ",
        "{\"a\":1,\"b\":{\"x\":1},\"a\":2}",
        "1.0",
        "9007199254740993",
        "18446744073709551615",
        "[]",
        "\"1\"",
        "true",
        "=NULL",
        "-0.0",
    ];
    let Some(world) = World::start(Kind::MariaDb1011, &values, ", PRIMARY KEY (id)") else { return };
    assert!(world.written_otherwise >= 3, "{}", world.written_otherwise);
    let changes = [
        (0, "JSON_SET(j, '$.aa', 10000000001)"),
        (1, "'{\"a\": \"\u{e9}\"}'"),
        (2, "'{\"a\": 1, \"b\": {\"x\": 1}}'"),
        (4, "'9007199254740992'"),
        (5, "'18446744073709551614'"),
        (6, "'{}'"),
        (7, "'1'"),
        (8, "'1'"),
        (9, "'null'"),
        (10, "'1e-300'"),
    ];
    world.finds(11, &changes).await;
    // An integer that the type of the target turns into a double.
    world.source.sql("INSERT INTO my_db1.table1 VALUES (99,'v','123456789012345678901')");
    world.target.sql(format!("INSERT INTO {TARGET} VALUES (99,'v','123456789012345678901')"));
    assert_eq!(world.verify(50).await.1.len(), 1);
}

/// Without a key, and listed in passes: the groups are of the other columns.
#[tokio::test]
async fn in_a_table_without_a_key() {
    let values: Vec<String> = (0..200).map(|n| format!("{{\"n\":{n},\"a\":1.0}}")).collect();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    let Some(world) = World::start(Kind::MariaDb1011, &values, "") else { return };
    for chunk_rows in [3, 50] {
        assert_eq!(world.verify(chunk_rows).await, (200, vec![]));
    }
    world.set(7, "'{\"n\":8,\"a\":1}'");
    world.target.sql(format!("INSERT INTO {TARGET} SELECT * FROM {TARGET} WHERE id=9"));
    world.target.sql(format!("DELETE FROM {TARGET} WHERE id=11"));
    for chunk_rows in [3, 50] {
        let (equal, said) = world.verify(chunk_rows).await;
        assert_eq!((equal, said.len()), (198, 3), "{said:?}");
        let is_said = |words: &str| said.iter().any(|text| text.contains(words));
        assert!(is_said("id=7, v=v7: other values than"), "{said:?}");
        assert!(is_said("id=9, v=v9: 2 times in the target, 1 times in the shards"), "{said:?}");
        assert!(is_said("id=11, v=v11: missing"), "{said:?}");
    }
}

/// MariaDB writes the same double without an exponent.
#[tokio::test]
async fn doubles_of_mariadb() {
    for keys in [", PRIMARY KEY (id)", ""] {
        let Some(world) = World::start(Kind::MariaDb1011, &["1", "2", "3"], keys) else { return };
        world.source.sql("ALTER TABLE my_db1.table1 ADD g double, ADD f float");
        world.target.sql(format!("ALTER TABLE {TARGET} ADD g double, ADD f float"));
        for server in [&world.source, &world.target] {
            let table = if std::ptr::eq(server, &world.source) { "my_db1.table1" } else { TARGET };
            server.sql(format!("UPDATE {table} SET g=3.0225183985765902e-5, f=1.5e-7 WHERE id=0"));
            server.sql(format!("UPDATE {table} SET g=-0.1e0, f=0.1 WHERE id=1"));
        }
        let texts = |server: &Server, table: &str| {
            server.value(format!("SELECT CONCAT(g+0e0) FROM {table} WHERE id=0"))
        };
        assert_ne!(texts(&world.source, "my_db1.table1"), texts(&world.target, TARGET));
        assert_eq!(world.verify(50).await, (3, vec![]));
        world.target.sql(format!("UPDATE {TARGET} SET g=3.0225183985765906e-5 WHERE id=0"));
        let (equal, said) = world.verify(50).await;
        assert_eq!((equal, said.len()), (2, 1), "{said:?}");
        assert!(said[0].contains("id=0") && said[0].contains("other values than"), "{said:?}");
    }
}
