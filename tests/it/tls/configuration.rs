//! Files that cannot be used, and addresses that may be listened on.

use cidery::{ClientTls, Error, Node, ServerTls};

use super::TlsNode;
use crate::support::certificates::{Ca, write};
use crate::support::{Folder, any_port, paths};

async fn refused(tls: ServerTls) -> Error {
    let started = Node::builder().tls(tls).listen(any_port()).start().await;
    let error = started.unwrap_err();
    assert_eq!(error.reason(), "TLS_INVALID", "{error}");
    error
}

#[tokio::test]
async fn all_files_that_cannot_be_used_are_named_at_once() {
    let folder = Folder::new("tls");
    let (ca, other) = (Ca::new(), Ca::new());
    let missing = folder.path().join("none.pem");
    let garbage = write(&folder, "garbage.pem", "no PEM");
    let error = refused(ServerTls::files(&missing, &garbage).client_ca_file(&garbage)).await;
    assert_eq!(paths(&error), ["/tls_cert", "/tls_key", "/tls_client_ca"]);
    for violation in error.field_violations() {
        assert!(violation.message.contains(".pem` "), "{violation}");
    }
    // A key in place of a certificate, and the reverse.
    let pair = ca.node();
    let error = refused(ServerTls::pem(&pair.key, &pair.certificate)).await;
    assert_eq!(paths(&error), ["/tls_cert", "/tls_key"]);
    // The key of another certificate, and a leaf in place of nothing.
    let error = refused(ServerTls::pem(&pair.certificate, other.node().key)).await;
    assert_eq!(paths(&error), ["/tls_key"]);
    // A key file is never quoted.
    let secret = pair.key.lines().nth(1).unwrap();
    let broken = pair.key.replace("-----END", "*****");
    let error = refused(ServerTls::pem(&pair.certificate, broken)).await;
    assert!(!format!("{error} {error:?}").contains(secret));
    let tls = pair.serve();
    assert!(!format!("{tls:?}").contains(secret));

    let node = TlsNode::start(pair.serve()).await;
    let tls = ClientTls::new()
        .ca_file(&garbage)
        .certificate_files(&missing, &garbage);
    let error = node.call(tls).await.unwrap_err();
    assert_eq!(error.reason(), "TLS_INVALID");
    assert_eq!(paths(&error), ["/ca", "/cert", "/key"]);
}

#[tokio::test]
async fn an_encrypted_key_is_named() {
    let pair = Ca::new().node();
    let key = pair.key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let error = refused(ServerTls::pem(&pair.certificate, key)).await;
    assert!(error.message().contains("passphrase"), "{error}");
}

#[tokio::test]
async fn another_address_needs_client_certificates_or_insecure() {
    let ca = Ca::new();
    let start = async |tls: ServerTls| {
        let builder = Node::builder().tls(tls).listen("0.0.0.0:0");
        builder.start().await.map(drop)
    };
    let refused = start(ca.node().serve()).await.unwrap_err();
    assert_eq!(refused.reason(), "INSECURE_ADDRESS");
    let tls = ca.node().serve().client_ca_pem(&ca.pem);
    let refused = start(tls.clone().client_certificate_optional()).await;
    assert_eq!(refused.unwrap_err().reason(), "INSECURE_ADDRESS");
    start(tls).await.unwrap();
}
