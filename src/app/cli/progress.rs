//! Progress where no terminal shows a bar: lines on standard error, now and then.

use std::io::IsTerminal;

/// A line is written whenever so many more are done.
const STEP: u64 = 1_000;

/// Counts up to the next line.
pub(super) struct Steps {
    next: u64,
}

impl Steps {
    pub(super) fn new() -> Self {
        Self { next: STEP }
    }

    /// Whether another thousand was passed since this was last so.
    pub(super) fn passed(&mut self, done: u64) -> bool {
        let is_passed = done >= self.next;
        if is_passed {
            self.next = done - done % STEP + STEP;
        }
        is_passed
    }
}

/// Writes a line to standard error, unless that is a terminal.
pub(super) fn tell(line: &str) {
    if !std::io::stderr().is_terminal() {
        eprintln!("{line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thousand_is_told_once_whatever_the_batches() {
        let mut steps = Steps::new();
        let told: Vec<u64> =
            [250, 999, 1_003, 1_900, 4_700, 4_999, 5_000].into_iter().filter(|n| steps.passed(*n)).collect();

        assert_eq!(told, [1_003, 4_700, 5_000]);
    }
}
