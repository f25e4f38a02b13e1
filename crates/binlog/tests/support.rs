//! Servers, their SQL, and the events of their log files.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use binlog::{Body, DecodeError, Decoder, Event, Flavor};
use testkit::{Account, Kind, Server};

/// Runs SQL as the administrator; each cell as the client prints it in batch mode.
pub fn sql(server: &Server, text: &str) -> Vec<Vec<String>> {
    try_sql(server, text.as_bytes()).unwrap_or_else(|error| panic!("{}: {error}", server.kind()))
}

pub fn try_sql(server: &Server, text: &[u8]) -> Result<Vec<Vec<String>>, String> {
    let login = server.account(Account::Admin);
    let mut command = Command::new(testkit::catalog::mysql80_program("mysql"));
    command.args([
        "--no-defaults",
        "--batch",
        "-N",
        "-f",
        "--default-character-set=utf8mb4",
        "-h",
        server.host(),
    ]);
    command.arg(format!("-P{}", server.port())).arg(format!("-u{}", login.user));
    command.env("MYSQL_PWD", login.password);
    if server.kind() == Kind::MySql56 {
        command.arg("--ssl-mode=DISABLED");
    }
    command.arg("--get-server-public-key");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the mysql client starts");
    let mut stdin = child.stdin.take().expect("piped");
    // Old servers do not know the collation that this client asks for at login.
    let text = [b"SET NAMES utf8mb4;\n", text].concat();
    let writer = std::thread::spawn(move || stdin.write_all(&text));
    let output = child.wait_with_output().expect("the client ends");
    let _ = writer.join();
    let errors: Vec<String> = String::from_utf8_lossy(&output.stderr)
        .lines()
        .filter(|line| line.contains("ERROR"))
        .map(str::to_owned)
        .collect();
    if !errors.is_empty() {
        return Err(errors[..errors.len().min(5)].join("\n"));
    }
    Ok(String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| line.split('\t').map(str::to_owned).collect())
        .collect())
}

pub fn flavor(kind: Kind) -> Flavor {
    if kind.is_mariadb() { Flavor::MariaDb } else { Flavor::MySql }
}

/// The log files, oldest first.
pub fn log_files(server: &Server) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(server.data_dir())
        .expect("the data folder")
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            name.strip_prefix("binlog.").is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()))
        })
        .collect();
    files.sort();
    files
}

/// Cuts a log file into frames.
pub fn frames(bytes: &[u8]) -> Vec<&[u8]> {
    let mut rest = bytes.strip_prefix(b"\xfebin").expect("the magic number of a binlog");
    let mut frames = Vec::new();
    while !rest.is_empty() {
        let size = u32::from_le_bytes(rest[9..13].try_into().expect("four bytes")) as usize;
        let (frame, tail) = rest.split_at(size);
        frames.push(frame);
        rest = tail;
    }
    frames
}

/// Hands every event of every file to `visit`, those of compressed transactions after their payload event.
pub fn for_each_event(server: &Server, visit: impl FnMut(&Event<'_>)) {
    for_each_event_limited(server, binlog::DEFAULT_MEMORY_LIMIT, visit);
}

pub fn for_each_event_limited(server: &Server, limit: u64, mut visit: impl FnMut(&Event<'_>)) {
    for file in log_files(server) {
        let bytes = std::fs::read(&file).expect("a log file");
        let mut decoder = Decoder::new(flavor(server.kind()));
        decoder.set_memory_limit(limit);
        decoder.set_file(&file.file_name().unwrap_or_default().to_string_lossy());
        for frame in frames(&bytes) {
            each_event(&mut decoder, frame, &mut visit).unwrap_or_else(|error| {
                panic!("{}: {error}", server.version());
            });
        }
    }
}

pub fn each_event(
    decoder: &mut Decoder,
    frame: &[u8],
    visit: &mut impl FnMut(&Event<'_>),
) -> Result<(), DecodeError> {
    let event = decoder.decode(frame)?;
    visit(&event);
    if let Body::Payload(payload) = &event.body {
        let mut inner = payload.open()?;
        while let Some(frame) = inner.next()? {
            visit(&decoder.decode_inner(frame)?);
        }
    }
    Ok(())
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

pub fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2)
        .map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).expect("hexadecimal"))
        .collect()
}
