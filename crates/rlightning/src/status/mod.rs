//! The status server of a run (`lightning.status-addr`): what it does, how far it is, pause and resume (facts/lightning.md 7.4, 7.5).

mod metrics;
mod progress;

use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Path, Query, State as Shared};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, patch, put};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::downstream::Target;
use crate::import::file::FileTask;
use crate::ledger::Ledger;
use crate::progress::Counters;
use crate::server::Queue;

/// The page for a browser.
const PAGE: &str = include_str!("page.html");

/// What the server knows of the run. Written by the run, read by requests.
pub struct Status {
    /// The configuration, secrets masked, as JSON.
    config: String,
    /// In server mode.
    queue: Option<Arc<Queue>>,
    token: CancellationToken,
    paused: watch::Sender<bool>,
    run: Mutex<Run>,
}

#[derive(Default)]
struct Run {
    stage: Stage,
    error: Option<String>,
    counters: Option<Arc<Counters>>,
    loading: Option<Arc<Loading>>,
}

/// How far a run or a table is; the numbers are those of the real tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stage {
    /// Nothing was begun.
    #[default]
    Waiting = 0,
    /// In work.
    Running = 1,
    /// Ended, well or not.
    Done = 2,
}

/// What a request needs to look into the ledger.
pub struct Loading {
    /// The target.
    pub target: Target,
    /// The task.
    pub ledger: Ledger,
    /// Its files.
    pub files: Vec<Arc<FileTask>>,
}

impl Status {
    /// For a run with this configuration; the token stops it.
    pub fn new(config: &str, token: CancellationToken) -> Arc<Self> {
        let (paused, _) = watch::channel(false);
        Arc::new(Self { config: config.to_owned(), queue: None, token, paused, run: Mutex::default() })
    }

    /// For a server with this queue.
    pub fn of_server(queue: Arc<Queue>, token: CancellationToken) -> Arc<Self> {
        let (paused, _) = watch::channel(false);
        Arc::new(Self { config: String::new(), queue: Some(queue), token, paused, run: Mutex::default() })
    }

    /// Another task begins.
    pub fn begun(&self) {
        *self.run() = Run { stage: Stage::Running, ..Run::default() };
    }

    fn run(&self) -> std::sync::MutexGuard<'_, Run> {
        self.run.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The run has files to load.
    pub fn loading(&self, loading: Loading, counters: &Arc<Counters>) {
        let mut run = self.run();
        run.stage = Stage::Running;
        run.counters = Some(Arc::clone(counters));
        run.loading = Some(Arc::new(loading));
    }

    /// The run has ended.
    pub fn ended(&self, error: Option<String>) {
        let mut run = self.run();
        run.stage = Stage::Done;
        run.error = error;
    }

    /// Tells whether the run shall rest.
    pub fn paused(&self) -> watch::Receiver<bool> {
        self.paused.subscribe()
    }

    fn task(&self) -> Option<u64> {
        let run = self.run();
        run.loading.as_ref().filter(|_| run.stage == Stage::Running).map(|loading| loading.ledger.task())
    }
}

/// Where to listen, from `status-addr`: `:8289` is every address of this machine.
pub fn address(text: &str) -> String {
    if text.starts_with(':') { format!("0.0.0.0{text}") } else { text.to_owned() }
}

/// Listens, before anything else is done.
///
/// # Errors
/// The address cannot be had.
pub async fn listen(address: &str) -> std::io::Result<TcpListener> {
    let listener = TcpListener::bind(address).await?;
    info!(address = %listener.local_addr()?, "starting HTTP server");
    Ok(listener)
}

/// Answers requests until the process ends.
pub async fn serve(listener: TcpListener, status: Arc<Status>) {
    if let Err(error) = axum::serve(listener, router(status)).await {
        warn!(%error, "stopped HTTP server");
    }
}

fn router(status: Arc<Status>) -> Router {
    Router::new()
        .route("/", get(|| async { Redirect::to("/web/") }))
        .route("/web/", get(|| async { Html(PAGE) }))
        .route("/metrics", get(metrics))
        .route("/tasks", get(tasks).post(post))
        .route("/tasks/{id}", get(task).delete(cancel))
        .route("/tasks/{id}/{place}", patch(shift))
        .route("/progress/task", get(progress_task))
        .route("/progress/table", get(progress_table))
        .route("/pause", get(paused).put(pause))
        .route("/resume", put(resume))
        .route("/loglevel", get(level).put(set_level).post(set_level))
        .with_state(status)
}

type Known = Shared<Arc<Status>>;

fn refuse(code: StatusCode, text: impl Into<String>) -> Response {
    (code, Json(json!({ "error": text.into() }))).into_response()
}

async fn metrics(Shared(status): Known) -> Response {
    let (stage, counters) = {
        let run = status.run();
        (run.stage, run.counters.clone())
    };
    match metrics::text(stage, counters.as_deref()) {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response(),
        Err(error) => refuse(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

async fn tasks(Shared(status): Known) -> Json<Value> {
    Json(match &status.queue {
        Some(queue) => queue.list(),
        None => json!({ "current": status.task(), "queue": [] }),
    })
}

async fn post(Shared(status): Known, body: String) -> Response {
    let Some(queue) = status.queue.clone() else {
        return refuse(StatusCode::NOT_IMPLEMENTED, "server-mode not enabled");
    };
    // It opens the source's folder or bucket.
    match tokio::task::block_in_place(|| queue.push(&body)) {
        Ok(id) => Json(json!({ "id": id })).into_response(),
        Err(error) => refuse(StatusCode::BAD_REQUEST, error.to_string()),
    }
}

fn not_found() -> Response {
    refuse(StatusCode::NOT_FOUND, "task ID not found")
}

async fn shift(Shared(status): Known, Path((id, place)): Path<(String, String)>) -> Response {
    let Some(queue) = &status.queue else {
        return refuse(StatusCode::NOT_IMPLEMENTED, "server-mode not enabled");
    };
    let to_front = match place.as_str() {
        "front" => true,
        "back" => false,
        other => return refuse(StatusCode::BAD_REQUEST, format!("unknown place {other}: front or back")),
    };
    match id.parse() {
        Ok(id) if queue.shift(id, to_front) => Json(json!({})).into_response(),
        _ => not_found(),
    }
}

async fn task(Shared(status): Known, Path(id): Path<String>) -> Response {
    let shown = match &status.queue {
        Some(queue) => id.parse().ok().and_then(|id| queue.shown(id)),
        None => (status.task().map(|task| task.to_string()) == Some(id)).then(|| status.config.clone()),
    };
    match shown {
        Some(shown) => ([(header::CONTENT_TYPE, "application/json")], shown).into_response(),
        None => not_found(),
    }
}

async fn cancel(Shared(status): Known, Path(id): Path<String>) -> Response {
    if let Some(queue) = &status.queue {
        return match id.parse() {
            Ok(id) if queue.cancel(id) => Json(json!({})).into_response(),
            _ => not_found(),
        };
    }
    if status.task().map(|task| task.to_string()) != Some(id) {
        return not_found();
    }
    info!("the task is cancelled over HTTP");
    status.token.cancel();
    Json(json!({})).into_response()
}

async fn progress_task(Shared(status): Known) -> Json<Value> {
    let run = status.run();
    Json(progress::task(run.stage, run.error.as_deref(), run.counters.as_deref()))
}

#[derive(serde::Deserialize)]
struct TableQuery {
    #[serde(default)]
    t: String,
}

async fn progress_table(Shared(status): Known, Query(query): Query<TableQuery>) -> Response {
    let loading = status.run().loading.clone();
    let files =
        loading.as_ref().map(|loading| progress::files_of(&loading.files, &query.t)).unwrap_or_default();
    let (Some(loading), false) = (loading, files.is_empty()) else {
        let text = format!("table {} not found", query.t);
        return (StatusCode::NOT_FOUND, Json(json!(text))).into_response();
    };
    match progress::table(&loading, &files).await {
        Ok(value) => Json(value).into_response(),
        Err(error) => refuse(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

async fn paused(Shared(status): Known) -> Json<Value> {
    let paused = *status.paused.borrow();
    Json(json!({ "paused": paused }))
}

async fn pause(Shared(status): Known) -> Json<Value> {
    if !status.paused.send_replace(true) {
        info!("progress paused");
    }
    Json(json!({}))
}

async fn resume(Shared(status): Known) -> Json<Value> {
    if status.paused.send_replace(false) {
        info!("progress resumed");
    }
    Json(json!({}))
}

async fn level() -> Json<Value> {
    Json(json!({ "level": common::log::level() }))
}

async fn set_level(body: String) -> Response {
    let wanted: Option<String> = serde_json::from_str::<Value>(&body)
        .ok()
        .and_then(|value| value.get("level")?.as_str().map(str::to_owned));
    let Some(wanted) = wanted else {
        return refuse(StatusCode::BAD_REQUEST, "invalid log level: send {\"level\":\"info\"}");
    };
    match common::log::set_level(&wanted) {
        Ok(()) => Json(json!({})).into_response(),
        Err(error) => refuse(StatusCode::BAD_REQUEST, format!("invalid log level: {error}")),
    }
}
