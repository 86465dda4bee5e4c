//! The typed methods of one node, and the reason for each service that has none.
//!
//! Method names are derived, so that two services may have the same one. Then the one that was there first keeps it:
//! who may serve one name must not take the methods of another. Where neither was first, neither gets it.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
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
    notes: HashMap<ServiceName, Note>,
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

/// Why a service has no method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// What in its name or in its declaration makes none.
    Declaration(String),
    /// Another service has the method, or several would have it.
    Clash {
        /// The path of the method: `/customer.Service/Get`.
        path: String,
        /// All of them, in the order of their names.
        services: Vec<ServiceName>,
    },
}

impl Note {
    /// The text for a caller who sees some services: the names of others are not told.
    #[must_use]
    pub fn text(&self, sees: impl Fn(&str) -> bool) -> Cow<'_, str> {
        let (path, services) = match self {
            Self::Declaration(text) => return text.into(),
            Self::Clash { path, services } => (path.trim_start_matches('/'), services),
        };
        let seen = services.iter().filter(|service| sees(service.as_str()));
        let names: Vec<String> = seen.map(|service| format!("`{service}`")).collect();
        match names.len() {
            0 | 1 => format!("another service would be `{path}` as well").into(),
            _ => format!("{} would both be `{path}`", names.join(" and ")).into(),
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(|_| true))
    }
}

impl MethodDirectory {
    /// Creates the methods of services from names, declarations and descriptions.
    #[must_use]
    pub fn new<'a>(
        services: impl IntoIterator<Item = (&'a ServiceName, &'a Sio, &'a str)>,
    ) -> Self {
        Self::updated(services, |_| None, |_| ())
    }

    /// As [`new`](Self::new); `unchanged` returns the method that a service had before, if it is still the same.
    /// `rank`: of services with the same method, the one with the lowest rank keeps it; of several, none.
    #[must_use]
    pub fn updated<'a, R: Ord + Copy>(
        services: impl IntoIterator<Item = (&'a ServiceName, &'a Sio, &'a str)>,
        unchanged: impl Fn(&ServiceName) -> Option<Arc<Method>>,
        rank: impl Fn(&ServiceName) -> R,
    ) -> Self {
        let mut directory = Self::default();
        let mut made = Vec::new();
        for (service, sio, description) in services {
            let method = match unchanged(service) {
                Some(method) => Ok(method),
                None => Method::new(service, sio, description).map(Arc::new),
            };
            match method {
                Ok(method) => made.push((rank(service), method)),
                Err(why) => drop(
                    directory
                        .notes
                        .insert(service.clone(), Note::Declaration(why)),
                ),
            }
        }
        made.sort_by(|(a, one), (b, other)| a.cmp(b).then_with(|| one.service.cmp(&other.service)));
        // The services that each path belongs to: one, or those that were first together.
        let mut claims: HashMap<String, Vec<ServiceName>> = HashMap::new();
        for equals in made.chunk_by(|(a, _), (b, _)| a == b) {
            let mut new: HashMap<String, Vec<ServiceName>> = HashMap::new();
            let mut allowed = Vec::new();
            for (_, method) in equals {
                let taken = paths(method)
                    .into_iter()
                    .find_map(|path| Some((claims.get(&path)?, path)));
                match taken {
                    Some((before, path)) => {
                        let mut services = before.clone();
                        services.push(method.service.clone());
                        services.sort();
                        let note = Note::Clash { path, services };
                        directory.notes.insert(method.service.clone(), note);
                    }
                    None => {
                        for path in paths(method) {
                            new.entry(path).or_default().push(method.service.clone());
                        }
                        allowed.push(method);
                    }
                }
            }
            for method in allowed {
                let clash = paths(method)
                    .into_iter()
                    .find_map(|path| Some((new.get(&path).filter(|all| all.len() > 1)?, path)));
                match clash {
                    Some((services, path)) => {
                        let services = services.clone();
                        let note = Note::Clash { path, services };
                        directory.notes.insert(method.service.clone(), note);
                    }
                    None => directory.add(Arc::clone(method)),
                }
            }
            claims.extend(new);
        }
        for methods in directory.packages.values_mut() {
            methods.sort_by(|a, b| a.service.cmp(&b.service));
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
    pub fn note(&self, service: &str) -> Option<&Note> {
        self.notes.get(service)
    }

    /// All notes, by service.
    pub fn notes(&self) -> impl Iterator<Item = (&ServiceName, &Note)> {
        self.notes.iter()
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
