//! `assert_handler!`: checks the requirements of a handler one by one, so that the compiler names the one that is not
//! met. The error of [`Handler`](crate::Handler) itself only says that some requirement is not met.
//!
//! The functions of this module are called by the macro only, in code that is compiled and never runs.

use std::marker::PhantomData;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::model::error::Error;
use crate::model::payload::{Payload, Reply};
use crate::service::context::{Answer, Later};
use crate::service::extract::{FromContext, FromInput, Input};

/// Checks at compile time that a function is a [`Handler`](crate::Handler), and names what it lacks.
///
/// The error of the compiler is about one argument, the type without `serde::Deserialize` or `schemars::JsonSchema`,
/// the value that makes the future not `Send`, or the output.
///
/// It is an item, next to the function or in a block. It has no effect on the program, and can stay in the code.
///
/// ```
/// use cidery::{Context, Input, Result, assert_handler};
///
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// struct GetCustomer { cust_id: u64 }
///
/// async fn get_customer(_: Context, Input(req): Input<GetCustomer>) -> Result<String> {
///     Ok(format!("customer {}", req.cust_id))
/// }
///
/// assert_handler!(get_customer);
/// ```
#[macro_export]
macro_rules! assert_handler {
    ($handler:expr $(,)?) => {
        const _: () = {
            #[allow(dead_code, unused_imports, reason = "compiled, and never called")]
            fn check() {
                use $crate::service::assert_handler::{
                    CheckArgument as _, CheckOutput as _, output, signature,
                };
                let signature = signature($handler);
                signature.check_first_arguments();
                signature.last_argument().check();
                let returned = signature.returned();
                let output = output(&returned);
                returned.check_send();
                output.success().now().check();
            }
        };
    };
}

/// A function with its arguments.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a function that can be a handler",
    label = "not a function with up to eight arguments",
    note = "a handler is an `async fn` (or a closure that returns a future) with up to eight arguments"
)]
pub trait Function<Args> {
    /// What it returns: a future, if it is async.
    type Returned;
}

/// The types of a function.
#[derive(Debug)]
pub struct Signature<Args, R>(PhantomData<fn() -> (Args, R)>);

/// The type of a last argument.
#[derive(Debug)]
pub struct LastArgument<T>(PhantomData<fn() -> T>);

/// The type that a function returns.
#[derive(Debug)]
pub struct Returned<R>(PhantomData<fn() -> R>);

/// The output of the future that a function returns.
#[derive(Debug)]
pub struct Output<T>(PhantomData<fn() -> T>);

/// Infers the types of a function.
#[must_use]
pub fn signature<Args, F: Function<Args>>(_: F) -> Signature<Args, F::Returned> {
    Signature(PhantomData)
}

impl<Args, R> Signature<Args, R> {
    /// What the function returns.
    #[must_use]
    pub const fn returned(&self) -> Returned<R> {
        Returned(PhantomData)
    }
}

macro_rules! function {
    ($($arg:ident)*; $($last:ident)?) => {
        #[diagnostic::do_not_recommend]
        impl<Func, R, $($arg,)* $($last)?> Function<($($arg,)* $($last,)?)> for Func
        where
            Func: Fn($($arg,)* $($last)?) -> R,
        {
            type Returned = R;
        }

        impl<R, $($arg,)* $($last)?> Signature<($($arg,)* $($last,)?), R> {
            /// All arguments but the last one are extracted from the context.
            pub const fn check_first_arguments(&self)
            where
                $($arg: FromContext,)*
            {
            }

            $(
                /// The last argument.
                #[must_use]
                pub const fn last_argument(&self) -> LastArgument<$last> {
                    LastArgument(PhantomData)
                }
            )?
        }
    };
}

function!(;);
function!(; L);
function!(A; L);
function!(A B; L);
function!(A B C; L);
function!(A B C D; L);
function!(A B C D E; L);
function!(A B C D E F; L);
function!(A B C D E F G; L);

impl<R> Signature<(), R> {
    /// A function without arguments: nothing is left to check.
    #[must_use]
    pub const fn last_argument(&self) -> LastArgument<Payload> {
        LastArgument(PhantomData)
    }
}

// Methods of a type come before those of a trait: `Input<T>` is checked by its own, all other arguments by the trait.

impl<T> LastArgument<Input<T>> {
    /// The input is of a type of the author.
    pub const fn check(&self)
    where
        T: DeserializeOwned + JsonSchema + Send + 'static,
    {
    }
}

/// Checks a last argument.
pub trait CheckArgument {
    /// The argument.
    type Argument;

    /// The argument is the input, or extracted from the context.
    fn check<Via>(&self)
    where
        Self::Argument: FromInput<Via>,
    {
    }
}

impl<T> CheckArgument for LastArgument<T> {
    type Argument = T;
}

/// What an `async fn` returns.
#[diagnostic::on_unimplemented(
    message = "the handler is not `async`: it returns `{Self}`, which is not a future",
    label = "not an `async fn`"
)]
pub trait ReturnedFuture {
    /// The output of the future.
    type Output;
}

#[diagnostic::do_not_recommend]
impl<F: Future> ReturnedFuture for F {
    type Output = F::Output;
}

/// The output of the future that a function returns.
#[must_use]
pub const fn output<R: ReturnedFuture>(_: &Returned<R>) -> Output<R::Output> {
    Output(PhantomData)
}

impl<R> Returned<R> {
    /// The future may run on any thread.
    pub const fn check_send(&self)
    where
        R: Send + 'static,
    {
    }
}

impl<T, E> Output<Result<T, E>> {
    /// The output of a handler that does not fail.
    #[must_use]
    pub const fn success(&self) -> Output<T>
    where
        E: Into<Error>,
    {
        Output(PhantomData)
    }
}

impl<T> Output<Answer<T>> {
    /// The output of a handler that is not completed later.
    #[must_use]
    pub const fn now(&self) -> Output<T> {
        Output(PhantomData)
    }
}

impl Output<Reply> {
    /// A reply is sent as it is.
    pub const fn check(&self) {}
}

impl Output<Payload> {
    /// A payload is sent as it is.
    pub const fn check(&self) {}
}

impl Output<Later> {
    /// There is no output yet.
    pub const fn check(&self) {}
}

/// Checks an output.
pub trait CheckOutput {
    /// The output.
    type Type;

    /// An output that is not a `Result`.
    #[must_use]
    fn success(&self) -> Output<Self::Type> {
        Output(PhantomData)
    }

    /// An output that is not an [`Answer`].
    #[must_use]
    fn now(&self) -> Output<Self::Type> {
        Output(PhantomData)
    }

    /// The output is serialized.
    fn check(&self)
    where
        Self::Type: Serialize + JsonSchema + 'static,
    {
    }
}

impl<T> CheckOutput for Output<T> {
    type Type = T;
}
