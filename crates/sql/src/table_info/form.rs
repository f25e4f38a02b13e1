//! The JSON objects as TiDB's Go structures write them.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// Bits of `Flag`.
pub(super) mod flag {
    pub const NOT_NULL: u64 = 1;
    pub const PRIMARY: u64 = 2;
    pub const UNIQUE: u64 = 4;
    pub const MULTIPLE: u64 = 8;
    pub const UNSIGNED: u64 = 32;
    pub const ZEROFILL: u64 = 64;
    pub const BINARY: u64 = 128;
    pub const AUTO_INCREMENT: u64 = 512;
    pub const NO_DEFAULT: u64 = 4096;
    pub const ON_UPDATE_NOW: u64 = 8192;
}

/// Everything is public in TiDB's sense.
pub(super) const PUBLIC: u8 = 5;
/// Length of a type without one.
pub(super) const UNSPECIFIED: i64 = -1;

/// A name with its lower-case form. Old data holds the bare name.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Name {
    #[serde(rename = "O")]
    pub(super) original: String,
    #[serde(rename = "L")]
    pub(super) lower: String,
}

impl Name {
    pub(super) fn new(text: &str) -> Self {
        Self { original: text.to_owned(), lower: text.to_lowercase() }
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Pair {
                #[serde(rename = "O")]
                original: String,
            },
            Bare(String),
        }
        let original = match Form::deserialize(deserializer)? {
            Form::Pair { original } | Form::Bare(original) => original,
        };
        Ok(Name::new(&original))
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct TypeInfo {
    #[serde(rename = "Tp")]
    pub(super) code: u8,
    #[serde(rename = "Flag")]
    pub(super) flag: u64,
    #[serde(rename = "Flen")]
    pub(super) length: i64,
    #[serde(rename = "Decimal")]
    pub(super) decimal: i64,
    #[serde(rename = "Charset")]
    pub(super) charset: String,
    #[serde(rename = "Collate")]
    pub(super) collate: String,
    #[serde(rename = "Elems")]
    pub(super) elems: Option<Vec<String>>,
    #[serde(rename = "ElemsIsBinaryLit")]
    pub(super) elems_is_binary: Option<Vec<bool>>,
    #[serde(rename = "Array")]
    pub(super) array: bool,
}

impl Default for TypeInfo {
    fn default() -> Self {
        Self {
            code: 0,
            flag: 0,
            length: UNSPECIFIED,
            decimal: UNSPECIFIED,
            charset: String::new(),
            collate: String::new(),
            elems: None,
            elems_is_binary: None,
            array: false,
        }
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct ColumnInfo {
    pub(super) id: u32,
    pub(super) name: Name,
    pub(super) offset: usize,
    pub(super) origin_default: Value,
    pub(super) origin_default_bit: Option<String>,
    #[serde(rename = "default")]
    pub(super) default_value: Value,
    pub(super) default_bit: Option<String>,
    pub(super) default_is_expr: bool,
    pub(super) generated_expr_string: String,
    pub(super) generated_stored: bool,
    pub(super) dependences: Value,
    #[serde(rename = "type")]
    pub(super) ty: TypeInfo,
    pub(super) state: u8,
    pub(super) comment: String,
    pub(super) hidden: bool,
    pub(super) change_state_info: Value,
    pub(super) version: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct IndexColumn {
    pub(super) name: Name,
    #[serde(default)]
    pub(super) offset: usize,
    pub(super) length: i64,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct IndexInfo {
    pub(super) id: u32,
    pub(super) idx_name: Name,
    pub(super) tbl_name: Name,
    pub(super) idx_cols: Vec<IndexColumn>,
    pub(super) state: u8,
    pub(super) backfill_state: u8,
    pub(super) comment: String,
    pub(super) index_type: u8,
    pub(super) is_unique: bool,
    pub(super) is_primary: bool,
    pub(super) is_invisible: bool,
    pub(super) is_global: bool,
    pub(super) mv_index: bool,
    pub(super) vector_index: Value,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct TableInfo {
    pub(super) id: i64,
    pub(super) name: Name,
    pub(super) charset: String,
    pub(super) collate: String,
    pub(super) cols: Option<Vec<ColumnInfo>>,
    pub(super) index_info: Option<Vec<IndexInfo>>,
    pub(super) constraint_info: Value,
    pub(super) fk_info: Value,
    pub(super) state: u8,
    pub(super) pk_is_handle: bool,
    pub(super) is_common_handle: bool,
    pub(super) common_handle_version: u16,
    pub(super) comment: String,
    pub(super) auto_inc_id: i64,
    pub(super) auto_id_cache: i64,
    pub(super) auto_rand_id: i64,
    pub(super) max_col_id: u32,
    pub(super) max_idx_id: u32,
    pub(super) max_fk_id: i64,
    pub(super) max_cst_id: i64,
    pub(super) update_timestamp: u64,
    #[serde(rename = "ShardRowIDBits")]
    pub(super) shard_row_id_bits: u64,
    pub(super) max_shard_row_id_bits: u64,
    pub(super) auto_random_bits: u64,
    pub(super) auto_random_range_bits: u64,
    pub(super) pre_split_regions: u64,
    pub(super) partition: Value,
    pub(super) compression: String,
    pub(super) view: Value,
    pub(super) sequence: Value,
    #[serde(rename = "Lock")]
    pub(super) lock: Value,
    pub(super) version: u16,
    pub(super) tiflash_replica: Value,
    pub(super) is_columnar: bool,
    pub(super) temp_table_type: u8,
    pub(super) cache_table_status: i64,
    pub(super) policy_ref_info: Value,
    pub(super) stats_options: Value,
    pub(super) exchange_partition_info: Value,
    pub(super) ttl_info: Value,
    pub(super) revision: u64,
    /// Ours; TiDB passes over what it does not know.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) hidden_period: bool,
}
