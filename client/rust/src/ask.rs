//! Asking the server for a permit, without waiting longer for it than a call can afford.

use std::sync::Arc;

use breaker_core::Outcome;
use breaker_proto::v1;
use tokio::pin;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::admission::{Answer, DenyReason};
use crate::asks::Asked;
use crate::cell::{Cell, Ending, Leave};
use crate::clock;
use crate::error::Error;
use crate::shared::Shared;

/// Asks for a call for which there is room among the asking; `None` if there was no answer in time.
///
/// A task does it, because a permit that comes when nobody waits any more has to be given back.
pub(crate) async fn for_permit(
    shared: &Arc<Shared>,
    cell: &Arc<Cell>,
    signs: u64,
) -> Option<Answer> {
    let (sender, answer) = oneshot::channel();
    let ask = Ask { shared: Arc::clone(shared), cell: Arc::clone(cell), signs };
    shared.runtime.spawn(ask.run(sender));
    // A runtime that has ended drops the task, and the sender with it.
    answer.await.ok().flatten()
}

/// The asking of one call. Its end makes room for another one.
struct Ask {
    shared: Arc<Shared>,
    cell: Arc<Cell>,
    signs: u64,
}

impl Ask {
    async fn run(self, caller: oneshot::Sender<Option<Answer>>) {
        let request = self.request();
        pin!(request);
        let permit_timeout = self.shared.common.options.permit_timeout;
        match timeout(permit_timeout, &mut request).await {
            Ok(answer) => {
                let answer = self.note(answer);
                if let Err(Some(unheard)) = caller.send(answer) {
                    self.give_back(&unheard);
                }
            }
            Err(_) => {
                let how = Asked::Unanswered { signs: self.signs };
                self.cell.lock().asks.answered(how, clock::now());
                // The caller may have gone, too.
                let _ = caller.send(None);
                if let Some(late) = self.note(request.await) {
                    self.give_back(&late);
                }
            }
        }
    }

    async fn request(&self) -> Result<Answer, Error> {
        let request = v1::AcquireRequest {
            breaker: self.cell.name().as_str().to_owned(),
            client_id: self.shared.common.options.client_id.clone(),
        };
        let answer = self.shared.connection.request(|mut client| {
            let request = request.clone();
            async move { client.acquire(request).await }
        });
        Answer::try_from(answer.await?)
    }

    /// Notes for the calls that come what the server has answered.
    fn note(&self, answer: Result<Answer, Error>) -> Option<Answer> {
        let (how, answer) = match answer {
            Ok(Answer::Denied(denial)) if denial.reason == DenyReason::NoPermit => {
                (Asked::NoPermit, Some(Answer::Denied(denial)))
            }
            Ok(answer) => (Asked::Answered, Some(answer)),
            Err(error) => {
                tracing::debug!(breaker = %self.cell.name(), %error, "no answer to a call");
                let is_away = error.is_unavailable();
                let unanswered = Asked::Unanswered { signs: self.signs };
                (if is_away { unanswered } else { Asked::Answered }, None)
            }
        };
        if answer.is_some() {
            self.shared.common.note_sign();
        }
        self.cell.lock().asks.answered(how, clock::now());
        answer
    }

    /// Frees the permit of a call that will not be made.
    fn give_back(&self, answer: &Answer) {
        if let Answer::Allowed { generation, probe: Some(probe) } = answer {
            let leave =
                Leave { generation: *generation, permit: Some(probe.permit), ..Leave::default() };
            self.cell.record(&leave, Ending::of(Outcome::Ignored, clock::now()));
        }
    }
}

impl Drop for Ask {
    fn drop(&mut self) {
        self.cell.lock().asks.end();
    }
}
