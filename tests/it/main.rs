//! The one integration binary: each module tells stories of one door or one part, named as what is promised.

mod server_json;
mod starting;
mod support;
