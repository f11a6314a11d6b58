//! Migrations run once, whoever asks and however many ask.

use crate::support::fresh_database;
use sqlx::ConnectOptions;
use wharfinger::base::db;

#[tokio::test]
async fn five_replicas_that_migrate_at_once_all_succeed() {
    let options = fresh_database().await;
    let mut conn = options.connect().await.unwrap();
    sqlx::raw_sql("drop schema public cascade; create schema public").execute(&mut conn).await.unwrap();

    let replicas = (0..5).map(|_| db::migrate(&options));
    let outcomes = futures::future::join_all(replicas).await;

    for outcome in outcomes {
        outcome.unwrap();
    }
    let twice: i64 = sqlx::query_scalar("select count(*) - count(distinct version) from _sqlx_migrations")
        .fetch_one(&mut conn)
        .await
        .unwrap();
    assert_eq!(twice, 0);
}

#[tokio::test]
async fn a_release_tolerates_the_schema_of_the_next_one() {
    let options = fresh_database().await;
    let mut conn = options.connect().await.unwrap();
    sqlx::raw_sql(
        "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
         values (9999, 'of a later release', true, '', 0)",
    )
    .execute(&mut conn)
    .await
    .unwrap();

    db::migrate(&options).await.unwrap();
}
