//! `Screen`: a policy that looks at an answer on its way, and may end it.

use super::answered::{Texts, events};
use super::guard::Hook;
use crate::base::Problem;
use crate::gateway::Policy as Settings;
use crate::gateway::exchange::Exchange;
use crate::gateway::witness::Verdict;
use crate::wire::call::Dialect;
use http::StatusCode;
use regex::RegexSet;
use std::sync::Arc;

/// So much of a text is looked at again with its next piece, in bytes: longer matches may go by in a stream.
const JOINED: usize = 1024;

/// A policy with what it looks at. [`super::Policy::admit`] puts it onto the exchange.
pub struct Screen {
    pub(super) policy: Arc<Settings>,
    view: View,
}

enum View {
    /// At how long it is.
    Length { most: u64, left: u64 },
    /// At what is said, as it comes.
    Said { blocked: Arc<RegexSet>, texts: Texts },
    /// At all that is said, once it is there.
    Whole(Arc<Hook>),
}

impl Screen {
    pub(super) fn of_length(policy: Arc<Settings>, most: u64) -> Self {
        Self { policy, view: View::Length { most, left: most } }
    }

    pub(super) fn of_texts(policy: Arc<Settings>, blocked: Arc<RegexSet>) -> Self {
        Self { policy, view: View::Said { blocked, texts: Texts::default() } }
    }

    pub(super) fn of_whole(policy: Arc<Settings>, hook: Arc<Hook>) -> Self {
        Self { policy, view: View::Whole(hook) }
    }

    fn hears(&mut self, json: &[u8]) -> Result<(), Box<Problem>> {
        let View::Said { blocked, texts } = &mut self.view else { return Ok(()) };
        let mut is_blocked = false;
        texts.visit(json, |text| {
            is_blocked |= blocked.is_match(text);
            text.drain(..text.floor_char_boundary(text.len().saturating_sub(JOINED)));
        });
        if !is_blocked {
            return Ok(());
        }
        let detail = format!("The policy {} blocks something in the model's answer.", self.policy.name);
        let problem = Problem::new(StatusCode::BAD_REQUEST, "content-blocked", "Content blocked", detail);
        Err(Box::new(problem.with("policy", &*self.policy.name)))
    }

    /// Whether so many bytes may go on beside those that did.
    fn allows(&self, bytes: u64) -> Result<(), Box<Problem>> {
        let name = &*self.policy.name;
        match &self.view {
            View::Length { most, left } if bytes > *left => {
                let detail = format!("The policy {name} lets answers of {most} bytes go on, and this one is longer.");
                Err(Box::new(too_large(detail).with("policy", name)))
            }
            _ => Ok(()),
        }
    }

    fn sends(&mut self, bytes: u64) -> Result<(), Box<Problem>> {
        self.allows(bytes)?;
        if let View::Length { left, .. } = &mut self.view {
            *left -= bytes;
        }
        Ok(())
    }
}

/// An answer that is not passed on for its length.
pub(in crate::gateway) fn too_large(detail: String) -> Problem {
    Problem::new(StatusCode::BAD_GATEWAY, "response-too-large", "Answer too large", detail)
        .with_help("Ask for less. What was answered is charged.")
}

impl Exchange {
    /// Whether what is answered is said in words: vectors and counts are not.
    pub(super) fn is_answered_in_words(&self) -> bool {
        self.dialect().is_some_and(|dialect| !matches!(dialect, Dialect::Embeddings | Dialect::CountTokens))
    }

    /// Shows policies what a whole answer says, which is about to go on; what is hidden from backends still is in it.
    ///
    /// # Errors
    /// The refusal; nothing of it may go on.
    pub(in crate::gateway) fn says(&mut self, answer: &[u8]) -> Result<(), Box<Problem>> {
        self.screened(|screen| screen.hears(answer))
    }

    /// As [`Exchange::says`], for events of a stream.
    ///
    /// # Errors
    /// The refusal; none of these events may go on.
    pub(in crate::gateway) fn says_events(&mut self, bytes: &[u8]) -> Result<(), Box<Problem>> {
        if !self.screens.iter().any(|screen| matches!(screen.view, View::Said { .. })) {
            return Ok(());
        }
        events(bytes).try_for_each(|data| self.says(&data))
    }

    /// Tells policies that so many bytes are about to go on.
    ///
    /// # Errors
    /// The refusal; they may not go on.
    pub(in crate::gateway) fn sends(&mut self, bytes: u64) -> Result<(), Box<Problem>> {
        self.screened(|screen| screen.sends(bytes))
    }

    /// As [`Exchange::sends`], for an answer of this length of which nothing has gone on; its pieces are still to be told.
    ///
    /// # Errors
    /// The refusal; nothing of it may go on.
    pub(in crate::gateway) fn announces(&mut self, bytes: u64) -> Result<(), Box<Problem>> {
        self.screened(|screen| screen.allows(bytes))
    }

    /// Whether somebody looks at whole answers.
    pub(in crate::gateway) fn is_judged(&self) -> bool {
        self.screens.iter().any(|screen| matches!(screen.view, View::Whole(_)))
    }

    /// Whether a stream is held back until it is whole. Who is in shadow holds nothing back.
    pub(in crate::gateway) fn holds_streams(&self) -> bool {
        let holds = |screen: &Screen| matches!(screen.view, View::Whole(_)) && !screen.policy.settings.shadow;
        self.screens.iter().any(holds)
    }

    /// Asks those who look at whole answers about this one: the JSON of it, or of its events.
    ///
    /// # Errors
    /// The refusal; nothing of it may go on.
    pub(in crate::gateway) async fn judged(&mut self, answer: &[u8], is_events: bool) -> Result<(), Box<Problem>> {
        let mut texts = Texts::default();
        match is_events {
            true => events(answer).for_each(|data| texts.add(&data)),
            false => texts.add(answer),
        }
        let texts = texts.into_vec();
        let hooks = self.screens.iter().filter_map(|screen| match &screen.view {
            View::Whole(hook) => Some((screen.policy.clone(), hook.clone())),
            _ => None,
        });
        for (policy, hook) in hooks.collect::<Vec<_>>() {
            if let Err(problem) = hook.judge(self, "answer", &texts).await {
                self.refused_on_the_way(&policy, problem)?;
            }
        }
        Ok(())
    }

    /// What the policies that look at its answer are, each with its settings: answers that others looked at are others.
    pub(super) fn screened_by(&self) -> Vec<String> {
        let settings = |policy: &Settings| serde_json::to_string(&policy.settings).unwrap_or_default();
        self.screens.iter().map(|screen| format!("{} {}", screen.policy.id, settings(&screen.policy))).collect()
    }

    fn screened(&mut self, look: impl Fn(&mut Screen) -> Result<(), Box<Problem>>) -> Result<(), Box<Problem>> {
        let mut at = 0;
        while let Some(screen) = self.screens.get_mut(at) {
            match look(screen) {
                Ok(()) => at += 1,
                Err(problem) => {
                    // Once is enough, also in shadow.
                    let policy = self.screens.remove(at).policy;
                    self.refused_on_the_way(&policy, problem)?;
                }
            }
        }
        Ok(())
    }

    /// A policy refuses the answer, unless it is in shadow.
    fn refused_on_the_way(&mut self, policy: &Arc<Settings>, problem: Box<Problem>) -> Result<(), Box<Problem>> {
        let held = self.held.len();
        if policy.settings.shadow {
            super::shadowed(self, &policy.name);
            self.note(policy, Verdict::WouldRefuse, held);
            return Ok(());
        }
        self.refused_by = Some(policy.name.as_str().into());
        self.note(policy, Verdict::Refused, held);
        Err(problem)
    }
}
