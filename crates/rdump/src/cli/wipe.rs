//! Which arguments are secret: they are wiped from the process list.

use common::args::{Hidden, parameters_of_url};

use super::pflag::{Flag, Kind};

/// Names of flags whose value is secret.
const SECRET: [&str; 4] = ["password", "azblob.account-key", "azblob.sas-token", "azblob.encryption-key"];
/// Names of flags whose value is a URL with secrets among its parameters.
const URL: &str = "output";

/// Overwrites the values of secret flags with `x`. Call it after the arguments were copied.
pub fn wipe_arguments(flags: &[Flag], args: &[String]) {
    common::args::wipe(args, &secret_ranges(flags, args));
}

/// The value of a flag, from a byte of an argument to its end.
struct SecretRange {
    arg: usize,
    from: usize,
    is_url: bool,
}

fn secret_ranges(flags: &[Flag], args: &[String]) -> Vec<Hidden> {
    let mut out = Vec::new();
    let is_secret = |flag: &Flag| SECRET.contains(&flag.name) || flag.name == URL;
    let mut i = 0;
    while i < args.len() {
        let arg = &args[i];
        if arg == "--" {
            break;
        }
        if let Some(long) = arg.strip_prefix("--") {
            let name = long.split('=').next().unwrap_or(long);
            if let Some(flag) = flags.iter().find(|flag| flag.name == name) {
                let has_value = name.len() < long.len();
                let is_url = flag.name == URL;
                if is_secret(flag) {
                    out.push(match has_value {
                        true => SecretRange { arg: i, from: 2 + name.len() + 1, is_url },
                        false => SecretRange { arg: i + 1, from: 0, is_url },
                    });
                }
                if !has_value && flag.kind != Kind::Bool {
                    i += 1;
                }
            }
        } else if arg.len() > 1 && arg.starts_with('-') {
            for (at, short) in arg.char_indices().skip(1) {
                let Some(flag) = flags.iter().find(|flag| flag.short == Some(short)) else { break };
                let tail = at + short.len_utf8();
                if flag.kind == Kind::Bool {
                    continue;
                }
                let from = if arg[tail..].starts_with('=') { tail + 1 } else { tail };
                let is_url = flag.name == URL;
                match (is_secret(flag), tail < arg.len()) {
                    (true, true) => out.push(SecretRange { arg: i, from, is_url }),
                    (true, false) => out.push(SecretRange { arg: i + 1, from: 0, is_url }),
                    _ => {}
                }
                if tail == arg.len() {
                    i += 1;
                }
                break;
            }
        }
        i += 1;
    }
    out.retain(|range| range.arg < args.len());
    out.into_iter().filter_map(|range| hidden_part(&range, args)).collect()
}

/// Of a URL the place stays to be seen, its parameters do not.
fn hidden_part(range: &SecretRange, args: &[String]) -> Option<Hidden> {
    let SecretRange { arg, from, is_url } = *range;
    let skip = if is_url { parameters_of_url(args[arg].get(from..)?)? } else { 0 };
    Some(Hidden { arg, from: from + skip })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::flags::FLAGS;

    #[test]
    fn every_spelling_of_the_password_is_found() {
        for (args, expected) in [
            (&["-p", "s"][..], &[(1, 0)][..]),
            (&["-ps"], &[(0, 2)]),
            (&["-p=s"], &[(0, 3)]),
            (&["-dps"], &[(0, 3)]),
            (&["--password", "s"], &[(1, 0)]),
            (&["--password=s"], &[(0, 11)]),
            (&["-u", "-p", "x"], &[]),
            (&["--", "-p", "s"], &[]),
            (&["-p"], &[]),
            (&["-o", "s3://b/p?secret-access-key=s"], &[(1, 9)]),
            (&["-os3://b?k=s"], &[(0, 9)]),
            (&["--output=s3://b/p", "-o", "/x"], &[]),
            (&["-t2", "-p", "a", "-p", "b"], &[(2, 0), (4, 0)]),
        ] {
            let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
            let found: Vec<_> = secret_ranges(FLAGS, &args).iter().map(|r| (r.arg, r.from)).collect();
            assert_eq!(found, expected, "{args:?}");
        }
    }
}
