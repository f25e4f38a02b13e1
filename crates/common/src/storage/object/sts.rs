//! `role-arn`: temporary credentials of a role, asked for at AWS STS and renewed before they end.

use std::{
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use object_store::{
    CredentialProvider, Error as CloudError,
    aws::{AwsAuthorizer, AwsCredential, AwsCredentialProvider},
    client::{HttpClient, HttpConnector, HttpRequest, ReqwestConnector},
};
use tokio::sync::Mutex;

use super::{TRY_TIME, brief, client_options, environment, s3::config};

/// What STS gives for a role without a longer limit of its own.
const LIFETIME: Duration = Duration::from_secs(3600);
/// Renewed so long before the end.
const EARLY: Duration = Duration::from_secs(600);

/// Whose rights are taken.
#[derive(Debug, Clone)]
pub(super) struct Role {
    pub(super) arn: String,
    pub(super) external_id: Option<String>,
}

/// Credentials of a role.
pub(super) struct Assumed {
    base: AwsCredentialProvider,
    role: Role,
    region: String,
    endpoint: String,
    client: HttpClient,
    kept: Mutex<Option<(Instant, Arc<AwsCredential>)>>,
}

impl std::fmt::Debug for Assumed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Assumed").field("role", &self.role).finish_non_exhaustive()
    }
}

impl Assumed {
    /// `base` may assume the role.
    pub(super) fn provider(
        base: AwsCredentialProvider,
        role: Role,
        region: &str,
    ) -> Result<AwsCredentialProvider, CloudError> {
        let endpoint = environment("AWS_ENDPOINT_URL_STS").unwrap_or_else(|| {
            let tail = if region.starts_with("cn-") { ".cn" } else { "" };
            format!("https://sts.{region}.amazonaws.com{tail}")
        });
        let http = endpoint.starts_with("http://");
        let client = ReqwestConnector::default().connect(&client_options(TRY_TIME[0], http))?;
        let endpoint = format!("{}/", endpoint.trim_end_matches('/'));
        Ok(Arc::new(Self { base, role, region: region.into(), endpoint, client, kept: Mutex::new(None) }))
    }

    async fn current(&self) -> Result<Arc<AwsCredential>, CloudError> {
        let mut kept = self.kept.lock().await;
        if let Some((until, credential)) = &*kept
            && Instant::now() < *until
        {
            return Ok(Arc::clone(credential));
        }
        let asked = Instant::now();
        let credential = Arc::new(self.ask().await?);
        *kept = Some((asked + LIFETIME - EARLY, Arc::clone(&credential)));
        Ok(credential)
    }

    async fn ask(&self) -> Result<AwsCredential, CloudError> {
        let arn = &self.role.arn;
        let failed = |why: String| config(format!("the role {arn} can't be assumed: {why}"));
        let base = self.base.get_credential().await?;
        let mut body = reqwest::Url::parse(&self.endpoint).map_err(|error| failed(error.to_string()))?;
        body.query_pairs_mut()
            .append_pair("Action", "AssumeRole")
            .append_pair("Version", "2011-06-15")
            .append_pair("RoleArn", arn)
            .append_pair("RoleSessionName", "rmt")
            .append_pair("DurationSeconds", &LIFETIME.as_secs().to_string())
            .extend_pairs(self.role.external_id.iter().map(|id| ("ExternalId", id)));
        let body = body.query().unwrap_or_default().to_owned();
        let mut request: HttpRequest = http::Request::builder()
            .method("POST")
            .uri(&self.endpoint)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body.into())
            .map_err(|error| failed(error.to_string()))?;
        AwsAuthorizer::new(&base, "sts", &self.region).try_authorize(&mut request, None)?;
        let answer = self.client.execute(request).await.map_err(|error| failed(error.to_string()))?;
        let status = answer.status();
        let text = answer.into_body().bytes().await.map_err(|error| failed(error.to_string()))?;
        let text = String::from_utf8_lossy(&text);
        if !status.is_success() {
            return Err(failed(format!("{status}, {}", brief(&text))));
        }
        read_answer(&text).ok_or_else(|| failed("the answer has no credentials".into()))
    }
}

/// The three texts out of the answer; they have no characters that XML escapes.
fn read_answer(text: &str) -> Option<AwsCredential> {
    let inside = |tag: &str| {
        let (_, rest) = text.split_once(&format!("<{tag}>"))?;
        rest.split_once(&format!("</{tag}>")).map(|(value, _)| value.trim().to_owned())
    };
    Some(AwsCredential {
        key_id: inside("AccessKeyId")?,
        secret_key: inside("SecretAccessKey")?,
        token: inside("SessionToken"),
    })
}

impl CredentialProvider for Assumed {
    type Credential = AwsCredential;

    fn get_credential<'a, 'f>(
        &'a self,
    ) -> Pin<Box<dyn Future<Output = Result<Arc<AwsCredential>, CloudError>> + Send + 'f>>
    where
        'a: 'f,
        Self: 'f,
    {
        Box::pin(self.current())
    }
}
