use std::collections::HashMap;

use binlog::RowsKind;
use common::ident::TableName;
use proptest::prelude::*;

use super::*;
use crate::syncer::place::{Place, Spot};

/// A table without columns: only order and conflicts count here.
fn plan(n: usize) -> Arc<TablePlan> {
    Arc::new(TablePlan {
        source: TableName::new("s", "t"),
        target: TableName::new("d", format!("t{n}")),
        target_sql: format!("`d`.`t{n}`").into_bytes(),
        columns: Vec::new(),
        row_end: None,
        width: 0,
        hints: Vec::new(),
        extracted_values: Vec::new(),
        insert_columns: Vec::new(),
        where_columns: Vec::new(),
        cascades: None,
        befores: Vec::new(),
        unique: true,
        keys: Vec::new(),
        apart: Default::default(),
    })
}

fn change(plan: &Arc<TablePlan>, number: u64) -> Change {
    let place = Place::new("b.000001", number);
    let before = Spot { place: place.clone(), gtid: None };
    let mut rows =
        EventRows::new(Arc::clone(plan), RowsKind::Delete, (1, number, 0), place.clone(), place, before, 1);
    rows.push_bare(0);
    Change { rows: Arc::new(rows), row: 0 }
}

/// What a step of the model does.
#[derive(Debug, Clone)]
enum Step {
    Push { table: usize, op: usize, keys: Vec<u8>, barrier: bool },
    Flush { all: bool },
    Apply { lane: usize },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let push = (0usize..2, 0usize..3, prop::collection::vec(0u8..12, 0..4), 0u8..20)
        .prop_map(|(table, op, keys, b)| Step::Push { table, op, keys, barrier: b == 0 });
    let flush = any::<bool>().prop_map(|all| Step::Flush { all });
    let apply = (0usize..4).prop_map(|lane| Step::Apply { lane });
    prop::collection::vec(prop_oneof![6 => push, 1 => flush, 4 => apply], 0..200)
}

struct Model {
    scheduler: Scheduler,
    /// Closed units by lane, in their order.
    queues: Vec<Vec<Unit>>,
    done: Vec<u64>,
    /// Number of each change with its keys, in the source's order.
    sent: Vec<(u64, Vec<u8>, bool)>,
    /// When each change was applied: changes of one segment at the same time.
    applied: HashMap<u64, u64>,
    clock: u64,
}

impl Model {
    fn take(&mut self) {
        for unit in self.scheduler.take_closed() {
            self.queues[unit.lane].push(unit);
        }
    }

    /// Applies the next unit of a lane if it has not to wait.
    fn apply(&mut self, lane: usize) -> bool {
        let Some(unit) = self.queues[lane].first() else { return false };
        if unit.after.iter().any(|(other, seq)| self.done[*other] < *seq) {
            return false;
        }
        let unit = self.queues[lane].remove(0);
        for segment in &unit.segments {
            self.clock += 1;
            for change in segment.groups.iter().flat_map(|g| &g.changes) {
                self.applied.insert(change.rows.key.1, self.clock);
            }
        }
        self.done[lane] = unit.seq;
        self.scheduler.complete(lane, unit.seq);
        true
    }
}

proptest! {
    /// Whatever the order in which lanes work: conflicting changes are applied in the order of the source, and everything is applied.
    #[test]
    fn conflicting_changes_keep_their_order(lanes in 1usize..5, rows in 1usize..6, steps in steps()) {
        let plans = [plan(0), plan(1)];
        let limits = Limits { rows, most_rows: rows * 3, most_bytes: 1 << 20 };
        let mut model = Model {
            scheduler: Scheduler::new(lanes, limits),
            queues: (0..lanes).map(|_| Vec::new()).collect(),
            done: vec![0; lanes],
            sent: Vec::new(),
            applied: HashMap::new(),
            clock: 0,
        };
        for step in steps {
            match step {
                Step::Push { table, op, keys, barrier } => {
                    let number = model.sent.len() as u64 + 1;
                    let hashes = keys.iter().map(|k| u64::from(*k)).collect();
                    let op = [Op::Insert, Op::Update, Op::Delete][op];
                    let keys_of = RowKeys { hashes, barrier };
                    model.scheduler.push(change(&plans[table], number), op, &keys_of, 10);
                    model.sent.push((number, keys, barrier));
                }
                Step::Flush { all } => model.scheduler.flush(all),
                Step::Apply { lane } => {
                    model.apply(lane % lanes);
                }
            }
            model.take();
        }
        let mark = model.scheduler.mark();
        model.scheduler.flush(true);
        model.take();
        while (0..lanes).any(|lane| model.apply(lane)) {}
        prop_assert_eq!(model.scheduler.bytes(), 0);
        prop_assert!(model.scheduler.is_idle() && model.scheduler.is_reached(&mark));
        prop_assert_eq!(model.applied.len(), model.sent.len(), "no unit waits for ever");
        for (i, (earlier, keys, barrier)) in model.sent.iter().enumerate() {
            for (later, others, fence) in &model.sent[i + 1..] {
                if *barrier || *fence || keys.iter().any(|k| others.contains(k)) {
                    prop_assert!(
                        model.applied[earlier] < model.applied[later],
                        "{} before {}: {:?} {:?}", earlier, later, keys, others
                    );
                }
            }
        }
    }
}

#[test]
fn free_changes_fill_one_unit_and_then_the_next_lane() {
    let plan = plan(0);
    let mut scheduler = Scheduler::new(2, Limits { rows: 2, most_rows: 4, most_bytes: 1 << 20 });
    for n in 0..4 {
        let keys = RowKeys { hashes: vec![n], barrier: false };
        scheduler.push(change(&plan, n + 1), Op::Insert, &keys, 1);
    }
    let closed = scheduler.take_closed();
    assert_eq!(closed.iter().map(|u| (u.lane, u.rows)).collect::<Vec<_>>(), [(1, 2), (0, 2)]);
    assert_eq!(closed[0].segments.len(), 1);
    assert_eq!(closed[0].segments[0].groups.len(), 1, "one statement");
}
