//! The message types of methods, for callers that do not send protobuf: those of the node's own services, and those of
//! typed methods as their declarations are now.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use http::request::Parts;
use prost_reflect::{DescriptorError, DescriptorPool, MessageDescriptor};
use prost_types::FileDescriptorProto;
use tonic::Extensions;

use super::catalog::Catalog;
use super::descriptor_pool::built_in_files;
use super::method_finder::MethodFinder;
use crate::codec::typed::{CallMode, Method, MethodMatch, descriptor, names::SERVICE};
use crate::edge::caller::on_behalf_of_caller;
use crate::engine::Invoker;
use crate::model::error::{Error, Result, reason};

/// How many typed methods keep their types: making them takes longer than a short call.
const MAX_KEPT: usize = 256;
/// The files that the messages of typed methods import.
const IMPORTED: [&str; 2] = [
    "google/protobuf/struct.proto",
    "google/protobuf/timestamp.proto",
];

/// The message types of a method.
#[derive(Clone, Debug)]
pub(in crate::edge) struct MethodTypes {
    /// The request.
    pub(in crate::edge) input: MessageDescriptor,
    /// The response.
    pub(in crate::edge) output: MessageDescriptor,
    /// Whether its requests are a stream.
    pub(in crate::edge) is_client_streaming: bool,
    /// Whether its responses are a stream.
    pub(in crate::edge) is_server_streaming: bool,
    /// The typed method, if it is one.
    pub(in crate::edge) typed: Option<MethodMatch>,
}

/// Finds message types. Cheap to clone.
#[derive(Clone, Debug)]
pub(in crate::edge) struct MessageTypes(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    invoker: Invoker,
    finder: MethodFinder,
    catalog: Catalog,
    /// The node's own files, and those of others that its messages have.
    built_in: DescriptorPool,
    /// What the files of typed methods import.
    imported: DescriptorPool,
    /// By service. Those of an earlier declaration are replaced.
    typed: Mutex<HashMap<String, Kept>>,
}

#[derive(Debug)]
struct Kept {
    method: Arc<Method>,
    pool: DescriptorPool,
}

impl MessageTypes {
    /// The types of the methods that a finder finds.
    ///
    /// # Errors
    ///
    /// `INTERNAL` where the built-in descriptors cannot be read.
    pub(in crate::edge) fn new(
        invoker: Invoker,
        finder: MethodFinder,
        catalog: Catalog,
    ) -> Result<Self> {
        let files = built_in_files()?;
        let imported = files.iter().filter(|file| IMPORTED.contains(&file.name()));
        Ok(Self(Arc::new(Inner {
            invoker,
            finder,
            catalog,
            imported: pool(imported.cloned().collect())?,
            built_in: pool(files)?,
            typed: Mutex::default(),
        })))
    }

    /// The types of the method that a request calls.
    ///
    /// # Errors
    ///
    /// Why its caller cannot call such a method, as for gRPC.
    pub(in crate::edge) async fn of(&self, request: &Parts) -> Result<MethodTypes> {
        let path = request.uri.path();
        if let Some(types) = self.built_in(path) {
            return Ok(types);
        }
        let found = self
            .0
            .finder
            .find(path, &request.headers, &request.extensions)
            .await?;
        let pool = self.pool_of(&found.method)?;
        let name = match found.mode {
            CallMode::Sync => found.method.name.clone(),
            CallMode::Async => found.method.background_name(),
        };
        let package = &found.method.package;
        let method = pool.get_service_by_name(&format!("{package}.{SERVICE}"));
        let method = method.and_then(|service| service.methods().find(|it| it.name() == name));
        let method = method.ok_or_else(|| undescribed(path))?;
        Ok(MethodTypes {
            input: method.input(),
            output: method.output(),
            is_client_streaming: false,
            is_server_streaming: false,
            typed: Some(found),
        })
    }

    fn built_in(&self, path: &str) -> Option<MethodTypes> {
        let (service, name) = path.strip_prefix('/')?.split_once('/')?;
        let service = self.0.built_in.get_service_by_name(service)?;
        let method = service.methods().find(|method| method.name() == name)?;
        Some(MethodTypes {
            input: method.input(),
            output: method.output(),
            is_client_streaming: method.is_client_streaming(),
            is_server_streaming: method.is_server_streaming(),
            typed: None,
        })
    }

    /// The type of a message by its full name: of the node's own files, `google.rpc` and the well-known ones, or the
    /// request or response of a typed method whose service the caller sees.
    pub(in crate::edge) fn find(
        &self,
        name: &str,
        caller: Option<&Invoker>,
    ) -> Option<MessageDescriptor> {
        if let Some(known) = self.0.built_in.get_message_by_name(name) {
            return Some(known);
        }
        let method = self.0.catalog.method_of_message(name)?;
        if !caller?.sees_service(method.service.as_str()) {
            return None;
        }
        self.pool_of(&method).ok()?.get_message_by_name(name)
    }

    /// The caller of a request.
    pub(in crate::edge) fn caller(&self, extensions: &Extensions) -> Invoker {
        on_behalf_of_caller(&self.0.invoker, extensions)
    }

    /// The file of one method.
    fn pool_of(&self, method: &Arc<Method>) -> Result<DescriptorPool> {
        let service = method.service.as_str();
        let kept = || self.0.typed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = kept().get(service)
            && Arc::ptr_eq(&kept.method, method)
        {
            return Ok(kept.pool.clone());
        }
        let file = descriptor(&method.package, std::slice::from_ref(method));
        let mut pool = self.0.imported.clone();
        pool.decode_file_descriptor_proto(file.as_slice())
            .map_err(|error| invalid(&error))?;
        let mut kept = kept();
        if kept.len() >= MAX_KEPT {
            kept.clear();
        }
        let entry = Kept {
            method: Arc::clone(method),
            pool: pool.clone(),
        };
        kept.insert(service.to_owned(), entry);
        Ok(pool)
    }
}

fn pool(files: Vec<FileDescriptorProto>) -> Result<DescriptorPool> {
    let mut pool = DescriptorPool::new();
    let added = pool.add_file_descriptor_protos(files);
    added.map_err(|error| invalid(&error))?;
    Ok(pool)
}

fn invalid(error: &DescriptorError) -> Error {
    Error::internal(reason::TRANSPORT, error.to_string())
}

fn undescribed(path: &str) -> Error {
    Error::internal(reason::TRANSPORT, format!("`{path}` has no descriptor"))
}
