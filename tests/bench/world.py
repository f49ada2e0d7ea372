"""What the benchmarks have in common: a mailbox, a Dovecot with it, times and how they are told."""
import base64, json, os, pathlib, random, resource, shutil, signal, socket, statistics, subprocess, sys, time


def say(text):
    print(text, file=sys.stderr, flush=True)


def report(times, count, octets, options):
    median = {kind: statistics.median(t["seconds"] for t in all_) for kind, all_ in times.items()}
    base = median.get("floor")
    print("| what | seconds | MB/s | × floor | client's processor time, s |\n|---|---|---|---|---|")
    for kind, seconds in median.items():
        cpu = statistics.median(t["client_cpu_seconds"] for t in times[kind])
        ratio = f"{seconds / base:.2f}" if base else "–"
        print(f"| {kind} | {seconds:.2f} | {octets / 1e6 / seconds:.0f} | {ratio} | {cpu:.2f} |")
    if options.json:
        document = {"messages": count, "octets": octets, "times": times, "median_seconds": median,
                    "ratio_to_floor": {k: round(v / base, 3) for k, v in median.items()} if base else None}
        pathlib.Path(options.json).write_text(json.dumps(document, indent=1) + "\n")


FOLDERS = ("", ".Sent", ".Archive.2024", ".Archive.2025", ".Lists", ".Work", ".Work.Offers", ".Family")


def make_mailbox(base, count, folders=FOLDERS):
    """Mail of the usual sizes: most of 3 to 30 KB, some with attachments of up to 2 MB; half of it in the first folder."""
    rng = random.Random(2026)
    words = "letter post office keeps until you come for them again with a list of what was sent when".split()
    for folder in folders:
        for part in ("cur", "new", "tmp"):
            os.makedirs(os.path.join(base, folder, part))
    for number in range(count):
        body = " ".join(rng.choice(words) for _ in range(int(rng.lognormvariate(6.6, 0.9))))
        lines = [body[at:at + 72] for at in range(0, len(body), 72)]
        head = [f"Return-Path: <s{number % 97}@example.org>", f"Received: from mx{number % 13}.example.org by mail.example.org;",
                f"\tid {rng.getrandbits(64):016x}", f"Message-ID: <{rng.getrandbits(80):020x}@example.org>",
                f"From: Sender {number % 97} <s{number % 97}@example.org>", "To: me@example.org",
                f"Subject: {' '.join(rng.choice(words) for _ in range(6))}", "Date: Mon, 2 Mar 2026 10:00:00 +0000",
                f"DKIM-Signature: v=1; b={base64.b64encode(rng.randbytes(250)).decode()}", "MIME-Version: 1.0"]
        if rng.random() < 0.06:
            encoded = base64.encodebytes(rng.randbytes(int(min(2e6, rng.lognormvariate(11.5, 1.2))))).decode().split("\n")
            head += ["Content-Type: multipart/mixed; boundary=b", "", "--b", "Content-Type: text/plain", "", *lines,
                     "--b", "Content-Type: application/octet-stream", "Content-Transfer-Encoding: base64", "", *encoded, "--b--", ""]
        else:
            head += ["Content-Type: text/plain", "", *lines, ""]
        path = os.path.join(base, rng.choice(folders[:1] * 4 + folders), "cur",
                            f"{1_000_000_000 + number}.M{number}.bench:2,{rng.choice(['', 'S', 'S', 'FS', 'RS'])}")
        pathlib.Path(path).write_bytes("\r\n".join(head).encode())
        os.utime(path, (1_700_000_000 + number * 60,) * 2)


class Dovecot:
    """One with mail that is not synced to disk, private to the benchmark."""

    def __init__(self, folder, pop3=False):
        self.folder = folder
        # Both at once, or the second could be the first.
        with socket.socket() as one, socket.socket() as other:
            for probe in (one, other):
                probe.bind(("127.0.0.1", 0))
            self.port, self.pop3_port = (probe.getsockname()[1] for probe in (one, other))
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
        configuration = os.path.join(folder, "dovecot.conf")
        pathlib.Path(configuration).write_text(f"""
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/dovecot.log
protocols = imap{' pop3' if pop3 else ''}
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain login
mail_location = maildir:%h/Maildir
first_valid_uid = 1
mail_fsync = never
mail_max_userip_connections = 100
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
    port = 0
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


def processor_time(who):
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def timed(command, environment, codes):
    """Seconds, seconds of processor time, and what was said, of a command that must end with one of these."""
    before, began = processor_time(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    seconds, cpu = time.monotonic() - began, processor_time(resource.RUSAGE_CHILDREN) - before
    if done.returncode not in codes:
        sys.exit(f"{command[0]} ended with {done.returncode}:\n{done.stderr.decode(errors='replace')[-3000:]}")
    return seconds, cpu, done.stdout
