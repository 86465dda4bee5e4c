//! Which requests are acts of an operator, for the audit log. The router makes and ends them; the methods name what
//! they are about.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use http::{Extensions, Request, Response};
use tonic::{Code, Status};

use crate::engine::access::audit;
use crate::model::access::Caller;
use crate::model::id::truncated_to;

/// How many characters of what an act is about are written: a filter may be long.
const MAX_OBJECT: usize = 2_000;

/// The methods that change a node, or many invocations, or copy the whole store.
const ACTS: [&str; 13] = [
    "/cidery.v1.AdminService/PauseService",
    "/cidery.v1.AdminService/ResumeService",
    "/cidery.v1.AdminService/DisableService",
    "/cidery.v1.AdminService/EnableService",
    "/cidery.v1.AdminService/ForgetService",
    "/cidery.v1.AdminService/ResumeNode",
    "/cidery.v1.AdminService/BackupStore",
    "/cidery.v1.AdminService/ReadBackup",
    "/cidery.v1.AdminService/DeleteBackup",
    "/cidery.v1.OperationService/StartOperation",
    "/cidery.v1.OperationService/CancelOperation",
    "/cidery.v1.SecurityService/CreateApiKey",
    "/cidery.v1.SecurityService/RevokeApiKey",
];

/// What an act is about. It is an extension of the request, as only the method that takes its message can tell.
#[derive(Clone, Debug, Default)]
struct Object(Arc<OnceLock<String>>);

/// Names what the act that a request asks for is about, such as a service. A long text is cut.
pub(super) fn about(extensions: &Extensions, object: &str) {
    if let Some(Object(named)) = extensions.get().filter(|_| !object.is_empty()) {
        // The first name stays: it is that of the request.
        let _ = named.set(truncated_to(MAX_OBJECT, object));
    }
}

/// An act of an operator.
#[derive(Debug)]
pub(super) struct Act {
    method: &'static str,
    caller: Caller,
    peer: SocketAddr,
    object: Object,
}

impl Act {
    /// The act that a request asks for, if it is one.
    pub(super) fn of<B>(
        request: &mut Request<B>,
        caller: &Caller,
        peer: SocketAddr,
    ) -> Option<Box<Self>> {
        let path = request.uri().path();
        let method = ACTS.into_iter().find(|act| *act == path)?;
        let object = Object::default();
        request.extensions_mut().insert(object.clone());
        Some(Box::new(Self {
            method,
            caller: caller.clone(),
            peer,
            object,
        }))
    }

    /// Writes how it ended.
    pub(super) fn ended<B>(&self, response: &Response<B>) {
        // A failure has its status in the headers.
        let status = response.headers().get(Status::GRPC_STATUS);
        let code = status.map_or(Code::Ok, |status| Code::from_bytes(status.as_bytes()));
        self.write(&format!("{code:?}"));
    }

    /// Writes that its caller left before the answer: it may be done all the same.
    pub(super) fn abandoned(&self) {
        self.write(&format!("{:?}", Code::Cancelled));
    }

    fn write(&self, outcome: &str) {
        let method = self.method.trim_start_matches("/cidery.v1.");
        let object = self.object.0.get().map(String::as_str);
        audit::act(self.peer, &self.caller, method, object, outcome);
    }
}
