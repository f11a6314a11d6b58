//! Where counters lie: in shards, each behind a lock of its own.

use super::super::CounterKey;
use super::Limits;
use super::counter::Counter;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::MutexGuard;

pub(super) const SHARDS: usize = 64;

pub(super) type Shard = HashMap<CounterKey, Counter, BuildHasherDefault<AlreadyHashed>>;

impl Limits {
    pub(super) fn shard(&self, key: CounterKey) -> MutexGuard<'_, Shard> {
        self.0.shards[place(key)].lock().expect("no holder of this lock can panic")
    }

    /// All counters at once: what is checked and what is taken must be the same moment. Always in the same order, so
    /// that two requests never wait for each other.
    pub(super) fn lock_all(&self, keys: &[CounterKey]) -> Locked<'_> {
        let mut places: Vec<usize> = keys.iter().map(|key| place(*key)).collect();
        places.sort_unstable();
        places.dedup();
        let lock = |place: usize| (place, self.0.shards[place].lock().expect("no holder of this lock can panic"));
        Locked(places.into_iter().map(lock).collect())
    }
}

pub(super) struct Locked<'a>(Vec<(usize, MutexGuard<'a, Shard>)>);

impl Locked<'_> {
    pub(super) fn counter(&mut self, key: CounterKey, new: impl FnOnce() -> Counter) -> &mut Counter {
        let place = place(key);
        let (_, shard) = self.0.iter_mut().find(|(at, _)| *at == place).expect("the shards of all keys are locked");
        shard.entry(key).or_insert_with(new)
    }
}

fn place(key: CounterKey) -> usize {
    (key.0 >> 120) as usize % SHARDS
}

/// Counter keys are hashes already.
#[derive(Default)]
pub(super) struct AlreadyHashed(u64);

impl Hasher for AlreadyHashed {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 ^= u64::from_le_bytes(word);
        }
    }
    fn write_u128(&mut self, key: u128) {
        self.0 = key as u64;
    }
}
