"""The program that is measured, with a configuration and an archive of its own."""
import json, os, pathlib, shutil, sys

from .measure import run, size_of


class Restante:
    """One account, `bench`, at a Dovecot; in a folder that is made for it."""

    def __init__(self, program, folder, port, protocol="imap", authority=None):
        self.folder, self.archive = folder, os.path.join(folder, "archive")
        os.makedirs(folder)
        self.password = os.path.join(folder, "password")
        pathlib.Path(self.password).write_text("pass\n")
        os.chmod(self.password, 0o600)
        tls = f'tls = "implicit"\ntls_ca_file = "{authority}"' if authority else 'tls = "none"'
        configuration = os.path.join(folder, "restante.toml")
        pathlib.Path(configuration).write_text(f"""
[archive]
path = "archive"
reserve = "0"

[[account]]
name = "bench"
protocol = "{protocol}"
host = "localhost"
port = {port}
{tls}
user = "source"
password_file = "password"
""")
        self.command = [program, "--config", configuration, "--json"]
        self.environment = {**os.environ, "HOME": folder, "XDG_STATE_HOME": os.path.join(folder, "state")}
        self.environment.pop("RUST_LOG", None)

    def run(self, *arguments, codes=(0,)):
        return run([*self.command, *arguments], self.environment, codes)

    def pull(self, count):
        """A run after which so many messages must be in the archive."""
        used = self.run("--run-now")
        totals = json.loads(used.said)["runs"][0]["totals"]
        if totals["archived"] != count or totals["on_server"] != count:
            sys.exit(f"{self.folder}: {totals['archived']} of {totals['on_server']} messages in the archive, not {count}")
        self.fetched = totals["bytes_fetched"]
        return used

    def again(self, count):
        """A run that must find nothing new."""
        used = self.pull(count)
        if self.fetched:
            sys.exit(f"{self.fetched} octets fetched, though there was nothing new")
        return used

    def archive_bytes(self):
        return size_of(self.archive)

    def forget(self):
        """All that was pulled, and that there was something to pull into."""
        for folder in (self.archive, os.path.join(self.folder, "state")):
            shutil.rmtree(folder)
