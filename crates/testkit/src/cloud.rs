//! Object storage on 127.0.0.1: moto for S3, with users and checked signatures, and a proxy that answers some requests badly.

mod faults;
mod http;

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

pub use faults::{Fault, HttpFaults};

use crate::catalog;
use crate::port::free_port;
use crate::process::{self, Running};
use crate::workdir::WorkDir;

/// A stand-in for a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cloud {
    /// S3, IAM and STS.
    Moto,
    /// Azure blobs; keys are checked.
    Azurite,
}

/// Account and key of azurite, known to everybody.
const AZURITE_ACCOUNT: &str = "devstoreaccount1";
const AZURITE_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// Makes a container; arguments: port, account, key, container.
const AZURITE_CONTAINER: &str = r#"
const [port, account, key, name] = process.argv.slice(1);
const headers = {"x-ms-date": new Date().toUTCString(), "x-ms-version": "2021-08-06", "Content-Length": 0};
const text = "PUT" + "\n".repeat(12) + `x-ms-date:${headers["x-ms-date"]}\nx-ms-version:2021-08-06\n`
  + `/${account}/${account}/${name}\nrestype:container`;
const sum = require("crypto").createHmac("sha256", Buffer.from(key, "base64")).update(text, "utf8").digest("base64");
headers.Authorization = `SharedKey ${account}:${sum}`;
const path = `/${account}/${name}?restype=container`;
const request = require("http").request({host: "127.0.0.1", port, method: "PUT", path, headers}, answer => {
  answer.on("data", data => console.error(String(data)));
  answer.on("end", () => process.exit(answer.statusCode === 201 ? 0 : 1));
  answer.resume();
});
request.end();
"#;

impl Cloud {
    /// The name of its folder in the cache and of its entry in the list of skips.
    pub fn name(self) -> &'static str {
        match self {
            Cloud::Moto => "moto-5.2.5",
            Cloud::Azurite => "azurite",
        }
    }

    /// The folder it is installed in.
    pub fn home(self) -> PathBuf {
        catalog::servers_dir().join(self.name())
    }

    /// Whether it can be started.
    pub fn is_installed(self) -> bool {
        self.program().exists()
    }

    /// The program that runs it.
    pub fn program(self) -> PathBuf {
        match self {
            // Scripts of a venv name the folder it was made in; its interpreter does not.
            Cloud::Moto => self.home().join("bin/python"),
            Cloud::Azurite => self.home().join("node_modules/azurite/dist/src/blob/main.js"),
        }
    }
}

/// A running stand-in with one bucket; it ends with this value.
#[derive(Debug)]
pub struct CloudServer {
    cloud: Cloud,
    port: u16,
    /// Access key and secret of a user who may do everything.
    keys: (String, String),
    _running: Running,
    _dir: WorkDir,
}

/// The bucket or container of every stand-in.
pub const BUCKET: &str = "dumps";

impl CloudServer {
    /// Starts it; `None`, after a note in the list of skips, where setup could not get it.
    ///
    /// # Panics
    /// When it is not installed and nobody said why, or does not start.
    pub fn start_or_skip(cloud: Cloud) -> Option<CloudServer> {
        if !cloud.is_installed() {
            let reason = std::fs::read_to_string(catalog::missing_dir().join(cloud.name()));
            let Ok(reason) = reason else {
                panic!("{} is not installed: run `cargo xtask setup`", cloud.name())
            };
            crate::skip::report(cloud.name(), reason.trim());
            return None;
        }
        for _ in 0..5 {
            if let Some(server) = Self::start(cloud) {
                return Some(server);
            }
        }
        panic!("{} did not start on any of five ports", cloud.name())
    }

    fn start(cloud: Cloud) -> Option<CloudServer> {
        let dir = WorkDir::new(cloud.name()).expect("the temporary folder can be written");
        let port = free_port();
        let mut command = Command::new(cloud.program());
        match cloud {
            Cloud::Moto => {
                command.args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()]);
                // Roles need an account that exists.
                command.env_remove("AWS_PROFILE").env("MOTO_ACCOUNT_ID", "123456789012");
            }
            Cloud::Azurite => {
                command = Command::new("node");
                command.arg(cloud.program()).args([
                    "--blobHost",
                    "127.0.0.1",
                    "--blobPort",
                    &port.to_string(),
                ]);
                command.arg("--location").arg(dir.path());
                command.args(["--skipApiVersionCheck", "--disableTelemetry", "--silent"]);
            }
        }
        command.current_dir(dir.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut running = process::spawn(command).expect("the server can be started");
        let deadline = Instant::now() + Duration::from_secs(60);
        while http::request(port, "GET", "/", &[], b"").is_none() {
            assert!(Instant::now() < deadline, "{} does not answer", cloud.name());
            if running.try_wait().is_some() {
                return None;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let mut server =
            CloudServer { cloud, port, keys: (String::new(), String::new()), _running: running, _dir: dir };
        server.prepare();
        Some(server)
    }

    /// Makes the bucket and, where there are any, the user.
    fn prepare(&mut self) {
        match self.cloud {
            Cloud::Moto => {
                self.iam("Action=CreateUser&UserName=dumper");
                self.iam(
                    "Action=PutUserPolicy&UserName=dumper&PolicyName=all&PolicyDocument=%7B%22Version%22%3A%222012-10-17%22%2C\
                     %22Statement%22%3A%5B%7B%22Effect%22%3A%22Allow%22%2C%22Action%22%3A%22*%22%2C%22Resource%22%3A%22*%22%7D%5D%7D",
                );
                let answer = self.iam("Action=CreateAccessKey&UserName=dumper");
                let inside = |tag: &str| {
                    let (_, rest) = answer.split_once(&format!("<{tag}>")).expect("moto gives a key");
                    rest.split_once('<').expect("XML").0.to_owned()
                };
                self.keys = (inside("AccessKeyId"), inside("SecretAccessKey"));
                self.iam(
                    "Action=CreateRole&RoleName=dumps&AssumeRolePolicyDocument=%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A\
                     %5B%7B%22Effect%22%3A%22Allow%22%2C%22Principal%22%3A%7B%22AWS%22%3A%22*%22%7D%2C%22Action%22%3A%22sts%3AAssumeRole%22%7D%5D%7D",
                );
                self.iam(
                    "Action=PutRolePolicy&RoleName=dumps&PolicyName=all&PolicyDocument=%7B%22Version%22%3A%222012-10-17%22%2C\
                     %22Statement%22%3A%5B%7B%22Effect%22%3A%22Allow%22%2C%22Action%22%3A%22s3%3A*%22%2C%22Resource%22%3A%22*%22%7D%5D%7D",
                );
                self.request("PUT", &format!("/{BUCKET}"), b"");
                // From here on every request's signature is checked.
                let (status, text) = http::request(self.port, "POST", "/moto-api/reset-auth", &[], b"0")
                    .expect("moto answers");
                assert_eq!(status, 200, "{text}");
            }
            Cloud::Azurite => {
                self.keys = (AZURITE_ACCOUNT.into(), AZURITE_KEY.into());
                // The request must be signed; node is there, since azurite runs on it.
                let made = Command::new("node")
                    .args([
                        "-e",
                        AZURITE_CONTAINER,
                        &self.port.to_string(),
                        AZURITE_ACCOUNT,
                        AZURITE_KEY,
                        BUCKET,
                    ])
                    .output()
                    .expect("node runs");
                assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
            }
        }
    }

    fn iam(&self, body: &str) -> String {
        let headers = [
            (
                "Authorization",
                "AWS4-HMAC-SHA256 Credential=setup/20260101/us-east-1/iam/aws4_request, SignedHeaders=host, Signature=0",
            ),
            ("Content-Type", "application/x-www-form-urlencoded"),
        ];
        let body = format!("{body}&Version=2010-05-08");
        let (status, text) =
            http::request(self.port, "POST", "/", &headers, body.as_bytes()).expect("moto answers");
        assert_eq!(status, 200, "{text}");
        text
    }

    /// A request of S3 whose signature nobody checks: only before the checks are switched on, or for `moto-api`.
    fn request(&self, method: &str, path: &str, body: &[u8]) -> String {
        let headers = [(
            "Authorization",
            "AWS4-HMAC-SHA256 Credential=setup/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0",
        )];
        let (status, text) = http::request(self.port, method, path, &headers, body).expect("moto answers");
        assert_eq!(status, 200, "{text}");
        text
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Access key and secret, or account and key.
    pub fn keys(&self) -> (&str, &str) {
        (&self.keys.0, &self.keys.1)
    }

    /// A role of moto that may use the bucket.
    pub fn role(&self) -> String {
        "arn:aws:iam::123456789012:role/dumps".into()
    }

    /// The URL of a folder in the bucket, with everything that is needed to use it.
    pub fn url(&self, folder: &str) -> String {
        self.url_through(self.port, folder)
    }

    /// The same by way of a proxy.
    pub fn url_through(&self, port: u16, folder: &str) -> String {
        let (access, secret) = (&self.keys.0, self.keys.1.replace('+', "%2B").replace('/', "%2F"));
        match self.cloud {
            Cloud::Moto => format!(
                "s3://{BUCKET}/{folder}?endpoint=http://127.0.0.1:{port}&access-key={access}&secret-access-key={secret}"
            ),
            Cloud::Azurite => format!(
                "azure://{BUCKET}/{folder}?endpoint=http://127.0.0.1:{port}/{access}&account-name={access}&account-key={secret}"
            ),
        }
    }

    /// What moto answers to a GET of an object or list without a signature; the checks are off for that moment, so no other
    /// request may run.
    pub fn peek(&self, path: &str) -> String {
        let switch =
            |text: &str| http::request(self.port, "POST", "/moto-api/reset-auth", &[], text.as_bytes());
        let _on = switch("1000000");
        let text = self.request("GET", path, b"");
        let _off = switch("0");
        text
    }
}
