//! One event as one line.

use std::fmt::{self, Write};

use jiff::Zoned;
use tracing::{
    Level, Metadata,
    field::{Field, Visit},
};

use super::LogFormat;

/// The fields of an event or a span, rendered; the message apart.
#[derive(Debug, Default, Clone)]
pub(super) struct Fields {
    message: String,
    pairs: Vec<(&'static str, String)>,
}

impl Fields {
    /// Adds the fields of a span behind those that are there.
    pub(super) fn append(&mut self, span: &Fields) {
        for (key, value) in &span.pairs {
            if !self.pairs.iter().any(|(own, _)| own == key) {
                self.pairs.push((key, value.clone()));
            }
        }
    }

    fn add(&mut self, field: &Field, value: String) {
        if field.name() == "message" {
            self.message = value;
        } else if let Some(pair) = self.pairs.iter_mut().find(|(key, _)| *key == field.name()) {
            pair.1 = value;
        } else {
            self.pairs.push((field.name(), value));
        }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format!("{value:?}"));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.add(field, crate::error::chain(value));
    }
}

/// The whole line with its newline.
pub(super) fn line(format: LogFormat, metadata: &Metadata<'_>, fields: &Fields, time: &Zoned) -> String {
    let file = metadata.file().unwrap_or("unknown");
    let file = file.rsplit('/').next().unwrap_or(file);
    let caller = format!("{file}:{}", metadata.line().unwrap_or_default());
    let time = time.strftime("%Y/%m/%d %H:%M:%S%.3f %:z").to_string();
    let level = level_name(*metadata.level());
    match format {
        LogFormat::Text => text_line(&time, level, &caller, fields),
        LogFormat::Json => json_line(&time, level, &caller, fields),
    }
}

fn level_name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "ERROR",
        Level::WARN => "WARN",
        Level::INFO => "INFO",
        Level::DEBUG | Level::TRACE => "DEBUG",
    }
}

fn text_line(time: &str, level: &str, caller: &str, fields: &Fields) -> String {
    let mut line = String::with_capacity(128);
    let _infallible = write!(line, "[{time}] [{level}] [{caller}] [");
    push_quoted(&mut line, &fields.message);
    line.push(']');
    for (key, value) in &fields.pairs {
        line.push_str(" [");
        push_quoted(&mut line, key);
        line.push('=');
        push_quoted(&mut line, value);
        line.push(']');
    }
    line.push('\n');
    line
}

fn json_line(time: &str, level: &str, caller: &str, fields: &Fields) -> String {
    let mut line = String::with_capacity(128);
    let _infallible = write!(line, "{{\"level\":\"{level}\",\"time\":\"{time}\",\"caller\":");
    push_json(&mut line, caller);
    line.push_str(",\"message\":");
    push_json(&mut line, &fields.message);
    for (key, value) in &fields.pairs {
        line.push(',');
        push_json(&mut line, key);
        line.push(':');
        push_json(&mut line, value);
    }
    line.push_str("}\n");
    line
}

/// Bare when it holds nothing that the line's own form uses, else as a JSON string.
fn push_quoted(line: &mut String, text: &str) {
    let special = |c: char| c <= ' ' || matches!(c, '\\' | '"' | '[' | ']' | '=' | '\u{7f}');
    if text.chars().any(special) { push_json(line, text) } else { line.push_str(text) }
}

fn push_json(line: &mut String, text: &str) {
    line.push('"');
    for c in text.chars() {
        match c {
            '"' => line.push_str("\\\""),
            '\\' => line.push_str("\\\\"),
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push_str("\\t"),
            c if c < ' ' || c == '\u{7f}' => {
                let _infallible = write!(line, "\\u{:04x}", u32::from(c));
            }
            c => line.push(c),
        }
    }
    line.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(message: &str, pairs: &[(&'static str, &str)]) -> Fields {
        Fields {
            message: message.into(),
            pairs: pairs.iter().map(|(key, value)| (*key, (*value).to_owned())).collect(),
        }
    }

    #[test]
    fn text_has_pingcaps_form() {
        type Case<'a> = (&'a str, &'a [(&'static str, &'a str)], &'a str);
        let table: &[Case<'_>] = &[
            ("progress", &[("total", "3.3%")], "[progress] [total=3.3%]"),
            ("two words", &[], "[\"two words\"]"),
            ("x", &[("a b", "1")], "[x] [\"a b\"=1]"),
            ("x", &[("k", "")], "[x] [k=]"),
            ("x", &[("k", "a\"b\\c\n[d]=")], "[x] [k=\"a\\\"b\\\\c\\n[d]=\"]"),
            ("x", &[("k", "/a/b:1,{}")], "[x] [k=/a/b:1,{}]"),
            ("ü", &[("k", "日本")], "[ü] [k=日本]"),
            ("x", &[("k", "\u{1}\u{7f}")], "[x] [k=\"\\u0001\\u007f\"]"),
        ];
        for (message, pairs, expected) in table {
            let line = text_line("T", "INFO", "f.rs:1", &fields(message, pairs));
            assert_eq!(line, format!("[T] [INFO] [f.rs:1] {expected}\n"));
        }
    }

    #[test]
    fn json_is_json() {
        let line = json_line("T", "WARN", "f.rs:1", &fields("a \"b\"\n", &[("k", "\u{1}v")]));
        let value: serde_json::Value = serde_json::from_str(&line).expect("json");
        assert_eq!(value["message"], "a \"b\"\n");
        assert_eq!(value["k"], "\u{1}v");
        assert_eq!(value["level"], "WARN");
    }

    #[test]
    fn a_span_does_not_hide_the_events_own_field() {
        let mut event = fields("m", &[("task", "own")]);
        event.append(&fields("", &[("task", "span"), ("source", "s1")]));
        assert_eq!(event.pairs, [("task", "own".to_owned()), ("source", "s1".to_owned())]);
    }
}
