use breaker_proto::v1;
use clap::{Args, ValueEnum};

use crate::connection::Connection;
use crate::error::Error;
use crate::output::{self, Format};
use crate::{Context, json, table};

/// Breakers asked for at once: few enough that an answer stays small.
const PAGE_SIZE: u32 = 500;

#[derive(Debug, Args)]
pub struct ListArguments {
    /// Only breakers whose name matches.
    selector: Option<String>,
    /// Only breakers in this state; may be given several times.
    #[arg(long, value_enum)]
    state: Vec<StateArgument>,
    /// Only breakers in this mode; may be given several times.
    #[arg(long, value_enum)]
    mode: Vec<ModeArgument>,
    /// What comes first.
    #[arg(long, value_enum, default_value_t)]
    order: OrderArgument,
    /// At most so many breakers; all without it.
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "snake_case")]
enum StateArgument {
    Closed,
    Open,
    HalfOpen,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "snake_case")]
enum ModeArgument {
    Normal,
    ForcedOpen,
    ForcedClosed,
    Disabled,
    Shadow,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum OrderArgument {
    /// By name.
    #[default]
    Name,
    /// Those whose state began last.
    LatestChange,
    /// Those with the highest failure rate.
    FailureRate,
}

/// Hands every breaker to `take`, by name.
pub(crate) async fn each(
    connection: &Connection,
    mut take: impl FnMut(v1::Breaker),
) -> Result<(), Error> {
    let mut request = v1::ListBreakersRequest { page_size: PAGE_SIZE, ..Default::default() };
    loop {
        let page = connection
            .admin(&request, async |mut admin, request| admin.list_breakers(request).await)
            .await?;
        page.breakers.into_iter().for_each(&mut take);
        if page.next_page_token.is_empty() {
            return Ok(());
        }
        request.page_token = page.next_page_token;
    }
}

impl ListArguments {
    pub(crate) async fn command(&self, context: &Context) -> anyhow::Result<()> {
        let mut pages = Pages::new(self);
        let mut breakers = Vec::new();
        while let Some(request) = pages.next_request() {
            let answer = context
                .connection
                .admin(&request, async |mut admin, request| admin.list_breakers(request).await)
                .await?;
            pages.follow(&answer);
            match context.format {
                Format::Json => output::objects(answer.breakers.iter().map(json::breaker))?,
                Format::Table => breakers.extend(answer.breakers),
            }
        }
        match context.format {
            Format::Json => {}
            Format::Table => table::breakers(&breakers)?,
        }
        Ok(())
    }

    fn request(&self) -> v1::ListBreakersRequest {
        v1::ListBreakersRequest {
            selector: self.selector.clone().unwrap_or_default(),
            states: self.state.iter().map(|&s| v1::State::from(s).into()).collect(),
            modes: self.mode.iter().map(|&m| v1::Mode::from(m).into()).collect(),
            order: v1::BreakerOrder::from(self.order).into(),
            ..Default::default()
        }
    }
}

/// Goes from page to page until the limit is reached or there is none left.
struct Pages {
    next: Option<v1::ListBreakersRequest>,
    /// How many breakers are still wanted.
    wanted: u32,
}

impl Pages {
    fn new(arguments: &ListArguments) -> Self {
        let wanted = arguments.limit.unwrap_or(u32::MAX);
        Self { next: Some(arguments.request()), wanted }
    }

    fn next_request(&self) -> Option<v1::ListBreakersRequest> {
        let next = self.next.clone().filter(|_| self.wanted > 0)?;
        Some(v1::ListBreakersRequest { page_size: self.wanted.min(PAGE_SIZE), ..next })
    }

    fn follow(&mut self, answer: &v1::ListBreakersResponse) {
        let got = u32::try_from(answer.breakers.len()).unwrap_or(u32::MAX);
        self.wanted = self.wanted.saturating_sub(got);
        self.next = self.next.take().filter(|_| !answer.next_page_token.is_empty());
        if let Some(next) = &mut self.next {
            next.page_token.clone_from(&answer.next_page_token);
        }
    }
}

impl From<StateArgument> for v1::State {
    fn from(state: StateArgument) -> Self {
        match state {
            StateArgument::Closed => Self::Closed,
            StateArgument::Open => Self::Open,
            StateArgument::HalfOpen => Self::HalfOpen,
        }
    }
}

impl From<ModeArgument> for v1::Mode {
    fn from(mode: ModeArgument) -> Self {
        match mode {
            ModeArgument::Normal => Self::Normal,
            ModeArgument::ForcedOpen => Self::ForcedOpen,
            ModeArgument::ForcedClosed => Self::ForcedClosed,
            ModeArgument::Disabled => Self::Disabled,
            ModeArgument::Shadow => Self::Shadow,
        }
    }
}

impl From<OrderArgument> for v1::BreakerOrder {
    fn from(order: OrderArgument) -> Self {
        match order {
            OrderArgument::Name => Self::Name,
            OrderArgument::LatestChange => Self::LatestChange,
            OrderArgument::FailureRate => Self::FailureRate,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::{Arguments, Command};

    fn parse(arguments: &[&str]) -> ListArguments {
        let line = ["breakerctl", "list"].iter().chain(arguments);
        match Arguments::try_parse_from(line).unwrap().command {
            Command::List(list) => list,
            other => panic!("{other:?}"),
        }
    }

    fn answer(breakers: usize, next_page_token: &str) -> v1::ListBreakersResponse {
        v1::ListBreakersResponse {
            breakers: vec![v1::Breaker::default(); breakers],
            next_page_token: next_page_token.into(),
        }
    }

    #[test]
    fn filters_and_order_become_a_request() {
        let line = "pay/* --state open --state half_open --mode forced_open --order latest-change";
        let request = parse(&line.split(' ').collect::<Vec<_>>()).request();
        assert_eq!(request.selector, "pay/*");
        assert_eq!(request.states, [v1::State::Open as i32, v1::State::HalfOpen as i32]);
        assert_eq!(request.modes, [v1::Mode::ForcedOpen as i32]);
        assert_eq!(request.order, v1::BreakerOrder::LatestChange as i32);
        assert_eq!(parse(&[]).request().selector, "");
    }

    #[test]
    fn pages_follow_the_token_up_to_the_limit() {
        let mut pages = Pages::new(&parse(&["--limit", "700"]));
        let first = pages.next_request().unwrap();
        assert_eq!((first.page_size, first.page_token.as_str()), (500, ""));
        pages.follow(&answer(500, "t"));
        let second = pages.next_request().unwrap();
        assert_eq!((second.page_size, second.page_token.as_str()), (200, "t"));
        pages.follow(&answer(200, "u"));
        assert_eq!(pages.next_request(), None);
    }

    #[test]
    fn pages_end_with_the_last_one() {
        let mut pages = Pages::new(&parse(&[]));
        pages.follow(&answer(3, ""));
        assert_eq!(pages.next_request(), None);
    }
}
