use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// A line that is being typed.
#[derive(Clone, Debug)]
pub(super) struct Input {
    text: String,
    /// More is not taken.
    max_bytes: usize,
}

impl Input {
    pub(super) const fn new(max_bytes: usize) -> Self {
        Self { text: String::new(), max_bytes }
    }

    pub(super) fn with(text: &str, max_bytes: usize) -> Self {
        Self { text: text.to_owned(), max_bytes }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn clear(&mut self) {
        self.text.clear();
    }

    pub(super) fn key(&mut self, key: KeyEvent) {
        let is_command = key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT);
        match key.code {
            KeyCode::Char('u') if is_command => self.clear(),
            KeyCode::Char(letter)
                if !is_command
                    && !letter.is_control()
                    && self.text.len() + letter.len_utf8() <= self.max_bytes =>
            {
                self.text.push(letter);
            }
            KeyCode::Backspace => {
                self.text.pop();
            }
            _ => {}
        }
    }
}
