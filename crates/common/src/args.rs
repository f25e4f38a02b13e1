//! The arguments of a process, and what of them `ps` shows.
//!
//! `ps` shows the memory in which the kernel passed the arguments. Its place stands in `/proc/self/stat`, and it can
//! be overwritten through `/proc/self/mem`, without unsafe code. Where `/proc` is missing nothing happens: a
//! password then stays as visible as with any other tool.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;

/// The arguments after the program's name.
///
/// # Errors
/// Names the first one that is not UTF-8.
pub fn utf8() -> Result<Vec<String>, String> {
    let text = |arg: std::ffi::OsString| {
        arg.into_string().map_err(|arg| format!("argument {:?} is not UTF-8", arg.to_string_lossy()))
    };
    std::env::args_os().skip(1).map(text).collect()
}

/// Part of an argument that is secret: from a byte to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hidden {
    /// Number of the argument, from 0 behind the program's name.
    pub arg: usize,
    /// First byte.
    pub from: usize,
}

/// Where in a URL its parameters begin, which may hold keys; the place before them may be seen.
pub fn parameters_of_url(url: &str) -> Option<usize> {
    url.find('?').map(|at| at + 1)
}

/// Overwrites parts of the arguments (those behind the program's name) with `x`. Call it after they were copied.
pub fn wipe(args: &[impl AsRef<OsStr>], hidden: &[Hidden]) {
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
    let Some(name_ends) = bytes.iter().position(|&b| b == 0) else { return };
    let mut offset = name_ends + 1;
    for (number, arg) in args.iter().enumerate() {
        let arg = arg.as_ref().as_bytes();
        for part in hidden.iter().filter(|part| part.arg == number && part.from < arg.len()) {
            let place = offset + part.from..offset + arg.len();
            // Only what is known to be our argument is touched.
            if bytes.get(place.clone()) == arg.get(part.from..) {
                let _ = memory.write_all_at(&vec![b'x'; place.len()], start + place.start as u64);
            }
        }
        offset += arg.len() + 1;
    }
}
