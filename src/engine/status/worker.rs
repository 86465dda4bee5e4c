//! A worker as operators see it.

use jiff::Timestamp;

use crate::model::id::ServiceName;

/// A connected worker, or one that may resume its session.
#[derive(Clone, Debug)]
pub struct WorkerStatus {
    /// Its id, given by the node.
    pub id: String,
    /// Its name, given by itself.
    pub name: String,
    /// Its build, given by itself; empty if it gave none.
    pub build_id: String,
    /// The services that it serves.
    pub services: Vec<ServiceName>,
    /// The optional features that it supports, by their numbers in the contract.
    pub capabilities: Vec<i32>,
    /// How many dispatches it has not answered.
    pub in_flight: usize,
    /// How many dispatches it runs at once, at most.
    pub max_in_flight: usize,
    /// When it connected.
    pub connect_time: Timestamp,
    /// Its network address.
    pub peer: String,
    /// Whether it drains: it takes no new dispatches.
    pub draining: bool,
    /// Whether it is disconnected, and may resume its session within its lease.
    pub away: bool,
}

/// The workers of one build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerBuild {
    /// The name that they gave.
    pub worker_name: String,
    /// The build that they gave; empty if they gave none.
    pub build_id: String,
    /// How many they are.
    pub workers: usize,
}

/// The workers of a node, as the status shows them.
#[derive(Clone, Debug, Default)]
pub struct WorkerCounts {
    /// How many are connected, or may resume.
    pub workers: usize,
    /// How many of them may resume.
    pub away: usize,
    /// Their builds, by name, the first of `all_builds`.
    pub builds: Vec<WorkerBuild>,
    /// How many builds there are.
    pub all_builds: usize,
}
