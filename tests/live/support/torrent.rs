//! Torrent files made and checked by the tests themselves.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use sha1::{Digest as _, Sha1};

use super::bencode::Value;

/// The tracker that every test torrent names: the hub's (see `lab`).
pub(crate) const HUB_ANNOUNCE: &str = "http://10.77.0.1:6969/announce";

/// A torrent file and what is inside.
#[derive(Debug, Clone)]
pub(crate) struct Torrent {
    pub(crate) name: String,
    pub(crate) file: PathBuf,
    pub(crate) info_hash: [u8; 20],
    pub(crate) piece_bytes: u64,
    pub(crate) total_bytes: u64,
    /// Paths below the download folder, with sizes, in the torrent's order.
    pub(crate) files: Vec<(PathBuf, u64)>,
    hashes: Vec<[u8; 20]>,
}

impl Torrent {
    /// Makes a torrent of `root` (a file or a folder), whose files are taken in the order of their names.
    pub(crate) fn create(root: &Path, piece_bytes: u64, announce: &str, file: &Path) -> Self {
        let name = root
            .file_name()
            .and_then(|name| name.to_str())
            .expect("a name");
        let members = if root.is_file() {
            vec![PathBuf::new()]
        } else {
            list_files(root)
        };
        let sizes: Vec<u64> = members
            .iter()
            .map(|member| fs::metadata(path_of(root, member)).expect("a file").len())
            .collect();
        let paths: Vec<PathBuf> = members.iter().map(|member| path_of(root, member)).collect();
        let mut pieces = Vec::new();
        for_each_piece(&paths, piece_bytes, |piece| {
            pieces.extend_from_slice(&Sha1::digest(piece));
        });
        let layout = if root.is_file() {
            ("length", Value::size(sizes[0]))
        } else {
            let entry = |(member, size): (&PathBuf, &u64)| {
                let parts = member
                    .iter()
                    .map(|part| Value::text(part.to_str().expect("our own names")));
                Value::dictionary([
                    ("length", Value::size(*size)),
                    ("path", Value::List(parts.collect())),
                ])
            };
            (
                "files",
                Value::List(members.iter().zip(&sizes).map(entry).collect()),
            )
        };
        let info = Value::dictionary([
            layout,
            ("name", Value::text(name)),
            ("piece length", Value::size(piece_bytes)),
            ("pieces", Value::Bytes(pieces)),
        ]);
        let torrent = Value::dictionary([("announce", Value::text(announce)), ("info", info)]);
        fs::write(file, torrent.encode()).expect("a torrent file");
        Self::read(file)
    }

    /// Reads a version 1 torrent file.
    pub(crate) fn read(file: &Path) -> Self {
        let value = Value::decode(&fs::read(file).expect("a torrent file"));
        let info = value.get("info").expect("an info dictionary");
        let name = std::str::from_utf8(info.get("name").expect("a name").as_bytes())
            .expect("UTF-8")
            .to_owned();
        let files = match (info.get("length"), info.get("files")) {
            (Some(length), _) => vec![(PathBuf::from(&name), length.as_size())],
            (None, Some(files)) => files
                .as_list()
                .iter()
                .map(|entry| read_entry(&name, entry))
                .collect(),
            (None, None) => panic!("{}: neither length nor files", file.display()),
        };
        let pieces = info.get("pieces").expect("pieces").as_bytes();
        Self {
            file: file.to_owned(),
            info_hash: Sha1::digest(info.encode()).into(),
            piece_bytes: info.get("piece length").expect("a piece length").as_size(),
            total_bytes: files.iter().map(|(_, size)| size).sum(),
            hashes: pieces
                .chunks(20)
                .map(|hash| hash.try_into().expect("20 bytes each"))
                .collect(),
            name,
            files,
        }
    }

    pub(crate) fn hash_hex(&self) -> String {
        hex(&self.info_hash)
    }

    /// A magnet link with the hub's tracker.
    pub(crate) fn link(&self) -> String {
        let tracker = HUB_ANNOUNCE.replace(':', "%3A").replace('/', "%2F");
        format!("magnet:?xt=urn:btih:{}&tr={tracker}", self.hash_hex())
    }

    pub(crate) fn piece_count(&self) -> usize {
        self.hashes.len()
    }

    pub(crate) fn announces_over_udp(&self) -> bool {
        let value = Value::decode(&fs::read(&self.file).expect("a torrent file"));
        value
            .get("announce")
            .is_some_and(|url| url.as_bytes().starts_with(b"udp:"))
    }

    /// The same content under another tracker (or none): the info dictionary stays byte for byte.
    pub(crate) fn with_trackers(&self, tiers: &[&[&str]], file: &Path) -> Self {
        let Value::Dictionary(mut entries) =
            Value::decode(&fs::read(&self.file).expect("a torrent file"))
        else {
            panic!("not a dictionary");
        };
        entries.remove(b"announce".as_slice());
        if let Some(first) = tiers.first().and_then(|tier| tier.first()) {
            entries.insert(b"announce".to_vec(), Value::text(first));
            let list = tiers
                .iter()
                .map(|tier| Value::List(tier.iter().map(|url| Value::text(url)).collect()));
            entries.insert(b"announce-list".to_vec(), Value::List(list.collect()));
        }
        fs::write(file, Value::Dictionary(entries).encode()).expect("a torrent file");
        Self::read(file)
    }

    /// Hashes what is in `folder` again, by the `sha1` crate alone: which pieces are really there?
    pub(crate) fn pieces_on_disk(&self, folder: &Path) -> Vec<bool> {
        let mut good = Vec::with_capacity(self.hashes.len());
        let mut left = self.total_bytes;
        let mut source = self.files.iter();
        let mut current: Option<(Option<File>, u64)> = None;
        for hash in &self.hashes {
            let length = left.min(self.piece_bytes);
            left -= length;
            let mut piece = vec![0; usize::try_from(length).expect("a piece fits")];
            let mut filled = 0;
            let mut complete = true;
            while filled < piece.len() {
                let (file, rest) = match &mut current {
                    Some((file, rest)) if *rest > 0 => (file, rest),
                    _ => {
                        let (path, size) = source.next().expect("pieces cover the files");
                        current = Some((File::open(folder.join(path)).ok(), *size));
                        continue;
                    }
                };
                let take = usize::try_from(*rest)
                    .expect("fits")
                    .min(piece.len() - filled);
                let target = &mut piece[filled..filled + take];
                complete &= file
                    .as_mut()
                    .is_some_and(|file| file.read_exact(target).is_ok());
                filled += take;
                *rest -= take as u64;
            }
            good.push(complete && Sha1::digest(&piece).as_slice() == hash);
        }
        good
    }

    /// Panics unless every piece in `folder` has its hash.
    pub(crate) fn assert_complete(&self, folder: &Path) {
        let good = self.pieces_on_disk(folder);
        let bad: Vec<usize> = (0..good.len()).filter(|index| !good[*index]).collect();
        assert!(
            bad.is_empty(),
            "{}: pieces {bad:?} of {} are not on disk",
            self.name,
            good.len()
        );
    }
}

fn read_entry(name: &str, entry: &Value) -> (PathBuf, u64) {
    let parts = entry.get("path").expect("a path").as_list();
    let mut path = PathBuf::from(name);
    path.extend(
        parts
            .iter()
            .map(|part| std::str::from_utf8(part.as_bytes()).expect("UTF-8")),
    );
    (path, entry.get("length").expect("a length").as_size())
}

/// `root.join("")` would end in a slash, which a file refuses.
fn path_of(root: &Path, member: &Path) -> PathBuf {
    if member.as_os_str().is_empty() {
        root.to_owned()
    } else {
        root.join(member)
    }
}

fn for_each_piece(paths: &[PathBuf], piece_bytes: u64, mut emit: impl FnMut(&[u8])) {
    let size = usize::try_from(piece_bytes).expect("a piece fits");
    let mut piece = Vec::with_capacity(size);
    for path in paths {
        let mut file = File::open(path).expect("our own file");
        loop {
            let want = (size - piece.len()) as u64;
            let got = file
                .by_ref()
                .take(want)
                .read_to_end(&mut piece)
                .expect("our own file");
            if piece.len() == size {
                emit(&piece);
                piece.clear();
            }
            if (got as u64) < want {
                break;
            }
        }
    }
    if !piece.is_empty() {
        emit(&piece);
    }
}

/// The files below `root`, relative to it, sorted by path.
pub(crate) fn list_files(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root.join(&folder))
            .unwrap_or_else(|error| panic!("{}: {error}", root.display()))
        {
            let entry = entry.expect("an entry");
            let path = folder.join(entry.file_name());
            if entry.file_type().expect("a type").is_dir() {
                folders.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Whether a client owes us files of no length: Transmission 3.00 does not make them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EmptyFiles {
    Owed,
    Optional,
}

/// Panics unless `actual` holds exactly the files of `expected`, byte for byte. Both are a file or a folder.
pub(crate) fn assert_same_tree(expected: &Path, actual: &Path, empty_files: EmptyFiles) {
    if expected.is_file() {
        assert_same_file(expected, actual);
        return;
    }
    let (mut left, right) = (list_files(expected), list_files(actual));
    if empty_files == EmptyFiles::Optional {
        let is_empty =
            |path: &PathBuf| fs::metadata(expected.join(path)).is_ok_and(|data| data.len() == 0);
        left.retain(|path| right.binary_search(path).is_ok() || !is_empty(path));
    }
    let missing: Vec<_> = left
        .iter()
        .filter(|path| right.binary_search(path).is_err())
        .collect();
    let extra: Vec<_> = right
        .iter()
        .filter(|path| left.binary_search(path).is_err())
        .collect();
    assert!(
        missing.is_empty() && extra.is_empty(),
        "{}: {} files missing, as {:?}; {} too many, as {:?}",
        actual.display(),
        missing.len(),
        missing.first(),
        extra.len(),
        extra.first()
    );
    left.iter()
        .for_each(|path| assert_same_file(&expected.join(path), &actual.join(path)));
}

fn assert_same_file(expected: &Path, actual: &Path) {
    let left = fs::read(expected).unwrap_or_else(|error| panic!("{}: {error}", expected.display()));
    let right = fs::read(actual).unwrap_or_else(|error| panic!("{}: {error}", actual.display()));
    assert_eq!(left.len(), right.len(), "length of {}", actual.display());
    let difference = left
        .iter()
        .zip(&right)
        .position(|(left, right)| left != right);
    assert!(
        difference.is_none(),
        "{} differs at byte {difference:?}",
        actual.display()
    );
}

/// Copies a file or a folder with all that is below it.
pub(crate) fn copy_tree(from: &Path, to: &Path) {
    if from.is_file() {
        fs::copy(from, to).expect("a copy");
        return;
    }
    fs::create_dir_all(to).expect("a folder");
    let mut made = BTreeMap::new();
    for path in list_files(from) {
        let target = to.join(&path);
        let folder = target.parent().expect("below the root").to_owned();
        made.entry(folder)
            .or_insert_with_key(|folder| fs::create_dir_all(folder).expect("a folder"));
        fs::copy(from.join(&path), target).expect("a copy");
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes text");
        text
    })
}
