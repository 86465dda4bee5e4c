//! Lists of revoked client certificates: what an operator should know of them.

use jiff::Timestamp;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;
use x509_parser::revocation_list::CertificateRevocationList;

/// What is not wrong enough to refuse the lists: those that should have been replaced, which are used all the same, and
/// CAs without one, whose clients are refused.
pub(super) fn warnings(
    lists: &[CertificateRevocationListDer<'_>],
    cas: &[CertificateDer<'_>],
    now: Timestamp,
) -> Vec<String> {
    let lists = lists.iter().filter_map(|list| {
        let (_, list) = CertificateRevocationList::from_der(list).ok()?;
        Some(list)
    });
    let lists: Vec<_> = lists.collect();
    let mut warnings = Vec::new();
    for list in &lists {
        let next = list.next_update();
        let next = next.and_then(|time| Timestamp::from_second(time.timestamp()).ok());
        if let Some(next) = next.filter(|next| *next <= now) {
            warnings.push(format!(
                "the list of revoked certificates of {} was due to be replaced at {next}: it is still used, and what \
                 its CA has revoked since is not in it",
                list.issuer()
            ));
        }
    }
    for ca in cas {
        let Ok((_, ca)) = X509Certificate::from_der(ca) else {
            continue;
        };
        let is_of_ca =
            |list: &CertificateRevocationList<'_>| list.issuer().as_raw() == ca.subject().as_raw();
        if !lists.iter().any(is_of_ca) {
            warnings.push(format!(
                "`--tls-client-crl` has no list of {}: the clients of this CA are refused",
                ca.subject()
            ));
        }
    }
    warnings
}
