//! The identity of a node: new, or one whose secret is given.

use ockam::identity::{Identifier, IdentitiesCreation};
use ockam::vault::{
    ECDSASHA256CurveP256SecretKey, EdDSACurve25519SecretKey, SigningSecret, SigningSecretKeyHandle,
    SoftwareVaultForSigning,
};

use crate::args::{Args, Failure};

/// The options of a command that says who the node is.
pub const IDENTITY: [&str; 2] = ["--secret", "--history"];

/// The identity that the options describe, or a new one.
pub async fn identify(
    creation: &IdentitiesCreation,
    signing: &SoftwareVaultForSigning,
    args: &Args,
) -> Result<Identifier, Failure> {
    let Some(secret) = args.text("--secret") else {
        return Ok(creation.create_identity().await?);
    };
    let key = import(signing, secret).await?;
    if let Some(history) = args.text("--history") {
        let history = bytes(history)?;
        return Ok(creation
            .import_private_identity(None, &history, &key)
            .await?);
    }
    let builder = creation.identity_builder();
    Ok(builder.with_existing_key(key).build().await?)
}

/// Keeps a signing key: 64 hexadecimal digits are one of Ed25519, and after `p256:` one of P-256.
pub async fn import(
    signing: &SoftwareVaultForSigning,
    text: &str,
) -> Result<SigningSecretKeyHandle, Failure> {
    let secret = match text.strip_prefix("p256:") {
        Some(digits) => SigningSecret::ECDSASHA256CurveP256(ECDSASHA256CurveP256SecretKey::new(
            thirty_two(digits)?,
        )),
        None => SigningSecret::EdDSACurve25519(EdDSACurve25519SecretKey::new(thirty_two(text)?)),
    };
    Ok(signing.import_key(secret).await?)
}

fn thirty_two(digits: &str) -> Result<[u8; 32], Failure> {
    bytes(digits)?
        .try_into()
        .map_err(|_| Failure::from("a secret has 64 hexadecimal digits"))
}

/// Reads hexadecimal digits.
pub fn bytes(digits: &str) -> Result<Vec<u8>, Failure> {
    hex::decode(digits).map_err(|e| Failure(format!("not hexadecimal: {e}")))
}
