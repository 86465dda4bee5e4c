//! Asynchronous completion: a webhook, a person or another system delivers the outcome with a token.

use crate::model::error::Result;
use crate::model::id::Cid;
use crate::model::payload::{Payload, Reply};
use crate::model::sio::Elements;
use crate::model::token::Token;
use crate::model::value::Value;
use crate::service::context::Context;
use crate::service::output::{AsReply, IntoReply};

/// The result of a handler whose outcome is delivered later.
///
/// The handler passes [`cid`](Self::cid) and [`token`](Self::token) to the system that will call `CompleteInvocation`,
/// and returns this. That releases the permit of the handler, while the caller continues to wait. In the background the
/// wait survives restarts; it ends when the attempt's timeout, which is restarted, or the deadline passes.
///
/// ```
/// use cidery::{Context, Later, Result};
///
/// async fn approve(ctx: Context) -> Result<Later> {
///     let later = ctx.later()?;
///     println!("https://example.com/approve?cid={}&token={}", later.cid(), later.token());
///     Ok(later)
/// }
/// ```
#[derive(Clone, Debug)]
#[must_use = "it takes effect when the handler returns it"]
pub struct Later {
    token: Token,
    context: Context,
}

impl Context {
    /// Starts an asynchronous completion: the handler passes on the token and returns the result.
    ///
    /// # Errors
    ///
    /// `RESOURCE_EXHAUSTED` / `LATER_LIMIT` where too many synchronous calls wait for a completion.
    pub fn later(&self) -> Result<Later> {
        let token = self.platform().later()?;
        let context = self.clone();
        Ok(Later { token, context })
    }
}

impl Later {
    /// The invocation.
    #[must_use]
    pub fn cid(&self) -> Cid {
        self.context.cid()
    }

    /// The token that authorizes the completion. It is a secret.
    #[must_use]
    pub fn token(&self) -> String {
        self.token.to_string()
    }
}

impl IntoReply<AsReply> for Later {
    type Output = Value;

    fn into_reply(self) -> Result<Reply> {
        self.context.platform().answer_later(self.token)?;
        Ok(Payload::empty().into())
    }

    fn declares() -> Option<Elements> {
        None
    }
}

/// The result of a handler that returns a response now or later.
#[derive(Clone, Debug)]
pub enum Answer<T> {
    /// The response.
    Now(T),
    /// The response is delivered later.
    Later(Later),
}

/// Marks outputs that may be delivered later.
#[derive(Debug)]
pub struct AsAnswer<Shape>(std::marker::PhantomData<Shape>);

impl<T, Shape> IntoReply<AsAnswer<Shape>> for Answer<T>
where
    T: IntoReply<Shape>,
{
    type Output = T::Output;

    fn into_reply(self) -> Result<Reply> {
        match self {
            Self::Now(output) => output.into_reply(),
            Self::Later(later) => later.into_reply(),
        }
    }

    fn declares() -> Option<Elements> {
        T::declares()
    }
}
