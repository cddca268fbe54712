use breaker_core::ErrorKind;

/// Longest error kind that the protocol takes.
const MAX_ERROR_KIND_BYTES: usize = 128;

/// How a call ended, as its caller judges it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The call did what it was meant to do.
    Success,
    /// The call failed, with an error of this kind.
    Failure(Option<ErrorKind<'static>>),
    /// The call took too long.
    Timeout,
    /// The call counts for nothing.
    Ignored,
}

impl Verdict {
    /// A failure of this kind: `http.503`, `TimeoutError`. Empty if it has none; what is too long
    /// for a kind, or no text, is left out.
    pub fn failure(kind: &str) -> Self {
        Self::Failure(error_kind(kind))
    }
}

/// Judges the result of a call. Closures that take `&Result<T, E>` do.
pub trait Classify<T, E> {
    /// What the result means for the breaker.
    fn classify(&self, result: &Result<T, E>) -> Verdict;
}

impl<T, E, F> Classify<T, E> for F
where
    F: Fn(&Result<T, E>) -> Verdict,
{
    fn classify(&self, result: &Result<T, E>) -> Verdict {
        self(result)
    }
}

/// Takes every error for a failure without a kind, and everything else for a success.
#[derive(Clone, Copy, Debug, Default)]
pub struct EveryError;

impl<T, E> Classify<T, E> for EveryError {
    fn classify(&self, result: &Result<T, E>) -> Verdict {
        match result {
            Ok(_) => Verdict::Success,
            Err(_) => Verdict::Failure(None),
        }
    }
}

/// Judges errors by a closure, and takes everything else for a success.
#[derive(Clone, Copy, Debug)]
pub struct ByError<F>(pub(crate) F);

impl<T, E, F> Classify<T, E> for ByError<F>
where
    F: Fn(&E) -> Verdict,
{
    fn classify(&self, result: &Result<T, E>) -> Verdict {
        match result {
            Ok(_) => Verdict::Success,
            Err(error) => self.0(error),
        }
    }
}

/// A kind as far as the text is one: a report must not be refused because of an odd error.
pub(crate) fn error_kind(text: &str) -> Option<ErrorKind<'static>> {
    match ErrorKind::parse(text) {
        Ok(kind) => kind.map(ErrorKind::into_owned),
        Err(_) => {
            let mut tame: String = text.chars().filter(|c| !c.is_control()).collect();
            tame.truncate(tame.floor_char_boundary(MAX_ERROR_KIND_BYTES));
            ErrorKind::parse(&tame).ok().flatten().map(ErrorKind::into_owned)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_keeps_what_is_text_and_fits() {
        let kind = |text: &str| error_kind(text).map(|kind| kind.as_str().to_owned());
        assert_eq!(kind("http.503").as_deref(), Some("http.503"));
        assert_eq!(kind(""), None);
        assert_eq!(kind("\n\t"), None);
        assert_eq!(kind("bad\nluck").as_deref(), Some("badluck"));
        assert_eq!(kind(&"é".repeat(100)).map(|k| k.len()), Some(128));
    }
}
