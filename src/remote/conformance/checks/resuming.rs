//! Sessions: a worker that can resume keeps its dispatches and results over streams.

use std::time::Duration;

use crate::codec::proto::v1;
use crate::codec::proto::v1::Capability;
use crate::model::error::{Error, reason};
use crate::remote::conformance::port::Dial;
use crate::remote::conformance::report::{CheckResult, Fault, Stop};
use crate::remote::conformance::rules;
use crate::remote::conformance::run::{Run, hello_of, refuse, status};
use crate::remote::conformance::stream::WorkerStream;

/// How long to wait for messages that must not arrive.
const QUIET: Duration = Duration::from_millis(300);
/// The number of attempts to resume after the first one was refused.
const MAX_REFUSED_RESUMES: usize = 3;

/// Sends a dispatch twice: it runs once.
pub(in crate::remote::conformance) async fn repeated(run: &mut Run) -> CheckResult {
    run.need(Capability::Resume)?;
    let timeout = run.timeout;
    let dispatch = run.dispatch()?;
    let after = run.dispatch()?;
    let token = dispatch.token.clone();
    let tokens = [token.clone(), after.token.clone()];
    let stream = run.stream().await?;
    // An acknowledged token is forgotten.
    stream.acknowledges = false;
    stream.dispatch(dispatch.clone()).await;
    let answered = stream
        .answers(std::slice::from_ref(&token), timeout)
        .await?;
    stream.dispatch(dispatch).await;
    stream.dispatch(after).await;
    let answered = answered && stream.answers(&tokens, timeout).await?;
    stream.receive_for(QUIET).await?;
    stream.acknowledge(tokens.to_vec()).await;
    stream.acknowledges = true;
    let results = stream.results(&token).len();
    match (answered, results) {
        (false, _) => Err(rules::ANSWERED.broken("a dispatch was not answered").into()),
        (true, 1) => Ok(None),
        (true, _) => {
            let seen = format!("{results} results of a dispatch that was sent twice");
            Err(rules::REPETITION.broken(seen).into())
        }
    }
}

/// Loses a result and a dispatch with the connection.
pub(in crate::remote::conformance) async fn resume(run: &mut Run) -> CheckResult {
    run.need(Capability::Resume)?;
    let timeout = run.timeout;
    let (first, second) = (run.dispatch()?, run.dispatch()?);
    let tokens = [first.token.clone(), second.token.clone()];
    let mut stream = run.take_stream().await?;
    lose_result(&mut stream, first, timeout).await?;
    stream.send_empty().await;
    stream.dispatch(second.clone()).await;
    stream.cut();
    let dial = run.reconnects().await?;
    let checked = check_resume(run, &dial, &tokens);
    let mut stream = run.accept(dial, &tokens).await?;
    let resumed = match checked {
        Ok(()) => {
            if !stream.hello.tokens.contains(&second.token) {
                // It did not arrive.
                stream.dispatch(second).await;
            }
            stream.answers(&tokens, timeout).await
        }
        Err(fault) => Err(fault),
    };
    let is_resent = !stream
        .results(tokens.first().map_or("", String::as_str))
        .is_empty();
    run.set_stream(stream);
    match (resumed?, is_resent) {
        (true, _) => Ok(None),
        (false, true) => Err(rules::ANSWERED
            .broken("a dispatch was not answered after a resume")
            .into()),
        (false, false) => {
            let seen = "a result that was not acknowledged was not sent again";
            Err(rules::RESEND.broken(seen).into())
        }
    }
}

/// Acknowledges a result, and cuts the connection after that.
pub(in crate::remote::conformance) async fn acknowledged(run: &mut Run) -> CheckResult {
    run.need(Capability::Resume)?;
    let timeout = run.timeout;
    let (first, after) = (run.dispatch()?, run.dispatch()?);
    let (token, marker) = (first.token.clone(), after.token.clone());
    let mut stream = run.take_stream().await?;
    lose_result(&mut stream, first, timeout).await?;
    stream.acknowledge(vec![token.clone()]).await;
    // Its result shows that the acknowledgement before it has arrived.
    stream.dispatch(after).await;
    if !stream
        .answers(std::slice::from_ref(&marker), timeout)
        .await?
    {
        return Err(rules::ANSWERED.broken("a dispatch was not answered").into());
    }
    stream.cut();
    let dial = run.reconnects().await?;
    let is_kept = hello_of(&dial)?.tokens.contains(&token);
    let stream = run.accept(dial, std::slice::from_ref(&marker)).await?;
    run.set_stream(stream);
    match is_kept {
        true => {
            let seen = "the next hello names the dispatch of a result that was acknowledged";
            Err(rules::FORGET.broken(seen).into())
        }
        false => Ok(None),
    }
}

/// Cuts the connection, and answers like a node that was restarted: with another session.
pub(in crate::remote::conformance) async fn restarted_node(run: &mut Run) -> CheckResult {
    run.need(Capability::Resume)?;
    let timeout = run.timeout;
    let (lost, next) = (run.dispatch()?, run.dispatch()?);
    let (lost_token, tokens) = (lost.token.clone(), [next.token.clone()]);
    let mut stream = run.take_stream().await?;
    lose_result(&mut stream, lost, timeout).await?;
    stream.cut();
    let dial = run.reconnects().await?;
    let presents_session = !hello_of(&dial)?.session.is_empty();
    let mut stream = run.accept_as_new(dial).await?;
    if !presents_session {
        run.set_stream(stream);
        let why = "the worker does not present its session";
        return Err(Stop::LeftOut(why.to_owned()));
    }
    // It may send a result that was lost, once: its token is void now.
    stream.expect(&lost_token);
    stream.dispatch(next).await;
    let answered = stream.answers(&tokens, timeout).await;
    // The result of a dispatch that the welcome did not list.
    let is_void = answered.is_err() && !stream.has_ended();
    let answered = answered.map_err(|fault| match is_void {
        true => rules::FORGET.broken(fault.seen),
        false => fault,
    })?;
    if !answered {
        let seen = "a dispatch of the new session was not answered";
        return Err(rules::NEW_SESSION.broken(seen).into());
    }
    stream.cut();
    let dial = run.reconnects().await?;
    let hello = hello_of(&dial)?;
    let is_current = hello.session == run.session();
    let stream = run.accept(dial, &tokens).await?;
    run.set_stream(stream);
    if !is_current {
        let seen = "the next hello does not contain the new session";
        return Err(rules::NEW_SESSION.broken(seen).into());
    }
    if hello.tokens.contains(&lost_token) {
        let seen = "the next hello names a dispatch that the welcome did not list";
        return Err(rules::FORGET.broken(seen).into());
    }
    Ok(None)
}

/// Refuses to resume the session.
pub(in crate::remote::conformance) async fn refused(run: &mut Run) -> CheckResult {
    run.need(Capability::Resume)?;
    let stopping = Error::unavailable(reason::NODE_STOPPING, "the node is stopping");
    run.take_stream().await?.end(status(&stopping)).await;
    let message = "the hello differs from that of the session: connect without `session`";
    let refusal = Error::invalid_argument(reason::RESUME_MISMATCH, message);
    let mut refusals = 0;
    loop {
        let dial = run.reconnects().await?;
        if hello_of(&dial)?.session.is_empty() {
            let stream = run.accept(dial, &[]).await?;
            run.set_stream(stream);
            return Ok(match refusals {
                0 => Some("it connected without a session at once".to_owned()),
                _ => None,
            });
        }
        if refusals > MAX_REFUSED_RESUMES {
            let stream = run.accept(dial, &[]).await?;
            run.set_stream(stream);
            let seen = format!("the session was presented {refusals} times after it was refused");
            return Err(rules::FRESH.broken(seen).into());
        }
        refusals += 1;
        refuse(dial, &refusal);
    }
}

/// Sends a dispatch, and does not acknowledge its result.
async fn lose_result(
    stream: &mut WorkerStream,
    dispatch: v1::Dispatch,
    timeout: Duration,
) -> Result<(), Fault> {
    let tokens = [dispatch.token.clone()];
    stream.acknowledges = false;
    stream.dispatch(dispatch).await;
    match stream.answers(&tokens, timeout).await? {
        true => Ok(()),
        false => Err(rules::ANSWERED.broken("a dispatch was not answered")),
    }
}

/// Checks the hello of a worker that resumes. The result of the first token was not acknowledged.
fn check_resume(run: &Run, dial: &Dial, tokens: &[String]) -> Result<(), Fault> {
    let hello = hello_of(dial)?;
    if hello.session != run.session() {
        let seen = match hello.session.is_empty() {
            true => "a hello without the session: a process that was started again has lost it",
            false => "a hello with another session",
        };
        return Err(rules::RESUME_HELLO.broken(seen));
    }
    if let Some(field) = run.changed_field(&hello) {
        let seen = format!("another value of `{field}` than in the first hello");
        return Err(rules::SAME_HELLO.broken(seen));
    }
    match tokens
        .first()
        .is_some_and(|token| hello.tokens.contains(token))
    {
        true => Ok(()),
        false => {
            let seen = "a hello without the token of a result that was not acknowledged";
            Err(rules::RESUME_HELLO.broken(seen))
        }
    }
}
