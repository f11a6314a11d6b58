//! The vendors' own clients, as `scripts/setup test` installs them; where they are not there, the story says so and ends.

use super::house::{backend, house, install, parts, route};
use std::path::Path;
use wharfinger::gateway::settings::Provider;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_vendors_own_clients_need_nothing_but_address_and_key() {
    let (app, vendor) = house().await;
    let mut azure = backend(&vendor, Provider::AzureOpenai, "ok");
    azure.api_version = Some("2024-10-21".into());
    let parts = route(parts(), "fast", &[("openai", backend(&vendor, Provider::Openai, "ok"))]);
    let parts = route(parts, "azure-fast", &[("azure", azure)]);
    let parts = route(parts, "clever", &[("claude", backend(&vendor, Provider::Anthropic, "ok"))]);
    install(&app, parts);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/model-clients");
    let (url, key) = (app.url.clone(), app.admin_key.clone());

    let run = move || std::process::Command::new(script).arg(url).arg(key).output().unwrap();
    let output = tokio::task::spawn_blocking(run).await.unwrap();

    let said = String::from_utf8_lossy(&output.stdout);
    if output.status.code() == Some(77) {
        eprintln!("model-clients: {said}");
        return;
    }
    println!("{said}");
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
}
