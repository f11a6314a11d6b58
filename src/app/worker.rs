//! All background work of a process, in one list: who reacts to which event, and what runs by itself.

use crate::auth::Auth;
use crate::catalog;
use crate::door::Handles;
use crate::queue::{Delivery, Event, Worker};
use futures::FutureExt;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Starts everything that runs beside the doors; it ends after `stop`, and `tasks` tells when.
pub fn start(handles: &Handles, tasks: &TaskTracker, stop: &CancellationToken) {
    let catalog = handles.catalog.clone();
    let worker = Worker::new(catalog.db().write.clone(), handles.clock.clone(), reactions(handles));
    tasks.spawn(worker.run(stop.clone()));
    tasks.spawn(handles.auth.clone().follow_changes(stop.clone()));
    tasks.spawn(handles.webhooks.clone().run(stop.clone()));
    tasks.spawn(handles.audit_trail.clone().run(stop.clone()));
    tasks.spawn(forget_old_sign_ins(handles.auth.clone(), stop.clone()));
    let every = handles.config.approval.tool_check_every;
    tasks.spawn(catalog.clone().look_after_approvals(handles.http.clone(), every, stop.clone()));
    tasks.spawn(handles.search.clone().run(stop.clone()));
    tasks.spawn(handles.gateway.clone().follow(stop.clone()));
    tasks.spawn(handles.gateway.clone().follow_purges(handles.services.cache.clone(), stop.clone()));
    tasks.spawn(handles.traffic.clone().run(stop.clone()));
    tasks.spawn(handles.ledger.clone().run(stop.clone()));
    tasks.spawn(handles.services.clone().run(stop.clone()));
    let notices = handles.budget_notices.lock().expect("no holder of this lock can panic").take();
    if let Some(notices) = notices {
        let (db, clock, egress) = (handles.db.clone(), handles.clock.clone(), handles.gateway.egress().clone());
        tasks.spawn(notices.run(db, clock, egress, stop.clone()));
    }
    tasks.spawn(handles.upstreams.clone().run(stop.clone()));
    tasks.spawn(catalog::follow_changes(catalog.db().read.clone(), catalog.generations().clone(), stop.clone()));
}

/// Every hour; several replicas do no harm.
async fn forget_old_sign_ins(auth: Auth, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(Duration::from_secs(3600)) => {}
        }
        if let Err(problem) = auth.forget_old_sign_ins().await {
            tracing::warn!(error = %problem, "Old sessions were not removed; tried again in an hour");
        }
    }
}

/// Who reacts to which event. A reaction may run twice and then does no harm.
fn reactions(handles: &Handles) -> Delivery {
    let search = handles.search.clone();
    Arc::new(move |events| {
        let search = search.clone();
        async move {
            let changed: Vec<_> = events.into_iter().map(|Event::AssetChanged(id)| id).collect();
            search.on_assets_changed(&changed).await
        }
        .boxed()
    })
}
