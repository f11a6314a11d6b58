//! What a story leaves behind, removed when the thread that ran it ends: many stories need little room on the disk.

use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

#[derive(Default)]
struct Leavings(Vec<Box<dyn FnOnce()>>);

thread_local! {
    static LEAVINGS: RefCell<Leavings> = RefCell::default();
}

/// Does `remove` when this thread ends, which for a story is after its runtime and all that ran on it.
pub fn at_the_end(remove: impl FnOnce() + 'static) {
    LEAVINGS.with_borrow_mut(|leavings| leavings.0.push(Box::new(remove)));
}

impl Drop for Leavings {
    fn drop(&mut self) {
        while let Some(remove) = self.0.pop() {
            remove();
        }
    }
}

/// A new folder that the account of Postgres may enter; it goes with the story.
pub fn test_folder(purpose: &str) -> PathBuf {
    let folder = lasting_folder(purpose);
    let gone = folder.clone();
    // Its story may have removed it itself.
    at_the_end(move || _ = std::fs::remove_dir_all(gone));
    folder
}

/// As [`test_folder`], for what many stories use; its maker removes it.
pub fn lasting_folder(purpose: &str) -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("wharfinger-test-{}-{number}-{purpose}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}
