//! Server reflection, v1 and v1alpha, over the catalog of the moment.
//!
//! `tonic-reflection` freezes its answers when it is built; services that come and go change ours. Only its messages
//! and its two traits are used.

use std::pin::Pin;

use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status, Streaming};
use tonic_reflection::pb::{v1, v1alpha};

use super::catalog::Catalog;

/// Answers reflection requests.
#[derive(Clone, Debug)]
pub(super) struct ReflectionApi(Catalog);

impl ReflectionApi {
    pub(super) fn new(catalog: Catalog) -> Self {
        Self(catalog)
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

                let catalog = self.0.clone();
                let answers = requests.into_inner().map(move |request| {
                    let request = request?;
                    let files = &catalog.current().files;
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
