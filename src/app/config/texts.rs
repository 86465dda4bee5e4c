//! Texts with rules of their own: addresses, host names, log filters. What is wrong with one is told where it is read.

use std::borrow::Cow;
use std::net::SocketAddr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::address::listen_address;
use super::certificate_rule::certificate_rule;
use super::limit_text::{rate, service_limit};
use super::role::role;
use super::trace_text::{attribute, collector, share};
use crate::app::telemetry;
use crate::edge::{AllowedHosts, AllowedOrigins};

/// An address to listen on, for `#[serde(with = "AddressText")]`: see [`listen_address`].
#[derive(Debug)]
pub(super) struct AddressText;

impl AddressText {
    pub(super) fn serialize<S: Serializer>(value: &SocketAddr, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<SocketAddr, D::Error> {
        let text = Cow::<'de, str>::deserialize(from)?;
        listen_address(&text).map_err(D::Error::custom)
    }
}

impl JsonSchema for AddressText {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Address".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }
}

/// Defines a text that a function checks.
macro_rules! checked_text {
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Serialize, JsonSchema)]
        #[serde(transparent)]
        #[schemars(inline)]
        pub(in crate::app) struct $name(String);

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = String::deserialize(from)?;
                let check: fn(&str) -> Result<(), String> = $check;
                check(&text).map_err(D::Error::custom)?;
                Ok(Self(text))
            }
        }
    };
}

checked_text! {
    /// A host name or IP address without a port.
    HostName, |text| {
        let added = AllowedHosts::default().add(text);
        added.map_err(|error| error.message().to_owned())
    }
}

checked_text! {
    /// The origin of web pages.
    OriginText, |text| {
        let added = AllowedOrigins::default().add(text);
        added.map_err(|error| error.message().to_owned())
    }
}

checked_text! {
    /// A role.
    RoleText, |text| role(text).map(drop)
}

checked_text! {
    /// A rule for client certificates.
    CertificateRuleText, |text| certificate_rule(text).map(drop)
}

checked_text! {
    /// A limit of services.
    ServiceLimitText, |text| service_limit(text).map(drop)
}

checked_text! {
    /// A rate.
    RateText, |text| rate(text).map(drop)
}

checked_text! {
    /// The address of a collector of traces.
    CollectorText, |text| collector(text).map(drop)
}

checked_text! {
    /// An attribute.
    AttributeText, |text| attribute(text).map(drop)
}

checked_text! {
    /// A share of traces.
    ShareText, |text| share(text).map(drop)
}

impl Default for ShareText {
    /// All of them.
    fn default() -> Self {
        Self("1".to_owned())
    }
}

checked_text! {
    /// A log filter.
    FilterText, |text| telemetry::filter(text).map(drop)
}
