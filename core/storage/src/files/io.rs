//! Whole vectored reads and writes at an offset: short ones are continued, interrupted ones tried
//! again.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};

/// Most buffers of one system call (`IOV_MAX` is 1,024 on Linux, macOS and the BSDs).
pub(crate) const BUFFERS_PER_CALL_MAX: usize = 1024;

/// Writes all of `parts` at `offset` of the file.
pub(crate) fn write_all_at(file: &File, parts: &mut [IoSlice<'_>], offset: u64) -> io::Result<()> {
    write_all_by(parts, offset, |parts, offset| {
        platform::write(file, parts, offset)
    })
}

/// Fills all of `parts` from `offset` of the file; `UnexpectedEof` when it ends before.
pub(crate) fn read_all_at(
    file: &File,
    parts: &mut [IoSliceMut<'_>],
    offset: u64,
) -> io::Result<()> {
    read_all_by(parts, offset, |parts, offset| {
        platform::read(file, parts, offset)
    })
}

/// Lets the system fetch a range of the file, where it takes such hints.
pub fn will_read(file: &File, offset: u64, len: u64) {
    platform::will_read(file, offset, len);
}

fn write_all_by(
    mut parts: &mut [IoSlice<'_>],
    mut offset: u64,
    mut write: impl FnMut(&[IoSlice<'_>], u64) -> io::Result<usize>,
) -> io::Result<()> {
    IoSlice::advance_slices(&mut parts, 0);
    while !parts.is_empty() {
        let now = parts.len().min(BUFFERS_PER_CALL_MAX);
        match write(&parts[..now], offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                IoSlice::advance_slices(&mut parts, written);
                offset += written as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn read_all_by(
    mut parts: &mut [IoSliceMut<'_>],
    mut offset: u64,
    mut read: impl FnMut(&mut [IoSliceMut<'_>], u64) -> io::Result<usize>,
) -> io::Result<()> {
    IoSliceMut::advance_slices(&mut parts, 0);
    while !parts.is_empty() {
        let now = parts.len().min(BUFFERS_PER_CALL_MAX);
        match read(&mut parts[..now], offset) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(got) => {
                IoSliceMut::advance_slices(&mut parts, got);
                offset += got as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(unix)]
mod platform {
    use super::{File, IoSlice, IoSliceMut, io};

    pub(super) fn write(file: &File, parts: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        Ok(rustix::io::pwritev(file, parts, offset)?)
    }

    pub(super) fn read(
        file: &File,
        parts: &mut [IoSliceMut<'_>],
        offset: u64,
    ) -> io::Result<usize> {
        Ok(rustix::io::preadv(file, parts, offset)?)
    }

    #[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
    pub(super) fn will_read(file: &File, offset: u64, len: u64) {
        let len = std::num::NonZeroU64::new(len);
        // Who refuses a hint reads without it.
        _ = rustix::fs::fadvise(file, offset, len, rustix::fs::Advice::WillNeed);
    }

    #[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
    pub(super) fn will_read(_: &File, _: u64, _: u64) {}
}

#[cfg(windows)]
mod platform {
    use super::{File, IoSlice, IoSliceMut, io};
    use std::os::windows::fs::FileExt as _;

    pub(super) fn write(file: &File, parts: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        parts
            .first()
            .map_or(Ok(0), |part| file.seek_write(part, offset))
    }

    pub(super) fn read(
        file: &File,
        parts: &mut [IoSliceMut<'_>],
        offset: u64,
    ) -> io::Result<usize> {
        parts
            .first_mut()
            .map_or(Ok(0), |part| file.seek_read(part, offset))
    }

    pub(super) fn will_read(_: &File, _: u64, _: u64) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_interrupted_writes_are_continued() {
        let bytes: Vec<u8> = (0..200).collect();
        let mut parts: Vec<_> = bytes.chunks(7).map(IoSlice::new).collect();
        parts.insert(0, IoSlice::new(&[]));
        let mut written = vec![];
        let mut calls = 0;
        write_all_by(&mut parts, 1000, |parts, offset| {
            assert_eq!(offset, 1000 + written.len() as u64);
            calls += 1;
            if calls % 3 == 0 {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let flat: Vec<u8> = parts
                .iter()
                .flat_map(|part| part.to_vec())
                .take(11)
                .collect();
            written.extend_from_slice(&flat);
            Ok(flat.len())
        })
        .unwrap();
        assert_eq!(written, bytes);
    }

    #[test]
    fn a_write_that_takes_nothing_and_a_read_past_the_end_are_errors() {
        let stuck = write_all_by(&mut [IoSlice::new(b"x")], 0, |_, _| Ok(0));
        assert_eq!(stuck.unwrap_err().kind(), io::ErrorKind::WriteZero);
        let mut buffer = [0; 4];
        let mut left = 3;
        let ended = read_all_by(&mut [IoSliceMut::new(&mut buffer)], 0, |_, _| {
            left -= 1;
            Ok(usize::from(left > 0))
        });
        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn more_buffers_than_one_call_takes() {
        let file = tempfile::tempfile().unwrap();
        let bytes: Vec<u8> = (0..3000_u32).map(|at| at as u8).collect();
        let mut parts: Vec<_> = bytes.chunks(1).map(IoSlice::new).collect();
        write_all_at(&file, &mut parts, 5).unwrap();
        let mut back = vec![0; 3000];
        let mut parts: Vec<_> = back.chunks_mut(1).map(IoSliceMut::new).collect();
        read_all_at(&file, &mut parts, 5).unwrap();
        assert_eq!(back, bytes);
    }
}
