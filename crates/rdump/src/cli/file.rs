//! `--config FILE`: flags from a TOML file. Keys are the names of flags without dashes before them; what is given on the command
//! line wins.

use super::flags::FLAGS;
use super::pflag::{self, Kind, Parsed, PflagError};

/// Why a file can't be used.
#[derive(Debug, thiserror::Error)]
#[error("--config {file}: {what}")]
pub struct FileError {
    file: String,
    what: String,
}

/// Puts the flags of the file behind those of the command line.
///
/// # Errors
/// A file that can't be read, an unknown key, a value that does not fit.
pub fn with_file(args: &[String], parsed: Parsed) -> Result<Parsed, FileError> {
    let Some(file) = parsed.last("config").map(str::to_owned) else { return Ok(parsed) };
    let wrong = |what: String| FileError { file: file.clone(), what };
    let bytes = std::fs::read(&file).map_err(|error| wrong(error.to_string()))?;
    let text = String::from_utf8(bytes)
        .map_err(|error| wrong(format!("it is not UTF-8: {}", error.utf8_error())))?;
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| wrong(error.to_string()))?;
    let mut all = Vec::new();
    for (key, value) in &table {
        let Some(flag) = FLAGS.iter().find(|flag| flag.name == key && key != "config") else {
            let near =
                pflag::nearest(FLAGS, key).map_or_else(String::new, |near| format!("; did you mean {near}?"));
            return Err(wrong(format!("unknown key `{key}`{near}")));
        };
        if parsed.given(flag.name) {
            continue;
        }
        values(flag.kind, value, &mut |value| all.push(format!("--{key}={value}")))
            .ok_or_else(|| wrong(format!("`{key}` takes {}", expected(flag.kind))))?;
    }
    all.extend(args.iter().cloned());
    pflag::parse(FLAGS, &all).map_err(|error: PflagError| wrong(error.to_string()))
}

/// The values of a key as flags take them; `None` if the kind does not fit.
fn values(kind: Kind, value: &toml::Value, give: &mut dyn FnMut(String)) -> Option<()> {
    // Values of lists are read as CSV records.
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    match (kind, value) {
        (Kind::Bool, toml::Value::Boolean(value)) => give(value.to_string()),
        (Kind::Int | Kind::Uint | Kind::UintOrAuto, toml::Value::Integer(value)) => give(value.to_string()),
        (Kind::Text | Kind::Duration | Kind::UintOrAuto, toml::Value::String(text)) => give(text.clone()),
        (Kind::List, toml::Value::String(text)) => give(quoted(text)),
        (Kind::List, toml::Value::Array(items)) => {
            for item in items {
                give(quoted(item.as_str()?));
            }
        }
        (Kind::Texts, toml::Value::Array(items)) => {
            for item in items {
                give(item.as_str().map_or_else(|| item.to_string(), str::to_owned));
            }
        }
        (Kind::Map, toml::Value::Table(pairs)) => {
            for (name, value) in pairs {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                give(quoted(&format!("{name}={text}")));
            }
        }
        _ => return None,
    }
    Some(())
}

fn expected(kind: Kind) -> &'static str {
    match kind {
        Kind::Bool => "true or false",
        Kind::Int | Kind::Uint => "a number",
        Kind::UintOrAuto => "a number or \"auto\"",
        Kind::Text => "a string",
        Kind::Duration => "a string such as \"30s\"",
        Kind::List => "a string or a list of strings",
        Kind::Texts => "a list",
        Kind::Map => "a table of names and values",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, args: &[&str]) -> Result<Parsed, String> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("rdump.toml");
        std::fs::write(&file, text).unwrap();
        let mut args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
        args.push(format!("--config={}", file.display()));
        let parsed = pflag::parse(FLAGS, &args).map_err(|error| error.to_string())?;
        with_file(&args, parsed).map_err(|error| error.to_string())
    }

    #[test]
    fn the_command_line_wins() {
        let text = "host = 'db1'\nport = 3306\nrows = 'auto'\nfilter = ['a.*', '!a.b,c\"d']\nno-views = false\n\
                    max-load = { Threads_running = 25, lag = 3 }\nthreads = 8\ncolumn-filter = [{ matcher = ['a.b'], columns = ['c'] }]\n";
        let parsed = read(text, &["-t", "2"]).unwrap();
        assert_eq!(
            (parsed.last("host"), parsed.last("port"), parsed.last("threads")),
            (Some("db1"), Some("3306"), Some("2"))
        );
        assert_eq!(parsed.all("filter"), ["a.*", "!a.b,c\"d"]);
        assert_eq!(parsed.all("max-load"), ["Threads_running=25", "lag=3"]);
        assert_eq!((parsed.last("no-views"), parsed.last("rows")), (Some("false"), Some("auto")));
        assert!(parsed.last("column-filter").unwrap().contains("matcher"));
        assert_eq!(
            read(text, &["-f", "x.y"]).unwrap().all("filter"),
            ["x.y"],
            "a list is replaced, not joined"
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, what) in [
            ("thread = 4", "unknown key `thread`; did you mean threads?"),
            ("threads = 'many'", "`threads` takes a number"),
            ("filter = [1]", "`filter` takes a string or a list of strings"),
            ("[tidb]\nhost = 'x'", "unknown key `tidb`"),
            ("host = ", "TOML parse error at line 1"),
            ("port = 99999999999999999999", "line 1"),
            ("config = 'x'", "unknown key `config`"),
        ] {
            let error = read(text, &[]).unwrap_err();
            assert!(error.contains(what), "{text}: {error}");
        }
        let args = vec!["--config=/no/such/file".to_owned()];
        let parsed = pflag::parse(FLAGS, &args).unwrap();
        assert!(with_file(&args, parsed).unwrap_err().to_string().contains("/no/such/file: No such file"));
    }

    proptest::proptest! {
        #[test]
        fn no_arguments_panic(args in proptest::collection::vec("[-=a-zA-Z0-9,\".]{0,12}", 0..6), any in ".{0,40}") {
            let _ = pflag::parse(FLAGS, &args);
            let _ = pflag::parse(FLAGS, &["-f".into(), any.clone()]);
            let _ = pflag::parse(FLAGS, &["--params".into(), any]);
        }
    }
}
