//! `wharfinger user`: list, invite and disable people, and explain what somebody may do.

use super::{Service, client::Client, print};
use anyhow::Result;
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

#[derive(Debug, Args)]
pub(super) struct UserArgs {
    #[command(subcommand)]
    command: UserCommand,
}

#[derive(Debug, Subcommand)]
enum UserCommand {
    /// List people by name.
    List {
        #[command(flatten)]
        service: Service,
    },
    /// Invite somebody who has no identity provider, and print the link by which they choose a password.
    Invite {
        /// What owners and the audit record call them, like `anna.smith`.
        name: String,
        #[arg(long)]
        display_name: Option<String>,
        #[arg(long)]
        email: Option<String>,
        /// A local group to put them in; may be said several times.
        #[arg(long = "group")]
        groups: Vec<String>,
        #[command(flatten)]
        service: Service,
    },
    /// End what somebody may do, with every session.
    Disable {
        name: String,
        #[command(flatten)]
        service: Service,
    },
    /// Let somebody in again.
    Enable {
        name: String,
        #[command(flatten)]
        service: Service,
    },
    /// Say what somebody may do, because of which role, or which role is missing.
    Explain {
        /// Who; you yourself where not said.
        name: Option<String>,
        /// For this asset, as workspace/name.
        #[arg(long)]
        asset: Option<String>,
        /// In this workspace.
        #[arg(long, conflicts_with = "asset")]
        workspace: Option<String>,
        #[command(flatten)]
        service: Service,
    },
}

pub(super) async fn run(args: UserArgs) -> Result<()> {
    match args.command {
        UserCommand::List { service } => list(&Client::new(&service)?).await,
        UserCommand::Invite { name, display_name, email, groups, service } => {
            let mut body = json!({"name": name, "groups": groups, "displayName": display_name.unwrap_or_default()});
            if let Some(email) = email {
                body["email"] = email.into();
            }
            let client = Client::new(&service)?;
            let made: Value =
                client.send(client.request(Method::POST, "/api/v1/users").json(&body)).await?.json().await?;
            print(made["link"].as_str().unwrap_or_default());
            Ok(())
        }
        UserCommand::Disable { name, service } => set_disabled(&Client::new(&service)?, &name, true).await,
        UserCommand::Enable { name, service } => set_disabled(&Client::new(&service)?, &name, false).await,
        UserCommand::Explain { name, asset, workspace, service } => {
            let query: Vec<_> = [("asset", asset), ("workspace", workspace)]
                .into_iter()
                .filter_map(|(name, value)| Some((name, value?)))
                .collect();
            let path = match name {
                Some(name) => format!("/api/v1/users/{}/permissions", crate::door::segment(&name)),
                None => "/api/v1/me/permissions".to_owned(),
            };
            let told = Client::new(&service)?.get(&path, &query).await?;
            for one in told["permissions"].as_array().into_iter().flatten() {
                print(&explained(one));
            }
            Ok(())
        }
    }
}

async fn list(client: &Client) -> Result<()> {
    let mut after: Option<String> = None;
    loop {
        let query: Vec<_> = after.iter().map(|name| ("after", name.clone())).collect();
        let page = client.get("/api/v1/users", &query).await?;
        for user in page["items"].as_array().into_iter().flatten() {
            let text = |member: &str| user[member].as_str().unwrap_or("-").to_owned();
            let state = if user["disabledAt"].is_string() { "disabled" } else { "active" };
            print(&[text("name"), state.to_owned(), text("email"), text("displayName")].join("\t"));
        }
        after = page["next"].as_str().map(str::to_owned);
        if after.is_none() {
            return Ok(());
        }
    }
}

async fn set_disabled(client: &Client, name: &str, disabled: bool) -> Result<()> {
    let path = format!("/api/v1/users/{}", crate::door::segment(name));
    client.send(client.request(Method::PATCH, &path).json(&json!({"disabled": disabled}))).await?;
    print(if disabled { "Disabled." } else { "Enabled." });
    Ok(())
}

/// `write-catalog  yes  publisher in payments by the group harbour`, or the roles that would do.
fn explained(one: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let why = match &one["because"] {
        Value::Object(role) => {
            let part = |word: &str, member: &str| {
                role.get(member).and_then(Value::as_str).map_or_else(String::new, |value| format!(" {word} {value}"))
            };
            let narrowed = if one["narrowedByKey"] == true { ", but the key is not meant for it" } else { "" };
            let role_name = role.get("role").map(text).unwrap_or_default();
            format!("{role_name}{}{}{narrowed}", part("in", "workspace"), part("by the group", "group"))
        }
        _ => {
            let needs: Vec<_> = one["needs"].as_array().into_iter().flatten().map(text).collect();
            format!("takes {}", needs.join(" or "))
        }
    };
    let answer = if one["allowed"] == true { "yes" } else { "no" };
    format!("{}\t{answer}\t{why}", text(&one["permission"]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_explanation_names_the_role_or_what_is_missing() {
        let held = json!({"permission": "write-catalog", "allowed": true,
            "because": {"role": "publisher", "workspace": "payments", "group": "harbour"}});
        let missing = json!({"permission": "review-assets", "allowed": false, "needs": ["reviewer", "administrator"]});

        assert_eq!(explained(&held), "write-catalog\tyes\tpublisher in payments by the group harbour");
        assert_eq!(explained(&missing), "review-assets\tno\ttakes reviewer or administrator");
    }
}
