//! What `explain` shows of an invocation: read from the node, and made an object.

use super::members::Members;
use super::tree::Tree;
use super::waiting;
use crate::app::cli::objects;
use crate::codec::proto::v1;
use crate::model::error::{Kind, Result};
use crate::model::id::Cid;
use crate::model::value::Value;
use crate::remote::client::ContractClient;

/// An invocation with all that `explain` shows.
pub(super) struct History {
    pub(super) invocation: v1::Invocation,
    /// Its service; `None` for a group, once it has ended, and if the service was forgotten.
    pub(super) service: Option<v1::ServiceDescription>,
    /// What it waits for, in a sentence.
    pub(super) waits: Option<String>,
    pub(super) tree: Tree,
    pub(super) members: Members,
}

impl History {
    pub(super) async fn read(client: &ContractClient, cid: Cid, depth: u8) -> Result<Self> {
        let invocation = client.explain(cid).await?;
        let service = match invocation.end_time {
            None => service(client, &invocation.service).await?,
            Some(_) => None,
        };
        let members = match &invocation.group {
            Some(group) => Members::read(client, cid, group.members).await?,
            None => Members::default(),
        };
        Ok(Self {
            waits: waiting::what_for(&invocation, service.as_ref())
                .or_else(|| members.waits(&invocation)),
            tree: Tree::read(client, cid, depth).await?,
            invocation,
            service,
            members,
        })
    }

    pub(super) fn object(&self) -> Value {
        let (children, callbacks) = self.tree.objects(&self.invocation.cid);
        objects::explanation(objects::Explanation {
            invocation: &self.invocation,
            waits: self.waits.as_deref(),
            served_by: self.locations(),
            children,
            callbacks,
            member_counts: &self.members.counts,
            members: &self.members.shown,
        })
    }

    /// Where its service is served now.
    pub(super) fn locations(&self) -> &[v1::ServiceLocation] {
        let service = self.service.as_ref();
        let locations = service.map(|service| service.locations.as_slice());
        locations.unwrap_or_default()
    }
}

/// Describes a service; `None` without a name, and if it was forgotten.
async fn service(client: &ContractClient, name: &str) -> Result<Option<v1::ServiceDescription>> {
    if name.is_empty() {
        return Ok(None);
    }
    match client.describe(name).await {
        Err(error) if error.kind() == Kind::NotFound => Ok(None),
        described => described.map(Some),
    }
}
