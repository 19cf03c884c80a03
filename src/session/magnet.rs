//! Torrents by magnet link: what is remembered of them already, and what is kept once they are known.

use std::sync::Arc;
use std::thread::JoinHandle;

use dunlin_base::{InfoHash, TorrentKey};
use dunlin_port::user::{AddMagnet, FilePriority, MagnetFiles, UserCommand};
use dunlin_protocol::metainfo::{Info, Metainfo};
use dunlin_storage::ResumeDb;

use super::add::Source;
use super::{AddError, NODE, NewTorrent, Session};

impl Session {
    /// Adds a torrent by its link. One whose metadata came in an earlier session goes on from there.
    pub(super) fn add_magnet(&self, new: NewTorrent) -> Result<TorrentKey, AddError> {
        let info_hash = new.info_hash();
        if let Some(metainfo) = self.remembered(info_hash) {
            return self.add(with_metainfo(new, metainfo));
        }
        let Source::Magnet {
            name,
            trackers,
            files,
            ..
        } = new.source
        else {
            unreachable!("what is known is added with its metainfo")
        };
        // Each in a tier of its own: a link says nothing of tiers.
        let tiers = trackers.into_iter().map(|url| vec![url]).collect();
        let tiers: Vec<Vec<String>> = new.tiers.unwrap_or(tiers);
        let mut registry = self.shared.registry();
        if registry.by_hash.contains_key(&info_hash) {
            return Err(AddError::Duplicate(info_hash));
        }
        let torrent = TorrentKey(registry.next);
        registry.next += 1;
        registry.by_hash.insert(info_hash, torrent);
        registry.magnets.insert(torrent, tiers.clone());
        let root = registry.share(&new.root);
        drop(registry);
        let config = self.config();
        let add = AddMagnet {
            torrent,
            node: NODE,
            info_hash,
            name,
            trackers: tiers,
            root,
            files,
            strategy: new.strategy.unwrap_or(config.pick.strategy),
            preallocation: new.preallocation.unwrap_or(config.storage.preallocation),
            check: new.check,
            paused: new.paused,
            limits: new.limits,
            peers: new.peers,
        };
        drop(config);
        self.tell(UserCommand::AddMagnet(Box::new(add)))?;
        Ok(torrent)
    }

    /// What an earlier session learnt of a torrent. What cannot be read is asked for again.
    fn remembered(&self, info_hash: InfoHash) -> Option<Metainfo> {
        let bytes = self.resume.as_ref()?.metainfo(info_hash).ok()??;
        let metainfo = Metainfo::parse_vec(bytes).ok()?;
        (metainfo.info.info_hash() == info_hash).then_some(metainfo)
    }
}

/// The same torrent, now that it is known what it contains.
fn with_metainfo(mut new: NewTorrent, mut metainfo: Metainfo) -> NewTorrent {
    let magnet = std::mem::replace(&mut new.source, Source::Metainfo(metainfo.clone()));
    let Source::Magnet {
        trackers, files, ..
    } = magnet
    else {
        return new;
    };
    for url in trackers {
        if !metainfo.tiers.iter().flatten().any(|known| *known == url) {
            metainfo.tiers.push(vec![url]);
        }
    }
    let count = metainfo.info.files().len();
    match files {
        MagnetFiles::All => {}
        MagnetFiles::Only(selection) => {
            let wanted = (0..).take(count).map(|file| selection.contains(file));
            let wanted: Vec<bool> = wanted.collect();
            if wanted.contains(&true) {
                new.file_priorities = wanted.into_iter().map(priority).collect();
            }
        }
        MagnetFiles::Undecided => {
            new.file_priorities = vec![FilePriority::Skip; count];
            new.paused = true;
        }
    }
    new.source = Source::Metainfo(metainfo);
    new
}

const fn priority(wanted: bool) -> FilePriority {
    match wanted {
        true => FilePriority::Normal,
        false => FilePriority::Skip,
    }
}

/// Where metadata goes that came from peers.
pub(super) struct Archive {
    resume: Option<Arc<ResumeDb>>,
    storing: Vec<JoinHandle<()>>,
}

impl Archive {
    pub(super) const fn new(resume: Option<Arc<ResumeDb>>) -> Self {
        Self {
            resume,
            storing: Vec::new(),
        }
    }

    /// Keeps a torrent's metadata for the next session. The engine's
    /// thread does not wait for the disk; should it fail, the next session asks peers again.
    pub(super) fn keep(&mut self, info: &Arc<Info>, tiers: Vec<Vec<String>>) {
        let Some(resume) = self.resume.clone() else {
            return;
        };
        let metainfo = Metainfo {
            tiers,
            ..Metainfo::new(Arc::clone(info))
        };
        let store = move || {
            let info_hash = metainfo.info.info_hash();
            let (before, behind) = metainfo.write_around();
            let parts = [&before[..], metainfo.info.raw(), &behind];
            if let Err(error) = resume.put_metainfo(info_hash, &parts) {
                tracing::warn!("the metadata will be asked for again: {error}");
            }
        };
        self.storing.retain(|thread| !thread.is_finished());
        let thread = std::thread::Builder::new()
            .name("dunlin-metadata".to_owned())
            .spawn(store);
        match thread {
            Ok(thread) => self.storing.push(thread),
            Err(error) => tracing::warn!("the metadata will be asked for again: {error}"),
        }
    }
}

impl Drop for Archive {
    fn drop(&mut self) {
        for thread in self.storing.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread that stored metadata had panicked");
            }
        }
    }
}
