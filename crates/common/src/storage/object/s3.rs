//! S3 and what speaks its protocol: parameters, the chain of credentials, the bucket's region.

use std::sync::Arc;

use object_store::{
    Error as CloudError, RetryConfig,
    aws::{AmazonS3Builder, AmazonS3ConfigKey, AwsCredentialProvider, resolve_bucket_region},
};

use super::{Clients, Duration, Place, Service, TRY_TIME, client_options, environment, retry_config, sts};
use crate::{secret::Secret, storage::Result};

/// Limit for finding credentials or the bucket's region.
const FIND_TIME: Duration = Duration::from_secs(20);

/// Checked parameters.
pub(super) struct S3 {
    bucket: String,
    endpoint: Option<String>,
    region: Option<String>,
    keys: Option<Keys>,
    path_style: bool,
    accelerate: bool,
    /// Whether it is Amazon's own, as far as is known.
    is_aws: bool,
    sse: Option<String>,
    kms_key: Option<String>,
    role: Option<sts::Role>,
}

#[derive(Clone)]
struct Keys {
    access: String,
    secret: Secret,
    token: Option<Secret>,
}

impl S3 {
    /// Reads the parameters; the second value is the storage class.
    pub(super) fn open(place: &mut Place) -> Result<(Service, Option<String>)> {
        let endpoint = place.endpoint()?;
        let provider = place.text("provider").unwrap_or_default().to_ascii_lowercase();
        let accelerate = place.switch("use-accelerate-endpoint")?.unwrap_or(false);
        let path_style = place.switch("force-path-style")?.unwrap_or(true)
            && !matches!(provider.as_str(), "alibaba" | "netease")
            && !accelerate;
        if accelerate && endpoint.is_some() {
            return Err(place.error("`use-accelerate-endpoint` and `endpoint` exclude each other"));
        }
        if place.switch("object-lock-enabled")? == Some(true) {
            return Err(place.error(
                "`object-lock-enabled` is not supported: give the bucket a default retention without it, or dump to another one",
            ));
        }
        match place.text("acl").as_deref() {
            // What a bucket does without it.
            None | Some("private") => {}
            Some(_) => {
                return Err(place.error(
                    "`acl` is not supported but for `private`: set the rights by a policy of the bucket",
                ));
            }
        }
        let keys = keys(place)?;
        let on_alibaba =
            provider == "alibaba" || endpoint.as_ref().is_some_and(|host| host.contains("aliyuncs"));
        if on_alibaba && keys.is_none() {
            return Err(place
                .error("RAM roles of Alibaba are not supported: give `access-key` and `secret-access-key`"));
        }
        let (sse, kms_key) = (place.text("sse"), place.text("sse-kms-key-id"));
        match sse.as_deref() {
            None | Some("AES256" | "aws:kms" | "aws:kms:dsse") => {}
            Some(_) => return Err(place.error("`sse` is AES256, aws:kms or aws:kms:dsse")),
        }
        if kms_key.is_some() && !sse.as_ref().is_some_and(|sse| sse.starts_with("aws:kms")) {
            return Err(place.error("`sse-kms-key-id` goes with `sse=aws:kms`"));
        }
        let (role, external_id) = (place.text("role-arn"), place.text("external-id"));
        if external_id.is_some() && role.is_none() {
            return Err(place.error("`external-id` goes with `role-arn`"));
        }
        let service = S3 {
            bucket: place.bucket.clone(),
            is_aws: matches!(provider.as_str(), "" | "aws") && endpoint.is_none(),
            endpoint,
            region: place.text("region"),
            keys,
            path_style,
            accelerate,
            sse,
            kms_key,
            role: role.map(|arn| sts::Role { arn, external_id }),
        };
        Ok((Service::S3(service), place.text("storage-class")))
    }

    /// Finds credentials and region, and makes the clients.
    pub(super) async fn connect(&self) -> std::result::Result<Clients, CloudError> {
        let mut builder = match self.keys.clone().or_else(profile_keys) {
            Some(keys) => {
                let builder = AmazonS3Builder::new()
                    .with_access_key_id(keys.access)
                    .with_secret_access_key(keys.secret.expose());
                match keys.token {
                    Some(token) => builder.with_token(token.expose()),
                    None => builder,
                }
            }
            None => AmazonS3Builder::from_env(),
        };
        let region = self.region().await?;
        builder = builder.with_bucket_name(&self.bucket).with_region(&region).with_retry(retry_config());
        if let Some(endpoint) = self.full_endpoint(&region) {
            builder = builder.with_endpoint(endpoint);
        }
        builder = builder.with_virtual_hosted_style_request(!self.path_style);
        if let Some(sse) = &self.sse {
            builder = builder.with_config(key("aws_server_side_encryption")?, sse);
        }
        if let Some(kms_key) = &self.kms_key {
            builder = builder.with_config(key("aws_sse_kms_key_id")?, kms_key);
        }
        let endpoint = builder.get_config_value(&AmazonS3ConfigKey::Endpoint);
        let http = endpoint.is_some_and(|endpoint| endpoint.starts_with("http://"));
        let credentials = find_credentials(&builder, http).await?;
        let credentials = match &self.role {
            Some(role) => sts::Assumed::provider(credentials, role.clone(), &region)?,
            None => credentials,
        };
        let builder = builder.with_credentials(credentials);
        Clients::new(|options| builder.clone().with_client_options(options).build(), http)
    }

    async fn region(&self) -> std::result::Result<String, CloudError> {
        let given = self.region.clone();
        let given = given.or_else(|| environment("AWS_REGION")).or_else(|| environment("AWS_DEFAULT_REGION"));
        match given {
            Some(region) => Ok(region),
            None if self.is_aws && environment("AWS_ENDPOINT_URL").is_none() => {
                let options = client_options(TRY_TIME[0], false);
                let found =
                    tokio::time::timeout(FIND_TIME, resolve_bucket_region(&self.bucket, &options)).await;
                match found {
                    Ok(Ok(region)) => Ok(region),
                    Ok(Err(error)) => Err(config(format!(
                        "the region of bucket {} can't be found, give `region`: {error}",
                        self.bucket
                    ))),
                    Err(_late) => Err(config(format!(
                        "the region of bucket {} can't be found in {} s, give `region`, or `endpoint` if it is not on AWS",
                        self.bucket,
                        FIND_TIME.as_secs()
                    ))),
                }
            }
            None => Ok("us-east-1".into()),
        }
    }

    /// The endpoint in the form that the client wants: with the bucket as its first label, if that is where it goes.
    fn full_endpoint(&self, region: &str) -> Option<String> {
        if self.accelerate {
            return Some(format!("https://{}.s3-accelerate.amazonaws.com", self.bucket));
        }
        let endpoint = match &self.endpoint {
            Some(endpoint) => endpoint.clone(),
            None if self.is_aws && region.starts_with("cn-") => {
                format!("https://s3.{region}.amazonaws.com.cn")
            }
            None => return None,
        };
        match endpoint.split_once("://") {
            Some((scheme, host)) if !self.path_style => Some(format!("{scheme}://{}.{host}", self.bucket)),
            _ => Some(endpoint),
        }
    }
}

fn keys(place: &mut Place) -> Result<Option<Keys>> {
    let (access, secret) = (place.text("access-key"), place.secret("secret-access-key"));
    let token = place.secret("session-token");
    let missing = |what: &str| -> Result<Option<Keys>> { Err(place.error(what)) };
    match (access, secret) {
        (Some(access), Some(secret)) => Ok(Some(Keys { access, secret, token })),
        (None, Some(_)) => missing("access_key not found"),
        (Some(_), None) => missing("secret_access_key not found"),
        (None, None) if token.is_some() => {
            missing("`session-token` without access_key and secret_access_key")
        }
        (None, None) => Ok(None),
    }
}

/// Keys of the shared credentials file, when nothing in the environment comes before it.
fn profile_keys() -> Option<Keys> {
    let before = ["AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE"];
    if before.iter().any(|name| environment(name).is_some()) {
        return None;
    }
    let file = match environment("AWS_SHARED_CREDENTIALS_FILE") {
        Some(file) => file,
        None => format!("{}/.aws/credentials", environment("HOME")?),
    };
    let text = Secret::new(std::fs::read_to_string(file).ok()?);
    let profile = environment("AWS_PROFILE").unwrap_or_else(|| "default".into());
    read_profile(text.expose(), &profile)
}

fn read_profile(text: &str, profile: &str) -> Option<Keys> {
    let mut inside = false;
    let (mut access, mut secret, mut token) = (None, None, None);
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            inside = name.trim() == profile;
        } else if inside && let Some((key, value)) = line.split_once('=') {
            match key.trim() {
                "aws_access_key_id" => access = Some(value.trim().to_owned()),
                "aws_secret_access_key" => secret = Some(Secret::new(value.trim())),
                "aws_session_token" => token = Some(Secret::new(value.trim())),
                _ => {}
            }
        }
    }
    Some(Keys { access: access?, secret: secret?, token })
}

/// Asks for credentials once, so that a machine without any says so soon.
async fn find_credentials(
    builder: &AmazonS3Builder,
    http: bool,
) -> std::result::Result<AwsCredentialProvider, CloudError> {
    let client = |retry: RetryConfig| {
        let options = client_options(TRY_TIME[0], http);
        builder.clone().with_client_options(options).with_retry(retry).build()
    };
    let quick = RetryConfig { max_retries: 2, retry_timeout: FIND_TIME / 2, ..retry_config() };
    let probe = Arc::clone(client(quick)?.credentials());
    match tokio::time::timeout(FIND_TIME, probe.get_credential()).await {
        Ok(Ok(_found)) => Ok(Arc::clone(client(retry_config())?.credentials())),
        ended => {
            let why = match ended {
                Ok(Err(error)) => super::brief(&error.to_string()),
                _ => format!("no answer in {} s", FIND_TIME.as_secs()),
            };
            Err(config(format!(
                "no credentials: give `access-key` and `secret-access-key` in the URL, AWS_ACCESS_KEY_ID and \
                 AWS_SECRET_ACCESS_KEY, a profile in ~/.aws/credentials, or a role of the machine ({why})"
            )))
        }
    }
}

/// An error that another try can't cure.
pub(super) fn config(what: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> CloudError {
    CloudError::Generic { store: "S3", source: what.into() }
}

fn key(name: &str) -> std::result::Result<AmazonS3ConfigKey, CloudError> {
    name.parse()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::url::Options;

    fn open(query: &str) -> Result<S3> {
        let mut place = Place::parse(&format!("s3://bkt/p?{query}"), "s3", "s3", &Options::default())?;
        let (Service::S3(service), _class) = S3::open(&mut place)? else { panic!("S3") };
        place.finish()?;
        Ok(service)
    }

    #[test]
    fn where_the_bucket_stands_in_the_address() {
        for (query, expected) in [
            ("endpoint=http://h:1/", Some("http://h:1")),
            ("endpoint=http://h:1&force-path-style=false", Some("http://bkt.h:1")),
            ("endpoint=https://h&provider=netease", Some("https://bkt.h")),
            ("use-accelerate-endpoint=true", Some("https://bkt.s3-accelerate.amazonaws.com")),
            ("", None),
        ] {
            assert_eq!(open(query).expect(query).full_endpoint("r").as_deref(), expected, "{query}");
        }
        let china = open("").expect("plain").full_endpoint("cn-north-1");
        assert_eq!(china.as_deref(), Some("https://s3.cn-north-1.amazonaws.com.cn"));
    }

    #[test]
    fn what_cannot_be_done_is_refused_by_name() {
        for (query, expected) in [
            ("access-key=a", "s3://bkt/p: secret_access_key not found"),
            ("secret-access-key=a", "s3://bkt/p: access_key not found"),
            ("session-token=a", "`session-token` without"),
            ("acl=public-read", "`acl` is not supported"),
            ("object-lock-enabled=true", "`object-lock-enabled` is not supported"),
            ("provider=alibaba", "RAM roles of Alibaba"),
            ("sse=rot13", "`sse` is AES256"),
            ("sse-kms-key-id=k", "goes with `sse=aws:kms`"),
            ("external-id=e", "goes with `role-arn`"),
            ("force-path-style=maybe", "`force-path-style` is true or false"),
            ("colour=red", "unknown parameter `colour`"),
        ] {
            let Err(error) = open(query) else { panic!("{query} is taken") };
            assert!(error.to_string().contains(expected), "{query}: {error}");
        }
        assert!(
            open("acl=private&sse=aws:kms&sse-kms-key-id=k&storage-class=STANDARD_IA&role-arn=a").is_ok()
        );
    }

    #[test]
    fn a_profile_is_read_by_its_name() {
        let text = "[default]\naws_access_key_id = a\naws_secret_access_key=b\n\n[ops]\naws_access_key_id=c\n\
                    aws_secret_access_key = d\naws_session_token = e\n[half]\naws_access_key_id=x\n";
        let keys = read_profile(text, "ops").expect("ops");
        assert_eq!(
            (keys.access.as_str(), keys.secret.expose(), keys.token.as_ref().map(Secret::expose)),
            ("c", "d", Some("e"))
        );
        assert_eq!(read_profile(text, "default").expect("default").access, "a");
        assert!(read_profile(text, "half").is_none() && read_profile(text, "none").is_none());
    }
}
