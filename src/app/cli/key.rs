//! `wharfinger key`: make, list and revoke keys.

use super::{Service, client::Client, print};
use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use reqwest::Method;
use serde_json::{Value, json};

#[derive(Debug, Args)]
pub(super) struct KeyArgs {
    #[command(subcommand)]
    command: KeyCommand,
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    /// Make a key and print it, once.
    Create {
        /// What it is for.
        name: String,
        #[arg(long, value_enum, default_value = "reader")]
        role: RoleName,
        /// Where the role holds; an administrator's holds everywhere.
        #[arg(long, default_value_if("role", "administrator", None), default_value = "default")]
        workspace: Option<String>,
        /// When it ends by itself, like `2027-01-31T00:00:00Z`.
        #[arg(long)]
        expires_at: Option<String>,
        #[command(flatten)]
        service: Service,
    },
    /// List the keys you may manage.
    List {
        /// Only those of this workspace.
        #[arg(long)]
        workspace: Option<String>,
        #[command(flatten)]
        service: Service,
    },
    /// End a key at once.
    Revoke {
        /// Its id, as `list` prints it.
        id: uuid::Uuid,
        #[command(flatten)]
        service: Service,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum RoleName {
    Reader,
    Publisher,
    Administrator,
}

pub(super) async fn run(args: KeyArgs) -> Result<()> {
    match args.command {
        KeyCommand::Create { name, role, workspace, expires_at, service } => {
            let role = format!("{role:?}").to_lowercase();
            let mut body = json!({"name": name, "role": role});
            for (member, value) in [("workspace", workspace), ("expiresAt", expires_at)] {
                if let Some(value) = value {
                    body[member] = value.into();
                }
            }
            let client = Client::new(&service)?;
            let made: Value =
                client.send(client.request(Method::POST, "/api/v1/keys").json(&body)).await?.json().await?;
            print(made["text"].as_str().unwrap_or_default());
        }
        KeyCommand::List { workspace, service } => {
            let query: Vec<_> = workspace.into_iter().map(|name| ("workspace", name)).collect();
            let keys = Client::new(&service)?.get("/api/v1/keys", &query).await?;
            for key in keys["items"].as_array().into_iter().flatten() {
                let text = |member: &str| key[member].as_str().unwrap_or("-").to_owned();
                let state = if key["revokedAt"].is_string() { "revoked" } else { "live" };
                print(&[text("id"), text("role"), text("workspace"), state.to_owned(), text("name")].join("\t"));
            }
        }
        KeyCommand::Revoke { id, service } => {
            let client = Client::new(&service)?;
            client.send(client.request(Method::DELETE, &format!("/api/v1/keys/{id}"))).await?;
            print("Revoked.");
        }
    }
    Ok(())
}
