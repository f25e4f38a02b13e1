//! Buckets of S3 and Azure through object_store, whose types end here.
//!
//! All traffic runs on a small runtime of its own, so that a storage works in every place where it is called: under any
//! runtime, on a thread that may block, and in a destructor. Invariants beside those of [`super`]:
//! 1. The service is first spoken to by the first call, not when the storage is opened.
//! 2. A file of more than one part is visible only when the upload is completed. One that is dropped or fails is aborted
//!    before the sink is gone, as far as the service answers in [`ABORT_WAIT`]; a killed process leaves parts, which a lifecycle
//!    rule of the bucket removes.
//! 3. A reader sees one version of a file: a file that is replaced meanwhile is an error, never a mixture.
//!
//! Retries: object_store repeats what the service answered with 5xx, 408 or 429 and what a lost connection allows, for
//! [`RETRY_TIME`]; what is left of broken connections [`crate::retry`] repeats.

mod azure;
mod reader;
mod s3;
mod sts;
mod upload;

use std::{
    fmt, io,
    path::PathBuf,
    sync::{Arc, LazyLock},
    time::Duration,
};

use futures::{TryStreamExt, future::BoxFuture};
use object_store::{
    Attribute, Attributes, BackoffConfig, ClientOptions, Error as CloudError, ObjectStore, ObjectStoreExt,
    PutMultipartOptions, PutOptions, PutPayload, RetryConfig, client::HttpError, client::HttpErrorKind,
    multipart::MultipartStore, path::Path,
};
use tokio::{runtime::Runtime, sync::OnceCell};
use tokio_util::sync::CancellationToken;

use super::{Entry, RangeReader, Result, Sink, Storage, StorageError, check_name, url::Options, url::Place};
use crate::retry::{Backoff, RetryError, retry};

/// How long answers of the kind "later" are taken for one request.
const RETRY_TIME: Duration = Duration::from_secs(180);
/// One try of a request with little data, and of one with a large part.
const TRY_TIME: [Duration; 2] = [Duration::from_secs(120), Duration::from_secs(3600)];
/// How long a dropped sink waits for its upload's end.
const ABORT_WAIT: Duration = Duration::from_secs(10);

/// Its client in object_store has no server to be tested against; the S3 interface of the same buckets has.
const NO_GCS: &str = "Google Cloud Storage is not supported yet; the same bucket is reached as s3:// with endpoint=https://storage.googleapis.com \
                      and an HMAC key";

/// What is left of transport errors.
const TRANSPORT: Backoff = Backoff {
    first: Duration::from_millis(200),
    longest: Duration::from_secs(5),
    factor: 2.0,
    tries: 5,
    total: Duration::from_secs(300),
    warn_from: 2,
};

trait Cloud: ObjectStore + MultipartStore {}
impl<T: ObjectStore + MultipartStore> Cloud for T {}

/// One service with two patiences.
struct Clients {
    usual: Arc<dyn Cloud>,
    /// For parts that take long.
    large: Arc<dyn Cloud>,
}

impl Clients {
    fn new<C: Cloud>(
        build: impl Fn(ClientOptions) -> std::result::Result<C, CloudError>,
        http: bool,
    ) -> std::result::Result<Self, CloudError> {
        let client = |limit: Duration| -> std::result::Result<Arc<dyn Cloud>, CloudError> {
            Ok(Arc::new(build(client_options(limit, http))?))
        };
        Ok(Self { usual: client(TRY_TIME[0])?, large: client(TRY_TIME[1])? })
    }
}

fn client_options(limit: Duration, http: bool) -> ClientOptions {
    ClientOptions::new()
        .with_timeout(limit)
        .with_connect_timeout(Duration::from_secs(10))
        .with_allow_http(http)
}

fn retry_config() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(5),
            base: 2.0,
        },
        max_retries: 60,
        retry_timeout: RETRY_TIME,
    }
}

/// Checked parameters of a service.
enum Service {
    S3(s3::S3),
    Azure(azure::Azure),
}

impl Service {
    async fn connect(&self) -> std::result::Result<Clients, CloudError> {
        match self {
            Service::S3(service) => service.connect().await,
            Service::Azure(service) => service.connect(),
        }
    }
}

struct Bucket {
    uri: String,
    prefix: String,
    service: Service,
    clients: OnceCell<Clients>,
    /// Storage class of what is written.
    attributes: Attributes,
}

impl Bucket {
    async fn clients(&self) -> std::result::Result<&Clients, CloudError> {
        self.clients.get_or_try_init(|| attempt("connect to the storage", || self.service.connect())).await
    }

    fn path(&self, name: &str) -> Result<Path> {
        check_name(name)?;
        let full = if self.prefix.is_empty() { name.to_owned() } else { format!("{}/{name}", self.prefix) };
        Path::parse(full).map_err(|_bad| StorageError::BadName { name: name.into() })
    }

    fn uri_of(&self, name: &str) -> String {
        format!("{}/{name}", self.uri)
    }

    async fn put(&self, path: &Path, bytes: bytes::Bytes) -> std::result::Result<(), CloudError> {
        let usual = &self.clients().await?.usual;
        let put = || async {
            let options = PutOptions { attributes: self.attributes.clone(), ..PutOptions::default() };
            usual.put_opts(path, PutPayload::from(bytes.clone()), options).await
        };
        attempt("write a file", put).await.map(drop)
    }

    fn multipart_options(&self) -> PutMultipartOptions {
        PutMultipartOptions { attributes: self.attributes.clone(), ..PutMultipartOptions::default() }
    }

    async fn list(&self) -> std::result::Result<Vec<Entry>, CloudError> {
        let usual = &self.clients().await?.usual;
        let prefix = (!self.prefix.is_empty()).then(|| Path::parse(&self.prefix)).transpose()?;
        let list = || async { usual.list(prefix.as_ref()).try_collect::<Vec<_>>().await };
        let skip = if self.prefix.is_empty() { 0 } else { self.prefix.len() + 1 };
        let mut found: Vec<Entry> = attempt("list the files", list)
            .await?
            .into_iter()
            .filter_map(|object| {
                let name = object.location.as_ref().get(skip..)?.to_owned();
                Some(Entry { name, size: object.size })
            })
            .filter(|entry| !entry.name.is_empty())
            .collect();
        found.sort();
        // Consoles write empty objects that stand for folders.
        let folders: std::collections::BTreeSet<String> = found
            .iter()
            .filter_map(|entry| entry.name.rsplit_once('/').map(|(folder, _)| folder.to_owned()))
            .collect();
        found.retain(|entry| entry.size > 0 || !folders.contains(&entry.name));
        Ok(found)
    }
}

/// A folder of a bucket.
pub struct ObjectStorage {
    bucket: Arc<Bucket>,
}

impl fmt::Debug for ObjectStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectStorage").field("uri", &self.bucket.uri).finish_non_exhaustive()
    }
}

impl ObjectStorage {
    /// Reads a URL of one of the services; `None` if its scheme is of none.
    ///
    /// # Errors
    /// Parameters that can't be used.
    pub fn from_url(url: &str, scheme: &str, options: &Options) -> Option<Result<ObjectStorage>> {
        let open = match scheme {
            "s3" => s3::S3::open,
            "gcs" | "gs" => |place: &mut Place| Err(place.error(NO_GCS)),
            "azure" | "azblob" => azure::Azure::open,
            _ => return None,
        };
        let group = match scheme {
            "s3" => "s3",
            "gcs" | "gs" => "gcs",
            _ => "azblob",
        };
        let opened = Place::parse(url, scheme, group, options).and_then(|mut place| {
            let (service, class) = open(&mut place)?;
            place.finish()?;
            let mut attributes = Attributes::new();
            if let Some(class) = class {
                attributes.insert(Attribute::StorageClass, class.into());
            }
            let bucket = Bucket {
                uri: place.uri,
                prefix: place.prefix,
                service,
                clients: OnceCell::new(),
                attributes,
            };
            Ok(ObjectStorage { bucket: Arc::new(bucket) })
        });
        Some(opened)
    }

    /// Runs one call on the storage's own runtime.
    fn call<'a, T, Fut>(
        &'a self,
        name: &'a str,
        action: &'static str,
        run: impl FnOnce(Arc<Bucket>, Path) -> Fut,
    ) -> BoxFuture<'a, Result<T>>
    where
        T: Send + 'static,
        Fut: Future<Output = std::result::Result<T, CloudError>> + Send + 'static,
    {
        let uri = self.bucket.uri_of(name);
        let running = self
            .bucket
            .path(name)
            .and_then(|path| Ok(io_runtime()?.spawn(run(Arc::clone(&self.bucket), path))));
        Box::pin(async move { joined(running?.await, &uri, action) })
    }
}

impl Storage for ObjectStorage {
    fn uri(&self) -> &str {
        &self.bucket.uri
    }

    fn create<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Box<dyn Sink>>> {
        let sink = self.bucket.path(name).map(|path| -> Box<dyn Sink> {
            Box::new(upload::Upload::new(Arc::clone(&self.bucket), path, self.bucket.uri_of(name)))
        });
        Box::pin(std::future::ready(sink))
    }

    fn open<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Arc<dyn RangeReader>>> {
        let uri = self.bucket.uri_of(name);
        self.call(name, "open", |bucket, path| async move {
            let usual = Arc::clone(&bucket.clients().await?.usual);
            let meta = attempt("look at a file", || usual.head(&path)).await?;
            let reader: Arc<dyn RangeReader> = Arc::new(reader::Reader::new(uri, usual, meta));
            Ok(reader)
        })
    }

    fn walk(&self) -> BoxFuture<'_, Result<Vec<Entry>>> {
        let bucket = Arc::clone(&self.bucket);
        let running = io_runtime().map(|runtime| runtime.spawn(async move { bucket.list().await }));
        Box::pin(async move { joined(running?.await, &self.bucket.uri, "list") })
    }

    fn exists<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<bool>> {
        self.call(name, "look at", |bucket, path| async move {
            let usual = &bucket.clients().await?.usual;
            match attempt("look at a file", || usual.head(&path)).await {
                Ok(_there) => Ok(true),
                Err(CloudError::NotFound { .. }) => Ok(false),
                Err(error) => Err(error),
            }
        })
    }

    fn delete<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<()>> {
        self.call(name, "delete", |bucket, path| async move {
            let usual = &bucket.clients().await?.usual;
            match attempt("delete a file", || usual.delete(&path)).await {
                Ok(()) | Err(CloudError::NotFound { .. }) => Ok(()),
                Err(error) => Err(error),
            }
        })
    }

    fn read<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<u8>>> {
        self.call(name, "read", |bucket, path| async move {
            let usual = &bucket.clients().await?.usual;
            let get = || async { usual.get(&path).await?.bytes().await };
            Ok(attempt("read a file", get).await?.to_vec())
        })
    }

    fn write<'a>(&'a self, name: &'a str, bytes: &'a [u8]) -> BoxFuture<'a, Result<()>> {
        let bytes = bytes::Bytes::copy_from_slice(bytes);
        self.call(name, "write", |bucket, path| async move { bucket.put(&path, bytes).await })
    }

    fn local_path(&self, _name: &str) -> Option<PathBuf> {
        None
    }
}

/// Where all requests run. It lives as long as the process.
fn io_runtime() -> Result<&'static Runtime> {
    static RUNTIME: LazyLock<io::Result<Runtime>> = LazyLock::new(|| {
        // A process that has chosen a provider already keeps it; the workspace has only this one.
        let _chosen = rustls::crypto::ring::default_provider().install_default();
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("storage")
            .enable_all()
            .build()
    });
    RUNTIME.as_ref().map_err(|cause| {
        let cause = io::Error::new(cause.kind(), cause.to_string());
        StorageError::from_io("object storage", "start threads for", cause)
    })
}

/// The end of a task on the storage's runtime.
fn joined<T>(
    ended: std::result::Result<std::result::Result<T, CloudError>, tokio::task::JoinError>,
    uri: &str,
    action: &'static str,
) -> Result<T> {
    match ended {
        Ok(result) => result.map_err(|error| failure(uri, action, &error)),
        Err(gone) => Err(StorageError::from_io(uri, action, io::Error::other(gone))),
    }
}

/// Repeats what a broken connection ended.
async fn attempt<T, Fut>(what: &str, operation: impl FnMut() -> Fut) -> std::result::Result<T, CloudError>
where
    Fut: Future<Output = std::result::Result<T, CloudError>>,
{
    let is_permanent = |error: &CloudError| transport(error).is_none();
    match retry(what, &TRANSPORT, &CancellationToken::new(), is_permanent, operation).await {
        Ok(value) => Ok(value),
        Err(RetryError::Permanent(error) | RetryError::Exhausted { last: error, .. }) => Err(error),
        // Nobody has the token.
        Err(RetryError::Cancelled) => {
            Err(CloudError::Generic { store: "storage", source: "cancelled".into() })
        }
    }
}

/// How the connection failed, if it is that.
fn transport(error: &CloudError) -> Option<HttpErrorKind> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(http) = error.downcast_ref::<HttpError>() {
            return Some(http.kind());
        }
        cause = error.source();
    }
    None
}

/// The error of the trait.
fn failure(uri: &str, action: &'static str, error: &CloudError) -> StorageError {
    let whole = match error {
        CloudError::NotFound { .. } if matches!(action, "open" | "read" | "look at") => {
            return StorageError::NotFound { uri: uri.into() };
        }
        _ => brief(&error.to_string()),
    };
    let (kind, hint) = match (error, transport(error)) {
        (_, Some(HttpErrorKind::Timeout)) => (io::ErrorKind::TimedOut, ""),
        (_, Some(_)) => (io::ErrorKind::ConnectionReset, "; check the endpoint and the network"),
        (CloudError::PermissionDenied { .. } | CloudError::Unauthenticated { .. }, _) => {
            (io::ErrorKind::PermissionDenied, "; check the keys and what they may do")
        }
        (CloudError::NotFound { .. }, _) => (io::ErrorKind::Other, "; check the name of the bucket"),
        (CloudError::Precondition { .. }, _) => {
            (io::ErrorKind::Other, "; the file was replaced while it was read, begin again")
        }
        _ => (io::ErrorKind::Other, ""),
    };
    let cause = io::Error::new(kind, format!("{whole}{hint}"));
    StorageError::Io { uri: uri.into(), action, cause }
}

/// The code and message of an answer in XML instead of the whole of it; for people only.
fn brief(text: &str) -> String {
    let inside = |tag: &str| {
        let (_, rest) = text.split_once(&format!("<{tag}>"))?;
        rest.split_once(&format!("</{tag}>")).map(|(value, _)| value)
    };
    match (inside("Code"), inside("Message")) {
        (Some(code), Some(message)) => format!("the service answered {code}: {message}"),
        (Some(code), None) => format!("the service answered {code}"),
        _ => text.split_whitespace().collect::<Vec<_>>().join(" "),
    }
}

/// Environment variables, trimmed of empty ones.
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
