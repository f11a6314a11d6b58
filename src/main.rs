//! The program: everything is in the library.

use std::process::ExitCode;

#[global_allocator]
static HEAP: wharfinger::base::Heap = wharfinger::base::Heap;

fn main() -> ExitCode {
    wharfinger::app::cli::run()
}
