//! Temporary.
#[path = "e2e/credentials.rs"]
mod credentials;
#[path = "e2e/matrix.rs"]
mod matrix;
#[path = "e2e/requests.rs"]
mod requests;
#[path = "e2e/scoped_lists.rs"]
mod scoped_lists;
#[path = "e2e/things.rs"]
mod things;
