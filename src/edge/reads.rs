//! Which requests read: they count against the rate of their principal, as calls do. Calls are counted where they are
//! made, so that those which handlers make are not.

/// The methods that read, a stream once. What probes, autoscalers and metrics ask for is not among them: it has to be
/// answered however busy its principal is.
const READS: [&str; 18] = [
    "/cidery.v1.InvocationService/GetInvocation",
    "/cidery.v1.InvocationService/ListInvocations",
    "/cidery.v1.InvocationService/StreamResults",
    "/cidery.v1.InvocationService/SummarizeInvocations",
    "/cidery.v1.DiscoveryService/GetService",
    "/cidery.v1.DiscoveryService/ListServices",
    "/cidery.v1.AdminService/GetHistory",
    "/cidery.v1.AdminService/GetStatus",
    "/cidery.v1.AdminService/ListBackups",
    "/cidery.v1.AdminService/ListServiceStats",
    "/cidery.v1.AdminService/ListWorkers",
    "/cidery.v1.AdminService/ReadBackup",
    "/cidery.v1.AdminService/WatchEvents",
    "/cidery.v1.OperationService/GetOperation",
    "/cidery.v1.OperationService/ListOperations",
    "/cidery.v1.SecurityService/ListApiKeys",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/// Whether a method reads.
pub(super) fn is_read(path: &str) -> bool {
    READS.contains(&path)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use prost_reflect::DescriptorPool;

    use super::*;
    use crate::codec::proto::DESCRIPTORS;

    /// It tells a caller who it is, which costs nothing, and which every page of the console asks first.
    const FREE: &str = "/cidery.v1.SecurityService/GetCaller";

    /// By their names, so that a new method of the contract is not forgotten.
    #[test]
    fn every_method_that_reads_is_counted() {
        let pool = DescriptorPool::decode(DESCRIPTORS).unwrap();
        let methods = pool.services().flat_map(|service| {
            let full_name = service.full_name().to_owned();
            let named = service.methods().map(|method| {
                let name = method.name().to_owned();
                (format!("/{full_name}/{name}"), name)
            });
            named.collect::<Vec<_>>()
        });
        let verbs = ["Get", "List", "Read", "Stream", "Summarize", "Watch"];
        let reads = methods.filter(|(path, name)| {
            path.starts_with("/cidery.v1.") && verbs.iter().any(|verb| name.starts_with(verb))
        });
        let reads: BTreeSet<_> = reads.map(|(path, _)| path).collect();
        let counted = READS.into_iter().chain([FREE]);
        let counted = counted.filter(|path| path.starts_with("/cidery.v1."));
        assert_eq!(reads, counted.map(str::to_owned).collect());
    }
}
