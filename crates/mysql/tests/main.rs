//! Tests on real servers.

mod conn_login;
mod conn_privileges;
mod conn_server;
mod conn_statements;
mod wire_binlog;
mod wire_cleartext;
mod wire_login;
mod wire_rows;
