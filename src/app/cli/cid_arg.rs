//! CIDs as arguments: whole, as a unique prefix, or `last`.

use std::str::FromStr;

use super::id_prefix::{MIN_PREFIX, is_prefix, only_one};
use super::last;
use crate::codec::proto::v1;
use crate::model::error::{Error, Result, reason};
use crate::model::id::Cid;
use crate::remote::client::ContractClient;

/// Among how many invocations of the node, the newest ones, a prefix is looked up.
const MAX_SEARCHED: usize = 10_000;

/// A CID, a prefix of one, or `last`.
#[derive(Clone, Debug)]
pub(super) enum CidArg {
    Whole(Cid),
    Prefix(String),
    Last,
}

impl FromStr for CidArg {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text == "last" {
            return Ok(Self::Last);
        }
        match Cid::parse(text) {
            Ok(cid) => Ok(Self::Whole(cid)),
            Err(_) if is_prefix(text) => Ok(Self::Prefix(text.to_owned())),
            Err(error) => Err(error.with_message(format!(
                "`{text}` is not a CID, the beginning of one ({MIN_PREFIX} or more characters, in lower case), or \
                 `last`"
            ))),
        }
    }
}

impl CidArg {
    /// The CID.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` / `CID_UNKNOWN` and `INVALID_ARGUMENT` / `CID_AMBIGUOUS` for a prefix, which is looked up among the
    /// 10 000 newest invocations; `NO_LAST_INVOCATION` for `last` where there is none; `UNAVAILABLE` where the
    /// connection is lost.
    pub(super) async fn resolve(self, client: &ContractClient) -> Result<Cid> {
        match self {
            Self::Whole(cid) => Ok(cid),
            Self::Last => last::recall(),
            Self::Prefix(prefix) => by_prefix(client, &prefix).await,
        }
    }
}

/// A prefix is not a range of acceptance times: callers choose CIDs, and clients make them by their own clocks. So
/// the CIDs themselves are compared.
async fn by_prefix(client: &ContractClient, prefix: &str) -> Result<Cid> {
    let mut matching = Vec::new();
    let find = |invocation: v1::Invocation| {
        if invocation.cid.starts_with(prefix) {
            matching.push(invocation.cid);
        }
    };
    let everything = v1::InvocationFilter::default();
    client
        .each_invocation(everything, MAX_SEARCHED, find)
        .await?;
    match only_one(prefix, &matching, "CIDs", reason::CID_AMBIGUOUS)? {
        Some(cid) => Cid::parse(cid),
        None => {
            let message = format!(
                "no CID among the {MAX_SEARCHED} newest invocations starts with `{prefix}`"
            );
            Err(Error::not_found(reason::CID_UNKNOWN, message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_cids_prefixes_and_last_are_told_apart() {
        let parse = |text: &str| text.parse::<CidArg>();
        let whole = "0190f5a2-7b3c-7def-8123-456789abcdef";
        assert!(matches!(parse(whole), Ok(CidArg::Whole(_))));
        assert!(matches!(parse("0190"), Ok(CidArg::Prefix(_))));
        assert!(matches!(parse("0190f5a2-7b"), Ok(CidArg::Prefix(_))));
        assert!(matches!(parse("last"), Ok(CidArg::Last)));
        for wrong in ["", "019", "0190F5A2", "newest", &whole.replace('0', "g")] {
            let reason = parse(wrong).unwrap_err();
            assert_eq!(reason.reason(), reason::CID_INVALID, "{wrong}");
        }
    }
}
