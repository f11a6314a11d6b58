use super::*;
use crate::gateway::settings::Span;
use proptest::prelude::*;

fn settings() -> BreakerSettings {
    BreakerSettings {
        count: Some(3),
        interval: Span::seconds(10),
        trip: Span::seconds(5),
        longest_trip: Span::seconds(60),
        ..BreakerSettings::default()
    }
}

/// A breaker with a clock of its own.
struct Story {
    breaker: Breaker,
    settings: BreakerSettings,
    begin: Instant,
    now: Instant,
}

impl Story {
    fn new(settings: BreakerSettings) -> Self {
        let begin = Instant::now();
        Self { breaker: Breaker::new(begin), settings, begin, now: begin }
    }
    fn after(&mut self, ms: u64) -> &mut Self {
        self.now += Duration::from_millis(ms);
        self
    }
    fn record(&mut self, pass: Pass, verdict: Verdict) -> &mut Self {
        self.breaker.record(&self.settings, pass, verdict, self.now, || "test".to_owned());
        self
    }
    fn bad(&mut self) -> &mut Self {
        self.record(Pass::Usual, Verdict::Bad { wait: None })
    }
    fn waits(&self) -> Option<u64> {
        self.breaker.opens_in(self.now).map(|wait| wait.as_millis() as u64)
    }
}

#[test]
fn it_opens_at_the_threshold_within_the_interval_and_not_before() {
    let mut story = Story::new(settings());
    story.bad().after(4_000).bad();
    assert_eq!(story.waits(), None);
    story.after(20_000).bad();
    assert_eq!(story.waits(), None, "the earlier ones are too old");
    story.bad().bad();
    assert_eq!(story.waits(), Some(5_000));
    assert!(story.breaker.pass(story.now).is_none());
}

#[test]
fn a_share_of_failures_opens_it_when_there_are_enough() {
    let mut story =
        Story::new(BreakerSettings { count: None, percentage: Some(50), minimum_requests: 5, ..settings() });
    story.bad().bad().bad().record(Pass::Usual, Verdict::Good);
    assert_eq!(story.waits(), None, "three of four, but four are few");
    story.bad();
    assert_eq!(story.waits(), Some(5_000));
}

#[test]
fn a_wait_that_the_backend_names_opens_at_once_and_only_ever_extends() {
    let wait = |ms| Verdict::Bad { wait: Some(Duration::from_millis(ms)) };
    let mut story = Story::new(settings());
    story.record(Pass::Usual, wait(20_000));
    assert_eq!(story.waits(), Some(20_000));
    story.after(1_000).record(Pass::Usual, wait(2_000));
    assert_eq!(story.waits(), Some(19_000), "a shorter one changes nothing");
    story.record(Pass::Usual, wait(30_000));
    assert_eq!(story.waits(), Some(30_000));
    story.record(Pass::Usual, wait(9_000_000));
    assert_eq!(story.waits(), Some(60_000), "none is believed that is longer than the settings allow");

    let mut deaf = Story::new(BreakerSettings { accept_retry_after: false, ..settings() });
    deaf.record(Pass::Usual, wait(20_000));
    assert_eq!(deaf.waits(), None);
}

#[test]
fn one_probe_decides() {
    let mut story = Story::new(settings());
    story.bad().bad().bad().after(5_000);
    assert_eq!(story.breaker.state(story.now), State::HalfOpen);

    assert_eq!(story.breaker.pass(story.now), Some(Pass::Probe));
    assert_eq!(story.breaker.pass(story.now), None, "one at a time");
    story.record(Pass::Usual, Verdict::Good);
    assert_eq!(story.breaker.pass(story.now), None, "an earlier request decides nothing");
    story.record(Pass::Probe, Verdict::Bad { wait: None });
    assert_eq!(story.waits(), Some(5_000));

    story.after(5_000);
    assert_eq!(story.breaker.pass(story.now), Some(Pass::Probe));
    story.record(Pass::Probe, Verdict::Unknown);
    assert_eq!(story.breaker.pass(story.now), Some(Pass::Probe), "given up: the next one may");
    story.record(Pass::Probe, Verdict::Good);
    assert_eq!(story.breaker.state(story.now), State::Closed);
    story.bad().bad();
    assert_eq!(story.waits(), None, "what was before is forgotten");
}

#[test]
fn a_wait_that_an_earlier_request_brings_during_the_probe_is_kept() {
    let wait = |ms| Verdict::Bad { wait: Some(Duration::from_millis(ms)) };
    for (of_the_probe, opens_in) in [
        (Verdict::Good, 20_000),
        (Verdict::Unknown, 20_000),
        (Verdict::Bad { wait: None }, 20_000),
        (wait(30_000), 30_000),
    ] {
        let mut story = Story::new(settings());
        story.bad().bad().bad().after(5_000);
        assert_eq!(story.breaker.pass(story.now), Some(Pass::Probe));

        story.record(Pass::Usual, wait(20_000)).record(Pass::Usual, wait(10_000));
        assert_eq!(story.waits(), Some(20_000));
        assert_eq!(story.breaker.pass(story.now), None, "the probe is still away");
        story.record(Pass::Probe, of_the_probe);

        assert_eq!(story.waits(), Some(opens_in), "{of_the_probe:?}");
        assert!(story.breaker.pass(story.now).is_none());
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Wait(u64),
    /// A request sets out.
    Begin,
    /// One of those under way returns.
    End(usize, Verdict),
}

fn step() -> impl Strategy<Value = Step> {
    let verdict = prop_oneof![
        Just(Verdict::Good),
        prop::option::of(0_u64..30_000).prop_map(|wait| Verdict::Bad { wait: wait.map(Duration::from_millis) }),
        Just(Verdict::Unknown),
    ];
    prop_oneof![
        (0_u64..4_000).prop_map(Step::Wait),
        Just(Step::Begin),
        (0_usize..8, verdict).prop_map(|(which, verdict)| Step::End(which, verdict)),
    ]
}

proptest! {
    /// Whatever happens in whatever order: nothing passes within a wait that was named, the end of a trip never moves
    /// nearer, at most one probe is away, and once all waits are over and answers are good it closes.
    #[test]
    fn it_keeps_its_word(steps in prop::collection::vec(step(), 1..200)) {
        let mut story = Story::new(settings());
        let mut closed_until = story.begin;
        let mut under_way: Vec<Pass> = Vec::new();
        for step in steps {
            let before = match story.breaker.state(story.now) { State::Open { until } => Some(until), _ => None };
            match step {
                Step::Wait(ms) => {
                    story.after(ms);
                    continue;
                }
                Step::Begin => match story.breaker.pass(story.now) {
                    Some(pass) => {
                        prop_assert!(story.now >= closed_until, "passed within a named wait");
                        under_way.push(pass);
                    }
                    None => prop_assert!(story.breaker.opens_in(story.now).is_some()),
                },
                Step::End(which, verdict) => {
                    if under_way.is_empty() {
                        continue;
                    }
                    let pass = under_way.swap_remove(which % under_way.len());
                    story.record(pass, verdict);
                    if let Verdict::Bad { wait: Some(wait) } = verdict {
                        closed_until = closed_until.max(story.now + wait);
                    }
                }
            }
            let probes = under_way.iter().filter(|pass| **pass == Pass::Probe).count();
            prop_assert!(probes <= 1, "two probes away");
            if let (Some(before), State::Open { until }) = (before, story.breaker.state(story.now)) {
                prop_assert!(until >= before, "the end of a trip moved nearer");
            }
        }
        for pass in under_way {
            story.record(pass, Verdict::Unknown);
        }
        story.after(60_000);
        let pass = story.breaker.pass(story.now);
        prop_assert!(pass.is_some());
        story.record(pass.unwrap(), Verdict::Good);
        prop_assert_eq!(story.breaker.state(story.now), State::Closed);
    }
}

#[test]
fn trips_are_remembered_and_one_that_is_extended_stays_one() {
    let wait = |ms| Verdict::Bad { wait: Some(Duration::from_millis(ms)) };
    let mut story = Story::new(settings());
    story.record(Pass::Usual, wait(5_000)).after(1_000).record(Pass::Usual, wait(9_000));
    let begin = story.begin;
    let trips = |story: &Story| {
        story.breaker.trips().iter().map(|trip| (trip.at - begin, trip.until - begin)).collect::<Vec<_>>()
    };
    assert_eq!(trips(&story), [(Duration::ZERO, Duration::from_secs(10))]);

    for _ in 0..40 {
        story.after(60_000);
        assert_eq!(story.breaker.pass(story.now), Some(Pass::Probe));
        story.record(Pass::Probe, Verdict::Bad { wait: None });
    }

    let last = trips(&story);
    assert_eq!(last.len(), TRIPS);
    assert_eq!(last.last().unwrap().0, story.now - begin);
}
