//! The file operations that the log is made of, so that tests can put a faulty disk under it.

use std::io;

/// One flat directory of files. Names are ASCII without `/`.
pub trait Directory: Send + Sync + 'static {
    /// A file in it, open for reading and writing.
    type File: File;

    /// The names of the files in it, in no order.
    ///
    /// # Errors
    ///
    /// The disk's.
    fn names(&self) -> io::Result<Vec<String>>;

    /// Makes an empty file.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::AlreadyExists`] if there is one; the disk's.
    fn create(&self, name: &str) -> io::Result<Self::File>;

    /// Opens a file.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::NotFound`] if there is none; the disk's.
    fn open(&self, name: &str) -> io::Result<Self::File>;

    /// Gives a file another name; a file that has that name is replaced.
    ///
    /// # Errors
    ///
    /// The disk's.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a name; a file that is open stays readable.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::NotFound`] if there is none; the disk's.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Returns when names that were created, changed or removed survive a power failure.
    ///
    /// # Errors
    ///
    /// The disk's; it is unknown then which names survive.
    fn sync(&self) -> io::Result<()>;
}

/// One open file.
pub trait File: Send + Sync + 'static {
    /// Its length in bytes.
    ///
    /// # Errors
    ///
    /// The disk's.
    fn length(&self) -> io::Result<u64>;

    /// Reads what is at `offset`: the whole buffer, or fewer bytes at the file's end, 0 beyond it.
    ///
    /// # Errors
    ///
    /// The disk's.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// Writes all of `bytes` at `offset`; the file grows as needed.
    ///
    /// # Errors
    ///
    /// The disk's; some of the bytes may be written.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Shortens the file, or extends it with zeros.
    ///
    /// # Errors
    ///
    /// The disk's.
    fn set_length(&self, length: u64) -> io::Result<()>;

    /// Returns when everything that was written, and the length, survive a power failure.
    ///
    /// # Errors
    ///
    /// The disk's; it is unknown then what survives, and nothing may be written again (R1).
    fn sync(&self) -> io::Result<()>;

    /// Makes the next reads come from the medium, not from a cache in memory, where the system can.
    ///
    /// # Errors
    ///
    /// The disk's.
    fn drop_cache(&self) -> io::Result<()>;
}
