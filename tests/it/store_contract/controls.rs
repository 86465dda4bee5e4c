//! Paused and disabled services.

use cidery::engine::store::Store;
use cidery::model::service_control::{ControlCause, Disabled, Paused, ServiceControl};

use crate::support::stored::{at, service};

fn cause(reason: &str) -> ControlCause {
    ControlCause {
        reason: reason.to_owned(),
        principal: "192.0.2.1".to_owned(),
    }
}

fn control(name: &str, seconds: i64) -> ServiceControl {
    ServiceControl {
        paused: Some(Paused {
            background_only: true,
            cause: cause("migration, 50 %"),
            time: at(seconds),
        }),
        ..ServiceControl::none(service(name))
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
    let disabled = Some(Disabled {
        cause: cause("replaced"),
        time: at(2),
    });
    let both = ServiceControl {
        disabled: disabled.clone(),
        ..control("a", 1)
    };
    store.set_control(both.clone()).await.unwrap();
    let disabled = ServiceControl {
        disabled,
        ..ServiceControl::none(service("b"))
    };
    store.set_control(disabled.clone()).await.unwrap();
    assert_eq!(all().await, [both.clone(), disabled, control("c", 1)]);
    store.remove_control(service("b")).await.unwrap();
    store.remove_control(service("unknown")).await.unwrap();
    store.forget_declarations(service("c")).await.unwrap();
    assert_eq!(all().await, [both]);
}
