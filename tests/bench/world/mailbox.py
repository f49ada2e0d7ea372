"""A Maildir++ tree of letters: folders, flags, received dates, and the same message in several folders."""
import hashlib, os, pathlib, random, shutil

from .letters import Letters

FOLDERS = ("", ".Sent", ".Archive.2024", ".Archive.2025", ".Lists", ".Work", ".Work.Offers", ".Family")
# Where mail of a kind lies, when there is such a folder.
USUAL = {"sent": ".Sent", "list": ".Lists"}
# A message in so many lies in a second place as well.
COPIES = 0.03
FIRST_RECEIVED, LAST_RECEIVED = 1_330_000_000, 1_735_000_000


def make_mailbox(base, count, folders=FOLDERS, seed=2026):
    """So many messages, copies included, the oldest first; half of them in the first folder."""
    letters, rng = Letters(seed), random.Random(seed)
    for folder in folders:
        for part in ("cur", "new", "tmp"):
            os.makedirs(os.path.join(base, folder, part))
    number = 0
    while number < count:
        received = FIRST_RECEIVED + (LAST_RECEIVED - FIRST_RECEIVED) * ((number + rng.random()) / count) ** 0.6
        letter = letters.next(received)
        folder = USUAL.get(letter.kind)
        places = [folder if folder in folders else rng.choice([*folders[:1] * 4, *folders])]
        if rng.random() < COPIES:
            places.append(rng.choice(folders))
        for folder in places[:count - number]:
            name = f"{unlike(letter.received, number)}:2,{rng.choice(['', 'S', 'S', 'FS', 'RS'])}"
            path = os.path.join(base, folder, "cur", name)
            pathlib.Path(path).write_bytes(letter.octets)
            os.utime(path, (letter.received,) * 2)
            number += 1


def take_mailbox(source, target):
    """The messages of a Maildir with all its folders, or where there is no `cur` every file below, in one Maildir."""
    for part in ("cur", "new", "tmp"):
        os.makedirs(os.path.join(target, part))
    source = pathlib.Path(source)
    if (source / "cur").is_dir():
        places = [home / part for home in (source, *sorted(source.glob(".?*"))) for part in ("cur", "new")]
        files = [file for place in places if place.is_dir() for file in sorted(place.iterdir())]
    else:
        files = sorted(source.rglob("*"))
    for number, file in enumerate(file for file in files if file.is_file()):
        flags = "".join(letter for letter in file.name.partition(":2,")[2] if letter in "DFRST")
        shutil.copy2(file, os.path.join(target, "cur", f"{unlike(1_000_000_000 + number, number)}:2,{flags}"))


def unlike(seconds, number):
    """A file name in a Maildir. Dovecot hashes these names badly: where they only count up, as names of no
    real server do, it looks for each of them among hundreds, and opens such a mailbox in seconds."""
    return f"{seconds}.M{hashlib.sha256(str(number).encode()).hexdigest()[:16]}.bench"
