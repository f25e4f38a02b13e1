//! Command line: raw arguments in, checked [`Config`](crate::config::Config) out.

pub mod file;
pub mod flags;
pub mod pflag;
pub mod wipe;

/// The flags as clap knows them, for completions, man pages and the option table. Parsing is [`pflag`]'s, which follows the
/// grammar of Dumpling's library where clap's differs.
pub fn command() -> clap::Command {
    let about = "Dumps MySQL, MariaDB and TiDB into the files of Dumpling";
    let command = clap::Command::new("rdump").about(about).disable_help_flag(true);
    flags::FLAGS.iter().filter(|flag| !flag.hidden).fold(command, |command, flag| command.arg(arg(flag)))
}

fn arg(flag: &pflag::Flag) -> clap::Arg {
    use clap::ArgAction;
    use pflag::Kind;
    let arg = clap::Arg::new(flag.name).long(flag.name).help(flag.help).help_heading(flag.group);
    let arg = match flag.short {
        Some(short) => arg.short(short),
        None => arg,
    };
    let arg = match flag.kind {
        Kind::Bool => arg.action(ArgAction::SetTrue),
        Kind::Text => arg.value_name("TEXT"),
        Kind::Texts => arg.value_name("TEXT").action(ArgAction::Append),
        Kind::Int | Kind::Uint => arg.value_name("NUMBER"),
        Kind::UintOrAuto => arg.value_name("NUMBER|auto"),
        Kind::Duration => arg.value_name("DURATION"),
        Kind::List => arg.value_name("LIST").action(ArgAction::Append),
        Kind::Map => arg.value_name("KEY=VALUE").action(ArgAction::Append),
    };
    match flag.default {
        "" => arg,
        _ if flag.kind == Kind::Bool => arg,
        // Pages take no bare control characters.
        "\r\n" => arg.default_value("\\r\\n"),
        default => arg.default_value(default),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_is_sound() {
        super::command().debug_assert();
    }
}
