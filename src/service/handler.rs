//! Handlers: any `async fn` whose arguments can be extracted and whose output can be a reply.

use crate::model::error::Result;
use crate::model::payload::{Payload, Reply};
use crate::model::sio::{Elements, Sio};
use crate::service::context::Context;
use crate::service::extract::{FromContext, FromInput};
use crate::service::output::IntoReply;
use crate::service::states::Requirements;

/// Something that answers calls. Implemented for functions and closures with up to eight arguments.
///
/// `Args` keeps the implementations apart for the compiler; nobody names it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a handler",
    label = "not an `async fn` whose arguments and output fit",
    note = "a handler is an `async fn` (or a closure that returns a future which is `Send + 'static`)",
    note = "its arguments: `Context`, `Cid`, `State<T>`, `Metadata`, and last the input: `Input<T>`, `Dict`, `Value` \
            or `Payload`",
    note = "its output: anything that implements `serde::Serialize` and `schemars::JsonSchema`, or a `Result` of that \
            with an error that converts into `cidery::Error`"
)]
pub trait Handler<Args>: Send + Sync + 'static {
    /// Answers one call. The arguments are extracted before the future is made.
    fn call(
        &self,
        context: Context,
        input: Payload,
    ) -> impl Future<Output = Result<Reply>> + Send + 'static;

    /// The states that it asks for.
    fn requires(&self) -> Requirements;

    /// Whether it decodes its input: then nobody has to check it before.
    fn reads_input(&self) -> bool;

    /// What its types declare of its input and output.
    fn declares(&self) -> Sio;
}

/// What no argument declares: the input is not read.
fn reads_nothing() -> Option<Elements> {
    Some(Elements::default())
}

/// Gives `?` something to return from.
fn extracted<Fut>(extract: impl FnOnce() -> Result<Fut>) -> Result<Fut> {
    extract()
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
            #[allow(unused_variables, reason = "a handler without arguments reads neither")]
            fn call(
                &self,
                context: Context,
                input: Payload,
            ) -> impl Future<Output = Result<Reply>> + Send + 'static {
                let future = extracted(|| {
                    Ok(self(
                        $($arg::from_context(&context)?,)*
                        $($last::from_input(&context, input)?,)?
                    ))
                });
                async move { future?.await.into_reply() }
            }

            fn requires(&self) -> Requirements {
                #[allow(unused_mut, reason = "a handler without arguments asks for nothing")]
                let mut requirements = Requirements::default();
                $($arg::requires(&mut requirements);)*
                $($last::requires(&mut requirements);)?
                requirements
            }

            fn reads_input(&self) -> bool {
                false $(|| <$last as FromInput<$via>>::READS)?
            }

            fn declares(&self) -> Sio {
                let mut sio = Sio::new();
                sio.input = reads_nothing();
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
