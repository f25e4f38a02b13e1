//! SHOW GRANTS as the servers print it.

use super::*;

fn read(version: &str, lines: &[&str]) -> Grants {
    Grants::parse("dm@10.%", &ServerInfo::parse(version, ""), lines.iter().copied())
}

fn lacks(grants: &Grants, needs: &[Need]) -> Vec<String> {
    missing(grants, needs).into_iter().map(|item| item.grant_statement).collect()
}

#[test]
fn old_and_new_forms_of_a_line() {
    for (version, line) in [
        (
            "5.6.24",
            "GRANT SELECT, RELOAD, REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO 'dm'@'10.%' IDENTIFIED BY \
             PASSWORD '*0D3CED9BEC10A777AEC23CCC353A8C08A633045E' WITH GRANT OPTION",
        ),
        ("8.0.33", "GRANT SELECT, RELOAD, REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO `dm`@`10.%`"),
        (
            "10.11.19-MariaDB",
            "GRANT SELECT, RELOAD, REPLICATION SLAVE, BINLOG MONITOR ON *.* TO `dm`@`10.%` IDENTIFIED BY PASSWORD \
             '*0D3CED9BEC10A777AEC23CCC353A8C08A633045E'",
        ),
        (
            "8.0.11-TiDB-v7.5.0",
            "GRANT Select,Reload,Replication Slave,Replication Client ON *.* TO 'dm'@'10.%'",
        ),
    ] {
        let grants = read(version, &[line]);
        let needs = [
            Need::global(Privilege::Select),
            Need::schema(Privilege::Select, "a"),
            Need::table(Privilege::Select, "a", "b"),
            Need::global(Privilege::Reload),
            Need::global(Privilege::ReplicationSlave),
            Need::global(Privilege::BinlogStatus),
        ];
        assert_eq!(lacks(&grants, &needs), Vec::<String>::new(), "{version}");
        assert_eq!(
            lacks(&grants, &[Need::global(Privilege::Process), Need::global(Privilege::Process)]),
            ["GRANT PROCESS ON *.* TO 'dm'@'10.%';"],
            "{version}"
        );
    }
}

#[test]
fn all_privileges_on_each_level() {
    let all = read("5.7.22", &["GRANT ALL PRIVILEGES ON *.* TO 'dm'@'10.%' WITH GRANT OPTION"]);
    assert!(all.allows(&Need::global(Privilege::Super)));
    assert!(all.allows(&Need::table(Privilege::Alter, "a", "b")));
    let one = read(
        "5.7.22",
        &["GRANT USAGE ON *.* TO 'dm'@'10.%'", "GRANT ALL PRIVILEGES ON `d`.* TO 'dm'@'10.%'"],
    );
    assert!(one.allows(&Need::schema(Privilege::LockTables, "d")));
    assert!(one.allows(&Need::table(Privilege::LockTables, "d", "t")));
    assert!(!one.allows(&Need::schema(Privilege::Select, "e")));
    assert!(!one.allows(&Need::global(Privilege::Select)));
    // Rights for the whole server are not among all of a database.
    assert!(!one.allows(&Need { privilege: Privilege::Reload, scope: Scope::Schema("d".into()) }));
    let table = read("5.7.22", &["GRANT ALL PRIVILEGES ON `d`.`t` TO 'dm'@'10.%'"]);
    assert!(table.allows(&Need::table(Privilege::Insert, "d", "t")));
    assert!(!table.allows(&Need::table(Privilege::Insert, "d", "u")));
    assert_eq!(
        lacks(&table, &[Need::table(Privilege::LockTables, "d", "t")]),
        ["GRANT LOCK TABLES ON `d`.* TO 'dm'@'10.%';"]
    );
}

#[test]
fn static_and_dynamic_lines_of_8_0() {
    let grants = read(
        "8.0.33",
        &[
            "GRANT SELECT, INSERT, PROCESS ON *.* TO `dm`@`10.%`",
            "GRANT BACKUP_ADMIN,SESSION_VARIABLES_ADMIN ON *.* TO `dm`@`10.%`",
            "GRANT PROXY ON ``@`` TO `root`@`localhost` WITH GRANT OPTION",
            "GRANT EXECUTE ON FUNCTION `sys`.`f` TO `dm`@`10.%`",
        ],
    );
    assert!(grants.allows(&Need::global(Privilege::BackupAdmin)));
    assert!(grants.allows(&Need::global(Privilege::SessionVariables)));
    assert_eq!(lacks(&grants, &[Need::global(Privilege::Super)]), ["GRANT SUPER ON *.* TO 'dm'@'10.%';"]);
}

#[test]
fn names_differ_between_servers() {
    let needs = [
        Need::global(Privilege::BinlogStatus),
        Need::global(Privilege::ReplicaStatus),
        Need::global(Privilege::ReplicaList),
        Need::global(Privilege::BackupAdmin),
        Need::global(Privilege::SessionVariables),
    ];
    for (version, names) in [
        ("5.6.24", ["REPLICATION CLIENT", "REPLICATION SLAVE", "RELOAD", "SUPER"].as_slice()),
        ("8.0.33", &["REPLICATION CLIENT", "REPLICATION SLAVE", "BACKUP_ADMIN", "SESSION_VARIABLES_ADMIN"]),
        (
            "10.11.19-MariaDB",
            &["BINLOG MONITOR", "SLAVE MONITOR", "REPLICATION MASTER ADMIN", "RELOAD", "BINLOG ADMIN"],
        ),
        ("10.3.1-MariaDB", &["REPLICATION CLIENT", "REPLICATION SLAVE", "RELOAD", "SUPER"]),
    ] {
        let grants = read(version, &["GRANT USAGE ON *.* TO `dm`@`10.%`"]);
        let found: Vec<&str> = missing(&grants, &needs).iter().map(|item| item.privilege).collect();
        assert_eq!(found, names, "{version}");
    }
    let super_only = ["GRANT SUPER ON *.* TO `dm`@`10.%`"];
    let status = Need::global(Privilege::BinlogStatus);
    assert!(read("5.7.22", &super_only).allows(&status));
    assert!(read("10.6.1-MariaDB", &super_only).allows(&status));
    assert!(!read("10.11.19-MariaDB", &super_only).allows(&status));
}

#[test]
fn database_patterns() {
    let grants = read(
        "8.0.33",
        &[
            "GRANT SELECT, INSERT ON `my\\_db%`.* TO `dm`@`10.%`",
            "GRANT SELECT ON `my\\_db1`.* TO `dm`@`10.%`",
            "GRANT SELECT ON `we``ird.'db`.* TO `dm`@`10.%`",
        ],
    );
    assert!(grants.allows(&Need::table(Privilege::Insert, "my_db2", "t")));
    assert!(!grants.allows(&Need::table(Privilege::Insert, "myxdb2", "t")));
    // The closer pattern wins, although the other gives more: so does the server.
    assert!(grants.allows(&Need::table(Privilege::Select, "my_db1", "t")));
    assert!(!grants.allows(&Need::table(Privilege::Insert, "my_db1", "t")));
    assert!(grants.allows(&Need::schema(Privilege::Select, "we`ird.'db")));
    let mut literal = grants;
    literal.literal_schemas = true;
    assert!(!literal.allows(&Need::table(Privilege::Insert, "my_db2", "t")));
    assert!(!literal.allows(&Need::table(Privilege::Select, "MY_DB1", "T")));
    assert!(literal.with_names(None, Some("1")).allows(&Need::table(Privilege::Select, "MY_DB1", "T")));
}

#[test]
fn partial_revokes() {
    let grants = read(
        "8.0.33",
        &[
            "GRANT SELECT, INSERT, PROCESS ON *.* TO `dm`@`10.%`",
            "REVOKE INSERT ON `mysql`.* FROM `dm`@`10.%`",
        ],
    );
    assert!(grants.allows(&Need::schema(Privilege::Select, "mysql")));
    assert!(!grants.allows(&Need::table(Privilege::Insert, "mysql", "user")));
    assert!(grants.allows(&Need::table(Privilege::Insert, "d", "t")));
    assert!(!grants.allows(&Need::global(Privilege::Insert)));
    assert!(grants.allows(&Need::global(Privilege::Process)));
}

#[test]
fn columns_and_roles_alone_are_not_enough() {
    let grants = read(
        "8.0.33",
        &[
            "GRANT USAGE ON *.* TO `dm`@`10.%`",
            "GRANT SELECT (`a`, `b`), INSERT ON `d`.`t` TO `dm`@`10.%`",
            "GRANT `reader`@`%`,`writer`@`%` TO `dm`@`10.%`",
        ],
    );
    assert!(grants.allows(&Need::table(Privilege::Insert, "d", "t")));
    let found = missing(&grants, &[Need::table(Privilege::Select, "d", "t")]);
    assert_eq!(found.len(), 1);
    assert_eq!(
        found[0].to_string(),
        "missing privilege SELECT on `d`.`t`: GRANT SELECT ON `d`.`t` TO 'dm'@'10.%'; (if one of its roles should \
         give it, make that active by default: SET DEFAULT ROLE 'reader'@'%', 'writer'@'%' TO 'dm'@'10.%';)"
    );
    let maria =
        read("10.11.19-MariaDB", &["GRANT `r` TO `dm`@`10.%`", "SET DEFAULT ROLE `r` FOR `dm`@`10.%`"]);
    assert_eq!(maria.roles, ["'r'"]);
}

#[test]
fn one_statement_for_each_object() {
    let grants = read("8.0.33", &["GRANT USAGE ON *.* TO `dm`@`10.%`"]);
    let needs = [
        Need::global(Privilege::Reload),
        Need::schema(Privilege::Select, "d"),
        Need::global(Privilege::Process),
        Need::schema(Privilege::LockTables, "d"),
    ];
    assert_eq!(
        grant_statements(&grants, &missing(&grants, &needs)),
        [
            "GRANT RELOAD, PROCESS ON *.* TO 'dm'@'10.%';",
            "GRANT SELECT, LOCK TABLES ON `d`.* TO 'dm'@'10.%';"
        ]
    );
}

#[test]
fn lines_of_another_form_give_nothing_and_do_not_panic() {
    for line in [
        "",
        "GRANT",
        "GRANT SELECT",
        "GRANT SELECT ON",
        "GRANT SELECT ON *",
        "GRANT SELECT ON *.",
        "GRANT SELECT ON `d",
        "GRANT ( ON *.* TO x",
        "GRANT ) ON *.* TO x",
        "REVOKE",
        "GRANT SELECT ON PROCEDURE d.p TO x",
        "GRANT `r",
        "GRANT `r`@",
    ] {
        let grants = read("8.0.33", &[line]);
        assert!(!grants.allows(&Need::schema(Privilege::Select, "d")), "{line}");
    }
    assert_eq!(quote_account("o'k@%"), "'o\\'k'@'%'");
    assert_eq!(quote_account("a@b@h"), "'a@b'@'h'");
    assert_eq!(quote_account("x"), "'x'");
}
