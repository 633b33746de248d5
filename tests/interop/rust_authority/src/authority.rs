//! The authority node itself.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ockam::identity::utils::now;
use ockam::identity::{Identifier, Identities};
use ockam::tcp::TcpTransport;
use ockam::vault::SoftwareVaultForSigning;
use ockam::vault::storage::SecretsSqlxDatabase;
use ockam::{Context, SqlxDatabase};
use ockam_api::authenticator::{PreTrustedIdentities, PreTrustedIdentity};
use ockam_api::authority_node::{Authority, Configuration, start_node};
use ockam_api::config::lookup::InternetAddress;

use crate::args::{Args, Failure, pairs};
use crate::identity::identify;
use crate::report;

const NODE: &str = "authority";
const DEFAULT_PROJECT: &str = "test";
const START: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(10);

pub async fn serve(context: &Context, args: &Args) -> Result<(), Failure> {
    let address = args.required("--listen")?;
    let address = InternetAddress::new(address)
        .ok_or_else(|| Failure(format!("--listen cannot be `{address}`")))?;
    let database = SqlxDatabase::in_memory(NODE).await?;
    let secrets = Arc::new(SecretsSqlxDatabase::new(database.clone()));
    let signing = SoftwareVaultForSigning::new(secrets);
    let identities = Identities::create_with_node(database.clone(), NODE).build();
    let identifier = identify(&identities.identities_creation(), &signing, args).await?;

    let configuration = Configuration {
        identifier: identifier.clone(),
        database_configuration: database.configuration.clone(),
        project_identifier: args
            .text("--project")
            .unwrap_or(DEFAULT_PROJECT)
            .to_string(),
        tcp_listener_address: address,
        secure_channel_listener_name: None,
        authenticator_name: None,
        trusted_identities: trusted(args.text("--trusted"), &identifier)?,
        no_direct_authentication: false,
        no_token_enrollment: false,
        okta: None,
        account_authority: None,
        enforce_admin_checks: false,
        disable_trust_context_id: false,
        telemetry_endpoint_url: None,
    };
    let authority = Authority::create(&configuration, Some(database)).await?;
    start_node(context, &configuration, authority).await?;

    let listen = tokio::time::timeout(START, address_of_listener(context))
        .await
        .map_err(|_| Failure::from("the authority does not listen"))??;
    let identity = identities.get_identity(&identifier).await?;
    report::event(
        "ready",
        [
            ("listen", listen.into()),
            ("identifier", identifier.to_string().into()),
            ("change_history_hex", identity.export_as_string()?.into()),
        ],
    );
    Ok(())
}

/// The authority does not tell where it listens, and is told so itself a little after it was started.
async fn address_of_listener(context: &Context) -> Result<String, Failure> {
    let tcp = TcpTransport::get_or_create(context)?;
    loop {
        if let Some(listener) = tcp.registry().get_all_listeners().first() {
            return Ok(listener.socket_address().to_string());
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Reads `IDENTIFIER:NAME=VALUE,...;IDENTIFIER:NAME=VALUE,...`.
fn trusted(text: Option<&str>, authority: &Identifier) -> Result<PreTrustedIdentities, Failure> {
    let mut found = BTreeMap::new();
    for member in text.into_iter().flat_map(|text| text.split(';')) {
        let (identifier, attributes) = member
            .split_once(':')
            .ok_or_else(|| Failure(format!("`{member}` is not IDENTIFIER:NAME=VALUE,...")))?;
        let attributes = pairs(Some(attributes))?
            .into_iter()
            .map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()))
            .collect();
        let member = PreTrustedIdentity::new(attributes, now()?, None, authority.clone());
        found.insert(Identifier::try_from(identifier)?, member);
    }
    Ok(found.into())
}
