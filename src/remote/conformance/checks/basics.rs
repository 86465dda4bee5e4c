//! What every worker does: hello, dispatch, result.

use std::sync::Arc;
use std::time::Duration;

use crate::codec::convert::failure_to_proto;
use crate::codec::proto::v1;
use crate::codec::proto::v1::Capability;
use crate::codec::proto::v1::serve_response::Message;
use crate::model::error::{Error, reason};
use crate::model::token::Token;
use crate::remote::conformance::dispatches::{check_result, sample_dispatch};
use crate::remote::conformance::report::{CheckResult, Stop};
use crate::remote::conformance::rules;
use crate::remote::conformance::run::{Run, hello_of};
use crate::remote::worker_registry::definitions_of;
use crate::service::Definition;

/// The most services that are called.
const MAX_SERVICES: usize = 100;

/// Waits for the worker, checks its hello and welcomes it.
pub(in crate::remote::conformance) async fn hello(run: &mut Run, wait: Duration) -> CheckResult {
    let Some(dial) = run.port.next_dial(wait).await else {
        let why = format!("no worker connected within {} s", wait.as_secs_f64());
        return Err(rules::HELLO_FIRST.broken(why).into());
    };
    let hello = hello_of(&dial)?;
    let definitions = definitions_of(hello.clone()).map_err(|error| {
        // The message lists the violations.
        rules::HELLO_VALID.broken(error.message())
    })?;
    for capability in &hello.capabilities {
        if matches!(
            Capability::try_from(*capability),
            Err(_) | Ok(Capability::Unspecified)
        ) {
            let seen = format!("the capability {capability}");
            return Err(rules::HELLO_VALID.broken(seen).into());
        }
    }
    let name = match hello.name.as_str() {
        "" => "a worker without a name".to_owned(),
        name => format!("`{name}`"),
    };
    run.definitions = definitions;
    run.set_hello(hello);
    let stream = run.accept(dial, &[]).await?;
    run.set_stream(stream);
    Ok(Some(name))
}

/// The services to call, and the names of those that the worker does not have.
pub(in crate::remote::conformance) fn selected(
    run: &Run,
    names: &[String],
) -> (Vec<Arc<Definition>>, Vec<String>) {
    let announced = run.definitions.iter();
    if names.is_empty() {
        return (announced.take(MAX_SERVICES).cloned().collect(), Vec::new());
    }
    let is_named = |it: &&Arc<Definition>| names.iter().any(|name| name == it.name().as_str());
    let called: Vec<_> = announced.filter(is_named).cloned().collect();
    let is_unknown = |name: &&String| !called.iter().any(|it| it.name().as_str() == **name);
    let unknown = names.iter().filter(is_unknown).cloned().collect();
    (called, unknown)
}

/// Calls a service with a sample of its input.
pub(in crate::remote::conformance) async fn dispatch(
    run: &mut Run,
    definition: &Arc<Definition>,
) -> CheckResult {
    let timeout = run.timeout;
    let can_answer_later = run.has(Capability::Later);
    let dispatch = sample_dispatch(definition, timeout);
    let token = dispatch.token.clone();
    let stream = run.stream().await?;
    stream.dispatch(dispatch).await;
    if !stream
        .answers(std::slice::from_ref(&token), timeout)
        .await?
    {
        let seen = format!("no result within {} s", timeout.as_secs_f64());
        return Err(rules::ANSWERED.broken(seen).into());
    }
    let results = stream.results(&token);
    let Some(result) = results.first().cloned() else {
        return Err(Stop::LeftOut("no result".to_owned()));
    };
    let note = check_result(definition, result, can_answer_later)?;
    if run.probe.is_none() {
        run.probe = Some(Arc::clone(definition));
    }
    Ok(note)
}

/// Sends messages that the worker does not know: without content, about dispatches that it never had, and of
/// capabilities that it did not announce.
pub(in crate::remote::conformance) async fn unknown_messages(run: &mut Run) -> CheckResult {
    let timeout = run.timeout;
    let dispatch = run.dispatch()?;
    let can_drain = run.has(Capability::Drain);
    let tokens = [dispatch.token.clone()];
    let unknown = Token::new().to_string();
    let failure = failure_to_proto(&Error::failed_precondition(
        reason::DISPATCH_VOID,
        "the dispatch has ended: its token is void",
    ));
    let stream = run.stream().await?;
    stream.send_empty().await;
    stream.acknowledge(vec![unknown.clone()]).await;
    let refused = v1::Refused {
        token: unknown.clone(),
        failure: Some(failure.clone()),
    };
    stream.send(Message::Refused(refused)).await;
    let cancel = v1::CancelDispatch {
        token: unknown,
        failure: Some(failure),
    };
    stream.send(Message::Cancel(cancel)).await;
    if !can_drain {
        // A node that stops sends it to every worker.
        stream.send(Message::Drain(v1::NodeDrain::default())).await;
    }
    stream.dispatch(dispatch).await;
    match stream.answers(&tokens, timeout).await {
        Ok(true) => Ok(None),
        Ok(false) => Err(rules::IGNORED
            .broken("a dispatch after them was not answered")
            .into()),
        Err(fault) => Err(rules::IGNORED.broken(fault.seen).into()),
    }
}
