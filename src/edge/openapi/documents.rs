//! The documents of a node: made once for each set of rights, one at a time, and never larger than a limit.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

use crate::codec::openapi::{Documented, document};
use crate::engine::Invoker;
use crate::model::access::{Caller, Rights};
use crate::model::error::{Error, Result, reason};
use crate::service::runtime::Tasks;

/// How many documents are kept, at most: those of the rights that asked last.
const MAX_KEPT: usize = 8;

/// The documents of a node. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(in crate::edge) struct Documents(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// One document is made at a time; the others wait, and mostly find what they need.
    turn: Arc<Turn<()>>,
    kept: Mutex<VecDeque<Kept>>,
}

#[derive(Debug)]
struct Kept {
    version: u64,
    rights: Option<Rights>,
    /// `None` where it is larger than the limit.
    document: Option<Document>,
}

/// A document, and the tag of its content. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Document {
    pub(super) text: Bytes,
    pub(super) etag: Arc<str>,
}

impl Document {
    fn new(text: String) -> Self {
        let digest = Sha256::digest(&text);
        let etag = digest.iter().take(16).map(|byte| format!("{byte:02x}"));
        let etag: String = etag.collect();
        Self {
            text: Bytes::from(text),
            etag: format!("\"{etag}\"").into(),
        }
    }
}

impl Documents {
    /// The document of the services that the caller of an invoker sees.
    ///
    /// # Errors
    ///
    /// `RESOURCE_EXHAUSTED` / `MESSAGE_TOO_LARGE`; `UNAVAILABLE` / `NODE_STOPPING`; `INTERNAL` where it cannot be
    /// written.
    ///
    /// # Cancel safety
    ///
    /// What is made for a caller that stops waiting is given up after the service at which it is.
    pub(super) async fn get(&self, invoker: &Invoker) -> Result<Document> {
        let max_bytes = invoker.limits().openapi_bytes;
        let version = invoker.catalog_version();
        let rights = match invoker.caller() {
            Caller::Authenticated(identity) if !identity.rights.administer => {
                Some(identity.rights.clone())
            }
            _ => None,
        };
        let make = {
            let invoker = invoker.clone();
            move |is_wanted: &dyn Fn() -> bool| make(&invoker, max_bytes, is_wanted)
        };
        let found = self.find_or_make((version, rights), max_bytes, invoker.tasks(), make);
        found.await?.ok_or_else(|| too_large(max_bytes))
    }

    async fn find_or_make(
        &self,
        (version, rights): (u64, Option<Rights>),
        max_bytes: usize,
        tasks: &Tasks,
        make: impl FnOnce(&dyn Fn() -> bool) -> Result<Option<String>> + Send + 'static,
    ) -> Result<Option<Document>> {
        if let Some(known) = self.0.find(version, rights.as_ref()) {
            return Ok(known);
        }
        let turn = Arc::clone(&self.0.turn).lock_owned().await;
        if let Some(made_meanwhile) = self.0.find(version, rights.as_ref()) {
            return Ok(made_meanwhile);
        }
        // It lives as long as this future.
        let wanted = Arc::new(());
        let made = {
            let (inner, wanted) = (Arc::clone(&self.0), Arc::downgrade(&wanted));
            move || inner.make(turn, &wanted, (version, rights), max_bytes, make)
        };
        let stopped = || Error::unavailable(reason::NODE_STOPPING, "the node is stopping");
        let made = tasks.compute(made).await;
        made.unwrap_or_else(|| Err(stopped()))
    }
}

impl Inner {
    /// Makes a document. The turn ends with it, and not with the caller: otherwise two could be made at once.
    fn make(
        &self,
        _turn: OwnedMutexGuard<()>,
        wanted: &Weak<()>,
        (version, rights): (u64, Option<Rights>),
        max_bytes: usize,
        make: impl FnOnce(&dyn Fn() -> bool) -> Result<Option<String>>,
    ) -> Result<Option<Document>> {
        let is_wanted = || wanted.strong_count() > 0;
        let document = make(&is_wanted)?.map(Document::new);
        if !is_wanted() {
            return Ok(None);
        }
        let mut kept = self.kept();
        // Those of an earlier version are of no use any more.
        kept.retain(|one| one.version == version && one.rights != rights);
        kept.push_front(Kept {
            version,
            rights,
            document: document.clone(),
        });
        // The first one is kept whatever its size: all that want it ask at once.
        let mut bytes = 0_usize;
        let fitting = kept.iter().take(MAX_KEPT).take_while(|one| {
            let is_first = bytes == 0;
            bytes = bytes.saturating_add(one.document.as_ref().map_or(1, |it| it.text.len()));
            is_first || bytes <= max_bytes
        });
        let fitting = fitting.count();
        kept.truncate(fitting);
        Ok(document)
    }

    /// What was made for these rights, if it was made of this version.
    fn find(&self, version: u64, rights: Option<&Rights>) -> Option<Option<Document>> {
        let kept = self.kept();
        let mut kept = kept.iter();
        let found = kept.find(|one| one.version == version && one.rights.as_ref() == rights)?;
        Some(found.document.clone())
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn make(
    invoker: &Invoker,
    max_bytes: usize,
    is_wanted: &dyn Fn() -> bool,
) -> Result<Option<String>> {
    let definitions = invoker.definitions();
    let seen = definitions
        .iter()
        .filter(|(name, _)| invoker.sees_service(name.as_str()));
    let documented = seen.map(|(name, definition)| Documented {
        name: name.as_str(),
        description: &definition.service_options().description,
        sio: definition.declaration(),
    });
    let asks_who_calls = invoker.requires_authentication();
    document(documented, asks_who_calls, max_bytes, is_wanted)
}

fn too_large(limit: usize) -> Error {
    let message = format!(
        "the document of the services that you may invoke has more than {limit} bytes; `cidery export openapi \
         --service NAME` writes that of some of them"
    );
    Error::resource_exhausted(reason::MESSAGE_TOO_LARGE, message)
        .with_retryable(false)
        .with_info("openapi_bytes", limit)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use futures_util::future::join_all;

    use super::*;
    use crate::model::access::NamePattern;

    fn invoking(pattern: &str) -> Option<Rights> {
        Some(Rights {
            invoke: vec![NamePattern::parse("/invoke", pattern).unwrap()],
            ..Rights::default()
        })
    }

    #[tokio::test]
    async fn callers_with_the_same_rights_share_a_document() {
        let (documents, tasks) = (Documents::default(), Tasks::new());
        let made = Arc::new(AtomicUsize::new(0));
        let get = |version, rights: Option<Rights>, text: &'static str| {
            let made = Arc::clone(&made);
            documents.find_or_make((version, rights), 10, &tasks, move |_| {
                made.fetch_add(1, Ordering::Relaxed);
                Ok(Some(text.to_owned()))
            })
        };
        let all = join_all((0..20).map(|_| get(1, None, "all"))).await;
        assert!(
            all.iter()
                .all(|one| one.as_ref().unwrap().as_ref().unwrap().text == "all")
        );
        assert_eq!(made.load(Ordering::Relaxed), 1);
        // Other rights, and another version.
        get(1, invoking("a.*"), "some").await.unwrap();
        get(1, None, "all").await.unwrap();
        assert_eq!(made.load(Ordering::Relaxed), 2);
        get(2, None, "later").await.unwrap();
        assert_eq!(made.load(Ordering::Relaxed), 3);
        // What is kept has a limit in bytes: nine and five are too much.
        get(2, invoking("a.*"), "nine-byte").await.unwrap();
        get(2, None, "later").await.unwrap();
        assert_eq!(made.load(Ordering::Relaxed), 5);
    }

    #[tokio::test]
    async fn one_is_made_at_a_time_and_given_up_with_its_caller() {
        let (documents, tasks) = (Documents::default(), Tasks::new());
        let (started, begin) = tokio::sync::oneshot::channel();
        let (given_up, is_given_up) = mpsc::channel();
        let (go_on, wait) = mpsc::channel::<()>();
        let make = move |is_wanted: &dyn Fn() -> bool| {
            started.send(()).unwrap();
            wait.recv().unwrap();
            given_up.send(!is_wanted()).unwrap();
            Ok(Some("unwanted".to_owned()))
        };
        let mut first = Box::pin(documents.find_or_make((1, None), 99, &tasks, make));
        assert!(futures_util::poll!(&mut first).is_pending());
        begin.await.unwrap();
        drop(first);
        // It is still being made: its caller has left, and it does not know yet.
        assert!(documents.0.turn.try_lock().is_err());
        let second = documents.find_or_make((1, None), 99, &tasks, |_| Ok(Some("b".to_owned())));
        let mut second = Box::pin(second);
        assert!(futures_util::poll!(&mut second).is_pending());
        go_on.send(()).unwrap();
        assert_eq!(second.await.unwrap().unwrap().text, "b");
        assert!(is_given_up.recv().unwrap());
    }
}
