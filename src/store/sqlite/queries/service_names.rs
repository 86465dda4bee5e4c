//! The names of services, each parsed once in a query.

use std::collections::HashMap;

use crate::model::error::Result;
use crate::model::id::ServiceName;

/// The names of services by the ids of their rows.
#[derive(Debug, Default)]
pub(super) struct ServiceNames(HashMap<i64, ServiceName>);

impl ServiceNames {
    /// The name of the service with this row.
    ///
    /// # Errors
    ///
    /// Those of [`ServiceName::from_record`].
    pub(super) fn name(&mut self, id: i64, text: &str) -> Result<ServiceName> {
        if let Some(known) = self.0.get(&id) {
            return Ok(known.clone());
        }
        let name = ServiceName::from_record(text)?;
        self.0.insert(id, name.clone());
        Ok(name)
    }
}
