//! TLS modes on rustls with ring.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_cert_signed_by_trust_anchor};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, IpAddr, Ipv4Addr, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::{Endpoint, Error, Pem, Result, Tls, TlsMode};

/// What a connection needs to go under TLS.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) config: Arc<ClientConfig>,
    pub(crate) name: ServerName<'static>,
    /// Whether the server's certificate is checked, so that it may be told a password.
    pub(crate) verified: bool,
}

/// `None`: no TLS is wanted. Reads certificates from their files.
pub(crate) fn setup(endpoint: &Endpoint) -> Result<Option<Setup>> {
    if !endpoint.wants_tls() {
        return Ok(None);
    }
    let mode = endpoint.tls.mode;
    let name = match ServerName::try_from(endpoint.host.clone()) {
        Ok(name) => name,
        Err(_) if mode == TlsMode::VerifyIdentity => {
            return Err(Error::config(format!("`{}` is no name a certificate can hold", endpoint.host)));
        }
        // Only asked for by name indication; an address sends none.
        Err(_) => ServerName::IpAddress(IpAddr::V4(Ipv4Addr::from([0, 0, 0, 0]))),
    };
    Ok(Some(Setup {
        config: Arc::new(config(&endpoint.tls)?),
        name,
        verified: matches!(mode, TlsMode::VerifyCa | TlsMode::VerifyIdentity),
    }))
}

fn config(tls: &Tls) -> Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let algorithms = provider.signature_verification_algorithms;
    let verifier: Arc<dyn ServerCertVerifier> = match tls.mode {
        TlsMode::Off | TlsMode::Preferred | TlsMode::Required => Arc::new(Anyone { algorithms }),
        TlsMode::VerifyCa => Arc::new(ChainOnly { roots: roots(tls)?, algorithms }),
        TlsMode::VerifyIdentity => {
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots(tls)?), Arc::clone(&provider))
                .build()
                .map_err(|error| Error::config(format!("CA: {error}")))?
        }
    };
    let builder = ClientConfig::builder_with_provider(Arc::<CryptoProvider>::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::tls(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    match (&tls.cert, &tls.key) {
        (None, None) => Ok(builder.with_no_client_auth()),
        (Some(cert), Some(key)) => {
            let key = PrivateKeyDer::from_pem_slice(&key.read()?)
                .map_err(|error| Error::config(format!("client key {key:?}: {error}")))?;
            builder
                .with_client_auth_cert(certificates("client certificate", cert)?, key)
                .map_err(|error| Error::config(format!("client certificate {cert:?}: {error}")))
        }
        _ => Err(Error::config("a client certificate and its key must be given together")),
    }
}

fn certificates(what: &str, pem: &Pem) -> Result<Vec<CertificateDer<'static>>> {
    let text = pem.read()?;
    let found: Vec<_> = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .map_err(|error| Error::config(format!("{what} {pem:?}: {error}")))?;
    if found.is_empty() {
        return Err(Error::config(format!("{what} {pem:?}: no certificate in it")));
    }
    Ok(found)
}

fn roots(tls: &Tls) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    match &tls.ca {
        Some(pem) => {
            for certificate in certificates("CA", pem)? {
                roots.add(certificate).map_err(|error| Error::config(format!("CA {pem:?}: {error}")))?;
            }
        }
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
    }
    Ok(roots)
}

/// preferred and required: encrypts, whoever answers.
#[derive(Debug)]
struct Anyone {
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    // The signature would prove that the server has the key of a certificate that says nothing; and the version 1
    // certificates that many servers have cannot be read for it.
    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// verify-ca: the whole chain, dates and signatures, but not the name.
#[derive(Debug)]
struct ChainOnly {
    roots: RootCertStore,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for ChainOnly {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let certificate = ParsedCertificate::try_from(end_entity)?;
        verify_server_cert_signed_by_trust_anchor(
            &certificate,
            &self.roots,
            intermediates,
            now,
            self.algorithms.all,
        )?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
