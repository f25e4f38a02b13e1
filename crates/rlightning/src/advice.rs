//! Commands that messages tell the user to type: with everything this run was given, so that they work as they stand.

use std::path::Path;

use common::ident::TableName;

use crate::cli::Flags;

/// How this program was called, as far as `ctl` has to be called the same way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    call: String,
}

impl Advice {
    /// For this process.
    pub fn new(flags: &Flags) -> Self {
        let program = std::env::args_os().next().map_or_else(
            || "rlightning".into(),
            |name| match Path::new(&name).file_name() {
                // Found through PATH, or called by the name of the real tool: the subcommand is the same.
                Some(_) => name.to_string_lossy().into_owned(),
                None => "rlightning".into(),
            },
        );
        Self::of(&program, flags)
    }

    fn of(program: &str, flags: &Flags) -> Self {
        let mut call = format!("{} ctl", shell(program));
        let mut add = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                call.push_str(&format!(" -{name} {}", shell(&value)));
            }
        };
        add("config", flags.config.as_ref().map(|path| path.display().to_string()));
        // Its parameters may be keys.
        let shown = |url: &String| common::storage::without_parameters(url).to_owned();
        add("d", flags.source_dir.as_ref().map(shown));
        add("backend", flags.backend.clone());
        add("tidb-host", flags.tidb_host.clone());
        add("tidb-port", flags.tidb_port.map(|port| port.to_string()));
        add("tidb-user", flags.tidb_user.clone());
        for (name, path) in [("ca", &flags.ca), ("cert", &flags.cert), ("key", &flags.key)] {
            add(name, path.clone());
        }
        if flags.tidb_password.is_some() {
            // It is not repeated in logs; the shell asks for it.
            call.push_str(" -tidb-password \"$PASSWORD\"");
        }
        Self { call }
    }

    /// The call that forgets what was imported into a table.
    pub fn remove(&self, table: &TableName) -> String {
        format!("`{} -checkpoint-remove={}`", self.call, shell(&table.quoted()))
    }

    /// The call that forgets everything that was imported from this source.
    pub fn remove_all(&self) -> String {
        format!("`{} -checkpoint-remove=all`", self.call)
    }

    /// The call that takes a table as it is.
    pub fn accept(&self, table: &TableName) -> String {
        format!("`{} -checkpoint-error-ignore={}`", self.call, shell(&table.quoted()))
    }
}

/// A word for a POSIX shell.
fn shell(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./:@%+=,".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_a_shell_takes() {
        let flags = Flags {
            config: Some("/a b/c.toml".into()),
            tidb_port: Some(4000),
            tidb_password: Some("secret".into()),
            ..Flags::default()
        };
        let advice = Advice::of("./rlightning", &flags);
        let call = advice.remove(&TableName::new("it's", "t"));
        assert_eq!(
            call,
            "`./rlightning ctl -config '/a b/c.toml' -tidb-port 4000 -tidb-password \"$PASSWORD\" \
             -checkpoint-remove='`it'\\''s`.`t`'`"
        );
        assert_eq!(
            Advice::of("rlightning", &Flags::default()).remove_all(),
            "`rlightning ctl -checkpoint-remove=all`"
        );
    }
}
