//! Answers kept in this process, bounded by bytes; the oldest go first.

use super::Question;
use super::answer::{CacheStatus, Found, Looked, Purge, Stored, similarity};
use crate::embed::Vector;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// Questions of one partition that are compared by meaning; the oldest go first.
const COMPARED: usize = 2_000;

pub(super) struct Local {
    most_bytes: usize,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    partitions: HashMap<[u8; 16], Partition>,
    /// Partition and number of each answer, oldest first.
    order: VecDeque<([u8; 16], u64)>,
    bytes: usize,
    next: u64,
}

#[derive(Default)]
struct Partition {
    exact: HashMap<[u8; 16], u64>,
    answers: HashMap<u64, Answered>,
    /// Those that can be compared by meaning, oldest first.
    compared: VecDeque<u64>,
}

struct Answered {
    question: Question,
    vector: Option<Vector>,
    stored: Arc<Stored>,
    /// On the monotonic clock.
    at: Duration,
    expires: Duration,
    bytes: usize,
}

impl Local {
    pub(super) fn new(most_bytes: usize) -> Self {
        Self { most_bytes, kept: Mutex::default() }
    }

    pub(super) fn look(&self, question: &Question, now: Duration) -> Looked {
        let kept = self.lock();
        let Some(partition) = kept.partitions.get(&question.partition) else { return Looked::Nothing };
        let same = partition.exact.get(&question.exact).and_then(|number| partition.answers.get(number));
        match same.filter(|answered| answered.expires > now) {
            Some(answered) => Looked::Same(answered.found(1.0, true, now)),
            None if partition.compared.is_empty() => Looked::Nothing,
            None => Looked::Others,
        }
    }

    /// Of those at least as near as `threshold`, the nearest.
    pub(super) fn nearest(&self, question: &Question, vector: &Vector, threshold: f32, now: Duration) -> Option<Found> {
        let kept = self.lock();
        let partition = kept.partitions.get(&question.partition)?;
        let near = partition.compared.iter().filter_map(|number| {
            let answered = partition.answers.get(number)?;
            if answered.expires <= now || answered.question.wording != question.wording {
                return None;
            }
            let similarity = similarity(answered.vector.as_ref()?, vector);
            (similarity >= threshold).then_some((similarity, answered))
        });
        let (similarity, answered) = near.max_by(|a, b| a.0.total_cmp(&b.0))?;
        Some(answered.found(similarity, false, now))
    }

    /// Keeps an answer for `ttl`, for the same question; gives the number by which others can be compared with it. Too large
    /// a one is not kept.
    pub(super) fn keep(&self, question: Question, stored: Stored, ttl: Duration, now: Duration) -> Option<u64> {
        let bytes = stored.bytes();
        if bytes > self.most_bytes / 8 {
            return None;
        }
        let mut kept = self.lock();
        let number = kept.next;
        kept.next += 1;
        let partition = kept.partitions.entry(question.partition).or_default();
        let replaced = partition.exact.insert(question.exact, number);
        let place = question.partition;
        let answered =
            Answered { question, vector: None, stored: Arc::new(stored), at: now, expires: now + ttl, bytes };
        partition.answers.insert(number, answered);
        kept.order.push_back((place, number));
        kept.bytes += bytes;
        if let Some(replaced) = replaced {
            kept.remove(place, replaced);
        }
        while kept.bytes > self.most_bytes
            && let Some((place, number)) = kept.order.pop_front()
        {
            kept.remove(place, number);
        }
        Some(number)
    }

    /// Lets other questions of its partition be compared with an answer that was kept.
    pub(super) fn compare(&self, place: [u8; 16], number: u64, vector: Vector) {
        let mut kept = self.lock();
        let Some(partition) = kept.partitions.get_mut(&place) else { return };
        let Some(answered) = partition.answers.get_mut(&number) else { return };
        answered.vector = Some(vector);
        partition.compared.push_back(number);
        if partition.compared.len() > COMPARED
            && let Some(oldest) = partition.compared.front().copied()
        {
            kept.remove(place, oldest);
        }
    }

    /// Gives how many went.
    pub(super) fn purge(&self, which: &Purge) -> usize {
        self.remove_where(|Answered { stored, .. }| which.takes(&stored.route, &stored.asset, &stored.key))
    }

    /// Removes what has expired.
    pub(super) fn sweep(&self, now: Duration) -> usize {
        self.remove_where(|answered| answered.expires <= now)
    }

    pub(super) fn status(&self) -> CacheStatus {
        let kept = self.lock();
        let answers = kept.partitions.values().map(|partition| partition.answers.len()).sum();
        CacheStatus { answers, bytes: kept.bytes }
    }

    fn remove_where(&self, fits: impl Fn(&Answered) -> bool) -> usize {
        let mut kept = self.lock();
        let gone: Vec<_> = kept
            .partitions
            .iter()
            .flat_map(|(place, partition)| {
                let fits = &fits;
                let numbers = partition.answers.iter().filter(move |(_, answered)| fits(answered));
                numbers.map(|(number, _)| (*place, *number))
            })
            .collect();
        for (place, number) in &gone {
            kept.remove(*place, *number);
        }
        kept.tidy();
        gone.len()
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().expect("no holder of this lock can panic")
    }
}

impl Kept {
    fn remove(&mut self, place: [u8; 16], number: u64) {
        let Some(partition) = self.partitions.get_mut(&place) else { return };
        let Some(answered) = partition.answers.remove(&number) else { return };
        self.bytes -= answered.bytes;
        if partition.exact.get(&answered.question.exact) == Some(&number) {
            partition.exact.remove(&answered.question.exact);
        }
        if answered.vector.is_some() {
            partition.compared.retain(|other| *other != number);
        }
        if partition.answers.is_empty() {
            self.partitions.remove(&place);
        }
    }

    /// Lets go of places in the order whose answers went for another reason than their age.
    fn tidy(&mut self) {
        let partitions = &self.partitions;
        let there = |place: &[u8; 16], number: &u64| {
            partitions.get(place).is_some_and(|partition| partition.answers.contains_key(number))
        };
        self.order.retain(|(place, number)| there(place, number));
    }
}

impl Answered {
    fn found(&self, similarity: f32, is_exact: bool, now: Duration) -> Found {
        Found { stored: self.stored.clone(), similarity, is_exact, age: now.saturating_sub(self.at) }
    }
}
