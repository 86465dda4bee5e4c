//! The typed methods of one node, and the reason for each service that has none.
//!
//! Method names are derived, so that two services may have the same one. Then neither gets it: the order of
//! registration must not decide what a call means. But a worker takes none from a service of the node itself.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::method::Method;
use super::names::SERVICE;
use crate::model::id::ServiceName;
use crate::model::sio::Sio;

/// The typed methods of a set of services.
#[derive(Debug, Default)]
pub struct MethodDirectory {
    /// The methods by path, such as `/customer.Service/Get`.
    paths: HashMap<String, MethodMatch>,
    methods: HashMap<ServiceName, Arc<Method>>,
    notes: HashMap<ServiceName, String>,
    packages: BTreeMap<String, Vec<Arc<Method>>>,
}

/// A method that was found by its path.
#[derive(Clone, Debug)]
pub struct MethodMatch {
    /// The method.
    pub method: Arc<Method>,
    /// The mode of the call.
    pub mode: CallMode,
}

/// The mode of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallMode {
    /// Synchronous: the caller waits for the response.
    Sync,
    /// Asynchronous: the caller gets the CID.
    Async,
}

impl MethodDirectory {
    /// Creates the methods of services from names, declarations and descriptions.
    #[must_use]
    pub fn new<'a>(
        services: impl IntoIterator<Item = (&'a ServiceName, &'a Sio, &'a str)>,
    ) -> Self {
        Self::updated(services, |_| None, |_| true)
    }

    /// As [`new`](Self::new); `unchanged` returns the method that a service had before, if it is still the same.
    /// `is_own`: whether the node serves it itself.
    #[must_use]
    pub fn updated<'a>(
        services: impl IntoIterator<Item = (&'a ServiceName, &'a Sio, &'a str)>,
        unchanged: impl Fn(&ServiceName) -> Option<Arc<Method>>,
        is_own: impl Fn(&ServiceName) -> bool,
    ) -> Self {
        let mut directory = Self::default();
        let mut made = Vec::new();
        for (service, sio, description) in services {
            if let Some(method) = unchanged(service) {
                made.push(method);
                continue;
            }
            match Method::new(service, sio, description) {
                Ok(method) => made.push(Arc::new(method)),
                Err(note) => drop(directory.notes.insert(service.clone(), note)),
            }
        }
        made.sort_by(|a, b| a.service.cmp(&b.service));
        let mut claims: HashMap<String, Vec<&Arc<Method>>> = HashMap::new();
        for method in &made {
            for path in paths(method) {
                claims.entry(path).or_default().push(method);
            }
        }
        let mut clashes: BTreeMap<String, Vec<&Arc<Method>>> = BTreeMap::new();
        clashes.extend(claims.into_iter().filter(|(_, methods)| methods.len() > 1));
        for (path, methods) in clashes {
            let names: Vec<String> = methods
                .iter()
                .map(|method| format!("`{}`", method.service))
                .collect();
            let note = format!(
                "{} would both be `{}`",
                names.join(" and "),
                path.trim_start_matches('/')
            );
            let mut own = methods.iter().filter(|method| is_own(&method.service));
            let winner = own.next().filter(|_| own.next().is_none());
            let winner = winner.map(|winner| winner.service.clone());
            for method in methods {
                if winner.as_ref() == Some(&method.service) {
                    continue;
                }
                directory
                    .notes
                    .entry(method.service.clone())
                    .or_insert_with(|| note.clone());
            }
        }
        for method in made {
            if !directory.notes.contains_key(&method.service) {
                directory.add(method);
            }
        }
        directory
    }

    fn add(&mut self, method: Arc<Method>) {
        for (path, mode) in paths(&method)
            .into_iter()
            .zip([CallMode::Sync, CallMode::Async])
        {
            let method = Arc::clone(&method);
            self.paths.insert(path, MethodMatch { method, mode });
        }
        let of_package = self.packages.entry(method.package.clone()).or_default();
        of_package.push(Arc::clone(&method));
        self.methods.insert(method.service.clone(), method);
    }

    /// The method at a path, `/customer.Service/Get`.
    #[must_use]
    pub fn at(&self, path: &str) -> Option<&MethodMatch> {
        self.paths.get(path)
    }

    /// The method of a service.
    #[must_use]
    pub fn of(&self, service: &str) -> Option<&Arc<Method>> {
        self.methods.get(service)
    }

    /// The methods of a gRPC service, by its full name: `customer.Service`.
    #[must_use]
    pub fn of_grpc_service(&self, name: &str) -> Option<&[Arc<Method>]> {
        let package = name.strip_suffix(SERVICE)?.strip_suffix('.')?;
        self.packages.get(package).map(Vec::as_slice)
    }

    /// Why a service has no method.
    #[must_use]
    pub fn note(&self, service: &str) -> Option<&str> {
        self.notes.get(service).map(String::as_str)
    }

    /// All notes, by service.
    pub fn notes(&self) -> impl Iterator<Item = (&ServiceName, &str)> {
        self.notes
            .iter()
            .map(|(service, note)| (service, note.as_str()))
    }

    /// The methods of each package, both in the order of their names.
    pub fn packages(&self) -> impl Iterator<Item = (&str, &[Arc<Method>])> {
        self.packages
            .iter()
            .map(|(package, methods)| (package.as_str(), methods.as_slice()))
    }
}

/// The paths of a method: synchronous and asynchronous.
fn paths(method: &Method) -> [String; 2] {
    let path = format!("/{}", method.path());
    let background = format!("{path}Async");
    [path, background]
}
