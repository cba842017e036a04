//! Real servers for tests: PostgreSQL, Redis, a Redis Cluster; started on free ports, gone with the test.

mod child;
mod eventually;
pub mod faults;
mod ports;
mod postgres;
mod redis;
mod storage;
pub mod topology;

pub use child::Child;
pub use eventually::eventually;
pub use ports::free_port;
pub use postgres::Postgres;
pub use redis::{Redis, RedisCluster};
pub use storage::Storage;
