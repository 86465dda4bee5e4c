//! Paused and disabled services.

use cidery::engine::store::Store;
use cidery::model::service_control::{ControlCause, ServiceControl};

use crate::support::stored::{at, service};

fn control(name: &str, seconds: i64) -> ServiceControl {
    ServiceControl {
        paused: true,
        background_only: true,
        cause: ControlCause {
            reason: "migration, 50 %".to_owned(),
            principal: "192.0.2.1".to_owned(),
        },
        ..ServiceControl::none(service(name), at(seconds))
    }
}

pub(super) async fn a_control_is_remembered_until_it_is_removed_or_its_service_forgotten(
    store: &dyn Store,
) {
    let all = async || {
        let mut all = store.controls().await.unwrap();
        all.sort_by(|a, b| a.service.cmp(&b.service));
        all
    };
    assert_eq!(all().await, []);
    for name in ["a", "b", "c"] {
        store.set_control(control(name, 1)).await.unwrap();
    }
    // In place of what was remembered.
    let disabled = ServiceControl {
        disabled: true,
        ..ServiceControl::none(service("b"), at(2))
    };
    store.set_control(disabled.clone()).await.unwrap();
    assert_eq!(all().await, [control("a", 1), disabled, control("c", 1)]);
    store.remove_control(service("b")).await.unwrap();
    store.remove_control(service("unknown")).await.unwrap();
    store.forget_declarations(service("c")).await.unwrap();
    assert_eq!(all().await, [control("a", 1)]);
}
