//! `cidery key list`.

use clap::Args;

use super::place::{Place, PlaceArgs};
use crate::app::cli::names::age_of;
use crate::app::cli::objects::{self, quota_text, rights_text};
use crate::app::cli::printer::{self, Column, Printer, Row};
use crate::app::cli::times::local_time;
use crate::codec::convert::{api_key_to_proto, timestamp_from_proto};
use crate::codec::proto::v1;
use crate::engine::clock::Clock;
use crate::model::error::Result;

/// List API keys, revoked and expired ones included.
#[derive(Args, Debug)]
pub(super) struct List {
    #[command(flatten)]
    place: PlaceArgs,
}

impl List {
    pub(super) async fn run(self, printer: &Printer) -> Result<()> {
        let keys = match self.place.open(false, printer).await? {
            Place::Node(client) => client.api_keys().await?,
            Place::Store(stored) => {
                let listed = stored.keys.list().into_iter();
                listed.map(|listed| api_key_to_proto(&listed.key)).collect()
            }
        };
        printer.list(printer::List {
            columns: [
                Column::text("NAME"),
                Column::fixed("STATE"),
                Column::text("GROUP"),
                Column::text("RIGHTS"),
                Column::text("QUOTA"),
                Column::fixed("AGE"),
                Column::fixed("EXPIRES"),
                Column::fixed("USED"),
                Column::fixed("ID"),
            ],
            rows: keys.iter().map(row).collect(),
            if_empty: "there are no API keys: authentication is off, unless the node has other credentials",
        });
        Ok(())
    }
}

fn row(key: &v1::ApiKey) -> Row<9> {
    let time = |time: Option<&prost_types::Timestamp>| {
        let time = time.and_then(timestamp_from_proto);
        time.map_or_else(String::new, local_time)
    };
    Row {
        name: key.id.clone(),
        object: objects::api_key(key),
        cells: [
            key.principal.clone(),
            state(key).to_owned(),
            key.group.clone(),
            rights_text(key.rights.as_ref()),
            quota_text(key.quota.as_ref()),
            age_of(key.create_time.as_ref()),
            time(key.expire_time.as_ref()),
            time(key.last_use_time.as_ref()),
            key.id.clone(),
        ],
    }
}

/// Whether a key is valid now.
fn state(key: &v1::ApiKey) -> &'static str {
    let expire_time = key.expire_time.as_ref().and_then(timestamp_from_proto);
    match (&key.revoke_time, expire_time) {
        (Some(_), _) => "REVOKED",
        (None, Some(end)) if end <= Clock::System.now() => "EXPIRED",
        _ => "VALID",
    }
}
