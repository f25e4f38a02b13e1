//! Shards that lack columns of the target: their rows have the target's default there, and that is compared.

use testkit::Kind;

use super::{SID, TARGET, World, subtask_with};

/// Columns by the shard that has them, with the value of a row there.
const OF_TABLE1: [(&str, &str); 6] = [
    ("p1 int DEFAULT 5", "id MOD 9"),
    ("p3 double DEFAULT 0.1", "id/7"),
    ("p4 bit(3) DEFAULT b'101'", "id MOD 8"),
    ("p6 datetime(3) NULL DEFAULT '2020-01-02 03:04:05.5'", "'2021-01-01 00:00:00.25'"),
    ("p7 binary(4) DEFAULT 'a'", "'bc'"),
    ("p9 varchar(9)", "'x'"),
];
const OF_TABLE2: [(&str, &str); 4] = [
    ("p2 varchar(20) CHARACTER SET latin1 NOT NULL DEFAULT 'é,x'", "CONCAT('é', id)"),
    ("p5 enum('a','b','ü') DEFAULT 'ü'", "'b'"),
    ("p8 decimal(10,3) DEFAULT 1.5", "-id"),
    ("p10 timestamp NOT NULL DEFAULT '2020-01-01 00:00:00'", "'2022-02-02 00:00:00'"),
];

fn name(column: &str) -> &str {
    column.split(' ').next().unwrap()
}

/// Each shard has its own columns, the target has them all.
async fn world(kind: Kind, keys: &str) -> Option<World> {
    let mut world = World::start_on(kind, keys, "utf8mb4").await?;
    let mut sql = Vec::new();
    for (table, columns) in [("table1", &OF_TABLE1[..]), ("table2", &OF_TABLE2[..])] {
        for (column, value) in columns {
            let name = name(column);
            let place = if table == "table2" { " FIRST" } else { "" };
            sql.push(format!("ALTER TABLE {TARGET} ADD {column}"));
            sql.push(format!("ALTER TABLE my_db1.{table} ADD {column}{place}"));
            sql.push(format!("UPDATE my_db1.{table} SET {name}={value}"));
            sql.push(format!(
                "UPDATE {TARGET} t JOIN my_db1.{table} s ON t.sid=s.sid SET t.{name}=s.{name}, t.at=s.at"
            ));
        }
    }
    for sql in sql {
        world.admin.exec(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    world.checkpoint_passes().await;
    Some(world)
}

async fn said(world: &World) -> Vec<String> {
    let verdict = world.verify().await;
    assert_eq!((verdict.remarks.len(), verdict.failed.len()), (0, 0), "{:?}", verdict.remarks);
    verdict.differences.iter().map(ToString::to_string).collect()
}

async fn sid_of_table2(world: &mut World) -> String {
    let row = world.admin.query_one("SELECT MIN(sid) FROM my_db1.table2").await.unwrap().unwrap();
    row.text(0).unwrap()
}

async fn damage_is_found(kind: Kind) {
    let Some(mut world) = world(kind, ", UNIQUE KEY (sid), KEY (id)").await else { return };
    assert_eq!(world.verify().await.equal, 600);
    assert_eq!(said(&world).await, Vec::<String>::new());
    let other = sid_of_table2(&mut world).await;
    let all = OF_TABLE1.iter().chain(&OF_TABLE2);
    let others = [
        ("p1", "6"),
        ("p2", "'é,y'"),
        ("p3", "0.10000000000000002"),
        ("p4", "4"),
        ("p5", "'a'"),
        ("p6", "'2020-01-02 03:04:05.501'"),
        ("p7", "'a '"),
        ("p8", "1.501"),
        ("p9", "''"),
        ("p10", "'2020-01-01 00:00:01'"),
        ("comment", "CONCAT(IFNULL(comment,''),' ')"),
    ];
    assert_eq!(others.len(), all.count() + 1);
    for (sid, table) in [(SID, "table1"), (other.as_str(), "table2")] {
        world.admin.exec(format!("CREATE TABLE merged.kept LIKE {TARGET}")).await.unwrap();
        world.change(&format!("INSERT INTO merged.kept SELECT * FROM {TARGET} WHERE sid={sid}")).await;
        let back = format!("INSERT INTO {TARGET} SELECT * FROM merged.kept");
        let remove = format!("DELETE FROM {TARGET} WHERE sid={sid}");
        // Removed.
        world.change(&remove).await;
        let says = format!(
            "`merged`.`t`: sid={sid}: missing in the target, there in `my_db1`.`{table}` of source s1"
        );
        assert_eq!(said(&world).await, [says]);
        world.change(&back).await;
        // Other values, those that the shard lacks too.
        for (column, value) in others {
            world.change(&format!("UPDATE {TARGET} SET {column}={value} WHERE sid={sid}")).await;
            let says =
                format!("`merged`.`t`: sid={sid}: other values than in `my_db1`.`{table}` of source s1");
            assert_eq!(said(&world).await, [says], "{column}");
            world.change(&remove).await;
            world.change(&back).await;
        }
        // Added.
        world.change(&format!("INSERT INTO {TARGET} (id,sid,pid) VALUES (7,5,1)")).await;
        assert_eq!(said(&world).await, ["`merged`.`t`: sid=5: only in the target"]);
        world.change(&format!("DELETE FROM {TARGET} WHERE sid=5")).await;
        world.admin.exec("DROP TABLE merged.kept").await.unwrap();
    }
    assert_eq!(said(&world).await, Vec::<String>::new());
    // Doubled.
    world.admin.exec(format!("ALTER TABLE {TARGET} DROP KEY sid")).await.unwrap();
    world.checkpoint_passes().await;
    for sid in [SID, &other] {
        world.change(&format!("INSERT INTO {TARGET} SELECT * FROM {TARGET} WHERE sid={sid}")).await;
        let said = said(&world).await;
        assert!(
            said.len() == 1 && said[0].ends_with("2 times in the target, 1 times in the shards"),
            "{said:?}"
        );
        world.change(&format!("DELETE FROM {TARGET} WHERE sid={sid} LIMIT 1")).await;
    }
    assert_eq!(world.verify().await.equal, 600);
}

#[tokio::test]
async fn damage_is_found_on_mysql_80() {
    damage_is_found(Kind::MySql8033).await;
}

#[tokio::test]
async fn damage_is_found_on_mysql_57() {
    damage_is_found(Kind::MySql57).await;
}

#[tokio::test]
async fn damage_is_found_on_mariadb() {
    damage_is_found(Kind::MariaDb1011).await;
}

/// What has no constant default is left out, with a remark; the rest is compared.
#[tokio::test]
async fn what_has_no_constant_is_left_out_and_said() {
    let mut world = World::start(", UNIQUE KEY (sid)", "utf8mb4").await;
    for sql in [
        "ALTER TABLE my_db1.table1 ADD a datetime DEFAULT CURRENT_TIMESTAMP, ADD b int DEFAULT 3, ADD c int NOT NULL, ADD d bigint",
        "ALTER TABLE merged.t ADD a datetime DEFAULT CURRENT_TIMESTAMP, ADD b int DEFAULT (6*7), ADD c int NOT NULL, \
         ADD d bigint AS (sid + 1), ADD e int",
        "ALTER TABLE merged.t ALTER c DROP DEFAULT",
    ] {
        world.admin.exec(sql).await.unwrap();
    }
    world.checkpoint_passes().await;
    let verdict = world.verify().await;
    assert!(verdict.is_equal() && verdict.equal == 600, "{verdict:?}");
    let not = |column: &str, why: &str| {
        format!(
            "`merged`.`t`: column `{column}` is not compared: `my_db1`.`table2` of source s1 has no such column, and in the target {why}"
        )
    };
    assert_eq!(
        verdict.remarks,
        [
            "`merged`.`t`: only the target has e: not compared".to_owned(),
            not("a", "its default is computed (CURRENT_TIMESTAMP)"),
            not("b", "its default is computed ((6 * 7))"),
            not("c", "it has no default"),
            not("d", "it is computed"),
        ]
    );
    world.change(&format!("UPDATE {TARGET} SET pid=pid+1 WHERE sid={SID}")).await;
    assert_eq!(world.verify().await.differing, 1);
}

/// A table of which the target lacks a column is an error, the others are compared.
#[tokio::test]
async fn a_column_that_the_target_lacks_fails_its_table_alone() {
    let mut world = World::start("", "utf8mb4").await;
    // `table2` goes to itself, `table1` to the merged table.
    world.subtasks = vec![subtask_with(&world.server, &world.server, "table1")];
    world.admin.exec("ALTER TABLE my_db1.table1 ADD q int").await.unwrap();
    world.checkpoint_passes().await;
    let verdict = world.verify().await;
    assert!(!verdict.is_equal());
    assert_eq!((verdict.equal, verdict.differing, verdict.failed.len()), (300, 0, 1));
    let said = verdict.failed[0].to_string();
    let expected =
        "`my_db1`.`table1` of source s1 has a column `q`, which the target table `merged`.`t` does not have";
    assert!(said.contains(expected) && said.contains("36027"), "{said}");
    world.admin.exec("DROP TABLE merged.t").await.unwrap();
    world.checkpoint_passes().await;
    let verdict = world.verify().await;
    assert_eq!((verdict.equal, verdict.failed.len()), (300, 1));
    assert!(verdict.failed[0].to_string().contains("the target table `merged`.`t` does not exist"));
}
