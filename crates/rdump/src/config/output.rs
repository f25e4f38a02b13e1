//! What the flags say of the files.

use common::dumpfile::{Compression, Format};
use common::size::parse_filesize_flag;

use super::{ConfigError, Flags, value_error};
use crate::csv::{CsvOptions, Dialect};
use crate::parquet;
use crate::template::Templates;

/// What is written to the data files.
#[derive(Debug, Clone)]
pub struct Output {
    /// SQL, CSV or Parquet.
    pub format: Format,
    /// Compression of all files but `metadata`.
    pub compression: Compression,
    /// Its level; `None` for the library's default.
    pub compress_level: Option<i32>,
    /// Names of files; `None` for Dumpling's.
    pub templates: Option<Templates>,
    /// FLOAT with the six digits that Dumpling writes.
    pub dumpling_bytes: bool,
    /// Files that any client loads exactly, and programs (triggers, routines, events), too.
    pub portable: bool,
    /// Columns that are generated and stored are written, too.
    pub stored_generated: bool,
    /// Column list in every INSERT.
    pub complete_insert: bool,
    /// Backslash escapes.
    pub escape_backslash: bool,
    /// Bytes of one INSERT, about; `u64::MAX` for no limit.
    pub statement_size: u64,
    /// Bytes of one file before compression, about; `None` for no limit.
    pub file_size: Option<u64>,
    /// CSV form.
    pub csv: CsvOptions,
    /// Parquet form.
    pub parquet: parquet::Options,
}

impl Output {
    /// Whether times are read in UTC: what Parquet calls an instant is one.
    pub fn in_utc(&self) -> bool {
        self.portable || (self.format == Format::Parquet && !self.parquet.text_times)
    }
}

/// All that is said of the files; `has_sql`: of one query's.
pub(super) fn output_form(
    flags: &Flags<'_>,
    has_sql: bool,
    warnings: &mut Vec<String>,
) -> Result<Output, ConfigError> {
    let format = format(flags, has_sql)?;
    let csv = csv(flags)?;
    let compress = flags.text("compress");
    let compression = Compression::from_flag(&compress)
        .ok_or_else(|| value_error(format!("unknown compress type {compress}")))?;
    let stored_generated = stored_generated(flags, format)?;
    let templates = templates(flags)?;
    let file_size = file_size(flags, warnings)?;
    let statement_size: u64 = flags.number("statement-size");
    Ok(Output {
        format,
        compression,
        compress_level: compress_level(flags, compression)?,
        templates,
        dumpling_bytes: flags.bool("dumpling-bytes"),
        portable: portable(flags, format)?,
        stored_generated,
        complete_insert: flags.bool("complete-insert"),
        escape_backslash: flags.bool("escape-backslash"),
        statement_size: if statement_size == 0 { u64::MAX } else { statement_size },
        file_size,
        csv,
        parquet: parquet_options(flags, format, compression)?,
    })
}

fn parquet_options(
    flags: &Flags<'_>,
    format: Format,
    compression: Compression,
) -> Result<parquet::Options, ConfigError> {
    const NAMES: [&str; 4] =
        ["parquet-page-size", "parquet-row-group-size", "parquet-compress", "parquet-times"];
    if let Some(name) = NAMES.iter().find(|name| format != Format::Parquet && flags.0.given(name)) {
        return Err(value_error(format!("--{name} is for --filetype parquet")));
    }
    let size = |name: &str, most: u64| {
        let text = flags.text(name);
        let size = parse_filesize_flag(&text).map(|(size, _)| size.bytes()).unwrap_or(0);
        usize::try_from(size).ok().filter(|_| (1..=most).contains(&size)).ok_or_else(|| {
            value_error(format!("--{name} is set to {text}. It is a size from 1B to {}MiB", most >> 20))
        })
    };
    let own = flags.text("parquet-compress");
    let own_compression = Compression::from_flag(&own).ok_or_else(|| {
        value_error(format!("unknown --parquet-compress {own}: no-compression, gzip, snappy or zstd"))
    })?;
    let given = flags.0.given("parquet-compress");
    let text_times = match flags.text("parquet-times").as_str() {
        "typed" => false,
        "text" => true,
        other => return Err(value_error(format!("unknown --parquet-times '{other}': typed or text"))),
    };
    if format == Format::Parquet && !text_times && asks_for_zone(flags) {
        return Err(value_error(
            "--filetype parquet writes instants in UTC: leave --params time_zone=... out, or write texts with --parquet-times=text",
        ));
    }
    Ok(parquet::Options {
        compression: if given { own_compression } else { compression },
        level: if given && own_compression != compression {
            None
        } else {
            compress_level(flags, compression)?
        },
        // Heads of pages count in 32 bits.
        page_bytes: size("parquet-page-size", 512 << 20)?,
        group_bytes: size("parquet-row-group-size", 1 << 40)?,
        text_times,
    })
}

fn asks_for_zone(flags: &Flags<'_>) -> bool {
    flags.0.all("params").iter().any(|pair| {
        pair.split_once('=').is_some_and(|(name, _)| name.trim().eq_ignore_ascii_case("time_zone"))
    })
}

fn format(flags: &Flags<'_>, has_sql: bool) -> Result<Format, ConfigError> {
    Ok(match flags.text("filetype").to_lowercase().as_str() {
        "" if has_sql => Format::Csv,
        "" => Format::Sql,
        "sql" if has_sql => {
            return Err(value_error(
                "unsupported config.FileType 'sql' when we specify --sql, please unset --filetype or set it to 'csv'",
            ));
        }
        "sql" => Format::Sql,
        "csv" => Format::Csv,
        "parquet" => Format::Parquet,
        other => return Err(value_error(format!("unknown config.FileType '{other}'"))),
    })
}

fn csv(flags: &Flags<'_>) -> Result<CsvOptions, ConfigError> {
    let raw_type = flags.text("filetype");
    let dialect = match flags.text("csv-output-dialect").as_str() {
        "" | "default" => Dialect::Raw,
        "snowflake" | "redshift" => Dialect::Hex,
        "bigquery" => Dialect::Base64,
        other => return Err(value_error(format!("unknown output dialect {other}"))),
    };
    if flags.0.given("csv-output-dialect") && raw_type != "csv" {
        return Err(value_error(format!(
            "csv-output-dialect is only supported when dumping whole table to csv, not compatible with {raw_type}"
        )));
    }
    let separator = flags.text("csv-separator");
    if separator.is_empty() {
        return Err(value_error("--csv-separator is set to \"\". It must not be an empty string"));
    }
    Ok(CsvOptions {
        separator: separator.into_bytes(),
        delimiter: flags.text("csv-delimiter").into_bytes(),
        null: flags.text("csv-null-value").into_bytes(),
        terminator: flags.text("csv-line-terminator").into_bytes(),
        header: !flags.bool("no-header"),
        escape_backslash: flags.bool("escape-backslash"),
        dialect,
    })
}

fn stored_generated(flags: &Flags<'_>, format: Format) -> Result<bool, ConfigError> {
    Ok(match flags.text("include-generated-columns").as_str() {
        "" | "none" => false,
        "stored" if format == Format::Sql => {
            return Err(value_error(
                "--include-generated-columns=stored is for --filetype csv and parquet: no server takes values for generated columns \
                 from an INSERT",
            ));
        }
        "stored" => true,
        other => {
            return Err(value_error(format!(
                "unknown --include-generated-columns '{other}': none or stored"
            )));
        }
    })
}

fn templates(flags: &Flags<'_>) -> Result<Option<Templates>, ConfigError> {
    let template = flags.optional("output-filename-template");
    let templates = template.map(|text| {
        Templates::parse(&text).map_err(|error| {
            value_error(format!(
                "failed to parse output filename template (--output-filename-template '{text}'): {error}"
            ))
        })
    });
    templates.transpose()
}

fn file_size(flags: &Flags<'_>, warnings: &mut Vec<String>) -> Result<Option<u64>, ConfigError> {
    let Some(text) = flags.optional("filesize") else { return Ok(None) };
    let (size, no_unit) = parse_filesize_flag(&text)
        .map_err(|_| value_error(format!("failed to parse filesize (-F '{text}')")))?;
    if no_unit {
        warnings.push(format!(
            "Warning: -F without unit is not recommended, try using `-F '{text}MiB'` in the future"
        ));
    }
    Ok(Some(size.bytes()).filter(|&bytes| bytes > 0))
}

/// `--compress-level`, which fits the compression.
fn compress_level(flags: &Flags<'_>, compression: Compression) -> Result<Option<i32>, ConfigError> {
    let Some(text) = flags.optional("compress-level") else { return Ok(None) };
    let (name, levels) = match compression {
        Compression::Gzip => ("gzip", 0..=9),
        Compression::Zstd => ("zstd", 1..=22),
        Compression::Snappy | Compression::None => {
            return Err(value_error("--compress-level needs --compress gzip or zstd"));
        }
    };
    match text.parse() {
        Ok(level) if levels.contains(&level) => Ok(Some(level)),
        _ => Err(value_error(format!(
            "--compress-level is set to {text}. For {name} it lies between {} and {}",
            levels.start(),
            levels.end()
        ))),
    }
}

fn portable(flags: &Flags<'_>, format: Format) -> Result<bool, ConfigError> {
    if !flags.bool("portable") {
        return Ok(false);
    }
    if format != Format::Sql {
        return Err(value_error(
            "--portable is for SQL files, not for --filetype csv, --filetype parquet or --sql",
        ));
    }
    if flags.bool("dumpling-bytes") {
        return Err(value_error(
            "--portable writes exact values and --dumpling-bytes does not: leave one out",
        ));
    }
    if !flags.bool("escape-backslash") {
        // Nothing but a backslash hides a NUL and a CR from the clients.
        return Err(value_error(
            "--portable sets the sql_mode in its files, so that backslashes escape on every target: leave \
             --escape-backslash=false out",
        ));
    }
    if asks_for_zone(flags) {
        return Err(value_error("--portable writes times in UTC: leave --params time_zone=... out"));
    }
    Ok(true)
}
