//! `list-member`, `offline-member`, and which workers are there.

use common::error::dm_codes as code;

use super::Master;
use crate::proto::pb::{self, members::Member};

impl Master {
    /// Workers as `list-member` shows them.
    pub(super) fn worker_infos(&self) -> Vec<pb::WorkerInfo> {
        let inner = self.lock();
        inner
            .scheduler
            .workers()
            .into_iter()
            .map(|w| {
                let here = w.alive && inner.links.get(&w.name).is_some_and(|link| !link.is_silent());
                let stage = match (&w.source, here) {
                    (_, false) => "offline",
                    (Some(_), true) => "bound",
                    (None, true) => "free",
                };
                pb::WorkerInfo {
                    name: w.name,
                    addr: w.address,
                    stage: stage.into(),
                    source: w.source.unwrap_or_default(),
                }
            })
            .collect()
    }

    pub(super) fn list_member(&self, request: pb::ListMemberRequest) -> pb::ListMemberResponse {
        let all = !request.leader && !request.master && !request.worker;
        let named = |name: &str| request.names.is_empty() || request.names.iter().any(|n| n == name);
        let mut members = Vec::new();
        let mut add = |member| members.push(pb::Members { member: Some(member) });
        let config = &self.config;
        if (all || request.leader) && named(&config.name) {
            add(Member::Leader(pb::ListLeaderMember {
                msg: String::new(),
                name: config.name.clone(),
                addr: config.advertise.clone(),
            }));
        }
        if all || request.master {
            let masters = if named(&config.name) {
                vec![pb::MasterInfo {
                    name: config.name.clone(),
                    member_id: member_id(&config.name),
                    alive: true,
                    peer_ur_ls: vec![config.peer_url.clone()],
                    client_ur_ls: vec![format!("http://{}", config.advertise)],
                }]
            } else {
                Vec::new()
            };
            add(Member::Master(pb::ListMasterMember { msg: String::new(), masters }));
        }
        if all || request.worker {
            let workers = self.worker_infos().into_iter().filter(|w| named(&w.name)).collect();
            add(Member::Worker(pb::ListWorkerMember { msg: String::new(), workers }));
        }
        pb::ListMemberResponse { result: true, msg: String::new(), members }
    }

    pub(super) fn offline_member(&self, request: &pb::OfflineMemberRequest) -> pb::OfflineMemberResponse {
        let result = match request.r#type.as_str() {
            "worker" => self.change(|scheduler, _, _| {
                // Attached or expected back: not gone.
                scheduler.remove_worker(&request.name)
            }),
            "master" if request.name == self.config.name => Err(code::MASTER_INVALID_OFFLINE_TYPE
                .error(format!("dm-master {} is the only one", request.name))),
            "master" => Err(code::MASTER_MASTER_NAME_NOT_EXIST
                .error(format!("dm-master with name {} not exists", request.name))),
            other => Err(code::MASTER_INVALID_OFFLINE_TYPE
                .error(format!("offline type `{other}` is not master or worker"))),
        };
        match result {
            Ok(()) => pb::OfflineMemberResponse { result: true, msg: String::new() },
            Err(e) => pb::OfflineMemberResponse { result: false, msg: e.to_string() },
        }
    }
}

/// A number that stays the same for a name.
fn member_id(name: &str) -> u64 {
    let hash = blake3::hash(name.as_bytes());
    let mut head = [0u8; 8];
    head.copy_from_slice(&hash.as_bytes()[..8]);
    u64::from_le_bytes(head)
}
