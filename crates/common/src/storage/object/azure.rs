//! Azure Blob Storage.

use object_store::{Error as CloudError, azure::MicrosoftAzureBuilder};

use super::{Clients, Place, Service, environment, retry_config};
use crate::{secret::Secret, storage::Result};

/// Checked parameters.
pub(super) struct Azure {
    container: String,
    endpoint: Option<String>,
    account: String,
    login: Login,
    encryption_key: Option<Secret>,
}

enum Login {
    Sas(Vec<(String, Secret)>),
    Key(Secret),
    /// A service principal or the machine's identity, from the environment.
    Environment,
}

impl Azure {
    /// Reads the parameters; there is no storage class.
    pub(super) fn open(place: &mut Place) -> Result<(Service, Option<String>)> {
        let endpoint = place.endpoint()?;
        place.refuse("access-tier", "give the account a default tier or a lifecycle rule")?;
        place.refuse("encryption-scope", "give the container a default scope")?;
        let account = place.text("account-name").or_else(|| environment("AZURE_STORAGE_ACCOUNT"));
        let Some(account) = account else {
            return Err(place.error("give the storage account: `account-name`, or AZURE_STORAGE_ACCOUNT"));
        };
        let principal = ["AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_CLIENT_SECRET"];
        let has_principal = principal.iter().all(|name| environment(name).is_some());
        let login = match (place.secret("sas-token"), place.secret("account-key")) {
            (Some(token), _) => Login::Sas(sas_pairs(&token)),
            (None, Some(key)) => Login::Key(key),
            (None, None) => match environment("AZURE_STORAGE_KEY") {
                Some(key) if !has_principal => Login::Key(Secret::new(key)),
                _ => Login::Environment,
            },
        };
        let encryption_key =
            place.secret("encryption-key").or_else(|| environment("AZURE_ENCRYPTION_KEY").map(Secret::new));
        let service = Azure { container: place.bucket.clone(), endpoint, account, login, encryption_key };
        Ok((Service::Azure(service), None))
    }

    pub(super) fn connect(&self) -> std::result::Result<Clients, CloudError> {
        let mut builder = match self.login {
            Login::Environment => MicrosoftAzureBuilder::from_env(),
            _ => MicrosoftAzureBuilder::new(),
        };
        builder = builder
            .with_account(&self.account)
            .with_container_name(&self.container)
            .with_retry(retry_config());
        let http = self.endpoint.as_ref().is_some_and(|endpoint| endpoint.starts_with("http://"));
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_endpoint(endpoint.clone());
        }
        match &self.login {
            Login::Sas(pairs) => {
                let pairs = pairs.iter().map(|(key, value)| (key.clone(), value.expose().to_owned()));
                builder = builder.with_sas_authorization(pairs.collect::<Vec<_>>());
            }
            Login::Key(key) => builder = builder.with_access_key(key.expose()),
            Login::Environment => {}
        }
        if let Some(key) = &self.encryption_key {
            builder = builder.with_encryption_key(key.expose());
        }
        Clients::new(|options| builder.clone().with_client_options(options).build(), http)
    }
}

/// The token's parameters, decoded.
fn sas_pairs(token: &Secret) -> Vec<(String, Secret)> {
    let text = token.expose().trim_start_matches('?');
    let url = Secret::new(format!("http://sas/?{text}"));
    let Ok(url) = reqwest::Url::parse(url.expose()) else { return Vec::new() };
    url.query_pairs().map(|(key, value)| (key.into_owned(), Secret::new(value.into_owned()))).collect()
}
