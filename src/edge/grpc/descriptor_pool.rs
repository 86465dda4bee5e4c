//! The descriptor pool of reflection: `.proto` files by name and by the symbols they declare.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use prost::Message as _;
use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorProto, FileDescriptorSet};
use tonic_reflection::pb::{v1, v1alpha};

use crate::codec::proto::DESCRIPTORS;
use crate::model::error::{Error, Result, reason};

/// All files that reflection serves.
#[derive(Clone, Debug, Default)]
pub(super) struct DescriptorPool {
    files: HashMap<Arc<str>, Arc<PoolFile>>,
    /// The file of each symbol, by its fully qualified name: services, methods, messages, fields and enums.
    symbols: HashMap<Arc<str>, Arc<str>>,
    pub(super) services: BTreeSet<Arc<str>>,
}

/// One file, indexed.
#[derive(Debug)]
pub(super) struct PoolFile {
    name: Arc<str>,
    encoded: Vec<u8>,
    imports: Vec<String>,
    symbols: Vec<Arc<str>>,
    services: Vec<Arc<str>>,
}

impl PoolFile {
    /// Reads an encoded file. Fields that the index does not read are kept. `None`, logged, if it cannot be decoded.
    pub(super) fn decode(encoded: &[u8]) -> Option<Self> {
        match FileDescriptorProto::decode(encoded) {
            Ok(file) => Some(Self::new(&file, encoded.to_vec())),
            Err(error) => {
                tracing::error!(%error, "cannot decode a generated descriptor");
                None
            }
        }
    }

    fn new(file: &FileDescriptorProto, encoded: Vec<u8>) -> Self {
        let mut indexed = Self {
            name: file.name().into(),
            encoded,
            imports: file.dependency.clone(),
            symbols: Vec::new(),
            services: Vec::new(),
        };
        let prefix = match file.package() {
            "" => String::new(),
            package => format!("{package}."),
        };
        for message in &file.message_type {
            indexed.add_message(&prefix, message);
        }
        for declared in &file.enum_type {
            indexed.add_enum(&prefix, declared);
        }
        for service in &file.service {
            let full: Arc<str> = format!("{prefix}{}", service.name()).into();
            let methods = service.method.iter();
            let methods = methods.map(|method| format!("{full}.{}", method.name()).into());
            indexed.symbols.extend(methods);
            indexed.services.push(Arc::clone(&full));
            indexed.symbols.push(full);
        }
        indexed
    }

    fn add_message(&mut self, prefix: &str, message: &DescriptorProto) {
        let full = format!("{prefix}{}", message.name());
        let inner = format!("{full}.");
        let fields = message.field.iter();
        let fields = fields.map(|field| format!("{inner}{}", field.name()).into());
        self.symbols.extend(fields);
        for nested in &message.nested_type {
            self.add_message(&inner, nested);
        }
        for declared in &message.enum_type {
            self.add_enum(&inner, declared);
        }
        self.symbols.push(full.into());
    }

    fn add_enum(&mut self, prefix: &str, declared: &EnumDescriptorProto) {
        self.symbols
            .push(format!("{prefix}{}", declared.name()).into());
    }
}

impl DescriptorPool {
    /// The [built-in files](built_in_files).
    pub(super) fn built_in() -> Result<Self> {
        let mut pool = Self::default();
        for file in built_in_files()? {
            pool.add(&Arc::new(PoolFile::new(&file, file.encode_to_vec())));
        }
        Ok(pool)
    }

    /// Adds a file, unless one of that name exists.
    pub(super) fn add(&mut self, file: &Arc<PoolFile>) {
        if self.files.contains_key(&file.name) {
            return;
        }
        let symbols = file.symbols.iter();
        let symbols = symbols.map(|symbol| (Arc::clone(symbol), Arc::clone(&file.name)));
        self.symbols.extend(symbols);
        self.services.extend(file.services.iter().cloned());
        self.files.insert(Arc::clone(&file.name), Arc::clone(file));
    }

    /// A file and all its imports, importing files first.
    pub(super) fn with_imports(&self, name: &str) -> Option<Vec<Vec<u8>>> {
        let mut names = vec![name];
        let mut found = Vec::new();
        let mut next = 0;
        while let Some(name) = names.get(next) {
            let file = self.files.get(*name);
            // Only the requested file must exist.
            if next == 0 && file.is_none() {
                return None;
            }
            next += 1;
            let Some(file) = file else { continue };
            found.push(file.encoded.clone());
            for import in &file.imports {
                if !names.contains(&import.as_str()) {
                    names.push(import);
                }
            }
        }
        Some(found)
    }

    /// Whether a path is that of a method: `/grpc.health.v1.Health/Check`.
    pub(super) fn has_method(&self, path: &str) -> bool {
        let names = path.strip_prefix('/').and_then(|path| path.split_once('/'));
        names.is_some_and(|(service, method)| {
            self.services.contains(service)
                && self
                    .symbols
                    .contains_key(format!("{service}.{method}").as_str())
        })
    }

    /// The file that declares a symbol, and all it imports.
    pub(super) fn containing_symbol(&self, symbol: &str) -> Option<Vec<Vec<u8>>> {
        let symbol = symbol.trim_start_matches('.');
        self.with_imports(self.symbols.get(symbol)?)
    }
}

/// The built-in files: the services of a node, health, reflection, the well-known types, and `google/rpc` for the
/// details of failures.
///
/// # Errors
///
/// `INTERNAL` / `TRANSPORT` where they cannot be decoded.
pub(super) fn built_in_files() -> Result<Vec<FileDescriptorProto>> {
    let mut files: Vec<FileDescriptorProto> = Vec::new();
    for set in [
        DESCRIPTORS,
        tonic_types::pb::FILE_DESCRIPTOR_SET,
        v1::FILE_DESCRIPTOR_SET,
        v1alpha::FILE_DESCRIPTOR_SET,
    ] {
        let set = FileDescriptorSet::decode(set)
            .map_err(|error| Error::internal(reason::TRANSPORT, error.to_string()))?;
        for file in set.file {
            // Two sets may both include `any.proto`.
            if files.iter().all(|known| known.name() != file.name()) {
                files.push(file);
            }
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_files_include_all_their_imports() {
        let pool = DescriptorPool::built_in().unwrap();
        for service in [
            "cidery.v1.InvocationService",
            "cidery.v1.DiscoveryService",
            "cidery.v1.AdminService",
            "cidery.v1.WorkerService",
            "grpc.health.v1.Health",
            "grpc.reflection.v1.ServerReflection",
            "grpc.reflection.v1alpha.ServerReflection",
        ] {
            assert!(pool.services.contains(service), "{service}");
        }
        for file in pool.files.values() {
            for import in &file.imports {
                assert!(
                    pool.files.contains_key(import.as_str()),
                    "{import} is missing"
                );
            }
        }
        assert!(pool.containing_symbol("google.rpc.BadRequest").is_some());
        assert!(pool.containing_symbol("google.protobuf.Struct").is_some());
        assert!(
            pool.containing_symbol("cidery.v1.InvokeRequest.payload")
                .is_some()
        );
        assert!(pool.containing_symbol("nothing").is_none());
        assert!(pool.has_method("/grpc.health.v1.Health/Check"));
        for other in [
            "/",
            "",
            "/grpc.health.v1.Health/",
            "/google.protobuf.Struct/fields",
        ] {
            assert!(!pool.has_method(other), "{other}");
        }
    }
}
