use std::sync::Arc;

use breaker_core::{Config, ConfigPatch, Resolved, Source, Sources, Violation};

use crate::live::OwnConfig;

/// The configuration of breakers that have none of their own, and the layer below those that do.
#[derive(Clone, Debug)]
pub struct Defaults {
    patch: ConfigPatch,
    config: Arc<Config>,
    sources: Sources,
}

/// An effective configuration, and what of it is a breaker's own, if anything.
pub(crate) type Configured = (Arc<Config>, Option<Box<OwnConfig>>);

impl Defaults {
    /// Merges the server's values over the built-in ones.
    ///
    /// # Errors
    /// Every value that was refused.
    pub fn new(patch: ConfigPatch) -> Result<Self, Vec<Violation>> {
        let Resolved { config, sources, .. } = Config::resolve(&[(Source::Server, &patch)])?;
        Ok(Self { patch, config: Arc::new(config), sources })
    }

    /// The configuration of a breaker without one of its own.
    pub(crate) fn configured(&self) -> Configured {
        (Arc::clone(&self.config), None)
    }

    pub(crate) const fn sources(&self) -> &Sources {
        &self.sources
    }

    /// Every value, the built-in ones included.
    pub fn values(&self) -> ConfigPatch {
        self.config.to_patch()
    }

    /// Merges a breaker's own values over these defaults.
    pub(crate) fn with(&self, own: ConfigPatch) -> Result<Configured, Vec<Violation>> {
        if own == ConfigPatch::default() {
            return Ok(self.configured());
        }
        let layers = [(Source::Server, &self.patch), (Source::Breaker, &own)];
        let Resolved { config, sources, .. } = Config::resolve(&layers)?;
        Ok((Arc::new(config), Some(Box::new(OwnConfig { patch: own, sources }))))
    }
}
