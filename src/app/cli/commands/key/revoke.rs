//! `cidery key revoke`.

use clap::Args;

use super::place::{Place, PlaceArgs};
use crate::app::cli::objects;
use crate::app::cli::printer::{Printer, Tone};
use crate::codec::convert::api_key_to_proto;
use crate::model::error::Result;

/// Revoke an API key: calls with it are refused, and streams that it opened end.
#[derive(Args, Debug)]
pub(super) struct Revoke {
    /// ID of the key: the part before its secret. The whole key is taken, too, as where it leaked.
    id: String,
    #[command(flatten)]
    place: PlaceArgs,
}

impl Revoke {
    pub(super) async fn run(self, printer: &Printer) -> Result<()> {
        let key = match self.place.open(false, printer).await? {
            Place::Node(client) => client.revoke_api_key(&self.id).await?,
            Place::Store(stored) => {
                let revoked = stored.keys.revoke(&self.id).await?.key;
                stored.audit("key_revoked", &revoked, printer);
                api_key_to_proto(&revoked)
            }
        };
        if !printer.object(&key.id, || objects::api_key(&key)) {
            let note = format!("the key `{}` of {} is revoked", key.id, key.principal);
            printer.note(Tone::Good, &note);
        }
        Ok(())
    }
}
