//! The command line: what each command takes, and who does it.

mod apply;
mod audit;
mod client;
mod export;
mod files;
mod import;
mod key;
mod lint;
mod progress;
mod search;
mod sync;
mod user;

use super::start;
use crate::api;
use crate::base::Config;
use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Parser)]
#[command(name = "wharfinger", version, about = "Keeps the register of an organisation's APIs and MCP servers.")]
struct Cli {
    /// A TOML file of settings; the environment wins over it.
    #[arg(long, global = true, env = "WHARFINGER_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve until told to stop.
    Serve,
    /// Bring the database to this release's shape.
    Migrate,
    /// Print the settings in force, and everything that is wrong with them.
    CheckConfig,
    /// Print the OpenAPI document of the REST API.
    Openapi,
    /// Bring in API documents, server.json files, JSON lines, or another registry.
    Import(import::ImportArgs),
    /// Tell what the register would say of definitions, without a running service.
    Lint(lint::LintArgs),
    /// Bring the gateway's settings to what a file says; the plan is printed first.
    Apply(apply::ApplyArgs),
    /// Write everything you may see as JSON lines, which `import` takes back; or the gateway's settings, which `apply` does.
    Export(export::ExportArgs),
    /// Find assets by words and meaning.
    Search(search::SearchArgs),
    /// Make, list and revoke keys.
    Key(key::KeyArgs),
    /// Seal all credentials by the first of the encryption keys, after a new one was put there.
    Rewrap(Service),
    /// Read, export and check the audit record.
    Audit(audit::AuditArgs),
    /// List, invite and disable people, and explain what somebody may do.
    User(user::UserArgs),
    /// Read another registry that a workspace takes servers over from, now.
    Sync(sync::SyncArgs),
    /// Rebuild the search index from the catalog while the service runs, and try queued work again that was laid aside.
    Reindex(Service),
}

/// The running service that a command speaks to.
#[derive(Clone, Debug, Args)]
pub(super) struct Service {
    /// Its address.
    #[arg(long, env = "WHARFINGER_URL", default_value = "http://127.0.0.1:8080")]
    url: url::Url,
    /// The key to act with.
    #[arg(long, env = "WHARFINGER_KEY", hide_env_values = true, value_name = "whf_...")]
    key: Option<String>,
}

/// Runs the command of this process's arguments; what goes wrong is told on standard error.
#[must_use]
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&anyhow::Error::new(error).context("the runtime could not be started")),
    };
    match runtime.block_on(perform(cli)) {
        Ok(code) => code,
        Err(error) => fail(&error),
    }
}

fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("wharfinger: {error:#}");
    ExitCode::FAILURE
}

async fn perform(cli: Cli) -> Result<ExitCode> {
    let config = || Config::load(cli.config.as_deref());
    match cli.command {
        Command::Serve => start::serve(config()?).await?,
        Command::Migrate => start::migrate(config()?).await?,
        Command::CheckConfig => return check_config(config()),
        Command::Openapi => {
            let config = config()?;
            let document = api::document(&config.public_url(config.server.listen));
            print(&serde_json::to_string_pretty(&document).context("the document is plain data")?);
        }
        Command::Import(args) => return import::run(args).await,
        Command::Lint(args) => return lint::run(&args),
        Command::Apply(args) => apply::run(args).await?,
        Command::Export(args) => export::run(args).await?,
        Command::Search(args) => search::run(args).await?,
        Command::Audit(args) => return audit::run(args).await,
        Command::Sync(args) => sync::run(args).await?,
        Command::Key(args) => key::run(args).await?,
        Command::Rewrap(service) => {
            let client = client::Client::new(&service)?;
            client.post_empty("/api/v1/gateway/rewrap").await?;
            print("All credentials are sealed by the first of the encryption keys; older ones may be taken out.");
        }
        Command::User(args) => user::run(args).await?,
        Command::Reindex(service) => {
            client::Client::new(&service)?.post_empty("/api/v1/reindex").await?;
            print("The index is being rebuilt; /readyz tells when it is done.");
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn check_config(config: Result<Config, crate::base::config::ConfigError>) -> Result<ExitCode> {
    let config = config?;
    for (name, value, origin) in config.shown() {
        let value = if value.is_empty() { "(unset)" } else { &value };
        print(&format!("{name} = {value}  # {origin}"));
    }
    for warning in config.warnings() {
        print(&format!("warning: {warning}"));
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes a line to standard output; a reader that went away (`| head`) is no error.
fn print(line: &str) {
    use std::io::Write;
    if writeln!(std::io::stdout().lock(), "{line}").is_err() {
        std::process::exit(0);
    }
}
