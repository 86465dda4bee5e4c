//! `cidery whoami`.

use clap::Args;

use crate::app::cli::names::scope_name;
use crate::app::cli::node_option::NodeArgs;
use crate::app::cli::objects;
use crate::app::cli::printer::Printer;
use crate::app::cli::times::local_time;
use crate::codec::convert::timestamp_from_proto;
use crate::codec::proto::v1;
use crate::model::error::Result;

/// Show who the node takes you for, and what you may do.
#[derive(Args, Debug)]
pub(in crate::app::cli) struct Whoami {
    #[command(flatten)]
    node: NodeArgs,
}

impl Whoami {
    pub(in crate::app::cli) async fn run(self, printer: &Printer) -> Result<()> {
        let client = self.node.connect(printer).await?;
        let caller = client.caller().await?;
        let context = self.node.context_name();
        let object = || objects::caller(&caller, client.node(), context.as_deref());
        if !printer.object(&caller.principal, object) {
            let mut rows = rows(&caller);
            let of_connection = [
                ("node", Some(client.node())),
                ("context", context.as_deref()),
            ];
            for (name, value) in of_connection {
                rows.extend(value.map(|value| [name.to_owned(), value.to_owned()]));
            }
            printer.properties(&rows);
        }
        Ok(())
    }
}

fn rows(caller: &v1::GetCallerResponse) -> Vec<[String; 2]> {
    let rights = caller.rights.clone().unwrap_or_default();
    let expire_time = caller.expire_time.as_ref().and_then(timestamp_from_proto);
    let (principal, credential) = match caller.credential() {
        v1::CredentialKind::None => ("anyone", "none: authentication is off".to_owned()),
        v1::CredentialKind::ApiKey => {
            let credential = format!("API key `{}`", caller.api_key_id);
            (caller.principal.as_str(), credential)
        }
        v1::CredentialKind::Token => (caller.principal.as_str(), "token".to_owned()),
        v1::CredentialKind::Certificate | v1::CredentialKind::Unspecified => {
            (caller.principal.as_str(), "client certificate".to_owned())
        }
    };
    let patterns = |patterns: &[String]| match patterns {
        [] => "nothing".to_owned(),
        patterns => patterns.join(", "),
    };
    let rows = [
        ("principal", principal.to_owned()),
        ("credential", credential),
        ("group", caller.group.clone()),
        ("expires", expire_time.map_or_else(String::new, local_time)),
        ("may invoke", patterns(&rights.invoke)),
        ("may serve", patterns(&rights.serve)),
        ("may read", scope_name(rights.read).to_owned()),
        ("may control", scope_name(rights.control).to_owned()),
        (
            "administers",
            if rights.administer { "yes" } else { "no" }.to_owned(),
        ),
        ("may use", objects::quota_text(caller.quota.as_ref())),
    ];
    let rows = rows.into_iter().filter(|(_, value)| !value.is_empty());
    rows.map(|(name, value)| [name.to_owned(), value]).collect()
}
