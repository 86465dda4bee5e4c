//! What is exported of services. Those without a name of their own are added up under [`OTHER`].

use jiff::Timestamp;

use super::families;
use super::text::{Family, TextWriter};
use crate::engine::metrics::{HistogramSnapshot, OutcomeCount};
use crate::engine::{ServiceStats, StatsPage};
use crate::model::error::Kind;

/// The name of all services beyond the limit. No service can have it.
const OTHER: &str = "(other)";

/// What is exported of one service, or of those beyond the limit together.
#[derive(Debug, Default)]
struct Service {
    name: String,
    outcomes: Vec<OutcomeCount>,
    duration: HistogramSnapshot,
    queue_wait: HistogramSnapshot,
    attempts: u64,
    retries: u64,
    crashes: u64,
    running: usize,
    concurrency: usize,
    queued: usize,
    pending: usize,
    /// In seconds.
    oldest_due: f64,
    served: usize,
    workers: usize,
    worker_credits: usize,
}

impl Service {
    fn add(&mut self, stats: ServiceStats, now: Timestamp) {
        for count in stats.outcomes {
            let mut known = self.outcomes.iter_mut();
            let key = |it: &OutcomeCount| (it.kind, it.outcome, it.error);
            match known.find(|known| key(known) == key(&count)) {
                Some(known) => known.count += count.count,
                None => self.outcomes.push(count),
            }
        }
        self.duration.add(&stats.duration);
        self.queue_wait.add(&stats.queue_wait);
        self.attempts += stats.attempts;
        self.retries += stats.retries;
        self.crashes += stats.crashes;
        self.running += stats.running;
        self.concurrency = self.concurrency.saturating_add(stats.concurrency);
        self.queued += stats.queued;
        self.pending += stats.pending;
        let age = stats.oldest_due.map(|due| now.duration_since(due));
        let age = age.map_or(0.0, |age| age.as_secs_f64());
        self.oldest_due = self.oldest_due.max(age);
        self.served += usize::from(stats.is_served);
        self.workers += stats.workers;
        self.worker_credits = self.worker_credits.saturating_add(stats.worker_credits);
    }
}

/// The services by name, those beyond the limit last.
fn by_name(page: StatsPage) -> Vec<Service> {
    let mut named = Vec::new();
    let mut others: Option<Service> = None;
    for stats in page.stats {
        if stats.is_named {
            let name = stats.service.to_string();
            let mut service = Service {
                name,
                ..Service::default()
            };
            service.add(stats, page.time);
            named.push(service);
        } else {
            let others = others.get_or_insert_with(|| Service {
                name: OTHER.to_owned(),
                ..Service::default()
            });
            others.add(stats, page.time);
        }
    }
    named.extend(others);
    named
}

/// Writes all metrics of services.
pub(super) fn write(writer: &mut TextWriter, page: StatsPage) {
    let services = by_name(page);
    let mut invocations = writer.begin(&families::INVOCATIONS);
    for service in &services {
        for count in &service.outcomes {
            let (kind, outcome) = (count.kind.name(), count.outcome.name());
            let code = count.error.map_or("OK", Kind::name);
            invocations.count(&[&service.name, kind, outcome, code], count.count);
        }
    }
    let mut histograms = |family: &'static Family, of: fn(&Service) -> &HistogramSnapshot| {
        let mut samples = writer.begin(family);
        for service in services.iter().filter(|service| of(service).count() > 0) {
            samples.histogram(&[&service.name], of(service));
        }
    };
    histograms(&families::HANDLER_DURATION, |it| &it.duration);
    histograms(&families::QUEUE_WAIT, |it| &it.queue_wait);
    let mut counts = |family: &'static Family, of: fn(&Service) -> u64| {
        let mut samples = writer.begin(family);
        for service in &services {
            samples.count(&[&service.name], of(service));
        }
    };
    counts(&families::ATTEMPTS, |it| it.attempts);
    counts(&families::RETRIES, |it| it.retries);
    counts(&families::CRASHES, |it| it.crashes);
    let mut gauges = |family: &'static Family, of: fn(&Service) -> usize| {
        let mut samples = writer.begin(family);
        for service in &services {
            samples.size(&[&service.name], of(service));
        }
    };
    gauges(&families::RUNNING, |it| it.running);
    gauges(&families::CONCURRENCY, |it| it.concurrency);
    gauges(&families::QUEUED, |it| it.queued);
    gauges(&families::PENDING, |it| it.pending);
    gauges(&families::SERVED, |it| it.served);
    gauges(&families::SERVICE_WORKERS, |it| it.workers);
    gauges(&families::CREDITS, |it| it.worker_credits);
    let mut ages = writer.begin(&families::OLDEST_DUE);
    for service in &services {
        ages.value(&[&service.name], service.oldest_due);
    }
}
