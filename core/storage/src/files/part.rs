//! The part file: what pieces carry of files that nobody wants.
//!
//! A piece that straddles a wanted and an unwanted file has to be kept whole to be served. The
//! unwanted bytes lie in one sparse file at their offsets in the torrent.

use std::ops::ControlFlow;
use std::path::PathBuf;

use dunlin_base::InfoHash;

use super::beneath::Access;
use super::look::look;
use super::torrent::{Home, PART_SLOT, Place, TorrentFiles, open_folder, sync_folders};
use super::transfer;
use crate::{FileIndex, Operation, StorageError};

/// Name of a torrent's part file in the download folder.
pub(super) fn file_name(torrent: InfoHash) -> PathBuf {
    format!(".{torrent}.dunlin-part").into()
}

/// Moves what the part file holds of wanted files into them, and removes the part file when no
/// other file needs it. Ends the same way however often it was interrupted.
pub(super) fn bring_home(files: &TorrentFiles, place: &mut Place) -> Result<(), StorageError> {
    let folder = open_folder(&place.root)?;
    let name = file_name(files.torrent);
    let Some(part) = look(&folder, &place.root, &name)? else {
        // Nothing was ever written there, so there is nothing to move.
        for (at, home) in place.homes.iter_mut().enumerate() {
            if place.wanted[at] {
                *home = Home::File;
            }
        }
        return Ok(());
    };
    for (index, spec) in files.layout.iter() {
        let at = index.0 as usize;
        let belongs = place.wanted[at] || place.homes[at] == Home::File;
        if spec.length == 0 || spec.pad || !belongs {
            continue;
        }
        if files.layout.range_of(index).start < part.len {
            bring_file_home(files, place, index)?;
        }
        place.homes[at] = Home::File;
    }
    if !place.homes.contains(&Home::Part) {
        files.pool.close(files.owner, PART_SLOT);
        folder
            .remove_file(&name)
            .map_err(|error| StorageError::new(Operation::Remove, place.root.join(&name), error))?;
        files.change_pending(|pending| pending.forget(PART_SLOT));
    }
    Ok(())
}

fn bring_file_home(
    files: &TorrentFiles,
    place: &Place,
    index: FileIndex,
) -> Result<(), StorageError> {
    let part = files.open_slot(place, PART_SLOT, Access::Write)?;
    let range = files.layout.range_of(index);
    let path = place.root.join(&files.layout.file(index).path);
    let on = |op| StorageError::on(op, &path);

    // Nothing is created for a file of which the part file holds nothing.
    if !transfer::has_data(&part, range.clone()).map_err(on(Operation::Read))? {
        return Ok(());
    }
    let target = files.open_slot(place, index.0, Access::Write)?;
    let mut go_on = |_| ControlFlow::Continue(());
    let written = transfer::copy(&part, range.clone(), &target, 0, &mut go_on)
        .map_err(on(Operation::Write))?;
    // Zeros are not written, but they are there as well.
    let len = range.end - range.start;
    let short = target.metadata().map_err(on(Operation::Stat))?.len() < len;
    if short {
        target.set_len(len).map_err(on(Operation::Allocate))?;
    }
    if written == 0 && !short {
        return Ok(());
    }
    target.sync_data().map_err(on(Operation::Flush))?;
    let folders = files.pending_folders();
    sync_folders(place, &folders)?;
    // Only now is there a second durable copy.
    transfer::erase(&part, range).map_err(on(Operation::Write))
}
