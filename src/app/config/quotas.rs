//! What services and principals are allowed, as it is configured.

use super::limit_text::{rate, service_limit};
use super::settings::QuotaConfig;
use crate::engine::Limits;

impl QuotaConfig {
    /// Adds them to the limits of a node. The texts were checked when they were read.
    pub(in crate::app) fn add_to(&self, limits: &mut Limits) {
        let texts = self.service_limit.iter().map(AsRef::as_ref);
        limits.service_limits = texts.filter_map(|text| service_limit(text).ok()).collect();
        let text = self.principal_rate.as_ref().map(AsRef::as_ref);
        limits.principal_rate = text.and_then(|text| rate(text).ok());
    }
}
