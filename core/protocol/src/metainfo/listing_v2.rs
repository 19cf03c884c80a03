//! The `file tree` of a v2 torrent (BEP 52).

use dunlin_base::limits::DIRECTORY_DEPTH_MAX;

use super::error::{MetainfoError, MetainfoErrorKind};
use super::listing::{Listing, RawFile};
use crate::bencode::{Dict, Entries};

/// The files of the tree, in its order, still without padding.
pub(super) fn read<'a>(dict: Dict<'a>, root: &[u8]) -> Result<Listing<'a>, MetainfoError> {
    let tree = dict
        .get(b"file tree")
        .ok_or(MetainfoError::missing(0, "file tree"))?;
    let mut listing = Listing::new();
    // Folders that are being read, and the names that lead to the innermost.
    let mut open: Vec<Entries<'a>> = vec![tree.dict()?.iter()];
    let mut names: Vec<&'a [u8]> = Vec::new();
    while let Some(folder) = open.last_mut() {
        let Some((name, value)) = folder.next() else {
            open.pop();
            names.pop();
            continue;
        };
        let fail = |kind| MetainfoError::new(value.offset(), kind);
        if name.is_empty() {
            return Err(fail(MetainfoErrorKind::FileTree));
        }
        if names.len() >= DIRECTORY_DEPTH_MAX {
            let max = DIRECTORY_DEPTH_MAX;
            return Err(fail(MetainfoErrorKind::TooDeep { max }));
        }
        let node = value.dict()?;
        names.push(name);
        // The empty name marks a file, and a file has nothing beside it.
        match node.get(b"") {
            None => open.push(node.iter()),
            Some(_) if node.iter().nth(1).is_some() => {
                return Err(fail(MetainfoErrorKind::FileTree));
            }
            Some(file) => {
                listing.reserve(root, &names).map_err(fail)?;
                listing.files.push(read_file(file.dict()?, names.clone())?);
                names.pop();
            }
        }
    }
    if listing.files.is_empty() {
        return Err(MetainfoError::new(
            tree.offset(),
            MetainfoErrorKind::NoFiles,
        ));
    }
    // A tree that holds nothing but a file of the torrent's name has no folder.
    if let [file] = listing.files.as_slice()
        && file.names == [root]
    {
        listing.single_file = true;
    }
    Ok(listing)
}

fn read_file<'a>(dict: Dict<'a>, names: Vec<&'a [u8]>) -> Result<RawFile<'a>, MetainfoError> {
    let mut file = RawFile::new(dict, names)?;
    // An empty file has no tree, whatever it says.
    if file.length > 0 {
        let offset = dict.value().offset();
        let root = dict
            .get(b"pieces root")
            .ok_or(MetainfoError::missing(offset, "pieces root"))?;
        let bytes = root.bytes()?;
        let (expected, got) = (32, bytes.len());
        let hash = bytes.first_chunk().filter(|_| got == expected).copied();
        let kind = MetainfoErrorKind::HashLength { expected, got };
        file.pieces_root = Some(hash.ok_or(MetainfoError::new(root.offset(), kind))?);
    }
    Ok(file)
}

/// Bytes from `offset` to the next piece.
fn gap(offset: u64, piece_bytes: u64) -> Option<u64> {
    Some(offset.checked_next_multiple_of(piece_bytes)? - offset)
}

/// Puts padding in front of each file that would not begin on a piece. Fails when the offsets
/// overflow.
pub(super) fn align(listing: &mut Listing<'_>, piece_bytes: u64) -> Option<()> {
    let mut aligned = Vec::with_capacity(listing.files.len());
    let mut offset = 0_u64;
    for file in listing.files.drain(..) {
        let gap = gap(offset, piece_bytes)?;
        if file.length > 0 && gap > 0 {
            offset = offset.checked_add(gap)?;
            aligned.push(RawFile::padding(gap));
        }
        offset = offset.checked_add(file.length)?;
        aligned.push(file);
    }
    listing.files = aligned;
    Some(())
}

/// Takes the roots of `trees` over into the v1 list of a hybrid torrent, and tells whether both say
/// the same: the same files in the same order, each on a piece of its own.
pub(super) fn adopt_roots(
    listing: &mut Listing<'_>,
    trees: Listing<'_>,
    root: &[u8],
    piece_bytes: u64,
) -> bool {
    let mut offset = 0_u64;
    let mut trees = trees.files.into_iter();
    for file in &mut listing.files {
        let begin = offset;
        let Some(end) = offset.checked_add(file.length) else {
            return false;
        };
        offset = end;
        if file.attributes.padding {
            continue;
        }
        let Some(tree) = trees.next() else {
            return false;
        };
        let same_path = if listing.single_file {
            tree.names == [root]
        } else {
            tree.names == file.names
        };
        let aligned = file.length == 0 || begin.is_multiple_of(piece_bytes);
        if !same_path || tree.length != file.length || !aligned {
            return false;
        }
        file.pieces_root = tree.pieces_root;
    }
    trees.next().is_none()
}
