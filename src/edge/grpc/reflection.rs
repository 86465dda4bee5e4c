//! gRPC server reflection, v1 and v1alpha, over the part of the current catalog that the caller may invoke.
//!
//! The server of `tonic-reflection` is built once from fixed descriptors, but a node's services change at run time. So
//! only its messages and traits are used.

use std::pin::Pin;

use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status, Streaming};
use tonic_reflection::pb::{v1, v1alpha};

use super::catalog::Catalog;
use super::request::into_status;
use crate::edge::caller::on_behalf_of_caller;
use crate::engine::Invoker;

/// The implementation of both versions of `ServerReflection`.
#[derive(Clone, Debug)]
pub(super) struct ReflectionApi {
    catalog: Catalog,
    invoker: Invoker,
}

impl ReflectionApi {
    pub(super) fn new(catalog: Catalog, invoker: Invoker) -> Self {
        Self { catalog, invoker }
    }
}

/// Both versions have the same messages, in different packages.
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
                use $version::server_reflection_request::MessageRequest as RequestKind;
                use $version::server_reflection_response::MessageResponse as ResponseKind;

                let invoker = on_behalf_of_caller(&self.invoker, requests.extensions());
                into_status(invoker.check_authenticated())?;
                let catalog = self.catalog.clone();
                let responses = requests.into_inner().then(move |request| {
                    let (catalog, invoker) = (catalog.clone(), invoker.clone());
                    async move {
                        let request = request?;
                        let pool = catalog.visible_to(&invoker).await;
                        let file_response =
                            |encoded: Option<Vec<Vec<u8>>>, name: &str| match encoded {
                                Some(file_descriptor_proto) => {
                                    ResponseKind::FileDescriptorResponse(
                                        $version::FileDescriptorResponse {
                                            file_descriptor_proto,
                                        },
                                    )
                                }
                                None => ResponseKind::ErrorResponse($version::ErrorResponse {
                                    error_code: tonic::Code::NotFound as i32,
                                    error_message: format!("`{name}` is not known"),
                                }),
                            };
                        let response = match &request.message_request {
                            Some(RequestKind::FileByFilename(name)) => {
                                file_response(pool.with_imports(name), name)
                            }
                            Some(RequestKind::FileContainingSymbol(symbol)) => {
                                file_response(pool.containing_symbol(symbol), symbol)
                            }
                            Some(RequestKind::FileContainingExtension(extension)) => {
                                file_response(None, &extension.containing_type)
                            }
                            Some(RequestKind::AllExtensionNumbersOfType(name)) => {
                                ResponseKind::AllExtensionNumbersResponse(
                                    $version::ExtensionNumberResponse {
                                        base_type_name: name.clone(),
                                        extension_number: Vec::new(),
                                    },
                                )
                            }
                            Some(RequestKind::ListServices(_)) => {
                                ResponseKind::ListServicesResponse($version::ListServiceResponse {
                                    service: pool
                                        .services
                                        .iter()
                                        .map(|name| $version::ServiceResponse {
                                            name: name.to_string(),
                                        })
                                        .collect(),
                                })
                            }
                            None => ResponseKind::ErrorResponse($version::ErrorResponse {
                                error_code: tonic::Code::InvalidArgument as i32,
                                error_message: "the request is empty".to_owned(),
                            }),
                        };
                        Ok($version::ServerReflectionResponse {
                            valid_host: request.host.clone(),
                            original_request: Some(request),
                            message_response: Some(response),
                        })
                    }
                });
                Ok(Response::new(Box::pin(responses)))
            }
        }
    };
}

reflection!(v1);
reflection!(v1alpha);
