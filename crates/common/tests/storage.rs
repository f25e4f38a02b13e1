//! The contract of storages, kept by every provider, and what only happens in a network.

use std::time::Duration;

use common::storage::{self, Entry, Options, Result, Storage, StorageError};
use testkit::cloud::BUCKET;
use testkit::{Cloud, CloudServer, Fault, HttpFaults};

/// The contract; every provider's test calls it with an empty storage.
async fn contract(storage: &dyn Storage) -> Result<()> {
    let mut sink = storage.create("b/two").await?;
    sink.write(b"hello ").await?;
    assert!(storage.walk().await?.is_empty(), "an unfinished file is seen");
    assert!(!storage.exists("b/two").await?);
    sink.write(b"world").await?;
    assert_eq!(sink.finish().await?, 11);
    drop(storage.create("dropped").await?);
    assert_eq!(storage.create("empty").await?.finish().await?, 0);
    storage.write("a", b"one").await?;
    storage.write("a", b"new").await?;
    storage.write("sp ace%2E+é.sql", b"x").await?;
    let listed = storage.walk().await?;
    let expected = [("a", 3), ("b/two", 11), ("empty", 0), ("sp ace%2E+é.sql", 1)];
    let expected = expected.map(|(name, size)| Entry { name: name.into(), size });
    assert_eq!(listed, expected);
    assert_eq!(storage.read("a").await?, b"new");
    assert_eq!(storage.read("sp ace%2E+é.sql").await?, b"x");
    let reader = storage.open("b/two").await?;
    assert_eq!(reader.size(), 11);
    let mut buffer = [0; 8];
    assert_eq!(reader.read_at(6, &mut buffer).await?, 5);
    assert_eq!(&buffer[..5], b"world");
    assert_eq!(reader.read_at(11, &mut buffer).await?, 0);
    assert_eq!(reader.read_at_blocking(0, &mut buffer)?, 8);
    assert_eq!(&buffer, b"hello wo");
    assert_eq!(reader.read_at_blocking(8, &mut buffer)?, 3);
    assert_eq!(&buffer[..3], b"rld");
    assert_eq!(storage.open("empty").await?.read_at(0, &mut buffer).await?, 0);
    assert!(matches!(storage.open("none").await, Err(StorageError::NotFound { .. })));
    assert!(matches!(storage.read("none").await, Err(StorageError::NotFound { .. })));
    for name in ["../x", "/x", "a//b", "", "a/./b", "a\0"] {
        assert!(matches!(storage.read(name).await, Err(StorageError::BadName { .. })), "{name:?}");
    }
    storage.delete("a").await?;
    storage.delete("a").await?;
    assert!(!storage.exists("a").await?);
    Ok(())
}

/// A file of more than one part: seen when it is finished only, nothing left when it is not, every byte in its place.
async fn large_files(storage: &dyn Storage) -> Result<()> {
    let pattern = |at: u64| (at.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8;
    let size = 27_000_001_u64;
    let bytes: Vec<u8> = (0..size).map(pattern).collect();
    let mut dropped = storage.create("dropped").await?;
    dropped.write(&bytes[..20_000_000]).await?;
    drop(dropped);
    let mut sink = storage.create("large").await?;
    for piece in bytes.chunks(1_234_567) {
        sink.write(piece).await?;
        assert!(!storage.exists("large").await?, "an unfinished file is seen");
    }
    assert_eq!(sink.finish().await?, size);
    assert_eq!(storage.walk().await?, [Entry { name: "large".into(), size }]);
    let reader = storage.open("large").await?;
    // In pieces, as an importer reads, by two threads at once.
    std::thread::scope(|scope| {
        for (from, to) in [(0, size), (9_999_999, 19_999_999)] {
            let (reader, bytes) = (&reader, &bytes);
            scope.spawn(move || {
                let mut buffer = vec![0; 333_333];
                let mut at = from;
                while at < to {
                    let read = reader.read_at_blocking(at, &mut buffer).expect("read") as u64;
                    assert!(read > 0);
                    assert!(buffer[..read as usize] == bytes[at as usize..(at + read) as usize], "at {at}");
                    at += read;
                }
            });
        }
    });
    let whole = storage.read("large").await?;
    assert!(whole == bytes);
    storage.delete("large").await
}

fn block<F: Future>(future: F) -> F::Output {
    // Without drivers: a storage brings its own.
    tokio::runtime::Builder::new_current_thread().build().expect("runtime").block_on(future)
}

fn open(url: &str) -> std::sync::Arc<dyn Storage> {
    storage::open(url, &Options::default()).expect("URL")
}

#[test]
fn local_keeps_the_contract() {
    let folder = tempfile::tempdir().expect("temp dir");
    let url = |name: &str| folder.path().join(name).display().to_string();
    block(contract(&*open(&url("new")))).expect("contract");
    block(large_files(&*open(&url("large")))).expect("large files");
}

#[test]
fn s3_keeps_the_contract() {
    let Some(server) = CloudServer::start_or_skip(Cloud::Moto) else { return };
    block(contract(&*open(&server.url("one/two")))).expect("contract");
    // Another folder, whose name begins like the first one, sees nothing of it.
    block(large_files(&*open(&server.url("one/tw")))).expect("large files");
    let uploads = server.peek(&format!("/{BUCKET}?uploads"));
    assert!(!uploads.contains("<Upload>"), "parts of the dropped file are left: {uploads}");
}

#[test]
fn gcs_is_refused_by_name() {
    let error = storage::open("gs://b/p", &Options::default()).expect_err("gs").to_string();
    assert!(error.starts_with("gs://b/p: Google Cloud Storage is not supported yet"), "{error}");
}

#[test]
fn azure_keeps_the_contract() {
    let Some(server) = CloudServer::start_or_skip(Cloud::Azurite) else { return };
    block(contract(&*open(&server.url("one/two")))).expect("contract");
    block(large_files(&*open(&server.url("one/tw")))).expect("large files");
    let wrong = server.url("x").replace("account-key=Eby8", "account-key=AAAA");
    let error = block(open(&wrong).walk()).expect_err("wrong key").to_string();
    assert!(error.contains("AuthorizationFailure") || error.contains("AuthenticationFailed"), "{error}");
    assert!(!error.contains("Eby8") && !error.contains(&server.keys().1[4..20]), "{error}");
}

#[test]
fn s3_survives_a_bad_network() {
    let Some(server) = CloudServer::start_or_skip(Cloud::Moto) else { return };
    let proxy = HttpFaults::start(server.port(), |_line, number| match number % 11 {
        1 => Fault::Status(500),
        3 => Fault::Lost,
        5 => Fault::Status(503),
        7 => Fault::AnswerLost,
        9 => Fault::Late(Duration::from_millis(300)),
        _ => Fault::None,
    });
    block(contract(&*open(&server.url_through(proxy.port(), "c")))).expect("contract");
    block(large_files(&*open(&server.url_through(proxy.port(), "l")))).expect("large files");
    assert!(proxy.faults() > 20, "{}", proxy.faults());
}

#[test]
fn a_completion_whose_answer_is_lost_is_a_finished_file() {
    let Some(server) = CloudServer::start_or_skip(Cloud::Moto) else { return };
    let lost = std::sync::atomic::AtomicBool::new(false);
    let proxy = HttpFaults::start(server.port(), move |line, _| {
        let completes = line.starts_with("POST") && line.contains("uploadId");
        match completes && !lost.swap(true, std::sync::atomic::Ordering::SeqCst) {
            true => Fault::AnswerLost,
            false => Fault::None,
        }
    });
    let storage = open(&server.url_through(proxy.port(), "x"));
    block(async {
        let mut sink = storage.create("file").await.expect("create");
        sink.write(&vec![7; 20_000_000]).await.expect("write");
        assert_eq!(sink.finish().await.expect("finish"), 20_000_000);
        assert_eq!(storage.open("file").await.expect("open").size(), 20_000_000);
    });
    assert_eq!(proxy.faults(), 1);
}

#[test]
fn a_part_that_fails_for_good_leaves_nothing() {
    let Some(server) = CloudServer::start_or_skip(Cloud::Moto) else { return };
    let proxy = HttpFaults::start(server.port(), |line, _| match line.contains("partNumber=2") {
        true => Fault::Status(403),
        false => Fault::None,
    });
    let storage = open(&server.url_through(proxy.port(), "x"));
    block(async {
        let mut sink = storage.create("file").await.expect("create");
        let written = async {
            for _ in 0..10 {
                sink.write(&vec![7; 4_000_000]).await?;
            }
            sink.finish().await
        };
        let error = written.await.expect_err("part 2 is refused").to_string();
        assert!(error.contains("/x/file: cannot write: ") && error.contains("403"), "{error}");
        assert!(storage.walk().await.expect("walk").is_empty());
    });
    let uploads = server.peek(&format!("/{BUCKET}?uploads"));
    assert!(!uploads.contains("<Upload>"), "{uploads}");
}

#[test]
fn s3_says_why_it_fails() {
    let Some(server) = CloudServer::start_or_skip(Cloud::Moto) else { return };
    let good = server.url("x");
    let (access, secret) = server.keys();
    // The secret may stand there with escapes: it gets other letters in front.
    let wrong = good.replace("secret-access-key=", "secret-access-key=Zzzz");
    for (url, expected) in [
        (wrong, "SignatureDoesNotMatch"),
        (good.replace(access, "AKIANOBODY"), "InvalidAccessKeyId"),
        (good.replace(BUCKET, "nobucket"), "NoSuchBucket"),
    ] {
        let error = block(open(&url).walk()).expect_err(expected).to_string();
        assert!(error.contains("/x: cannot list: ") && error.contains(expected), "{error}");
        assert!(!error.contains(secret), "{error}");
        assert!(block(open(&url).write("f", b"x")).is_err());
    }
    let storage = open(&good);
    assert!(!format!("{storage:?} {}", storage.uri()).contains(secret));
    // A file that is replaced while it is read.
    block(async {
        storage.write("f", b"first").await.expect("write");
        let reader = storage.open("f").await.expect("open");
        storage.write("f", b"other").await.expect("write");
        let mut buffer = [0; 5];
        let error = reader.read_at(0, &mut buffer).await.expect_err("replaced").to_string();
        assert!(error.contains("the file was replaced"), "{error}");
    });
}
