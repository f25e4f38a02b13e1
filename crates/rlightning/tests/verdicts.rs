//! What `rlightning check` says of a value is what servers do with it: every kind of column times many values.

use std::collections::BTreeSet;

use testkit::{Account, Kind, Options, Server};

use crate::support::{Task, rlightning};

const TYPES: [&str; 38] = [
    "tinyint",
    "smallint unsigned",
    "mediumint",
    "int",
    "bigint",
    "bigint unsigned",
    "decimal(5,2)",
    "decimal(5,0) unsigned",
    "decimal(2,2)",
    "float",
    "float(5,2)",
    "double",
    "double unsigned",
    "bit(1)",
    "bit(9)",
    "bit(64)",
    "char(3)",
    "varchar(3)",
    "varchar(3) character set latin1",
    "varchar(3) character set ascii",
    "varchar(3) character set utf8mb3",
    "varchar(3) character set gbk",
    "tinytext",
    "tinytext character set latin1",
    "tinyblob",
    "binary(3)",
    "varbinary(3)",
    "enum('a','b')",
    "enum('a','b') collate utf8mb4_bin",
    "set('a','b')",
    "date",
    "datetime",
    "datetime(3)",
    "timestamp NULL",
    "time",
    "time(3)",
    "year",
    "json",
];

const VALUES: &str = "0 -1 1 2 3 4 127 128 -128 -129 255 256 511 512 32767 32768 65535 65536 8388608 2147483647 2147483648 4294967296 \
     9223372036854775807 9223372036854775808 18446744073709551615 18446744073709551616 99 100 999 1000 99999 99999.4 99999.5 \
     999.99 999.994 999.995 999.999 -999.995 0.99 0.995 1.0 -0.4 -0.5 0.4 1e2 1e3 1e5 1.5e308 1e300 -1e300 3.5e38 -3.5e38 00000000001 \
     '0' '' '_1_' '1_' '1a' '-1' '+1' '1.5' '.5' '1.' '1e2' '1e400' '-0' '--1' '0x1F' '127.5' '999.994' '999.995' '18446744073709551616' \
     'abc' 'abcd' 'abc_' 'abc__d' '____' 'äöü' 'äöüx' '€' '😀' 'ł' '\\'\\'\\'' '\\'\\'\\'\\'' 'NULL' \
     NULL TRUE FALSE DEFAULT 0x41 0xFFFF 0x01FF 0x0200 0x00000001 b'1' b'10' b'111111111' 0x616263 0x61626364 0xC3A4C3B6 \
     '2024-01-31' '2024-02-30' '2024-02-31' '2024-02-32' '2024-13-01' '2024-00-00' '2024-01-00' '0000-00-00' '0000-00-00_00:00:00' '20240131' \
     '20241301' '240131' '2024-1-1' '24-1-1' '2024/01/31' '2024-01-31_10:00' '2024-01-31_10' '2024-01-31_24:00:00' '2024-01-31_23:60:00' \
     '2024-01-31_23:59:59.9999999' '2024-01-31T10:00:00' '2024-01-31_10:00:00x' '2024-01-31x' '2038-01-19_03:14:07' '2038-01-19_03:14:08' \
     '2039-01-01' '1970-01-01_00:00:00' '1970-01-01_00:00:01' '1969-12-31_00:00:00' '1000-01-01' '9999-12-31' '9999-12-31_23:59:59.9999' '10000-01-01' \
     '10:00:00' '838:59:59' '838:59:59.0' '838:59:59.9' '839:00:00' '-838:59:59' '-839:00:00' '1_10:00:00' '34_22:59:59' '35_00:00:00' '10:60:00' '10:59:60' '101010' \
     '-' '.' '+' ':' '12' '99' '100' '1900' '1901' '2155' '2156' '70' 1900 1901 2155 2156 70 20240131 20241301 20240131101010 8385959 8400000 \
     'a' 'b' 'A' 'a_' 'a,b' 'a,c' 'c' 'b,a,b' 'ä' '1,2' '{}' '[1' '[1]' '\"x\"' 'null' 'nul' '{\"a\":1e400}' '[1,]' '_{}_' '{}x' '\"\\\\ud800\"'";

/// Types of which the check knows every value; of the others it leaves forms that no dump has to the server.
const KNOWN: [&str; 8] = [
    "tinyint",
    "mediumint",
    "int",
    "bit(1)",
    "bit(9)",
    "tinytext",
    "tinytext character set latin1",
    "tinyblob",
];

#[test]
fn the_check_says_what_servers_do() {
    let values: Vec<String> = VALUES.split_whitespace().map(|value| value.replace('_', " ")).collect();
    for kind in [Kind::MySql8033, Kind::MySql57, Kind::MySql97, Kind::MariaDb1011] {
        let Some(server) = Server::start_or_skip(kind, Options::default()) else { continue };
        let mut task = Task::new(server.port());
        task.set("mydumper", "no-schema = true");
        server.sql("CREATE DATABASE d");
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let mut conn = runtime.block_on(server.conn(Account::Admin));
        let set = "SET sql_mode='STRICT_TRANS_TABLES,STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES,NO_ENGINE_SUBSTITUTION'";
        runtime.block_on(conn.exec(set)).unwrap();
        runtime.block_on(conn.exec("SET NAMES utf8mb4, time_zone = '+00:00'")).unwrap();
        let mut refused = BTreeSet::new();
        for (number, column) in TYPES.iter().enumerate() {
            let columns: Vec<String> = (0..values.len()).map(|at| format!("v{at} {column}")).collect();
            server.sql(format!("CREATE TABLE d.t{number} ({}) DEFAULT CHARSET=utf8mb4", columns.join(",")));
            let row = values.join(",");
            task.write(&format!("d.t{number}.0.sql"), format!("INSERT INTO `t{number}` VALUES ({row});\n"));
            for (at, value) in values.iter().enumerate() {
                let insert = format!("INSERT INTO d.t{number} (v{at}) VALUES ({value})");
                if runtime.block_on(conn.exec(insert)).is_err() {
                    refused.insert((*column, value.as_str()));
                }
            }
        }
        runtime.block_on(conn.close());
        drop(task.tool());
        let done = rlightning().arg("check").arg("-config").arg(task.dir.join("tidb-lightning.toml")).run();
        let mut said = BTreeSet::new();
        let mut table = 0;
        for line in done.stdout.lines() {
            if let Some(rest) = line.strip_prefix("`d`.`t") {
                table = rest.split('`').next().unwrap().parse().unwrap();
            } else if let Some((_, rest)) = line.split_once("PROBLEM: 1 values of `v") {
                let at: usize = rest.split('`').next().unwrap().parse().unwrap();
                said.insert((TYPES[table], values[at].as_str()));
            }
        }
        let invented: Vec<_> = said.difference(&refused).collect();
        assert!(invented.is_empty(), "{kind:?}: the server takes {invented:?}");
        let unseen: Vec<_> = refused.difference(&said).collect();
        println!("{kind:?}: {} refused, {} of them left to the server", refused.len(), unseen.len());
        let unknown: Vec<_> = unseen.iter().filter(|(column, _)| KNOWN.contains(column)).collect();
        assert!(unknown.is_empty(), "{kind:?}: the server refuses {unknown:?}");
        // Unquoted numbers and hexadecimal literals for dates and the like.
        assert!(unseen.len() * 5 < refused.len(), "{kind:?}: the server refuses {unseen:?}");
    }
}
