//! Which server answers.

use std::fmt;

/// The family of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Flavor {
    /// MySQL and what is built from it (Percona Server, Aurora).
    MySql,
    /// MariaDB.
    MariaDb,
    /// TiDB.
    TiDb,
}

impl Flavor {
    /// The word for it in settings: `mysql`, `mariadb`, `tidb`.
    pub fn name(self) -> &'static str {
        match self {
            Flavor::MySql => "mysql",
            Flavor::MariaDb => "mariadb",
            Flavor::TiDb => "tidb",
        }
    }
}

impl fmt::Display for Flavor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Flavor::MySql => "MySQL",
            Flavor::MariaDb => "MariaDB",
            Flavor::TiDb => "TiDB",
        })
    }
}

impl std::str::FromStr for Flavor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "mysql" => Ok(Flavor::MySql),
            "mariadb" => Ok(Flavor::MariaDb),
            "tidb" => Ok(Flavor::TiDb),
            _ => Err(format!("unknown flavor `{text}`: one of mysql, mariadb, tidb")),
        }
    }
}

/// Three numbers; compares as versions do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ServerVersion {
    /// 8 of 8.0.33.
    pub major: u32,
    /// 0 of 8.0.33.
    pub minor: u32,
    /// 33 of 8.0.33.
    pub patch: u32,
}

impl ServerVersion {
    /// Puts the numbers together.
    pub const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self { major, minor, patch }
    }

    /// The first up to three numbers of a text; missing ones are 0.
    pub fn parse(text: &str) -> Option<Self> {
        let mut numbers = [0u32; 3];
        let mut rest = text;
        for (i, number) in numbers.iter_mut().enumerate() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            match rest[..digits].parse() {
                Ok(value) => *number = value,
                Err(_) if i == 0 => return None,
                Err(_) => break,
            }
            match rest[digits..].strip_prefix('.') {
                Some(after) => rest = after,
                None => break,
            }
        }
        Some(Self::new(numbers[0], numbers[1], numbers[2]))
    }
}

impl fmt::Display for ServerVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl From<(u32, u32, u32)> for ServerVersion {
    fn from((major, minor, patch): (u32, u32, u32)) -> Self {
        Self::new(major, minor, patch)
    }
}

/// What a server says about itself when a connection is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerInfo {
    /// Its family.
    pub flavor: Flavor,
    /// MySQL's or MariaDB's version; for TiDB the MySQL version it speaks as.
    pub version: ServerVersion,
    /// The version of the product itself: differs from `version` for TiDB only.
    pub product_version: ServerVersion,
    /// The version text as the server gives it, such as `8.0.33` or `10.11.19-MariaDB-log`.
    pub text: String,
    /// `@@version_comment`, such as `MySQL Community Server - GPL`; empty if unknown.
    pub comment: String,
}

impl ServerInfo {
    /// Reads a version text: of the greeting (MariaDB puts `5.5.5-` in front there) or of `VERSION()`.
    pub fn parse(text: &str, comment: &str) -> Self {
        let lower = text.to_ascii_lowercase();
        let (flavor, plain) = if lower.contains("tidb") {
            (Flavor::TiDb, text)
        } else if lower.contains("mariadb") || comment.to_ascii_lowercase().contains("mariadb") {
            // The prefix is a lie for old replicas, which stop at a first digit above 5.
            (Flavor::MariaDb, text.strip_prefix("5.5.5-").unwrap_or(text))
        } else {
            (Flavor::MySql, text)
        };
        let version = ServerVersion::parse(plain).unwrap_or_default();
        let product_version = match (flavor, lower.find("tidb-v")) {
            (Flavor::TiDb, Some(at)) => ServerVersion::parse(&lower[at + 6..]).unwrap_or_default(),
            (Flavor::TiDb, None) => ServerVersion::default(),
            _ => version,
        };
        Self { flavor, version, product_version, text: text.to_owned(), comment: comment.to_owned() }
    }

    /// Whether this is MySQL of at least this version.
    pub fn is_mysql(&self, major: u32, minor: u32, patch: u32) -> bool {
        self.flavor == Flavor::MySql && self.version >= ServerVersion::new(major, minor, patch)
    }

    /// Whether this is MariaDB of at least this version.
    pub fn is_mariadb(&self, major: u32, minor: u32, patch: u32) -> bool {
        self.flavor == Flavor::MariaDb && self.version >= ServerVersion::new(major, minor, patch)
    }

    /// Whether this is TiDB of at least this version of the product.
    pub fn is_tidb(&self, major: u32, minor: u32, patch: u32) -> bool {
        self.flavor == Flavor::TiDb && self.product_version >= ServerVersion::new(major, minor, patch)
    }
}

impl fmt::Display for ServerInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.flavor, self.product_version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_texts() {
        use Flavor::*;
        for (text, flavor, version, product) in [
            ("8.0.33", MySql, (8, 0, 33), (8, 0, 33)),
            ("5.6.24-log", MySql, (5, 6, 24), (5, 6, 24)),
            ("5.7.12-27.1-log", MySql, (5, 7, 12), (5, 7, 12)),
            ("9.7.0-1debian", MySql, (9, 7, 0), (9, 7, 0)),
            ("5.5.5-10.11.19-MariaDB-0+deb12u1-log", MariaDb, (10, 11, 19), (10, 11, 19)),
            ("10.11.19-MariaDB-0+deb12u1", MariaDb, (10, 11, 19), (10, 11, 19)),
            ("11.8.1-MariaDB", MariaDb, (11, 8, 1), (11, 8, 1)),
            ("5.7.25-TiDB-v6.5.0", TiDb, (5, 7, 25), (6, 5, 0)),
            ("8.0.11-TiDB-v7.5.1-dirty", TiDb, (8, 0, 11), (7, 5, 1)),
            ("8.0.11-TiDB-Serverless", TiDb, (8, 0, 11), (0, 0, 0)),
            ("nonsense", MySql, (0, 0, 0), (0, 0, 0)),
            ("8", MySql, (8, 0, 0), (8, 0, 0)),
            ("99999999999.1", MySql, (0, 0, 0), (0, 0, 0)),
        ] {
            let info = ServerInfo::parse(text, "");
            assert_eq!((info.flavor, info.version), (flavor, version.into()), "{text}");
            assert_eq!(info.product_version, product.into(), "{text}");
        }
        assert_eq!(ServerInfo::parse("10.4.1", "mariadb.org binary distribution").flavor, MariaDb);
        assert!(ServerInfo::parse("8.0.33", "").is_mysql(8, 0, 16));
        assert!(!ServerInfo::parse("8.0.15", "").is_mysql(8, 0, 16));
        assert!(!ServerInfo::parse("10.11.1-MariaDB", "").is_mysql(5, 6, 0));
        assert!(ServerInfo::parse("8.0.11-TiDB-v7.5.1", "").is_tidb(7, 5, 0));
        assert_eq!(ServerInfo::parse("5.5.5-10.11.19-MariaDB", "").to_string(), "MariaDB 10.11.19");
        assert_eq!("MariaDB".parse(), Ok(MariaDb));
    }
}
