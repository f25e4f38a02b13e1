use super::*;

fn source(id: &str) -> SourceConfig {
    SourceConfig::parse(&format!("source-id: {id}\nfrom: {{host: h, password: p}}\n"), "t", None).unwrap()
}

fn task(name: &str, sources: &[&str]) -> Arc<TaskConfig> {
    let instances: String = sources.iter().map(|s| format!("- {{source-id: {s}}}\n")).collect();
    let text = format!(
        "name: {name}\ntask-mode: incremental\ntarget-database: {{host: h}}\nmysql-instances:\n{instances}"
    );
    Arc::new(TaskConfig::parse(&text, "t", None).unwrap())
}

fn ids(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|s| (*s).to_owned()).collect()
}

fn with_workers(names: &[&str]) -> Scheduler {
    let mut s = Scheduler::default();
    for name in names {
        s.register(name, &format!("{name}:1")).unwrap();
        s.set_alive(name, true);
    }
    s
}

#[test]
fn sources_go_to_free_workers_and_move_from_dead_ones() {
    let mut s = with_workers(&["w1", "w2"]);
    s.add_source(source("a"), None).unwrap();
    s.add_source(source("b"), None).unwrap();
    assert_eq!((s.worker_of("a"), s.worker_of("b")), (Some("w1"), Some("w2")));
    s.set_alive("w1", false);
    assert_eq!(s.worker_of("a"), Some("w1"), "nobody is free");
    s.register("w3", "w3:1").unwrap();
    s.set_alive("w3", true);
    assert_eq!(s.worker_of("a"), Some("w3"));
    s.set_alive("w1", true);
    assert_eq!(s.worker_of("a"), Some("w3"), "it stays");
    assert_eq!(s.desired("w1"), control::Desired::default());
    s.set_alive("w3", false);
    assert_eq!(s.worker_of("a"), Some("w1"), "the last one first");
}

#[test]
fn names_in_use_are_refused() {
    let mut s = with_workers(&["w1"]);
    s.add_source(source("a"), None).unwrap();
    assert_eq!(s.add_source(source("a"), None).unwrap_err().code().code, 46007);
    assert_eq!(s.add_source(source("b"), Some("w9")).unwrap_err().code().code, 46004);
    assert_eq!(s.add_source(source("b"), Some("w1")).unwrap_err().code().code, 46033);
    assert_eq!(s.register("w1", "other:1").unwrap_err().code().code, 46003);
    assert_eq!(s.transfer("a", "worker9").unwrap_err().code().code, 46004);
    assert_eq!(s.remove_source("x").unwrap_err().code().code, 46008);
    assert_eq!(s.remove_worker("w1").unwrap_err().code().code, 46005);
}

#[test]
fn a_task_is_added_operated_and_removed() {
    let mut s = with_workers(&["w1", "w2"]);
    s.add_source(source("mysql-01"), None).unwrap();
    s.add_source(source("mysql-02"), None).unwrap();
    let t = task("task-test", &["mysql-01", "mysql-02"]);
    s.add_task(&t, &ids(&["mysql-01", "mysql-02"]), 1).unwrap();
    let e = s.add_task(&t, &ids(&["mysql-01", "mysql-02"]), 1).unwrap_err();
    assert_eq!(
        e.to_string(),
        "[code=46014:class=scheduler:scope=internal:level=medium], Message: subtasks with name task-test for sources [mysql-01 mysql-02] already exist, Workaround: Please use `query-status` command to see tasks."
    );
    assert_eq!(s.remove_source("mysql-01").unwrap_err().code().code, 46010);
    let desired = s.desired("w1");
    assert_eq!(desired.source_id, "mysql-01");
    assert_eq!((desired.tasks[0].stage, desired.tasks[0].resume_count), (2, 0));
    assert!(desired.source_yaml.contains("password: p"));
    s.set_expect("task-test", &ids(&["mysql-01"]), Expect::Paused);
    assert_eq!(s.desired("w1").tasks[0].stage, 3);
    assert_eq!(s.select("task-test", &ids(&["x"])).unwrap_err().code().code, 46017);
    assert_eq!(s.select("nosuch", &[]).unwrap_err().code().code, 46018);
    s.remove_task("task-test", &ids(&["mysql-01", "mysql-02"]));
    assert!(s.tasks().is_empty());
}

#[test]
fn the_state_survives() {
    let dir = tempfile::tempdir().unwrap();
    let store = super::super::store::Store::open(dir.path()).unwrap();
    let mut s = with_workers(&["w1"]);
    s.add_source(source("a"), None).unwrap();
    s.add_task(&task("t", &["a"]), &ids(&["a"]), 1).unwrap();
    s.set_expect("t", &ids(&["a"]), Expect::Paused);
    store.apply(&s.take_changes()).unwrap();
    let mut again = Scheduler::load(&store, None).unwrap();
    assert_eq!(again.desired("w1"), s.desired("w1"));
    assert!(!again.workers()[0].alive);
    again.set_alive("w1", true);
    assert!(again.take_changes().is_empty(), "nothing moves");
}

#[test]
fn a_task_needs_known_and_living_places() {
    let mut s = with_workers(&["w1"]);
    s.add_source(source("a"), None).unwrap();
    s.add_source(source("b"), None).unwrap();
    assert_eq!(s.check_new("t", &ids(&["zzz"])).unwrap_err().code().code, 20031);
    assert_eq!(s.check_new("t", &ids(&["a", "b"])).unwrap_err().code().code, 46009);
}
