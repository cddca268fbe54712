use breaker_proto::v1;

/// What comes from the server.
#[derive(Debug)]
pub(super) enum News {
    /// The stream of states begins, from the server at this address.
    Connected(String),
    /// The stream of states is cut, or could not be opened; why.
    Cut(String),
    Watched(Box<v1::WatchResponse>),
    Measured(Vec<v1::Breaker>),
    /// `None` from a server that cannot tell.
    Dashboard(Option<Box<v1::GetDashboardResponse>>),
    /// Of the breaker of this name; or why not.
    Details(String, Result<Box<Told>, String>),
    /// How a change went.
    Changed(Result<String, String>),
}

/// All that is told of one breaker.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) breaker: v1::Breaker,
    /// The latest first.
    pub(super) transitions: Vec<v1::Transition>,
    /// `None` from a server that cannot tell.
    pub(super) activity: Option<v1::GetBreakerActivityResponse>,
}
