//! Commands about identities and credentials, which need no other node.

use std::time::Duration;

use ockam::Context;
use ockam::identity::models::{CredentialAndPurposeKey, CredentialSchemaIdentifier};
use ockam::identity::utils::AttributesBuilder;

use crate::args::{Args, Failure, pairs};
use crate::identity::bytes;
use crate::member::Member;
use crate::report;

const MEMBER: CredentialSchemaIdentifier = CredentialSchemaIdentifier(1);
const DEFAULT_TTL_S: u64 = 3600;

/// Makes an identity or takes the given one, and replaces its key if asked.
pub async fn identity(context: &Context, args: &Args) -> Result<(), Failure> {
    let member = Member::start(context, args).await?;
    if let Some(secret) = args.text("--rotate") {
        member.rotate(secret).await?;
    }
    report::event(
        "done",
        [
            ("identifier", member.identifier.to_string().into()),
            ("change_history_hex", member.history().await?.into()),
        ],
    );
    Ok(())
}

/// Verifies `--of`, a change history, against `--known`, what was known before of the same identity.
pub async fn verify(context: &Context, args: &Args) -> Result<(), Failure> {
    let node = Member::start(context, args).await?.node;
    let mut expected = None;
    if let Some(known) = args.text("--known") {
        expected = Some(node.import_identity_hex(None, known).await?);
    }
    let history = bytes(args.required("--of")?)?;
    let verification = node.identities_verification();
    let identifier = verification.import(expected.as_ref(), &history).await?;
    let identity = node.identities().get_identity(&identifier).await?;
    report::event(
        "done",
        [
            ("identifier", identifier.to_string().into()),
            ("changes", identity.changes().len().into()),
            ("change_history_hex", identity.export_as_string()?.into()),
        ],
    );
    Ok(())
}

/// Issues a credential, as the given identity, to the identity whose change history `--subject` is.
pub async fn issue(context: &Context, args: &Args) -> Result<(), Failure> {
    let member = Member::start(context, args).await?;
    let subject = args.required("--subject")?;
    let subject = member.node.import_identity_hex(None, subject).await?;
    let mut attributes = AttributesBuilder::with_schema(MEMBER);
    for (name, value) in pairs(args.text("--attributes"))? {
        attributes = attributes.with_attribute(name, value);
    }
    let ttl = Duration::from_secs(args.parsed("--ttl")?.unwrap_or(DEFAULT_TTL_S));
    let creation = member.node.credentials().credentials_creation();
    let credential = creation
        .issue_credential(&member.identifier, &subject, attributes.build(), ttl)
        .await?;
    report::event(
        "done",
        [
            ("issuer", member.identifier.to_string().into()),
            ("subject", subject.to_string().into()),
            ("credential_hex", credential.encode_as_string()?.into()),
            ("change_history_hex", member.history().await?.into()),
        ],
    );
    Ok(())
}

/// Verifies `--credential` as one that `--authority` issued to `--subject`, both given by their change history.
pub async fn check(context: &Context, args: &Args) -> Result<(), Failure> {
    let member = Member::start(context, args).await?;
    let node = &member.node;
    let authority = member
        .authority()
        .ok_or_else(|| Failure::from("--authority is missing"))?;
    let subject = args.required("--subject")?;
    let subject = node.import_identity_hex(None, subject).await?;
    let credential = args.required("--credential")?;
    let credential = CredentialAndPurposeKey::decode_from_string(credential)?;
    let verification = node.credentials().credentials_verification();
    let found = verification
        .verify_credential(Some(&subject), std::slice::from_ref(authority), &credential)
        .await?;
    let data = found.credential_data;
    report::event(
        "done",
        [
            ("subject", subject.to_string().into()),
            ("attributes", data.get_attributes_display().into()),
            ("expires_at", (*data.expires_at as usize).into()),
        ],
    );
    Ok(())
}
