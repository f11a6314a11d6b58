//! Finding things: by words, by meaning, by facets, and only what the asker may see.
//!
//! [`Search::find`] reads the text ([`query`]), collects the evidence of words ([`lexical`]) and of meaning ([`vector`]),
//! ranks ([`rank`]) and shows ([`hits`]) what was found; [`Search::similar`] asks the same evidence for what is like an
//! asset. All that is ranked, filtered and counted stands in memory
//! ([`roster`]); the database is asked for cards only, through a cache that knows when they change, and its word on who
//! may see what is the last one. A follower ([`sync`]) keeps the memory equal to the catalog; vectors are made once for
//! all replicas by the queue ([`passages`]).
//!
//! A part that is missing is left out, and the answer says so: without a model, words decide; while the index of words
//! is being made, the database compares texts.

mod bookmark;
pub mod document;
mod fuse;
mod hits;
pub mod lexical;
mod passages;
mod plain;
pub mod query;
pub mod rank;
mod request;
pub mod roster;
mod similar;
mod status;
mod suggest;
mod sync;
pub mod vector;
pub mod words;

pub use request::{
    Degraded, Facet, FacetValue, Filters, Hit, MARK, Matched, Request, Results, Sort, Suggestion, Why, unmarked,
};
pub use similar::Similar;
pub use status::{Readiness, Status};

use crate::auth::{Actor, Permission, Scope};
use crate::base::{AssetId, Problem};
use crate::catalog::{Catalog, Mark};
use crate::embed::{Embedder, State};
use arc_swap::ArcSwapOption;
use lexical::Snapshot;
use query::{Filter, Parsed};
use rank::{Ask, Holdings, Ranking, Words};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Most assets the database compares texts of while there is no index.
const MOST_COMPARED: usize = 1_000;
/// Up to so many words, the last one may be unfinished.
const LONGEST_OPEN: usize = 4;
/// How far a replica's lag is counted.
const MOST_LAG: usize = 1_000;
/// How long a count of what is pending is good enough for a status page.
const PENDING_HOLDS: Duration = Duration::from_secs(1);

/// The verbs of the search; cheap to clone.
#[derive(Clone)]
pub struct Search(Arc<Inner>);

/// What all clones share.
struct Inner {
    catalog: Catalog,
    embedder: Embedder,
    /// Where indexes are kept.
    folder: PathBuf,
    holdings: RwLock<Holdings>,
    /// None while it is being made for the first time.
    index: ArcSwapOption<Snapshot>,
    hits: hits::Hits,
    follower: tokio::sync::Mutex<sync::Follower>,
    wake: Notify,
    is_loaded: AtomicBool,
    is_rebuilding: AtomicBool,
    /// A search met damage in the index.
    is_broken: AtomicBool,
    /// Settings are to be read at once.
    reindex: AtomicBool,
    /// Counts what was taken in.
    changes: AtomicU64,
    /// How far it was taken in.
    mark: RwLock<Mark>,
    pending: tokio::sync::Mutex<Option<(Instant, i64)>>,
}

impl Search {
    /// Indexes are kept below `folder`. Until [`Search::run`] or [`Search::catch_up`] has read the catalog, the database
    /// compares texts.
    #[must_use]
    pub fn new(catalog: Catalog, embedder: Embedder, folder: PathBuf) -> Self {
        Self(Arc::new(Inner {
            catalog,
            embedder,
            folder,
            holdings: RwLock::default(),
            index: ArcSwapOption::empty(),
            hits: hits::Hits::new(),
            follower: tokio::sync::Mutex::default(),
            wake: Notify::new(),
            is_loaded: AtomicBool::new(false),
            is_rebuilding: AtomicBool::new(false),
            is_broken: AtomicBool::new(false),
            reindex: AtomicBool::new(false),
            changes: AtomicU64::new(0),
            mark: RwLock::default(),
            pending: tokio::sync::Mutex::new(None),
        }))
    }

    /// Follows the catalog until `stop`; every replica does.
    pub async fn run(self, stop: CancellationToken) {
        sync::run(self.0, stop).await;
    }

    /// Takes in everything that is committed, and waits for an index that is being made. For tests and tools.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn catch_up(&self) -> anyhow::Result<()> {
        loop {
            let mut follower = self.0.follower.lock().await;
            if follower.step(&self.0).await? {
                continue;
            }
            if !follower.is_rebuilding() {
                return Ok(());
            }
            drop(follower);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// What fits the question and the actor may see.
    ///
    /// The total and the facets count what was found: everything that holds all the words, and what else reaches a fair
    /// part of the best score (`fuse.rs`). Each facet is counted with the filters of the other facets.
    ///
    /// # Errors
    /// 422 for a cursor that is none, or one of another question; 503 when the database does not answer.
    pub async fn find(&self, actor: &Actor, request: &Request) -> Result<Results, Problem> {
        let inner = &self.0;
        if !inner.is_loaded.load(Ordering::Acquire) {
            return plain::find(&inner.catalog, actor, request).await;
        }
        let parsed = query::parse(&request.text, |field| inner.holdings().roster.is_field(field));
        let filters = filters(request);
        let after = bookmark::read(request)?;
        let is_search = !parsed.text.trim().is_empty();

        let mut degraded = Vec::new();
        let vector = if is_search { inner.embedder.embed_query(&parsed.text).await.ok() } else { None };
        if is_search && vector.is_none() {
            degraded.push(Degraded::Semantic);
        }
        let sight = actor.sight();
        let index = inner.index.load_full();
        let compared = match &index {
            Some(_) => Vec::new(),
            None => {
                degraded.push(Degraded::Lexical);
                inner.compare_texts(sight, &parsed).await?
            }
        };
        let ask = Ask {
            parsed: &parsed,
            filters: &filters,
            sort: request.sort,
            is_open: is_open(&request.text),
            sight,
            words: index.as_deref().map_or(Words::Database(&compared), Words::Index),
            vector: vector.as_deref(),
            counts: true,
            after: after.as_ref(),
            limit: request.limit.0,
        };
        let ranking = inner.rank(&ask, &compared)?;

        let asked = hits::Asked::of(&ranking.words);
        let named = |ranked: &rank::Ranked| inner.operation(ranked);
        let items = inner.hits.of(&inner.catalog, sight, &ranking.page, &asked, named).await?;
        Ok(Results {
            items,
            facets: facets(&ranking, parsed.filters.iter().chain(&filters)),
            total: ranking.total,
            degraded,
            hints: parsed.hints.into_iter().map(|hint| hint.sentence()).collect(),
            next: ranking.next.map(|place| bookmark::cursor(request, place)),
        })
    }

    /// At most `limit` completions of a text that is being typed, of what the actor may see, likeliest first.
    #[must_use]
    pub fn suggest(&self, actor: &Actor, text: &str, limit: usize) -> Vec<Suggestion> {
        suggest::suggest(&self.0.holdings().roster, actor.sight(), text, limit)
    }

    /// What follows from assets having changed, once for all replicas: their vectors are made. Twice does no harm.
    ///
    /// # Errors
    /// When it should be tried again later.
    pub async fn on_assets_changed(&self, changed: &[AssetId]) -> anyhow::Result<()> {
        passages::make(&self.0.catalog, &self.0.embedder, changed).await?;
        self.0.wake.notify_one();
        Ok(())
    }

    /// How the parts of the search stand.
    ///
    /// # Errors
    /// 503 when the database does not answer.
    pub async fn status(&self) -> Result<Status, Problem> {
        let inner = &self.0;
        let state = inner.embedder.state();
        let lexical = match (inner.index.load().is_some(), inner.is_rebuilding.load(Ordering::Acquire)) {
            (_, true) => Readiness::Rebuilding,
            (true, false) => Readiness::Ready,
            (false, false) => Readiness::Loading,
        };
        let pending = inner.pending().await?;
        let lag = match inner.is_loaded.load(Ordering::Acquire) {
            true => inner.catalog.all_changes(inner.mark(), MOST_LAG).await?.len(),
            false => MOST_LAG,
        };
        let semantic = Readiness::of(&state);
        let reason = match state {
            State::Absent { reason } => Some(reason),
            State::Loading | State::Ready => None,
        };
        Ok(Status { lexical, semantic, reason, pending, lag })
    }

    /// Whether the catalog has been read and the index of words answers.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.0.is_loaded.load(Ordering::Acquire) && self.0.index.load().is_some()
    }

    /// Counts what this replica has taken in: an answer is as good as new while the number stands.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.0.changes.load(Ordering::Acquire)
    }

    /// Makes the index of words again on every replica, while the one before goes on answering, and tries vectors again
    /// that could not be made and were laid aside.
    ///
    /// # Errors
    /// 403 for everybody but administrators; 503 when the database does not answer.
    pub async fn reindex(&self, actor: &Actor) -> Result<(), Problem> {
        actor.require(Permission::ManageInstance, Scope::Instance)?;
        let (db, now) = (&self.0.catalog.db().write, self.0.catalog.clock().now());
        sync::ask_for_new_index(db).await?;
        let again = crate::queue::run_again(db, now).await?;
        tracing::info!(jobs = again, "The search is made again, with the work that was laid aside");
        self.0.reindex.store(true, Ordering::Release);
        self.0.wake.notify_one();
        Ok(())
    }
}

impl Inner {
    fn holdings(&self) -> RwLockReadGuard<'_, Holdings> {
        self.holdings.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn holdings_mut(&self) -> RwLockWriteGuard<'_, Holdings> {
        self.holdings.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn mark(&self) -> Mark {
        *self.mark.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_mark(&self, mark: Mark) {
        *self.mark.write().unwrap_or_else(PoisonError::into_inner) = mark;
    }

    fn set_loaded(&self) {
        self.is_loaded.store(true, Ordering::Release);
        self.count_change();
    }

    fn set_rebuilding(&self, is_rebuilding: bool) {
        self.is_rebuilding.store(is_rebuilding, Ordering::Release);
    }

    fn count_change(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
    }

    /// Ranks, and once more without the index when it turns out to be damaged; the follower then makes a new one.
    fn rank(&self, ask: &Ask<'_>, compared: &[AssetId]) -> Result<Ranking, Problem> {
        let rank = |ask: &Ask<'_>| {
            let outcome = catch_unwind(AssertUnwindSafe(|| self.holdings().rank(ask)));
            outcome.unwrap_or_else(|_| Err(lexical::Broken::Damaged("reading it failed".to_owned())))
        };
        rank(ask).or_else(|broken| {
            self.note_broken(&broken);
            rank(&Ask { words: Words::Database(compared), ..*ask }).map_err(|broken| {
                tracing::error!(error = %broken, "A search failed without the index too");
                Problem::internal()
            })
        })
    }

    /// Lets the follower make the index anew.
    fn note_broken(&self, broken: &lexical::Broken) {
        tracing::error!(error = %broken, "The index of words failed a search");
        self.is_broken.store(true, Ordering::Release);
        self.wake.notify_one();
    }

    /// The assets that hold every word by plain comparison in the database.
    async fn compare_texts(
        &self,
        sight: &crate::auth::Sight,
        parsed: &Parsed,
    ) -> Result<Vec<AssetId>, crate::catalog::Error> {
        let words: Vec<String> =
            parsed.text.split_whitespace().filter(|word| !words::is_filler(word)).take(12).map(str::to_owned).collect();
        if words.is_empty() {
            return Ok(Vec::new());
        }
        let cards = self.catalog.cards_containing(sight, &words, MOST_COMPARED).await?;
        Ok(cards.into_iter().map(|card| card.asset_id).collect())
    }

    /// The nearest operation of a ranked asset, with its similarity.
    fn operation(&self, ranked: &rank::Ranked) -> Option<(String, f32)> {
        let (place, similarity) = ranked.near?.operation?;
        Some((self.holdings().operation(ranked.id, place)?.to_owned(), similarity))
    }

    async fn pending(&self) -> Result<i64, Problem> {
        let mut pending = self.pending.lock().await;
        if let Some((at, count)) = *pending
            && at.elapsed() < PENDING_HOLDS
        {
            return Ok(count);
        }
        let count = passages::pending(&self.catalog.db().read, self.embedder.model()).await?;
        *pending = Some((Instant::now(), count));
        Ok(count)
    }
}

fn filters(request: &Request) -> Vec<Filter> {
    let all = request.filters.0.iter();
    all.flat_map(|(field, values)| values.iter().map(move |value| Filter::new(field, value))).collect()
}

/// Whether the last word may be the beginning of one: in a short text without a space after it.
fn is_open(text: &str) -> bool {
    !text.ends_with(char::is_whitespace) && text.split_whitespace().nth(LONGEST_OPEN).is_none()
}

/// The counts as the doors show them: values that are set come along even at zero.
fn facets<'a>(ranking: &Ranking, filters: impl Iterator<Item = &'a Filter>) -> Vec<Facet> {
    let set: Vec<&Filter> = filters.filter(|filter| !filter.is_negated).collect();
    let is_set = |field: &str, value: &str| {
        set.iter().any(|filter| filter.field == field && filter.value.to_lowercase() == value.to_lowercase())
    };
    let mut facets: Vec<Facet> = Vec::new();
    for counted in &ranking.facets {
        let value = |(value, count): &(String, u64)| {
            let selected = is_set(&counted.field, value);
            FacetValue { value: value.clone(), count: *count, selected }
        };
        facets.push(Facet { name: counted.field.clone(), values: counted.values.iter().map(value).collect() });
    }
    for filter in set {
        let place = facets.iter().position(|facet| facet.name == filter.field).unwrap_or_else(|| {
            facets.push(Facet { name: filter.field.clone(), values: Vec::new() });
            facets.len() - 1
        });
        let values = &mut facets[place].values;
        if !values.iter().any(|known| known.value.to_lowercase() == filter.value.to_lowercase()) {
            values.push(FacetValue { value: filter.value.clone(), count: 0, selected: true });
        }
    }
    facets
}
