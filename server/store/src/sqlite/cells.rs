use std::borrow::Cow;

use sqlx::Arguments;
use sqlx::sqlite::SqliteArguments;

use crate::rows::Sink;

/// The arguments of a statement.
#[derive(Default)]
pub(super) struct Values {
    pub(super) arguments: SqliteArguments,
    /// The first value that could not be taken, if any.
    pub(super) refused: Option<sqlx::Error>,
}

impl Values {
    fn note(&mut self, added: Result<(), sqlx::error::BoxDynError>) {
        if let Err(error) = added {
            self.refused.get_or_insert(sqlx::Error::Encode(error));
        }
    }
}

impl<'r> Sink<'r> for Values {
    fn integer(&mut self, value: Option<i64>) {
        let added = self.arguments.add(value);
        self.note(added);
    }

    fn text(&mut self, value: Option<Cow<'r, str>>) {
        let added = self.arguments.add(value.map(Cow::into_owned));
        self.note(added);
    }

    fn bytes(&mut self, value: Option<Vec<u8>>) {
        let added = self.arguments.add(value);
        self.note(added);
    }
}
