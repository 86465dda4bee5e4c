//! Built-in services of a node.

mod demo;
/// The examples of invoking services: one file serves the demo and `cargo run --example invoking`.
#[path = "../../../examples/invoking/services.rs"]
mod invoking;
mod platform;

pub use self::platform::PrincipalList;
use crate::model::error::Result;
use crate::service::registry::Registry;

/// Adds the services that every node has, under their own names and under those of Zato.
///
/// # Errors
///
/// `ALREADY_EXISTS` / `SERVICE_EXISTS` where one of the names is taken.
pub fn add_platform(registry: &mut Registry, principals: PrincipalList) -> Result<()> {
    platform::add(registry, principals)
}

/// Adds demo services.
///
/// # Errors
///
/// `ALREADY_EXISTS` / `SERVICE_EXISTS` where one of the names is taken.
pub fn add_demo(registry: &mut Registry) -> Result<()> {
    let mut demos = Registry::new();
    demo::add(&mut demos)?;
    invoking::add(&mut demos)?;
    registry.add_demos(demos)
}
