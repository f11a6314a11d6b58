//! The program: everything is in the library.

use std::process::ExitCode;

// Many small allocations of many threads: requests, JSON, index segments.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    wharfinger::app::cli::run()
}
