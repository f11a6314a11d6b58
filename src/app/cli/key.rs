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
        /// The role of a key that belongs to nobody; reader, unless the key is of a service account or your own.
        #[arg(long, value_enum)]
        role: Option<RoleName>,
        /// Where the role holds; an administrator's may hold everywhere.
        #[arg(long, default_value_if("role", "administrator", None))]
        workspace: Option<String>,
        /// Of this service account, with what it may do.
        #[arg(long, conflicts_with = "role")]
        service_account: Option<String>,
        /// Your own, with what you may do.
        #[arg(long, conflicts_with_all = ["role", "service_account"])]
        own: bool,
        /// What it may be used for, like `catalog:read` or `gateway:call:chat`; may be said several times.
        #[arg(long = "scope")]
        scopes: Vec<String>,
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
    Consumer,
    Publisher,
    Reviewer,
    Compliance,
    Administrator,
}

pub(super) async fn run(args: KeyArgs) -> Result<()> {
    match args.command {
        KeyCommand::Create { name, role, workspace, service_account, own, scopes, expires_at, service } => {
            let role = role.or((!own && service_account.is_none()).then_some(RoleName::Reader));
            let role = role.map(|role| format!("{role:?}").to_lowercase());
            let everywhere = role.is_none() || role.as_deref() == Some("administrator");
            let workspace = workspace.or_else(|| (!everywhere).then(|| "default".to_owned()));
            let mut body = json!({"name": name, "scopes": scopes});
            let said = [
                ("role", role),
                ("workspace", workspace),
                ("serviceAccount", service_account),
                ("expiresAt", expires_at),
            ];
            for (member, value) in said {
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
                let of = if key["role"].is_string() { "role" } else { "holder" };
                let text = |member: &str| key[member].as_str().unwrap_or("-").to_owned();
                let state = if key["revokedAt"].is_string() { "revoked" } else { "live" };
                print(&[text("id"), text(of), text("workspace"), state.to_owned(), text("name")].join("\t"));
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
