//! Connections and statements for tests, by the account they stand for.

use std::path::{Path, PathBuf};
use std::process::Command;

use mysql::{Conn, Endpoint, Rows, Tls};

use crate::server::{Account, Options, Server};
use crate::workdir::WorkDir;

impl Server {
    /// Where this server is, for one of its accounts, over TCP and with the default TLS mode (preferred).
    pub fn endpoint(&self, account: Account) -> Endpoint {
        let login = account.credentials();
        Endpoint::new(self.host(), self.port(), login.user, login.password)
    }

    /// A connection of one of its accounts.
    ///
    /// # Panics
    /// When it can't be made.
    pub async fn conn(&self, account: Account) -> Conn {
        match Conn::connect(&self.endpoint(account)).await {
            Ok(conn) => conn,
            Err(error) => panic!("{}: {error}", self.kind()),
        }
    }

    /// Runs statements (several, parted by semicolons) as [`Account::Admin`] over the server's socket. Blocks; may be
    /// called inside and outside of a runtime.
    ///
    /// # Panics
    /// When one of them fails, with its error.
    pub fn sql(&self, statements: impl AsRef<[u8]>) {
        let statements = statements.as_ref().to_vec();
        self.as_admin(async move |conn| conn.exec(statements).await.map(drop));
    }

    /// The rows of a statement, run as [`sql`](Self::sql) does.
    ///
    /// # Panics
    /// When it fails.
    pub fn rows(&self, statement: impl AsRef<[u8]>) -> Rows {
        let statement = statement.as_ref().to_vec();
        self.as_admin(async move |conn| conn.query(statement).await)
    }

    /// The first cell of a statement's first row as text; empty for NULL.
    ///
    /// # Panics
    /// When it fails, gives no row, or something that is not UTF-8.
    pub fn value(&self, statement: impl AsRef<[u8]>) -> String {
        let rows = self.rows(statement);
        let row = rows.first().expect("the statement gives a row");
        row.str(0).expect("the cell is text").unwrap_or_default()
    }

    fn as_admin<T: Send>(&self, work: impl AsyncFnOnce(&mut Conn) -> mysql::Result<T> + Send) -> T {
        let endpoint = self.endpoint(Account::Admin).with_socket(self.socket());
        let kind = self.kind();
        // A thread of its own, since the caller may stand in a runtime, where another can't be waited for.
        let result = std::thread::scope(|scope| {
            let job = || -> mysql::Result<T> {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .expect("a runtime can be made");
                runtime.block_on(async {
                    let mut conn = Conn::connect(&endpoint).await?;
                    let result = work(&mut conn).await;
                    conn.close().await;
                    result
                })
            };
            scope.spawn(job).join()
        });
        match result {
            Ok(Ok(value)) => value,
            Ok(Err(error)) => panic!("{kind}: {error}"),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

/// A CA of our own, a server certificate for `127.0.0.1` and `localhost`, a client certificate, and a second CA that
/// signed nothing. Made by the `openssl` program.
#[derive(Debug)]
pub struct Certificates {
    dir: WorkDir,
}

impl Certificates {
    /// Makes them; takes some tenths of a second.
    ///
    /// # Panics
    /// When `openssl` is missing or fails.
    pub fn new() -> Self {
        let certs = Self { dir: WorkDir::new("certs").expect("a folder can be made") };
        let dir = certs.dir.path();
        for ca in ["ca", "other-ca"] {
            let subject = format!("/CN=rmt test {ca}");
            openssl(
                dir,
                &["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", &subject],
                &["-keyout", &format!("{ca}-key.pem"), "-out", &format!("{ca}.pem")],
            );
        }
        std::fs::write(dir.join("server.ext"), "subjectAltName=IP:127.0.0.1,DNS:localhost\n")
            .expect("a file can be written");
        std::fs::write(dir.join("client.ext"), "extendedKeyUsage=clientAuth\n")
            .expect("a file can be written");
        for name in ["server", "client"] {
            let subject = format!("/CN=rmt test {name}");
            openssl(
                dir,
                &["req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", &subject],
                &["-keyout", &format!("{name}-key.pem"), "-out", &format!("{name}.csr")],
            );
            // The old form of a key is the only one that yaSSL in 5.6 and 5.7 reads.
            let key = format!("{name}-key.pem");
            openssl(dir, &["rsa", "-traditional", "-in", &key], &["-out", &key]);
            openssl(
                dir,
                &["x509", "-req", "-days", "30", "-CA", "ca.pem", "-CAkey", "ca-key.pem", "-CAcreateserial"],
                &[
                    "-in",
                    &format!("{name}.csr"),
                    "-extfile",
                    &format!("{name}.ext"),
                    "-out",
                    &format!("{name}.pem"),
                ],
            );
        }
        certs
    }

    /// One of the files: `ca.pem`, `other-ca.pem`, `server.pem`, `server-key.pem`, `client.pem`, `client-key.pem`.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Makes a server use them.
    pub fn serve(&self, options: Options) -> Options {
        options
            .with(&format!("ssl_ca={}", self.file("ca.pem").display()))
            .with(&format!("ssl_cert={}", self.file("server.pem").display()))
            .with(&format!("ssl_key={}", self.file("server-key.pem").display()))
    }

    /// Settings of a client that knows this CA.
    pub fn client(&self, mode: mysql::TlsMode) -> Tls {
        Tls::new(mode).with_ca(self.file("ca.pem"))
    }
}

impl Default for Certificates {
    fn default() -> Self {
        Self::new()
    }
}

fn openssl(dir: &Path, args: &[&str], more: &[&str]) {
    let output = Command::new("openssl").args(args).args(more).current_dir(dir).output();
    let output = output.unwrap_or_else(|e| panic!("can't run openssl: {e}"));
    assert!(output.status.success(), "openssl {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}
