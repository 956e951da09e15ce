//! What moves while people wait: bars on a terminal, nothing elsewhere.

use super::Screen;
use super::text::{cut, one_line};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::time::Duration;

/// Redraws of something that turns.
const TICK: Duration = Duration::from_millis(120);
/// Columns of a bar's name.
const NAME_COLUMNS: usize = 36;

/// Several bars below each other.
pub struct Board {
    bars: MultiProgress,
    moves: bool,
}

impl Board {
    /// An empty board on standard error.
    pub fn new(screen: &Screen) -> Self {
        let target = if screen.moves { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Self { bars: MultiProgress::with_draw_target(target), moves: screen.moves }
    }

    /// A new bar at the bottom.
    pub fn bar(&self, name: &str) -> Bar {
        if !self.moves {
            return Bar(None);
        }
        let bar = self.bars.add(ProgressBar::new(0));
        bar.set_style(style("{spinner} {prefix} {msg}"));
        bar.set_prefix(format!("{:<NAME_COLUMNS$}", cut(&one_line(name), NAME_COLUMNS)));
        bar.enable_steady_tick(TICK);
        Bar(Some(bar))
    }

    /// Does something, such as printing a line, while the bars are out of the way.
    pub fn aside<T>(&self, act: impl FnOnce() -> T) -> T {
        if self.moves { self.bars.suspend(act) } else { act() }
    }
}

/// One bar. It disappears when it is dropped.
pub struct Bar(Option<ProgressBar>);

impl Bar {
    /// A single one; it shows itself only if there is something to wait for.
    pub fn alone(screen: &Screen, name: &str) -> Self {
        Board::new(screen).bar(name)
    }

    /// Something is being done, nobody knows how long.
    pub fn doing(&self, what: &str) {
        if let Some(bar) = &self.0 {
            bar.set_style(style("{spinner} {prefix} {msg}"));
            bar.set_message(one_line(what));
        }
    }

    /// So much of so much is done.
    pub fn done(&self, what: &str, done: u64, total: u64) {
        if total == 0 {
            return self.doing(what);
        }
        if let Some(bar) = &self.0 {
            bar.set_style(style("{spinner} {prefix} {msg:<12} [{bar:24}] {pos}/{len}").progress_chars("=> "));
            bar.set_length(total);
            bar.set_position(done.min(total));
            bar.set_message(one_line(what));
        }
    }

    /// So many bytes of so many are through.
    pub fn bytes(&self, what: &str, done: u64, total: u64) {
        if let Some(bar) = &self.0 {
            bar.set_style(style("{spinner} {prefix} {msg:<12} [{bar:24}] {percent}%").progress_chars("=> "));
            bar.set_length(total);
            bar.set_position(done.min(total));
            bar.set_message(one_line(what));
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

/// A template of ours; one that does not parse is replaced by the plainest.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_parse() {
        for template in [
            "{spinner} {prefix} {msg}",
            "{spinner} {prefix} {msg:<12} [{bar:24}] {pos}/{len}",
            "{spinner} {prefix} {msg:<12} [{bar:24}] {percent}%",
        ] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }
}
