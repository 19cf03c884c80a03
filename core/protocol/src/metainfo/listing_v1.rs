//! The file list of a v1 torrent (BEP 3): `length`, or `files`.

use super::error::{MetainfoError, MetainfoErrorKind};
use super::listing::{Listing, RawFile, name_list};
use crate::bencode::{Dict, Value};

pub(super) fn read<'a>(dict: Dict<'a>, root: &[u8]) -> Result<Listing<'a>, MetainfoError> {
    let Some(files) = dict.get(b"files") else {
        return Ok(Listing::single(RawFile::new(dict, Vec::new())?));
    };
    let mut listing = Listing::new();
    for file in files.list()? {
        let dict = file.dict()?;
        let names = name_list(path(dict)?)?;
        listing
            .reserve(root, &names)
            .map_err(|kind| MetainfoError::new(file.offset(), kind))?;
        listing.files.push(RawFile::new(dict, names)?);
    }
    if listing.files.is_empty() {
        return Err(MetainfoError::new(
            files.offset(),
            MetainfoErrorKind::NoFiles,
        ));
    }
    Ok(listing)
}

/// Old torrents have a path in some local encoding and another in UTF-8 beside it.
fn path(file: Dict<'_>) -> Result<Value<'_>, MetainfoError> {
    file.get(b"path.utf-8")
        .filter(is_utf8_path)
        .or_else(|| file.get(b"path"))
        .ok_or(MetainfoError::missing(file.value().offset(), "path"))
}

fn is_utf8_path(path: &Value<'_>) -> bool {
    path.as_list()
        .is_some_and(|mut names| names.all(|name| name.as_str().is_some()))
}
