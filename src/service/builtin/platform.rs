//! The platform services `cidery.*`, and the same services as `zato.*` in the form of Zato.

use std::sync::Arc;

use crate::dict;
use crate::model::error::{Error, Kind, Result, reason};
use crate::model::payload::Payload;
use crate::model::value::{Dict, Value};
use crate::service::context::Context;
use crate::service::definition::Definition;
use crate::service::platform::KnownService;
use crate::service::registry::Registry;

/// Lists the principals that a node accepts.
pub type PrincipalList = Arc<dyn Fn() -> Vec<Dict> + Send + Sync>;

pub(super) fn add(registry: &mut Registry, principals: PrincipalList) -> Result<()> {
    let ping = Definition::new("cidery.ping", async || dict! { "pong": "cidery" })?
        .description("Checks that the node responds.")
        .idempotent();
    let zato_ping = Definition::new("zato.ping", async || dict! { "pong": "zato" })?
        .description("Checks that the node responds.")
        .idempotent()
        .response_elem("zato_ping_response");
    let echo = Definition::new("cidery.echo", async |input: Payload| input)?
        .description("Returns its input.")
        .idempotent();
    let services = Definition::new("cidery.service.get-list", service_list)?
        .description("Lists the services of the node.")
        .idempotent();
    let zato_services = Definition::new("zato.service.get-list", zato_service_list)?
        .description("Lists the services of the node.")
        .idempotent()
        .response_elem("zato_service_get_list_response");
    let security = Definition::new("cidery.security.get-list", move || {
        let listed = principals();
        async move { Value::from(listed) }
    })?
    .description("Lists the callers that the node accepts.")
    .idempotent();
    let zato_security = security
        .named("zato.security.get-list")?
        .response_elem("zato_security_get_list_response");
    registry.register(echo.named("zato.helpers.echo")?)?;
    for definition in [
        ping,
        zato_ping,
        echo,
        services,
        zato_services,
        security,
        zato_security,
    ] {
        registry.register(definition)?;
    }
    Ok(())
}

/// The services that the caller may know of: it may invoke or serve them, or administers the node.
///
/// # Errors
///
/// `PERMISSION_DENIED` / `NOT_PERMITTED` where the rights of the caller are not at hand: those of stored work are not
/// stored with it.
async fn services(ctx: &Context) -> Result<Vec<KnownService>> {
    let mut services = ctx.services().await?;
    match (&ctx.info().caller, ctx.acting_principal()) {
        (Some(caller), _) => services.retain(|one| caller.rights.may_see(one.name.as_str())),
        (None, Some(principal)) => {
            let message = format!(
                "which services `{principal}` may see is not known in the background: call `{}` synchronously, without \
                 an idempotency key",
                ctx.info().service
            );
            return Err(Error::new(
                Kind::PermissionDenied,
                reason::NOT_PERMITTED,
                message,
            ));
        }
        // Authentication is off, or a handler in the node calls.
        (None, None) => {}
    }
    Ok(services)
}

async fn service_list(ctx: Context) -> Result<Value> {
    let services = services(&ctx).await?;
    let items = services.into_iter().map(|service| {
        dict! { "name": service.name.to_string(), "description": service.description }
    });
    Ok(items.collect::<Vec<Dict>>().into())
}

async fn zato_service_list(ctx: Context) -> Result<Value> {
    let services = services(&ctx).await?;
    let items = services.into_iter().zip(1_u32..).map(|(service, id)| {
        let name = service.name.as_str();
        let internal = name.starts_with("zato.") || name.starts_with("cidery.");
        dict! {
            "id": id,
            "name": name,
            "is_active": true,
            "impl_name": name,
            "is_internal": internal,
            "may_be_deleted": false,
        }
    });
    Ok(items.collect::<Vec<Dict>>().into())
}
