//! Stands in for the crate of this name: what the terminal library of ockam_api needs of it to build.

pub use size_of_derive::SizeOf;

pub struct TotalSize(usize);

impl TotalSize {
    pub fn total_bytes(&self) -> usize {
        self.0
    }
}

pub trait SizeOf {
    fn size_of(&self) -> TotalSize {
        TotalSize(std::mem::size_of_val(self))
    }
}

impl<T: ?Sized> SizeOf for T {}
