//! Two replicas without Redis: what is taken out of the cache of one is taken out of the other's.

use super::crowd::{ADMIN_KEY, configure, wide_quota};
use crate::support::vendor::Vendor;
use crate::support::{Home, Program, fresh_database_url};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How a question was answered: `miss` or `exact`.
async fn asked(replica: &Program, model: &str) -> String {
    let body =
        json!({"model": model, "max_tokens": 6, "messages": [{"role": "user", "content": "where is berth nine"}]});
    let request = replica.http.post(format!("{}/llm/v1/chat/completions", replica.url)).bearer_auth(ADMIN_KEY);
    let answer = request.json(&body).send().await.unwrap();
    let how = answer.headers()["x-wharfinger-cache"].to_str().unwrap().to_owned();
    assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
    how
}

/// Asks until the answer is given again.
async fn kept(replica: &Program, model: &str) {
    let begun = Instant::now();
    while asked(replica, model).await != "exact" {
        assert!(begun.elapsed() < Duration::from_secs(10), "it is not kept");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_purged_on_one_replica_is_gone_from_the_other_and_nothing_else() {
    let (database, vendor) = (fresh_database_url(true).await, Vendor::start().await);
    let homes = [Home::new("purged-one"), Home::new("purged-two")];
    let key = format!("one:{}", "A".repeat(43) + "=");
    let serve = async |home: &Home| {
        let settings = [
            ("WHARFINGER_DATA_DIR", home.text()),
            ("WHARFINGER_MODEL_DIR", home.text()),
            ("WHARFINGER_ADMIN_KEY", ADMIN_KEY),
            ("WHARFINGER_ENCRYPTION_KEYS", key.as_str()),
            ("WHARFINGER_GATEWAY_ALLOWED_HOSTS", "127.0.0.1"),
            ("WHARFINGER_DATABASE_URL", database.as_str()),
        ];
        Program::serve(&settings).await
    };
    let replicas = [serve(&homes[0]).await, serve(&homes[1]).await];
    let policies = [("quota", wide_quota()), ("again", json!({"semanticCache": {}}))];
    configure(&replicas[0], &vendor, &[("fast", &["ok"]), ("other", &["ok"])], &policies).await;
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    for replica in &replicas {
        kept(replica, "fast").await;
        kept(replica, "other").await;
    }

    let [here, there] = &replicas;
    let purge = here.http.post(format!("{}/api/v1/gateway/cache/purge", here.url)).bearer_auth(ADMIN_KEY);
    let purged: Value = purge.json(&json!({"route": "fast"})).send().await.unwrap().json().await.unwrap();

    assert_eq!(purged["removed"], 1);
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    for replica in [here, there] {
        assert_eq!(asked(replica, "fast").await, "miss", "{}", replica.url);
        assert_eq!(asked(replica, "other").await, "exact", "{}", replica.url);
    }
    let audit = here.http.get(format!("{}/api/v1/audit?verb=cache.purge", here.url)).bearer_auth(ADMIN_KEY);
    let audit: Value = audit.send().await.unwrap().json().await.unwrap();
    assert_eq!(audit["items"][0]["after"]["route"], "fast", "{audit}");
    for replica in replicas {
        assert!(replica.stop().await.0);
    }
}
