//! Several processes on one database.

use crate::support::{Home, Program, fresh_database_url, program};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

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
        let samples: Value = samples.json().await.unwrap();
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

/// One of two replicas, as an administrator talks to it.
struct Replica<'a> {
    program: &'a Program,
    key: &'a str,
}

impl Replica<'_> {
    async fn ask(&self, method: reqwest::Method, path: &str, body: Value) -> Value {
        let request = self.program.http.request(method, format!("{}{path}", self.program.url)).bearer_auth(self.key);
        let answer = request.json(&body).send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// The status of a path with this header.
    async fn status(&self, path: &str, (name, value): (&str, &str)) -> u16 {
        let request = self.program.http.get(format!("{}{path}", self.program.url)).header(name, value);
        request.send().await.unwrap().status().as_u16()
    }

    /// The models that the gateway lists for this header.
    async fn models(&self, (name, value): (&str, &str)) -> Vec<String> {
        let request = self.program.http.get(format!("{}/llm/v1/models", self.program.url)).header(name, value);
        let listed: Value = request.send().await.unwrap().json().await.unwrap();
        listed["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap().to_owned()).collect()
    }

    /// Asks until the gateway lists this many models; gives after how long.
    async fn until_listed(&self, count: usize, header: (&str, &str)) -> Duration {
        let begun = Instant::now();
        while self.models(header).await.len() != count {
            assert!(begun.elapsed() < Duration::from_secs(10), "the gateway does not hear of it");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        begun.elapsed()
    }

    /// Asks until something else than 200 is answered; gives it, and after how long.
    async fn until_refused(&self, path: &str, header: (&str, &str)) -> (u16, Duration) {
        let begun = Instant::now();
        loop {
            let status = self.status(path, header).await;
            if status != 200 {
                return (status, begun.elapsed());
            }
            assert!(begun.elapsed() < Duration::from_secs(10), "{path} is still answered");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test]
async fn what_is_taken_back_on_one_replica_is_refused_by_the_other() {
    let url = fresh_database_url(true).await;
    let homes = [Home::new("taken-a"), Home::new("taken-b")];
    let mut programs = Vec::new();
    for home in &homes {
        let settings = [("WHARFINGER_DATABASE_URL", url.as_str()), ("WHARFINGER_DATA_DIR", home.text())];
        programs.push(Program::serve(&settings).await);
    }
    let key = programs[0].admin_key.clone().expect("the first start makes the admin key");
    let [here, there] = [0, 1].map(|at| Replica { program: &programs[at], key: &key });
    let (post, delete) = (reqwest::Method::POST, reqwest::Method::DELETE);
    let bearer = |key: &Value| format!("Bearer {}", key["text"].as_str().unwrap());

    // A key.
    let made =
        here.ask(post.clone(), "/api/v1/keys", json!({"name": "k", "role": "reader", "workspace": "default"})).await;
    let credential = bearer(&made);
    assert_eq!(there.status("/api/v1/me", ("authorization", &credential)).await, 200);
    here.ask(delete.clone(), &format!("/api/v1/keys/{}", made["id"].as_str().unwrap()), Value::Null).await;
    let key_took = there.until_refused("/api/v1/me", ("authorization", &credential)).await;
    let made =
        here.ask(post.clone(), "/api/v1/keys", json!({"name": "g", "role": "consumer", "workspace": "default"})).await;
    let credential = bearer(&made);
    assert_eq!(there.status("/llm/v1/models", ("authorization", &credential)).await, 200);
    here.ask(delete.clone(), &format!("/api/v1/keys/{}", made["id"].as_str().unwrap()), Value::Null).await;
    let call_took = there.until_refused("/llm/v1/models", ("authorization", &credential)).await;

    // A role.
    here.ask(post.clone(), "/api/v1/service-accounts", json!({"name": "robot"})).await;
    let made = here.ask(post.clone(), "/api/v1/keys", json!({"name": "r", "serviceAccount": "robot"})).await;
    let role = json!({"role": "administrator", "holderKind": "service-account", "holder": "robot",
                      "workspace": "default"});
    let given = here.ask(post.clone(), "/api/v1/role-assignments", role).await;
    let (robot, governed) = (bearer(&made), "/api/v1/role-assignments?workspace=default");
    while there.status(governed, ("authorization", &robot)).await != 200 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    here.ask(delete.clone(), &format!("/api/v1/role-assignments/{}", given["id"].as_str().unwrap()), Value::Null).await;
    let role_took = there.until_refused(governed, ("authorization", &robot)).await;

    // A role that lets it call, given and taken back.
    let put = reqwest::Method::PUT;
    let gateway = "/api/v1/gateway";
    let backend = json!({"provider": "openai", "url": "https://api.openai.com/v1"});
    here.ask(put.clone(), &format!("{gateway}/backends/vendor"), backend).await;
    here.ask(put.clone(), &format!("{gateway}/pools/chat"), json!({"members": [{"backend": "vendor"}]})).await;
    let route = json!({"serves": {"models": ["fast"]}, "pool": "chat"});
    here.ask(put, &format!("{gateway}/routes/chat"), route).await;
    there.until_listed(1, ("authorization", &format!("Bearer {key}"))).await;
    assert_eq!(there.models(("authorization", &robot)).await.len(), 0);
    let role = json!({"role": "consumer", "holderKind": "service-account", "holder": "robot", "workspace": "default"});
    let given = here.ask(post.clone(), "/api/v1/role-assignments", role).await;
    let may_call_took = there.until_listed(1, ("authorization", &robot)).await;
    here.ask(delete.clone(), &format!("/api/v1/role-assignments/{}", given["id"].as_str().unwrap()), Value::Null).await;
    let may_not_took = there.until_listed(0, ("authorization", &robot)).await;

    // A session, signed out everywhere.
    let form = url::form_urlencoded::Serializer::new(String::new()).append_pair("key", &key).finish();
    let browser = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let begun = browser.post(format!("{}/signin", here.program.url)).body(form);
    let begun = begun.header("content-type", "application/x-www-form-urlencoded").send().await.unwrap();
    let cookies = begun.headers().get_all("set-cookie").iter().map(|line| line.to_str().unwrap());
    let cookie = cookies.filter_map(|line| line.split(';').next()).find(|pair| pair.contains("session=")).unwrap();
    let (cookie, own) = (("cookie", cookie), "/api/v1/me/sessions");
    assert_eq!(there.status(own, cookie).await, 200, "a session holds on each replica");
    here.ask(delete, own, Value::Null).await;
    let session_took = there.until_refused(own, cookie).await;

    println!(
        "on the other replica: key refused {key_took:?}, at its gateway {call_took:?}, role taken {role_took:?}, session \
         ended {session_took:?}; right to call given {may_call_took:?}, taken {may_not_took:?}"
    );
    assert_eq!((key_took.0, call_took.0, role_took.0, session_took.0), (401, 401, 403, 401));
    for program in programs {
        assert!(program.stop().await.0);
    }
}
