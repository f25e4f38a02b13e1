//! DM's form: `[code=…:class=…:scope=…:level=…], Message: …, RawCause: …, Workaround: …`.

use std::fmt;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $text:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        #[allow(missing_docs)]
        pub enum $name { $($variant),* }

        impl $name {
            /// The word in error texts and in protocol messages.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// Part of DM that an error comes from.
    Class {
        NotSet = "not-set", Database = "database", Functional = "functional", Config = "config",
        BinlogOp = "binlog-op", Checkpoint = "checkpoint", TaskCheck = "task-check",
        RelayEventLib = "relay-event-lib", RelayUnit = "relay-unit", DumpUnit = "dump-unit",
        LoadUnit = "load-unit", SyncUnit = "sync-unit", DmMaster = "dm-master", DmWorker = "dm-worker",
        DmTracer = "dm-tracer", Validator = "validator", SchemaTracker = "schema-tracker",
        Scheduler = "scheduler", Dmctl = "dmctl", Openapi = "openapi", Ha = "ha",
    }
}

words! {
    /// Side that an error comes from.
    Scope {
        NotSet = "not-set", Upstream = "upstream", Downstream = "downstream", Internal = "internal",
    }
}

words! {
    /// How bad an error is.
    Level { Low = "low", Medium = "medium", High = "high" }
}

/// One row of the table.
#[derive(Debug, PartialEq, Eq)]
pub struct DmCode {
    /// Number; its thousands tell the class.
    pub code: u32,
    /// Name in the real tool.
    pub name: &'static str,
    /// Part of DM.
    pub class: Class,
    /// Side; errors of databases get theirs when they are made.
    pub scope: Scope,
    /// How bad it is.
    pub level: Level,
    /// What happened, when nothing more precise is known.
    pub summary: &'static str,
    /// What the operator can do; empty if nothing general can be said.
    pub workaround: &'static str,
}

impl DmCode {
    /// An error with this code. An empty message takes the table's summary.
    pub fn error(&'static self, message: impl Into<String>) -> DmError {
        let message = message.into();
        DmError(Box::new(Inner {
            code: self,
            scope: self.scope,
            message: if message.is_empty() { self.summary.into() } else { message },
            raw_cause: String::new(),
            workaround: None,
        }))
    }

    /// An error with this code and the error that caused it.
    pub fn wrap(&'static self, message: impl Into<String>, cause: &dyn std::error::Error) -> DmError {
        self.error(message).with_cause(super::chain(cause))
    }
}

/// An error as DM's operators see it. Two words wide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DmError(Box<Inner>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Inner {
    code: &'static DmCode,
    scope: Scope,
    message: String,
    raw_cause: String,
    workaround: Option<String>,
}

impl DmError {
    /// The table row.
    pub fn code(&self) -> &'static DmCode {
        self.0.code
    }

    /// The side it comes from.
    pub fn scope(&self) -> Scope {
        self.0.scope
    }

    /// What happened, with names and values.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The text of the cause; empty if there is none.
    pub fn raw_cause(&self) -> &str {
        &self.0.raw_cause
    }

    /// What to do; empty if nothing is known.
    pub fn workaround(&self) -> &str {
        self.0.workaround.as_deref().unwrap_or(self.0.code.workaround)
    }

    /// Sets the cause's text.
    #[must_use]
    pub fn with_cause(mut self, cause: impl Into<String>) -> Self {
        self.0.raw_cause = cause.into();
        self
    }

    /// Sets the side.
    #[must_use]
    pub fn with_scope(mut self, scope: Scope) -> Self {
        self.0.scope = scope;
        self
    }

    /// Replaces the table's advice with one that knows the case.
    #[must_use]
    pub fn with_workaround(mut self, workaround: impl Into<String>) -> Self {
        self.0.workaround = Some(workaround.into());
        self
    }

    /// Puts text in front of the message (`startLocation: …, endLocation: …: `).
    #[must_use]
    pub fn annotate(mut self, prefix: &str) -> Self {
        self.0.message.insert_str(0, prefix);
        self
    }
}

impl fmt::Display for DmError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DmCode { code, class, level, .. } = self.0.code;
        let scope = self.0.scope;
        write!(f, "[code={code:05}:class={class}:scope={scope}:level={level}]")?;
        for (key, value) in
            [("Message", self.message()), ("RawCause", self.raw_cause()), ("Workaround", self.workaround())]
        {
            if !value.is_empty() {
                write!(f, ", {key}: {value}")?;
            }
        }
        Ok(())
    }
}

// The cause is text in the rendering, so `source` would repeat it.
impl std::error::Error for DmError {}

macro_rules! table {
    ($($name:ident = $code:literal, $real:literal, $class:ident, $scope:ident, $level:ident, $summary:literal, $workaround:literal;)*) => {
        $(
            #[doc = concat!("`", $real, "`: ", $summary, ".")]
            pub static $name: DmCode = DmCode {
                code: $code,
                name: $real,
                class: super::Class::$class,
                scope: super::Scope::$scope,
                level: super::Level::$level,
                summary: $summary,
                workaround: $workaround,
            };
        )*

        /// The whole table, in order of the codes.
        pub static ALL: &[&DmCode] = &[$(&$name),*];

        /// Finds a row by its number.
        pub fn by_code(code: u32) -> Option<&'static DmCode> {
            ALL.binary_search_by_key(&code, |row| row.code).ok().map(|i| ALL[i])
        }
    };
}
pub(super) use table;

#[cfg(test)]
mod tests {
    use super::super::dm_codes::*;
    use super::*;

    #[test]
    fn codes_are_unique_in_order_and_fit_their_class() {
        assert!(ALL.windows(2).all(|w| w[0].code < w[1].code));
        for row in ALL {
            assert!(!row.summary.is_empty(), "{}", row.code);
            assert_eq!(by_code(row.code), Some(*row));
        }
        assert_eq!(by_code(1), None);
    }

    #[test]
    fn rendering_equals_that_of_the_real_tool() {
        // From golden/dm/dmctl.
        let e = SCHEDULER_TASK_NOT_EXIST.error("task with name task-test not exist");
        assert_eq!(
            e.to_string(),
            "[code=46018:class=scheduler:scope=internal:level=medium], Message: task with name task-test not exist, Workaround: Please use `query-status` command to see tasks."
        );
        let e = SCHEDULER_WORKER_NOT_EXIST.error("dm-worker with name worker9 not exists");
        assert_eq!(
            e.to_string(),
            "[code=46004:class=scheduler:scope=internal:level=medium], Message: dm-worker with name worker9 not exists"
        );
        let e = WORKER_NOT_PAUSED_STAGE.error("current stage is Running but not paused, invalid");
        assert_eq!(
            e.to_string(),
            "[code=40051:class=dm-worker:scope=internal:level=high], Message: current stage is Running but not paused, invalid"
        );
    }

    #[test]
    fn causes_scopes_and_advice() {
        let cause = std::io::Error::other("connection reset");
        let e = DB_BAD_CONN
            .wrap("", &cause)
            .with_scope(Scope::Downstream)
            .with_workaround("wait")
            .annotate("batch 7: ");
        assert_eq!(
            e.to_string(),
            "[code=10002:class=database:scope=downstream:level=high], Message: batch 7: the connection to the database was lost, RawCause: connection reset, Workaround: wait"
        );
    }
}
