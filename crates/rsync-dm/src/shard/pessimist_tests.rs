use std::collections::{BTreeMap, VecDeque};

use proptest::prelude::*;

use super::*;

const TASK: &str = "t";
const ID: &str = "t-`d`.`m`";

fn info(source: &str, ddl: &str) -> ShardInfo {
    ShardInfo {
        task: TASK.into(),
        source: source.into(),
        schema: "d".into(),
        table: "m".into(),
        ddls: vec![ddl.into()],
        origins: Vec::new(),
    }
}

fn operation(source: &str, ddl: &str, exec: bool) -> ShardOperation {
    ShardOperation { id: ID.into(), task: TASK.into(), source: source.into(), ddls: vec![ddl.into()], exec }
}

fn operate(source: &str, ddl: &str, exec: bool) -> Effect {
    Effect::Operate(operation(source, ddl, exec))
}

fn resolved() -> Effect {
    Effect::Resolved { id: ID.into() }
}

fn one_table() -> Vec<TargetTables> {
    vec![TargetTables { schema: "d".into(), table: "m".into(), count: 2 }]
}

fn with_sources(sources: &[&str]) -> Pessimist {
    let mut p = Pessimist::new();
    for source in sources {
        assert!(p.set_tables(TASK, source, one_table()).is_empty());
    }
    p
}

#[test]
fn the_first_runs_the_statement_and_the_others_pass() {
    let mut p = with_sources(&["a", "b", "c"]);
    assert!(p.propose(&info("b", "x")).is_empty());
    assert!(p.propose(&info("a", "x")).is_empty());
    let view = &p.locks("", &[])[0];
    assert_eq!((view.id.as_str(), view.owner.as_str()), (ID, "b"));
    assert_eq!(
        (view.synced.clone(), view.unsynced.clone()),
        (vec!["a".into(), "b".into()], vec!["c".into()])
    );
    assert_eq!(p.propose(&info("c", "x")), [operate("b", "x", true)]);
    assert_eq!(p.propose(&info("b", "x")), [operate("b", "x", true)], "repeated after a restart");
    assert!(p.propose(&info("a", "x")).is_empty(), "not its turn");
    assert!(p.done(&operation("a", "x", false)).is_empty(), "it was not told to");
    assert_eq!(p.done(&operation("b", "x", true)), [operate("a", "x", false), operate("c", "x", false)]);
    assert!(p.done(&operation("b", "x", true)).is_empty(), "repeated");
    assert_eq!(p.propose(&info("a", "x")), [operate("a", "x", false)]);
    assert!(p.done(&operation("a", "x", false)).is_empty());
    assert_eq!(p.done(&operation("c", "x", false)), [resolved()]);
    assert!(p.locks("", &[]).is_empty() && p.done(&operation("c", "x", false)).is_empty());
}

#[test]
fn one_source_alone_and_one_nobody_knows() {
    let mut p = with_sources(&["a"]);
    assert_eq!(p.propose(&info("a", "x")), [operate("a", "x", true)]);
    assert_eq!(p.done(&operation("a", "x", true)), [resolved()]);
    let mut p = Pessimist::new();
    assert_eq!(p.propose(&info("z", "x")), [operate("z", "x", true)]);
}

#[test]
fn a_member_that_is_ahead_waits_for_the_next_round() {
    let mut p = with_sources(&["a", "b"]);
    p.propose(&info("a", "x"));
    p.propose(&info("b", "x"));
    p.done(&operation("a", "x", true));
    assert!(p.propose(&info("a", "y")).is_empty());
    assert!(p.propose(&info("a", "y")).is_empty());
    assert_eq!(p.done(&operation("b", "x", false)), [resolved()]);
    let view = &p.locks(TASK, &["a".into()])[0];
    assert_eq!((view.ddls.clone(), view.synced.clone()), (vec!["y".to_string()], vec!["a".to_string()]));
    assert_eq!(p.propose(&info("b", "y")), [operate("a", "y", true)]);
}

#[test]
fn other_statements_are_a_conflict_until_an_operator_acts() {
    let mut p = with_sources(&["a", "b"]);
    p.propose(&info("a", "x"));
    let effects = p.propose(&info("b", "y"));
    let [Effect::Conflict { error, source, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!((error.code().code, source.as_str()), (38016, "b"));
    assert!(p.propose(&info("b", "y")).is_empty(), "said once");
    assert_eq!(p.conflicts(TASK, "b").len(), 1);
    assert!(p.conflicts(TASK, "a").is_empty() && p.conflicts("other", "b").is_empty());
    assert_eq!(p.unlock(ID, None).unwrap(), [operate("a", "x", true)]);
    assert!(p.propose(&info("b", "y")).is_empty(), "not before the owner is done");
    assert_eq!(
        p.done(&operation("a", "x", true)),
        [operate("b", "y", false), resolved()],
        "b passes over its own statements"
    );
    assert_eq!(p.propose(&info("b", "y")), [operate("b", "y", false)], "lost on the way: once more");
    assert!(p.done(&operation("b", "y", false)).is_empty());
    assert!(p.conflicts(TASK, "b").is_empty());
    assert!(p.propose(&info("b", "y")).is_empty(), "used up: a new lock");
}

#[test]
fn unlock_and_its_errors() {
    let mut p = with_sources(&["a", "b", "c"]);
    assert_eq!(p.unlock("nothing", None).unwrap_err().code().code, 38019);
    p.propose(&info("a", "x"));
    p.propose(&info("b", "x"));
    assert_eq!(p.unlock(ID, Some("c")).unwrap_err().code().code, 38022);
    assert_eq!(p.unlock(ID, Some("b")).unwrap(), [operate("b", "x", true)]);
    assert_eq!(p.unlock(ID, None).unwrap_err().code().code, 38020);
    assert!(!p.owner_is_done(ID));
    assert_eq!(p.done(&operation("b", "x", true)), [operate("a", "x", false)]);
    assert!(p.owner_is_done(ID));
    assert_eq!(p.done(&operation("a", "x", false)), [resolved()]);
    assert_eq!(p.propose(&info("c", "x")), [operate("c", "x", false)]);
}

#[test]
fn force_release_lets_everybody_pass() {
    let mut p = with_sources(&["a", "b", "c"]);
    p.propose(&info("a", "x"));
    p.propose(&info("b", "x"));
    p.unlock(ID, None).unwrap();
    assert_eq!(p.force_release(ID), [operate("a", "x", false), operate("b", "x", false), resolved()]);
    assert!(p.force_release(ID).is_empty());
    assert_eq!(p.propose(&info("b", "x")), [operate("b", "x", false)], "repeated");
    assert!(p.done(&operation("b", "x", false)).is_empty());
    assert_eq!(p.propose(&info("c", "x")), [operate("c", "x", false)]);
}

#[test]
fn sources_come_and_go() {
    let mut p = with_sources(&["a", "b"]);
    p.propose(&info("a", "x"));
    assert!(p.set_tables(TASK, "c", one_table()).is_empty());
    assert_eq!(p.locks("", &[])[0].unsynced, ["b", "c"]);
    assert!(p.set_tables(TASK, "c", Vec::new()).is_empty());
    assert_eq!(p.set_tables(TASK, "b", Vec::new()), [operate("a", "x", true)], "nobody else has the table");
    let mut p = with_sources(&["a", "b", "c"]);
    p.propose(&info("a", "x"));
    p.propose(&info("b", "x"));
    assert!(p.remove(TASK, &["a".into()]).is_empty(), "c is missing");
    assert_eq!(p.locks("", &[])[0].owner, "b");
    assert_eq!(p.propose(&info("c", "x")), [operate("b", "x", true)]);
    assert_eq!(p.remove(TASK, &["b".into()]), [operate("c", "x", true)]);
    assert_eq!(p.remove(TASK, &[]), [resolved()]);
    assert_eq!(p.locks("", &[]), []);
}

#[test]
fn the_state_survives_its_store() {
    let mut p = with_sources(&["a", "b"]);
    p.propose(&info("a", "x"));
    let json = p.to_json();
    assert_eq!(Pessimist::from_json(&json).unwrap(), p);
    let newer = json.replacen("\"version\":1", "\"version\":9", 1);
    assert!(Pessimist::from_json(&newer).unwrap_err().contains("version 9"));
    assert!(Pessimist::from_json("{}").is_err() && Pessimist::from_json("").is_err());
}

/// A source that works through its statements, may be killed at any point and then repeats what it has not made durable.
#[derive(Debug, Default)]
struct Source {
    next: usize,
    proposed: bool,
    operation: Option<ShardOperation>,
    /// Carried out and durable, `done` not yet acknowledged.
    unacknowledged: Option<ShardOperation>,
}

proptest! {
    /// Sources with the same list of statements, in any order of steps, restarts and lost messages: each statement is run
    /// once by one source (again only by the same one after its restart), after all have reached it, and all get to the end.
    #[test]
    fn every_statement_is_run_once_after_all_have_come(
        sources in 1usize..5,
        statements in 1usize..5,
        steps in prop::collection::vec((0usize..5, 0u8..5), 0..200),
    ) {
        let names: Vec<String> = (0..sources).map(|i| format!("s{i}")).collect();
        let mut p = with_sources(&names.iter().map(String::as_str).collect::<Vec<_>>());
        let mut state: BTreeMap<String, Source> = names.iter().map(|n| (n.clone(), Source::default())).collect();
        let mut ran: Vec<Option<String>> = vec![None; statements];
        let mut schedule: VecDeque<(usize, u8)> = steps.into();
        // After the random part everyone works without accidents until nothing moves.
        for _ in 0..statements * 8 {
            schedule.extend((0..sources).flat_map(|s| [(s, 0), (s, 1), (s, 2)]));
        }
        while let Some((who, what)) = schedule.pop_front() {
            let name = names[who % sources].clone();
            let mut effects = Vec::new();
            let me = state.get_mut(&name).unwrap();
            match what {
                0 if me.next < statements && me.operation.is_none() && me.unacknowledged.is_none() => {
                    me.proposed = true;
                    effects = p.propose(&info(&name, &format!("ddl {}", me.next)));
                }
                1 => {
                    if let Some(operation) = me.operation.take() {
                        let at = me.next;
                        prop_assert_eq!(&operation.ddls, &vec![format!("ddl {at}")]);
                        if operation.exec {
                            prop_assert!(ran[at].as_ref().is_none_or(|by| *by == name));
                            ran[at] = Some(name.clone());
                        } else {
                            prop_assert!(ran[at].is_some(), "passed over before the owner ran it");
                        }
                        me.next += 1;
                        me.proposed = false;
                        me.unacknowledged = Some(operation);
                        prop_assert!(state.values().all(|s| s.next > at || s.next == at && s.proposed));
                    }
                }
                2 => {
                    if let Some(operation) = me.unacknowledged.take() {
                        effects = p.done(&operation);
                    }
                }
                // Killed: what is not durable is forgotten, an unacknowledged `done` is repeated.
                3 => {
                    me.operation = None;
                    p = Pessimist::from_json(&p.to_json()).unwrap();
                }
                // The answer to `done` is lost.
                _ => {
                    if let Some(operation) = me.unacknowledged.clone() {
                        effects = p.done(&operation);
                    }
                }
            }
            for effect in effects {
                match effect {
                    Effect::Operate(o) => {
                        let target = state.get_mut(&o.source).unwrap();
                        if target.proposed && target.unacknowledged.is_none() {
                            target.operation = Some(o);
                        }
                    }
                    Effect::Conflict { .. } => prop_assert!(false, "{:?}", effect),
                    Effect::Resolved { .. } => {}
                }
            }
        }
        prop_assert!(ran.iter().all(Option::is_some));
        prop_assert!(state.values().all(|s| s.next == statements), "{:?} {:?}", state, p);
        prop_assert!(p.locks("", &[]).is_empty());
    }
}

/// As a source does that an operator lets pass over what it has proposed.
#[test]
fn a_source_takes_back_what_it_has_proposed() {
    let back = || [one_table(), vec![TargetTables { count: 0, ..one_table().remove(0) }]].concat();
    let mut p = with_sources(&["a", "b"]);
    p.propose(&info("a", "x"));
    assert_eq!(p.propose(&info("b", "x")), [operate("a", "x", true)]);
    assert_eq!(p.set_tables(TASK, "a", back()), [operate("b", "x", true)], "it is the owner now");
    assert!(p.done(&operation("a", "x", true)).is_empty());
    assert_eq!(p.done(&operation("b", "x", true)), [resolved()]);
    // A permit of before does not make it pass over the same statement of later.
    p.propose(&info("b", "y"));
    p.unlock(ID, None).unwrap();
    p.done(&operation("b", "y", true));
    p.set_tables(TASK, "a", back());
    assert!(p.propose(&info("a", "y")).is_empty());
    // The lock still waits for it when it was not the only one that was ready.
    assert_eq!(p.propose(&info("b", "y")), [operate("a", "y", true)]);
    let mut p = with_sources(&["a", "b", "c"]);
    p.propose(&info("a", "x"));
    p.propose(&info("b", "x"));
    assert!(p.set_tables(TASK, "a", back()).is_empty());
    let view = &p.locks("", &[])[0];
    assert_eq!((view.owner.as_str(), view.unsynced.len()), ("b", 2));
    assert_eq!(p.set_tables(TASK, "b", back()), [resolved()]);
    // What it has carried out stays so, and its next statement is the next lock's.
    let mut p = with_sources(&["a", "b"]);
    p.propose(&info("a", "x"));
    p.propose(&info("b", "x"));
    p.done(&operation("a", "x", true));
    p.propose(&info("a", "old"));
    assert!(p.set_tables(TASK, "a", back()).is_empty());
    p.propose(&info("a", "new"));
    assert_eq!(p.done(&operation("b", "x", false)), [resolved()]);
    assert_eq!(p.propose(&info("b", "new")), [operate("a", "new", true)]);
    let mut p = with_sources(&["a", "b", "c"]);
    // All its tables are gone.
    p.propose(&info("a", "x"));
    assert_eq!(p.set_tables(TASK, "a", Vec::new()), [resolved()]);
}
