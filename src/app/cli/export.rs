//! `wharfinger export`: everything the key may see, as JSON lines.

use super::{
    Service,
    client::Client,
    progress::{self, Steps},
};
use anyhow::{Context, Result};
use clap::Args;
use futures::StreamExt;
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::Method;
use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::PathBuf,
};

#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    /// Where to write; standard output where not said.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Only this workspace.
    #[arg(long)]
    workspace: Option<String>,
    /// The gateway's settings instead, as one YAML file that `wharfinger apply` takes.
    #[arg(long)]
    gateway: bool,
    #[command(flatten)]
    service: Service,
}

pub(super) async fn run(args: ExportArgs) -> Result<()> {
    let client = Client::new(&args.service)?;
    let query: Vec<_> = args.workspace.into_iter().map(|name| ("workspace", name)).collect();
    let path = if args.gateway { "/api/v1/gateway/export" } else { "/api/v1/export" };
    let response = client.send(client.request(Method::GET, path).query(&query)).await?;

    // Written beside the target and renamed at the end: an export that broke off is not mistaken for a whole one.
    let part = args.output.as_ref().map(|path| path.with_extension("part"));
    let mut sink: Box<dyn Write> = match &part {
        Some(path) => {
            let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
            Box::new(BufWriter::new(file))
        }
        None => Box::new(BufWriter::new(io::stdout())),
    };
    let bar = ProgressBar::new_spinner().with_style(ProgressStyle::with_template("{spinner} {pos} lines, {elapsed}")?);
    let mut pieces = response.bytes_stream();
    let (mut lines, mut steps) = (0, Steps::new());
    while let Some(piece) = pieces.next().await {
        let piece = piece.context("the export broke off; run it again")?;
        lines += memchr::memchr_iter(b'\n', &piece).count() as u64;
        sink.write_all(&piece)?;
        bar.set_position(lines);
        if steps.passed(lines) {
            progress::tell(&format!("{lines} lines written"));
        }
    }
    sink.flush()?;
    drop(sink);
    bar.finish_and_clear();
    if let (Some(part), Some(output)) = (part, args.output) {
        std::fs::rename(part, &output)?;
        super::print(&format!("{lines} lines written to {}", output.display()));
    }
    Ok(())
}
