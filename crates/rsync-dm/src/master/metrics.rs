//! The master's metrics, by DM's names.

use std::sync::LazyLock;

use prometheus::{
    CounterVec, GaugeVec, IntCounter, register_counter_vec, register_gauge_vec, register_int_counter,
};

use super::Master;

/// `dm_master_start_leader_counter`.
pub(super) static START_LEADER: LazyLock<IntCounter> = LazyLock::new(|| {
    register_int_counter!(
        "dm_master_start_leader_counter",
        "number of this dm-master try to start leader components"
    )
    .expect("registered once")
});

/// `dm_master_shard_ddl_error`.
pub(super) static SHARD_DDL_ERROR: LazyLock<CounterVec> = LazyLock::new(|| {
    register_counter_vec!("dm_master_shard_ddl_error", "number of shard ddl lock errors", &["lock"])
        .expect("registered once")
});

static WORKER_STATE: LazyLock<GaugeVec> = LazyLock::new(|| {
    register_gauge_vec!(
        "dm_master_worker_state",
        "state of worker, -1 - unrecognized, 0 - offline, 1 - free, 2 - bound",
        &["worker"]
    )
    .expect("registered once")
});

static DDL_STATE: LazyLock<GaugeVec> = LazyLock::new(|| {
    register_gauge_vec!(
        "dm_master_ddl_state_number",
        "number of pending ddl in different states, Un-synced (waiting all upstream), Synced (all upstream finished, waiting all downstream)",
        &["task", "type"]
    )
    .expect("registered once")
});

/// Brings the gauges up to date.
pub(super) fn refresh(master: &Master) {
    WORKER_STATE.reset();
    for worker in master.worker_infos() {
        let state = match worker.stage.as_str() {
            "offline" => 0.0,
            "free" => 1.0,
            "bound" => 2.0,
            _ => -1.0,
        };
        WORKER_STATE.with_label_values(&[&worker.name]).set(state);
    }
    DDL_STATE.reset();
    for lock in master.lock().locks.show("", &[]) {
        let kind = if lock.unsynced.is_empty() { "Synced" } else { "Un-synced" };
        DDL_STATE.with_label_values(&[lock.task.as_str(), kind]).inc();
    }
}
