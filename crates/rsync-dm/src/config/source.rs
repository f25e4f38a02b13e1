//! `source.yaml`, checked.

use std::path::Path;

use common::{
    cipher::Key,
    error::{DmError, dm_codes as code},
};

use mysql::Flavor;

use super::{
    database::Database,
    event_filter::EventFilters,
    yaml::{CheckerYaml, SourceYaml},
};

/// The longest `source-id`, in bytes: the width of the key columns in the meta schema's tables.
pub const MAX_SOURCE_ID: usize = 32;

/// A source: one upstream server.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceConfig {
    yaml: SourceYaml,
    /// Id, at most [`MAX_SOURCE_ID`] bytes.
    pub source_id: String,
    /// `false`: registered, but given to no worker.
    pub enable: bool,
    /// Replicate by GTID.
    pub enable_gtid: bool,
    /// `None`: asked from the server.
    pub flavor: Option<Flavor>,
    /// Our id as a replica; 0 means that one has to be chosen.
    pub server_id: u32,
    /// Where it is. The password is decrypted.
    pub from: Database,
    /// Patterns are case sensitive.
    pub case_sensitive: bool,
    /// How paused tasks are resumed unasked.
    pub checker: CheckerYaml,
}

impl SourceConfig {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// As [`SourceConfig::parse`], and 20018 for a file that can't be read.
    pub fn load(path: &Path, key: Option<&Key>) -> Result<Self, DmError> {
        Self::parse(&super::read_file(path)?, &path.display().to_string(), key)
    }

    /// Checks the text of a source.yaml; `origin` names it in errors.
    ///
    /// # Errors
    /// 20003 (syntax, unknown keys, wrong types), 20005, 20006, 11010, 20037, 20043, 40007.
    pub fn parse(text: &str, origin: &str, key: Option<&Key>) -> Result<Self, DmError> {
        Self::check(super::from_text(text, origin)?, key)
    }

    fn check(mut yaml: SourceYaml, key: Option<&Key>) -> Result<Self, DmError> {
        if yaml.source_id.is_empty() {
            return Err(code::CONFIG_EMPTY_SOURCE_ID.error(""));
        }
        if yaml.source_id.len() > MAX_SOURCE_ID {
            return Err(code::CONFIG_TOO_LONG_SOURCE_ID.error(format!(
                "the source id `{}` has {} bytes, {MAX_SOURCE_ID} are allowed",
                yaml.source_id,
                yaml.source_id.len()
            )));
        }
        let flavor = match yaml.flavor.to_ascii_lowercase().as_str() {
            "" => None,
            "mysql" => Some(Flavor::MySql),
            "mariadb" => Some(Flavor::MariaDb),
            _ => {
                return Err(
                    code::NOT_SUPPORTED_FLAVOR.error(format!("flavor `{}` is not supported", yaml.flavor))
                );
            }
        };
        if !yaml.relay_binlog_name.is_empty() && !is_binlog_name(&yaml.relay_binlog_name) {
            return Err(code::WORKER_RELAY_BINLOG_NAME.error(format!(
                "relay-binlog-name `{}` is not the name of a binlog file",
                yaml.relay_binlog_name
            )));
        }
        if yaml.enable_relay {
            return Err(code::CONFIG_YAML_TRANSFORM
                .error("`enable-relay: true` is not supported yet")
                .with_workaround(
                    "Set `enable-relay: false`: the binlog is then read from the source itself.",
                ));
        }
        // As in DM: these can be written, and are always the defaults.
        let defaults = CheckerYaml::default();
        yaml.checker.check_interval = defaults.check_interval;
        yaml.checker.backoff_min = defaults.backoff_min;
        yaml.checker.backoff_jitter = defaults.backoff_jitter;
        yaml.checker.backoff_factor = defaults.backoff_factor;
        if yaml.checker.backoff_max < yaml.checker.backoff_min {
            return Err(code::CONFIG_CHECKER_MAX_TOO_SMALL.error(format!(
                "checker.backoff-max {} is smaller than {}",
                yaml.checker.backoff_max, yaml.checker.backoff_min
            )));
        }
        yaml.auto_fix_gtid = false;
        if yaml.relay_dir.is_empty() {
            yaml.relay_dir = "relay-dir".into();
        }
        EventFilters::new(&yaml.filters, yaml.case_sensitive)
            .map_err(|e| code::CONFIG_BINLOG_EVENT_FILTER.wrap("", &e))?;
        Ok(Self {
            source_id: yaml.source_id.clone(),
            enable: yaml.enable,
            enable_gtid: yaml.enable_gtid,
            flavor,
            server_id: yaml.server_id,
            from: Database::new(&yaml.from, key, "from")?,
            case_sensitive: yaml.case_sensitive,
            checker: yaml.checker.clone(),
            yaml,
        })
    }

    /// As written, with the defaults filled in.
    pub fn yaml(&self) -> &SourceYaml {
        &self.yaml
    }

    /// Notes what was found at the server or chosen: kept in the text of [`SourceConfig::to_text`].
    pub fn settle(&mut self, flavor: Flavor, server_id: u32) {
        self.flavor = Some(flavor);
        self.yaml.flavor = flavor.name().into();
        self.server_id = server_id;
        self.yaml.server_id = server_id;
    }

    /// The text as DM prints it, with the password masked.
    pub fn to_masked_text(&self) -> String {
        super::print(&self.yaml)
    }

    /// The text to store and to hand to a worker: the password stands in it as it was written.
    pub fn to_text(&self) -> String {
        let mut value = serde_yaml::to_value(&self.yaml).expect("a source's fields are all YAML");
        super::unmask(&mut value, "from", &self.yaml.from);
        super::print(&value)
    }
}

/// An id for us as a replica, from the range that DM takes its own from; `taken` says which are in use.
pub fn random_server_id(taken: impl Fn(u32) -> bool) -> u32 {
    const FIRST: u32 = 429_496_729;
    const COUNT: u32 = 100_000;
    let mut bytes = [0u8; 4];
    // Without random bytes the time is as good: the id only has to be one that nobody else took.
    if getrandom::fill(&mut bytes).is_err() {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        bytes = now.subsec_nanos().to_le_bytes();
    }
    let start = u32::from_le_bytes(bytes) % COUNT;
    (0..COUNT).map(|i| FIRST + (start + i) % COUNT).find(|id| !taken(*id)).unwrap_or(FIRST + start)
}

fn is_binlog_name(name: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(base, sequence)| {
        !base.is_empty() && !sequence.is_empty() && sequence.bytes().all(|b| b.is_ascii_digit())
    })
}
