//! `operate-source` and `transfer-source`.

use common::error::{DmError, dm_codes as code};
use mysql::{Conn, ErrorClass, Flavor, session};
use tracing::{info, warn};

use super::Master;
use crate::{
    config::{Database, SourceConfig},
    proto::pb,
};

impl Master {
    pub(super) async fn operate_source(
        &self,
        request: pb::OperateSourceRequest,
    ) -> pb::OperateSourceResponse {
        let result = match request.op() {
            pb::SourceOp::StartSource => self.create_sources(&request).await,
            pb::SourceOp::StopSource => self.stop_sources(&request),
            pb::SourceOp::ShowSource => self.show_sources(&request),
            pb::SourceOp::UpdateSource => Err(code::SCHEDULER_SOURCE_CFG_UPDATE
                .error("updating a source is not supported")
                .with_workaround("Stop its tasks and the source, and create it again.")),
            pb::SourceOp::InvalidSourceOp => {
                Err(code::SCHEDULER_SOURCE_CFG_NOT_EXIST.error("invalid operation on source"))
            }
        };
        match result {
            Ok(sources) => pb::OperateSourceResponse { result: true, msg: String::new(), sources },
            Err(e) => pb::OperateSourceResponse { result: false, msg: e.to_string(), sources: Vec::new() },
        }
    }

    async fn create_sources(
        &self,
        request: &pb::OperateSourceRequest,
    ) -> Result<Vec<pb::CommonWorkerResponse>, DmError> {
        let key = self.config.key.as_ref();
        let mut configs = Vec::new();
        for (i, text) in request.config.iter().enumerate() {
            let origin = format!("source file {}", i + 1);
            let config = SourceConfig::parse(text, &origin, key)?;
            let twice = configs.iter().any(|c: &SourceConfig| c.source_id == config.source_id);
            if twice || self.lock().scheduler.has_source(&config.source_id) {
                return Err(code::SCHEDULER_SOURCE_CFG_EXIST
                    .error(format!("source config with ID {} already exists", config.source_id)));
            }
            configs.push(config);
        }
        for config in &mut configs {
            settle(config).await?;
        }
        let worker = (!request.worker_name.is_empty()).then_some(request.worker_name.as_str());
        if worker.is_some() && configs.len() > 1 {
            return Err(code::SCHEDULER_WRONG_WORKER_INPUT.error("a worker can be named for one source only"));
        }
        let mut out = Vec::new();
        for config in configs {
            let id = config.source_id.clone();
            let address = config.from.to_string();
            self.change(|scheduler, _, _| scheduler.add_source(config, worker))?;
            info!(source = %id, address = %address, "a source is created");
            let bound = self.lock().scheduler.worker_of(&id).map(str::to_owned);
            out.push(pb::CommonWorkerResponse {
                result: true,
                msg: match bound {
                    Some(_) => String::new(),
                    None => "source is added but there is no free worker to bound".into(),
                },
                source: id,
                worker: bound.unwrap_or_default(),
            });
        }
        Ok(out)
    }

    /// Ids come as such or inside of source files.
    fn ids(&self, request: &pb::OperateSourceRequest) -> Result<Vec<String>, DmError> {
        let mut ids = request.source_id.clone();
        for (i, text) in request.config.iter().enumerate() {
            let origin = format!("source file {}", i + 1);
            ids.push(SourceConfig::parse(text, &origin, self.config.key.as_ref())?.source_id);
        }
        Ok(ids)
    }

    fn stop_sources(
        &self,
        request: &pb::OperateSourceRequest,
    ) -> Result<Vec<pb::CommonWorkerResponse>, DmError> {
        let ids = self.ids(request)?;
        let workers = self.change(|scheduler, _, _| {
            let mut workers = Vec::new();
            for id in &ids {
                let worker = scheduler.worker_of(id).unwrap_or_default().to_owned();
                scheduler.remove_source(id)?;
                workers.push((id.clone(), worker));
            }
            Ok(workers)
        })?;
        Ok(workers.into_iter().map(|(source, worker)| done(source, worker)).collect())
    }

    fn show_sources(
        &self,
        request: &pb::OperateSourceRequest,
    ) -> Result<Vec<pb::CommonWorkerResponse>, DmError> {
        let ids = self.ids(request)?;
        let inner = self.lock();
        let ids = if ids.is_empty() { inner.scheduler.source_ids() } else { ids };
        Ok(ids
            .into_iter()
            .map(|id| {
                let worker = inner.scheduler.worker_of(&id).unwrap_or_default().to_owned();
                let known = inner.scheduler.has_source(&id);
                pb::CommonWorkerResponse {
                    result: known,
                    msg: if known { String::new() } else { format!("source config with ID {id} not exists") },
                    source: id,
                    worker,
                }
            })
            .collect())
    }

    pub(super) fn transfer_source(&self, request: &pb::TransferSourceRequest) -> pb::TransferSourceResponse {
        match self.change(|scheduler, _, _| scheduler.transfer(&request.source, &request.worker)) {
            Ok(()) => pb::TransferSourceResponse { result: true, msg: String::new() },
            Err(e) => pb::TransferSourceResponse { result: false, msg: e.to_string() },
        }
    }
}

fn done(source: String, worker: String) -> pb::CommonWorkerResponse {
    pb::CommonWorkerResponse { result: true, msg: String::new(), source, worker }
}

/// Asks the source who it is: flavor, GTID mode, and an id for us that none of its replicas has.
async fn settle(config: &mut SourceConfig) -> Result<(), DmError> {
    let mut conn = connect(&config.from, "source").await?;
    let found = conn.server().flavor;
    if found == Flavor::TiDb {
        return Err(code::NOT_SUPPORTED_FLAVOR.error(format!("source {} is a TiDB", config.source_id)));
    }
    if config.flavor.is_some_and(|flavor| flavor != found) {
        return Err(code::NOT_SUPPORTED_FLAVOR.error(format!(
            "flavor is {}, the server at {} is {}",
            config.yaml().flavor,
            config.from,
            found.name()
        )));
    }
    if config.enable_gtid && found == Flavor::MySql {
        let mode = session::variable(&mut conn, "gtid_mode").await.map_err(|e| query_failed(&e))?;
        let mode = mode.unwrap_or_else(|| "OFF".into());
        if !mode.eq_ignore_ascii_case("ON") {
            return Err(code::SOURCE_CHECK_GTID.error(format!(
                "source {} has gtid_mode {mode}, and `enable-gtid` needs ON",
                config.source_id
            )));
        }
    }
    let taken = match session::replica_server_ids(&mut conn).await {
        Ok(ids) => ids,
        Err(e) => {
            // The privilege may be missing; `check-task` says so. The id is random enough.
            warn!(source = %config.source_id, error = %e, "cannot see the ids of the source's replicas");
            Vec::new()
        }
    };
    let own = session::server_id(&mut conn).await.map_err(|e| query_failed(&e))?;
    let id = match config.server_id {
        0 => crate::config::random_server_id(|id| id == own || taken.contains(&id)),
        id if id == own => {
            return Err(code::CONFIG_YAML_TRANSFORM
                .error(format!("server-id {id} is the id of the source itself"))
                .with_workaround("Leave `server-id` out: one is chosen."));
        }
        id => id,
    };
    config.settle(found, id);
    conn.close().await;
    Ok(())
}

/// Connects, with DM's codes for what can go wrong.
pub(super) async fn connect(database: &Database, what: &str) -> Result<Conn, DmError> {
    Conn::connect(&database.endpoint()).await.map_err(|e| {
        let row = match e.class() {
            ErrorClass::AccessDenied => &code::DB_DRIVER_ERROR,
            _ => &code::TASK_CHECK_FAILED_OPEN_DB,
        };
        row.wrap(format!("cannot connect to the {what} database {database} as user {}", database.user), &e)
    })
}

pub(super) fn query_failed(e: &mysql::Error) -> DmError {
    code::DB_QUERY_FAILED.wrap("", e)
}
