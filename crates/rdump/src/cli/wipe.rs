//! Wipes the password from the process list.
//!
//! `ps` shows the memory in which the kernel passed the arguments. Its place stands in `/proc/self/stat`, and it can
//! be overwritten through `/proc/self/mem`, without unsafe code. Where `/proc` is missing nothing happens: the
//! password then stays as visible as with any other tool.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use super::pflag::{Flag, Kind};

/// Names of flags whose value is secret.
const SECRET: [&str; 4] = ["password", "azblob.account-key", "azblob.sas-token", "azblob.encryption-key"];
/// Names of flags whose value is a URL with secrets among its parameters.
const URL: &str = "output";

/// Overwrites the values of secret flags with `x`. Call it after the arguments were copied, before threads start.
pub fn wipe_arguments(flags: &[Flag], args: &[String]) {
    let Ok(stat) = fs::read_to_string("/proc/self/stat") else { return };
    // Fields after the command name, which is in parentheses and may hold anything.
    let Some((_, fields)) = stat.rsplit_once(')') else { return };
    let mut fields = fields.split_ascii_whitespace().skip(45);
    let number = |text: Option<&str>| text.and_then(|text| text.parse::<u64>().ok());
    let (Some(start), Some(end)) = (number(fields.next()), number(fields.next())) else { return };
    if start == 0 || end <= start || end - start > 1 << 24 {
        return;
    }
    let Ok(memory) = File::options().read(true).write(true).open("/proc/self/mem") else { return };
    let mut bytes = vec![0; (end - start) as usize];
    if memory.read_exact_at(&mut bytes, start).is_err() {
        return;
    }
    // The memory holds all arguments, the program's name first, each ended by a zero byte.
    let mut offset = match bytes.iter().position(|&b| b == 0) {
        Some(at) => at + 1,
        None => return,
    };
    let ranges = secret_ranges(flags, args);
    for (i, arg) in args.iter().enumerate() {
        for range in ranges.iter().filter(|range| range.arg == i) {
            let place = offset + range.from..offset + arg.len();
            // Only what is known to be our argument is touched.
            if bytes.get(place.clone()) == Some(&arg.as_bytes()[range.from..]) {
                let _ = memory.write_all_at(&vec![b'x'; place.len()], start + place.start as u64);
            }
        }
        offset += arg.len() + 1;
    }
}

/// Part of an argument that is secret: from a byte to its end.
#[derive(Debug, PartialEq, Eq)]
struct SecretRange {
    arg: usize,
    from: usize,
    is_url: bool,
}

fn secret_ranges(flags: &[Flag], args: &[String]) -> Vec<SecretRange> {
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
    out.into_iter().filter_map(|range| hidden_part(range, args)).collect()
}

/// Of a URL the place stays to be seen, its parameters do not.
fn hidden_part(range: SecretRange, args: &[String]) -> Option<SecretRange> {
    if !range.is_url {
        return Some(range);
    }
    let at = args[range.arg].get(range.from..)?.find('?')?;
    Some(SecretRange { from: range.from + at + 1, ..range })
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
