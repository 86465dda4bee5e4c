//! Server reflection, v1 and v1alpha, over an index that can be swapped.
//!
//! `tonic-reflection` freezes its answers when it is built; services that come and go change ours. Only its messages
//! and its two traits are used.

use std::collections::{BTreeSet, HashMap};
use std::pin::Pin;
use std::sync::Arc;

use arc_swap::ArcSwap;
use prost::Message as _;
use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorProto, FileDescriptorSet};
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status, Streaming};
use tonic_reflection::pb::{v1, v1alpha};

use crate::codec::proto::DESCRIPTORS;
use crate::model::error::{Error, Result, reason};

/// All files that reflection serves, by name and by what they declare.
#[derive(Debug, Default)]
pub(super) struct Files {
    files: HashMap<String, File>,
    /// Fully qualified names of services, methods, messages, fields, enums: where they are declared.
    symbols: HashMap<String, String>,
    services: BTreeSet<String>,
}

#[derive(Debug)]
struct File {
    encoded: Vec<u8>,
    imports: Vec<String>,
}

/// The index of the moment.
#[derive(Clone, Debug)]
pub(super) struct Index(Arc<ArcSwap<Files>>);

impl Index {
    /// The index of the contract: our own services, health, reflection itself, the well-known types, and
    /// `google/rpc` for the details of failures.
    pub(super) fn of_the_api() -> Result<Self> {
        let mut files = Files::default();
        for set in [
            DESCRIPTORS,
            tonic_types::pb::FILE_DESCRIPTOR_SET,
            v1::FILE_DESCRIPTOR_SET,
            v1alpha::FILE_DESCRIPTOR_SET,
        ] {
            let set = FileDescriptorSet::decode(set)
                .map_err(|error| Error::internal(reason::TRANSPORT, error.to_string()))?;
            set.file.into_iter().for_each(|file| files.add(&file));
        }
        Ok(Self(Arc::new(ArcSwap::from_pointee(files))))
    }
}

impl Files {
    /// Adds a file, unless one of its name is there: two sets that both bring `any.proto` must not clash.
    fn add(&mut self, file: &FileDescriptorProto) {
        let name = file.name().to_owned();
        if self.files.contains_key(&name) {
            return;
        }
        let prefix = match file.package() {
            "" => String::new(),
            package => format!("{package}."),
        };
        for message in &file.message_type {
            self.add_message(&prefix, message, &name);
        }
        for declared in &file.enum_type {
            self.add_enum(&prefix, declared, &name);
        }
        for service in &file.service {
            let full = format!("{prefix}{}", service.name());
            for method in &service.method {
                self.symbols
                    .insert(format!("{full}.{}", method.name()), name.clone());
            }
            self.services.insert(full.clone());
            self.symbols.insert(full, name.clone());
        }
        let file = File {
            encoded: file.encode_to_vec(),
            imports: file.dependency.clone(),
        };
        self.files.insert(name, file);
    }

    fn add_message(&mut self, prefix: &str, message: &DescriptorProto, file: &str) {
        let full = format!("{prefix}{}", message.name());
        let inner = format!("{full}.");
        for field in &message.field {
            self.symbols
                .insert(format!("{inner}{}", field.name()), file.to_owned());
        }
        for nested in &message.nested_type {
            self.add_message(&inner, nested, file);
        }
        for declared in &message.enum_type {
            self.add_enum(&inner, declared, file);
        }
        self.symbols.insert(full, file.to_owned());
    }

    fn add_enum(&mut self, prefix: &str, declared: &EnumDescriptorProto, file: &str) {
        self.symbols
            .insert(format!("{prefix}{}", declared.name()), file.to_owned());
    }

    /// A file and all it imports, importers first.
    fn with_imports(&self, name: &str) -> Option<Vec<Vec<u8>>> {
        let mut names = vec![name];
        let mut found = Vec::new();
        let mut next = 0;
        while let Some(name) = names.get(next) {
            let file = self.files.get(*name);
            // Only the file that was asked for must be there.
            if next == 0 && file.is_none() {
                return None;
            }
            next += 1;
            let Some(file) = file else { continue };
            found.push(file.encoded.clone());
            for import in &file.imports {
                if !names.contains(&import.as_str()) {
                    names.push(import);
                }
            }
        }
        Some(found)
    }

    fn declaring(&self, symbol: &str) -> Option<Vec<Vec<u8>>> {
        let symbol = symbol.trim_start_matches('.');
        self.with_imports(self.symbols.get(symbol)?)
    }
}

/// Answers reflection requests.
#[derive(Clone, Debug)]
pub(super) struct ReflectionApi(Index);

impl ReflectionApi {
    pub(super) fn new(index: Index) -> Self {
        Self(index)
    }
}

/// The two versions have the same messages in two packages.
macro_rules! reflection {
    ($version:ident) => {
        #[tonic::async_trait]
        impl $version::server_reflection_server::ServerReflection for ReflectionApi {
            type ServerReflectionInfoStream = Pin<
                Box<dyn Stream<Item = Result<$version::ServerReflectionResponse, Status>> + Send>,
            >;

            async fn server_reflection_info(
                &self,
                requests: Request<Streaming<$version::ServerReflectionRequest>>,
            ) -> Result<Response<Self::ServerReflectionInfoStream>, Status> {
                use $version::server_reflection_request::MessageRequest as Ask;
                use $version::server_reflection_response::MessageResponse as Answer;

                let index = self.0.clone();
                let answers = requests.into_inner().map(move |request| {
                    let request = request?;
                    let files = index.0.load();
                    let found = |encoded: Option<Vec<Vec<u8>>>, asked: &str| match encoded {
                        Some(file_descriptor_proto) => {
                            Answer::FileDescriptorResponse($version::FileDescriptorResponse {
                                file_descriptor_proto,
                            })
                        }
                        None => Answer::ErrorResponse($version::ErrorResponse {
                            error_code: tonic::Code::NotFound as i32,
                            error_message: format!("`{asked}` is not known here"),
                        }),
                    };
                    let answer = match &request.message_request {
                        Some(Ask::FileByFilename(name)) => found(files.with_imports(name), name),
                        Some(Ask::FileContainingSymbol(symbol)) => {
                            found(files.declaring(symbol), symbol)
                        }
                        Some(Ask::FileContainingExtension(extension)) => {
                            found(None, &extension.containing_type)
                        }
                        Some(Ask::AllExtensionNumbersOfType(name)) => {
                            Answer::AllExtensionNumbersResponse($version::ExtensionNumberResponse {
                                base_type_name: name.clone(),
                                extension_number: Vec::new(),
                            })
                        }
                        Some(Ask::ListServices(_)) => {
                            Answer::ListServicesResponse($version::ListServiceResponse {
                                service: files
                                    .services
                                    .iter()
                                    .map(|name| $version::ServiceResponse { name: name.clone() })
                                    .collect(),
                            })
                        }
                        None => Answer::ErrorResponse($version::ErrorResponse {
                            error_code: tonic::Code::InvalidArgument as i32,
                            error_message: "nothing is asked for".to_owned(),
                        }),
                    };
                    Ok($version::ServerReflectionResponse {
                        valid_host: request.host.clone(),
                        original_request: Some(request),
                        message_response: Some(answer),
                    })
                });
                Ok(Response::new(Box::pin(answers)))
            }
        }
    };
}

reflection!(v1);
reflection!(v1alpha);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_is_whole_with_all_it_imports() {
        let index = Index::of_the_api().unwrap();
        let files = index.0.load();
        for service in [
            "cidery.v1.InvocationService",
            "cidery.v1.DiscoveryService",
            "cidery.v1.AdminService",
            "cidery.v1.WorkerService",
            "grpc.health.v1.Health",
            "grpc.reflection.v1.ServerReflection",
            "grpc.reflection.v1alpha.ServerReflection",
        ] {
            assert!(files.services.contains(service), "{service}");
        }
        for file in files.files.values() {
            for import in &file.imports {
                assert!(files.files.contains_key(import), "{import} is missing");
            }
        }
        assert!(files.declaring("google.rpc.BadRequest").is_some());
        assert!(files.declaring("google.protobuf.Struct").is_some());
        assert!(files.declaring("cidery.v1.InvokeRequest.payload").is_some());
        assert!(files.declaring("nothing").is_none());
    }
}
