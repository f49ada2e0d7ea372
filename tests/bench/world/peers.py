"""What others make of the same mail: programs that copy it from the server, and programs that pack a Maildir.

Each is a class with a `program` that must be installed. A copier gets a folder of its own for what it
brings and what it remembers; `pull` is one run of it.
"""
import os, pathlib, shutil, sys

from .measure import run, size_of


class Copier:
    """Brings the mail of `source` into a Maildir."""

    def __init__(self, folder, port, all_folders):
        self.folder, self.near = folder, os.path.join(folder, "near")
        os.makedirs(self.near)
        self.environment = dict(os.environ, HOME=folder)
        self.configuration = os.path.join(folder, "configuration")
        pathlib.Path(self.configuration).write_text(self.configure(port, all_folders))

    def pull(self, count):
        used = run(self.command(), self.environment)
        there = sum(len(files) for at, _, files in os.walk(self.near) if os.path.basename(at) in ("cur", "new"))
        if there != count:
            sys.exit(f"{self.program}: {there} messages came, not {count}")
        return used

    def forget(self):
        shutil.rmtree(self.folder)


def mbsync_configuration(state, near, port, user, fsync, direction):
    """Between a server and a Maildir, one way."""
    return f"""
FSync {fsync}

IMAPStore far
Host 127.0.0.1
Port {port}
User {user}
Pass pass
SSLType None
AuthMechs LOGIN

MaildirStore near
Inbox {near}
SubFolders Maildir++

Channel all
Far :far:
Near :near:
Patterns *
Create {"Far" if direction == "Push" else "Near"}
Sync {direction}
SyncState {state}/state-
CopyArrivalDate yes
"""


class Mbsync(Copier):
    program, fsync = "mbsync", "yes"

    def configure(self, port, all_folders):
        os.rmdir(self.near)
        return mbsync_configuration(self.folder, self.near, port, "source", self.fsync, "Pull")

    def command(self):
        return ["mbsync", "-q", "-c", self.configuration, "all"]


class MbsyncUnsafe(Mbsync):
    fsync = "no"


class OfflineImap(Copier):
    program = "offlineimap"

    def configure(self, port, all_folders):
        return f"""
[general]
accounts = bench
metadata = {self.folder}/metadata

[Account bench]
localrepository = near
remoterepository = far

[Repository near]
type = Maildir
localfolders = {self.near}

[Repository far]
type = IMAP
remotehost = 127.0.0.1
remoteport = {port}
remoteuser = source
remotepass = pass
ssl = no
starttls = no
readonly = True
"""

    def command(self):
        return ["offlineimap", "-o", "-u", "quiet", "-c", self.configuration]


class Getmail(Copier):
    """It puts the mail of all folders into one, and does nothing as root."""
    program = "getmail"
    nobody = "65534"

    def configure(self, port, all_folders):
        for part in ("cur", "new", "tmp"):
            os.mkdir(os.path.join(self.near, part))
        return f"""
[retriever]
type = SimpleIMAPRetriever
server = 127.0.0.1
port = {port}
username = source
password = pass
mailboxes = {'ALL' if all_folders else '("INBOX",)'}

[destination]
type = Maildir
path = {self.near}/

[options]
read_all = false
delete = false
delivered_to = false
received = false
"""

    def command(self):
        command = ["getmail", "--quiet", "--getmaildir", self.folder, "--rcfile", self.configuration]
        if os.geteuid() != 0:
            return command
        shutil.chown(self.folder, int(self.nobody), int(self.nobody))
        for path in pathlib.Path(self.folder).rglob("*"):
            shutil.chown(path, int(self.nobody), int(self.nobody))
        return ["setpriv", f"--reuid={self.nobody}", f"--regid={self.nobody}", "--clear-groups", *command]


# ------------------------------------------------------------------ packers

def restic(maildir, folder):
    environment = dict(os.environ, HOME=folder, RESTIC_PASSWORD="bench")
    at = os.path.join(folder, "repository")
    run(["restic", "-r", at, "--no-cache", "-q", "init", "--repository-version", "2"], environment)
    return run(["restic", "-r", at, "--no-cache", "-q", "--compression", "auto", "backup", maildir], environment), size_of(at)


def borg(maildir, folder):
    environment = dict(os.environ, BORG_BASE_DIR=folder, BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK="yes")
    at = os.path.join(folder, "repository")
    run(["borg", "init", "-e", "none", at], environment)
    return run(["borg", "create", "-C", "zstd,9", f"{at}::mail", "."], environment, folder=maildir), size_of(at)


def tar_zstd(maildir, folder):
    """No random access, and nothing can be added: a bound for what can."""
    at = os.path.join(folder, "mail.tar.zst")
    used = run(["sh", "-c", 'tar -cf - . | zstd -q -9 --long=31 -o "$1"', "sh", at], folder=maildir)
    return used, os.path.getsize(at)


PACKERS = {"restic, auto compression": ("restic", restic), "borg, zstd 9": ("borg", borg), "tar \\| zstd -9 --long=31": ("zstd", tar_zstd)}
