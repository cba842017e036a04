//! What both databases have, each in its own type.

/// One of two, whichever database it is.
pub enum Either<S, P> {
    /// SQLite's.
    Sqlite(S),
    /// PostgreSQL's.
    Postgres(P),
}
