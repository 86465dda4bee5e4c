//! Handlers: async functions whose arguments are extracted and whose output is converted to a reply.

#[cfg(doc)]
use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::payload::{Payload, Reply};
use crate::model::sio::{Elements, Sio};
use crate::service::context::Context;
use crate::service::extract::{FromContext, FromInput};
use crate::service::output::IntoReply;
use crate::service::states::Requirements;

/// A handler of calls. Implemented for functions and closures with up to eight arguments.
///
/// Arguments, in any order but the input, which is last:
///
/// * [`Context`]: the invocation, and calls of other services;
/// * [`Cid`](crate::model::id::Cid) and [`Metadata`](crate::model::metadata::Metadata) of the invocation;
/// * [`State<T>`](crate::service::State): a value that the node or worker was given with `state`;
/// * the input: [`Input<T>`](crate::service::Input) of a type that implements `Deserialize` and `JsonSchema`, which
///   declares it; or [`Dict`](crate::model::value::Dict), [`Value`](crate::model::value::Value) or [`Payload`].
///
/// Outputs:
///
/// * a type that implements `Serialize` and `JsonSchema`, which declares the response; [`Reply`], which has metadata;
/// * `()` for no response: callers by name get the empty dict, `{}`, and typed calls get `()`;
/// * a `Result` of it with [`cidery::Error`](Error), whose kind, reason and message the caller gets;
/// * `anyhow::Result<T>`, `std::io::Result<T>`, or a `Result` with another `std::error::Error`: a
///   [`cidery::Error`](Error) within is passed on, any other error is `INTERNAL` / `HANDLER_FAILED`, and its text is in
///   the log only;
/// * [`Later`](crate::Later) or [`Answer<T>`](crate::Answer), for a response that is completed later.
///
/// In a handler that returns [`cidery::Result`](Result), `?` converts errors of the standard library, tokio and other
/// crates: the list, and what to do with all other errors, is in the documentation of [`cidery::Error`](Error).
///
/// A doc comment of the function is not in the program.
/// [`Definition::description`](crate::Definition::description) gives the service a description.
///
/// `Args` disambiguates the implementations for the compiler; user code never names it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a handler",
    label = "not an `async fn` whose arguments and output fit",
    note = "to see which requirement is not met, write `cidery::assert_handler!(name_of_the_function);` next to it",
    note = "a handler is an `async fn` (or a closure that returns a future which is `Send + 'static`)",
    note = "its arguments, by value: `Context`, `Cid`, `State<T>`, `Metadata`, and last the input: `Input<T>`, `Dict`, \
            `Value` or `Payload`",
    note = "its output: anything that implements `serde::Serialize` and `schemars::JsonSchema`, or a `Result` of that \
            with a `cidery::Error`, an `anyhow::Error` or another type that implements `std::error::Error`, `Send` \
            and `Sync`"
)]
pub trait Handler<Args>: Send + Sync + 'static {
    /// The input, as a typed call passes it; `()` where there is none.
    type Input;
    /// The output of a handler that succeeds, as a typed call returns it.
    type Output;

    /// Handles one call. The arguments are extracted before the future is created.
    fn call(
        &self,
        context: Context,
        input: Payload,
    ) -> impl Future<Output = Result<Reply>> + Send + 'static;

    /// The states that it requires.
    fn requires(&self) -> Requirements;

    /// Whether it decodes and thereby checks its input.
    fn reads_input(&self) -> bool;

    /// The declaration of its input and output types.
    fn declares(&self) -> Sio;
}

/// The declared input of a handler without an input argument, which is not read.
fn empty_input() -> Option<Elements> {
    Some(Elements::default())
}

/// Gives the `?` operator a function to return from.
fn try_extract<Fut>(extract: impl FnOnce() -> Result<Fut>) -> Result<Fut> {
    extract()
}

macro_rules! input {
    () => {
        ()
    };
    ($last:ident $via:ident) => {
        <$last as FromInput<$via>>::Input
    };
}

macro_rules! handler {
    ($($arg:ident)*; $($last:ident $via:ident)?) => {
        #[diagnostic::do_not_recommend]
        impl<Func, Fut, Out, Shape, $($arg,)* $($last, $via)?>
            Handler<(Shape, $($via,)? $($arg,)* $($last,)?)> for Func
        where
            Func: Fn($($arg,)* $($last,)?) -> Fut + Send + Sync + 'static,
            Fut: Future<Output = Out> + Send + 'static,
            Out: IntoReply<Shape>,
            Shape: 'static,
            $($arg: FromContext,)*
            $($last: FromInput<$via>, $via: 'static,)?
        {
            type Input = input!($($last $via)?);
            type Output = Out::Output;

            #[allow(unused_variables, reason = "unused where a handler has no arguments")]
            fn call(
                &self,
                context: Context,
                input: Payload,
            ) -> impl Future<Output = Result<Reply>> + Send + 'static {
                let future = try_extract(|| {
                    Ok(self(
                        $($arg::from_context(&context)?,)*
                        $($last::from_input(&context, input)?,)?
                    ))
                });
                async move { future?.await.into_reply() }
            }

            fn requires(&self) -> Requirements {
                #[allow(unused_mut, reason = "unchanged where a handler has no arguments")]
                let mut requirements = Requirements::default();
                $($arg::requires(&mut requirements);)*
                $($last::requires(&mut requirements);)?
                requirements
            }

            fn reads_input(&self) -> bool {
                false $(|| <$last as FromInput<$via>>::DECODES)?
            }

            fn declares(&self) -> Sio {
                let mut sio = Sio::new();
                sio.input = empty_input();
                $(sio.input = <$last as FromInput<$via>>::declares();)?
                sio.output = Out::declares();
                sio
            }
        }
    };
}

handler!(;);
handler!(; L V);
handler!(A; L V);
handler!(A B; L V);
handler!(A B C; L V);
handler!(A B C D; L V);
handler!(A B C D E; L V);
handler!(A B C D E F; L V);
handler!(A B C D E F G; L V);
