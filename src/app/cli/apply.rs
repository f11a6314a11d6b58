//! `wharfinger apply`: brings the gateway's settings to what a file says; the plan comes first.

use super::{Service, client::Client, print};
use crate::wire::yaml;
use anyhow::{Context, Result, bail};
use clap::Args;
use reqwest::Method;
use serde_json::{Map, Value, json};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct ApplyArgs {
    /// The file, YAML or JSON; `-` is standard input. A `${NAME}` in the place of a secret is taken from the environment.
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
    /// Do it without asking.
    #[arg(long)]
    yes: bool,
    /// Also take away what the file does not name, within the workspaces it names.
    #[arg(long)]
    prune: bool,
    /// Print the plan and do nothing.
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    #[command(flatten)]
    service: Service,
}

pub(super) async fn run(args: ApplyArgs) -> Result<()> {
    let file = read(&args.file)?;
    let secrets = secrets_of(&file);
    let client = Client::new(&args.service)?;
    let send = async |dry_run: bool| -> Result<Value> {
        let body = json!({"file": file, "secrets": secrets, "prune": args.prune, "dryRun": dry_run});
        let answer = client.send(client.request(Method::POST, "/api/v1/gateway/apply").json(&body)).await?;
        answer.json().await.context("the service answered something that is no JSON")
    };

    let plan = send(true).await?;
    let changes = show(&plan);
    if changes == 0 {
        print("Nothing to do: the gateway is as the file says.");
        return Ok(());
    }
    if args.dry_run {
        return Ok(());
    }
    if !args.yes && !agreed()? {
        bail!("nothing was changed");
    }
    send(false).await?;
    print(&format!("Done: {changes} changes are in force."));
    Ok(())
}

fn read(path: &Path) -> Result<Value> {
    let name = path.display();
    let text = if path == Path::new("-") {
        std::io::read_to_string(std::io::stdin()).context("cannot read standard input")?
    } else {
        std::fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?
    };
    let yaml = yaml::parse(&text).with_context(|| format!("{name} is not the YAML we take"))?;
    if let Some(twice) = yaml.findings.first() {
        bail!("{name}, {}: {}", twice.location, twice.message);
    }
    Ok(yaml.value)
}

/// The values of the `${NAME}`s that stand for secrets and that the environment has; the service says which it misses.
fn secrets_of(file: &Value) -> Map<String, Value> {
    let mut names = Vec::new();
    references(file.get("credentials").unwrap_or(&Value::Null), &mut names);
    let value = |name: String| std::env::var(&name).ok().map(|value| (name, value.into()));
    names.into_iter().filter_map(value).collect()
}

fn references(value: &Value, names: &mut Vec<String>) {
    match value {
        Value::String(text) => {
            names.extend(text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')).map(str::to_owned));
        }
        Value::Array(list) => list.iter().for_each(|value| references(value, names)),
        Value::Object(map) => map.values().for_each(|value| references(value, names)),
        _ => {}
    }
}

/// Prints the plan; how many steps change something.
fn show(plan: &Value) -> usize {
    let none = Vec::new();
    let text = |value: &Value, member: &str| value.get(member).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut changes = 0;
    for step in plan["steps"].as_array().unwrap_or(&none) {
        let sign = match step["action"].as_str() {
            Some("create") => '+',
            Some("change") => '~',
            Some("delete") => '-',
            _ => continue,
        };
        changes += 1;
        let workspace = text(step, "workspace");
        let place = if workspace.is_empty() { String::new() } else { format!("{workspace}/") };
        let changed: Vec<_> = step["changed"].as_array().unwrap_or(&none).iter().filter_map(Value::as_str).collect();
        let changed = if changed.is_empty() { String::new() } else { format!(": {}", changed.join(", ")) };
        print(&format!("{sign} {} {place}{}{changed}", text(step, "section"), text(step, "name")));
    }
    for warning in plan["warnings"].as_array().unwrap_or(&none).iter().filter_map(Value::as_str) {
        print(&format!("warning: {warning}"));
    }
    changes
}

fn agreed() -> Result<bool> {
    if !std::io::stdin().is_terminal() {
        bail!("this is the plan; run it again with --yes to do it");
    }
    std::io::stdout().write_all(b"Do this? [y/N] ").and_then(|()| std::io::stdout().flush())?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
