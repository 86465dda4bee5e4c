//! Simple IO (SIO): the declared input and output of a service.

/// What a service declares of its input and output.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sio {
    /// The key that the output is wrapped in, if it is.
    pub response_elem: Option<String>,
}
