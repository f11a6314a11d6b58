//! What backends and pools do now, as those who look after them are told: breakers, what is under way, capacity.

use super::house::house;
use crate::support::vendor::Vendor;
use crate::support::{Person, TestApp};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio_util::sync::CancellationToken;
use wharfinger::gateway::Gateway;

const GATEWAY: &str = "/api/v1/gateway";

/// A pool of two, of which the first behaves as `mood` says.
async fn stored(admin: &Person<'_>, vendor: &Vendor, mood: &str, more: Value) {
    for (name, mood) in [("first", mood), ("second", "ok")] {
        let mut settings = json!({"provider": "openai", "url": format!("{}/v1", vendor.url(mood))});
        if name == "first" {
            settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        }
        admin.put(&format!("{GATEWAY}/backends/{name}"), &settings).await.expect(201);
    }
    let members = json!([{"backend": "first"}, {"backend": "second", "priority": 2, "weight": 3}]);
    admin.put(&format!("{GATEWAY}/pools/chat"), &json!({"members": members})).await.expect(201);
    let route = json!({"serves": {"models": ["fast"]}, "pool": "chat", "callers": "everyone"});
    admin.put(&format!("{GATEWAY}/routes/chat"), &route).await.expect(201);
}

async fn ask(app: &TestApp) {
    let body = json!({"model": "fast", "max_tokens": 6, "messages": [{"role": "user", "content": "hello"}]});
    app.admin().post("/llm/v1/chat/completions", &body).await.expect(200);
}

async fn state(admin: &Person<'_>, of: &str) -> Value {
    admin.get(&format!("{GATEWAY}/{of}/state")).await.expect(200).json()
}

fn moment(value: &Value) -> OffsetDateTime {
    OffsetDateTime::parse(value.as_str().unwrap(), &Rfc3339).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trip_is_told_with_its_reason_its_time_and_its_end() {
    let (app, vendor) = house().await;
    let admin = app.admin();
    stored(&admin, &vendor, "wait-s-20", json!({})).await;
    let fresh = state(&admin, "backends/first").await;
    assert_eq!((&fresh["state"], &fresh["trips"], &fresh["openUntil"]), (&json!("closed"), &json!([]), &Value::Null));

    let before = OffsetDateTime::now_utc();
    ask(&app).await;
    let after = OffsetDateTime::now_utc();

    let told = state(&admin, "backends/first").await;
    assert_eq!((&told["state"], &told["failed"]), (&json!("open"), &json!(1)));
    let trip = &told["trips"][0];
    assert_eq!(trip["reason"], "answered 429, asking to wait 20 s");
    let slack = time::Duration::milliseconds(50);
    assert!((before - slack..=after + slack).contains(&moment(&trip["at"])), "{told}");
    let lasts = moment(&trip["until"]) - moment(&trip["at"]);
    assert!((19.9..20.1).contains(&lasts.as_seconds_f64()), "{told}");
    assert!((moment(&told["openUntil"]) - moment(&trip["until"])).abs() < slack, "{told}");
    let pool = state(&admin, "pools/chat").await;
    assert_eq!((&pool["usable"], &pool["members"][0]["state"]), (&json!(1), &json!("open")));
    assert_eq!((&pool["members"][1]["state"], &pool["members"][1]["weight"]), (&json!("closed"), &json!(3)));
    assert_eq!(pool["members"][1]["answered"], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_under_way_and_used_is_told() {
    let (app, vendor) = house().await;
    let admin = app.admin();
    let capacity = json!({"capacity": {"tokensPerMinute": 1_000, "concurrentRequests": 4}});
    stored(&admin, &vendor, "slow-600", capacity).await;

    let (told, ()) = tokio::join!(
        async {
            let begun = Instant::now();
            loop {
                let told = state(&admin, "backends/first").await;
                if told["inFlight"] == 1 {
                    return told;
                }
                assert!(begun.elapsed() < Duration::from_secs(10), "{told}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        },
        ask(&app)
    );

    let used = &told["capacity"];
    assert_eq!((&used["concurrentRequests"]["used"], &used["concurrentRequests"]["limit"]), (&json!(1), &json!(4)));
    assert_eq!((&used["requestsPerMinute"]["used"], &used["requestsPerMinute"]["limit"]), (&json!(1), &Value::Null));
    assert_eq!(used["tokensPerMinute"]["limit"], 1_000);
    assert!(used["tokensPerMinute"]["used"].as_u64().unwrap() > 6, "{told}");
    let over = state(&admin, "backends/first").await;
    assert_eq!((&over["inFlight"], &over["answered"]), (&json!(0), &json!(1)));
    assert!(over["latencyMs"].as_u64().unwrap() >= 500, "{over}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drained_backend_gets_nothing_on_any_replica_and_finishes_what_it_has() {
    let (app, vendor) = house().await;
    let admin = app.admin();
    stored(&admin, &vendor, "slow-400", json!({})).await;
    let replica = Gateway::new(app.handles.db.clone(), app.clock.clone(), &app.handles.config);
    let stop = CancellationToken::new();
    tokio::spawn(replica.clone().follow(stop.clone()));

    let drain = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        admin.post(&format!("{GATEWAY}/backends/first/drain"), &json!({})).await.expect(200);
    };
    tokio::join!(ask(&app), drain);
    ask(&app).await;

    assert_eq!((vendor.requests("slow-400"), vendor.requests("ok")), (1, 1));
    assert_eq!(state(&admin, "backends/first").await["state"], "drained");
    assert_eq!(state(&admin, "pools/chat").await["usable"], 1);
    let begun = Instant::now();
    while !replica.snapshot().backends().any(|backend| backend.name == "first" && backend.settings.drained) {
        assert!(begun.elapsed() < Duration::from_secs(10), "the other replica does not hear of it");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    admin.post(&format!("{GATEWAY}/backends/first/resume"), &json!({})).await.expect(200);
    ask(&app).await;
    assert_eq!(vendor.requests("slow-400"), 2);
    stop.cancel();
}
