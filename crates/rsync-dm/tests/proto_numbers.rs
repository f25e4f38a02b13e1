//! The numbers and types of every field that goes over the wire, against the list of facts/dm.md Annex A.

use prost_reflect::{DescriptorPool, FieldDescriptor, Kind};
use rsync_dm::proto::DESCRIPTORS;

const ANNEX: &str = include_str!("fixtures/annex-a.txt");

fn kind(field: &FieldDescriptor) -> String {
    let name = match field.kind() {
        Kind::String => "s".into(),
        Kind::Bool => "b".into(),
        Kind::Bytes => "y".into(),
        Kind::Int32 => "i32".into(),
        Kind::Int64 => "i64".into(),
        Kind::Uint64 => "u64".into(),
        Kind::Double => "f64".into(),
        Kind::Message(m) if field.is_map() => {
            let of = |f: FieldDescriptor| match f.kind() {
                Kind::String => "string".to_owned(),
                Kind::Message(m) => m.name().to_owned(),
                other => format!("{other:?}"),
            };
            return format!("map<string, {}>", of(m.map_entry_value_field()));
        }
        Kind::Message(m) => m.name().to_owned(),
        Kind::Enum(e) => e.name().to_owned(),
        other => format!("{other:?}"),
    };
    let list = if field.is_list() { "[]" } else { "" };
    let oneof = field.containing_oneof().map(|o| format!("^{}", o.name())).unwrap_or_default();
    format!("{list}{name}{oneof}")
}

#[test]
fn every_message_of_the_annex_has_its_fields_and_numbers() {
    let pool = DescriptorPool::decode(DESCRIPTORS).unwrap();
    let mut messages = 0;
    for line in ANNEX.lines().filter(|l| l.starts_with("- `")) {
        let (name, fields) = line[3..].split_once("` — ").unwrap_or_else(|| panic!("{line}"));
        let message = pool.get_message_by_name(&format!("pb.{name}")).unwrap_or_else(|| panic!("{name}"));
        messages += 1;
        let mut expected: Vec<(u32, String, String)> = Vec::new();
        if fields != "(empty)" {
            for field in fields.split("; ") {
                let (number, rest) = field.split_once(' ').unwrap();
                let (field, kind) = rest.split_once(':').unwrap();
                expected.push((number.parse().unwrap(), field.into(), kind.into()));
            }
        }
        let mut found: Vec<_> =
            message.fields().map(|f| (f.number(), f.name().to_owned(), kind(&f))).collect();
        found.sort();
        // Fields of 2026 that the tool of 2024 does not have.
        expected.retain(|(n, ..)| !(name == "SyncStatus" && *n >= 18));
        assert_eq!(found, expected, "{name}");
    }
    assert!(messages > 90, "{messages}");
}

#[test]
fn every_enum_of_the_annex_has_its_numbers() {
    let pool = DescriptorPool::decode(DESCRIPTORS).unwrap();
    for line in ANNEX.lines().filter_map(|l| l.strip_prefix("- enum `")) {
        let (name, values) = line.split_once("`: ").unwrap();
        let found = pool.get_enum_by_name(&format!("pb.{name}")).unwrap_or_else(|| panic!("{name}"));
        for value in values.split(", ") {
            let (word, number) = value.split_once(' ').unwrap();
            let value = found.get_value_by_name(word).unwrap_or_else(|| panic!("{name}.{word}"));
            assert_eq!(value.number().to_string(), number, "{name}.{word}");
        }
    }
}

#[test]
fn the_services_have_the_methods_of_the_real_ones() {
    let pool = DescriptorPool::decode(DESCRIPTORS).unwrap();
    let methods = |name: &str| -> Vec<String> {
        pool.get_service_by_name(name).unwrap().methods().map(|m| m.name().to_owned()).collect()
    };
    let master = methods("pb.Master");
    for name in "StartTask OperateTask UpdateTask QueryStatus ShowDDLLocks UnlockDDLLock OperateWorkerRelayTask PurgeWorkerRelay CheckTask OperateSource RegisterWorker OfflineMember OperateLeader ListMember OperateSchema GetSubTaskCfg GetCfg HandleError GetMasterCfg TransferSource OperateRelay StartValidation StopValidation GetValidationStatus GetValidationError OperateValidationError UpdateValidation Encrypt ListTaskConfigs ListSourceConfigs".split(' ') {
        assert!(master.iter().any(|m| m == name), "{name}");
    }
    let worker = methods("pb.Worker");
    for name in "QueryStatus PurgeRelay OperateSchema OperateV1Meta HandleError GetWorkerCfg CheckSubtasksCanUpdate GetWorkerValidatorStatus GetValidatorError OperateValidatorError UpdateValidator".split(' ') {
        assert!(worker.iter().any(|m| m == name), "{name}");
    }
}
