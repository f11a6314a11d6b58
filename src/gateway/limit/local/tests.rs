//! The promises of counters in this process.

use super::super::{Limit, Measure, Spent, Whose};
use super::*;
use crate::base::Sealed;
use crate::gateway::settings::Period;
use time::macros::datetime;

fn clock() -> Clock {
    Clock::fixed(datetime!(2026-03-01 12:00 UTC))
}

fn limit(measure: Measure, span: Span, most: u64) -> Arc<Limit> {
    Arc::new(Limit::new("p1", "per-key", measure, span, most, false))
}

fn ask(limit: &Arc<Limit>) -> Vec<Ask> {
    vec![Ask { limit: limit.clone(), value: "bot".into(), whose: Whose::default() }]
}

fn tokens(input: u64, output: u64) -> Expected {
    Expected { input, output, ..Expected::default() }
}

fn spent(input: u64, output: u64) -> Spent {
    Spent { input, output, ..Spent::default() }
}

#[test]
fn what_is_reserved_is_taken_and_what_is_settled_counts() {
    let (limits, minute) = (Limits::new(clock()), limit(Measure::Tokens, Span::MINUTE, 1_000));

    let first = limits.reserve_now(tokens(100, 500), &ask(&minute)).unwrap();
    let second = limits.reserve_now(tokens(100, 500), &ask(&minute)).unwrap_err();
    assert_eq!((second.why, second.reserved), (Why::InFlight, 600));

    first.settle(spent(100, 50));
    let third = limits.reserve_now(tokens(100, 500), &ask(&minute)).unwrap();
    assert_eq!(third.standings[0].remaining, 1_000 - 150 - 600);
}

#[test]
fn what_was_spent_is_free_after_a_minute_and_says_when() {
    let (clock, minute) = (clock(), limit(Measure::Tokens, Span::MINUTE, 1_000));
    let limits = Limits::new(clock.clone());
    limits.reserve_now(tokens(900, 0), &ask(&minute)).unwrap().settle(spent(900, 0));

    clock.advance(Duration::from_secs(10));
    let refusal = limits.reserve_now(tokens(200, 0), &ask(&minute)).unwrap_err();
    assert_eq!((refusal.why, refusal.used, refusal.retry_after.as_secs()), (Why::Spent, 900, 51));

    clock.advance(refusal.retry_after);
    assert!(limits.reserve_now(tokens(200, 0), &ask(&minute)).is_ok());
}

#[test]
fn a_dropped_reservation_counts_in_full_and_a_released_one_not_at_all() {
    let (limits, minute) = (Limits::new(clock()), limit(Measure::Tokens, Span::MINUTE, 1_000));

    drop(limits.reserve_now(tokens(100, 300), &ask(&minute)).unwrap());
    assert_eq!(limits.counters()[0].used, 400);

    limits.reserve_now(tokens(100, 300), &ask(&minute)).unwrap().release();
    assert_eq!((limits.counters()[0].used, limits.counters()[0].reserved), (400, 0));
}

#[test]
fn several_limits_are_taken_together_or_not_at_all() {
    let limits = Limits::new(clock());
    let (wide, narrow) = (limit(Measure::Tokens, Span::MINUTE, 1_000), limit(Measure::Requests, Span::MINUTE, 1));
    let both: Vec<Ask> = [ask(&wide), ask(&narrow)].concat();

    let first = limits.reserve_now(tokens(10, 0), &both).unwrap();
    let refusal = limits.reserve_now(tokens(10, 0), &both).unwrap_err();

    assert_eq!(refusal.limit.measure, Measure::Requests);
    let view = limits.counters().into_iter().find(|view| view.limit == wide).unwrap();
    assert_eq!(view.reserved, 10, "the refused request left nothing behind");
    first.release();
}

#[test]
fn what_is_certain_is_refused_for_good_and_what_is_expected_is_cut_to_the_limit() {
    let (limits, minute) = (Limits::new(clock()), limit(Measure::Tokens, Span::MINUTE, 1_000));

    assert_eq!(limits.reserve_now(tokens(1_001, 0), &ask(&minute)).unwrap_err().why, Why::TooLarge);
    let whole = limits.reserve_now(tokens(100, 5_000), &ask(&minute)).unwrap();
    assert_eq!(whole.holds().next().unwrap().3, 1_000);
    whole.release();
}

#[test]
fn a_quota_carries_its_debt_and_tells_what_to_keep() {
    let (clock, day) = (clock(), limit(Measure::Tokens, Span::Fixed(Period::Day), 1_000));
    let limits = Limits::new(clock.clone());

    let kept = limits.reserve_now(tokens(100, 100), &ask(&day)).unwrap().settle(spent(100, 1_400));
    assert_eq!((kept[0].amount, kept[0].start), (1_500, datetime!(2026-03-01 0:00 UTC)));

    clock.advance(Duration::from_secs(86_400));
    assert_eq!(limits.counters()[0].used, 500);
}

#[test]
fn a_quota_goes_on_where_an_earlier_process_ended() {
    let (limits, day) = (Limits::new(clock()), limit(Measure::Tokens, Span::Fixed(Period::Day), 1_000));
    let [ask] = ask(&day).try_into().unwrap();
    limits.restore(ask.key(), datetime!(2026-03-01 0:00 UTC), 950);

    let refusal = limits.reserve_now(tokens(100, 0), &[ask]).unwrap_err();

    assert_eq!((refusal.used, refusal.status().as_u16()), (950, 403));
    assert_eq!(refusal.retry_after, Duration::from_secs(12 * 3_600));
}

#[test]
fn a_debt_of_an_earlier_process_is_taken_into_the_running_period() {
    let (limits, day) = (Limits::new(clock()), limit(Measure::Tokens, Span::Fixed(Period::Day), 1_000));
    let [ask] = ask(&day).try_into().unwrap();
    for (start, used) in [
        (datetime!(2026-02-20 0:00 UTC), 5_000),
        (datetime!(2026-02-28 0:00 UTC), 1_300),
        (datetime!(2026-03-01 0:00 UTC), 600),
    ] {
        limits.restore(ask.key(), start, used);
    }

    let refusal = limits.reserve_now(tokens(200, 0), &[ask]).unwrap_err();

    assert_eq!(refusal.used, 900, "today's, and what yesterday went over");
}

#[test]
fn shadow_tells_and_lets_through() {
    let limits = Limits::new(clock());
    let shadow = Arc::new(Limit { shadow: true, ..(*limit(Measure::Requests, Span::MINUTE, 1)).clone() });

    limits.reserve_now(tokens(1, 0), &ask(&shadow)).unwrap().settle(spent(1, 0));
    let second = limits.reserve_now(tokens(1, 0), &ask(&shadow)).unwrap();

    assert_eq!(second.shadowed[0].why, Why::Spent);
    second.release();
}

#[test]
fn at_once_counts_only_what_is_under_way() {
    let (limits, two) = (Limits::new(clock()), limit(Measure::Requests, Span::AtOnce, 2));

    let first = limits.reserve_now(tokens(1, 0), &ask(&two)).unwrap();
    let second = limits.reserve_now(tokens(1, 0), &ask(&two)).unwrap();
    assert_eq!(limits.reserve_now(tokens(1, 0), &ask(&two)).unwrap_err().why, Why::InFlight);

    first.settle(spent(1, 1));
    drop(second);
    let again = [limits.reserve_now(tokens(1, 0), &ask(&two)), limits.reserve_now(tokens(1, 0), &ask(&two))];
    assert!(again.iter().all(Result::is_ok));
}

#[test]
fn a_reply_that_grows_takes_room_before_it_ends() {
    let (limits, minute) = (Limits::new(clock()), limit(Measure::Tokens, Span::MINUTE, 1_000));
    let mut long = limits.reserve_now(tokens(100, 100), &ask(&minute)).unwrap();

    long.grow(800);

    assert_eq!(limits.reserve_now(tokens(10, 0), &ask(&minute)).unwrap_err().reserved, 1_100);
    long.settle(spent(100, 800));
    assert_eq!(limits.counters()[0].used, 900);
}

#[tokio::test]
async fn who_is_kept_out_by_reservations_alone_waits_for_them() {
    let (limits, minute) = (Limits::new(clock()), limit(Measure::Tokens, Span::MINUTE, 1_000));
    let first = limits.reserve_now(tokens(100, 800), &ask(&minute)).unwrap();

    let waiting = {
        let (limits, asks) = (limits.clone(), ask(&minute));
        tokio::spawn(async move { limits.reserve(tokens(100, 100), asks, Duration::from_secs(60)).await })
    };
    tokio::task::yield_now().await;
    first.settle(spent(100, 100));

    waiting.await.unwrap().expect("there is room now").release();
}

#[tokio::test]
async fn waiting_has_an_end_and_is_in_order() {
    let (limits, one) = (Limits::new(clock()), limit(Measure::Requests, Span::AtOnce, 1));
    let first = limits.reserve_now(tokens(1, 0), &ask(&one)).unwrap();
    let wait = |patience: u64| {
        let (limits, asks) = (limits.clone(), ask(&one));
        async move { limits.reserve(tokens(1, 0), asks, Duration::from_millis(patience)).await }
    };

    let (short, long) = (tokio::spawn(wait(50)), tokio::spawn(wait(10_000)));
    let refusal = short.await.unwrap().unwrap_err();
    assert_eq!(refusal.why, Why::InFlight);

    // The one who left does not keep the other from being called; a newcomer comes behind it.
    let late = tokio::spawn(wait(20_000));
    tokio::task::yield_now().await;
    drop(first);
    let held = long.await.unwrap().unwrap();
    assert!(!late.is_finished());
    drop(held);
    late.await.unwrap().unwrap().release();
}

#[tokio::test]
async fn who_gave_up_waiting_keeps_nobody_from_what_is_free() {
    let (limits, minute) = (Limits::new(clock()), limit(Measure::Tokens, Span::MINUTE, 1_000));
    let _held = limits.reserve_now(tokens(600, 0), &ask(&minute)).unwrap();
    let wait = |input: u64, patience: u64| {
        let (limits, asks) = (limits.clone(), ask(&minute));
        tokio::spawn(async move { limits.reserve(tokens(input, 0), asks, Duration::from_millis(patience)).await })
    };

    let (large, small) = (wait(500, 50), wait(100, 60_000));
    assert_eq!(large.await.unwrap().unwrap_err().why, Why::InFlight);
    small.await.unwrap().expect("it fits as soon as the one before it has left").release();

    assert_eq!(wait(500, 50).await.unwrap().unwrap_err().why, Why::InFlight);
    wait(100, 50).await.unwrap().expect("nobody waits any more").release();
}

#[tokio::test]
async fn a_call_that_nobody_hears_is_passed_on() {
    let (limits, one) = (Limits::new(clock()), limit(Measure::Requests, Span::AtOnce, 1));
    let first = limits.reserve_now(tokens(1, 0), &ask(&one)).unwrap();
    let mut gone = Box::pin(limits.reserve(tokens(1, 0), ask(&one), Duration::from_secs(60)));
    assert!(futures::poll!(&mut gone).is_pending());
    let (there, asks) = (limits.clone(), ask(&one));
    let next = tokio::spawn(async move { there.reserve(tokens(1, 0), asks, Duration::from_secs(60)).await });
    tokio::task::yield_now().await;

    drop(first);
    drop(gone);

    next.await.unwrap().unwrap().release();
}

#[test]
fn many_at_once_never_take_more_than_there_is() {
    let (limits, minute) = (Limits::new(clock()), limit(Measure::Tokens, Span::MINUTE, 10_000));
    let served = std::sync::atomic::AtomicU64::new(0);

    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..200 {
                    if let Ok(reservation) = limits.reserve_now(tokens(24, 200), &ask(&minute)) {
                        served.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        reservation.settle(spent(24, 200));
                    }
                }
            });
        }
    });

    assert_eq!(served.into_inner(), 10_000 / 224);
}

#[test]
fn idle_counters_are_forgotten() {
    let (clock, minute) = (clock(), limit(Measure::Tokens, Span::MINUTE, 100));
    let limits = Limits::new(clock.clone());
    for n in 0..1_000 {
        let asks = [Ask { limit: minute.clone(), value: n.to_string().into(), whose: Whose::default() }];
        limits.reserve_now(tokens(1, 0), &asks).unwrap().settle(spent(1, 0));
    }

    assert_eq!(limits.sweep(), 1_000);
    clock.advance(Duration::from_secs(61));
    assert_eq!(limits.sweep(), 0);
}

/// Counters whose store is never reached, of which this replica was given `free` for these requests.
fn leased(clock: &Clock, asks: &[Ask], free: u64) -> Limits {
    let shared = Shared::new(&Sealed::new("redis://127.0.0.1:1".to_owned()), WhenAway::Share).unwrap();
    let limits = Limits::shared(clock.clone(), shared);
    limits.reserve_now(Expected::default(), asks).unwrap().release();
    give(&limits, asks, free);
    limits
}

/// As the store does when it is asked.
fn give(limits: &Limits, asks: &[Ask], more: u64) {
    let (key, now) = (asks[0].key(), limits.now());
    let mut shard = limits.shard(key);
    let lease = shard.get_mut(&key).unwrap().lease.as_mut().unwrap();
    lease.lapse(now);
    lease.free += more;
    lease.renewed_at = now.monotonic;
}

/// What is free of the lease, and what was spent and not told yet.
fn lease(limits: &Limits, asks: &[Ask]) -> (u64, u64) {
    let key = asks[0].key();
    let shard = limits.shard(key);
    let lease = shard.get(&key).unwrap().lease.as_ref().unwrap();
    (lease.free, lease.untold)
}

#[tokio::test]
async fn a_reply_that_grew_leaves_of_the_lease_what_it_did_not_use() {
    // 536 are expected and 4,000 used.
    for (given, grown, settled) in [(10_000, 10_000 - 5_023, 6_000), (600, 0, 0)] {
        let asks = ask(&limit(Measure::Tokens, Span::MINUTE, 100_000));
        let limits = leased(&clock(), &asks, given);
        let mut long = limits.reserve_now(tokens(36, 500), &asks).unwrap();

        long.grow(3_990);
        assert_eq!(lease(&limits, &asks), (grown, 0), "of {given}, when it grew");

        long.settle(spent(36, 3_964));
        assert_eq!(lease(&limits, &asks), (settled, 4_000), "of {given}, when it ended");
    }
}

#[tokio::test]
async fn a_reply_that_grew_and_used_little_gives_back_no_more_than_it_took() {
    let asks = ask(&limit(Measure::Tokens, Span::MINUTE, 100_000));
    let limits = leased(&clock(), &asks, 600);
    let mut long = limits.reserve_now(tokens(36, 500), &asks).unwrap();

    long.grow(3_990);
    long.settle(spent(36, 64));

    assert_eq!(lease(&limits, &asks), (500, 100));
}

#[tokio::test]
async fn a_lease_is_the_same_whether_the_store_was_away_when_a_request_began_or_ended() {
    for away_first in [true, false] {
        let (clock, asks) = (clock(), ask(&limit(Measure::Tokens, Span::MINUTE, 100_000)));
        let limits = leased(&clock, &asks, 1_000);
        let pause = async || {
            assert_eq!(limits.store_answers().await, Some(false));
            assert!(limits.mode(limits.now()) == Mode::Share(1));
        };

        if away_first {
            pause().await;
        }
        let reservation = limits.reserve_now(tokens(36, 500), &asks).unwrap();
        match away_first {
            true => clock.advance(Duration::from_secs(2)),
            false => pause().await,
        }
        reservation.settle(spent(36, 64));

        assert_eq!(lease(&limits, &asks), (900, 100), "away first: {away_first}");
    }
}

#[tokio::test]
async fn a_lease_that_ran_out_is_neither_used_nor_given_back() {
    let (clock, asks) = (clock(), ask(&limit(Measure::Tokens, Span::MINUTE, 100_000)));
    let limits = leased(&clock, &asks, 1_000);
    let reservation = limits.reserve_now(tokens(36, 64), &asks).unwrap();

    clock.advance(Duration::from_secs(11));
    assert_eq!(limits.reserve_now(tokens(36, 64), &asks).unwrap_err().why, Why::InFlight);
    give(&limits, &asks, 300);
    reservation.settle(spent(36, 4));

    assert_eq!(lease(&limits, &asks), (260, 40));
}

#[tokio::test]
async fn a_limit_in_shadow_gives_back_no_more_than_it_took() {
    let shadow = Arc::new(Limit { shadow: true, ..(*limit(Measure::Tokens, Span::MINUTE, 100_000)).clone() });
    let asks = ask(&shadow);
    let limits = leased(&clock(), &asks, 100);

    let reservation = limits.reserve_now(tokens(36, 500), &asks).unwrap();
    assert_eq!((reservation.shadowed.len(), lease(&limits, &asks)), (1, (0, 0)));
    reservation.release();

    assert_eq!(lease(&limits, &asks), (100, 0));
}
