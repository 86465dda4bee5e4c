//! Services that invoke services, in a node without a listener. Run with `cargo run --example invoking`.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

mod services;

use cidery::{Node, Payload, Registry, Result};

#[tokio::main]
async fn main() -> Result<()> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let mut registry = Registry::new();
    services::add(&mut registry)?;
    let names: Vec<String> = registry
        .iter()
        .map(|service| service.name().to_string())
        .collect();

    let node = Node::builder()
        .register(registry)
        .no_listener()
        .start()
        .await?;
    for name in names {
        let response = node.invoke(name.clone(), Payload::empty()).await?;
        println!("{name}: {}", cidery::codec::json::write(response.value())?);
    }
    node.stop().await;
    Ok(())
}
