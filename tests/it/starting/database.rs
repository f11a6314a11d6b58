//! What a slow, busy or contended database means for who asks it.

use crate::support::fresh_database;
use std::time::{Duration, Instant};
use wharfinger::base::{Config, Database, OnConstraint, Problem, db};

async fn database() -> Database {
    let config = Config::from_sources(Some("database_connections = 2\ndatabase_lock_timeout = '5s'"), []).unwrap();
    Database::new(fresh_database().await, &config.storage)
}

#[tokio::test]
async fn transactions_that_deadlock_are_run_again_until_both_are_done() {
    let db = database().await;
    sqlx::raw_sql("create table account (id int primary key, n int); insert into account values (1, 0), (2, 0)")
        .execute(&db.write)
        .await
        .unwrap();

    let crossing = |first: i32, second: i32| {
        let pool = db.write.clone();
        async move {
            db::retried(|| async {
                let mut tx = pool.begin().await?;
                for id in [first, second] {
                    sqlx::query("update account set n = n + 1 where id = $1").bind(id).execute(&mut *tx).await?;
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                tx.commit().await
            })
            .await
        }
    };
    let (one, other) = tokio::join!(crossing(1, 2), crossing(2, 1));

    one.unwrap();
    other.unwrap();
    let total: i64 = sqlx::query_scalar("select sum(n) from account").fetch_one(&db.read).await.unwrap();
    assert_eq!(total, 4);
}

#[tokio::test]
async fn a_full_pool_is_answered_503_in_time() {
    let db = database().await;
    let _held = (db.write.acquire().await.unwrap(), db.write.acquire().await.unwrap());

    let begun = Instant::now();
    let problem = Problem::from(db.write.acquire().await.map(|_| ()).unwrap_err());

    assert!(begun.elapsed() < Duration::from_secs(3));
    assert_eq!(problem.status.as_u16(), 503);
    assert!(problem.retry_after.is_some());
    db.ping().await.expect("reads have connections of their own");
}

#[tokio::test]
async fn the_pool_for_reads_refuses_writes() {
    let db = database().await;

    let error = sqlx::query("create table t (n int)").execute(&db.read).await.unwrap_err();

    assert_eq!(error.as_database_error().unwrap().code().unwrap(), "25006");
}

#[tokio::test]
async fn a_broken_constraint_gets_its_meaning_and_no_other_error_does() {
    let db = database().await;
    sqlx::raw_sql("create table named (n int constraint named_once unique, m int not null)")
        .execute(&db.write)
        .await
        .unwrap();
    let insert = |m: Option<i32>| sqlx::query("insert into named values (1, $1)").bind(m).execute(&db.write);
    let taken = || Problem::conflict("taken", "taken");

    insert(Some(1)).await.unwrap();

    let twice: Problem = insert(Some(1)).await.on_constraint("named_once", taken).unwrap_err();
    let other: Problem = insert(None).await.on_constraint("named_once", taken).unwrap_err();
    assert_eq!((twice.kind, other.status.as_u16()), ("taken", 500));
}

#[tokio::test]
async fn a_waiter_is_woken_by_a_notification_and_by_nothing_else() {
    let db = database().await;
    let mut wakeups = db::Wakeups::new(db.write.clone(), "harbour");
    wakeups.next(Duration::from_secs(5)).await;

    let begun = Instant::now();
    wakeups.next(Duration::from_millis(200)).await;
    assert!(begun.elapsed() >= Duration::from_millis(200), "nothing was notified");

    sqlx::raw_sql("notify harbour").execute(&db.write).await.unwrap();
    let begun = Instant::now();
    wakeups.next(Duration::from_secs(5)).await;
    assert!(begun.elapsed() < Duration::from_secs(2));
}
