//! Which requests are acts of an operator, for the audit log.

use std::net::SocketAddr;

use http::Response;
use tonic::{Code, Status};

use crate::engine::access::audit;
use crate::model::access::Caller;

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

/// An act of an operator.
#[derive(Debug)]
pub(super) struct Act {
    method: &'static str,
    caller: Caller,
    peer: SocketAddr,
}

impl Act {
    /// The act that a request for a path asks for, if it is one.
    pub(super) fn of(path: &str, caller: &Caller, peer: SocketAddr) -> Option<Box<Self>> {
        let method = ACTS.into_iter().find(|act| *act == path)?;
        Some(Box::new(Self {
            method,
            caller: caller.clone(),
            peer,
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
        audit::act(self.peer, &self.caller, method, outcome);
    }
}
