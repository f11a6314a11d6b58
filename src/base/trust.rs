//! Whose certificates are believed: those of the system's authorities, and of authorities of the house.

use rustls::ClientConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, pem::PemObject};
use rustls_platform_verifier::Verifier;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// The authorities of a PEM file.
///
/// # Errors
/// A sentence, when it cannot be read, or holds no certificate that could be one.
pub fn authorities(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let shown = file.display();
    let found: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(file).map_err(|error| format!("{shown} cannot be read ({error})"))?.collect();
    let found = found.map_err(|error| format!("{shown} is no PEM file ({error})"))?;
    let mut store = rustls::RootCertStore::empty();
    for one in &found {
        store.add(one.clone()).map_err(|error| format!("{shown} holds a certificate that cannot be used ({error})"))?;
    }
    if found.is_empty() { Err(format!("{shown} holds no certificate")) } else { Ok(found) }
}

/// What a client goes by that believes the system's authorities and these, and offers these protocols (ALPN).
///
/// # Errors
/// When there are none at all.
pub fn client_config(authorities: &[CertificateDer<'static>], protocols: &[&[u8]]) -> io::Result<ClientConfig> {
    let provider = Arc::new(default_provider());
    let verifier =
        Verifier::new_with_extra_roots(authorities.iter().cloned(), provider.clone()).map_err(io::Error::other)?;
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = versions
        .map_err(io::Error::other)?
        .dangerous() // The verifier is the platform's own; the word is rustls' for any that is not its own.
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(config)
}

/// What is wrong with a certificate, when a connection failed for that.
#[must_use]
pub fn distrust(error: &io::Error) -> Option<&'static str> {
    use rustls::CertificateError as Wrong;
    let Some(rustls::Error::InvalidCertificate(wrong)) = error.get_ref()?.downcast_ref::<rustls::Error>() else {
        return None;
    };
    Some(match wrong {
        Wrong::NotValidForName | Wrong::NotValidForNameContext { .. } => "its certificate is for another name",
        Wrong::UnknownIssuer => "its certificate is of no authority that is trusted here",
        Wrong::Expired | Wrong::ExpiredContext { .. } => "its certificate has ended",
        Wrong::NotValidYet | Wrong::NotValidYetContext { .. } => "its certificate is not valid yet",
        Wrong::Revoked => "its certificate was revoked",
        _ => "its certificate is not valid",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_authorities_is_refused_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().join("empty.pem");
        std::fs::write(&empty, "nothing").unwrap();
        let broken = folder.path().join("broken.pem");
        std::fs::write(&broken, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();

        for file in [&empty, &broken, &folder.path().join("none.pem")] {
            let said = authorities(file).unwrap_err();
            assert!(said.contains(&file.display().to_string()), "{said}");
        }
    }
}
