//! Several processes on one database.

use crate::support::{Home, Program, fresh_database_url, program};

#[tokio::test]
async fn five_replicas_started_at_once_on_an_empty_database_all_become_ready() {
    let url = fresh_database_url(false).await;
    let homes: Vec<_> = (0..5).map(|number| Home::new(&format!("replica-{number}"))).collect();

    let starts = homes.iter().map(|home| {
        let settings = [("WHARFINGER_DATABASE_URL", url.as_str()), ("WHARFINGER_DATA_DIR", home.text())];
        async move { Program::serve(&settings).await }
    });
    let replicas = futures::future::join_all(starts).await;

    let keys: Vec<_> = replicas.iter().filter_map(|replica| replica.admin_key.clone()).collect();
    assert_eq!(keys.len(), 1, "one of them makes the admin key");
    for replica in &replicas {
        let ready = replica.http.get(format!("{}/readyz", replica.url)).send().await.unwrap();
        assert_eq!(ready.status(), 200);
        let asked =
            replica.http.get(format!("{}/api/v1/keys", replica.url)).bearer_auth(&keys[0]).send().await.unwrap();
        assert_eq!(asked.status(), 200, "the key holds on each");
        let samples = replica.http.get(format!("{}/api/v1/assets", replica.url)).send().await.unwrap();
        let samples: serde_json::Value = samples.json().await.unwrap();
        assert!(!samples["items"].as_array().unwrap().is_empty());
    }
    for replica in replicas {
        assert!(replica.stop().await.0);
    }
}

#[tokio::test]
async fn a_second_start_on_the_same_data_is_refused_and_harms_nothing() {
    let home = Home::new("twice");
    let first = Program::serve(&[("WHARFINGER_DATA_DIR", home.text())]).await;

    let second = program(&[("WHARFINGER_DATA_DIR", home.text())]).arg("serve").output().await.unwrap();

    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(!second.status.success() && said.contains("another Wharfinger is using"), "{said}");
    assert_eq!(first.http.get(format!("{}/readyz", first.url)).send().await.unwrap().status(), 200);
    assert!(first.stop().await.0);
}
