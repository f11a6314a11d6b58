//! `wharfinger import`: files, folders, URLs and other registries, sent as lines a few hundred at a time.

mod names;
mod source;

use super::{
    Service,
    client::Client,
    print,
    progress::{self, Steps},
};
use anyhow::{Context, Result};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use names::Names;
use reqwest::Method;
use serde::Deserialize;
use source::{Line, Source};
use std::{process::ExitCode, time::Duration};

/// Lines sent in one request, and bytes after which a request is sent with fewer: what is acknowledged is stored, so
/// small requests make for progress that can be believed.
const LINES: usize = 250;
const BYTES: usize = 4 << 20;
/// Rejected lines that are printed.
const SHOWN: usize = 50;

#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    /// Files (JSON lines, OpenAPI in JSON or YAML, server.json, agent cards), folders of them, URLs of documents, or the
    /// address of another MCP registry. A document takes its name from its title; another version of it in another file
    /// is a version of the same asset, and another API of the same title is named by its file too.
    #[arg(required = true, num_args = 1..)]
    sources: Vec<String>,
    /// Where things go that name no workspace.
    #[arg(long, default_value = "default")]
    workspace: String,
    /// Tell what would happen and store nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    service: Service,
}

/// What the service says of a batch.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Report {
    registered: u64,
    updated: u64,
    unchanged: u64,
    proposed: u64,
    rejected: Vec<Rejected>,
    rejected_total: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Rejected {
    line: usize,
    name: Option<String>,
    reason: String,
    errors: Vec<Place>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Place {
    location: String,
}

impl Report {
    fn sentence(&self, is_dry_run: bool) -> String {
        let Self { registered, updated, unchanged, proposed, rejected_total, .. } = self;
        let verb = if is_dry_run { "would be registered" } else { "registered" };
        let sentence =
            format!("{registered} {verb}, {updated} updated, {unchanged} unchanged, {rejected_total} rejected");
        match proposed {
            0 => sentence,
            _ => format!("{sentence}, {proposed} waiting for approval"),
        }
    }
}

impl Rejected {
    /// Whether only a name is missing.
    fn lacks_a_name(&self) -> bool {
        self.errors.iter().any(|error| error.location == "body.name")
    }
}

pub(super) async fn run(args: ImportArgs) -> Result<ExitCode> {
    let client = Client::new(&args.service)?;
    let mut run = Run { client, args, total: Report::default(), progress: bar(), steps: Steps::new(), sent: 0 };
    let mut names = Names::default();
    for place in run.args.sources.clone() {
        let mut source = Source::open(&place).await.with_context(|| place.clone())?;
        run.progress.set_length(run.sent + source.remaining().unwrap_or(0));
        let mut batch = Vec::new();
        let mut size = 0;
        while let Some(line) = source.next().await.with_context(|| place.clone())? {
            if !batch.is_empty() && (batch.len() == LINES || size + line.text.len() > BYTES) {
                run.send(std::mem::take(&mut batch)).await?;
                size = 0;
            }
            let line = names.told_apart(line);
            size += line.text.len();
            batch.push(line);
        }
        run.send(batch).await?;
    }
    run.progress.finish_and_clear();
    Ok(run.conclude())
}

struct Run {
    client: Client,
    args: ImportArgs,
    total: Report,
    progress: ProgressBar,
    steps: Steps,
    sent: u64,
}

impl Run {
    async fn send(&mut self, batch: Vec<Line>) -> Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        let nameless = self.send_once(&batch).await?;
        if !nameless.is_empty() {
            self.send_once(&nameless).await?;
        }
        self.sent += batch.len() as u64;
        self.progress.set_position(self.sent);
        if self.steps.passed(self.sent) {
            progress::tell(&format!("{} lines sent", self.sent));
        }
        Ok(())
    }

    /// Sends a batch; gives back the documents that lack only a name, under those of their files.
    async fn send_once(&mut self, batch: &[Line]) -> Result<Vec<Line>> {
        let mut body = Vec::with_capacity(batch.iter().map(|line| line.text.len() + 1).sum());
        for line in batch {
            body.extend_from_slice(&line.text);
            body.push(b'\n');
        }
        let query = [("workspace", self.args.workspace.clone()), ("dryRun", self.args.dry_run.to_string())];
        let request = self.client.request(Method::POST, "/api/v1/import").query(&query);
        let request = request.header("content-type", "application/x-ndjson").body(body);
        let report: Report =
            self.client.send(request).await?.json().await.context("the service's report is no JSON")?;

        self.total.registered += report.registered;
        self.total.updated += report.updated;
        self.total.unchanged += report.unchanged;
        self.total.proposed += report.proposed;
        let mut nameless = Vec::new();
        for mut rejected in report.rejected {
            let line = batch.get(rejected.line.wrapping_sub(1));
            if rejected.lacks_a_name()
                && let Some(named) = line.and_then(Line::named_by_file)
            {
                nameless.push(named);
                continue;
            }
            if self.total.rejected_total < SHOWN as u64 {
                let place = line.map_or("?", |line| &line.place);
                let name = rejected.name.take().map_or_else(String::new, |name| format!(" ({name})"));
                self.progress.suspend(|| print(&format!("rejected: {place}{name}: {}", rejected.reason)));
            }
            self.total.rejected_total += 1;
        }
        Ok(nameless)
    }

    fn conclude(self) -> ExitCode {
        let rejected_total = self.total.rejected_total;
        if rejected_total > SHOWN as u64 {
            print(&format!("... and {} more rejected lines", rejected_total - SHOWN as u64));
        }
        print(&self.total.sentence(self.args.dry_run));
        if rejected_total == 0 { ExitCode::SUCCESS } else { ExitCode::from(2) }
    }
}

fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} lines, {per_sec}, {eta} left");
    let bar = ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_that_wait_for_approval_are_told() {
        let said = r#"{"lines": 5, "registered": 1, "updated": 0, "unchanged": 1, "proposed": 3, "rejectedTotal": 0}"#;
        let report: Report = serde_json::from_str(said).unwrap();

        let sentence = "1 registered, 0 updated, 1 unchanged, 0 rejected, 3 waiting for approval";
        assert_eq!(report.sentence(false), sentence);
    }
}
