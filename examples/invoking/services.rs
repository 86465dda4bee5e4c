//! Services that invoke services: by a dict, as JSON, with inline parameters, in the background, and reading a wrapped
//! response by index and by dotted path.

use cidery::sio::{Int, Sio};
use cidery::{Context, Definition, Dict, Format, Registry, Result, Value, dict};
use tracing::info;

/// Adds the services to a registry.
pub(super) fn add(registry: &mut Registry) -> Result<()> {
    registry.register(
        Definition::new("invoking.list-security", list_security)?
            .description("Invokes `zato.security.get-list` and logs each item's name."),
    )?;
    registry.register(
        Definition::new("invoking.as-json", as_json)?
            .description("Sends a dict to `invoking.my-service2` as JSON."),
    )?;
    registry.register(
        Definition::new("invoking.inline-parameters", inline_parameters)?
            .description("Invokes `invoking.my-service2` with inline parameters."),
    )?;
    registry.register(
        Definition::new("invoking.in-background", in_background)?
            .description("Invokes `invoking.my-service2` asynchronously and returns the CID."),
    )?;
    registry.register(
        Definition::new("invoking.by-response-elem", by_response_elem)?
            .description("Reads `my_response_elem.cust_name` by index and by dotted path."),
    )?;
    let sio = Sio::new()
        .optional_input(Int("customer_id"))
        .optional_input("phone_no")
        .optional_input("cust_id")
        .output("cust_name")
        .response_elem("my_response_elem");
    for name in ["invoking.my-service", "invoking.my-service2"] {
        registry.register(
            Definition::new(name, my_service)?
                .description("Logs `customer_id` and its CID, and returns a customer's name.")
                .sio(sio.clone()),
        )?;
    }
    Ok(())
}

/// Invokes another service and logs the items of its response.
async fn list_security(ctx: Context) -> Result<Dict> {
    let response = ctx
        .invoke("zato.security.get-list", dict! { "cluster_id": 1 })
        .await?;
    let items: Vec<Dict> = response.at("zato_security_get_list_response")?;
    let names: Vec<Value> = items
        .iter()
        .filter_map(|item| item.get("name").cloned())
        .collect();
    for name in &names {
        info!(name = name.as_text(), "security definition");
    }
    Ok(dict! { "names": names })
}

/// Declares the payload as JSON explicitly. A dict sent as JSON stays a dict.
async fn as_json(ctx: Context) -> Result<Value> {
    let payload = dict! { "customer_id": 123, "phone_no": "123-456-789" };
    let response = ctx
        .invoke("invoking.my-service2", payload)
        .data_format(Format::Json)
        .await?;
    Ok(response.into_value())
}

/// Builds the payload in place.
async fn inline_parameters(ctx: Context) -> Result<Value> {
    let response = ctx
        .invoke(
            "invoking.my-service2",
            dict! { "customer_id": 123, "phone_no": "123-456-789" },
        )
        .await?;
    Ok(response.into_value())
}

/// The target runs under the CID that this handler returns, and logs it.
async fn in_background(ctx: Context) -> Result<Dict> {
    let payload = dict! { "customer_id": 123, "phone_no": "123-456-789" };
    let cid = ctx.invoke_async("invoking.my-service2", payload).await?;
    info!(target_cid = %cid, "invoked in the background");
    Ok(dict! { "cid": cid.to_string() })
}

/// The target declares `response_elem`, which is part of the path to each value.
async fn by_response_elem(ctx: Context) -> Result<Dict> {
    let response = ctx
        .invoke("invoking.my-service2", dict! { "cust_id": 1 })
        .await?;
    let by_index = response["my_response_elem"]["cust_name"].clone();
    let by_path: String = response.at("my_response_elem.cust_name")?;
    Ok(dict! { "by_index": by_index, "by_path": by_path })
}

/// The service that the others invoke.
async fn my_service(ctx: Context, input: Dict) -> Dict {
    let number = |key: &str| input.get(key).and_then(Value::as_int);
    let (customer_id, cust_id) = (number("customer_id"), number("cust_id"));
    let phone_no = input.get("phone_no").and_then(Value::as_text);
    info!(customer_id, phone_no, cust_id, cid = %ctx.cid(), "invoked");
    dict! { "cust_name": "Alexis Smith" }
}
