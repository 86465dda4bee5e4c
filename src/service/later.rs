//! Handlers that answer later: a webhook, a person or another system gives the outcome, by a token.

use crate::model::error::Result;
use crate::model::id::Cid;
use crate::model::payload::{Payload, Reply};
use crate::model::sio::Elements;
use crate::model::token::Token;
use crate::service::context::Context;
use crate::service::output::{AsReply, IntoReply};

/// That a handler answers later.
///
/// It gives [`cid`](Self::cid) and [`token`](Self::token) to whoever will call `CompleteInvocation` with them, and
/// returns this: its slot is free from then on, and its caller waits on. In the background that survives restarts; it
/// ends when the attempt's timeout, which begins anew, or the deadline passes.
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
#[must_use = "a handler answers later by returning it"]
pub struct Later {
    token: Token,
    context: Context,
}

impl Context {
    /// Has the outcome come later, from outside: a handler hands on the token and returns what this answers.
    ///
    /// # Errors
    ///
    /// `RESOURCE_EXHAUSTED` / `LATER_LIMIT` where too many synchronous calls wait for outcomes already.
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

    /// What the outcome is given with. A secret: whoever has it decides the outcome.
    #[must_use]
    pub fn token(&self) -> String {
        self.token.to_string()
    }
}

impl IntoReply<AsReply> for Later {
    fn into_reply(self) -> Result<Reply> {
        self.context.platform().answer_later(self.token)?;
        Ok(Payload::empty().into())
    }

    fn declares() -> Option<Elements> {
        None
    }
}

/// What a handler answers that answers now, or later.
#[derive(Clone, Debug)]
pub enum Answer<T> {
    /// With this response.
    Now(T),
    /// Later.
    Later(Later),
}

/// Marks outputs that may come later.
#[derive(Debug)]
pub struct AsAnswer<Shape>(std::marker::PhantomData<Shape>);

impl<T, Shape> IntoReply<AsAnswer<Shape>> for Answer<T>
where
    T: IntoReply<Shape>,
{
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
