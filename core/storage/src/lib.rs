//! File layout, vectored file I/O and the resume database.
