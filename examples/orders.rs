//! Calls by types, and the events of an invocation, in one process. Run with `cargo run --example orders`.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use cidery::testing::TestNode;
use cidery::{Context, EventKind, Input, Node, Result, Service};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Deserialize, JsonSchema, Serialize)]
struct Place {
    item: String,
    count: u32,
}

#[derive(Debug, Deserialize, JsonSchema, Serialize)]
struct Order {
    item: String,
    cents: u32,
}

/// The price of one item, which another team serves: its name and its types are all that a caller needs.
const PRICE: Service<String, u32> = Service::new("catalog.price");

async fn place(ctx: Context, Input(req): Input<Place>) -> Result<Order> {
    let cents = ctx.call(PRICE, req.item.clone()).await?;
    ctx.emit(format!("{} costs {cents} cents", req.item))
        .await?;
    Ok(Order {
        item: req.item,
        cents: cents * req.count,
    })
}

async fn price(Input(item): Input<String>) -> anyhow::Result<u32> {
    anyhow::ensure!(!item.is_empty(), "an item has a name");
    Ok(125)
}

#[tokio::main]
async fn main() -> Result<()> {
    let services = Node::builder()
        .service("order.place", place)
        .service("catalog.price", price);
    let node = TestNode::start(services).await?;
    let pens = |count| Place {
        item: "pen".to_owned(),
        count,
    };

    // In the process of the service, its function is enough.
    let order = node.node().call(place, pens(2)).await?;
    println!("{order:?}");

    // A client knows the name and the types.
    let place: Service<Place, Order> = Service::new("order.place");
    let cid = node.client().call_async(place, pens(3)).await?;
    let mut events = node.client().results(cid);
    while let Some(event) = events.next().await {
        match event?.kind {
            EventKind::Item(item) => println!("item: {}", item.as_text().unwrap_or_default()),
            EventKind::Succeeded(response) => println!("{:?}", response.parse::<Order>()?),
            _ => {}
        }
    }
    node.stop().await;
    Ok(())
}
