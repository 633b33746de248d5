//! Commands that ask an authority for something.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use ockam::Context;
use ockam::identity::models::CredentialAndPurposeKey;
use ockam::identity::{AttributesEntry, Identifier, SecureChannels, Vault};
use ockam::tcp::TcpTransport;
use ockam::vault::SoftwareVaultForSigning;
use ockam_api::authenticator::direct::Members;
use ockam_api::authenticator::enrollment_tokens::TokenIssuer;
use ockam_api::cli_state::{EnrollmentTicket, ExportedEnrollmentTicket, LegacyEnrollmentTicket};
use ockam_api::enroll::enrollment::Enrollment;
use ockam_api::nodes::NodeManager;
use ockam_api::orchestrator::AuthorityNodeClient;
use ockam_multiaddr::MultiAddr;

use crate::args::{Args, Failure, pairs};
use crate::identity::{bytes, identify};
use crate::report::{self, Value};

const TIMEOUT: Duration = Duration::from_secs(10);
const PROJECT_NAME: &str = "tests";
const DEFAULT_PROJECT: &str = "test";

/// Somebody who asks an authority.
struct Asker {
    client: AuthorityNodeClient,
    channels: Arc<SecureChannels>,
    identifier: Identifier,
    authority: Identifier,
}

impl Asker {
    async fn start(
        context: &Context,
        args: &Args,
        authority: &str,
        route: &MultiAddr,
    ) -> Result<Self, Failure> {
        let signing = SoftwareVaultForSigning::create().await?;
        let mut vault = Vault::create().await?;
        vault.identity_vault = signing.clone();
        let channels = SecureChannels::builder().await?.with_vault(vault).build();
        let identities = channels.identities();
        let identifier = identify(&identities.identities_creation(), &signing, args).await?;
        let verification = identities.identities_verification();
        let authority = verification.import(None, &bytes(authority)?).await?;
        let tcp = TcpTransport::get_or_create(context)?;
        let client = NodeManager::authority_node_client(
            tcp,
            channels.clone(),
            &authority,
            route,
            &identifier,
            None,
        )
        .await?;
        Ok(Self {
            client: client
                .with_secure_channel_timeout(&TIMEOUT)
                .with_request_timeout(&TIMEOUT),
            channels,
            identifier,
            authority,
        })
    }

    async fn with_options(context: &Context, args: &Args) -> Result<Self, Failure> {
        let route = route(args.required("--authority-at")?)?;
        Self::start(context, args, args.required("--authority")?, &route).await
    }

    /// Fetches a credential and verifies it as any user of it would.
    async fn credential(&self, context: &Context) -> Result<CredentialAndPurposeKey, Failure> {
        let credential = self
            .client
            .issue_credential(context)
            .await
            .map_err(failed)?;
        let credentials = self.channels.identities().credentials();
        credentials
            .credentials_verification()
            .verify_credential(
                Some(&self.identifier),
                std::slice::from_ref(&self.authority),
                &credential,
            )
            .await?;
        Ok(credential)
    }
}

pub async fn credential(context: &Context, args: &Args) -> Result<(), Failure> {
    let asker = Asker::with_options(context, args).await?;
    let credential = asker.credential(context).await?;
    let data = credential.get_credential_data()?;
    report::event(
        "done",
        [
            ("identifier", asker.identifier.to_string().into()),
            ("credential_hex", credential.encode_as_string()?.into()),
            ("attributes", data.get_attributes_display().into()),
        ],
    );
    Ok(())
}

/// Asks for a one-time code, and reports a ticket with it in both forms.
pub async fn ticket(context: &Context, args: &Args) -> Result<(), Failure> {
    let asker = Asker::with_options(context, args).await?;
    let ttl = args.parsed("--ttl")?.map(Duration::from_secs);
    let uses = args.parsed("--uses")?;
    let code = asker
        .client
        .create_token(context, attributes(args)?, ttl, uses)
        .await
        .map_err(failed)?;
    let project = args.text("--project").unwrap_or(DEFAULT_PROJECT);
    let authority = args.required("--authority")?;
    let at = args.required("--authority-at")?;
    let project_route = format!("/dnsaddr/localhost/tcp/443/service/{project}/service/api");
    let ticket = EnrollmentTicket::new(
        code,
        project,
        PROJECT_NAME,
        MultiAddr::from_str(&project_route).map_err(failed)?,
        authority,
        authority,
        route(at)?,
    )
    .await
    .map_err(failed)?;
    let legacy = ticket.clone().export_legacy().map_err(failed)?;
    let exported = ticket.export().map_err(failed)?;
    report::event(
        "done",
        [
            ("exported", exported.hex_encoded().map_err(failed)?.into()),
            ("legacy", legacy.hex_encoded().map_err(failed)?.into()),
        ],
    );
    Ok(())
}

/// Shows the code of a ticket to the authority that it names, and fetches the first credential.
pub async fn enroll(context: &Context, args: &Args) -> Result<(), Failure> {
    let text = args.required("--ticket")?;
    let ticket = match LegacyEnrollmentTicket::from_str(text) {
        Ok(legacy) => EnrollmentTicket::new_from_legacy(legacy).await,
        Err(_) => match ExportedEnrollmentTicket::from_str(text) {
            Ok(exported) => exported.import().await,
            Err(error) => return Err(failed(error)),
        },
    }
    .map_err(failed)?;
    let project = ticket.project().map_err(failed)?;
    let authority = project
        .authority_identity
        .ok_or_else(|| Failure::from("the ticket names no authority"))?;
    let route = project
        .authority_access_route
        .ok_or_else(|| Failure::from("the ticket says no way to the authority"))?;
    let route = MultiAddr::from_str(&route).map_err(failed)?;
    let asker = Asker::start(context, args, &authority, &route).await?;
    let status = asker
        .client
        .present_token(context, &ticket.one_time_code)
        .await
        .map_err(failed)?;
    let credential = asker.credential(context).await?;
    let data = credential.get_credential_data()?;
    report::event(
        "done",
        [
            ("status", format!("{status:?}").into()),
            ("project", project.id.into()),
            ("project_name", project.name.into()),
            ("identifier", asker.identifier.to_string().into()),
            ("authority", asker.authority.to_string().into()),
            ("credential_hex", credential.encode_as_string()?.into()),
            ("attributes", data.get_attributes_display().into()),
        ],
    );
    Ok(())
}

pub async fn add(context: &Context, args: &Args) -> Result<(), Failure> {
    let asker = Asker::with_options(context, args).await?;
    let member = member(args)?;
    asker
        .client
        .add_member(context, member.clone(), attributes(args)?)
        .await
        .map_err(failed)?;
    let entry = asker.client.show_member(context, &member).await;
    report::event("done", [("attributes", shown(&entry.map_err(failed)?))]);
    Ok(())
}

pub async fn remove(context: &Context, args: &Args) -> Result<(), Failure> {
    let asker = Asker::with_options(context, args).await?;
    asker
        .client
        .delete_member(context, &member(args)?)
        .await
        .map_err(failed)?;
    report::event("done", []);
    Ok(())
}

/// Reports all members, one a line of text, by both of the requests that there are.
pub async fn members(context: &Context, args: &Args) -> Result<(), Failure> {
    let asker = Asker::with_options(context, args).await?;
    let mut identifiers = asker
        .client
        .list_member_ids(context)
        .await
        .map_err(failed)?;
    identifiers.sort();
    let members: BTreeMap<_, _> = asker
        .client
        .list_members(context)
        .await
        .map_err(failed)?
        .into_iter()
        .collect();
    if !members.keys().eq(&identifiers) {
        return Err("the two lists of members differ".into());
    }
    let lines: Vec<_> = members
        .iter()
        .map(|(identifier, entry)| format!("{identifier} {}", attributes_text(entry)))
        .collect();
    report::event("done", [("members", lines.join("\n").into())]);
    Ok(())
}

fn route(address: &str) -> Result<MultiAddr, Failure> {
    let (host, port) = address
        .split_once(':')
        .ok_or_else(|| Failure(format!("`{address}` is not HOST:PORT")))?;
    let route = format!("/ip4/{host}/tcp/{port}/service/api");
    MultiAddr::from_str(&route).map_err(failed)
}

fn attributes(args: &Args) -> Result<BTreeMap<String, String>, Failure> {
    Ok(pairs(args.text("--attributes"))?
        .into_iter()
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .collect())
}

fn member(args: &Args) -> Result<Identifier, Failure> {
    Ok(Identifier::try_from(args.required("--member")?)?)
}

fn shown(entry: &AttributesEntry) -> Value {
    attributes_text(entry).into()
}

fn attributes_text(entry: &AttributesEntry) -> String {
    entry
        .attrs()
        .iter()
        .map(|(name, value)| {
            let (name, value) = (
                String::from_utf8_lossy(name),
                String::from_utf8_lossy(value),
            );
            format!("{name}={value}")
        })
        .collect::<Vec<_>>()
        .join(";")
}

/// The errors of this part of the library are texts for people.
fn failed(error: impl Display) -> Failure {
    Failure(error.to_string())
}
