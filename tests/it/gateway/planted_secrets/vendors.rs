//! What the traffic meets: vendors of each kind and mood, under policies that tell others or keep something.

use super::{AZURE_KEY, CLIENT_SECRET, House};
use crate::gateway::house::VENDOR_KEY;
use serde_json::json;

impl House {
    /// Backends of each kind and mood, a route for each, all under policies that tell others or keep something.
    pub(super) async fn configure(&mut self) {
        let (vendor, receiver) = (self.vendor.clone(), self.receiver.clone());
        let backend = |name: &str, provider: &str, mood: &str, credential: &str| {
            let end = if ["azure-openai", "rest"].contains(&provider) { "" } else { "/v1" };
            let quick = json!({"connect": "500ms", "firstByte": "1s", "idle": "1s", "total": "5s"});
            json!({"name": name, "provider": provider, "url": format!("{}{end}", vendor.url(mood)),
                "credential": credential, "timeouts": quick})
        };
        let backends = vec![
            backend("openai", "openai", "ok", "vendor"),
            backend("azure", "azure-openai", "ok", "azure"),
            backend("anthropic", "anthropic", "ok", "vendor"),
            backend("oauth", "openai", "ok", "oauth"),
            backend("refuses", "openai", "echo-400", "vendor"),
            backend("refuses-oauth", "openai", "echo-400", "oauth"),
            backend("refuses-anthropic", "anthropic", "echo-404", "vendor"),
            backend("denies", "openai", "echo-401", "vendor"),
            backend("fails", "openai", "status-500", "vendor"),
            backend("cuts", "openai", "cut-2", "vendor"),
            backend("hangs", "openai", "hang", "vendor"),
            backend("rest", "rest", "ok", "vendor"),
            backend("rest-echo", "rest", "echo-200", "vendor"),
        ];
        let names: Vec<String> = backends.iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect();
        let pools: Vec<_> = names.iter().map(|name| json!({"name": name, "members": [{"backend": name}]})).collect();
        let routes = names.iter().map(|name| {
            let of_models = || json!({"name": name, "serves": {"models": [name]}, "pool": name});
            let of_rest =
                |asset: &str| json!({"name": name, "serves": {"rest": asset}, "pool": name, "workspace": "default"});
            match name.as_str() {
                "rest" => of_rest("berths"),
                "rest-echo" => of_rest("mirror"),
                _ => of_models(),
            }
        });
        let policies = json!([
            {"name": "limit", "reach": "all", "rule": {"tokenLimit": {"counterKey": "{key}", "tokensPerMinute": 100_000}}},
            {"name": "budget", "reach": "all", "rule": {"budget": {"counterKey": "{key}", "period": "month", "soft": 0.00001,
                "webhook": receiver.url("ok") + "/hook"}}},
            {"name": "prompts", "reach": "all", "rule": {"promptLog": {}}},
            {"name": "metrics", "reach": "all", "rule": {"tokenMetrics": {"dimensions": {"who": "{key}"}}}},
            {"name": "guard", "reach": "all", "rule": {"guardHook": {"url": receiver.url("ok") + "/guard", "onFailure": "open"}}},
            {"name": "again", "reach": "all", "rule": {"semanticCache": {}}},
        ]);
        let credentials = json!([
            {"name": "vendor", "apiKey": {"value": "${VENDOR_KEY}"}},
            {"name": "azure", "apiKey": {"value": "${AZURE_KEY}"}},
            {"name": "oauth", "clientCredentials": {"tokenUrl": vendor.url("ok") + "/token", "clientId": "us",
                "clientSecret": "${CLIENT_SECRET}"}},
        ]);
        let shared: Vec<_> = backends
            .into_iter()
            .map(|mut one| {
                one["shared"] = true.into();
                one
            })
            .collect();
        let pools: Vec<_> = pools
            .into_iter()
            .map(|mut one| {
                one["shared"] = true.into();
                one
            })
            .collect();
        let prices = json!([{"model": "openai", "input": 100, "output": 100}]);
        let file = json!({"credentials": credentials, "backends": shared, "pools": pools, "policies": policies,
            "routes": routes.collect::<Vec<_>>(), "prices": prices});
        let secrets = json!({"VENDOR_KEY": VENDOR_KEY, "AZURE_KEY": AZURE_KEY, "CLIENT_SECRET": CLIENT_SECRET});
        let post = reqwest::Method::POST;
        for name in ["berths", "mirror"] {
            let asset = json!({"name": name, "title": name, "kind": "rest"});
            self.admin(post.clone(), "/api/v1/workspaces/default/assets", Some(&asset)).await;
        }
        let hook = json!({"name": "ops", "url": receiver.url("ok") + "/events"});
        self.admin(post.clone(), "/api/v1/workspaces/default/webhooks", Some(&hook)).await;
        self.admin(post, "/api/v1/gateway/apply", Some(&json!({"file": file, "secrets": secrets}))).await;
    }
}
