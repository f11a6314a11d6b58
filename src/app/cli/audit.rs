//! `wharfinger audit`: read, export and check the audit record.

use super::{Service, client::Client, print};
use anyhow::{Context, Result};
use clap::{Args, Subcommand, ValueEnum};
use futures::StreamExt;
use reqwest::Method;
use serde_json::Value;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(super) struct AuditArgs {
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    /// Print the newest lines.
    List {
        #[command(flatten)]
        wanted: Wanted,
        /// How many.
        #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=100))]
        limit: u32,
        #[command(flatten)]
        service: Service,
    },
    /// Write all lines that fit, newest first.
    Export {
        #[command(flatten)]
        wanted: Wanted,
        #[arg(long, value_enum, default_value = "jsonl")]
        format: Format,
        /// Where to write; standard output where not said.
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
        #[command(flatten)]
        service: Service,
    },
    /// Tell whether any line was altered, removed or reordered; fails when one was.
    Verify {
        #[command(flatten)]
        service: Service,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Jsonl,
    Csv,
}

/// Which lines are wanted; all of it must hold.
#[derive(Debug, Args)]
struct Wanted {
    /// An actor, its name, or the id of a key.
    #[arg(long)]
    who: Option<String>,
    /// A verb (`asset.register`), or a noun for all its verbs (`asset`).
    #[arg(long)]
    verb: Option<String>,
    /// The name of what was acted on.
    #[arg(long)]
    subject: Option<String>,
    #[arg(long)]
    workspace: Option<String>,
    /// `done` or `refused`.
    #[arg(long)]
    outcome: Option<String>,
    /// Lines from this moment on, like `2026-01-31T00:00:00Z`.
    #[arg(long)]
    from: Option<String>,
    /// Lines before this moment.
    #[arg(long)]
    to: Option<String>,
    #[arg(long)]
    request_id: Option<String>,
}

impl Wanted {
    fn query(self) -> Vec<(&'static str, String)> {
        let all = [
            ("who", self.who),
            ("verb", self.verb),
            ("subject", self.subject),
            ("workspace", self.workspace),
            ("outcome", self.outcome),
            ("from", self.from),
            ("to", self.to),
            ("requestId", self.request_id),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

pub(super) async fn run(args: AuditArgs) -> Result<ExitCode> {
    match args.command {
        AuditCommand::List { wanted, limit, service } => {
            let mut query = wanted.query();
            query.push(("limit", limit.to_string()));
            let found = Client::new(&service)?.get("/api/v1/audit", &query).await?;
            for line in found["items"].as_array().into_iter().flatten() {
                // Names come from outside: a line break or an escape in one must not make a line of its own.
                let text = |member: &str| line[member].as_str().unwrap_or("-").escape_debug().to_string();
                let members = ["at", "outcome", "actor", "address", "verb", "subject", "requestId"];
                print(&members.map(text).join("\t"));
            }
        }
        AuditCommand::Export { wanted, format, output, service } => {
            let mut query = wanted.query();
            query.push(("format", format!("{format:?}").to_lowercase()));
            export(&Client::new(&service)?, &query, output).await?;
        }
        AuditCommand::Verify { service } => return verify(&Client::new(&service)?).await,
    }
    Ok(ExitCode::SUCCESS)
}

async fn export(client: &Client, query: &[(&str, String)], output: Option<PathBuf>) -> Result<()> {
    let response = client.send(client.request(Method::GET, "/api/v1/audit/export").query(query)).await?;
    let part = output.as_ref().map(|path| path.with_extension("part"));
    let mut sink: Box<dyn Write> = match &part {
        Some(path) => Box::new(BufWriter::new(
            std::fs::File::create(path).with_context(|| format!("cannot write {}", path.display()))?,
        )),
        None => Box::new(BufWriter::new(io::stdout())),
    };
    let mut pieces = response.bytes_stream();
    while let Some(piece) = pieces.next().await {
        sink.write_all(&piece.context("the export broke off; run it again")?)?;
    }
    sink.flush()?;
    drop(sink);
    if let (Some(part), Some(output)) = (part, output) {
        std::fs::rename(part, &output)?;
        print(&format!("Written to {}.", output.display()));
    }
    Ok(())
}

async fn verify(client: &Client) -> Result<ExitCode> {
    let verdict: Value = client.get("/api/v1/audit/verify", &[]).await?;
    let head = &verdict["head"];
    let place = format!("{} at position {}", head["link"].as_str().unwrap_or("-"), head["position"]);
    if verdict["intact"] == true {
        print(&format!("Intact: {} lines checked, {} waiting. Head {place}.", verdict["lines"], verdict["waiting"]));
        return Ok(ExitCode::SUCCESS);
    }
    let finding = &verdict["finding"];
    print(&format!(
        "NOT intact, {} at position {}: {}",
        finding["what"].as_str().unwrap_or("changed"),
        finding["position"],
        finding["detail"].as_str().unwrap_or_default()
    ));
    Ok(ExitCode::FAILURE)
}
