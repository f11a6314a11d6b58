//! Cargo does not see that the migrations are built in (`sqlx::migrate!`); this tells it to look.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
