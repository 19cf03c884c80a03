//! The disk port on real files.

mod check;
mod order;
mod spill;
mod trouble;

use std::fs;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, sync_channel};

use dunlin_base::{PeerKey, PieceIndex};
use dunlin_hash::sha1;
use dunlin_port::BlockBuffer;
use dunlin_port::config::Preallocation;
use dunlin_port::disk::{Check, DiskError, Keep};
use dunlin_protocol::metainfo::{FileAttributes, Info, MetainfoBuilder, NewFile};
use dunlin_protocol::wire::BlockRequest;
use tempfile::TempDir;

use super::*;

const PIECE: u32 = 32 * 1024;
const KEY: TorrentKey = TorrentKey(9);
const PEER: PeerKey = PeerKey::outgoing(4);

/// A torrent of two files and an empty one: five pieces, the third in both files.
struct Sample {
    info: Arc<Info>,
    content: Vec<u8>,
}

impl Sample {
    fn new(name: &str) -> Self {
        let salt = name.len() as u32;
        let content: Vec<u8> = (0..140_000_u32)
            .map(|at| (at.wrapping_mul(2_654_435_761 + salt) >> 24) as u8)
            .collect();
        let hashes: Vec<_> = content.chunks(PIECE as usize).map(sha1).collect();
        let file = |name: &str, length| NewFile {
            path: vec![name.to_owned()],
            length,
            attributes: FileAttributes::default(),
        };
        let files = vec![file("a", 90_000), file("empty", 0), file("b", 50_000)];
        let metainfo = MetainfoBuilder::folder(name, files, PIECE)
            .build(&hashes)
            .unwrap();
        Self {
            info: metainfo.info,
            content,
        }
    }

    fn piece(&self, piece: u32) -> &[u8] {
        self.content
            .chunks(PIECE as usize)
            .nth(piece as usize)
            .unwrap()
    }

    fn write_files(&self, root: &Path) {
        let folder = root.join(self.info.name());
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("a"), &self.content[..90_000]).unwrap();
        fs::write(folder.join("b"), &self.content[90_000..]).unwrap();
        fs::write(folder.join("empty"), b"").unwrap();
    }
}

/// A port with its state and downloads in a folder that goes with it.
struct Bench {
    port: Option<DiskPort>,
    woken: Receiver<()>,
    received: BlockPool,
    folder: TempDir,
}

impl Bench {
    fn new() -> Self {
        Self::in_folder(tempfile::tempdir().unwrap(), BlockPool::new(1 << 20))
    }

    fn in_folder(folder: TempDir, pool: BlockPool) -> Self {
        let (wake, woken) = sync_channel(1);
        let wake: Wake = Arc::new(move || _ = wake.try_send(()));
        let port = DiskPort::new(wake, Some(&folder.path().join("state")), 3, pool).unwrap();
        Self {
            port: Some(port),
            woken,
            received: BlockPool::new(4 << 20),
            folder,
        }
    }

    /// Ends the port without closing torrents, and starts another.
    fn killed(mut self) -> Self {
        self.port = None;
        Self::in_folder(self.folder, BlockPool::new(1 << 20))
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("downloads")
    }

    fn port(&self) -> &DiskPort {
        self.port.as_ref().unwrap()
    }

    fn send(&self, command: DiskCommand) {
        self.port().submit(&mut vec![command]);
    }

    fn events(&self, count: usize) -> Vec<DiskEvent> {
        let mut events = VecDeque::new();
        while events.len() < count {
            self.woken
                .recv_timeout(Duration::from_secs(20))
                .expect("more events");
            self.port().drain(&mut events);
        }
        events.into()
    }

    /// The next event that is not about the progress of a check.
    fn event(&self) -> DiskEvent {
        loop {
            let mut events = self.events(1);
            events.retain(|event| !matches!(event, DiskEvent::Checking { .. }));
            assert!(events.len() <= 1, "{events:?}");
            if let Some(event) = events.pop() {
                return event;
            }
        }
    }

    fn open_command(&self, sample: &Sample, check: Check) -> DiskCommand {
        DiskCommand::Open {
            torrent: KEY,
            info: Arc::clone(&sample.info),
            root: self.root().into(),
            preallocation: Preallocation::Sparse,
            wanted: vec![true; 3],
            check,
            as_is: false,
        }
    }

    /// Opens what is to stay as it is.
    fn open_as_is(&self, sample: &Sample, check: Check) -> (Vec<u32>, u32, Totals) {
        let mut open = self.open_command(sample, check);
        if let DiskCommand::Open { as_is, .. } = &mut open {
            *as_is = true;
        }
        self.send(open);
        self.opened()
    }

    /// Opens and returns the pieces that are there and how many were hashed.
    fn open(&self, sample: &Sample, check: Check) -> (Vec<u32>, u32, Totals) {
        self.send(self.open_command(sample, check));
        self.opened()
    }

    fn opened(&self) -> (Vec<u32>, u32, Totals) {
        match self.event() {
            DiskEvent::Opened {
                torrent: KEY,
                have,
                checked,
                totals,
            } => (have.iter().map(|piece| piece.0).collect(), checked, totals),
            other => panic!("{other:?}"),
        }
    }

    fn blocks(&self, bytes: &[u8]) -> Vec<BlockBuffer> {
        let fill = |part: &[u8]| {
            let mut block = self.received.take(part.len()).unwrap();
            block.copy_from_slice(part);
            block
        };
        bytes.chunks(16 * 1024).map(fill).collect()
    }

    fn write_command(&self, sample: &Sample, piece: u32) -> DiskCommand {
        let blocks = self.blocks(sample.piece(piece));
        DiskCommand::Write {
            torrent: KEY,
            piece: PieceIndex(piece),
            blocks,
        }
    }

    fn write(&self, sample: &Sample, pieces: &[u32]) {
        let mut commands = pieces
            .iter()
            .map(|&piece| self.write_command(sample, piece))
            .collect();
        self.port().submit(&mut commands);
        let mut written: Vec<_> = self
            .events(pieces.len())
            .into_iter()
            .map(|event| match event {
                DiskEvent::Written {
                    torrent: KEY,
                    piece,
                } => piece.0,
                other => panic!("{other:?}"),
            })
            .collect();
        written.sort_unstable();
        let mut expected = pieces.to_vec();
        expected.sort_unstable();
        assert_eq!(written, expected);
        assert_eq!(self.received.in_use(), 0, "the buffers went home");
    }

    fn commit(&self, pieces: &[u32]) {
        self.send(commit_command(KEY, pieces));
        assert!(matches!(
            self.event(),
            DiskEvent::Committed { torrent: KEY }
        ));
    }

    fn close(&self, keep: Keep) {
        self.send(DiskCommand::Close { torrent: KEY, keep });
        assert!(matches!(
            self.event(),
            DiskEvent::ClosedFiles { torrent: KEY }
        ));
    }

    fn read(&self, blocks: Vec<BlockRequest>) -> Vec<(BlockRequest, Result<Vec<u8>, DiskError>)> {
        let count = blocks.len();
        self.send(DiskCommand::Read {
            torrent: KEY,
            peer: PEER,
            blocks,
        });
        let read = |event| match event {
            DiskEvent::Read {
                torrent: KEY,
                peer: PEER,
                block,
                result,
            } => (block, result.map(|buffer| buffer.to_vec())),
            other => panic!("{other:?}"),
        };
        self.events(count).into_iter().map(read).collect()
    }
}

fn commit_command(torrent: TorrentKey, pieces: &[u32]) -> DiskCommand {
    let mut have = Bitfield::empty(5);
    pieces
        .iter()
        .for_each(|&piece| assert!(have.set(PieceIndex(piece))));
    let totals = Totals {
        downloaded_bytes: 1000,
        uploaded_bytes: 7,
    };
    DiskCommand::Commit {
        torrent,
        have,
        totals,
        paused: true,
    }
}

const fn request(piece: u32, begin: u32, len: u32) -> BlockRequest {
    BlockRequest { piece, begin, len }
}

#[test]
fn all_pieces_are_not_all_files() {
    let sample = Sample::new("whole");
    let bench = Bench::new();
    let folder = bench.root().join("whole");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("a"), &sample.content[..90_000]).unwrap();
    let mut longer = sample.content[90_000..].to_vec();
    longer.extend(b"more");
    fs::write(folder.join("b"), &longer).unwrap();
    // As it is: nothing is made or cut.
    assert_eq!(bench.open_as_is(&sample, Check::Full).0.len(), 5);
    assert!(!folder.join("empty").exists());
    assert_eq!(fs::read(folder.join("b")).unwrap(), longer);
    bench.close(Keep::All);
    // To be complete: the empty file is made and the end cut off, also when it was lost again.
    for round in 0..2 {
        assert_eq!(bench.open(&sample, Check::Quick).0.len(), 5);
        assert_eq!(fs::read(folder.join("empty")).unwrap(), b"", "{round}");
        bench.close(Keep::All);
        fs::remove_file(folder.join("empty")).unwrap();
    }
}

#[test]
fn what_is_only_seeded_is_not_prepared_for_a_download() {
    let sample = Sample::new("gone");
    let bench = Bench::new();
    let folder = bench.root().join("gone");
    assert_eq!(bench.open_as_is(&sample, Check::Full).0, Vec::<u32>::new());
    assert!(!folder.exists());
}

#[test]
fn a_download_is_kept_over_a_restart() {
    let sample = Sample::new("kept");
    let bench = Bench::new();
    assert_eq!(
        bench.open(&sample, Check::Quick),
        (vec![], 0, Totals::default())
    );
    bench.write(&sample, &[3, 1, 4, 0, 2]);
    bench.commit(&[0, 1, 2, 3, 4]);
    let read = bench.read(vec![
        request(4, 0, 100),
        request(2, 16384, 16384),
        request(2, 0, 16384),
    ]);
    let places = read.iter().map(|(block, _)| (block.piece, block.begin));
    let in_order = [(2, 0), (2, 16384), (4, 0)];
    assert!(places.eq(in_order), "in the order of the files");
    for (block, bytes) in read {
        let (begin, end) = (block.begin as usize, (block.begin + block.len) as usize);
        assert_eq!(
            bytes.unwrap(),
            &sample.piece(block.piece)[begin..end],
            "{block:?}"
        );
    }
    bench.close(Keep::All);
    let folder = bench.root().join("kept");
    assert_eq!(
        fs::read(folder.join("a")).unwrap(),
        &sample.content[..90_000]
    );
    assert_eq!(
        fs::read(folder.join("b")).unwrap(),
        &sample.content[90_000..]
    );
    assert_eq!(fs::read(folder.join("empty")).unwrap(), b"");

    let bench = bench.killed();
    let listed = bench.port().resume().unwrap().list().unwrap();
    let record = listed[0].record.as_ref().unwrap();
    assert_eq!(
        (&record.root, record.paused, record.downloaded_bytes),
        (&bench.root(), true, 1000)
    );
    let totals = Totals {
        downloaded_bytes: 1000,
        uploaded_bytes: 7,
    };
    assert_eq!(
        bench.open(&sample, Check::Quick),
        (vec![0, 1, 2, 3, 4], 0, totals)
    );
}

#[test]
fn after_a_kill_only_pieces_in_doubt_are_hashed() {
    let sample = Sample::new("killed");
    let bench = Bench::new();
    bench.open(&sample, Check::Quick);
    bench.write(&sample, &[0, 1]);
    bench.commit(&[0, 1]);
    bench.write(&sample, &[3, 4]);
    let bench = bench.killed();
    let (have, checked, _) = bench.open(&sample, Check::Quick);
    assert_eq!((have, checked), (vec![0, 1, 3, 4], 2));
    // What the check found is committed.
    let bench = bench.killed();
    let (have, checked, _) = bench.open(&sample, Check::Quick);
    assert_eq!((have, checked), (vec![0, 1, 3, 4], 0));
    bench.write(&sample, &[2]);
    bench.commit(&[0, 1, 2, 3, 4]);
    let bench = bench.killed();
    assert_eq!(bench.open(&sample, Check::Quick).1, 0);
}

#[test]
fn what_a_person_brings_is_trusted_or_hashed_as_asked() {
    let sample = Sample::new("brought");
    let bench = Bench::new();
    sample.write_files(&bench.root());
    assert_eq!(bench.open(&sample, Check::Trusted).0.len(), 5);
    let bench = bench.killed();
    let (have, checked, _) = bench.open(&sample, Check::Quick);
    assert_eq!((have.len(), checked), (5, 0), "nothing was written since");
    bench.close(Keep::All);

    fs::write(bench.root().join("brought/b"), vec![0; 50_000]).unwrap();
    let (have, checked, _) = bench.open(&sample, Check::Quick);
    assert_eq!(
        (have, checked),
        (vec![0, 1], 3),
        "the file that changed is hashed"
    );
    sample.write_files(&bench.root());
    bench.send(DiskCommand::Recheck { torrent: KEY });
    let (have, checked, _) = bench.opened();
    assert_eq!((have.len(), checked), (5, 5));

    // A torrent that is new here, on top of files that are there.
    bench.close(Keep::Files);
    assert!(bench.port().resume().unwrap().list().unwrap().is_empty());
    let (have, checked, _) = bench.open(&sample, Check::Quick);
    assert_eq!((have.len(), checked), (5, 5));
}

#[test]
fn files_are_chosen_moved_and_removed() {
    let sample = Sample::new("moved");
    let bench = Bench::new();
    let mut open = bench.open_command(&sample, Check::Quick);
    if let DiskCommand::Open { wanted, .. } = &mut open {
        *wanted = vec![true, true, false];
    }
    bench.send(open);
    bench.opened();
    bench.write(&sample, &[0, 1, 2]);
    assert!(!bench.root().join("moved/b").exists());
    let record = || {
        bench
            .port()
            .resume()
            .unwrap()
            .record(sample.info.info_hash())
            .unwrap()
    };
    assert_eq!(record().priorities, [2, 2, 0]);
    let hash = sample.info.info_hash();
    bench
        .port()
        .remember(hash, &bench.root(), |record| record.priorities[0] = 3)
        .unwrap();

    bench.send(DiskCommand::Select {
        torrent: KEY,
        wanted: vec![true; 3],
    });
    bench.write(&sample, &[3, 4]);
    bench.commit(&[0, 1, 2, 3, 4]);
    assert_eq!(
        record().priorities,
        [3, 2, 2],
        "levels are kept where they agree"
    );
    assert_eq!(
        fs::read(bench.root().join("moved/b")).unwrap(),
        &sample.content[90_000..]
    );

    let target = bench.folder.path().join("elsewhere/deep");
    bench.send(DiskCommand::Move {
        torrent: KEY,
        root: target.clone(),
    });
    match bench.event() {
        DiskEvent::Moved {
            torrent: KEY,
            root,
            error: None,
        } => assert_eq!(root, target),
        other => panic!("{other:?}"),
    }
    assert!(!bench.root().join("moved").exists());
    assert_eq!((record().root, record().moving_to), (target.clone(), None));
    assert_eq!(
        bench.read(vec![request(0, 0, 10)])[0].1.as_deref(),
        Ok(&sample.content[..10])
    );
    bench.close(Keep::Nothing);
    assert!(!target.join("moved").exists());
    assert!(bench.port().resume().unwrap().list().unwrap().is_empty());
}

#[test]
fn an_interrupted_move_is_completed_when_the_torrent_opens() {
    let sample = Sample::new("onward");
    let bench = Bench::new();
    sample.write_files(&bench.root());
    bench.open(&sample, Check::Full);
    bench.close(Keep::All);
    let target = bench.folder.path().join("target");
    let hash = sample.info.info_hash();
    let moving_to = Some(target.clone());
    bench
        .port()
        .remember(hash, &bench.root(), |record| record.moving_to = moving_to)
        .unwrap();
    bench.send(bench.open_command(&sample, Check::Quick));
    let mut events = bench.events(2).into_iter();
    match (events.next(), events.next()) {
        (
            Some(DiskEvent::Moved {
                root, error: None, ..
            }),
            Some(DiskEvent::Opened {
                have, checked: 0, ..
            }),
        ) => assert!(root == target && have.is_full()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn many_torrents_commit_together() {
    let bench = Bench::new();
    let samples: Vec<_> = (1..40).map(|len| Sample::new(&"x".repeat(len))).collect();
    let key = |at: usize| TorrentKey(at as u32);
    let each = |make: &dyn Fn(usize, &Sample) -> DiskCommand| {
        let mut commands = samples
            .iter()
            .enumerate()
            .map(|(at, sample)| make(at, sample))
            .collect();
        bench.port().submit(&mut commands);
        bench.events(samples.len())
    };
    let opened = each(&|at, sample| DiskCommand::Open {
        torrent: key(at),
        info: Arc::clone(&sample.info),
        root: bench.root().into(),
        preallocation: Preallocation::None,
        wanted: vec![true; 3],
        check: Check::Quick,
        as_is: false,
    });
    assert!(
        opened
            .iter()
            .all(|event| matches!(event, DiskEvent::Opened { .. })),
        "{opened:?}"
    );
    let written = each(&|at, sample| DiskCommand::Write {
        torrent: key(at),
        piece: PieceIndex(1),
        blocks: bench.blocks(sample.piece(1)),
    });
    assert!(
        written
            .iter()
            .all(|event| matches!(event, DiskEvent::Written { .. })),
        "{written:?}"
    );
    let committed = each(&|at, _| commit_command(key(at), &[1]));
    assert!(
        committed
            .iter()
            .all(|event| matches!(event, DiskEvent::Committed { .. }))
    );
    let listed = bench.port().resume().unwrap().list().unwrap();
    assert_eq!(listed.len(), samples.len());
    assert!(
        listed
            .iter()
            .all(|row| row.have.as_ref().unwrap().count() == 1)
    );
}

#[test]
fn without_a_database_everything_works_but_memory() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new();
    let (wake, woken) = sync_channel(1);
    let wake: Wake = Arc::new(move || _ = wake.try_send(()));
    let port = DiskPort::new(wake, None, 1, BlockPool::new(1 << 20)).unwrap();
    let bench = Bench {
        port: Some(port),
        woken,
        folder,
        received: bench.received.clone(),
    };
    let sample = Sample::new("plain");
    assert_eq!(bench.open(&sample, Check::Quick).1, 0);
    bench.write(&sample, &[0, 1, 2, 3, 4]);
    bench.commit(&[0, 1, 2, 3, 4]);
    bench.close(Keep::All);
    let (have, checked, _) = bench.open(&sample, Check::Quick);
    assert_eq!((have.len(), checked), (5, 5));
    assert!(bench.port().resume().is_none());
    bench.close(Keep::Nothing);
    assert!(!bench.root().join("plain").exists());
}
