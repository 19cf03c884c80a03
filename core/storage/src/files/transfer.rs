//! Copies, compares and erases parts of files, leaving holes holes.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::ops::{ControlFlow, Range};

use super::io::{read_all_at, write_all_at};

/// Bytes that are held at a time.
const STEP_BYTES: u64 = 256 * 1024;

/// Copies the bytes of `range` in `source` to `target` at `target_offset`. Zeros are not written: a
/// target without content there stays sparse. `progress` gets the bytes of every step and may stop
/// the copy, which is the error `Interrupted`. Returns the number of bytes that were written.
pub(super) fn copy(
    source: &File,
    range: Range<u64>,
    target: &File,
    target_offset: u64,
    progress: &mut dyn FnMut(u64) -> ControlFlow<()>,
) -> io::Result<u64> {
    let mut written = 0;
    each_step(source, range.clone(), |at, bytes| {
        if bytes.iter().any(|&byte| byte != 0) {
            let to = target_offset + (at - range.start);
            write_all_at(target, &mut [IoSlice::new(bytes)], to)?;
            written += bytes.len() as u64;
        }
        match progress(bytes.len() as u64) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(io::ErrorKind::Interrupted.into()),
        }
    })?;
    Ok(written)
}

/// Whether anything in `range` was ever written, as far as the file system knows holes.
pub(super) fn has_data(file: &File, range: Range<u64>) -> io::Result<bool> {
    let end = range.end.min(file.metadata()?.len());
    Ok(range.start < end && next_data(file, range.start)?.is_some_and(|data| data < end))
}

/// Whether two files have the same content.
pub(super) fn same_content(a: &File, b: &File) -> io::Result<bool> {
    let len = a.metadata()?.len();
    if len != b.metadata()?.len() {
        return Ok(false);
    }
    let mut theirs = vec![0; STEP_BYTES.min(len) as usize];
    let mut at = 0;
    let mut ours = theirs.clone();
    while at < len {
        let step = STEP_BYTES.min(len - at) as usize;
        read_all_at(a, &mut [IoSliceMut::new(&mut ours[..step])], at)?;
        read_all_at(b, &mut [IoSliceMut::new(&mut theirs[..step])], at)?;
        if ours[..step] != theirs[..step] {
            return Ok(false);
        }
        at += step as u64;
    }
    Ok(true)
}

/// Makes the bytes of `range` zeros, and gives their space back where the file system can.
pub(super) fn erase(file: &File, range: Range<u64>) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::FallocateFlags;
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        let len = range.end - range.start;
        if len == 0 || rustix::fs::fallocate(file, flags, range.start, len).is_ok() {
            return Ok(());
        }
    }
    let zeros = vec![0; STEP_BYTES as usize];
    each_step(file, range, |at, bytes| {
        write_all_at(file, &mut [IoSlice::new(&zeros[..bytes.len()])], at)
    })
}

/// Lets the next read come from the disk, not from memory: after a failed write-back the system
/// may hold, as if it were clean, what the disk never got.
pub(super) fn forget_cached(file: &File) {
    #[cfg(target_os = "linux")]
    {
        // A hint; where it is not taken there is nothing else to do.
        _ = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = file;
}

/// Reads what is in `range` and before the file's end, step by step, passing over holes.
fn each_step(
    file: &File,
    range: Range<u64>,
    mut step: impl FnMut(u64, &[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let end = range.end.min(file.metadata()?.len());
    let mut buffer = vec![0; STEP_BYTES.min(end.saturating_sub(range.start)) as usize];
    let mut at = range.start;
    while at < end {
        match next_data(file, at)? {
            Some(data) => at = data,
            None => break,
        }
        if at >= end {
            break;
        }
        let bytes = &mut buffer[..STEP_BYTES.min(end - at) as usize];
        read_all_at(file, &mut [IoSliceMut::new(bytes)], at)?;
        step(at, bytes)?;
        at += bytes.len() as u64;
    }
    Ok(())
}

/// The first offset from `at` that is not in a hole, as far as the file system knows holes.
#[cfg(any(target_os = "linux", target_os = "macos", target_os = "freebsd"))]
fn next_data(file: &File, at: u64) -> io::Result<Option<u64>> {
    use rustix::io::Errno;
    match rustix::fs::seek(file, rustix::fs::SeekFrom::Data(at)) {
        Ok(data) => Ok(Some(data)),
        Err(Errno::NXIO) => Ok(None),
        Err(Errno::INVAL | Errno::OPNOTSUPP | Errno::NOTTY) => Ok(Some(at)),
        Err(error) => Err(error.into()),
    }
}

/// The first offset from `at` that is not in a hole, as far as the file system knows holes.
#[cfg(not(any(target_os = "linux", target_os = "macos", target_os = "freebsd")))]
fn next_data(_file: &File, at: u64) -> io::Result<Option<u64>> {
    Ok(Some(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_keep_holes_and_content() {
        let source = tempfile::tempfile().unwrap();
        let far = 64 << 20;
        write_all_at(&source, &mut [IoSlice::new(b"near")], 10).unwrap();
        write_all_at(&source, &mut [IoSlice::new(b"far")], far).unwrap();
        let target = tempfile::tempfile().unwrap();
        let mut copied = 0;
        let mut count = |bytes| {
            copied += bytes;
            ControlFlow::Continue(())
        };
        copy(&source, 0..u64::MAX, &target, 0, &mut count).unwrap();
        assert!(same_content(&source, &target).unwrap());
        assert!(copied < far, "the hole was read");

        erase(&target, 0..1000).unwrap();
        assert!(!same_content(&source, &target).unwrap());
        write_all_at(&target, &mut [IoSlice::new(b"near")], 10).unwrap();
        assert!(same_content(&source, &target).unwrap());
    }

    #[test]
    fn a_copy_can_be_stopped() {
        let source = tempfile::tempfile().unwrap();
        write_all_at(&source, &mut [IoSlice::new(&[1; 4096])], 0).unwrap();
        let target = tempfile::tempfile().unwrap();
        let stopped = copy(
            &source,
            0..4096,
            &target,
            0,
            &mut |_| ControlFlow::Break(()),
        );
        assert_eq!(stopped.unwrap_err().kind(), io::ErrorKind::Interrupted);
    }
}
