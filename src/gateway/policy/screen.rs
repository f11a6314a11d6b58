//! `Screen`: a policy that looks at an answer on its way, and may end it.

use super::answered::{Text, Texts, events, in_refusal, unescaped};
use super::guard::{Decided, Hook};
use crate::base::Problem;
use crate::gateway::Policy as Settings;
use crate::gateway::exchange::{Asked, Exchange};
use crate::gateway::policy::Held;
use crate::gateway::witness::Verdict;
use crate::wire::call::Dialect;
use bytes::Bytes;
use http::StatusCode;
use regex_automata::{Input, meta::Regex};
use std::sync::Arc;

/// So much of a text is looked at again with its next piece, in bytes: longer matches may go by in a stream.
const JOINED: usize = 1024;

/// A policy with what it looks at. [`super::Policy::admit`] puts it onto the exchange.
pub struct Screen {
    pub(super) policy: Arc<Settings>,
    view: View,
}

enum View {
    /// How long it is.
    Length { most: u64, left: u64 },
    /// What is said, as it comes.
    Said { blocked: Arc<Regex>, texts: Texts },
    /// All that is said, once it is there.
    Whole { hook: Arc<Hook>, texts: Texts },
}

impl Screen {
    pub(super) fn of_length(policy: Arc<Settings>, most: u64) -> Self {
        Self { policy, view: View::Length { most, left: most } }
    }

    pub(super) fn of_texts(policy: Arc<Settings>, blocked: Arc<Regex>) -> Self {
        Self { policy, view: View::Said { blocked, texts: Texts::default() } }
    }

    pub(super) fn of_whole(policy: Arc<Settings>, hook: Arc<Hook>) -> Self {
        Self { policy, view: View::Whole { hook, texts: Texts::default() } }
    }

    /// Takes in what is said next.
    fn hears(&mut self, json: &[u8]) -> Result<(), Box<Problem>> {
        let mut is_blocked = false;
        match &mut self.view {
            View::Length { .. } => {}
            View::Whole { texts, .. } => texts.add(json),
            View::Said { blocked, texts } => texts.visit(json, |text| {
                is_blocked |= matches_in(blocked, text);
                let cut = text.said.len().saturating_sub(JOINED);
                // What matches at its end must be there when its next piece comes.
                if cut > 0 && !text.is_open {
                    text.said.drain(..text.said.floor_char_boundary(cut));
                    text.is_cut = true;
                }
            }),
        }
        if is_blocked { Err(self.blocks()) } else { Ok(()) }
    }

    /// Whether what was said so far is not matched, whatever follows.
    fn is_sure(&self) -> bool {
        match &self.view {
            View::Said { texts, .. } => texts.iter().all(|text| !text.is_open),
            View::Length { .. } | View::Whole { .. } => true,
        }
    }

    fn blocks(&self) -> Box<Problem> {
        let detail = format!("The policy {} blocks something in the model's answer.", self.policy.name);
        let problem = Problem::new(StatusCode::BAD_REQUEST, "content-blocked", "Content blocked", detail);
        Box::new(problem.with("policy", &*self.policy.name))
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

    fn is_about_whole(&self) -> bool {
        matches!(self.view, View::Whole { .. })
    }

    /// Whether it sees streams, when they are whole. Who is in shadow holds nothing back.
    fn holds_streams(&self) -> bool {
        self.is_about_whole() && !self.policy.settings.shadow
    }
}

/// Whether something blocked is in a text, whatever its next piece is. What is only with this end (`\bass\b` of `assume`) is
/// noted.
fn matches_in(blocked: &Regex, text: &mut Text) -> bool {
    let looked = |said: &str| {
        let first = said.chars().next().map_or(0, char::len_utf8);
        let from = if text.is_cut { first } else { 0 };
        if !blocked.is_match(Input::new(said).range(from..)) {
            return (false, false);
        }
        let last = said.chars().next_back().map_or(0, char::len_utf8);
        let is_in = blocked.is_match(Input::new(said).range(from..(said.len() - last).max(from)));
        (is_in, !is_in)
    };
    let (is_in, is_open) = looked(&text.said);
    let (is_behind, is_open_behind) = match text.is_written() && text.said.contains('\\') {
        true => looked(&unescaped(&text.said)),
        false => (false, false),
    };
    text.is_open = is_open || is_open_behind;
    is_in || is_behind
}

/// An answer that is not passed on for its length.
fn too_large(detail: String) -> Problem {
    Problem::new(StatusCode::BAD_GATEWAY, "response-too-large", "Answer too large", detail)
        .with_help("Ask for less. What was answered is charged.")
}

impl Exchange {
    /// Whether what is answered is said by a model in words: vectors, counts and what was asked are not.
    pub(super) fn is_answered_in_words(&self) -> bool {
        let is_prompt = matches!(&self.asked, Asked::Stored(stored) if stored.is_prompt());
        !is_prompt
            && self.dialect().is_some_and(|dialect| !matches!(dialect, Dialect::Embeddings | Dialect::CountTokens))
    }

    /// What policies are shown of a whole answer: nothing where nobody looks, and of a vendor's refusal only what its model
    /// said; the rest is the vendor's words, and the caller's.
    pub(in crate::gateway) fn shown(&self, status: StatusCode, answer: &Bytes) -> Option<Bytes> {
        match status.is_success() {
            _ if self.screens.is_empty() => None,
            true => Some(answer.clone()),
            false => in_refusal(answer).map(Bytes::from),
        }
    }

    /// Shows policies what a whole answer says, which is about to go on; what is hidden from backends still is.
    ///
    /// # Errors
    /// The refusal; nothing of it may go on.
    pub(in crate::gateway) fn says(&mut self, answer: &[u8]) -> Result<(), Box<Problem>> {
        self.screened(|screen| if screen.is_about_whole() { Ok(()) } else { screen.hears(answer) })?;
        self.says_no_more()
    }

    /// As [`Exchange::says`], for events of a stream. Gives whether they may go on, or have to wait for the next ones,
    /// which decide.
    ///
    /// # Errors
    /// The refusal; none of these events may go on, nor what waits.
    pub(in crate::gateway) fn says_events(&mut self, bytes: &[u8]) -> Result<bool, Box<Problem>> {
        let hears = |screen: &Screen| matches!(screen.view, View::Said { .. }) || screen.holds_streams();
        if self.screens.iter().any(hears) {
            for data in events(bytes) {
                self.screened(|screen| if hears(screen) { screen.hears(&data) } else { Ok(()) })?;
            }
        }
        Ok(self.screens.iter().all(|screen| screen.is_sure() || screen.policy.settings.shadow))
    }

    /// Nothing follows what was said.
    ///
    /// # Errors
    /// The refusal; what waits may not go on.
    pub(in crate::gateway) fn says_no_more(&mut self) -> Result<(), Box<Problem>> {
        self.screened(|screen| if screen.is_sure() { Ok(()) } else { Err(screen.blocks()) })
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
        self.screens.iter().any(Screen::is_about_whole)
    }

    /// Whether a stream is held back until it is whole.
    pub(in crate::gateway) fn holds_streams(&self) -> bool {
        self.screens.iter().any(Screen::holds_streams)
    }

    /// Asks those who look at whole answers: about this one, or the stream that they heard.
    ///
    /// # Errors
    /// The refusal; nothing of it may go on.
    pub(in crate::gateway) async fn judged(&mut self, answer: Option<&[u8]>) -> Result<(), Box<Problem>> {
        let mut heard = Vec::new();
        for screen in &mut self.screens {
            if let View::Whole { hook, texts } = &mut screen.view {
                answer.into_iter().for_each(|answer| texts.add(answer));
                heard.push((screen.policy.clone(), hook.clone(), std::mem::take(texts).into_vec()));
            }
        }
        // An answer that says nothing, such as one that is still to be made, is nobody's concern.
        for (policy, hook, texts) in heard.into_iter().filter(|(.., texts)| !texts.is_empty()) {
            match hook.judge(self, "answer", &texts).await {
                Ok(Decided::Allowed) => {}
                // Who is asked the same later may find the guard there.
                Ok(Decided::Nothing) if policy.settings.shadow => {}
                Ok(Decided::Nothing) => self.held.retain(|held| !matches!(held, Held::Asked { .. })),
                Err(problem) => self.refused_on_the_way(&policy, problem)?,
            }
        }
        Ok(())
    }

    /// Refuses a stream that became too long to be held back, for the first who would have seen it whole.
    pub(in crate::gateway) fn too_long_to_hold(&mut self, most: usize) -> Result<(), Box<Problem>> {
        let Some(policy) = self.screens.iter().find(|screen| screen.holds_streams()).map(|one| one.policy.clone())
        else {
            return Ok(());
        };
        let detail =
            format!("The policy {} looks at whole answers, and this one is longer than {most} bytes.", policy.name);
        let problem = too_large(detail).with("policy", &*policy.name);
        self.refused_on_the_way(&policy, Box::new(problem))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::PolicyId;
    use crate::gateway::settings::{Content, Owner, PolicySettings, Rule};
    use serde_json::json;

    /// What a screen with this pattern says to these pieces of a text: `!` where it blocks, `?` where the next one decides.
    fn seen(pattern: &str, pieces: &[&str]) -> String {
        let policy = Settings {
            id: PolicyId::new(),
            owner: Owner::Instance,
            name: "p".to_owned(),
            revision: 1,
            settings: PolicySettings::new(Rule::Content(Content::default())),
        };
        let mut screen = Screen::of_texts(Arc::new(policy), Arc::new(Regex::new(pattern).unwrap()));
        let mut look = |piece: &&str| {
            let event = json!({"choices": [{"index": 0, "delta": {"content": piece}}]}).to_string();
            match screen.hears(event.as_bytes()) {
                Err(_) => '!',
                Ok(()) if screen.is_sure() => '.',
                Ok(()) => '?',
            }
        };
        pieces.iter().map(&mut look).collect()
    }

    #[test]
    fn a_match_counts_when_nothing_can_make_something_else_of_it() {
        assert_eq!(seen(r"\bass\b", &["an ", "ass", "ume", "d cl", "ass", " of ", "ass", "."]), ".?....?!");
        assert_eq!(seen("secret", &["se", "cre", "t", "s"]), "..?!");
        assert_eq!(seen("secret", &["a secret is"]), "!");
        assert_eq!(seen("end$", &["the end", " is near, the end"]), "??");
    }

    #[test]
    fn where_the_window_begins_is_no_begin_of_the_text() {
        let long: Vec<String> = (0..3_000).map(|n| ["cl", "ass", "es "][n % 3].to_owned()).collect();
        let long: Vec<&str> = long.iter().map(String::as_str).collect();
        assert!(!seen(r"\bass", &long).contains(['!', '?']));
        assert!(!seen("^(ass|es)", &long).contains(['!', '?']));
        let joined = [&"x".repeat(JOINED - 3)[..], "abc", "def"];
        assert!(seen("xabcdef", &joined).ends_with(['!', '?']), "and what is joined is seen");
        let key = format!("BEGIN {} END", "k".repeat(2 * JOINED));
        assert_eq!(seen("BEGIN [k]+ END", &["the key: ", &key, "."]), ".?!", "what matched is not cut");
    }
}
