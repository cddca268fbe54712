use std::sync::Arc;

use breaker_core::{
    AlertPatch, AlertRules, Config, ConfigPatch, Resolved, Source, Sources, Violation,
};

use crate::live::OwnConfig;
use crate::policy::{Policy, PolicyRow};

/// The lowest layer of every breaker's configuration, below policies and own values.
#[derive(Clone, Debug)]
pub struct Defaults {
    patch: ConfigPatch,
    config: Arc<Config>,
    sources: Sources,
    warnings: Vec<Violation>,
    alerts: AlertPatch,
    /// Those over the built-in ones.
    alert_rules: AlertRules,
}

/// An effective configuration, and the layers that it comes from.
#[derive(Clone, Debug)]
pub(crate) struct Configured {
    /// Shared by all breakers of one policy that have no values of their own.
    pub(crate) config: Arc<Config>,
    /// The policy in force.
    pub(crate) policy: Option<Arc<Policy>>,
    /// What is the breaker's own, if anything.
    pub(crate) own: Option<Box<OwnConfig>>,
}

impl Configured {
    /// Where each value comes from.
    pub(crate) fn sources<'a>(&'a self, defaults: &'a Defaults) -> &'a Sources {
        match (&self.own, &self.policy) {
            (Some(own), _) => &own.sources,
            (None, Some(policy)) => &policy.sources,
            (None, None) => &defaults.sources,
        }
    }
}

impl Defaults {
    /// Merges the server's values over the built-in ones.
    ///
    /// # Errors
    /// Every value that was refused.
    pub fn new(patch: ConfigPatch) -> Result<Self, Vec<Violation>> {
        let Resolved { config, sources, warnings } = Config::resolve(&[(Source::Server, &patch)])?;
        let (alerts, alert_rules) = (AlertPatch::default(), AlertRules::default());
        Ok(Self { patch, config: Arc::new(config), sources, warnings, alerts, alert_rules })
    }

    /// With the server's rules of alerts.
    #[must_use]
    pub fn with_alerts(self, alerts: AlertPatch) -> Self {
        Self { alerts, alert_rules: AlertRules::settle([&alerts]), ..self }
    }

    /// The rules of alerts about breakers without a policy.
    pub const fn alert_rules(&self) -> &AlertRules {
        &self.alert_rules
    }

    /// The server's rules of alerts, over the built-in ones.
    pub(crate) const fn alerts(&self) -> &AlertPatch {
        &self.alerts
    }

    /// Values that are allowed and make no sense.
    pub fn warnings(&self) -> &[Violation] {
        &self.warnings
    }

    /// Every value, the built-in ones included.
    pub fn values(&self) -> ConfigPatch {
        self.config.to_patch()
    }

    /// The configuration of a breaker without one of its own.
    pub(crate) fn configured(&self, policy: Option<&Arc<Policy>>) -> Configured {
        let config = policy.map_or(&self.config, |policy| &policy.config);
        Configured { config: Arc::clone(config), policy: policy.cloned(), own: None }
    }

    /// Merges a breaker's own values over its policy's, and tells what is odd about them.
    ///
    /// # Errors
    /// Every value that was refused.
    pub(crate) fn with(
        &self,
        policy: Option<&Arc<Policy>>,
        own: ConfigPatch,
    ) -> Result<(Configured, Vec<Violation>), Vec<Violation>> {
        if own == ConfigPatch::default() {
            return Ok((self.configured(policy), Vec::new()));
        }
        let mut layers = vec![(Source::Server, &self.patch)];
        layers.extend(policy.map(|policy| (Source::Policy, &policy.values)));
        layers.push((Source::Breaker, &own));
        let Resolved { config, sources, warnings } = Config::resolve(&layers)?;
        let own = Some(Box::new(OwnConfig { patch: own, sources, is_in_force: true }));
        Ok((Configured { config: Arc::new(config), policy: policy.cloned(), own }, warnings))
    }

    /// The same for own values that were accepted once, and what is odd about them. If they do not
    /// go with the layers below any more they are left out, and kept: they are not the server's to
    /// forget.
    pub(crate) fn with_accepted(
        &self,
        policy: Option<&Arc<Policy>>,
        own: ConfigPatch,
    ) -> (Configured, Vec<Violation>) {
        self.with(policy, own.clone()).unwrap_or_else(|violations| {
            let mut configured = self.configured(policy);
            let sources = *configured.sources(self);
            let own = OwnConfig { patch: own, sources, is_in_force: false };
            configured.own = Some(Box::new(own));
            (configured, violations)
        })
    }

    /// Checks the values of a policy.
    ///
    /// # Errors
    /// Every value that would be refused.
    pub(crate) fn check(&self, policy: &ConfigPatch) -> Result<(), Vec<Violation>> {
        let layers = [(Source::Server, &self.patch), (Source::Policy, policy)];
        Config::resolve(&layers).map(|_| ())
    }

    /// Merges a policy's values over these.
    ///
    /// # Errors
    /// Every value that was refused.
    pub(crate) fn policy(&self, row: PolicyRow) -> Result<Policy, Vec<Violation>> {
        let layers = [(Source::Server, &self.patch), (Source::Policy, &row.spec.config)];
        let Resolved { config, sources, warnings } = Config::resolve(&layers)?;
        let (config, values) = (Arc::new(config), row.spec.config.clone());
        let alerts = AlertRules::settle([&self.alerts, &row.spec.alerts]);
        Ok(Policy { row, values, config, sources, warnings, alerts })
    }

    /// The same for a policy from storage. Values that these defaults have made invalid since are
    /// left out, not the policy.
    pub(crate) fn stored_policy(&self, row: PolicyRow) -> Policy {
        self.policy(row.clone()).unwrap_or_else(|violations| {
            tracing::warn!(
                policy = %row.name,
                ?violations,
                "the policy does not fit the server's defaults any more; its breakers run on the \
                 defaults"
            );
            let (config, sources) = (Arc::clone(&self.config), self.sources);
            let alerts = AlertRules::settle([&self.alerts, &row.spec.alerts]);
            let values = ConfigPatch::default();
            Policy { row, values, config, sources, warnings: violations, alerts }
        })
    }
}
