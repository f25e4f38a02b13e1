//! Google Cloud Storage.

use object_store::{
    Error as CloudError, StaticCredentialProvider,
    gcp::{GcpCredential, GoogleCloudStorageBuilder},
};

use super::{Clients, Place, Service, retry_config};
use crate::storage::Result;

/// Checked parameters.
pub(super) struct Gcs {
    bucket: String,
    endpoint: Option<String>,
    credentials_file: Option<String>,
}

impl Gcs {
    /// Reads the parameters; the second value is the storage class.
    pub(super) fn open(place: &mut Place) -> Result<(Service, Option<String>)> {
        // Dumpling's is that of the JSON interface; ours speaks the XML one, which stands beside it.
        let endpoint = place.endpoint()?.map(|endpoint| endpoint.trim_end_matches("/storage/v1").to_owned());
        place.refuse("predefined-acl", "set the rights by a policy of the bucket")?;
        let service =
            Gcs { bucket: place.bucket.clone(), endpoint, credentials_file: place.text("credentials-file") };
        Ok((Service::Gcs(service), place.text("storage-class")))
    }

    pub(super) fn connect(&self) -> std::result::Result<Clients, CloudError> {
        let mut builder =
            GoogleCloudStorageBuilder::new().with_bucket_name(&self.bucket).with_retry(retry_config());
        let http = self.endpoint.as_ref().is_some_and(|endpoint| endpoint.starts_with("http://"));
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_base_url(endpoint);
        }
        match &self.credentials_file {
            Some(file) => builder = builder.with_application_credentials(file),
            // An emulator: Google's own speaks TLS only.
            None if http => {
                let nobody = GcpCredential { bearer: String::new() };
                let nobody = std::sync::Arc::new(StaticCredentialProvider::new(nobody));
                builder = builder.with_credentials(nobody).with_skip_signature(true);
            }
            None => {}
        }
        Clients::new(|options| builder.clone().with_client_options(options).build(), http)
    }
}
