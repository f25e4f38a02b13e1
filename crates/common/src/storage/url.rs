//! URLs of storages and the flags that say the same: read once, every key known, secrets masked.
//!
//! Keys are Dumpling's; case and `_` for `-` do not matter, of a key given twice the first value counts, and the URL wins over
//! flags. A key that nobody reads is an error that names it.

use std::collections::BTreeMap;

use super::{Result, StorageError};
use crate::secret::Secret;

/// Values of the flags `--s3.*`, `--gcs.*` and `--azblob.*`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    values: Vec<(&'static str, Secret)>,
}

impl Options {
    /// Takes a flag's value; `name` is as in `s3.endpoint`.
    pub fn set(&mut self, name: &'static str, value: impl Into<Secret>) {
        self.values.push((name, value.into()));
    }
}

/// A URL taken apart, with the parameters of its service.
#[derive(Debug)]
pub struct Place {
    /// What users are shown: without parameters.
    pub uri: String,
    /// Bucket or container.
    pub bucket: String,
    /// Folder in it, without slashes at its ends; may be empty.
    pub prefix: String,
    params: BTreeMap<String, Secret>,
}

impl Place {
    /// Reads `scheme://bucket/prefix?key=value`; `group` is the flags' prefix, such as `s3`.
    ///
    /// # Errors
    /// A URL that can't be read or has no bucket.
    pub fn parse(url: &str, scheme: &str, group: &str, options: &Options) -> Result<Place> {
        let rest = url.split_once("://").map_or(url, |(_scheme, rest)| rest);
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (bucket, prefix) = path.split_once('/').unwrap_or((path, ""));
        let prefix = prefix.trim_matches('/');
        let uri = match prefix {
            "" => format!("{scheme}://{bucket}"),
            prefix => format!("{scheme}://{bucket}/{prefix}"),
        };
        if bucket.is_empty() {
            return Err(config(&uri, format!("please specify the bucket for {group} in the URL")));
        }
        if query.contains('#') || path.contains('#') {
            return Err(config(&uri, "a URL of a storage has no part after `#`; write `%23` for the sign"));
        }
        let mut params = BTreeMap::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let key = key.to_ascii_lowercase().replace('_', "-");
            let Some(value) = decode(value) else {
                return Err(config(&uri, format!("the parameter `{key}` has a `%` without two hex digits")));
            };
            params.entry(key).or_insert(Secret::new(value));
        }
        for (name, value) in &options.values {
            if let Some((_, key)) = name.split_once('.').filter(|(own, _)| *own == group)
                && !value.is_empty()
            {
                params.entry(key.to_owned()).or_insert_with(|| value.clone());
            }
        }
        let bad_part = |part: &str| matches!(part, "" | "." | "..");
        if !prefix.is_empty() && prefix.split('/').any(bad_part) {
            return Err(config(&uri, "the folder has an empty, `.` or `..` part"));
        }
        Ok(Place { bucket: bucket.into(), prefix: prefix.into(), uri, params })
    }

    /// A parameter that may be shown; an empty one is not there.
    pub fn text(&mut self, key: &str) -> Option<String> {
        self.secret(key).map(|value| value.expose().to_owned())
    }

    /// A parameter that must not be shown.
    pub fn secret(&mut self, key: &str) -> Option<Secret> {
        self.params.remove(key).filter(|value| !value.is_empty())
    }

    /// A switch.
    ///
    /// # Errors
    /// Neither true nor false.
    pub fn switch(&mut self, key: &str) -> Result<Option<bool>> {
        match self.text(key).map(|text| text.to_ascii_lowercase()).as_deref() {
            None => Ok(None),
            Some("true" | "1" | "t") => Ok(Some(true)),
            Some("false" | "0" | "f") => Ok(Some(false)),
            Some(_) => Err(self.error(format!("`{key}` is true or false"))),
        }
    }

    /// An endpoint: scheme and host, its last `/` cut off.
    ///
    /// # Errors
    /// Without one of them.
    pub fn endpoint(&mut self) -> Result<Option<String>> {
        let Some(text) = self.text("endpoint") else { return Ok(None) };
        let Some((scheme, host)) = text.split_once("://") else {
            return Err(self.error("scheme not found in endpoint: it is such as https://host:port"));
        };
        if !matches!(scheme, "http" | "https") {
            return Err(self.error("the endpoint begins with neither https:// nor http://"));
        }
        if host.is_empty() || host.starts_with('/') {
            return Err(self.error("host not found in endpoint"));
        }
        Ok(Some(text.trim_end_matches('/').to_owned()))
    }

    /// Refuses parameters of Dumpling's that we can't do, with the reason.
    ///
    /// # Errors
    /// One of them is there.
    pub fn refuse(&mut self, key: &str, why: &str) -> Result<()> {
        match self.text(key) {
            None => Ok(()),
            Some(_) => Err(self.error(format!("`{key}` is not supported: {why}"))),
        }
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// A key that nobody asked for.
    pub fn finish(&self) -> Result<()> {
        match self.params.keys().next() {
            None => Ok(()),
            Some(key) => Err(self.error(format!("unknown parameter `{key}`"))),
        }
    }

    /// An error about this URL.
    pub fn error(&self, what: impl Into<String>) -> StorageError {
        config(&self.uri, what)
    }
}

fn config(uri: &str, what: impl Into<String>) -> StorageError {
    StorageError::Config { uri: uri.into(), what: what.into() }
}

/// `%XX`; a `+` stands for itself, since keys of AWS have it.
fn decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let pair = [bytes.next()?, bytes.next()?];
        out.push(*hex::decode(pair).ok()?.first()?);
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(url: &str, options: &Options) -> Place {
        Place::parse(url, "s3", "s3", options).expect("URL")
    }

    #[test]
    fn the_first_value_and_the_url_win() {
        let mut options = Options::default();
        options.set("s3.region", "flag");
        options.set("s3.acl", "flag");
        options.set("gcs.endpoint", "other");
        let mut place = place("s3://b/p/q/?Access_Key=a%2bb+c&REGION=one&region=two", &options);
        assert_eq!(
            (place.uri.as_str(), place.bucket.as_str(), place.prefix.as_str()),
            ("s3://b/p/q", "b", "p/q")
        );
        assert_eq!(place.secret("access-key"), Some(Secret::new("a+b+c")));
        assert_eq!(place.text("region").as_deref(), Some("one"));
        assert_eq!(place.text("acl").as_deref(), Some("flag"));
        assert!(place.finish().is_ok());
    }

    #[test]
    fn unknown_and_broken_ones_are_named_and_secrets_are_not() {
        let none = Options::default();
        let mut unknown = place("s3://b?secret-access-key=hush&foo=hush", &none);
        assert!(!format!("{unknown:?}").contains("hush"));
        let _taken = unknown.secret("secret-access-key");
        assert_eq!(unknown.finish().expect_err("foo").to_string(), "s3://b: unknown parameter `foo`");
        for (url, expected) in [
            ("s3://b?endpoint=host", "scheme not found in endpoint"),
            ("s3://b?endpoint=http://", "host not found in endpoint"),
            ("s3://b?endpoint=ftp://h", "neither https:// nor http://"),
        ] {
            let error = place(url, &none).endpoint().expect_err(url).to_string();
            assert!(error.contains(expected), "{error}");
        }
        for (url, expected) in [
            ("s3:///x", "please specify the bucket for s3"),
            ("s3://b?acl=%zz", "the parameter `acl`"),
            ("s3://b/x//y", "empty, `.` or `..` part"),
            ("s3://b/../y", "empty, `.` or `..` part"),
        ] {
            let error = Place::parse(url, "s3", "s3", &none).expect_err(url).to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
