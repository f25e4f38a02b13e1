//! Tests of the crate over texts, golden data and real servers.

mod json_doubles;
mod rename;
mod robust;
mod schema;
mod servers;
mod table_info;
