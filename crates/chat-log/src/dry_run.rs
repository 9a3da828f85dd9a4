//! A directory that is only looked at: what is written to it goes nowhere.

use std::io;

use crate::files::{Directory, File};

/// Another directory, in which nothing is changed: writes, new names and syncs succeed without an
/// effect. A log that is opened over it is read as it is on the disk, damage included.
#[derive(Clone, Debug)]
pub struct DryRun<D>(pub D);

/// A file in a [`DryRun`]; `None` for one that was made there, which stays empty.
#[derive(Debug)]
pub struct DryRunFile<F>(Option<F>);

impl<D: Directory> Directory for DryRun<D> {
    type File = DryRunFile<D::File>;

    fn names(&self) -> io::Result<Vec<String>> {
        self.0.names()
    }

    fn create(&self, _name: &str) -> io::Result<Self::File> {
        Ok(DryRunFile(None))
    }

    fn open(&self, name: &str) -> io::Result<Self::File> {
        self.0.open(name).map(|file| DryRunFile(Some(file)))
    }

    fn rename(&self, _from: &str, _to: &str) -> io::Result<()> {
        Ok(())
    }

    fn remove(&self, _name: &str) -> io::Result<()> {
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

impl<F: File> File for DryRunFile<F> {
    fn length(&self) -> io::Result<u64> {
        self.0.as_ref().map_or(Ok(0), File::length)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        match &self.0 {
            Some(file) => file.read_at(offset, buffer),
            None => Ok(0),
        }
    }

    fn write_at(&self, _offset: u64, _bytes: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn set_length(&self, _length: u64) -> io::Result<()> {
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn drop_cache(&self) -> io::Result<()> {
        self.0.as_ref().map_or(Ok(()), File::drop_cache)
    }
}
