//! What is written down while the program runs: log lines and metrics.
//!
//! The field names shared by all log lines: `request.id`, `asset.id`, `actor.id`, `duration_ms`, `size_bytes`, `error`.

use crate::base::config::{LogFormat, Logging};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::{
    io::{self, Write},
    sync::{
        OnceLock,
        mpsc::{SyncSender, TrySendError, sync_channel},
    },
    time::Duration,
};
use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

/// Lines that may wait for a slow reader of the log; more are dropped and counted.
const LINES_WAITING: usize = 8_192;

/// Starts logging to standard error and the collecting of metrics. Once a process; a second call changes nothing.
pub fn start(logging: &Logging) {
    let filter = EnvFilter::try_new(&logging.log).unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(Lines::start(io::stderr()));
    let outcome = match logging.log_format {
        LogFormat::Text => lines.with_ansi(io::IsTerminal::is_terminal(&io::stderr())).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).try_init(),
    };
    if let Err(error) = outcome {
        tracing::debug!(error, "Logging was started before");
    }
    recorder();
}

/// Whether the text says what is to be logged.
pub(in crate::base) fn is_filter(text: &str) -> bool {
    EnvFilter::try_new(text).is_ok()
}

/// The metrics in Prometheus' text format.
#[must_use]
pub fn metrics() -> String {
    recorder().render()
}

/// The one recorder of the process, made when first asked for.
fn recorder() -> &'static PrometheusHandle {
    static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();
    const SECONDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
    RECORDER.get_or_init(|| {
        let builder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
            .expect("the list of buckets is not empty");
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::warn!("Metrics are collected by another recorder");
        }
        // What is measured is kept one by one until it is summed up, by a scrape or by this.
        let upkeep = handle.clone();
        std::thread::spawn(move || {
            loop {
                std::thread::sleep(Duration::from_secs(5));
                upkeep.run_upkeep();
            }
        });
        handle
    })
}

/// Hands lines to a thread that writes them: a log that nobody reads must not stop the program.
#[derive(Clone)]
struct Lines(SyncSender<Vec<u8>>);

impl Lines {
    fn start(mut sink: impl Write + Send + 'static) -> Self {
        let (sender, lines) = sync_channel::<Vec<u8>>(LINES_WAITING);
        std::thread::spawn(move || {
            for line in lines {
                // A closed log is no reason to stop either; there is nowhere to say so.
                if sink.write_all(&line).is_err() {
                    metrics::counter!("wharfinger_log_lines_dropped_total").increment(1);
                }
            }
        });
        Self(sender)
    }
}

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = self.0.try_send(line.to_vec()) {
            metrics::counter!("wharfinger_log_lines_dropped_total").increment(1);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;
    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    /// A sink that takes nothing, like a full pipe.
    struct Stuck;

    impl Write for Stuck {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            loop {
                std::thread::park();
            }
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_log_that_nobody_reads_stops_nobody() {
        let mut lines = Lines::start(Stuck);

        let begun = Instant::now();
        for _ in 0..LINES_WAITING * 2 {
            lines.write_all(b"a line\n").unwrap();
        }

        assert!(begun.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn what_is_counted_is_told() {
        recorder();
        metrics::counter!("wharfinger_told_total").increment(2);
        metrics::histogram!("wharfinger_told_seconds").record(0.003);

        let text = recorder().render();
        assert!(text.contains("wharfinger_told_total 2"), "{text}");
        assert!(text.contains("wharfinger_told_seconds_bucket{le=\"0.005\"} 1"), "{text}");
    }
}
