//! Pages of lists with large invocations, over both stores.

use cidery::codec::proto::v1;
use cidery::engine::store::{Filter, LIST_PAGE_BYTES, Store};
use cidery::model::call::Call;
use cidery::store::{MemoryStore, SqliteStore};
use cidery::{Cid, Node, dict};
use prost::Message as _;

use crate::support::stored::{NOW, invocation};
use crate::support::{Folder, TestNode, ended};

/// What a page has at most.
const PAGE: usize = 3 << 20;
const MIB: usize = 1 << 20;

async fn nodes(folder: &Folder) -> [TestNode; 2] {
    let memory = Node::builder().demo().store(MemoryStore::new());
    let disk = SqliteStore::open(folder.path()).unwrap();
    let disk = Node::builder().demo().store(disk);
    [TestNode::start(memory).await, TestNode::start(disk).await]
}

/// Invokes a service with a text of this length, which it returns.
async fn echoed(node: &TestNode, length: usize) -> Cid {
    let text = dict! { "text": "x".repeat(length) };
    let call = Call::new("cidery.echo", text);
    let cid = node.client.invoke_async(call).await.unwrap().cid;
    ended(&node.client, cid).await;
    cid
}

/// All pages of a list, read by a client with the usual limit of 4 MiB.
async fn pages(node: &TestNode, view: v1::InvocationView) -> Vec<Vec<v1::Invocation>> {
    let mut stub = node.stub.clone().max_decoding_message_size(4 * MIB);
    let (mut pages, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = v1::ListInvocationsRequest {
            view: view.into(),
            page_size: 1_000,
            page_token,
            ..v1::ListInvocationsRequest::default()
        };
        let page = stub.list_invocations(request).await.unwrap().into_inner();
        let size = page.encoded_len();
        assert!(size <= PAGE + 1_024, "a page of {size} bytes");
        pages.push(page.invocations);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return pages;
        }
    }
}

#[tokio::test]
async fn a_page_has_three_mebibytes_at_most() {
    let folder = Folder::new("pages");
    for node in nodes(&folder).await {
        let mut cids = Vec::new();
        for _ in 0..6 {
            cids.push(echoed(&node, MIB).await.to_string());
        }
        cids.reverse();
        for view in [v1::InvocationView::Basic, v1::InvocationView::Full] {
            let pages = pages(&node, view).await;
            let listed = pages.iter().flatten();
            let listed: Vec<_> = listed.map(|found| found.cid.clone()).collect();
            assert_eq!(listed, cids);
            for found in pages.iter().flatten() {
                assert!(found.outcome.is_some(), "{}", found.cid);
                let is_full = view == v1::InvocationView::Full;
                assert_eq!(found.input.is_some(), is_full);
            }
        }
    }
}

#[tokio::test]
async fn what_is_larger_than_a_page_is_listed_without_its_outcome() {
    let folder = Folder::new("pages");
    for node in nodes(&folder).await {
        let small = echoed(&node, 10).await.to_string();
        let large = echoed(&node, 4 * MIB).await.to_string();
        let last = echoed(&node, 10).await.to_string();
        let pages = pages(&node, v1::InvocationView::Full).await;
        let found: Vec<_> = pages.into_iter().flatten().collect();
        let listed: Vec<_> = found.iter().map(|found| &found.cid).collect();
        assert_eq!(listed, [&last, &large, &small]);
        let has_all = |found: &v1::Invocation| (found.input.is_some(), found.outcome.is_some());
        assert_eq!(has_all(&found[0]), (true, true));
        assert_eq!(has_all(&found[1]), (false, false));
        assert_eq!(found[1].state(), v1::State::Succeeded);
        assert_eq!(has_all(&found[2]), (true, true));
    }
}

#[tokio::test]
async fn a_store_cuts_pages_by_bytes_and_lists_at_least_one_invocation() {
    let folder = Folder::new("pages");
    let (memory, disk) = (
        MemoryStore::new(),
        SqliteStore::open(folder.path()).unwrap(),
    );
    for store in [&memory as &dyn Store, &disk] {
        for quarter in [1, 1, 1, 5, 4, 1, 2, 1] {
            let text = "x".repeat(quarter * LIST_PAGE_BYTES / 4 - 1_024);
            let next = invocation("a", NOW, dict! { "text": text });
            store.accept(next).await.unwrap();
        }
        let (mut pages, mut before) = (Vec::new(), None);
        loop {
            let page = store.list(Filter::default(), before, 100).await.unwrap();
            pages.push(page.invocations.len());
            before = page.next;
            if before.is_none() {
                break;
            }
        }
        // Newest first, in quarters: 1 + 2 + 1, then 4 and 5 alone, then the rest.
        assert_eq!(pages, [3, 1, 1, 3], "{}", store.name());
    }
}

#[tokio::test]
async fn a_filter_reaches_as_many_invocations_as_before() {
    let folder = Folder::new("pages");
    for node in nodes(&folder).await {
        for _ in 0..5 {
            echoed(&node, MIB).await;
        }
        let request = v1::PurgeInvocationsRequest {
            all: true,
            ..v1::PurgeInvocationsRequest::default()
        };
        let purged = node.stub.clone().purge_invocations(request).await.unwrap();
        let purged = purged.into_inner();
        assert_eq!(purged.changes.len(), 5, "in one call");
        assert_eq!(purged.next_page_token, "");
    }
}
