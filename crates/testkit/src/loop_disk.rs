//! An ext4 of its own, in a file, mounted through a loop device: what FUSE cannot show.
//!
//! Here SQLite has its write-ahead log and shared memory, and space runs out the way it does on a real
//! disk. A power cut is ext4's own: the file system is shut down without its journal being flushed
//! (`EXT4_IOC_SHUTDOWN`), and what is then mounted again is what had reached the disk.
//!
//! It takes root, loop devices and `mkfs.ext4`; without them there is no such disk, and the test says
//! that it is left out.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// `EXT4_IOC_SHUTDOWN` with `EXT4_GOING_FLAGS_NOLOGFLUSH` (linux/ext4.h). Perl is on every Debian, and
/// an ioctl in Rust would be `unsafe`.
const SHUT_DOWN: &str = r#"my $how = pack("I", 2); open(my $f, "<", $ARGV[0]) or die "$!"; ioctl($f, 0x8004587D, $how) or die "$!";"#;

/// A mounted ext4. Dropping it unmounts it; programs that use it must have ended.
#[derive(Debug)]
pub struct LoopDisk {
    folder: TempDir,
}

impl LoopDisk {
    /// An empty file system of so many bytes; `None`, and a line on standard error, where there can be
    /// none.
    ///
    /// # Panics
    /// When the image cannot be written.
    #[must_use]
    pub fn mount(bytes: u64) -> Option<Self> {
        let folder = TempDir::with_prefix("loop-disk-").expect("a folder can be made");
        let disk = Self { folder };
        fs::create_dir(disk.path()).expect("the folder is ours");
        let image = File::create(disk.image()).and_then(|file| file.set_len(bytes));
        image.expect("the folder is ours");
        // No blocks for root alone: the program is root here, and must meet a full disk.
        let made = run("mkfs.ext4", &["-q", "-m", "0"], &[&disk.image()]);
        match made.and_then(|()| disk.attach()) {
            Ok(()) => Some(disk),
            Err(why) => {
                #[expect(clippy::print_stderr, reason = "a test that does not run must say so")]
                {
                    eprintln!("no ext4 on a loop device ({why}): what needs one is not tested");
                }
                None
            }
        }
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("disk")
    }

    /// A path on it.
    #[must_use]
    pub fn join(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    fn image(&self) -> PathBuf {
        self.folder.path().join("image")
    }

    fn attach(&self) -> Result<(), String> {
        run("mount", &["-o", "loop"], &[&self.image(), &self.path()])
    }

    /// Unmounts it; the folder stays, empty, as it does when a disk is not there.
    ///
    /// # Panics
    /// When somebody uses it.
    pub fn unmount(&self) {
        run("umount", &[], &[&self.path()]).expect("nobody uses the disk any more");
    }

    /// Mounts it again.
    ///
    /// # Panics
    /// When that fails.
    pub fn mount_again(&self) {
        self.attach().expect("it was mounted before");
    }

    /// Makes it read-only in mid-run, or writable again.
    ///
    /// # Panics
    /// When it refuses.
    pub fn set_read_only(&self, read_only: bool) {
        let option = if read_only { "remount,ro" } else { "remount,rw" };
        run("mount", &["-o", option], &[&self.path()]).expect("the disk can be mounted otherwise");
    }

    /// The power goes: from now on every call fails. [`power_on`](Self::power_on) shows what is left.
    ///
    /// # Panics
    /// When the file system does not do it.
    pub fn power_off(&self) {
        run("perl", &["-e", SHUT_DOWN], &[&self.path()]).expect("ext4 can be shut down");
    }

    /// Mounts what the power cut has left.
    ///
    /// # Panics
    /// When somebody still uses it.
    pub fn power_on(&self) {
        self.unmount();
        self.mount_again();
    }
}

impl Drop for LoopDisk {
    fn drop(&mut self) {
        // It may not be mounted.
        let _ = run("umount", &["-l", "-q"], &[&self.path()]);
    }
}

fn run(program: &str, arguments: &[&str], paths: &[&Path]) -> Result<(), String> {
    let mut command = Command::new(program);
    command.args(arguments).args(paths).stdin(Stdio::null());
    // Tools of administration are often not in the path.
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{path}:/usr/sbin:/sbin"));
    let output = command.output().map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim()))
}
