//! The file itself: found, locked, read, and replaced whole.
//!
//! The lock is on a second file, FILE.lock, because the first one is another with each write; it is left behind, since
//! whoever removes a lock may remove another's. Both are for their owner's eyes only: what the containers' variables hold
//! may be secret. The surprising rule: nothing is written to a file that could not be read and understood before.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use super::{StateFile, error::StateError};
use crate::emulator::error::EmulatorError;

/// A state file that is ours until this is dropped.
#[derive(Debug)]
pub(crate) struct Disk {
    /// As it was named, for errors.
    named: PathBuf,
    /// Where it is.
    path: PathBuf,
    /// What was written last.
    text: Mutex<Vec<u8>>,
    lock: File,
}

impl Disk {
    /// Takes a state file, which need not be there yet, for ourselves.
    ///
    /// # Errors
    /// Another emulator has it; the place cannot be written; what is there is no state that we know.
    pub(crate) fn open(named: &Path) -> Result<Self, EmulatorError> {
        let path = target(named);
        let wrong = |reason| EmulatorError::State { file: named.to_owned(), reason };
        // Before there is a lock: nothing is to be left beside a file that is not ours.
        understood(&path).map_err(wrong)?;
        let lock = lock(&with_end(&path, ".lock")).map_err(wrong)?;
        Ok(Self { named: named.to_owned(), path, text: Mutex::default(), lock })
    }

    /// What stands in it; `None` where it is not there.
    ///
    /// # Errors
    /// It cannot be read, or it is no state that we know.
    pub(crate) fn read(&self) -> Result<Option<StateFile>, EmulatorError> {
        understood(&self.path).map_err(|reason| self.wrong(reason))
    }

    /// Replaces what stands in it, unless that is the same: when it returns, it is on disk.
    pub(crate) fn write(&self, state: &StateFile) -> io::Result<()> {
        let text = state.text()?;
        let mut last = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        if *last == text {
            return Ok(());
        }
        let beside = with_end(&self.path, ".new");
        // One of an emulator that was killed; what is ours by the lock is made by us, with our mode.
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = private().write(true).create_new(true).open(&beside)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&beside, &self.path)?;
        sync_folder(&self.path)?;
        *last = text;
        Ok(())
    }

    /// An error about this file.
    pub(crate) fn wrong(&self, reason: StateError) -> EmulatorError {
        EmulatorError::State { file: self.named.clone(), reason }
    }
}

impl Drop for Disk {
    /// Closing it would not do: an instance that is being started has a copy of the descriptor until it runs its program,
    /// and the lock lasts as long as the last copy.
    fn drop(&mut self) {
        let _ = self.lock.unlock();
    }
}

/// Where a link leads, also one to a file that is yet to be made: its target is to be replaced, and not the link.
fn target(named: &Path) -> PathBuf {
    let yet_to_be_made = || Some(named.parent()?.join(fs::read_link(named).ok()?));
    fs::canonicalize(named).ok().or_else(yet_to_be_made).unwrap_or_else(|| named.to_owned())
}

/// Locks a file, and writes into it who has it.
fn lock(path: &Path) -> Result<File, StateError> {
    let unwritable = |source| StateError::Unwritable { source };
    let mut file =
        private().read(true).write(true).create(true).truncate(false).open(path).map_err(unwritable)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            let by = file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
            return Err(StateError::Locked { by });
        }
        Err(TryLockError::Error(source)) => return Err(unwritable(source)),
    }
    let told = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
    told.map(|()| file).map_err(unwritable)
}

fn understood(path: &Path) -> Result<Option<StateFile>, StateError> {
    match read(path) {
        Ok(text) => StateFile::parse(&text).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(StateError::Unreadable { source }),
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    // Before it is opened: a pipe would wait for a writer.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    fs::read(path)
}

/// A file that only its owner may read.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// The new name survives a failure of power too.
fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(unix) {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(end);
    name.into()
}
