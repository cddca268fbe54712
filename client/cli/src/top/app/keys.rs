//! What keys do.

use std::sync::Arc;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::super::change::{Action, Dialog, MAX_TARGETS, Target, Typed};
use super::super::filter::Filter;
use super::super::input::Input;
use super::{App, Details, Effect, Message, Overlay};

/// Longest filter; the server's names are no longer.
const MAX_FILTER_BYTES: usize = 200;

impl App {
    /// Takes a key.
    pub(in crate::top) fn key(&mut self, key: KeyEvent) -> Effect {
        self.message = None;
        if key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL) {
            return Effect::Quit;
        }
        match self.overlay.take() {
            // Any key ends it.
            Some(Overlay::Help) => Effect::Nothing,
            Some(Overlay::Filter(input)) => {
                self.filter_key(input, key);
                Effect::Nothing
            }
            Some(Overlay::Change(mut dialog)) => match dialog.key(key) {
                Typed::GoesOn => {
                    self.overlay = Some(Overlay::Change(dialog));
                    Effect::Nothing
                }
                Typed::GivenUp => Effect::Nothing,
                Typed::Ordered(order) => {
                    let (action, target) = (order.action.word(), order.target.text());
                    self.message = Some(Message::Good(format!("{action} {target} …")));
                    Effect::Make(order)
                }
            },
            None => self.plain_key(key),
        }
    }

    fn filter_key(&mut self, mut input: Input, key: KeyEvent) {
        match key.code {
            KeyCode::Esc => {}
            KeyCode::Enter => match self.filter.set_names(input.text()) {
                Ok(()) => self.relist(),
                Err(error) => {
                    self.message = Some(Message::Bad(error));
                    self.overlay = Some(Overlay::Filter(input));
                }
            },
            _ => {
                input.key(key);
                self.overlay = Some(Overlay::Filter(input));
            }
        }
    }

    fn plain_key(&mut self, key: KeyEvent) -> Effect {
        match key.code {
            KeyCode::Char('q') => return Effect::Quit,
            KeyCode::Char('?') => self.overlay = Some(Overlay::Help),
            KeyCode::Char(letter) if Action::of(letter).is_some() => {
                if let Some(action) = Action::of(letter) {
                    self.begin_change(action);
                }
            }
            _ if self.details.is_some() => self.details_key(key),
            _ => self.list_key(key),
        }
        Effect::Nothing
    }

    fn details_key(&mut self, key: KeyEvent) {
        let Some(details) = &mut self.details else { return };
        let page = u16::try_from(self.rows).unwrap_or(u16::MAX);
        match key.code {
            KeyCode::Esc | KeyCode::Backspace | KeyCode::Left => self.details = None,
            KeyCode::Down | KeyCode::Char('j') => details.scroll = details.scroll.saturating_add(1),
            KeyCode::Up | KeyCode::Char('k') => details.scroll = details.scroll.saturating_sub(1),
            KeyCode::PageDown | KeyCode::Char(' ') => {
                details.scroll = details.scroll.saturating_add(page);
            }
            KeyCode::PageUp => details.scroll = details.scroll.saturating_sub(page),
            KeyCode::Home | KeyCode::Char('g') => details.scroll = 0,
            _ => {}
        }
    }

    fn list_key(&mut self, key: KeyEvent) {
        let at = self.selected_at();
        match key.code {
            KeyCode::Down | KeyCode::Char('j') => self.choose(at + 1),
            KeyCode::Up | KeyCode::Char('k') => self.choose(at.saturating_sub(1)),
            KeyCode::PageDown | KeyCode::Char(' ') => self.choose(at + self.rows),
            KeyCode::PageUp => self.choose(at.saturating_sub(self.rows)),
            KeyCode::Home | KeyCode::Char('g') => self.choose(0),
            KeyCode::End | KeyCode::Char('G') => self.choose(self.listed.len()),
            KeyCode::Char('s') => {
                self.order = self.order.next();
                self.relist();
            }
            KeyCode::Char('S') => {
                self.reversed = !self.reversed;
                self.relist();
            }
            KeyCode::Char('o') => {
                self.filter.states = self.filter.states.next();
                self.relist();
            }
            KeyCode::Char('/') => {
                let input = Input::with(self.filter.names(), MAX_FILTER_BYTES);
                self.overlay = Some(Overlay::Filter(input));
            }
            KeyCode::Esc => {
                self.filter = Filter::default();
                self.relist();
            }
            KeyCode::Enter | KeyCode::Right => {
                self.is_chosen = true;
                self.details = self.selected.clone().map(|name| Details {
                    name,
                    told: None,
                    error: None,
                    scroll: 0,
                });
            }
            _ => {}
        }
    }

    /// Asks for what a change needs, of the breaker that is shown or selected, or of all listed.
    fn begin_change(&mut self, action: Action) {
        let shown = self.details.as_ref().map(|details| Arc::clone(&details.name));
        let others = if shown.is_some() { None } else { self.all_listed() };
        let Some(one) = shown.or_else(|| self.selected.clone()) else {
            self.message = Some(Message::Bad("there is no breaker to change".to_owned()));
            return;
        };
        let dialog = Dialog::new(action, Target::One(one), others);
        self.overlay = Some(Overlay::Change(Box::new(dialog)));
    }

    /// What is listed, if a filter has chosen it, it is more than one, and not too many.
    fn all_listed(&self) -> Option<Target> {
        if self.filter == Filter::default() || self.listed.len() < 2 {
            return None;
        }
        match self.filter.selector() {
            Some(selector) => {
                let (selector, count) = (selector.to_owned(), self.listed.len());
                Some(Target::Glob { selector, count })
            }
            None if self.listed.len() <= MAX_TARGETS => Some(Target::Listed(self.listed.clone())),
            None => None,
        }
    }
}
