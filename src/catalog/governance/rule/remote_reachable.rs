//! Whether an MCP server answers where it says that it runs.

use super::super::{Rule, Subject, Verdict, few};

pub struct RemoteReachable;

impl Rule for RemoteReachable {
    fn name(&self) -> &'static str {
        "remote-reachable"
    }

    fn question(&self) -> &'static str {
        "Does the running server answer?"
    }

    fn check(&self, subject: &Subject) -> Verdict {
        if !subject.is_mcp || subject.remotes.is_empty() {
            return Verdict::skipped("It names no address that can be asked.");
        }
        let silent: Vec<String> = subject
            .remotes
            .iter()
            .filter_map(|remote| remote.answer.as_ref().err().map(|why| format!("{}: {why}", remote.url)))
            .collect();
        if !silent.is_empty() {
            let help = "Start it, or correct its address. One that wants a credential cannot be asked from here.";
            return Verdict::warned(few(&silent), help);
        }
        let told = subject.remotes.iter().filter_map(|remote| {
            let answer = remote.answer.as_ref().ok()?;
            Some(format!("{} speaks {} and lists {} tools", remote.url, answer.protocol, answer.tools.len()))
        });
        Verdict::passed(few(&told.collect::<Vec<_>>()))
    }
}
