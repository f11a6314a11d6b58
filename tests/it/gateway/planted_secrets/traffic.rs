//! The traffic, and settings with secrets at wrong places.

use super::{HEADER_SECRET, House, WRONG_KEY};
use crate::gateway::crowd::ADMIN_KEY;
use crate::gateway::house::VENDOR_KEY;
use serde_json::json;

impl House {
    /// Each door, with every backend, with the key in each header that may hold it, and with what is wrong.
    pub(super) async fn traffic(&mut self, key: &str, cookie: &str) {
        let base = self.program.url.clone();
        let http = self.program.http.clone();
        let chat = |model: &str, stream: bool| json!({"model": model, "stream": stream, "max_tokens": 5, "messages": [{"role": "user", "content": "hello"}]});
        for model in [
            "openai",
            "azure",
            "anthropic",
            "oauth",
            "refuses",
            "refuses-oauth",
            "refuses-anthropic",
            "denies",
            "fails",
            "cuts",
            "hangs",
            "nowhere",
        ] {
            for stream in [false, true] {
                let request = http.post(format!("{base}/llm/v1/chat/completions")).bearer_auth(key);
                self.send(request.header("cookie", cookie).json(&chat(model, stream))).await;
                let request = http.post(format!("{base}/llm/anthropic/v1/messages")).header("x-api-key", key);
                self.send(request.header("cookie", cookie).json(&chat(model, stream))).await;
                let azure = format!("{base}/llm/openai/deployments/{model}/chat/completions?api-version=2024-10-21");
                self.send(http.post(azure).header("api-key", key).json(&chat(model, stream))).await;
                let request = http.post(format!("{base}/llm/v1/responses")).bearer_auth(key);
                self.send(request.json(&json!({"model": model, "stream": stream, "input": "hello"}))).await;
            }
            let request = http.post(format!("{base}/llm/v1/embeddings")).bearer_auth(key);
            self.send(request.json(&json!({"model": model, "input": "hello"}))).await;
            let request = http.post(format!("{base}/llm/anthropic/v1/messages/count_tokens")).header("x-api-key", key);
            self.send(request.json(&chat(model, false))).await;
        }
        for path in
            ["/llm/v1/models", "/llm/v1/models/openai", "/rest/default/berths/list?of=ships", "/rest/default/mirror/me"]
        {
            self.send(http.get(format!("{base}{path}")).bearer_auth(key).header("cookie", cookie)).await;
        }
        let kept = format!("{base}/llm/v1/responses/resp_1");
        self.send(http.get(&kept).bearer_auth(key).header("cookie", cookie)).await;
        self.send(http.get(format!("{kept}?stream=true")).bearer_auth(key)).await;
        self.send(http.post(format!("{kept}/cancel")).bearer_auth(key)).await;
        self.send(http.delete(&kept).bearer_auth(key)).await;
        let rest = http.post(format!("{base}/rest/default/berths/book")).bearer_auth(key).header("cookie", cookie);
        self.send(rest.header("x-api-key", key).json(&json!({"berth": 9}))).await;
        let there = format!("{base}/llm/v1/chat/completions");
        self.send(http.post(&there).bearer_auth(WRONG_KEY).json(&chat("openai", false))).await;
        self.send(http.post(&there).bearer_auth(key).header("api-key", WRONG_KEY).json(&chat("openai", false))).await;
        self.send(http.post(&there).header("authorization", key).json(&chat("openai", false))).await;
        self.send(http.post(&there).bearer_auth(key).body("{\"model\": ")).await;
        self.send(http.get(&there).bearer_auth(key)).await;
        self.send(http.post(format!("{base}/llm/v1/nothing")).bearer_auth(key)).await;
        // Over HTTP/2, whose parts write logs of their own.
        let newer = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
        let answer = newer.post(&there).bearer_auth(key).json(&chat("openai", true)).send().await.unwrap();
        let text = answer.text().await.unwrap();
        self.out.add("over HTTP/2", text);
        // Secrets that are wrong, and refused.
        for body in [
            json!({"apiKey": {"value": format!("{VENDOR_KEY}\n")}}),
            json!({"apiKey": {"value": VENDOR_KEY, "hedaer": 1}}),
        ] {
            let request = http.put(format!("{base}/api/v1/gateway/credentials/wrong")).bearer_auth(ADMIN_KEY);
            self.send(request.json(&body)).await;
        }
        // Secrets in headers, which would be shown as they are.
        let (name, value) = ("Ocp-Apim-Subscription-Key", HEADER_SECRET);
        let backend = json!({"provider": "openai", "url": self.vendor.url("ok") + "/v1", "headers": {name: value}});
        let policy = json!({"rule": {"headers": {"request": {"set": {name: value}}}}});
        for (path, body) in [("backends/planted", &backend), ("policies/planted", &policy)] {
            let request = http.put(format!("{base}/api/v1/gateway/{path}")).bearer_auth(ADMIN_KEY).json(body);
            let (status, text) = self.send(request).await;
            assert!(status == 422 && text.contains("put it into a credential"), "{path}: {status} {text}");
        }
        let mut named = backend.clone();
        named["name"] = "planted".into();
        let file = json!({"file": {"backends": [named]}});
        let request = http.post(format!("{base}/api/v1/gateway/apply")).bearer_auth(ADMIN_KEY).json(&file);
        let (status, text) = self.send(request).await;
        assert!(status == 422 && text.contains("put it into a credential"), "{status} {text}");
    }
}
