//! Prints control-plane answers as dmctl does: protobuf-JSON with proto field names, four spaces,
//! defaults written, 64-bit integers as strings, enums by name, an unset message as `null` and an
//! empty list over two lines. (Form: golden answers of DM of 2024-11.)

use std::sync::LazyLock;

use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MapKey, ReflectMessage, Value};
use serde::Serialize;

use crate::proto::{DESCRIPTORS, pb};

static POOL: LazyLock<DescriptorPool> =
    LazyLock::new(|| DescriptorPool::decode(DESCRIPTORS).expect("build.rs wrote a descriptor set"));

const INDENT: &str = "    ";

/// An answer of the `pb` package, with its message name for the printer.
pub trait Answer: Message {
    /// Full name of the message, such as `pb.StartTaskResponse`.
    const NAME: &'static str;
    /// Whether the whole call succeeded: the exit code of `ctl` hangs on it.
    fn result(&self) -> bool;
}

macro_rules! answers {
    ($($name:ident),* $(,)?) => {$(
        impl Answer for pb::$name {
            const NAME: &'static str = concat!("pb.", stringify!($name));
            fn result(&self) -> bool { self.result }
        }
    )*};
}
answers!(
    StartTaskResponse,
    OperateTaskResponse,
    QueryStatusListResponse,
    ShowDdlLocksResponse,
    UnlockDdlLockResponse,
    CheckTaskResponse,
    OperateSourceResponse,
    ListMemberResponse,
    GetCfgResponse,
    EncryptResponse,
    TransferSourceResponse,
    OfflineMemberResponse,
    HandleErrorResponse,
);

/// Renders an answer; no newline at the end.
pub fn render<A: Answer>(answer: &A) -> String {
    // Two messages keep an acronym in capitals that prost's names fold.
    let name = A::NAME.replace("Ddl", "DDL");
    let descriptor = POOL.get_message_by_name(&name).expect("every answer is in the descriptor set");
    let message = DynamicMessage::decode(descriptor, answer.encode_to_vec().as_slice())
        .expect("an answer decodes by its own descriptor");
    let mut out = String::new();
    write_message(&mut out, &message, 0);
    out
}

/// dmctl shows the pre-check's report with real newlines, tabs and quotes inside the string.
pub fn unfold_check_report(rendered: &str) -> String {
    rendered.replace("\\n", "\n").replace("\\t", "\t").replace("\\\"", "\"")
}

fn write_message(out: &mut String, message: &DynamicMessage, depth: usize) {
    out.push('{');
    let mut first = true;
    for field in message.descriptor().fields() {
        let in_oneof = field.containing_oneof().is_some();
        if in_oneof && !message.has_field(&field) {
            continue;
        }
        out.push_str(if first { "\n" } else { ",\n" });
        first = false;
        indent(out, depth + 1);
        write_string(out, field.name());
        out.push_str(": ");
        write_field(out, message, &field, depth + 1);
    }
    if !first {
        out.push('\n');
        indent(out, depth);
    }
    out.push('}');
}

fn write_field(out: &mut String, message: &DynamicMessage, field: &FieldDescriptor, depth: usize) {
    let singular_message = matches!(field.kind(), Kind::Message(_)) && !field.is_list() && !field.is_map();
    let empty_bytes = matches!(field.kind(), Kind::Bytes) && !message.has_field(field);
    if (singular_message && !message.has_field(field)) || empty_bytes {
        out.push_str("null");
        return;
    }
    write_value(out, &message.get_field(field), &field.kind(), depth);
}

fn write_value(out: &mut String, value: &Value, kind: &Kind, depth: usize) {
    use std::fmt::Write;
    match value {
        Value::Bool(v) => out.push_str(if *v { "true" } else { "false" }),
        Value::I32(v) => drop(write!(out, "{v}")),
        Value::U32(v) => drop(write!(out, "{v}")),
        Value::I64(v) => drop(write!(out, "\"{v}\"")),
        Value::U64(v) => drop(write!(out, "\"{v}\"")),
        Value::F32(v) => drop(write!(out, "{v}")),
        Value::F64(v) => drop(write!(out, "{v}")),
        Value::String(v) => write_string(out, v),
        Value::Bytes(v) => {
            use base64::Engine;
            write_string(out, &base64::engine::general_purpose::STANDARD.encode(v));
        }
        Value::EnumNumber(number) => {
            let name = kind.as_enum().and_then(|e| e.get_value(*number).map(|v| v.name().to_owned()));
            write_string(out, &name.unwrap_or_else(|| number.to_string()));
        }
        Value::Message(message) => write_message(out, message, depth),
        Value::List(items) => write_list(out, items, kind, depth),
        Value::Map(entries) => {
            let mut entries: Vec<_> = entries.iter().collect();
            entries.sort_by_key(|(key, _)| map_key(key));
            out.push('{');
            for (i, (key, value)) in entries.iter().enumerate() {
                out.push_str(if i == 0 { "\n" } else { ",\n" });
                indent(out, depth + 1);
                write_string(out, &map_key(key));
                out.push_str(": ");
                write_value(out, value, kind, depth + 1);
            }
            out.push('\n');
            indent(out, depth);
            out.push('}');
        }
    }
}

fn write_list(out: &mut String, items: &[Value], kind: &Kind, depth: usize) {
    out.push('[');
    for (i, item) in items.iter().enumerate() {
        out.push_str(if i == 0 { "\n" } else { ",\n" });
        indent(out, depth + 1);
        write_value(out, item, kind, depth + 1);
    }
    out.push('\n');
    indent(out, depth);
    out.push(']');
}

fn map_key(key: &MapKey) -> String {
    match key {
        MapKey::String(text) => text.clone(),
        other => format!("{other:?}"),
    }
}

fn indent(out: &mut String, depth: usize) {
    for _ in 0..depth {
        out.push_str(INDENT);
    }
}

/// A JSON string as Go's encoder writes it: `<`, `>` and `&` escaped for HTML.
fn write_string(out: &mut String, text: &str) {
    let quoted = serde_json::to_string(text).expect("a string is always JSON");
    for c in quoted.chars() {
        match c {
            '<' => out.push_str("\\u003c"),
            '>' => out.push_str("\\u003e"),
            '&' => out.push_str("\\u0026"),
            c => out.push(c),
        }
    }
}

/// The short form of `query-status` without a task (facts/dm.md 2.3).
#[derive(Serialize)]
pub struct Summary {
    result: bool,
    msg: String,
    tasks: Vec<TaskSummary>,
}

#[derive(Serialize)]
struct TaskSummary {
    #[serde(rename = "taskName")]
    name: String,
    #[serde(rename = "taskStatus")]
    status: String,
    sources: Vec<String>,
}

impl Summary {
    /// Folds the full answer into one line of state per task, or `None` where a source failed and
    /// the full answer has to be shown.
    pub fn of(answer: &pb::QueryStatusListResponse) -> Option<Summary> {
        if !answer.result || answer.sources.iter().any(|source| !source.result) {
            return None;
        }
        let mut tasks: std::collections::BTreeMap<&str, Vec<(&str, &pb::SubTaskStatus, bool)>> =
            Default::default();
        for source in &answer.sources {
            let Some(status) = &source.source_status else { continue };
            let relay_stopped = status
                .relay_status
                .as_ref()
                .is_some_and(|relay| matches!(relay.stage(), pb::Stage::Paused | pb::Stage::Stopped));
            for subtask in &source.sub_task_status {
                // "no sub task started" comes as a status without a name.
                if !subtask.name.is_empty() {
                    tasks.entry(&subtask.name).or_default().push((&status.source, subtask, relay_stopped));
                }
            }
        }
        let tasks = tasks
            .into_iter()
            .map(|(name, subtasks)| TaskSummary {
                name: name.to_owned(),
                status: task_status(name, &subtasks),
                sources: subtasks.iter().map(|(source, ..)| (*source).to_owned()).collect(),
            })
            .collect();
        Some(Summary { result: true, msg: answer.msg.clone(), tasks })
    }

    /// Renders it the way Go's indenting encoder does: an empty list on one line.
    pub fn render(&self) -> String {
        let mut out = Vec::new();
        let formatter = serde_json::ser::PrettyFormatter::with_indent(INDENT.as_bytes());
        let mut serializer = serde_json::Serializer::with_formatter(&mut out, formatter);
        self.serialize(&mut serializer).expect("a summary is always JSON");
        String::from_utf8(out).expect("JSON is UTF-8")
    }
}

fn task_status(name: &str, subtasks: &[(&str, &pb::SubTaskStatus, bool)]) -> String {
    let failed = |s: &pb::SubTaskStatus| {
        s.stage() == pb::Stage::Paused && s.result.as_ref().is_some_and(|r| !r.errors.is_empty())
    };
    if subtasks.iter().any(|(_, s, _)| failed(s)) {
        return format!(
            "Error - Some error occurred in subtask. Please run `query-status {name}` to get more details."
        );
    }
    if subtasks
        .iter()
        .any(|(_, s, relay)| *relay && s.unit() == pb::UnitType::Sync && s.stage() == pb::Stage::Running)
    {
        return format!(
            "Error - Relay status is Paused. Please run `query-status {name}` to get more details."
        );
    }
    if subtasks.iter().any(|(_, s, _)| s.stage() == pb::Stage::Paused) {
        return "Paused".to_owned();
    }
    let first = subtasks[0].1.stage();
    let stage = if subtasks.iter().all(|(_, s, _)| s.stage() == first) { first } else { pb::Stage::Running };
    stage.as_str_name().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/dmctl/");

    fn golden(name: &str) -> String {
        let text = std::fs::read_to_string(format!("{GOLDEN}{name}.json")).unwrap();
        text.trim_end().to_owned()
    }

    fn on(source: &str, worker: &str) -> pb::CommonWorkerResponse {
        pb::CommonWorkerResponse {
            result: true,
            source: source.into(),
            worker: worker.into(),
            ..Default::default()
        }
    }

    #[test]
    fn operate_task_prints_as_dmctl() {
        let answer = pb::OperateTaskResponse {
            op: pb::TaskOp::Pause.into(),
            result: true,
            sources: vec![on("mysql-01", "worker2"), on("mysql-02", "worker1")],
            ..Default::default()
        };
        assert_eq!(render(&answer), golden("pause-task"));
    }

    #[test]
    fn empty_lists_break_over_two_lines() {
        let answer =
            pb::ShowDdlLocksResponse { result: true, msg: "no DDL lock exists".into(), locks: vec![] };
        assert_eq!(render(&answer), golden("shard-ddl-lock"));
    }

    #[test]
    fn summary_of_no_task_is_on_one_line() {
        let answer = pb::QueryStatusListResponse { result: true, ..Default::default() };
        assert_eq!(Summary::of(&answer).unwrap().render(), golden("after-stop"));
    }

    /// Builds the answer from the golden text and prints it again: field order, names, nulls,
    /// quoted 64-bit numbers and enum names all have to agree.
    fn round_trip(name: &str) {
        let text = golden(name);
        let descriptor = POOL.get_message_by_name("pb.QueryStatusListResponse").unwrap();
        let mut de = serde_json::Deserializer::from_str(&text);
        let message = DynamicMessage::deserialize(descriptor, &mut de).unwrap();
        let answer: pb::QueryStatusListResponse = message.transcode_to().unwrap();
        assert_eq!(render(&answer), text, "{name}");
    }

    #[test]
    fn query_status_prints_as_dmctl() {
        for name in [
            "query-status",
            "query-status-ddl-wait",
            "query-status-ddl-done",
            "query-status-ddl-error",
            "query-status-error",
            "query-status-paused",
            "query-status-resumed",
            "bad-task",
        ] {
            round_trip(name);
        }
    }

    #[test]
    fn a_paused_subtask_with_an_error_is_named_in_the_summary() {
        let descriptor = POOL.get_message_by_name("pb.QueryStatusListResponse").unwrap();
        let text = golden("query-status-error");
        let mut de = serde_json::Deserializer::from_str(&text);
        let message = DynamicMessage::deserialize(descriptor, &mut de).unwrap();
        let answer: pb::QueryStatusListResponse = message.transcode_to().unwrap();
        assert_eq!(Summary::of(&answer).unwrap().render(), golden("query-status-all-error"));
    }
}
