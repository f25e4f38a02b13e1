//! Each command: the request, and how its answer is printed. The exit code is 0 if the answer's `result` is true.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use common::{
    cipher::Key,
    error::{DmError, dm_codes as code},
    out,
};
use serde::Serialize;
use tonic::{Response, Status, transport::Channel};

use super::{
    CtlArgs, CtlCommand, LockCommand,
    answer::{Answer, Summary, render, unfold_check_report},
    client, files,
};
use crate::proto::pb::{self, master_client::MasterClient};

/// What a command needs.
struct Ctl<'a> {
    args: &'a CtlArgs,
    client: MasterClient<Channel>,
}

/// Runs one command. Answers go to standard output, what kept the command from being asked to standard error.
pub async fn run(args: CtlArgs) -> ExitCode {
    match execute(&args).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            out::eprintln(&format!("Error: {e}"));
            ExitCode::FAILURE
        }
    }
}

async fn execute(args: &CtlArgs) -> Result<bool, DmError> {
    let key = || local_key(args.secret_key_path.as_deref());
    // What needs no master.
    match &args.command {
        CtlCommand::MetaFrom(meta) => {
            let sources: Vec<PathBuf> = args.sources.iter().map(PathBuf::from).collect();
            crate::meta_from::run(meta, &sources, key()?.as_ref()).await?;
            return Ok(true);
        }
        CtlCommand::Decrypt(decrypt) => {
            let Some(key) = key()? else {
                return Err(code::CONFIG_SECRET_KEY_PATH
                    .error("the key of the cluster is needed")
                    .with_workaround(
                        "Name the file of the master's `secret-key-path` with --secret-key-path.",
                    ));
            };
            let plain =
                key.decrypt(&decrypt.text).map_err(|e| code::CIPHERTEXT_CONTEXT_NOT_VALID.wrap("", &e))?;
            // Asked for by the operator: the one place that shows it.
            out::println(plain.expose());
            return Ok(true);
        }
        CtlCommand::Encrypt(encrypt) => {
            if let Some(key) = key()? {
                let text = key
                    .encrypt(&encrypt.text.as_str().into())
                    .map_err(|e| code::ENCRYPT_GEN_IV.wrap("", &e))?;
                out::println(&text);
                return Ok(true);
            }
        }
        CtlCommand::OperateSource(source) if source.print_sample_config => {
            out::print(include_str!("../../../../config-examples/source-1.yaml"));
            return Ok(true);
        }
        _ => {}
    }
    let client = client::connect(args).await?;
    Ctl { args, client }.command().await
}

fn local_key(path: Option<&Path>) -> Result<Option<Key>, DmError> {
    path.map(Key::from_file).transpose().map_err(|e| code::CONFIG_SECRET_KEY_PATH.wrap("", &e))
}

/// The answer, or the error of the call.
fn answered<T>(result: Result<Response<T>, Status>) -> Result<T, DmError> {
    result.map(Response::into_inner).map_err(|status| match status.code() {
        tonic::Code::Unimplemented => code::MASTER_GRPC_REQUEST_ERROR.error(status.message()),
        _ => code::MASTER_GRPC_REQUEST_ERROR
            .error("the call to the master failed")
            .with_cause(common::error::chain(&status))
            .with_workaround(
                "Check that the master runs. If it uses TLS, give --ssl-ca, --ssl-cert and --ssl-key with a certificate \
                 that it lets in; if it does not, give none of them.",
            ),
    })
}

fn show<A: Answer>(answer: &A) -> Result<bool, DmError> {
    out::println(&render(answer));
    Ok(answer.result())
}

fn show_report<A: Answer>(answer: &A) -> Result<bool, DmError> {
    out::println(&unfold_check_report(&render(answer)));
    Ok(answer.result())
}

impl Ctl<'_> {
    fn sources(&self) -> Vec<String> {
        self.args.sources.clone()
    }

    async fn command(mut self) -> Result<bool, DmError> {
        match &self.args.command {
            CtlCommand::OperateSource(a) => self.operate_source(a).await,
            CtlCommand::CheckTask(a) => {
                let request = pb::CheckTaskRequest {
                    task: files::task(&a.file)?,
                    err_cnt: a.error,
                    warn_cnt: a.warn,
                    start_time: a.start_time.clone(),
                };
                show_report(&answered(self.client.check_task(request).await)?)
            }
            CtlCommand::StartTask(a) => {
                let request = pb::StartTaskRequest {
                    task: files::task(&a.file)?,
                    sources: self.sources(),
                    remove_meta: a.remove_meta,
                    start_time: a.start_time.clone(),
                };
                show_report(&answered(self.client.start_task(request).await)?)
            }
            CtlCommand::QueryStatus(a) => self.query_status(a).await,
            CtlCommand::PauseTask(a) => self.operate(pb::TaskOp::Pause, a).await,
            CtlCommand::ResumeTask(a) => self.operate(pb::TaskOp::Resume, a).await,
            CtlCommand::StopTask(a) => self.operate(pb::TaskOp::Delete, a).await,
            CtlCommand::ShardDdlLock(a) => match &a.command {
                Some(LockCommand::Unlock(unlock)) => self.unlock(unlock).await,
                None => self.show_locks(a.task.as_deref()).await,
            },
            CtlCommand::ShowDdlLocks(a) => self.show_locks(a.task.as_deref()).await,
            CtlCommand::UnlockDdlLock(a) => self.unlock(a).await,
            CtlCommand::Binlog(a) => {
                use super::BinlogCommand as B;
                let (op, task, sqls) = match &a.command {
                    B::Skip(t) => (pb::ErrorOp::Skip, &t.task, Vec::new()),
                    B::Replace(t) => (pb::ErrorOp::Replace, &t.task, t.sqls.clone()),
                    B::Revert(t) => (pb::ErrorOp::Revert, &t.task, Vec::new()),
                    B::Inject(t) => (pb::ErrorOp::Inject, &t.task, t.sqls.clone()),
                    B::List(t) => (pb::ErrorOp::List, &t.task, Vec::new()),
                };
                self.handle_error(op, task, &a.binlog_pos, sqls).await
            }
            CtlCommand::HandleError(a) => {
                let op = match a.operation.as_str() {
                    "skip" => pb::ErrorOp::Skip,
                    "replace" => pb::ErrorOp::Replace,
                    "revert" => pb::ErrorOp::Revert,
                    "inject" => pb::ErrorOp::Inject,
                    "list" => pb::ErrorOp::List,
                    other => {
                        return Err(code::SYNCER_EVENT_NOT_EXIST
                            .error(format!("invalid operation '{other}'"))
                            .with_workaround("Use skip, replace, revert, inject or list."));
                    }
                };
                self.handle_error(op, &a.task, &a.binlog_pos, a.sqls.clone()).await
            }
            CtlCommand::ListMember(a) => {
                let request = pb::ListMemberRequest {
                    leader: a.leader,
                    master: a.master,
                    worker: a.worker,
                    names: a.names.clone(),
                };
                show(&answered(self.client.list_member(request).await)?)
            }
            CtlCommand::OfflineMember(a) => {
                let kind = if a.master { "master" } else { "worker" };
                let request = pb::OfflineMemberRequest { r#type: kind.into(), name: a.name.clone() };
                show(&answered(self.client.offline_member(request).await)?)
            }
            CtlCommand::TransferSource(a) => {
                let request =
                    pb::TransferSourceRequest { source: a.source_id.clone(), worker: a.worker.clone() };
                show(&answered(self.client.transfer_source(request).await)?)
            }
            CtlCommand::Config(a) | CtlCommand::GetConfig(a) => self.config(a).await,
            CtlCommand::Encrypt(a) => {
                let request = pb::EncryptRequest { plaintext: a.text.clone() };
                let answer = answered(self.client.encrypt(request).await)?;
                if answer.result {
                    out::println(&answer.ciphertext);
                } else {
                    out::eprintln(&format!("Error: {}", answer.msg));
                    out::eprintln(
                        "Set `secret-key-path` of the master to a file of 64 hexadecimal digits (openssl rand -hex 32), \
                         or name such a file with --secret-key-path.",
                    );
                }
                Ok(answer.result)
            }
            // Done before there was a client.
            CtlCommand::MetaFrom(_) | CtlCommand::Decrypt(_) => Ok(true),
        }
    }

    async fn operate_source(&mut self, args: &super::OperateSourceArgs) -> Result<bool, DmError> {
        let operation = args.operation.as_deref().unwrap_or_default();
        let op = match operation {
            "create" => pb::SourceOp::StartSource,
            "update" => pb::SourceOp::UpdateSource,
            "stop" => pb::SourceOp::StopSource,
            "show" => pb::SourceOp::ShowSource,
            other => {
                return Err(code::SCHEDULER_SOURCE_CFG_NOT_EXIST
                    .error(format!("invalid operate '{other}' on worker"))
                    .with_workaround("Use create, show or stop."));
            }
        };
        let mut request = pb::OperateSourceRequest { op: op.into(), ..Default::default() };
        request.worker_name = args.worker.clone().unwrap_or_default();
        match op {
            pb::SourceOp::StartSource if args.items.is_empty() => {
                return Err(code::CONFIG_READ_CFG_FROM_FILE
                    .error("operate-source create needs at least one source file")
                    .with_workaround("Name the files: operate-source create source-1.yaml source-2.yaml"));
            }
            pb::SourceOp::StopSource if args.items.is_empty() => {
                return Err(
                    code::CONFIG_EMPTY_SOURCE_ID.error("operate-source stop needs at least one source id")
                );
            }
            _ => {}
        }
        for item in &args.items {
            let path = Path::new(item);
            if op == pb::SourceOp::StartSource || op == pb::SourceOp::UpdateSource || path.is_file() {
                request.config.push(crate::config::read_file(path)?);
            } else {
                request.source_id.push(item.clone());
            }
        }
        show(&answered(self.client.operate_source(request).await)?)
    }

    async fn query_status(&mut self, args: &super::QueryStatusArgs) -> Result<bool, DmError> {
        let name = args.task.as_deref().map(files::task_name).transpose()?.unwrap_or_default();
        let request = pb::QueryStatusListRequest { name: name.clone(), sources: self.sources() };
        let answer = answered(self.client.query_status(request).await)?;
        if name.is_empty()
            && !args.more
            && self.args.sources.is_empty()
            && let Some(summary) = Summary::of(&answer)
        {
            out::println(&summary.render());
            return Ok(true);
        }
        show(&answer)
    }

    async fn operate(&mut self, op: pb::TaskOp, args: &super::TaskArgs) -> Result<bool, DmError> {
        if let Some(task) = &args.task {
            let answer = self.operate_one(op, &files::task_name(task)?, self.sources()).await?;
            return show(&answer);
        }
        let [source] = self.args.sources.as_slice() else {
            return Err(code::SCHEDULER_TASK_NOT_EXIST
                .error("can not operate on all tasks: name a task, or exactly one source with -s"));
        };
        let source = source.clone();
        self.operate_source_tasks(op, &source).await
    }

    async fn operate_one(
        &mut self,
        op: pb::TaskOp,
        name: &str,
        sources: Vec<String>,
    ) -> Result<pb::OperateTaskResponse, DmError> {
        let request = pb::OperateTaskRequest { op: op.into(), name: name.into(), sources };
        answered(self.client.operate_task(request).await)
    }

    /// All tasks of one source.
    async fn operate_source_tasks(&mut self, op: pb::TaskOp, source: &str) -> Result<bool, DmError> {
        let request = pb::QueryStatusListRequest { name: String::new(), sources: vec![source.into()] };
        let status = answered(self.client.query_status(request).await)?;
        if !status.result {
            return show(&status);
        }
        let mut names: Vec<String> = status
            .sources
            .iter()
            .flat_map(|s| &s.sub_task_status)
            .map(|s| s.name.clone())
            .filter(|n| !n.is_empty())
            .collect();
        names.sort();
        names.dedup();
        let mut batch = Batch { result: true, msg: String::new(), tasks: Vec::new() };
        for name in names {
            let answer = self.operate_one(op, &name, vec![source.into()]).await?;
            batch.result &= answer.result;
            batch.tasks.push(BatchTask {
                task: name,
                op: op.as_str_name().into(),
                result: answer.result,
                msg: answer.msg,
                sources: answer.sources.into_iter().map(Into::into).collect(),
            });
        }
        out::println(&batch.render());
        Ok(batch.result)
    }

    async fn show_locks(&mut self, task: Option<&str>) -> Result<bool, DmError> {
        let task = task.map(files::task_name).transpose()?.unwrap_or_default();
        let request = pb::ShowDdlLocksRequest { task, sources: self.sources() };
        show(&answered(self.client.show_ddl_locks(request).await)?)
    }

    async fn handle_error(
        &mut self,
        op: pb::ErrorOp,
        task: &str,
        binlog_pos: &str,
        sqls: Vec<String>,
    ) -> Result<bool, DmError> {
        let request = pb::HandleErrorRequest {
            op: op.into(),
            task: files::task_name(task)?,
            sources: self.sources(),
            binlog_pos: binlog_pos.into(),
            sqls,
        };
        show(&answered(self.client.handle_error(request).await)?)
    }

    async fn unlock(&mut self, args: &super::UnlockArgs) -> Result<bool, DmError> {
        let op = match args.action.as_str() {
            "skip" => pb::UnlockDdlLockOp::SkipLock,
            "exec" => pb::UnlockDdlLockOp::ExecLock,
            other => {
                return Err(code::MASTER_LOCK_NOT_FOUND
                    .error(format!("check flag --action fails: `{other}` is not skip or exec")));
            }
        };
        let request = pb::UnlockDdlLockRequest {
            id: args.id.clone(),
            replace_owner: args.owner.clone(),
            force_remove: args.force_remove,
            op: op.into(),
            sources: self.sources(),
            database: args.database.clone(),
            table: args.table.clone(),
        };
        show(&answered(self.client.unlock_ddl_lock(request).await)?)
    }

    async fn config(&mut self, args: &super::ConfigArgs) -> Result<bool, DmError> {
        let kind = match args.kind.as_str() {
            "task" => pb::CfgType::TaskType,
            "source" => pb::CfgType::SourceType,
            "master" => pb::CfgType::MasterType,
            "worker" => pb::CfgType::WorkerType,
            other => {
                return Err(code::CONFIG_READ_CFG_FROM_FILE
                    .error(format!("`{other}` is not task or source"))
                    .with_workaround("Use `config task NAME` or `config source ID`."));
            }
        };
        let request = pb::GetCfgRequest { r#type: kind.into(), name: args.name.clone() };
        let answer = answered(self.client.get_cfg(request).await)?;
        let Some(path) = args.path.as_ref().filter(|_| answer.result) else { return show(&answer) };
        common::crashsafe::write_atomic(path, answer.cfg.as_bytes()).map_err(|e| {
            code::CONFIG_READ_CFG_FROM_FILE.wrap(format!("cannot write {}", path.display()), &e)
        })?;
        out::println(&format!("write config to file {} succeed", path.display()));
        Ok(true)
    }
}

/// The answer that dmctl makes itself from several.
#[derive(Serialize)]
struct Batch {
    result: bool,
    msg: String,
    tasks: Vec<BatchTask>,
}

#[derive(Serialize)]
struct BatchTask {
    task: String,
    op: String,
    result: bool,
    msg: String,
    sources: Vec<BatchSource>,
}

#[derive(Serialize)]
struct BatchSource {
    result: bool,
    msg: String,
    source: String,
    worker: String,
}

impl From<pb::CommonWorkerResponse> for BatchSource {
    fn from(r: pb::CommonWorkerResponse) -> Self {
        Self { result: r.result, msg: r.msg, source: r.source, worker: r.worker }
    }
}

impl Batch {
    fn render(&self) -> String {
        let mut out = Vec::new();
        let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
        let mut serializer = serde_json::Serializer::with_formatter(&mut out, formatter);
        self.serialize(&mut serializer).expect("texts and booleans are JSON");
        String::from_utf8(out).expect("JSON is UTF-8")
    }
}
