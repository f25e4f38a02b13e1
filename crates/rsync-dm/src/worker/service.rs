//! The server of `pb.Worker`.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::manager::Manager;
use crate::{
    config::WorkerConfig,
    proto::pb::{self, worker_server::Worker as Rpc},
};

pub(super) struct Service {
    pub config: WorkerConfig,
    pub manager: Arc<Manager>,
}

fn not_yet<T>(what: &str) -> Result<Response<T>, Status> {
    Err(Status::unimplemented(format!("{what} is not supported yet")))
}

#[tonic::async_trait]
impl Rpc for Service {
    async fn query_status(
        &self,
        request: Request<pb::QueryStatusRequest>,
    ) -> Result<Response<pb::QueryStatusResponse>, Status> {
        Ok(Response::new(self.manager.query_status(&request.get_ref().name)))
    }

    async fn purge_relay(
        &self,
        _: Request<pb::PurgeRelayRequest>,
    ) -> Result<Response<pb::CommonWorkerResponse>, Status> {
        not_yet("a relay log")
    }

    async fn operate_schema(
        &self,
        _: Request<pb::OperateWorkerSchemaRequest>,
    ) -> Result<Response<pb::CommonWorkerResponse>, Status> {
        not_yet("binlog-schema")
    }

    async fn operate_v1_meta(
        &self,
        _: Request<pb::OperateV1MetaRequest>,
    ) -> Result<Response<pb::OperateV1MetaResponse>, Status> {
        not_yet("metadata of DM 1.0")
    }

    async fn handle_error(
        &self,
        request: Request<pb::HandleWorkerErrorRequest>,
    ) -> Result<Response<pb::CommonWorkerResponse>, Status> {
        let handled = self.manager.handle_error(request.get_ref()).await;
        let (result, msg) = match handled {
            Ok(msg) => (true, msg),
            Err(e) => (false, e.to_string()),
        };
        let (source, worker) = (self.manager.source_id(), self.config.name.clone());
        Ok(Response::new(pb::CommonWorkerResponse { result, msg, source, worker }))
    }

    async fn get_worker_cfg(
        &self,
        _: Request<pb::GetWorkerCfgRequest>,
    ) -> Result<Response<pb::GetWorkerCfgResponse>, Status> {
        let mut table = toml::Table::new();
        let c = &self.config;
        for (key, value) in [
            ("name", c.name.clone()),
            ("log-level", c.log.level.clone()),
            ("log-file", c.log.file.as_ref().map(|f| f.display().to_string()).unwrap_or_default()),
            ("join", c.join.join(",")),
            ("worker-addr", c.listen.clone()),
            ("advertise-addr", c.advertise.clone()),
        ] {
            table.insert(key.into(), value.into());
        }
        let ttl = i64::try_from(c.keepalive_ttl.as_secs()).unwrap_or(i64::MAX);
        table.insert("keepalive-ttl".into(), ttl.into());
        Ok(Response::new(pb::GetWorkerCfgResponse { cfg: table.to_string() }))
    }

    async fn check_subtasks_can_update(
        &self,
        _: Request<pb::CheckSubtasksCanUpdateRequest>,
    ) -> Result<Response<pb::CheckSubtasksCanUpdateResponse>, Status> {
        not_yet("updating a task")
    }

    async fn get_worker_validator_status(
        &self,
        _: Request<pb::GetValidationStatusRequest>,
    ) -> Result<Response<pb::GetValidationStatusResponse>, Status> {
        not_yet("a validator")
    }

    async fn get_validator_error(
        &self,
        _: Request<pb::GetValidationErrorRequest>,
    ) -> Result<Response<pb::GetValidationErrorResponse>, Status> {
        not_yet("a validator")
    }

    async fn operate_validator_error(
        &self,
        _: Request<pb::OperateValidationErrorRequest>,
    ) -> Result<Response<pb::OperateValidationErrorResponse>, Status> {
        not_yet("a validator")
    }

    async fn update_validator(
        &self,
        _: Request<pb::UpdateValidationWorkerRequest>,
    ) -> Result<Response<pb::CommonWorkerResponse>, Status> {
        not_yet("a validator")
    }
}
