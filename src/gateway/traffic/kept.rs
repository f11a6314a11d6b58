//! Responses that vendors keep: whose they are, noted as they are given, and what is charged for one whose usage its vendor
//! tells only later, because it was made in the background.

use super::Traffic;
use crate::gateway::exchange::{Asked, Exchange};
use crate::wire::usage::Usage;

impl Traffic {
    /// Keeps in mind which backend a response is from, and whose it is: a later request may go on from it, or ask for it.
    pub(super) fn remember_response(&self, exchange: &mut Exchange, data: &[u8]) {
        const ID: &[u8] = b"\"id\":";
        let (Some(backend), Some(call)) = (&exchange.reply.backend, exchange.call()) else { return };
        let id = memchr::memmem::find_iter(data, ID).find_map(|at| {
            let text = data[at + ID.len()..].trim_ascii_start().strip_prefix(b"\"")?;
            let end = memchr::memchr(b'"', text)?;
            std::str::from_utf8(&text[..end]).ok().filter(|id| id.starts_with("resp"))
        });
        let Some(id) = id else { return };
        self.inner.conversations.note(id, (backend.id, &alias(exchange)), &exchange.caller, None);
        if call.background {
            exchange.reply.in_background = Some(id.into());
        }
    }

    /// Before the usage of a kept response is settled: finds what was charged for it before, so that the rest is.
    pub(super) async fn collect_owed(&self, exchange: &mut Exchange) {
        if let Asked::Kept(kept) = &mut exchange.asked {
            kept.charged = self.inner.conversations.collect(kept.id()).await;
        }
    }

    /// Once it is known what an exchange is settled with: notes what is still owed for a response, where its vendor told no
    /// usage. Whoever asks for the response later is charged the rest.
    pub(super) fn leave_owed(&self, exchange: &Exchange) {
        if exchange.reply.reported.is_some() {
            return;
        }
        let Some(backend) = &exchange.reply.backend else { return };
        let charged = || Usage {
            input: exchange.prompt_tokens.unwrap_or(0),
            output: exchange.reply.counted_output,
            ..Usage::default()
        };
        let (id, charged) = match (&exchange.asked, &exchange.reply.in_background) {
            (Asked::Model(_), Some(id)) => (&**id, charged()),
            (Asked::Kept(kept), _) => match kept.charged {
                Some(charged) => (kept.id(), charged),
                None => return,
            },
            _ => return,
        };
        self.inner.conversations.note(id, (backend.id, &alias(exchange)), &exchange.caller, Some(charged));
    }
}

/// By which the route is found again, with its workspace: other routes of the caller's may have the same alias.
fn alias(exchange: &Exchange) -> String {
    match exchange.route.owner.workspace_name() {
        Some(workspace) => format!("{workspace}/{}", exchange.model()),
        None => exchange.model().to_owned(),
    }
}
