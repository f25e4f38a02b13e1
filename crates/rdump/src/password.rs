//! Asks for a password without showing it.

use std::io::{self, BufRead, Write};

use common::secret::Secret;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

/// Reads a line from stdin; where that is a terminal, with a question on stderr and without echo.
///
/// # Errors
/// Stdin's, and a stdin that is at its end.
pub fn ask(question: &str) -> io::Result<Secret> {
    let stdin = io::stdin();
    let shown = tcgetattr(&stdin).ok();
    if let Some(shown) = &shown {
        let mut hidden = shown.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&stdin, OptionalActions::Flush, &hidden)?;
        let mut stderr = io::stderr();
        let _ = write!(stderr, "{question}").and_then(|()| stderr.flush());
    }
    let mut line = String::new();
    let read = stdin.lock().read_line(&mut line);
    if let Some(shown) = &shown {
        tcsetattr(&stdin, OptionalActions::Flush, shown)?;
        common::out::eprintln("");
    }
    if read? == 0 {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "stdin is at its end"));
    }
    let text = line.strip_suffix('\n').unwrap_or(&line);
    let secret = Secret::new(text.strip_suffix('\r').unwrap_or(text));
    Ok(secret)
}
