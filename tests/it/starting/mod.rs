//! Starting: the private Postgres, migrations, and what a first start does.

mod database;
mod migrations;
mod private_postgres;
