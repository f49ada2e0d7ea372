"""What the benchmarks have in common.

`mailbox` makes mail (`letters`, `attachments`, `words`), `dovecot` serves it, `relay` makes the way there
long; `restante` is the program that is measured, `peers` are others, `imap` is the least that a client can
be, and `measure` tells what something took.
"""
from .dovecot import Dovecot
from .imap import Client
from .mailbox import FOLDERS, make_mailbox, take_mailbox, unlike
from .measure import Used, measured, processor_time, report, run, say, size_of, timed
from .restante import Restante
