//! `wharfinger search`: finds assets from the command line.

use super::{Service, client::Client, print};
use anyhow::Result;
use clap::Args;

#[derive(Debug, Args)]
pub(super) struct SearchArgs {
    /// Words, "phrases" and filters like `kind:mcp tag:payments`.
    #[arg(required = true, num_args = 1..)]
    query: Vec<String>,
    /// How many at most.
    #[arg(long, default_value_t = 10)]
    limit: usize,
    /// Print the whole answer as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    service: Service,
}

pub(super) async fn run(args: SearchArgs) -> Result<()> {
    let query = [("q", args.query.join(" ")), ("limit", args.limit.to_string())];
    let found = Client::new(&args.service)?.get("/api/v1/search", &query).await?;
    if args.json {
        print(&serde_json::to_string_pretty(&found)?);
        return Ok(());
    }
    for hit in found["items"].as_array().into_iter().flatten() {
        let text = |member: &str| hit[member].as_str().unwrap_or_default();
        print(&format!("{}/{}  [{}]  {}", text("workspace"), text("name"), text("kind"), text("title")));
        if !text("summary").is_empty() {
            print(&format!("    {}", text("summary")));
        }
    }
    for part in found["degraded"].as_array().into_iter().flatten() {
        print(&format!("({} search is not available now)", part.as_str().unwrap_or_default()));
    }
    Ok(())
}
