//! Who a node is, whose word it takes about others, and what it shows of itself.

use std::sync::Arc;
use std::time::Duration;

use ockam::abac::{Expr, IncomingAbac, OutgoingAbac, PolicyExpression};
use ockam::flow_control::FlowControlId;
use ockam::identity::models::CredentialAndPurposeKey;
use ockam::identity::{
    CredentialRetrieverCreator, Identifier, MemoryCredentialRetrieverCreator,
    RemoteCredentialRetrieverCreator, RemoteCredentialRetrieverInfo,
    RemoteCredentialRetrieverTimingOptions, SecureChannel, SecureChannelListenerOptions,
    SecureChannelOptions, Vault,
};
use ockam::tcp::{TCP, TcpTransportExtension};
use ockam::vault::SoftwareVaultForSigning;
use ockam::{Address, Context, Node, Route, TryClone, route};

use crate::args::{Args, Failure};
use crate::identity::{identify, import};

/// Where every secure channel listener of these programs lives.
pub const API: &str = "api";

/// The options of a command whose channels prove more than an identifier.
pub const TRUST: [&str; 4] = ["--authority", "--credential", "--authority-at", "--gap"];

const SCOPE: &str = "project-member-test";
const REQUEST: Duration = Duration::from_secs(10);

/// A node that has an identity.
pub struct Member {
    pub node: Node,
    pub identifier: Identifier,
    authority: Option<Identifier>,
    shown: Option<Arc<dyn CredentialRetrieverCreator>>,
    rule: Option<Expr>,
    signing: Arc<SoftwareVaultForSigning>,
}

impl Member {
    /// Starts the node that the options describe.
    pub async fn start(context: &Context, args: &Args) -> Result<Self, Failure> {
        let signing = SoftwareVaultForSigning::create().await?;
        let mut vault = Vault::create().await?;
        vault.identity_vault = signing.clone();
        let node = Node::builder().await?.with_vault(vault).build(context)?;
        let identifier = identify(&node.identities_creation(), &signing, args).await?;
        let authority = match args.text("--authority") {
            Some(history) => Some(node.import_identity_hex(None, history).await?),
            None => None,
        };
        let shown = shown(context, &node, authority.as_ref(), args)?;
        let rule = args.parsed::<PolicyExpression>("--allow")?.map(Expr::from);
        if rule.is_some() && authority.is_none() {
            return Err("--allow needs --authority".into());
        }
        Ok(Self {
            node,
            identifier,
            authority,
            shown,
            rule,
            signing,
        })
    }

    /// Starts the secure channel listener, reachable from `source`, and returns what its channels count as a source of.
    pub fn accept_channels(&self, source: &FlowControlId) -> Result<FlowControlId, Failure> {
        let mut options = SecureChannelListenerOptions::new().as_consumer(source);
        if let Some(authority) = &self.authority {
            options = options.with_authority(authority.clone());
        }
        if let Some(shown) = &self.shown {
            options = options.with_credential_retriever_creator(shown.clone())?;
        }
        let channels = options.spawner_flow_control_id();
        self.node
            .create_secure_channel_listener(&self.identifier, API, options)?;
        Ok(channels)
    }

    /// Opens a secure channel to the listener at the end of `way`.
    pub async fn open_channel(
        &self,
        way: Route,
        options: SecureChannelOptions,
    ) -> Result<SecureChannel, Failure> {
        let mut options = options;
        if let Some(authority) = &self.authority {
            options = options.with_authority(authority.clone());
        }
        if let Some(shown) = &self.shown {
            options = options.with_credential_retriever_creator(shown.clone())?;
        }
        Ok(self
            .node
            .create_secure_channel(&self.identifier, way + API, options)
            .await?)
    }

    /// What `--allow` lets in and out, if it is given.
    pub fn guards(&self) -> Result<Option<(IncomingAbac, OutgoingAbac)>, Failure> {
        let Some(rule) = &self.rule else {
            return Ok(None);
        };
        let attributes = self.node.identities_attributes();
        let authority = self.authority.clone();
        let incoming = IncomingAbac::create(attributes.clone(), authority.clone(), rule.clone());
        let outgoing =
            OutgoingAbac::create(self.node.context(), attributes, authority, rule.clone())?;
        Ok(Some((incoming, outgoing)))
    }

    /// The authority whose credentials count here.
    pub fn authority(&self) -> Option<&Identifier> {
        self.authority.as_ref()
    }

    /// Replaces the signing key by a given one.
    pub async fn rotate(&self, secret: &str) -> Result<(), Failure> {
        let key = import(&self.signing, secret).await?;
        let creation = self.node.identities_creation();
        let options = creation.identity_builder().with_existing_key(key);
        let options = options.build_options().await?;
        Ok(creation
            .rotate_identity_with_options(&self.identifier, options)
            .await?)
    }

    /// The change history of this node's identity.
    pub async fn history(&self) -> Result<String, Failure> {
        let identities = self.node.identities();
        let identity = identities.get_identity(&self.identifier).await?;
        Ok(identity.export_as_string()?)
    }
}

/// Where the credential comes from that the channels of this node show.
fn shown(
    context: &Context,
    node: &Node,
    authority: Option<&Identifier>,
    args: &Args,
) -> Result<Option<Arc<dyn CredentialRetrieverCreator>>, Failure> {
    if let Some(credential) = args.text("--credential") {
        let credential = CredentialAndPurposeKey::decode_from_string(credential)?;
        return Ok(Some(Arc::new(MemoryCredentialRetrieverCreator::new(
            credential,
        ))));
    }
    let Some(address) = args.text("--authority-at") else {
        return Ok(None);
    };
    let issuer = authority.ok_or_else(|| Failure::from("--authority-at needs --authority"))?;
    let route = route![Address::new_with_string(TCP, address), API];
    let mut timing = RemoteCredentialRetrieverTimingOptions {
        request_timeout: REQUEST,
        secure_channel_creation_timeout: REQUEST,
        ..Default::default()
    };
    if let Some(gap) = args.parsed::<u64>("--gap")? {
        timing.clock_skew_gap = gap.into();
        timing.proactive_refresh_gap = gap.into();
        timing.min_refresh_interval = Duration::from_secs(1);
    }
    Ok(Some(Arc::new(
        RemoteCredentialRetrieverCreator::new_extended(
            context.try_clone()?,
            node.create_tcp_transport()?,
            node.secure_channels(),
            RemoteCredentialRetrieverInfo::create_for_project_member(issuer.clone(), route),
            SCOPE.to_string(),
            timing,
        ),
    )))
}
