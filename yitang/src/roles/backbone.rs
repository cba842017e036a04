//! The backbone between roles that run apart.

use std::sync::Arc;

use backbone::{Backbone, RedisBackbone, RedisOptions};

/// Starts connecting to Redis. That it is away is not an error: hints then do not come, and comments go on by polling.
///
/// # Errors
/// When the settings cannot be used.
pub fn connect(options: &RedisOptions) -> anyhow::Result<Arc<dyn Backbone>> {
    let redis = RedisBackbone::connect(options.clone()).map_err(|why| anyhow::anyhow!("redis.url: {why}"))?;
    Ok(Arc::new(redis))
}
