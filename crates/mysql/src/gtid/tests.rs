//! Fixed cases from the servers' manuals, and properties against a model with one number at a time.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const U1: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
const U2: &str = "24da167a-cf4e-11e0-8f1b-0019d0ad4f4b";

fn set(text: &str) -> GtidSet {
    text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
}

#[test]
fn mysql_text_is_brought_in_order() {
    for (text, out) in [
        ("", String::new()),
        (" \n,, ", String::new()),
        ("3E11FA47-71CA-11E1-9E33-C80AA9429562:1", format!("{U1}:1")),
        ("3E11FA4771CA11E19E33C80AA9429562:1", format!("{U1}:1")),
        (&format!("{U1}:7:1-5:6"), format!("{U1}:1-7")),
        (&format!("{U1}:1-3:11:47-49"), format!("{U1}:1-3:11:47-49")),
        (&format!("{U1}:1-5,\n{U2}:1-2,\n"), format!("{U2}:1-2,{U1}:1-5")),
        (&format!("{U1}:1, {U1}:3,{U1} : 2"), format!("{U1}:1-3")),
        // 8.3: tags, several in one piece, intervals after each.
        (&format!("{U1}:1-3:domain_1:1-3:8-52"), format!("{U1}:1-3:domain_1:1-3:8-52")),
        (&format!("{U1}:Domain_1:1:2"), format!("{U1}:domain_1:1-2")),
        (&format!("{U1}:b:1:a:2,{U1}:9"), format!("{U1}:9:a:2:b:1")),
        (&format!("{U1}:{}", u64::MAX / 2 - 1), format!("{U1}:{}", u64::MAX / 2 - 1)),
    ] {
        let parsed = GtidSet::parse(Flavor::MySql, text).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(parsed.to_string(), out, "{text}");
        assert_eq!(GtidSet::parse(Flavor::MySql, &out).unwrap(), parsed);
    }
}

#[test]
fn mysql_text_that_is_wrong_is_named() {
    for text in [
        "x",
        U1,
        &format!("{U1}:"),
        &format!("{U1}:0"),
        &format!("{U1}:5-4"),
        &format!("{U1}:1-"),
        &format!("{U1}:-1"),
        &format!("{U1}:1-2-3"),
        &format!("{U1}:1x"),
        &format!("{U1}:+1"),
        &format!("{U1}:9223372036854775807"),
        &format!("{U1}:99999999999999999999"),
        &format!("{U1}:tag"),
        &format!("{U1}:1:tag"),
        &format!("{U1}:ta-g:1"),
        &format!("{U1}:{}:1", "t".repeat(33)),
        &format!("{}:1", &U1[1..]),
        "3e11fa47_71ca_11e1_9e33_c80aa9429562:1",
        "ç",
    ] {
        let error = GtidSet::parse(Flavor::MySql, text).unwrap_err();
        assert!(matches!(error, GtidError::Malformed { .. }), "{text}");
    }
}

#[test]
fn mariadb_text_and_order() {
    let text = " 1-201-4 ,0-7-29,\n0-8-30,0-7-12";
    let parsed = set(text);
    assert_eq!(parsed.flavor(), Flavor::MariaDb);
    assert_eq!(parsed.to_string(), "0-7-29,0-8-30,1-201-4");
    let maria = parsed.as_mariadb().unwrap();
    let position: Vec<String> = maria.position().iter().map(Gtid::to_string).collect();
    assert_eq!(position, ["0-8-30", "1-201-4"]);
    for bad in ["0-1", "0-1-2-3", "a-b-c", "4294967296-1-1", "0-4294967296-1", "0--1", "0-1-+2", "-"] {
        assert!(GtidSet::parse(Flavor::MariaDb, bad).is_err(), "{bad}");
    }
    assert_eq!(GtidSet::parse(Flavor::MariaDb, "").unwrap(), GtidSet::empty(Flavor::MariaDb));
}

#[test]
fn mariadb_positions_compare_by_domain() {
    let at = set("0-7-29,1-201-4");
    assert!(at.contains(&set("0-9-29")));
    assert!(at.contains(&set("0-7-1,1-1-4")));
    assert!(!at.contains(&set("0-7-30")));
    assert!(!at.contains(&set("2-1-1")));
    let mut rest = set("0-7-30,1-201-4,2-1-1");
    rest.subtract(&at).unwrap();
    assert_eq!(rest.to_string(), "0-7-30,2-1-1");
    let mut moved = at.clone();
    moved.add(&Gtid::MariaDb { domain: 0, server_id: 7, seq: 31 }).unwrap();
    moved.add(&Gtid::MariaDb { domain: 0, server_id: 7, seq: 30 }).unwrap();
    assert_eq!(moved.to_string(), "0-7-31,1-201-4");
    assert!(moved.contains_gtid(&Gtid::MariaDb { domain: 0, server_id: 1, seq: 31 }));
    assert!(!moved.contains_gtid(&Gtid::MariaDb { domain: 3, server_id: 1, seq: 1 }));
}

#[test]
fn families_do_not_mix_but_empty_goes_with_all() {
    let mysql = set(&format!("{U1}:1-5"));
    let maria = set("0-1-1");
    let mut a = mysql.clone();
    assert_eq!(a.union(&maria), Err(GtidError::Mixed));
    assert_eq!(a.subtract(&maria), Err(GtidError::Mixed));
    assert_eq!(a.add(&Gtid::MariaDb { domain: 0, server_id: 1, seq: 1 }), Err(GtidError::Mixed));
    assert_eq!(a, mysql);
    assert!(!mysql.contains(&maria));
    let mut empty = GtidSet::empty(Flavor::MySql);
    assert!(maria.contains(&empty));
    empty.union(&maria).unwrap();
    assert_eq!(empty, maria);
    let mut empty = GtidSet::empty(Flavor::MySql);
    empty.add(&Gtid::MariaDb { domain: 0, server_id: 1, seq: 1 }).unwrap();
    assert_eq!(empty, maria);
}

#[test]
fn what_the_dump_command_carries() {
    let one = set(&format!("{U1}:1-5:7"));
    let mut expected = vec![1, 0, 0, 0, 0, 0, 0, 0];
    expected.extend(U1.parse::<Sid>().unwrap().0);
    for number in [2u64, 1, 6, 7, 8] {
        expected.extend(number.to_le_bytes());
    }
    assert_eq!(one.as_mysql().unwrap().encode(), expected);
    assert_eq!(MySqlGtids::default().encode(), [0; 8]);
    let tagged = set(&format!("{U1}:1:ab:3"));
    let mut expected = vec![0, 2, 0, 0, 0, 0, 0, 1];
    expected.extend(U1.parse::<Sid>().unwrap().0);
    expected.push(0);
    for number in [1u64, 1, 2] {
        expected.extend(number.to_le_bytes());
    }
    expected.extend(U1.parse::<Sid>().unwrap().0);
    expected.extend([4, b'a', b'b']);
    for number in [1u64, 3, 4] {
        expected.extend(number.to_le_bytes());
    }
    assert_eq!(tagged.as_mysql().unwrap().encode(), expected);
}

#[test]
fn single_transactions() {
    let sid: Sid = U1.parse().unwrap();
    let gtid = |tag: &str, gno| Gtid::MySql { sid, tag: tag.into(), gno };
    let mut all = GtidSet::empty(Flavor::MySql);
    for gno in [1, 2, 3, 7, 5, 6, 0, u64::MAX] {
        all.add(&gtid("", gno)).unwrap();
    }
    all.add(&gtid("t", 1)).unwrap();
    assert_eq!(all.to_string(), format!("{U1}:1-3:5-7:t:1"));
    assert!(all.contains_gtid(&gtid("", 7)) && all.contains_gtid(&gtid("t", 1)));
    assert!(!all.contains_gtid(&gtid("", 4)) && !all.contains_gtid(&gtid("t", 2)));
    assert!(!all.contains_gtid(&gtid("", u64::MAX)));
    assert_eq!(gtid("t", 1).to_string(), format!("{U1}:t:1"));
    let mysql = all.as_mysql().unwrap();
    assert_eq!(mysql.count(), 7);
    assert_eq!(mysql.sids().collect::<Vec<_>>(), [sid]);
}

/// (source, tag, number): a set one number at a time.
type Model = BTreeSet<(u8, u8, u64)>;

fn model_set(model: &Model) -> MySqlGtids {
    let mut out = MySqlGtids::default();
    for (sid, tag, gno) in model {
        out.add(Sid([*sid; 16]), ["", "a", "b_1"][usize::from(*tag)], *gno);
    }
    out
}

fn model() -> impl Strategy<Value = Model> {
    prop::collection::btree_set((0..3u8, 0..3u8, 1..24u64), 0..60)
}

proptest! {
    #[test]
    fn sets_act_as_sets(a in model(), b in model()) {
        let (set_a, set_b) = (model_set(&a), model_set(&b));
        let mut union = set_a.clone();
        union.union(&set_b);
        prop_assert_eq!(&union, &model_set(&a.union(&b).copied().collect()));
        let mut rest = set_a.clone();
        rest.subtract(&set_b);
        prop_assert_eq!(&rest, &model_set(&a.difference(&b).copied().collect()));
        prop_assert_eq!(set_a.contains(&set_b), b.is_subset(&a));
        prop_assert!(union.contains(&set_a) && union.contains(&set_b));
        prop_assert_eq!(set_a.count(), a.len() as u64);
        prop_assert_eq!(set_a.is_empty(), a.is_empty());
        // The order of adding does not show.
        let mut backwards = MySqlGtids::default();
        for (sid, tag, gno) in a.iter().rev() {
            backwards.add(Sid([*sid; 16]), ["", "a", "b_1"][usize::from(*tag)], *gno);
        }
        prop_assert_eq!(&backwards, &set_a);
    }

    #[test]
    fn text_comes_back(a in model()) {
        let set = model_set(&a);
        prop_assert_eq!(set.to_string().parse::<MySqlGtids>().unwrap(), set.clone());
        let broken_up = set.to_string().to_uppercase().replace(',', " ,\n ");
        prop_assert_eq!(broken_up.parse::<MySqlGtids>().unwrap(), set);
    }

    #[test]
    fn intervals_are_apart_and_in_order(
        pieces in prop::collection::vec((1..100u64, 0..20u64, any::<bool>()), 0..40),
    ) {
        let mut set = MySqlGtids::default();
        let mut model = BTreeSet::new();
        for (start, length, take_out) in pieces {
            let mut other = MySqlGtids::default();
            other.add_interval(Sid([1; 16]), "", start, start + length);
            if take_out {
                set.subtract(&other);
                model.retain(|n| !(start..start + length).contains(n));
            } else {
                set.union(&other);
                model.extend(start..start + length);
            }
        }
        let intervals: Vec<(u64, u64)> =
            set.intervals().flat_map(|(_, _, list)| list.iter().copied()).collect();
        prop_assert!(intervals.iter().all(|(start, end)| start < end));
        prop_assert!(intervals.windows(2).all(|pair| pair[0].1 < pair[1].0));
        let numbers: BTreeSet<u64> = intervals.iter().flat_map(|(start, end)| *start..*end).collect();
        prop_assert_eq!(numbers, model);
    }

    #[test]
    fn no_text_panics(text in ".{0,60}", digits in "[0-9a-f:,_ -]{0,80}") {
        for text in [text, digits] {
            for flavor in [Flavor::MySql, Flavor::MariaDb] {
                if let Ok(set) = GtidSet::parse(flavor, &text) {
                    prop_assert_eq!(GtidSet::parse(flavor, &set.to_string()).unwrap(), set);
                }
            }
        }
    }

    #[test]
    fn mariadb_positions_are_a_lattice(
        a in prop::collection::vec((0..3u32, 1..4u32, 0..50u64), 0..8),
        b in prop::collection::vec((0..3u32, 1..4u32, 0..50u64), 0..8),
    ) {
        let build = |list: &[(u32, u32, u64)]| {
            let mut set = MariaDbGtids::default();
            for (domain, server, seq) in list {
                set.add(*domain, *server, *seq);
            }
            set
        };
        let (set_a, set_b) = (build(&a), build(&b));
        let mut union = set_a.clone();
        union.union(&set_b);
        prop_assert!(union.contains(&set_a) && union.contains(&set_b));
        prop_assert_eq!(set_a.contains(&union), set_a.contains(&set_b));
        let mut rest = set_a.clone();
        rest.subtract(&set_b);
        prop_assert_eq!(rest.is_empty(), set_b.contains(&set_a));
        prop_assert_eq!(set_a.to_string().parse::<MariaDbGtids>().unwrap(), set_a);
    }
}
