//! `externalscaler.ExternalScaler`: tells KEDA how many workers services need (`docs/metrics.md`).

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{BoxStream, unfold};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::{Extensions, Request, Response, Status};

use super::request::{into_status, timeout};
use super::stream_deadline::until_deadline;
use crate::codec::proto::externalscaler as keda;
use crate::codec::proto::externalscaler::external_scaler_server::ExternalScaler;
use crate::codec::status::to_status;
use crate::edge::caller::on_behalf_of_caller;
use crate::engine::{Invoker, ServiceLoad};
use crate::model::access::NamePattern;
use crate::model::error::{Error, Result, Violation, reason};

/// How often a stream looks whether there is work.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);
/// How many streams there are at once.
const MAX_STREAMS: usize = 1_000;
/// How soon a caller may ask again that would be one stream more.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// The implementation of `ExternalScaler`.
#[derive(Clone, Debug)]
pub(super) struct ScalerApi {
    invoker: Invoker,
    streams: Arc<Semaphore>,
}

/// What a `ScaledObject` scales by.
#[derive(Clone, Debug, PartialEq)]
struct Trigger {
    services: NamePattern,
    metric: Metric,
    /// The value for one replica.
    target: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Metric {
    /// Invocations that are due, and calls that wait.
    Backlog,
    /// How long the oldest invocation has been due.
    AgeSeconds,
    /// Handlers that run.
    BusyPermits,
}

impl Metric {
    const ALL: [Self; 3] = [Self::Backlog, Self::AgeSeconds, Self::BusyPermits];

    const fn name(self) -> &'static str {
        match self {
            Self::Backlog => "backlog",
            Self::AgeSeconds => "age_seconds",
            Self::BusyPermits => "busy_permits",
        }
    }

    /// The name for Kubernetes, which allows no `_` there.
    const fn kubernetes_name(self) -> &'static str {
        match self {
            Self::Backlog => "cidery-backlog",
            Self::AgeSeconds => "cidery-age-seconds",
            Self::BusyPermits => "cidery-busy-permits",
        }
    }

    const fn default_target(self) -> f64 {
        match self {
            Self::Backlog | Self::BusyPermits => 10.0,
            Self::AgeSeconds => 60.0,
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a backlog is far below 2^53")]
    const fn of(self, load: &ServiceLoad) -> f64 {
        match self {
            Self::Backlog => load.backlog as f64,
            Self::AgeSeconds => load.oldest_due_seconds,
            Self::BusyPermits => load.running as f64,
        }
    }
}

impl Trigger {
    /// Reads the metadata of a trigger: `service`, a name or a pattern; `metric`, by default `backlog`; `target`.
    /// Others are for KEDA.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `REQUEST_INVALID` with all violations.
    fn parse(object: Option<&keda::ScaledObjectRef>) -> Result<Self> {
        let text = |name: &str| Some(object?.scaler_metadata.get(name)?.as_str());
        let path = |name: &str| format!("/scalerMetadata/{name}");
        let mut violations = Vec::new();
        let mut violation = |name: &str, code: &'static str, message: &str| {
            violations.push(Violation::new(path(name), code, message));
        };
        let services = match text("service") {
            Some(service) => NamePattern::parse(&path("service"), service).ok(),
            None => None,
        };
        if services.is_none() {
            let message = "names a service, or a pattern such as `customer.*`";
            let code = text("service").map_or("MISSING", |_| "MALFORMED");
            violation("service", code, message);
        }
        let metric = match text("metric") {
            Some(name) => Metric::ALL.into_iter().find(|metric| metric.name() == name),
            None => Some(Metric::Backlog),
        };
        if metric.is_none() {
            let message = "is none of `backlog`, `age_seconds`, `busy_permits`";
            violation("metric", "NOT_ONE_OF", message);
        }
        let target = match text("target") {
            Some(target) => target.parse().ok(),
            None => metric.map(Metric::default_target),
        };
        let target = target.filter(|target: &f64| target.is_finite() && *target > 0.0);
        if target.is_none() && text("target").is_some() {
            violation("target", "MALFORMED", "is no number above 0");
        }
        match (services, metric, target) {
            (Some(services), Some(metric), Some(target)) => Ok(Self {
                services,
                metric,
                target,
            }),
            _ => Err(Error::violations(reason::REQUEST_INVALID, violations)),
        }
    }
}

impl ScalerApi {
    pub(super) fn new(invoker: Invoker) -> Self {
        Self {
            invoker,
            streams: Arc::new(Semaphore::new(MAX_STREAMS)),
        }
    }

    /// The work of the services of a trigger, for the caller of a request.
    async fn load(&self, trigger: &Trigger, extensions: &Extensions) -> Result<ServiceLoad> {
        let invoker = on_behalf_of_caller(&self.invoker, extensions);
        invoker.service_load(&trigger.services).await
    }

    fn stream_permit(&self) -> Result<OwnedSemaphorePermit> {
        let permit = Arc::clone(&self.streams).try_acquire_owned();
        permit.map_err(|_| {
            let message = format!("{MAX_STREAMS} streams of external scalers are open already");
            Error::resource_exhausted(reason::STREAM_LIMIT, message).with_retry_after(RETRY_AFTER)
        })
    }
}

/// Whether there is work: something to start, or something that runs.
fn is_active(load: &ServiceLoad) -> bool {
    load.backlog > 0 || load.running > 0
}

/// A number for versions of KEDA that know no fractions: rounded up, so that a little is not nothing.
#[expect(clippy::cast_possible_truncation, reason = "the cast saturates")]
fn whole(value: f64) -> i64 {
    value.ceil() as i64
}

#[tonic::async_trait]
impl ExternalScaler for ScalerApi {
    async fn is_active(
        &self,
        request: Request<keda::ScaledObjectRef>,
    ) -> Result<Response<keda::IsActiveResponse>, Status> {
        let trigger = into_status(Trigger::parse(Some(request.get_ref())))?;
        let load = into_status(self.load(&trigger, request.extensions()).await)?;
        let result = is_active(&load);
        Ok(Response::new(keda::IsActiveResponse { result }))
    }

    type StreamIsActiveStream = BoxStream<'static, Result<keda::IsActiveResponse, Status>>;

    async fn stream_is_active(
        &self,
        request: Request<keda::ScaledObjectRef>,
    ) -> Result<Response<Self::StreamIsActiveStream>, Status> {
        let trigger = into_status(Trigger::parse(Some(request.get_ref())))?;
        // A caller that may not read is told before the stream begins.
        let load = into_status(self.load(&trigger, request.extensions()).await)?;
        let timeout = into_status(timeout(None, request.metadata()))?;
        let permit = into_status(self.stream_permit())?;
        let invoker = on_behalf_of_caller(&self.invoker, request.extensions());
        let states = States {
            invoker,
            trigger,
            last: None,
            next: Some(is_active(&load)),
            _permit: permit,
        };
        let states = unfold(states, States::next);
        Ok(Response::new(until_deadline(states, timeout, "ask again")))
    }

    async fn get_metric_spec(
        &self,
        request: Request<keda::ScaledObjectRef>,
    ) -> Result<Response<keda::GetMetricSpecResponse>, Status> {
        let invoker = on_behalf_of_caller(&self.invoker, request.extensions());
        into_status(invoker.check_read_all())?;
        let Trigger { metric, target, .. } = into_status(Trigger::parse(Some(request.get_ref())))?;
        let spec = keda::MetricSpec {
            metric_name: metric.kubernetes_name().to_owned(),
            target_size: whole(target),
            target_size_float: target,
        };
        Ok(Response::new(keda::GetMetricSpecResponse {
            metric_specs: vec![spec],
        }))
    }

    async fn get_metrics(
        &self,
        request: Request<keda::GetMetricsRequest>,
    ) -> Result<Response<keda::GetMetricsResponse>, Status> {
        let object = request.get_ref().scaled_object_ref.as_ref();
        let trigger = into_status(Trigger::parse(object))?;
        let load = into_status(self.load(&trigger, request.extensions()).await)?;
        let value = trigger.metric.of(&load);
        // KEDA names the metric as the specification did.
        let value = keda::MetricValue {
            metric_name: trigger.metric.kubernetes_name().to_owned(),
            metric_value: whole(value),
            metric_value_float: value,
        };
        Ok(Response::new(keda::GetMetricsResponse {
            metric_values: vec![value],
        }))
    }
}

/// The states of a stream: each time there is work, or no work any more.
struct States {
    invoker: Invoker,
    trigger: Trigger,
    /// What was told last.
    last: Option<bool>,
    /// What is known without another look.
    next: Option<bool>,
    _permit: OwnedSemaphorePermit,
}

impl States {
    /// The next state that differs from the last one, until the node closes.
    async fn next(mut self) -> Option<(Result<keda::IsActiveResponse, Status>, Self)> {
        loop {
            let now = match self.next.take() {
                Some(now) => now,
                None => {
                    tokio::select! {
                        () = tokio::time::sleep(LOOK_INTERVAL) => {}
                        () = self.invoker.closing().cancelled() => return None,
                    }
                    match self.invoker.service_load(&self.trigger.services).await {
                        Ok(load) => is_active(&load),
                        Err(error) => return Some((Err(to_status(&error)), self)),
                    }
                }
            };
            if self.last != Some(now) {
                self.last = Some(now);
                let response = keda::IsActiveResponse { result: now };
                return Some((Ok(response), self));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(metadata: &[(&str, &str)]) -> Result<Trigger> {
        let pairs = metadata.iter();
        let scaler_metadata = pairs.map(|(name, text)| ((*name).into(), (*text).into()));
        Trigger::parse(Some(&keda::ScaledObjectRef {
            scaler_metadata: scaler_metadata.collect(),
            ..keda::ScaledObjectRef::default()
        }))
    }

    #[test]
    fn metadata_is_read_with_defaults_and_all_violations() {
        let trigger = parse(&[("service", "a.*"), ("scalerAddress", "x:1")]).unwrap();
        assert_eq!((trigger.metric, trigger.target), (Metric::Backlog, 10.0));
        let trigger = parse(&[
            ("service", "a"),
            ("metric", "age_seconds"),
            ("target", "1.5"),
        ]);
        let trigger = trigger.unwrap();
        assert_eq!((trigger.metric, trigger.target), (Metric::AgeSeconds, 1.5));
        let paths = |metadata: &[_]| {
            let error = parse(metadata).unwrap_err();
            let violations = error.field_violations().iter();
            violations.map(|it| it.path.clone()).collect::<Vec<_>>()
        };
        let all = [("service", "a b"), ("metric", "cpu"), ("target", "0")];
        let of = |name: &str| format!("/scalerMetadata/{name}");
        assert_eq!(paths(&all), [of("service"), of("metric"), of("target")]);
        assert_eq!(
            paths(&[("service", "a"), ("target", "NaN")]),
            [of("target")]
        );
        assert_eq!(paths(&[]), [of("service")]);
    }

    /// What a cluster says may be anything: a trigger without a pattern of names would scale by all services.
    #[test]
    fn any_trigger_is_read_or_refused_with_its_fields() {
        let seeds: [&[u8]; 8] = [
            b"service=a.*\nscalerAddress=x:1",
            b"service=a\ntarget=0",
            b"service=a\ntarget=NaN",
            b"service=customer.get\nmetric=age_seconds\ntarget=1.5",
            b"service=*\nmetric=busy_permits\ntarget=1e308",
            b"service=a b\nmetric=cpu\ntarget=0",
            b"target=NaN\ntarget=-inf\nmetric=",
            b"service=\n=\ntarget=0x10",
        ];
        crate::fuzz_engine::fuzz("trigger", &seeds, |input| {
            let text = String::from_utf8_lossy(input);
            let lines = text.lines().filter_map(|line| line.split_once('='));
            let metadata: Vec<_> = lines.collect();
            match parse(&metadata) {
                Ok(trigger) => {
                    assert!(trigger.target.is_finite() && trigger.target > 0.0);
                    let given = metadata.iter().rev().find(|(name, _)| *name == "service");
                    assert_eq!(trigger.services.as_str(), given.unwrap().1);
                }
                Err(error) => {
                    assert_eq!(error.reason(), "REQUEST_INVALID");
                    for violation in error.field_violations() {
                        let names = ["service", "metric", "target"];
                        let is_field = |name| violation.path == format!("/scalerMetadata/{name}");
                        assert!(names.into_iter().any(is_field), "{violation:?}");
                    }
                }
            }
        });
    }
}
