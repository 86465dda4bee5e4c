//! The events of a node as a command reads them: a node that is lost is waited for, however long it takes.

use std::time::Duration;

use super::lost::is_lost;
use crate::codec::proto::v1;
use crate::model::error::{Result, reason};
use crate::remote::client::{ContractClient, NodeEvents};

/// How long a command waits before it tries to reach the node again.
const RECONNECT_DELAY: Duration = Duration::from_millis(500);

/// What comes next.
pub(super) enum Next {
    Event(Box<v1::WatchEventsResponse>),
    /// The node is lost, for this reason.
    Lost(String),
}

/// The events that match a request.
pub(super) struct EventStream {
    client: ContractClient,
    request: v1::WatchEventsRequest,
    events: NodeEvents,
}

impl EventStream {
    /// Watches from now on.
    ///
    /// # Errors
    ///
    /// Those of the node.
    pub(super) async fn open(
        client: &ContractClient,
        request: v1::WatchEventsRequest,
    ) -> Result<Self> {
        let events = client.watch_events(request.clone()).await?;
        Ok(Self {
            // The command says once that it waits.
            client: client.clone().max_attempts(1),
            request,
            events,
        })
    }

    /// The next event.
    ///
    /// # Errors
    ///
    /// Those of the node, unless it is lost.
    pub(super) async fn next(&mut self) -> Result<Next> {
        match self.events.next().await {
            Ok(Some(event)) => Ok(Next::Event(Box::new(event))),
            Ok(None) => Ok(Next::Lost("it ended the stream".to_owned())),
            // What broke the connection is for a library to say.
            Err(error) if error.reason() == reason::TRANSPORT => {
                Ok(Next::Lost("the connection ended".to_owned()))
            }
            Err(error) if is_lost(&error) => Ok(Next::Lost(error.to_string())),
            Err(error) => Err(error),
        }
    }

    /// Watches again, once the node can be reached.
    ///
    /// # Errors
    ///
    /// Those of the node, unless it is lost.
    pub(super) async fn reopen(&mut self) -> Result<()> {
        loop {
            tokio::time::sleep(RECONNECT_DELAY).await;
            match self.client.watch_events(self.request.clone()).await {
                Err(error) if is_lost(&error) => {}
                watched => {
                    self.events = watched?;
                    return Ok(());
                }
            }
        }
    }
}
