//! `assert_handler!`: checks the requirements of a handler one by one, so that the compiler names the one that is not
//! met. The error of [`Handler`](crate::Handler) itself only says that some requirement is not met.
//!
//! The items of this module are used by the macro only, in code that is compiled and never runs. Each check is a
//! function of a trait with its own message, called by its path: the compiler then prints neither the bound of a
//! function nor other implementations. Where a check fails, the ones after it get a type that passes.

use std::convert::Infallible;
use std::marker::PhantomData;
use std::ops::Deref;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::model::error::BoxError;
use crate::model::payload::{Payload, Reply};
use crate::service::context::{Answer, Context, Later};
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
                    AnyArgument as _, AnyOutput as _, ByValue, FirstArgument, Function,
                    HandlerError, InputType, LastArgument, NotAsync as _, OtherArgument as _,
                    OutputType, ReturnedFuture, WithSchema,
                };
                let signature = Function::signature($handler);
                ByValue::check(signature.a().by_value());
                FirstArgument::check(signature.a().argument());
                ByValue::check(signature.b().by_value());
                FirstArgument::check(signature.b().argument());
                ByValue::check(signature.c().by_value());
                FirstArgument::check(signature.c().argument());
                ByValue::check(signature.d().by_value());
                FirstArgument::check(signature.d().argument());
                ByValue::check(signature.e().by_value());
                FirstArgument::check(signature.e().argument());
                ByValue::check(signature.f().by_value());
                FirstArgument::check(signature.f().argument());
                ByValue::check(signature.g().by_value());
                FirstArgument::check(signature.g().argument());
                let last = signature.last();
                ByValue::check(last.by_value());
                LastArgument::check(last.argument());
                InputType::check(last.input());
                WithSchema::check(last.input());
                let returned = signature.returned();
                ReturnedFuture::check(returned.future());
                returned.check_send();
                let result = returned.output();
                HandlerError::check(result.error());
                let output = result.success().now();
                OutputType::check(output.serialized());
                WithSchema::check(output.serialized());
            }
        };
    };
}

/// A function that may be a handler.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a function that can be a handler",
    label = "not a function with up to eight arguments",
    note = "a handler is an `async fn` (or a closure that returns a future) with up to eight arguments"
)]
pub trait Function<Args>: Sized {
    /// Its types.
    type Signature: Default;

    /// Infers its types.
    #[must_use]
    fn signature(self) -> Self::Signature {
        Self::Signature::default()
    }
}

/// The types of a function: all arguments but the last one, the last one, and what it returns.
#[derive(Debug)]
pub struct Signature<First, L, R>(PhantomData<(First, L, R)>);

/// The type of an argument before the last one.
#[derive(Debug)]
pub struct First<T>(PhantomData<fn() -> T>);

/// The type of a last argument.
#[derive(Debug)]
pub struct Last<T>(PhantomData<fn() -> T>);

/// The type that a function returns.
#[derive(Debug)]
pub struct Returned<R>(PhantomData<fn() -> R>);

/// The output of the future that a function returns.
#[derive(Debug)]
pub struct Output<T>(PhantomData<fn() -> T>);

impl<First, L, R> Default for Signature<First, L, R> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

macro_rules! arguments {
    ($($name:ident $arg:ident),*) => {
        impl<$($arg,)* L, R> Signature<($($arg,)*), L, R> {
            $(
                /// An argument before the last one.
                #[must_use]
                pub const fn $name(&self) -> First<$arg> {
                    First(PhantomData)
                }
            )*

            /// The last argument.
            #[must_use]
            pub const fn last(&self) -> Last<L> {
                Last(PhantomData)
            }

            /// What the function returns.
            #[must_use]
            pub const fn returned(&self) -> Returned<R> {
                Returned(PhantomData)
            }
        }
    };
}

arguments!(a A, b B, c C, d D, e E, f F, g G);

/// Stands for an argument that a function does not have.
type Absent = Context;

macro_rules! function {
    ($($arg:ident)*; $last:ident; $($absent:ident)*) => {
        #[diagnostic::do_not_recommend]
        impl<Func, R, $($arg,)* $last> Function<($($arg,)* $last,)> for Func
        where
            Func: Fn($($arg,)* $last) -> R,
        {
            type Signature = Signature<($($arg,)* $($absent,)*), $last, R>;
        }
    };
}

function!(; L; Absent Absent Absent Absent Absent Absent Absent);
function!(A; L; Absent Absent Absent Absent Absent Absent);
function!(A B; L; Absent Absent Absent Absent Absent);
function!(A B C; L; Absent Absent Absent Absent);
function!(A B C D; L; Absent Absent Absent);
function!(A B C D E; L; Absent Absent);
function!(A B C D E F; L; Absent);
function!(A B C D E F G; L;);

#[diagnostic::do_not_recommend]
impl<Func: Fn() -> R, R> Function<()> for Func {
    type Signature = Signature<(Absent, Absent, Absent, Absent, Absent, Absent, Absent), Absent, R>;
}

/// An argument.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an argument of a handler: arguments are taken by value",
    label = "a reference",
    note = "remove the `&`: `Context` is cheap to clone, and the input is owned by the handler"
)]
pub trait ByValue: Sized {
    /// It is not a reference.
    fn check(_: PhantomData<Self>) {}
}

/// Stands for every type that is not a reference.
#[derive(Debug)]
pub struct Owned;

#[diagnostic::do_not_recommend]
impl ByValue for Owned {}

/// An argument before the last one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an argument before the last one",
    label = "only the last argument may be the input; all others come from the context",
    note = "arguments are `Context`, `Cid`, `State<T>`, `Metadata`, and last the input: `Input<T>`, `Dict`, `Value` \
            or `Payload`"
)]
pub trait FirstArgument: Sized {
    /// It is extracted from the context.
    fn check(_: PhantomData<Self>) {}
}

#[diagnostic::do_not_recommend]
impl<T: FromContext> FirstArgument for T {}

/// A last argument that is not an [`Input`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the last argument of a handler",
    label = "neither the input nor extracted from the context",
    note = "for a type of your own: `Input<{Self}>`, where `{Self}` derives `serde::Deserialize` and \
            `schemars::JsonSchema`"
)]
pub trait LastArgument<Via>: Sized {
    /// It is the input, or extracted from the context.
    fn check(_: PhantomData<Self>) {}
}

#[diagnostic::do_not_recommend]
impl<T: FromInput<Via>, Via> LastArgument<Via> for T {}

// Methods of a type come before those of a trait, so each kind of type has its own checks.

macro_rules! references {
    ($($position:ident),*) => {
        $(
            impl<'a, T: ?Sized> $position<&'a T> {
                /// The reference.
                #[must_use]
                pub const fn by_value(&self) -> PhantomData<&'a T> {
                    PhantomData
                }

                /// Only that it is a reference is reported.
                #[must_use]
                pub const fn argument(&self) -> PhantomData<Absent> {
                    PhantomData
                }
            }

            impl<'a, T: ?Sized> $position<&'a mut T> {
                /// The reference.
                #[must_use]
                pub const fn by_value(&self) -> PhantomData<&'a mut T> {
                    PhantomData
                }

                /// Only that it is a reference is reported.
                #[must_use]
                pub const fn argument(&self) -> PhantomData<Absent> {
                    PhantomData
                }
            }
        )*
    };
}

references!(First, Last);

/// Any argument that is not a reference.
pub trait AnyArgument {
    /// The argument before the last one.
    type Type;

    /// It is no reference.
    fn by_value(&self) -> PhantomData<Owned> {
        PhantomData
    }

    /// The argument.
    fn argument(&self) -> PhantomData<Self::Type> {
        PhantomData
    }
}

impl<T> AnyArgument for First<T> {
    type Type = T;
}

impl<T> Last<Input<T>> {
    /// The type of the input.
    #[must_use]
    pub const fn input(&self) -> PhantomData<T>
    where
        T: Send + 'static,
    {
        PhantomData
    }

    /// Only the type of the input is checked.
    #[must_use]
    pub const fn argument(&self) -> PhantomData<Absent> {
        PhantomData
    }
}

/// A last argument that is not an [`Input`].
pub trait OtherArgument {
    /// The argument.
    type Argument;

    /// It is no reference.
    fn by_value(&self) -> PhantomData<Owned> {
        PhantomData
    }

    /// There is no type of an input.
    fn input(&self) -> PhantomData<()> {
        PhantomData
    }

    /// The argument.
    fn argument(&self) -> PhantomData<Self::Argument> {
        PhantomData
    }
}

impl<T> OtherArgument for Last<T> {
    type Argument = T;
}

/// The type of an input.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an input: it does not implement `serde::Deserialize`",
    label = "cannot be deserialized",
    note = "add `#[derive(serde::Deserialize)]` to the type"
)]
pub trait InputType: Sized {
    /// It can be deserialized.
    fn check(_: PhantomData<Self>) {}
}

#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned> InputType for T {}

/// The type of an output.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an output: it does not implement `serde::Serialize`",
    label = "cannot be serialized",
    note = "add `#[derive(serde::Serialize)]` to the type"
)]
pub trait OutputType: Sized {
    /// It can be serialized.
    fn check(_: PhantomData<Self>) {}
}

#[diagnostic::do_not_recommend]
impl<T: Serialize + 'static> OutputType for T {}

/// The type of an input or an output.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no schema: it does not implement `schemars::JsonSchema`",
    label = "has no schema",
    note = "add `#[derive(schemars::JsonSchema)]` to the type",
    note = "if it has that already, `schemars` is another version than that of Cidery, which is `cidery::schemars`"
)]
pub trait WithSchema: Sized {
    /// It has a schema.
    fn check(_: PhantomData<Self>) {}
}

#[diagnostic::do_not_recommend]
impl<T: JsonSchema> WithSchema for T {}

/// What an `async fn` returns.
#[diagnostic::on_unimplemented(
    message = "the handler is not `async`: it returns `{Self}`, which is not a future",
    label = "not an `async fn`"
)]
pub trait ReturnedFuture: Sized {
    /// It is a future.
    fn check(_: PhantomData<Self>) {}
}

#[diagnostic::do_not_recommend]
impl<F: Future> ReturnedFuture for F {}

impl<R> Returned<R> {
    /// What should be a future.
    #[must_use]
    pub const fn future(&self) -> PhantomData<R> {
        PhantomData
    }

    /// The future may run on any thread.
    pub const fn check_send(&self)
    where
        R: Send + 'static,
    {
    }
}

impl<F: Future> Returned<F> {
    /// The output of the future.
    #[must_use]
    pub const fn output(&self) -> Output<F::Output> {
        Output(PhantomData)
    }
}

/// What a function returns that is not async.
pub trait NotAsync {
    /// The output is not checked.
    fn output(&self) -> Output<Later> {
        Output(PhantomData)
    }
}

impl<R> NotAsync for Returned<R> {}

/// The error of a handler.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the error of a handler: it does not implement `std::error::Error`",
    label = "not an error",
    note = "the error of a handler is a `cidery::Error`, an `anyhow::Error`, or another type that implements \
            `std::error::Error`, `Send` and `Sync`"
)]
pub trait HandlerError<Via>: Sized {
    /// It is an error.
    fn check(_: PhantomData<Self>) {}
}

/// Marks types that implement [`std::error::Error`].
#[derive(Debug)]
pub struct ViaStd;

/// Marks types that hold any other error.
#[derive(Debug)]
pub struct ViaBox;

#[diagnostic::do_not_recommend]
impl<E: std::error::Error + Send + Sync + 'static> HandlerError<ViaStd> for E {}

#[diagnostic::do_not_recommend]
impl<E> HandlerError<ViaBox> for E where
    E: Deref<Target = dyn std::error::Error + Send + Sync> + Into<BoxError>
{
}

impl<T, E> Output<Result<T, E>> {
    /// The output of a handler that does not fail.
    #[must_use]
    pub const fn success(&self) -> Output<T> {
        Output(PhantomData)
    }

    /// The error.
    #[must_use]
    pub const fn error(&self) -> PhantomData<E> {
        PhantomData
    }
}

impl<T> Output<Answer<T>> {
    /// The output of a handler that is not completed later.
    #[must_use]
    pub const fn now(&self) -> Output<T> {
        Output(PhantomData)
    }
}

macro_rules! sent_as_it_is {
    ($($type:ty),*) => {
        $(
            impl Output<$type> {
                /// It is not serialized.
                #[must_use]
                pub const fn serialized(&self) -> PhantomData<()> {
                    PhantomData
                }
            }
        )*
    };
}

sent_as_it_is!(Reply, Payload, Later);

/// Any other output.
pub trait AnyOutput {
    /// The output.
    type Type;

    /// An output that is not a `Result`.
    fn success(&self) -> Output<Self::Type> {
        Output(PhantomData)
    }

    /// An output that is not a `Result` has no error.
    fn error(&self) -> PhantomData<Infallible> {
        PhantomData
    }

    /// An output that is not an [`Answer`].
    fn now(&self) -> Output<Self::Type> {
        Output(PhantomData)
    }

    /// The output is serialized.
    fn serialized(&self) -> PhantomData<Self::Type> {
        PhantomData
    }
}

impl<T> AnyOutput for Output<T> {
    type Type = T;
}
