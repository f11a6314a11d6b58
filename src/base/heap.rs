//! The allocator: mimalloc, for the many small allocations of many threads that requests, JSON and index segments make.

use libmimalloc_sys::{
    mi_free, mi_malloc, mi_malloc_aligned, mi_realloc, mi_realloc_aligned, mi_zalloc, mi_zalloc_aligned,
};
use std::alloc::{GlobalAlloc, Layout};

/// What mimalloc aligns each allocation to that is no shorter itself (`MI_MAX_ALIGN_SIZE`).
const GUARANTEED: usize = 16;

/// mimalloc, asked for an alignment only where it would not give it anyway: that takes it three times as long, and those who
/// free such memory, too. The allocator of the crate `mimalloc` always asks.
pub struct Heap;

fn is_given_anyway(align: usize, size: usize) -> bool {
    align <= GUARANTEED && align <= size
}

// SAFETY: each function gives what its namesake of mimalloc gives, whose contract is that of `malloc`, `calloc`, `realloc`,
// `free` and their aligned siblings: null when there is no memory, else a block of its own of the size and, as above, the
// alignment of the layout. All of them may be mixed, and none unwinds.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let (size, align) = (layout.size(), layout.align());
        // SAFETY: they take any size, and any power of two to align to, which a layout's is.
        let block =
            unsafe { if is_given_anyway(align, size) { mi_malloc(size) } else { mi_malloc_aligned(size, align) } };
        block.cast()
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let (size, align) = (layout.size(), layout.align());
        // SAFETY: as in `alloc`.
        let block =
            unsafe { if is_given_anyway(align, size) { mi_zalloc(size) } else { mi_zalloc_aligned(size, align) } };
        block.cast()
    }

    unsafe fn dealloc(&self, block: *mut u8, _: Layout) {
        // SAFETY: the caller has it from one of the others, and gives it back once.
        unsafe { mi_free(block.cast()) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let align = layout.align();
        // SAFETY: as in `dealloc`; the new block is aligned as in `alloc`.
        let block = unsafe {
            match is_given_anyway(align, size) {
                true => mi_realloc(block.cast(), size),
                false => mi_realloc_aligned(block.cast(), size, align),
            }
        };
        block.cast()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).expect("a power of two, and no size near the end of memory")
    }

    #[test]
    fn every_layout_gets_a_block_of_its_alignment_that_keeps_what_is_in_it_when_it_grows_and_shrinks() {
        for align in (0..=8).map(|power| 1 << power) {
            for size in (1..200).chain([1_000, 1_024, 1_025, 4_096, 70_000, 3_000_000]) {
                let wanted = layout(size, align);
                for other in [size / 2 + 1, size + 1, size * 3] {
                    // SAFETY: no size is zero, each block is freed once, and nothing is read beyond the shorter of two blocks.
                    unsafe {
                        let block = Heap.alloc_zeroed(wanted);
                        assert_eq!((block.is_null(), block.addr() % align), (false, 0), "{wanted:?}");
                        assert_eq!((*block, *block.add(size - 1)), (0, 0));
                        block.write_bytes(7, size);
                        let block = Heap.realloc(block, wanted, other);
                        assert_eq!((block.is_null(), block.addr() % align), (false, 0), "{wanted:?} to {other}");
                        assert_eq!((*block, *block.add(size.min(other) - 1)), (7, 7));
                        Heap.dealloc(block, layout(other, align));
                        let block = Heap.alloc(wanted);
                        assert_eq!((block.is_null(), block.addr() % align), (false, 0), "{wanted:?}");
                        Heap.dealloc(block, wanted);
                    }
                }
            }
        }
    }
}
