//! Which lane this thread is. What belongs to one lane, such as kept connections, is best used there: from another thread
//! each of its events would have to wake that one.

use std::cell::Cell;

thread_local! {
    static HERE: Cell<usize> = const { Cell::new(0) };
}

/// The number of this thread's lane; 0 of threads that are none.
#[must_use]
pub fn here() -> usize {
    HERE.get()
}

/// Makes this thread the lane of this number, which is not 0.
pub fn enter(number: usize) {
    HERE.set(number);
}
