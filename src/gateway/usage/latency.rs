//! How long requests took, kept as counts by bucket: eight buckets make a doubling, so a percentile is right to 5 %.

/// The percentiles of served requests, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latencies {
    pub p50: i64,
    pub p99: i64,
}

/// The bucket of a request that took so long.
pub(super) fn bucket(milliseconds: u64) -> i32 {
    (8.0 * (milliseconds as f64 + 1.0).log2()).floor() as i32
}

/// The middle of a bucket in milliseconds.
fn middle(bucket: i32) -> i64 {
    (2f64.powf((f64::from(bucket) + 0.5) / 8.0) - 1.0).round() as i64
}

impl Latencies {
    /// Of (bucket, requests) in the order of the buckets.
    pub(super) fn of(buckets: &[(i32, i64)]) -> Self {
        let total: i64 = buckets.iter().map(|(_, requests)| requests).sum();
        let at = |percent: i64| {
            let wanted = (total * percent + 99) / 100;
            let mut below = 0;
            let found = buckets.iter().find(|(_, requests)| {
                below += requests;
                below >= wanted
            });
            found.map_or(0, |(bucket, _)| middle(*bucket))
        };
        Self { p50: at(50), p99: at(99) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_come_from_the_buckets() {
        let latencies = Latencies::of(&[(bucket(100), 98), (bucket(2_000), 2)]);

        assert!((94..=106).contains(&latencies.p50), "{latencies:?}");
        assert!((1_880..=2_120).contains(&latencies.p99), "{latencies:?}");
        assert_eq!(Latencies::of(&[]), Latencies::default());
    }

    #[test]
    fn a_buckets_middle_lies_in_it() {
        // Below, buckets are narrower than two milliseconds, and the middle is a whole one.
        for milliseconds in (20..100_000).step_by(7) {
            assert_eq!(bucket(middle(bucket(milliseconds)).unsigned_abs()), bucket(milliseconds), "{milliseconds}");
        }
    }
}
