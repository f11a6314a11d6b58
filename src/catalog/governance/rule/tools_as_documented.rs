//! Whether the running server lists the tools that are registered.
//!
//! A server that offers more than its document says is used for more than was looked at.

use super::super::{Rule, Subject, Verdict, few};

pub struct ToolsAsDocumented;

impl Rule for ToolsAsDocumented {
    fn name(&self) -> &'static str {
        "tools-as-documented"
    }

    fn question(&self) -> &'static str {
        "Does the running server list the tools that are registered?"
    }

    fn check(&self, subject: &Subject) -> Verdict {
        let answers: Vec<_> = subject.remotes.iter().filter_map(|remote| remote.answer.as_ref().ok()).collect();
        if !subject.is_mcp || answers.is_empty() {
            return Verdict::skipped("No running server was asked.");
        }
        let described = |tool: &serde_json::Value| tool["description"].as_str().unwrap_or_default().trim().to_owned();
        if subject.tools.is_empty() {
            let listed: Vec<String> = answers[0].tools.iter().map(|(name, _)| name.clone()).collect();
            return Verdict::passed(format!("None are registered; it lists {}.", few(&listed)));
        }
        let mut odd = Vec::new();
        for answer in answers {
            for (name, tool) in &answer.tools {
                match subject.tools.iter().find(|(known, _)| known == name) {
                    None => odd.push(format!("{name} is not registered")),
                    Some((_, known)) if described(known) != described(tool) => {
                        odd.push(format!("{name} is described otherwise"));
                    }
                    Some(_) => {}
                }
            }
            for (name, _) in &subject.tools {
                if !answer.tools.iter().any(|(listed, _)| listed == name) {
                    odd.push(format!("{name} is not listed by the server"));
                }
            }
        }
        odd.dedup();
        if odd.is_empty() {
            return Verdict::passed(format!("The same {} tools.", subject.tools.len()));
        }
        Verdict::warned(few(&odd), "Register what the server really offers, or run what was registered.")
    }
}
