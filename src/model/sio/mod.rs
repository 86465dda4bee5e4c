//! Simple IO (SIO): the declared input and output of a service.
