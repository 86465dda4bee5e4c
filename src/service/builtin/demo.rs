//! Demo services for experiments and tests.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::dict;
use crate::model::error::{Error, Kind, Result, Violation, reason};
use crate::model::invocation::Progress;
use crate::model::sio::rust;
use crate::service::context::Context;
use crate::service::definition::Definition;
use crate::service::extract::Input;
use crate::service::registry::Registry;

pub(super) fn add(registry: &mut Registry) -> Result<()> {
    for (name, description, definition) in [
        (
            "customer.get",
            "Returns a customer.",
            Definition::new("customer.get", get_customer)?,
        ),
        (
            "customer.import",
            "Imports a list of customers, for example from CSV, and returns the result for each.",
            Definition::new("customer.import", import_customers)?,
        ),
        (
            "demo.sleep",
            "Sleeps, unless it is cancelled.",
            Definition::new("demo.sleep", sleep)?,
        ),
        (
            "demo.fail",
            "Fails as requested.",
            Definition::new("demo.fail", fail)?,
        ),
        (
            "demo.flaky",
            "Fails some attempts, then succeeds.",
            Definition::new("demo.flaky", flaky)?,
        ),
        (
            "demo.count",
            "Counts, with an item and a progress report for each number.",
            Definition::new("demo.count", count)?,
        ),
    ] {
        debug_assert_eq!(definition.name().as_str(), name);
        registry.register(definition.description(description))?;
    }
    Ok(())
}

#[derive(Deserialize, JsonSchema)]
struct GetCustomer {
    /// Any whole number.
    cust_id: i64,
}

#[derive(Serialize, JsonSchema)]
struct Customer {
    /// The requested customer.
    cust_id: i64,
    cust_name: &'static str,
}

async fn get_customer(Input(req): Input<GetCustomer>) -> Customer {
    Customer {
        cust_id: req.cust_id,
        cust_name: "Alexis Smith",
    }
}

#[derive(Deserialize, JsonSchema)]
struct NewCustomer {
    cust_id: i64,
    cust_name: String,
    /// Since when they are a customer.
    #[schemars(with = "Option<rust::Date>")]
    since: Option<String>,
    /// A decimal with all its digits.
    #[serde(default = "nothing")]
    #[schemars(with = "rust::Decimal")]
    credit: String,
}

fn nothing() -> String {
    "0".to_owned()
}

#[derive(Serialize, JsonSchema)]
struct Imported {
    cust_id: i64,
    cust_name: String,
    #[schemars(with = "Option<rust::Date>")]
    since: Option<String>,
    #[schemars(with = "rust::Decimal")]
    credit: String,
    imported: bool,
}

async fn import_customers(Input(customers): Input<Vec<NewCustomer>>) -> Vec<Imported> {
    let imported = customers.into_iter().map(|customer| Imported {
        cust_id: customer.cust_id,
        cust_name: customer.cust_name,
        since: customer.since,
        credit: customer.credit,
        imported: true,
    });
    imported.collect()
}

#[derive(Deserialize, JsonSchema)]
struct Sleep {
    seconds: f64,
}

#[derive(Serialize, JsonSchema)]
struct Slept {
    slept: f64,
}

async fn sleep(ctx: Context, Input(req): Input<Sleep>) -> Result<Slept> {
    let duration = Duration::try_from_secs_f64(req.seconds).map_err(|error| {
        let violation = Violation::new("/seconds", "OUT_OF_RANGE", error.to_string());
        Error::violations(reason::INPUT_INVALID, vec![violation])
    })?;
    tokio::select! {
        () = tokio::time::sleep(duration) => Ok(Slept { slept: req.seconds }),
        () = ctx.cancelled() => Err(Error::cancelled(reason::CANCELLED, "the sleep was cancelled")),
    }
}

#[derive(Deserialize, JsonSchema)]
struct Fail {
    /// The name of a gRPC status code.
    #[serde(default = "internal")]
    code: String,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    retryable: Option<bool>,
}

fn internal() -> String {
    Kind::Internal.name().to_owned()
}

async fn fail(Input(req): Input<Fail>) -> Result<()> {
    let kind = Kind::from_name(&req.code).ok_or_else(|| {
        let message = "is not the name of a gRPC status code, such as `NOT_FOUND`";
        let violation = Violation::new("/code", "UNKNOWN_VALUE", message);
        Error::violations(reason::INPUT_INVALID, vec![violation])
    })?;
    let message = req
        .message
        .unwrap_or_else(|| "failed as requested".to_owned());
    Err(Error::new(kind, "DEMO_FAILED", message).with_retryable(req.retryable))
}

#[derive(Deserialize, JsonSchema)]
struct Flaky {
    /// How many attempts fail before one succeeds.
    failures: u32,
}

#[derive(Serialize, JsonSchema)]
struct Answered {
    attempt: u32,
}

async fn flaky(ctx: Context, Input(req): Input<Flaky>) -> Result<Answered> {
    let attempt = ctx.attempt();
    if attempt <= req.failures {
        let message = format!("attempt {attempt} fails, as requested");
        return Err(Error::unavailable("DEMO_FLAKY", message));
    }
    Ok(Answered { attempt })
}

#[derive(Deserialize, JsonSchema)]
struct Count {
    to: u32,
}

#[derive(Serialize, JsonSchema)]
struct Counted {
    total: u32,
}

async fn count(ctx: Context, Input(req): Input<Count>) -> Result<Counted> {
    for n in 1..=req.to {
        ctx.emit(dict! { "n": n }).await?;
        let progress = Progress::at(f64::from(n) / f64::from(req.to));
        ctx.progress(progress.message(format!("{n} of {}", req.to)));
        // Other tasks get a chance to run.
        tokio::task::yield_now().await;
    }
    Ok(Counted { total: req.to })
}
