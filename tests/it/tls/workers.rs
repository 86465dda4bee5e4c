//! Workers over TLS.

use cidery::{Client, Context, Error, Input, Node, Worker, dict};

use super::TlsNode;
use crate::support::TestNode;
use crate::support::certificates::Ca;

#[tokio::test]
async fn a_worker_serves_over_tls_with_its_certificate() {
    let ca = Ca::new();
    let node = TlsNode::start(ca.node().serve().client_ca_pem(&ca.pem)).await;
    let own = ca.client("spiffe://example.org/worker");
    let tls = ca.trusted().certificate_pem(&own.certificate, &own.key);
    let worker = Worker::builder().service("remote.nested", async |ctx: Context| {
        let customer = ctx.invoke("customer.get", dict! { "cust_id": 1 }).await?;
        Ok::<_, Error>(customer.value().clone())
    });
    let worker = worker.tls(tls.clone()).connect(&node.url).await.unwrap();
    let client = Client::connect_with_tls(&node.url, tls.clone())
        .await
        .unwrap();
    let customer = client.invoke("remote.nested", ()).await.unwrap();
    assert_eq!(
        customer.value()["cust_name"].as_text(),
        Some("Alexis Smith")
    );
    worker.stop().await;

    let mut reasons = Vec::new();
    for tls in [ca.trusted(), Ca::new().trusted()] {
        let refused = Worker::builder().tls(tls).connect(&node.url).await;
        reasons.push(refused.unwrap_err().reason().to_owned());
    }
    assert_eq!(reasons, ["TLS_FAILED", "TLS_FAILED"]);
    let plain = node.handle.address().unwrap().to_string();
    let refused = Worker::builder().connect(&plain).await.unwrap_err();
    assert_eq!(refused.reason(), "TLS_REQUIRED");
    // `run` does not wait for a node that will never accept it.
    let ended = Worker::builder().tls(ca.trusted()).run(&node.url).await;
    assert_eq!(ended.unwrap_err().reason(), "TLS_FAILED");
    let plain = TestNode::start(Node::builder()).await;
    let url = format!("https://{}", plain.address());
    let refused = Worker::builder().tls(ca.trusted()).connect(&url).await;
    assert_eq!(refused.unwrap_err().reason(), "TLS_FAILED");
}

#[tokio::test]
async fn a_worker_reads_its_files_again_when_it_reconnects() {
    let (folder, ca, next) = (crate::support::Folder::new("worker"), Ca::new(), Ca::new());
    let trusted = crate::support::certificates::write(&folder, "ca.pem", &ca.pem);
    let node = TlsNode::start(ca.node().serve()).await;
    let address = node.handle.address().unwrap();
    let tls = cidery::ClientTls::new().ca_file(trusted);
    let worker = Worker::builder().service("remote.echo", async |Input(n): Input<u32>| n);
    let worker = worker.tls(tls).connect(&node.url).await.unwrap();
    // The node comes back with a certificate of another CA.
    node.handle.stop().await;
    crate::support::certificates::write(&folder, "ca.pem", &next.pem);
    let again = Node::builder().tls(next.node().serve()).listen(address);
    let again = again.start().await.unwrap();
    let client = Client::connect_with_tls(&node.url, next.trusted())
        .await
        .unwrap();
    let called = async {
        loop {
            match client.invoke("remote.echo", 7).await {
                Ok(answer) => return answer.parse::<u32>().unwrap(),
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
            }
        }
    };
    let called = tokio::time::timeout(crate::support::PATIENCE, called).await;
    assert_eq!(called.unwrap(), 7);
    worker.stop().await;
    again.stop().await;
}
