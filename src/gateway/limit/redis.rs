//! Counters that replicas share through Redis or Valkey.
//!
//! A replica does not ask for each request. It holds a lease: a part of what is free, given to it in one atomic step, of
//! which it admits requests by itself; it tells what was spent with the next step. What all replicas hold and what was spent
//! never exceeds the limit, so nothing is admitted twice. A lease that is not renewed runs out and counts as spent: a
//! replica that was killed may have used it. A store that comes up empty takes over what the first replica to ask was
//! last told.

use super::{CounterKey, Limit, Span, tick_ms};
use crate::base::Sealed;
use crate::gateway::redis_link::RedisLink;
use redis::{ErrorKind, RedisError};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How long a lease lasts that is not renewed.
pub(super) const LEASE: Duration = Duration::from_secs(10);

/// What a replica does when the shared counters do not answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenAway {
    /// It goes on with its share of each limit: the limit by the number of replicas.
    #[default]
    Share,
    /// It refuses what its leases do not cover.
    Refuse,
}

/// The counters in Redis.
pub struct Shared {
    link: RedisLink,
    script: redis::Script,
    /// Names this process among the replicas.
    replica: String,
    when_away: WhenAway,
    /// How many replicas held leases when it last answered.
    replicas: AtomicU64,
    trips: AtomicU64,
}

/// What is told and asked of one counter.
#[derive(Clone, Debug)]
pub(super) struct Tell {
    pub key: CounterKey,
    pub limit: Arc<Limit>,
    /// What somebody needs room for; 0 to tell only.
    pub amount: u64,
    /// Spent since the last telling.
    pub spent: u64,
    /// Still held: reserved by requests under way, and kept for the next.
    pub held: u64,
    /// The least that helps beside what is held, and what would be good to have; 0 to ask for nothing.
    pub need: u64,
    pub want: u64,
    /// What is known to count, for the case that the store has not heard of it, or has lost it.
    pub floor: u64,
}

/// The answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    pub granted: u64,
    /// What all replicas spent in the span, with the debt.
    pub used: u64,
    /// What others hold.
    pub others: u64,
    /// How long until some of what was spent stops to count.
    pub frees_in: Duration,
}

/// One step for any number of counters. Each has eight arguments; time is Redis' own, which all replicas share. That goes
/// for periods of the calendar too: a replica whose clock is wrong must not begin one before the others do.
const SCRIPT: &str = r"
local time = redis.call('TIME')
local seconds = tonumber(time[1])
local now = seconds * 1000 + math.floor(time[2] / 1000)

-- The longest that periods last, in seconds, and when the one that holds a moment began, in UTC.
local longest = { hour = 3600, day = 86400, week = 604800, month = 2678400 }
local function period_start(period, at)
  -- 1970 began on a Thursday, and weeks begin on Mondays.
  if period == 'week' then return at - (at - 345600) % 604800 end
  if period ~= 'month' then return at - at % longest[period] end
  -- Howard Hinnant's civil_from_days: years are counted from March, so that a leap day comes last.
  local day = math.floor(at / 86400)
  local of_era = (day + 719468) % 146097
  local leaps = math.floor(of_era / 36524) - math.floor(of_era / 1460) - math.floor(of_era / 146096)
  local year = math.floor((of_era + leaps) / 365)
  local of_year = of_era - 365 * year - math.floor(year / 4) + math.floor(year / 100)
  local month = math.floor((5 * of_year + 2) / 153)
  local of_month = of_year - math.floor((153 * month + 2) / 5)
  return (day - of_month) * 86400
end

local answer = {}
for n = 1, #KEYS do
  local a = (n - 1) * 8
  local kind, length = ARGV[a + 1], tonumber(ARGV[a + 2])
  local most, me = tonumber(ARGV[a + 3]), ARGV[a + 4]
  local spent, held = tonumber(ARGV[a + 5]), tonumber(ARGV[a + 6])
  local need, want = tonumber(string.match(ARGV[a + 7], '^(%d+):')), tonumber(string.match(ARGV[a + 7], ':(%d+)$'))
  local floor, lease = tonumber(string.match(ARGV[a + 8], '^(%d+):')), tonumber(string.match(ARGV[a + 8], ':(%d+)$'))

  if redis.call('TYPE', KEYS[n]).ok ~= 'hash' then redis.call('DEL', KEYS[n]) end
  local stored = redis.call('HGETALL', KEYS[n])
  local parts, holds, ends, debt, used, began = {}, {}, {}, 0, 0, false
  for i = 1, #stored, 2 do
    local kind_of, rest, value = string.sub(stored[i], 1, 1), string.sub(stored[i], 2), stored[i + 1]
    if kind_of == 's' then parts[#parts + 1] = { tonumber(rest), tonumber(value) }
    elseif kind_of == 'h' then holds[rest] = tonumber(value)
    elseif kind_of == 'e' then ends[rest] = tonumber(value)
    elseif kind_of == 'd' then debt = tonumber(value)
    elseif kind_of == 'u' then used = tonumber(value)
    elseif kind_of == 'p' then began = tonumber(value) end
  end

  local others = 0
  for who, amount in pairs(holds) do
    if who ~= me then
      if (ends[who] or 0) < now then
        -- Nobody renews it: what was held may have been used.
        if kind ~= 'once' then spent = spent + amount end
        holds[who], ends[who] = nil, nil
      else
        others = others + amount
      end
    end
  end

  local frees = 0
  if kind == 'window' then
    -- Who knows of use that this store does not know of has told it to one that was lost.
    if #stored == 0 then spent = spent + floor end
    local tick = math.max(1, math.ceil(length / 60))
    table.sort(parts, function(x, y) return x[1] < y[1] end)
    local first, total = 1, 0
    for i = 1, #parts do total = total + parts[i][2] end
    local function put(at, amount)
      if amount <= 0 then return end
      total = total + amount
      local last = parts[#parts]
      if last and #parts >= first and last[1] >= at then last[2] = last[2] + amount
      else parts[#parts + 1] = { at, amount } end
    end
    while parts[first] and (parts[first][1] + 61) * tick <= now do
      local gone = parts[first]
      first = first + 1
      total = total - gone[2]
      local paid = math.min(debt, gone[2])
      debt = debt - paid
      put(gone[1] + 61, paid)
    end
    local fits = math.max(0, math.min(spent, most - total))
    debt = debt + spent - fits
    put(math.floor(now / tick), fits)
    local kept = {}
    for i = first, #parts do kept[#kept + 1] = parts[i] end
    parts = kept
    used = total + debt
    if parts[1] then frees = (parts[1][1] + 61) * tick - now end
  elseif longest[kind] then
    local start = period_start(kind, seconds)
    if not began then used, began = floor, start
    -- Redis' clock was put back. A little is waited for, so that no period begins twice; after more, what was used counts
    -- in the period that runs now, so that nothing stands still until the kept one comes.
    elseif began > seconds + 300 then began = start end
    while began < start do
      used = math.max(0, used - most)
      began = period_start(kind, began + longest[kind])
    end
    used = used + spent
    frees = period_start(kind, began + longest[kind]) * 1000 - now
  else
    used = 0
  end

  local free = most - used - others - held
  local granted = 0
  if need > 0 and free >= need then granted = math.min(want, math.max(need, math.floor(free / 4))) end
  holds[me], ends[me] = held + granted, now + lease

  redis.call('DEL', KEYS[n])
  local fields = {}
  local function field(name, value) fields[#fields + 1] = name fields[#fields + 1] = string.format('%.0f', value) end
  if kind == 'window' then
    for i = 1, #parts do field('s' .. string.format('%.0f', parts[i][1]), parts[i][2]) end
    if debt > 0 then field('d', debt) end
  elseif longest[kind] then
    field('u', used)
    field('p', began)
  end
  local replicas = 0
  for who, amount in pairs(holds) do
    replicas = replicas + 1
    field('h' .. who, amount)
    field('e' .. who, ends[who])
  end
  if #fields > 0 then
    redis.call('HSET', KEYS[n], unpack(fields))
    -- Until nothing counts any more, with the debt of a period in the next one.
    local keep = longest[kind] and longest[kind] * 2000 + 86400000 or math.max(length * 2, lease * 2)
    redis.call('PEXPIRE', KEYS[n], string.format('%.0f', keep))
  end
  answer[n] = { granted, used, others, frees, replicas }
end
return answer
";

impl Shared {
    /// Counters at this address; it is connected when first asked.
    ///
    /// # Errors
    /// When the address cannot be read.
    pub fn new(url: &Sealed<String>, when_away: WhenAway) -> redis::RedisResult<Self> {
        Ok(Self {
            link: RedisLink::new(url, "counters of limits")?,
            script: redis::Script::new(SCRIPT),
            replica: uuid::Uuid::now_v7().simple().to_string(),
            when_away,
            replicas: AtomicU64::new(1),
            trips: AtomicU64::new(0),
        })
    }

    /// Whether it is left alone at this moment because it did not answer.
    pub(super) fn is_away(&self, monotonic: Duration) -> bool {
        self.link.is_away(monotonic)
    }

    /// Whether it answers now.
    pub(super) async fn answers(&self, monotonic: Duration) -> bool {
        self.link.answers(monotonic).await
    }

    pub(super) fn when_away(&self) -> WhenAway {
        self.when_away
    }

    /// How many replicas there were when it last answered; at least one.
    pub(super) fn replicas(&self) -> u64 {
        self.replicas.load(Ordering::Relaxed).max(1)
    }

    /// How often it was asked.
    #[must_use]
    pub fn trips(&self) -> u64 {
        self.trips.load(Ordering::Relaxed)
    }

    /// Tells and asks, all in one step. None when it does not answer: what was told then counts as not told, and is told
    /// again, so that an answer that was lost on its way makes a limit stricter and never wider.
    pub(super) async fn ask(&self, tells: &[Tell], monotonic: Duration) -> Option<Vec<Told>> {
        self.trips.fetch_add(1, Ordering::Relaxed);
        metrics::counter!("wharfinger_limit_store_trips_total").increment(1);
        let mut call = self.script.prepare_invoke();
        for tell in tells {
            let (kind, length) = match tell.limit.span {
                Span::Sliding(ms) => ("window", tick_ms(ms) * super::window::TICKS),
                Span::AtOnce => ("once", 0),
                Span::Fixed(period) => (period.as_str(), 0),
            };
            call.key(format!("wharfinger:{{limit}}:{}", tell.key.to_hex()));
            call.arg(kind).arg(length).arg(tell.limit.most.min(1 << 52)).arg(&self.replica);
            call.arg(tell.spent).arg(tell.held);
            call.arg(format!("{}:{}", tell.need, tell.want)).arg(format!("{}:{}", tell.floor, LEASE.as_millis()));
        }
        let asked = self.link.ask(monotonic, async |mut connection| {
            let rows = call.invoke_async::<Vec<(u64, u64, u64, i64, u64)>>(&mut connection).await?;
            match rows.len() == tells.len() {
                true => Ok::<_, RedisError>(rows),
                false => Err(RedisError::from((ErrorKind::UnexpectedReturnType, "it answers something else"))),
            }
        });
        let Some(rows) = asked.await else {
            metrics::counter!("wharfinger_limit_store_errors_total").increment(1);
            return None;
        };
        let replicas = rows.iter().map(|row| row.4).max().unwrap_or(1);
        self.replicas.store(replicas.max(1), Ordering::Relaxed);
        let told = |(granted, used, others, frees, _): (u64, u64, u64, i64, u64)| Told {
            granted,
            used,
            others,
            frees_in: Duration::from_millis(u64::try_from(frees).unwrap_or(0)),
        };
        Some(rows.into_iter().map(told).collect())
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("when_away", &self.when_away).finish_non_exhaustive()
    }
}
