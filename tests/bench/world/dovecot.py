"""A Dovecot of the benchmark's own."""
import os, pathlib, shutil, signal, socket, subprocess, sys, time


class Dovecot:
    """One with mail that is not synced to disk, private to the benchmark."""

    def __init__(self, folder, pop3=False, tls=False):
        self.folder = folder
        # All at once, or the second could be the first.
        with socket.socket() as one, socket.socket() as other, socket.socket() as third:
            probes = (one, other, third)
            for probe in probes:
                probe.bind(("127.0.0.1", 0))
            self.port, self.tls_port, self.pop3_port = (probe.getsockname()[1] for probe in probes)
        for name in ("run", "state", "mail"):
            os.makedirs(os.path.join(folder, name))
        self.is_root = os.geteuid() == 0
        uid, gid = (65534, 65534) if self.is_root else (os.getuid(), os.getgid())
        self.uid, self.gid = uid, gid
        own = "" if self.is_root else "\n".join(
            [f"default_internal_user = {os.environ['USER']}", f"default_login_user = {os.environ['USER']}",
             *(f"service {name} {{\n  chroot =\n}}" for name in ("anvil", "stats"))])
        chroot = "" if self.is_root else "  chroot =\n"
        if self.is_root:
            os.chown(os.path.join(folder, "mail"), uid, gid)
        also = "" if not pop3 else f"""
service pop3-login {{
{chroot}  inet_listener pop3 {{
    port = {self.pop3_port}
  }}
  inet_listener pop3s {{
    port = 0
  }}
  process_min_avail = 1
  service_count = 0
}}
"""
        self.authority = os.path.join(folder, "cert.pem") if tls else None
        encrypted = self.certify() if tls else "ssl = no"
        configuration = os.path.join(folder, "dovecot.conf")
        pathlib.Path(configuration).write_text(f"""
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/dovecot.log
protocols = imap{' pop3' if pop3 else ''}
listen = 127.0.0.1
{encrypted}
disable_plaintext_auth = no
auth_mechanisms = plain login
mail_location = maildir:%h/Maildir
first_valid_uid = 1
mail_fsync = never
mail_max_userip_connections = 100
default_vsz_limit = 4G
namespace inbox {{
  inbox = yes
  separator = /
}}
passdb {{
  driver = static
  args = password=pass
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={folder}/mail/%u
}}
service imap-login {{
{chroot}  inet_listener imap {{
    port = {self.port}
  }}
  inet_listener imaps {{
    port = {self.tls_port if tls else 0}
    ssl = yes
  }}
  process_min_avail = 1
  service_count = 0
}}
{also}
{own}
""")
        program = shutil.which("dovecot") or "/usr/sbin/dovecot"
        self.log = open(os.path.join(folder, "stderr"), "wb")
        self.master = subprocess.Popen([program, "-F", "-c", configuration], stdin=subprocess.DEVNULL,
                                       stdout=self.log, stderr=self.log, start_new_session=True)
        for _ in range(500):
            try:
                with socket.create_connection(("127.0.0.1", self.port)) as greeting:
                    if greeting.recv(4) == b"* OK":
                        return
            except OSError:
                time.sleep(0.02)
        self.stop()
        sys.exit("Dovecot does not start: " + pathlib.Path(folder, "stderr").read_text())

    def certify(self):
        """A certificate that is its own authority, and what Dovecot is told of it."""
        key = os.path.join(self.folder, "key.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=localhost",
                        "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", self.authority],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return f"ssl = yes\nssl_cert = <{self.authority}\nssl_key = <{key}"

    def stop(self):
        try:
            os.killpg(self.master.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.master.wait()

    def maildir(self, user):
        return os.path.join(self.folder, "mail", user, "Maildir")

    def own(self, user):
        if self.is_root:
            subprocess.check_call(["chown", "-R", f"{self.uid}:{self.gid}", os.path.join(self.folder, "mail", user)])

    def forget(self, user):
        shutil.rmtree(os.path.join(self.folder, "mail", user), ignore_errors=True)
