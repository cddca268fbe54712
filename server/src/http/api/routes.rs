//! Which request of HTTP is which RPC.

use axum::http::Method;

/// How a request is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Get,
    Post,
    Patch,
    Delete,
}

/// Whether a request leaves everything as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Reads,
    Changes,
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Route {
    pub(crate) verb: Verb,
    /// The path below `/api/v1/`, with at most one field of the request in braces. It may hold
    /// slashes.
    pub(crate) template: &'static str,
    /// `SERVICE.METHOD`.
    pub(crate) rpc: &'static str,
    pub(crate) effect: Effect,
}

/// Where fields of a request come from besides the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fields {
    /// All of them from the query.
    Query,
    /// All of them from the body.
    Body,
    /// From the body, and from the query which of them to take over.
    BodyAndMask,
}

/// Every RPC that HTTP serves, in the order in which people read about them.
pub(crate) const ROUTES: &[Route] = &[
    changing(Verb::Post, "acquire", "BreakerService.Acquire"),
    changing(Verb::Post, "report", "BreakerService.Report"),
    get("watch", "BreakerService.Watch"),
    get("breakers", "BreakerAdmin.ListBreakers"),
    changing(Verb::Post, "breakers", "BreakerAdmin.CreateBreaker"),
    reading(Verb::Post, "breakers:batchGet", "BreakerAdmin.BatchGetBreakers"),
    changing(Verb::Post, "breakers:forceOpen", "BreakerAdmin.ForceOpen"),
    changing(Verb::Post, "breakers:forceClose", "BreakerAdmin.ForceClose"),
    changing(Verb::Post, "breakers:disable", "BreakerAdmin.Disable"),
    changing(Verb::Post, "breakers:shadow", "BreakerAdmin.Shadow"),
    changing(Verb::Post, "breakers:release", "BreakerAdmin.Release"),
    changing(Verb::Post, "breakers:trip", "BreakerAdmin.Trip"),
    changing(Verb::Post, "breakers:reset", "BreakerAdmin.Reset"),
    get("breakers/{name}", "BreakerAdmin.GetBreaker"),
    changing(Verb::Patch, "breakers/{name}", "BreakerAdmin.UpdateBreaker"),
    changing(Verb::Delete, "breakers/{name}", "BreakerAdmin.DeleteBreaker"),
    get("policies", "BreakerAdmin.ListPolicies"),
    changing(Verb::Post, "policies", "BreakerAdmin.CreatePolicy"),
    get("policies/{name}", "BreakerAdmin.GetPolicy"),
    changing(Verb::Patch, "policies/{name}", "BreakerAdmin.UpdatePolicy"),
    changing(Verb::Delete, "policies/{name}", "BreakerAdmin.DeletePolicy"),
    get("config/{name}", "BreakerAdmin.ExplainConfig"),
    changing(Verb::Post, "apply", "BreakerAdmin.Apply"),
    get("transitions", "BreakerAdmin.ListTransitions"),
    get("transitions:watch", "BreakerAdmin.WatchTransitions"),
    get("health", "BreakerMonitor.GetHealthSummary"),
    get("dashboard", "BreakerMonitor.GetDashboard"),
    get("activity/{name}", "BreakerMonitor.GetBreakerActivity"),
    get("alerts", "BreakerMonitor.ListAlerts"),
    get("alerts:watch", "BreakerMonitor.WatchAlerts"),
    changing(Verb::Post, "alerts/{id}:acknowledge", "BreakerMonitor.AcknowledgeAlert"),
];

const fn get(template: &'static str, rpc: &'static str) -> Route {
    reading(Verb::Get, template, rpc)
}

const fn reading(verb: Verb, template: &'static str, rpc: &'static str) -> Route {
    Route { verb, template, rpc, effect: Effect::Reads }
}

const fn changing(verb: Verb, template: &'static str, rpc: &'static str) -> Route {
    Route { verb, template, rpc, effect: Effect::Changes }
}

impl Verb {
    /// How a request was sent. One for the head alone is one whose answer has no body.
    pub(crate) fn of(method: &Method) -> Option<Self> {
        match *method {
            Method::GET | Method::HEAD => Some(Self::Get),
            Method::POST => Some(Self::Post),
            Method::PATCH => Some(Self::Patch),
            Method::DELETE => Some(Self::Delete),
            _ => None,
        }
    }

    /// As it stands in a request.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

impl Route {
    /// Where the fields come from that are not in the path.
    pub(crate) const fn fields(&self) -> Fields {
        match self.verb {
            Verb::Get | Verb::Delete => Fields::Query,
            Verb::Post => Fields::Body,
            Verb::Patch => Fields::BodyAndMask,
        }
    }

    /// The field of the request that the path holds.
    pub(crate) fn path_field(&self) -> Option<&'static str> {
        let (_, rest) = self.template.split_once('{')?;
        rest.split_once('}').map(|(field, _)| field)
    }

    /// What a path holds of the field in braces, empty if there are no braces; `None` if the path
    /// is another one.
    pub(crate) fn matches<'p>(&self, path: &'p str) -> Option<&'p str> {
        let Some((before, rest)) = self.template.split_once('{') else {
            return (path == self.template).then_some("");
        };
        let (_, after) = rest.split_once('}')?;
        let field = path.strip_prefix(before)?.strip_suffix(after)?;
        // The name of no thing has a colon: what follows one is what is done with the thing.
        (!field.is_empty() && !field.contains(':')).then_some(field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(verb: Verb, path: &str) -> Vec<(&'static str, &str)> {
        let of_verb = ROUTES.iter().filter(|route| route.verb == verb);
        of_verb.filter_map(|route| Some((route.rpc, route.matches(path)?))).collect()
    }

    #[test]
    fn a_path_is_one_route_or_none() {
        for (verb, path, expected) in [
            (Verb::Get, "breakers", Some(("BreakerAdmin.ListBreakers", ""))),
            (Verb::Get, "breakers/a/b", Some(("BreakerAdmin.GetBreaker", "a/b"))),
            (Verb::Post, "breakers:trip", Some(("BreakerAdmin.Trip", ""))),
            (Verb::Get, "breakers/", None),
            (Verb::Get, "breakers/a/b:trip", None),
            (Verb::Get, "breaker", None),
            (Verb::Get, "alerts:watch", Some(("BreakerMonitor.WatchAlerts", ""))),
            (Verb::Post, "alerts/7:acknowledge", Some(("BreakerMonitor.AcknowledgeAlert", "7"))),
            (Verb::Post, "alerts/:acknowledge", None),
            (Verb::Post, "alerts/7", None),
        ] {
            assert_eq!(found(verb, path), expected.into_iter().collect::<Vec<_>>(), "{path}");
        }
    }

    #[test]
    fn no_two_routes_are_the_same() {
        for (index, route) in ROUTES.iter().enumerate() {
            let is_same = |other: &&Route| {
                other.rpc == route.rpc
                    || (other.verb, other.template) == (route.verb, route.template)
            };
            assert_eq!(ROUTES[index + 1..].iter().find(is_same).map(|other| other.rpc), None);
        }
    }
}
