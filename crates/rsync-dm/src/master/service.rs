//! The server of `pb.Master`: each call goes to the module of its command.

use std::{collections::HashMap, sync::Arc};

use tonic::{Request, Response, Status};
use tracing::warn;

use super::Master;
use crate::proto::pb::{self, master_server::Master as Rpc};

pub(super) struct Service(pub Arc<Master>);

fn not_yet<T>(what: &str) -> Result<Response<T>, Status> {
    Err(Status::unimplemented(format!("{what} is not supported yet")))
}

#[tonic::async_trait]
impl Rpc for Service {
    async fn start_task(
        &self,
        request: Request<pb::StartTaskRequest>,
    ) -> Result<Response<pb::StartTaskResponse>, Status> {
        Ok(Response::new(self.0.start_task(request.into_inner()).await))
    }

    async fn operate_task(
        &self,
        request: Request<pb::OperateTaskRequest>,
    ) -> Result<Response<pb::OperateTaskResponse>, Status> {
        Ok(Response::new(self.0.operate_task(request.into_inner()).await))
    }

    async fn update_task(
        &self,
        _: Request<pb::UpdateTaskRequest>,
    ) -> Result<Response<pb::UpdateTaskResponse>, Status> {
        not_yet("updating a task")
    }

    async fn query_status(
        &self,
        request: Request<pb::QueryStatusListRequest>,
    ) -> Result<Response<pb::QueryStatusListResponse>, Status> {
        Ok(Response::new(self.0.query_status(request.into_inner()).await))
    }

    async fn show_ddl_locks(
        &self,
        request: Request<pb::ShowDdlLocksRequest>,
    ) -> Result<Response<pb::ShowDdlLocksResponse>, Status> {
        Ok(Response::new(self.0.show_locks(request.get_ref())))
    }

    async fn unlock_ddl_lock(
        &self,
        request: Request<pb::UnlockDdlLockRequest>,
    ) -> Result<Response<pb::UnlockDdlLockResponse>, Status> {
        Ok(Response::new(self.0.unlock(request.into_inner()).await))
    }

    async fn operate_worker_relay_task(
        &self,
        _: Request<pb::OperateWorkerRelayRequest>,
    ) -> Result<Response<pb::OperateWorkerRelayResponse>, Status> {
        not_yet("a relay log")
    }

    async fn purge_worker_relay(
        &self,
        _: Request<pb::PurgeWorkerRelayRequest>,
    ) -> Result<Response<pb::PurgeWorkerRelayResponse>, Status> {
        not_yet("a relay log")
    }

    async fn check_task(
        &self,
        request: Request<pb::CheckTaskRequest>,
    ) -> Result<Response<pb::CheckTaskResponse>, Status> {
        Ok(Response::new(self.0.check_task(request.into_inner()).await))
    }

    async fn operate_source(
        &self,
        request: Request<pb::OperateSourceRequest>,
    ) -> Result<Response<pb::OperateSourceResponse>, Status> {
        Ok(Response::new(self.0.operate_source(request.into_inner()).await))
    }

    async fn register_worker(
        &self,
        request: Request<pb::RegisterWorkerRequest>,
    ) -> Result<Response<pb::RegisterWorkerResponse>, Status> {
        let request = request.into_inner();
        let registered = self.0.change(|scheduler, _, _| scheduler.register(&request.name, &request.address));
        let key = self.0.config.key.as_ref();
        Ok(Response::new(match registered {
            Ok(()) => pb::RegisterWorkerResponse {
                result: true,
                msg: String::new(),
                secret_key: key.map(|k| k.expose().to_vec()).unwrap_or_default(),
            },
            Err(e) => {
                warn!(worker = %request.name, error = %e, "a worker cannot register");
                pb::RegisterWorkerResponse { result: false, msg: e.to_string(), secret_key: Vec::new() }
            }
        }))
    }

    async fn offline_member(
        &self,
        request: Request<pb::OfflineMemberRequest>,
    ) -> Result<Response<pb::OfflineMemberResponse>, Status> {
        Ok(Response::new(self.0.offline_member(request.get_ref())))
    }

    async fn operate_leader(
        &self,
        _: Request<pb::OperateLeaderRequest>,
    ) -> Result<Response<pb::OperateLeaderResponse>, Status> {
        not_yet("a cluster of several masters")
    }

    async fn list_member(
        &self,
        request: Request<pb::ListMemberRequest>,
    ) -> Result<Response<pb::ListMemberResponse>, Status> {
        Ok(Response::new(self.0.list_member(request.into_inner())))
    }

    async fn operate_schema(
        &self,
        _: Request<pb::OperateSchemaRequest>,
    ) -> Result<Response<pb::OperateSchemaResponse>, Status> {
        not_yet("binlog-schema")
    }

    async fn get_sub_task_cfg(
        &self,
        _: Request<pb::GetSubTaskCfgRequest>,
    ) -> Result<Response<pb::GetSubTaskCfgResponse>, Status> {
        not_yet("the TOML form of a subtask")
    }

    async fn get_cfg(
        &self,
        request: Request<pb::GetCfgRequest>,
    ) -> Result<Response<pb::GetCfgResponse>, Status> {
        let request = request.into_inner();
        let name = &request.name;
        let found = {
            let inner = self.0.lock();
            match request.r#type() {
                pb::CfgType::TaskType => {
                    inner.scheduler.task(name).map(|t| t.to_masked_text()).ok_or("task not found")
                }
                pb::CfgType::SourceType => {
                    inner.scheduler.source(name).map(|s| s.to_masked_text()).ok_or("source not found")
                }
                _ => Err("configurations of this kind cannot be shown yet"),
            }
        };
        Ok(Response::new(match found {
            Ok(cfg) => pb::GetCfgResponse { result: true, msg: String::new(), cfg },
            Err(msg) => pb::GetCfgResponse { result: false, msg: msg.into(), cfg: String::new() },
        }))
    }

    async fn handle_error(
        &self,
        request: Request<pb::HandleErrorRequest>,
    ) -> Result<Response<pb::HandleErrorResponse>, Status> {
        Ok(Response::new(self.0.handle_error(request.into_inner()).await))
    }

    async fn get_master_cfg(
        &self,
        _: Request<pb::GetMasterCfgRequest>,
    ) -> Result<Response<pb::GetMasterCfgResponse>, Status> {
        not_yet("showing a master's configuration")
    }

    async fn transfer_source(
        &self,
        request: Request<pb::TransferSourceRequest>,
    ) -> Result<Response<pb::TransferSourceResponse>, Status> {
        Ok(Response::new(self.0.transfer_source(request.get_ref())))
    }

    async fn operate_relay(
        &self,
        _: Request<pb::OperateRelayRequest>,
    ) -> Result<Response<pb::OperateRelayResponse>, Status> {
        not_yet("a relay log")
    }

    async fn start_validation(
        &self,
        _: Request<pb::StartValidationRequest>,
    ) -> Result<Response<pb::StartValidationResponse>, Status> {
        not_yet("a validator")
    }

    async fn stop_validation(
        &self,
        _: Request<pb::StopValidationRequest>,
    ) -> Result<Response<pb::StopValidationResponse>, Status> {
        not_yet("a validator")
    }

    async fn get_validation_status(
        &self,
        _: Request<pb::GetValidationStatusRequest>,
    ) -> Result<Response<pb::GetValidationStatusResponse>, Status> {
        not_yet("a validator")
    }

    async fn get_validation_error(
        &self,
        _: Request<pb::GetValidationErrorRequest>,
    ) -> Result<Response<pb::GetValidationErrorResponse>, Status> {
        not_yet("a validator")
    }

    async fn operate_validation_error(
        &self,
        _: Request<pb::OperateValidationErrorRequest>,
    ) -> Result<Response<pb::OperateValidationErrorResponse>, Status> {
        not_yet("a validator")
    }

    async fn update_validation(
        &self,
        _: Request<pb::UpdateValidationRequest>,
    ) -> Result<Response<pb::UpdateValidationResponse>, Status> {
        not_yet("a validator")
    }

    async fn encrypt(
        &self,
        request: Request<pb::EncryptRequest>,
    ) -> Result<Response<pb::EncryptResponse>, Status> {
        let plain = common::secret::Secret::new(request.into_inner().plaintext);
        let text = match &self.0.config.key {
            Some(key) => key.encrypt(&plain).map_err(|e| e.to_string()),
            None => Err("secret key is not initialized".into()),
        };
        Ok(Response::new(match text {
            Ok(ciphertext) => pb::EncryptResponse { result: true, msg: String::new(), ciphertext },
            Err(msg) => pb::EncryptResponse { result: false, msg, ciphertext: String::new() },
        }))
    }

    async fn list_task_configs(
        &self,
        _: Request<()>,
    ) -> Result<Response<pb::ListTaskConfigsResponse>, Status> {
        let inner = self.0.lock();
        let text = |name: String| Some((inner.scheduler.task(&name)?.to_masked_text(), name));
        let task_configs: HashMap<String, String> =
            inner.scheduler.tasks().into_iter().filter_map(text).map(|(text, name)| (name, text)).collect();
        Ok(Response::new(pb::ListTaskConfigsResponse { result: true, msg: String::new(), task_configs }))
    }

    async fn list_source_configs(
        &self,
        _: Request<()>,
    ) -> Result<Response<pb::ListSourceConfigsResponse>, Status> {
        let inner = self.0.lock();
        let text = |id: String| Some((inner.scheduler.source(&id)?.to_masked_text(), id));
        let source_configs: HashMap<String, String> =
            inner.scheduler.source_ids().into_iter().filter_map(text).map(|(text, id)| (id, text)).collect();
        Ok(Response::new(pb::ListSourceConfigsResponse { result: true, msg: String::new(), source_configs }))
    }
}
