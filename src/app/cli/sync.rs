//! `wharfinger sync`: read an upstream now, and tell what came of it.

use super::{Service, client::Client, print, progress};
use anyhow::{Result, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How often a run that is waited for is told of, where no terminal shows it.
const TOLD_EVERY: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
pub(super) struct SyncArgs {
    /// The upstream; without one, the upstreams of the workspace are listed.
    upstream: Option<String>,
    /// Whose upstream it is.
    #[arg(long, default_value = "default")]
    workspace: String,
    /// Ask for everything again, and not only for what changed.
    #[arg(long)]
    everything: bool,
    /// Ask for everything again, and delete up to so many versions that are no longer there, though they are more than a run
    /// deletes by itself.
    #[arg(long, value_name = "COUNT")]
    max_deletions: Option<u32>,
    /// How many seconds to wait for the run's end; 0 does not wait.
    #[arg(long, default_value_t = 600)]
    wait: u64,
    #[command(flatten)]
    service: Service,
}

pub(super) async fn run(args: SyncArgs) -> Result<()> {
    let client = Client::new(&args.service)?;
    let base = format!("/api/v1/workspaces/{}/upstreams", crate::door::segment(&args.workspace));
    let Some(name) = &args.upstream else {
        for one in client.get(&base, &[]).await?["items"].as_array().into_iter().flatten() {
            let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
            let fields =
                [text(&one["name"]), text(&one["lastRun"]["state"]), text(&one["nextRunAt"]), text(&one["url"])];
            print(&fields.join("\t"));
        }
        return Ok(());
    };
    let path = format!("{base}/{}", crate::door::segment(name));
    let runs = format!("{path}/runs");
    let before = newest(&client.get(&runs, &[]).await?)["id"].clone();
    let mut body = json!({"everything": args.everything});
    if let Some(most) = args.max_deletions {
        body["maxDeletions"] = most.into();
    }
    client.send(client.request(Method::POST, &format!("{path}/sync")).json(&body)).await?;
    if args.wait == 0 {
        print("Due now; its runs tell what comes of it.");
        return Ok(());
    }
    let wait = Duration::from_secs(args.wait);
    tell(&ended(&client, &runs, &before, wait).await?)
}

/// The run that comes after `before`, when it has ended.
async fn ended(client: &Client, runs: &str, before: &Value, wait: Duration) -> Result<Value> {
    let bar = ProgressBar::new_spinner().with_style(ProgressStyle::with_template("{spinner} {pos} seen, {elapsed}")?);
    let (begun, mut told) = (Instant::now(), Instant::now());
    loop {
        let run = newest(&client.get(runs, &[]).await?);
        let is_ours = run["id"] != *before && !run.is_null();
        if is_ours && run["state"] != "running" {
            bar.finish_and_clear();
            return Ok(run);
        }
        let seen = if is_ours { run["seen"].as_u64().unwrap_or_default() } else { 0 };
        bar.set_position(seen);
        if told.elapsed() >= TOLD_EVERY {
            told = Instant::now();
            progress::tell(&format!("{seen} seen after {} seconds", begun.elapsed().as_secs()));
        }
        if begun.elapsed() > wait {
            bar.finish_and_clear();
            bail!("it has not ended yet; its runs tell what comes of it");
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

fn newest(listed: &Value) -> Value {
    listed["items"][0].clone()
}

fn tell(run: &Value) -> Result<()> {
    let count = |member: &str| run[member].as_i64().unwrap_or_default();
    print(&format!(
        "{} seen: {} registered, {} updated, {} deleted, {} unchanged, {} passed over, {} rejected; {} wait for approval.",
        count("seen"),
        count("registered"),
        count("updated"),
        count("deleted"),
        count("unchanged"),
        count("passedOver"),
        count("rejected"),
        count("waiting"),
    ));
    for rejected in run["rejections"].as_array().into_iter().flatten().take(10) {
        let text = |member: &str| rejected[member].as_str().unwrap_or_default();
        print(&format!("rejected {} {}: {}", text("name"), text("version"), text("reason")));
    }
    if let Some(note) = run["note"].as_str() {
        print(note);
    }
    if run["state"] != "succeeded" {
        bail!(
            "the run {}: {}",
            run["state"].as_str().unwrap_or("ended"),
            run["error"].as_str().unwrap_or("it goes on by itself")
        );
    }
    Ok(())
}
