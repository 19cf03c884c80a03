//! Progress bars on a terminal, one for each torrent and, on request, for each file.

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::output::status;
use super::text::plain;
use super::transfer::Item;

/// Most files with a bar of their own: more than that scroll off every screen.
const FILE_BARS_MAX: usize = 40;

/// All bars.
pub(super) struct Bars {
    all: MultiProgress,
    torrents: Vec<TorrentBars>,
    files: bool,
}

/// The bars of one torrent.
struct TorrentBars {
    whole: ProgressBar,
    /// Each with the file's place in the torrent.
    files: Vec<(usize, ProgressBar)>,
}

impl Bars {
    pub(super) fn new() -> Self {
        Self {
            all: MultiProgress::new(),
            torrents: Vec::new(),
            files: false,
        }
    }

    /// Gives each file a bar, in torrents that have none yet.
    pub(super) const fn show_files(&mut self) {
        self.files = true;
    }

    /// Shows how far everything is.
    pub(super) fn show(&mut self, items: &[Item]) {
        for (at, item) in items.iter().enumerate() {
            if self.torrents.len() == at {
                self.torrents
                    .push(TorrentBars::new(&self.all, item, self.files));
            }
            self.torrents[at].show(item);
        }
    }

    /// Prints something that stays, above the bars.
    pub(super) fn above<T>(&self, print: impl FnOnce() -> T) -> T {
        self.all.suspend(print)
    }

    /// Takes all bars away.
    pub(super) fn clear(&mut self) {
        for torrent in self.torrents.drain(..) {
            torrent.whole.finish_and_clear();
            torrent
                .files
                .iter()
                .for_each(|(_, bar)| bar.finish_and_clear());
        }
    }
}

impl TorrentBars {
    fn new(all: &MultiProgress, item: &Item, with_files: bool) -> Self {
        let whole = all.add(bar(
            "{prefix:16!} {bar:12} {bytes}/{total_bytes} {wide_msg}",
        ));
        whole.set_prefix(plain(&item.name()));
        let listed = item.info.iter().flat_map(|info| info.files()).enumerate();
        let listed =
            listed.filter(|(_, file)| with_files && !file.attributes.padding && file.length > 0);
        let files = listed.take(FILE_BARS_MAX).map(|(at, file)| {
            let bar = all.add(bar("  {bar:12} {bytes}/{total_bytes} {wide_msg}"));
            bar.set_length(file.length);
            bar.set_message(plain(file.path.as_str()));
            (at, bar)
        });
        let files = files.collect();
        Self { whole, files }
    }

    fn show(&self, item: &Item) {
        self.whole.set_message(status(item));
        let Some(view) = &item.view else { return };
        self.whole.set_length(view.wanted_bytes);
        self.whole.set_position(view.done_bytes);
        for (at, bar) in &self.files {
            bar.set_position(view.file_done_bytes.get(*at).copied().unwrap_or(0));
        }
    }
}

fn bar(template: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template);
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
