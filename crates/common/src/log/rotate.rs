//! A log file that is set aside when it has grown, as lumberjack does it for the Go tools.
//!
//! `tool.log` becomes `tool-2026-11-24T05-36-47.123.log` beside it; a new `tool.log` is begun.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

const DEFAULT_SIZE_MB: u64 = 300;

/// An open log file. Every line is handed to the kernel at once, so a killed program loses none.
#[derive(Debug)]
pub(super) struct RotatingFile {
    path: PathBuf,
    file: File,
    size: u64,
    /// The last line was cut by an error.
    torn: bool,
    limit: u64,
    max_age: Option<Duration>,
    max_backups: Option<usize>,
}

impl RotatingFile {
    /// Opens for appending, with its folder.
    pub(super) fn open(path: &Path, max_size_mb: u64, max_days: u32, max_backups: u32) -> io::Result<Self> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder)?;
        }
        let file = append(path)?;
        let size = file.metadata()?.len();
        let megabytes = if max_size_mb == 0 { DEFAULT_SIZE_MB } else { max_size_mb };
        Ok(Self {
            path: path.into(),
            file,
            size,
            torn: false,
            limit: megabytes.saturating_mul(crate::size::MIB),
            max_age: (max_days > 0).then(|| Duration::from_secs(u64::from(max_days) * 24 * 3600)),
            max_backups: usize::try_from(max_backups).ok().filter(|&count| count > 0),
        })
    }

    /// Writes one line; sets the file aside first if the line would take it over its size.
    pub(super) fn write_all(&mut self, line: &[u8]) -> io::Result<()> {
        let length = line.len() as u64;
        if self.size > 0 && self.size + length > self.limit {
            // When it can't be set aside the old file just goes on growing.
            let _kept = self.rotate();
        }
        if self.torn {
            self.file.write_all(b"\n")?;
            self.size += 1;
            self.torn = false;
        }
        let result = self.file.write_all(line);
        match &result {
            Ok(()) => self.size += length,
            Err(_) => {
                let written = self.file.metadata().map_or(self.size, |found| found.len());
                self.torn = written != self.size;
                self.size = written;
            }
        }
        result
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn rotate(&mut self) -> io::Result<()> {
        let stamp = jiff::Zoned::now().strftime("%Y-%m-%dT%H-%M-%S%.3f").to_string();
        let (stem, extension) = self.name_parts();
        fs::rename(&self.path, self.path.with_file_name(format!("{stem}-{stamp}{extension}")))?;
        self.file = append(&self.path)?;
        self.size = 0;
        self.prune()
    }

    fn name_parts(&self) -> (String, String) {
        let text = |part: Option<&std::ffi::OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
        let extension =
            self.path.extension().map(|e| format!(".{}", e.to_string_lossy())).unwrap_or_default();
        (text(self.path.file_stem()), extension)
    }

    /// Deletes files set aside that are too old or too many.
    fn prune(&self) -> io::Result<()> {
        let mut kept = self.set_aside()?;
        kept.sort();
        kept.reverse();
        let too_many = self.max_backups.map_or(kept.len(), |count| count.min(kept.len()));
        let now = SystemTime::now();
        for (index, path) in kept.iter().enumerate() {
            let age = fs::metadata(path)?.modified()?;
            let too_old =
                self.max_age.is_some_and(|limit| now.duration_since(age).is_ok_and(|age| age > limit));
            if index >= too_many || too_old {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    /// Files of the form that [`Self::rotate`] gives, and no others.
    fn set_aside(&self) -> io::Result<Vec<PathBuf>> {
        let (stem, extension) = self.name_parts();
        let folder = self.path.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut found = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let stamp = name
                .strip_prefix(&stem)
                .and_then(|rest| rest.strip_prefix('-'))
                .and_then(|rest| rest.strip_suffix(&extension));
            if stamp.is_some_and(is_stamp) {
                found.push(entry.path());
            }
        }
        Ok(found)
    }
}

/// `2026-11-24T05-36-47.123`
fn is_stamp(text: &str) -> bool {
    const FORM: &[u8] = b"0000-00-00T00-00-00.000";
    text.len() == FORM.len()
        && text.bytes().zip(FORM).all(|(b, &f)| if f == b'0' { b.is_ascii_digit() } else { b == f })
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_then_is_set_aside_and_pruned() {
        let folder = tempfile::tempdir().expect("temp dir");
        let path = folder.path().join("tool.log");
        fs::write(folder.path().join("tool-other.log"), b"not ours").expect("write");
        let mut log = RotatingFile::open(&path, 1, 0, 2).expect("open");
        let line = vec![b'x'; 700_000];
        for _ in 0..5 {
            log.write_all(&line).expect("write");
            // Two files set aside in one millisecond would share a name.
            let now = jiff::Timestamp::now().as_millisecond();
            while jiff::Timestamp::now().as_millisecond() == now {}
        }
        assert_eq!(fs::metadata(&path).expect("the log").len(), 700_000);
        assert_eq!(log.set_aside().expect("list").len(), 2);
        assert!(folder.path().join("tool-other.log").exists());
    }

    #[test]
    fn a_file_that_is_there_is_continued() {
        let folder = tempfile::tempdir().expect("temp dir");
        let path = folder.path().join("tool");
        fs::write(&path, b"old\n").expect("write");
        RotatingFile::open(&path, 1, 0, 0).expect("open").write_all(b"new\n").expect("write");
        assert_eq!(fs::read(&path).expect("read"), b"old\nnew\n");
    }
}
