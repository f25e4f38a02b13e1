//! `task.yaml`, checked, and the part of it that belongs to each source.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::Duration,
};

use common::{
    block_allow::{BlockAllowList, BlockAllowRules},
    cipher::Key,
    duration::GoDuration,
    error::{DmCode, DmError, dm_codes as code},
    route::{RouteRule, Router},
};

use mysql::{Flavor, GtidSet};

use super::{
    database::Database,
    event_filter::EventFilters,
    online_ddl::OnlineDdl,
    source::SourceConfig,
    subtask::{Meta, ShardMode, SubtaskConfig, SyncerConfig},
    yaml::{InstanceYaml, SyncerYaml, TaskYaml, Text},
};

/// What `ignore-checking-items` may name.
pub const CHECK_ITEMS: [&str; 23] = [
    "all",
    "dump_privilege",
    "replication_privilege",
    "version",
    "server_id",
    "binlog_enable",
    "binlog_format",
    "binlog_row_image",
    "table_schema",
    "schema_of_shard_tables",
    "auto_increment_ID",
    "online_ddl",
    "binlog_db",
    "meta_position",
    "conn_number",
    "target_privilege",
    "empty_region",
    "region_distribution",
    "downstream_version",
    "free_space",
    "downstream_mutex_features",
    "downstream_table_empty",
    "primary_key",
];

/// The longest task name: names of state tables are the task's with up to 21 characters more, of 64.
const MAX_TASK_NAME: usize = 64 - "_syncer_sharding_meta".len();

/// A checked task.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskConfig {
    yaml: TaskYaml,
    instances: Vec<InstanceYaml>,
    shard_mode: ShardMode,
    target: Database,
}

impl TaskConfig {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// As [`TaskConfig::parse`], and 20018 for a file that can't be read.
    pub fn load(path: &Path, key: Option<&Key>) -> Result<Self, DmError> {
        Self::parse(&super::read_file(path)?, &path.display().to_string(), key)
    }

    /// Checks the text of a task.yaml; `origin` names it in errors.
    ///
    /// # Errors
    /// The codes of facts/dm.md 1.2 to 1.8; the same codes with "not supported yet" for what DM knows and this
    /// program does not do.
    pub fn parse(text: &str, origin: &str, key: Option<&Key>) -> Result<Self, DmError> {
        Self::check(super::from_text(text, origin)?, key)
    }

    fn check(mut yaml: TaskYaml, key: Option<&Key>) -> Result<Self, DmError> {
        check_name(&yaml.name)?;
        check_mode(&yaml.task_mode)?;
        let shard_mode = shard_mode(&yaml)?;
        check_words(&yaml)?;
        check_online_ddl(&mut yaml)?;
        check_timezone(&yaml.timezone)?;
        let Some(target) = &yaml.target_database else {
            return Err(code::CONFIG_NEED_TARGET_DB.error(""));
        };
        let target = Database::new(target, key, "target-database")?;
        let instances = check_instances(&yaml)?;
        if yaml.block_allow_list.is_empty() {
            yaml.block_allow_list = std::mem::take(&mut yaml.black_white_list);
        }
        let task = Self { yaml, instances, shard_mode, target };
        for instance in &task.instances {
            task.check_references(instance)?;
            task.parts(instance)?;
        }
        task.check_unused()?;
        Ok(task)
    }

    /// The task's name.
    pub fn name(&self) -> &str {
        &self.yaml.name
    }

    /// As written, with defaults filled in.
    pub fn yaml(&self) -> &TaskYaml {
        &self.yaml
    }

    /// How DDL of shards is merged.
    pub fn shard_mode(&self) -> ShardMode {
        self.shard_mode
    }

    /// The target. Its password is decrypted.
    pub fn target(&self) -> &Database {
        &self.target
    }

    /// Database of the state tables.
    pub fn meta_schema(&self) -> &str {
        &self.yaml.meta_schema
    }

    /// The ids of the task's sources, in the file's order.
    pub fn source_ids(&self) -> impl Iterator<Item = &str> {
        self.instances.iter().map(|i| i.source_id.as_str())
    }

    /// The start positions of the file, for the checks.
    pub fn meta(&self, source_id: &str) -> Option<Meta> {
        let instance = self.instances.iter().find(|i| i.source_id == source_id)?;
        instance.meta.as_ref().map(|m| Meta {
            binlog_name: m.binlog_name.clone(),
            binlog_pos: if m.binlog_name.is_empty() { 0 } else { m.binlog_pos.max(4) },
            binlog_gtid: m.binlog_gtid.clone(),
        })
    }

    /// Whether `ignore-checking-items` names this check.
    pub fn ignores_check(&self, item: &str) -> bool {
        self.yaml.ignore_checking_items.iter().any(|i| i.0 == "all" || i.0 == item)
    }

    /// The text as DM prints it, with passwords masked.
    pub fn to_masked_text(&self) -> String {
        super::print(&self.yaml)
    }

    /// The text to store and to hand to workers: passwords stand in it as they were written.
    pub fn to_text(&self) -> String {
        let mut value = serde_yaml::to_value(&self.yaml).expect("a task's fields are all YAML");
        if let Some(target) = &self.yaml.target_database {
            super::unmask(&mut value, "target-database", target);
        }
        super::print(&value)
    }

    /// The part of one source.
    ///
    /// # Errors
    /// 20031 if the task does not name the source; 20037 if the source's own filters are not valid here.
    pub fn subtask(&self, source: &SourceConfig) -> Result<SubtaskConfig, DmError> {
        let Some(instance) = self.instances.iter().find(|i| i.source_id == source.source_id) else {
            return Err(code::CONFIG_SOURCE_ID_NOT_FOUND
                .error(format!(
                    "source {} is not in mysql-instances of task {}",
                    source.source_id,
                    self.name()
                ))
                .with_workaround("Add it to `mysql-instances` of the task, or leave its file out."));
        };
        let mut parts = self.parts(instance)?;
        // The source's own rules come after, except where the task has one of the same patterns.
        let own = self.filter_rules(instance)?;
        let more = source.yaml().filters.iter().filter(|rule| {
            !own.iter()
                .any(|o| o.schema_pattern == rule.schema_pattern && o.table_pattern == rule.table_pattern)
        });
        parts.filters = EventFilters::new(own.iter().copied().chain(more), self.yaml.case_sensitive)
            .map_err(|e| code::CONFIG_BINLOG_EVENT_FILTER.wrap("", &e))?;
        Ok(SubtaskConfig {
            task: self.name().into(),
            source_id: source.source_id.clone(),
            shard_mode: self.shard_mode,
            meta_schema: self.yaml.meta_schema.clone(),
            timezone: (!self.yaml.timezone.is_empty()).then(|| self.yaml.timezone.clone()),
            case_sensitive: self.yaml.case_sensitive,
            source: source.from.clone(),
            target: self.target.clone(),
            enable_gtid: source.enable_gtid,
            server_id: source.server_id,
            flavor: source.flavor,
            block_allow: parts.block_allow,
            router: parts.router,
            filters: parts.filters,
            online_ddl: parts.online_ddl,
            meta: self.meta(&source.source_id),
            syncer: parts.syncer,
            checker: source.checker.clone(),
        })
    }

    /// The block-allow-list of a source, as written.
    pub fn block_allow_rules(&self, source_id: &str) -> BlockAllowRules {
        let instance = self.instances.iter().find(|instance| instance.source_id == source_id);
        let name = instance.map_or("", list_name);
        self.yaml.block_allow_list.get(name).cloned().unwrap_or_default()
    }

    fn parts(&self, instance: &InstanceYaml) -> Result<Parts, DmError> {
        let case = self.yaml.case_sensitive;
        let name = list_name(instance);
        let rules = match name {
            "" => BlockAllowRules::default(),
            _ => self.block_allow_rules(&instance.source_id),
        };
        let block_allow =
            BlockAllowList::new(&rules, case).map_err(|e| code::CONFIG_GEN_BA_LIST.wrap("", &e))?;
        let routes: Vec<RouteRule> =
            instance.route_rules.iter().filter_map(|r| self.yaml.routes.get(&r.0)).cloned().collect();
        let router = Router::new(&routes, case, &instance.source_id)
            .map_err(|e| code::CONFIG_GEN_TABLE_ROUTER.wrap("", &e))?;
        let filters = EventFilters::new(self.filter_rules(instance)?, case)
            .map_err(|e| code::CONFIG_BINLOG_EVENT_FILTER.wrap("", &e))?;
        let online_ddl = if self.yaml.online_ddl {
            let text = |rules: &[Text]| rules.iter().map(|r| r.0.clone()).collect::<Vec<_>>();
            let rules =
                OnlineDdl::new(&text(&self.yaml.shadow_table_rules), &text(&self.yaml.trash_table_rules));
            Some(rules.map_err(|e| code::CONFIG_ONLINE_DDL_INVALID_REGEX.error(e))?)
        } else {
            None
        };
        let syncer = self.syncer(instance)?;
        Ok(Parts { block_allow, router, filters, online_ddl, syncer })
    }

    fn filter_rules(&self, instance: &InstanceYaml) -> Result<Vec<&super::yaml::FilterYaml>, DmError> {
        instance
            .filter_rules
            .iter()
            .map(|name| {
                self.yaml.filters.get(&name.0).ok_or_else(|| {
                    missing(&code::CONFIG_FILTER_RULE_NOT_FOUND, "filter", &name.0, &instance.source_id)
                })
            })
            .collect()
    }

    fn syncer(&self, instance: &InstanceYaml) -> Result<SyncerConfig, DmError> {
        let default = SyncerYaml::default();
        let yaml = match (&instance.syncer, instance.syncer_config_name.as_str()) {
            (Some(inline), _) => inline,
            (None, "") => &default,
            (None, name) => self.yaml.syncers.get(name).unwrap_or(&default),
        };
        let or = |value: u32, default: u32| (if value == 0 { default } else { value }) as usize;
        let flush = or(yaml.checkpoint_flush_interval, default.checkpoint_flush_interval) as u64;
        let duration: Duration = if yaml.safe_mode_duration.is_empty() {
            Duration::from_secs(2 * flush)
        } else {
            let parsed: GoDuration = yaml
                .safe_mode_duration
                .parse()
                .map_err(|e| code::CONFIG_INVALID_SAFE_MODE_DURATION.wrap("", &e))?;
            parsed.get()
        };
        if yaml.safe_mode && duration.is_zero() {
            return Err(code::CONFIG_CONFICT_SAFE_MODE_DURATION_AND_SAFE_MODE.error(""));
        }
        let workers = if instance.syncer_thread > 0 { instance.syncer_thread } else { yaml.worker_count };
        Ok(SyncerConfig {
            worker_count: or(workers, default.worker_count),
            batch: or(yaml.batch, default.batch),
            queue_size: or(yaml.queue_size, default.queue_size),
            checkpoint_flush_interval: Duration::from_secs(flush),
            compact: yaml.compact,
            multiple_rows: yaml.multiple_rows,
            safe_mode: yaml.safe_mode,
            safe_mode_duration: duration,
            async_flush: self.yaml.experimental.async_checkpoint_flush,
        })
    }

    fn check_references(&self, instance: &InstanceYaml) -> Result<(), DmError> {
        let id = &instance.source_id;
        type Known<'a> = &'a dyn Fn(&str) -> bool;
        let lists: [(&[Text], &'static DmCode, &str, Known<'_>); 3] = [
            (&instance.route_rules, &code::CONFIG_ROUTE_RULE_NOT_FOUND, "route", &|n| {
                self.yaml.routes.contains_key(n)
            }),
            (&instance.filter_rules, &code::CONFIG_FILTER_RULE_NOT_FOUND, "filter", &|n| {
                self.yaml.filters.contains_key(n)
            }),
            (&instance.expression_filters, &code::CONFIG_EXPR_FILTER_NOT_FOUND, "expression-filter", &|n| {
                self.yaml.expression_filter.contains_key(n)
            }),
        ];
        for (names, row, kind, known) in lists {
            let mut seen = BTreeSet::new();
            for name in names {
                if !known(&name.0) {
                    return Err(missing(row, kind, &name.0, id));
                }
                if !seen.insert(&name.0) {
                    return Err(code::CONFIG_DUPLICATE_CFG_ITEM
                        .error(format!("source {id} names {kind} rule `{}` twice", name.0)));
                }
            }
        }
        let y = &self.yaml;
        let singles: [(&str, bool, &'static DmCode, &str); 5] = [
            (
                list_name(instance),
                y.block_allow_list.contains_key(list_name(instance)),
                &code::CONFIG_BA_LIST_NOT_FOUND,
                "block-allow-list",
            ),
            (
                &instance.mydumper_config_name,
                y.mydumpers.contains_key(&instance.mydumper_config_name),
                &code::CONFIG_MYDUMPER_CFG_NOT_FOUND,
                "mydumpers",
            ),
            (
                &instance.loader_config_name,
                y.loaders.contains_key(&instance.loader_config_name),
                &code::CONFIG_LOADER_CFG_NOT_FOUND,
                "loaders",
            ),
            (
                &instance.syncer_config_name,
                y.syncers.contains_key(&instance.syncer_config_name),
                &code::CONFIG_SYNCER_CFG_NOT_FOUND,
                "syncers",
            ),
            (
                &instance.validator_config_name,
                y.validators.contains_key(&instance.validator_config_name),
                &code::CONTINUOUS_VALIDATOR_CFG_NOT_FOUND,
                "validators",
            ),
        ];
        for (name, known, row, kind) in singles {
            if !name.is_empty() && !known {
                return Err(missing(row, kind, name, id));
            }
        }
        self.refuse_what_is_not_done(instance)
    }

    /// What DM does and we do not yet: named, so that nobody takes silence for consent.
    fn refuse_what_is_not_done(&self, instance: &InstanceYaml) -> Result<(), DmError> {
        if let Some(name) = instance.expression_filters.first() {
            return Err(code::CONFIG_EXPR_FILTER_WRONG_GRAMMAR
                .error(format!("expression-filter `{}`: expression filters are not supported yet", name.0))
                .with_workaround("Remove it from `expression-filters` of the source."));
        }
        let validator = self.yaml.validators.get(&instance.validator_config_name);
        if let Some(validator) = validator.filter(|v| v.mode != "none") {
            return Err(code::CONFIG_VALIDATION_MODE
                .error(format!("validator mode `{}` is not supported yet", validator.mode))
                .with_workaround("Use mode none, and compare with `rsync-dm verify`."));
        }
        if self
            .target
            .session_variable("foreign_key_checks")
            .is_some_and(|v| !matches!(v, "0" | "OFF" | "off"))
        {
            return Err(code::CONFIG_FOREIGN_KEY_CHECKS
                .error("target-database.session: foreign_key_checks=1 is not supported yet: rows are applied in parallel, not in the order of the keys")
                .with_workaround("Leave `foreign_key_checks` out."));
        }
        Ok(())
    }

    fn check_unused(&self) -> Result<(), DmError> {
        let used = |pick: &dyn Fn(&InstanceYaml) -> Vec<String>| -> BTreeSet<String> {
            self.instances.iter().flat_map(pick).collect()
        };
        fn names(list: &[Text]) -> Vec<String> {
            list.iter().map(|t| t.0.clone()).collect()
        }
        fn unused<T>(kind: &str, map: &BTreeMap<String, T>, used: &BTreeSet<String>, out: &mut Vec<String>) {
            out.extend(map.keys().filter(|k| !used.contains(*k)).map(|k| format!("{kind} {k}")));
        }
        let y = &self.yaml;
        let mut out = Vec::new();
        unused("routes", &y.routes, &used(&|i| names(&i.route_rules)), &mut out);
        unused("filters", &y.filters, &used(&|i| names(&i.filter_rules)), &mut out);
        unused("block-allow-list", &y.block_allow_list, &used(&|i| vec![list_name(i).into()]), &mut out);
        unused("mydumpers", &y.mydumpers, &used(&|i| vec![i.mydumper_config_name.clone()]), &mut out);
        unused("loaders", &y.loaders, &used(&|i| vec![i.loader_config_name.clone()]), &mut out);
        unused("syncers", &y.syncers, &used(&|i| vec![i.syncer_config_name.clone()]), &mut out);
        unused("expression-filter", &y.expression_filter, &used(&|i| names(&i.expression_filters)), &mut out);
        unused("validators", &y.validators, &used(&|i| vec![i.validator_config_name.clone()]), &mut out);
        if out.is_empty() {
            return Ok(());
        }
        Err(code::CONFIG_GLOBAL_CONFIGS_UNUSED
            .error(format!("no source uses these configurations: {}", out.join(", "))))
    }
}

struct Parts {
    block_allow: BlockAllowList,
    router: Router,
    filters: EventFilters,
    online_ddl: Option<OnlineDdl>,
    syncer: SyncerConfig,
}

fn list_name(instance: &InstanceYaml) -> &str {
    if instance.block_allow_list.is_empty() { &instance.black_white_list } else { &instance.block_allow_list }
}

fn missing(row: &'static DmCode, kind: &str, name: &str, source: &str) -> DmError {
    row.error(format!("source {source} names {kind} `{name}`, which is not defined"))
}

fn check_name(name: &str) -> Result<(), DmError> {
    if name.is_empty() {
        return Err(code::CONFIG_TASK_NAME_EMPTY.error(""));
    }
    if name.chars().count() > MAX_TASK_NAME {
        return Err(code::CONFIG_TASK_NAME_EMPTY
            .error(format!("the task name `{name}` is too long: the names of its state tables would have more than 64 characters"))
            .with_workaround(format!("Use at most {MAX_TASK_NAME} characters.")));
    }
    Ok(())
}

fn check_mode(mode: &str) -> Result<(), DmError> {
    match mode {
        "incremental" => Ok(()),
        "full" | "all" | "dump" | "load" | "load&sync" => Err(code::CONFIG_INVALID_TASK_MODE
            .error(format!("task-mode `{mode}` is not supported yet"))
            .with_workaround("Dump with rdump, load with rlightning, and use `task-mode: incremental` with the `meta` of `ctl meta-from`.")),
        _ => Err(code::CONFIG_INVALID_TASK_MODE.error(format!("task-mode `{mode}` is not valid"))),
    }
}

fn shard_mode(yaml: &TaskYaml) -> Result<ShardMode, DmError> {
    let mode = match yaml.shard_mode.as_str() {
        "" if yaml.is_sharding => ShardMode::Pessimistic,
        "" => ShardMode::None,
        "pessimistic" => ShardMode::Pessimistic,
        "optimistic" => {
            return Err(code::CONFIG_SHARD_MODE_NOT_SUPPORT
                .error("shard-mode `optimistic` is not supported yet")
                .with_workaround("Use `shard-mode: pessimistic`."));
        }
        other => {
            return Err(
                code::CONFIG_SHARD_MODE_NOT_SUPPORT.error(format!("shard-mode `{other}` is not valid"))
            );
        }
    };
    if yaml.strict_optimistic_shard_mode {
        return Err(code::CONFIG_STRICT_OPTIMISTIC_SHARD_MODE
            .error("`strict-optimistic-shard-mode: true` needs `shard-mode: optimistic`"));
    }
    Ok(mode)
}

fn check_words(yaml: &TaskYaml) -> Result<(), DmError> {
    match yaml.collation_compatible.as_str() {
        "loose" | "" => {}
        "strict" => {
            return Err(code::CONFIG_COLLATION_COMPATIBLE_NOT_SUPPORT
                .error("collation_compatible `strict` is not supported yet")
                .with_workaround("Use loose, and state collations in the DDL."));
        }
        other => {
            return Err(code::CONFIG_COLLATION_COMPATIBLE_NOT_SUPPORT
                .error(format!("collation_compatible `{other}` is not valid")));
        }
    }
    for item in &yaml.ignore_checking_items {
        if !CHECK_ITEMS.contains(&item.0.as_str()) {
            return Err(code::CONFIG_CHECK_ITEM_NOT_SUPPORT
                .error(format!("ignore-checking-items: `{}` is no check", item.0)));
        }
    }
    if !yaml.column_mappings.is_empty() {
        return Err(code::CONFIG_COLUMN_MAPPING_DEPRECATED.error(""));
    }
    if yaml.meta_schema.is_empty() {
        return Err(code::CONFIG_YAML_TRANSFORM.error("meta-schema is empty"));
    }
    Ok(())
}

fn check_online_ddl(yaml: &mut TaskYaml) -> Result<(), DmError> {
    match yaml.online_ddl_scheme.as_str() {
        "" => {}
        "gh-ost" | "pt" => yaml.online_ddl = true,
        other => {
            return Err(code::CONFIG_ONLINE_SCHEME_NOT_SUPPORT
                .error(format!("online-ddl-scheme `{other}` is not supported")));
        }
    }
    Ok(())
}

fn check_timezone(zone: &str) -> Result<(), DmError> {
    if zone.is_empty() || is_offset(zone) {
        return Ok(());
    }
    // Without a zone database on this machine the target alone can say whether it knows the name.
    let unknown = jiff::tz::TimeZone::get(zone).is_err() && !jiff::tz::db().is_definitively_empty();
    if unknown || zone.starts_with(['+', '-']) {
        return Err(code::CONFIG_INVALID_TIMEZONE.error(format!("timezone `{zone}` is not valid")));
    }
    Ok(())
}

/// `+08:00`, within what servers take.
fn is_offset(zone: &str) -> bool {
    let Some((sign, rest)) = zone.split_at_checked(1) else { return false };
    let Some((hours, minutes)) = rest.split_once(':') else { return false };
    let digits = |s: &str| (1..=2).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_digit());
    if !matches!(sign, "+" | "-") || !digits(hours) || !digits(minutes) || minutes.len() != 2 {
        return false;
    }
    let total = hours.parse::<u32>().unwrap_or(99) * 60 + minutes.parse::<u32>().unwrap_or(99);
    let limit = if sign == "+" { 14 * 60 } else { 13 * 60 + 59 };
    total <= limit && !minutes.starts_with(['6', '7', '8', '9'])
}

fn check_instances(yaml: &TaskYaml) -> Result<Vec<InstanceYaml>, DmError> {
    if yaml.mysql_instances.is_empty() {
        return Err(code::CONFIG_MYSQL_INSTS_AT_LEAST_ONE.error(""));
    }
    let mut seen = BTreeSet::new();
    let mut out = Vec::with_capacity(yaml.mysql_instances.len());
    for (i, instance) in yaml.mysql_instances.iter().enumerate() {
        let Some(instance) = instance else {
            return Err(code::CONFIG_MYSQL_INST_NOT_FOUND.error(format!("mysql-instances.{i} is empty")));
        };
        let id = &instance.source_id;
        if id.is_empty() {
            return Err(code::CONFIG_EMPTY_SOURCE_ID.error(format!("mysql-instances.{i} has no source-id")));
        }
        if instance.meta.as_ref().is_some_and(|m| m.binlog_name.is_empty() && m.binlog_gtid.is_empty()) {
            return Err(code::CONFIG_META_INVALID
                .error(format!("meta of source {id} has neither binlog-name nor binlog-gtid")));
        }
        if let Some(set) = instance.meta.as_ref().map(|m| m.binlog_gtid.trim()).filter(|set| !set.is_empty())
        {
            // Of which family the source is may not be known yet.
            let flavor = if set.contains(':') { Flavor::MySql } else { Flavor::MariaDb };
            GtidSet::parse(flavor, set).map_err(|e| {
                code::PARSE_GTID.wrap(format!("`meta` of source {id}: binlog-gtid `{set}`"), &e).with_workaround(
                    "Write it as in the dump's `metadata` (`uuid:1-9`, MariaDB `0-1-9`); `ctl meta-from` prints it.",
                )
            })?;
        }
        let conflicts: [(bool, &'static DmCode, &str); 3] = [
            (
                instance.mydumper.is_some() && !instance.mydumper_config_name.is_empty(),
                &code::CONFIG_MYDUMPER_CFG_CONFLICT,
                "mydumper",
            ),
            (
                instance.loader.is_some() && !instance.loader_config_name.is_empty(),
                &code::CONFIG_LOADER_CFG_CONFLICT,
                "loader",
            ),
            (
                instance.syncer.is_some() && !instance.syncer_config_name.is_empty(),
                &code::CONFIG_SYNCER_CFG_CONFLICT,
                "syncer",
            ),
        ];
        for (conflict, row, word) in conflicts {
            if conflict {
                return Err(row.error(format!(
                    "source {id} has both `{word}` and `{word}-config-name`, only one is allowed"
                )));
            }
        }
        if !seen.insert(id.clone()) {
            return Err(code::CONFIG_MYSQL_INST_SAME_SOURCE_ID
                .error(format!("mysql-instances names source {id} twice")));
        }
        out.push(instance.clone());
    }
    Ok(out)
}
