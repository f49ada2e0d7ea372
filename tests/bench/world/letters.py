"""The mail of one person: newsletters, letters to and fro, lists, bills, and what is attached to them.

What a backup has to do with is in its shape: header blocks of some kilobytes, half of them signatures and
ids that do not compress; newsletters of one sender that differ in their words and in a token for each
link; threads that quote all that was said, in text and in HTML; a logo in each letter of a colleague; the
same attachment once more, in a reply, in base64 lines of another length. With the same seed, and the same
versions of Python and zlib, it is the same mail.
"""
import base64, binascii, itertools, random, time
from typing import NamedTuple

from .attachments import TYPES, chosen, content
from .words import Words, folded

FIRST = "Anna Ben Carla David Élodie Farid Grace Hiro Ivana Jonas Kofi Lena Marta Nils Olga Priya Rosa Søren Tomás Zoë".split()
LAST = "Meyer Novák Kowalski Rossi García Jensen Virtanen Dubois Smith Brown Lee Tanaka Haddad Okafor Patel Nguyen Öztürk Weiß".split()
ME = "Robin Ångström <robin@lighthouse.example>"
# Of mail without attachments.
KINDS = {"newsletter": 46, "letter": 30, "list": 12, "bill": 9, "advert": 6}
ATTACHED = 0.115
SENT_AGAIN = 0.33
VERBATIM_FONT = "font-family:Helvetica,Arial,sans-serif;font-size:14px;line-height:21px;color:#"


class Letter(NamedTuple):
    kind: str
    octets: bytes
    received: int


class Person:
    def __init__(self, rng, words, host=None):
        first, last = rng.choice(FIRST), rng.choice(LAST)
        self.host = host or f"{'-'.join(w.lower() for w in words.some(rng, 2))}.example"
        self.address = f"u{rng.getrandbits(24):x}@{self.host}"
        self.name = f"{encoded_word(first + ' ' + last)} <{self.address}>"
        self.client = rng.choices(["web", "office", "phone", "desktop"], weights=[42, 33, 14, 11])[0]
        self.signature = "-- \n" + first + " " + last + "\n" + folded(words.line(rng, rng.randrange(6, 50)))
        has_logo = rng.random() < (0.45 if self.client == "office" else 0.05)
        self.logo = chosen(rng, words)._replace(kind="png", name="image001.png", size=int(rng.lognormvariate(9, 0.6))) if has_logo else None


class Shop:
    """Whoever sends newsletters: a template of its own."""

    def __init__(self, rng, words):
        self.host = f"{'-'.join(w.lower() for w in words.some(rng, 2))}.example"
        self.name = f"{' '.join(w.capitalize() for w in words.some(rng, 2))} <news@{self.host}>"
        self.token = rng.choices([12, 40, 90, 170], weights=[4, 4, 3, 1])[0]
        self.encoding = rng.choices(["quoted-printable", "base64", "8bit"], weights=[60, 25, 15])[0]
        self.has_text = rng.random() < 0.8
        colours = [f"{rng.getrandbits(24):06x}" for _ in range(4)]
        rules = (f".{'-'.join(words.some(rng, 2))} {{ margin:0 {rng.randrange(40)}px; padding:{rng.randrange(30)}px; color:#{rng.choice(colours)} }}"
                 for _ in range(rng.randrange(10, 70)))
        self.head = "<!DOCTYPE html><html><head><meta charset=\"utf-8\"><style>\n" + "\n".join(rules) + "\n</style></head><body>\n"
        self.cell = (f'<table role="presentation" width="{rng.randrange(400, 700)}" cellpadding="0" cellspacing="0" border="0" align="center">'
                     f'<tr><td valign="top" style="padding:{rng.randrange(9, 30)}px 0;{VERBATIM_FONT}{rng.choice(colours)}">')
        self.link = f'<a target="_blank" style="text-decoration:none;{VERBATIM_FONT}{rng.choice(colours)}" href="https://click.{self.host}/ls/'
        self.end = "</a></td></tr></table>\n"
        self.foot = "".join(f"<p style=\"font-size:11px\">{text}</p>" for text in words.paragraphs(rng, 120)) + "</body></html>"
        self.cells = int(min(60, rng.lognormvariate(1.85, 0.75))) + 2


class Thread:
    def __init__(self, people, subject):
        self.people, self.subject = people, subject
        self.ids, self.text, self.html, self.attachments, self.last = [], "", "", None, None


class Letters:
    def __init__(self, seed):
        self.rng, self.words = random.Random(seed), Words()
        rng = self.rng
        hosts = [f"corp-{word.lower()}.example" for word in self.words.some(rng, 6)]
        self.people = [Person(rng, self.words, host) for host in [None] * 240 + hosts * 20]
        self.known = list(itertools.accumulate(rng.paretovariate(1.05) for _ in self.people))
        self.shops = [Shop(rng, self.words) for _ in range(130)]
        self.liked = list(itertools.accumulate(rng.paretovariate(1.1) for _ in self.shops))
        self.lists = [f"{'-'.join(self.words.some(rng, 2)).lower()}@lists.example" for _ in range(8)]
        self.threads, self.sent = [], []

    def next(self, moment):
        """The letter that came at this second."""
        self.moment = int(moment)
        if self.rng.random() < ATTACHED:
            kind, header, body = self.letter(attached=True)
        else:
            kind = self.rng.choices(list(KINDS), weights=list(KINDS.values()))[0]
            kind, header, body = {"newsletter": self.newsletter, "letter": self.letter, "list": self.list_mail,
                                  "bill": self.bill, "advert": self.advert}[kind]()
        return Letter(kind, "\r\n".join(header).replace("\n ", "\r\n ").encode() + b"\r\n" + body, self.moment)

    # -------------------------------------------------------------- kinds

    def newsletter(self, kind="newsletter"):
        rng, shop = self.rng, self.rng.choices(self.shops, cum_weights=self.liked)[0]
        cells, texts = [], []
        for _ in range(max(1, int(shop.cells * rng.uniform(0.6, 1.4)))):
            text, token = self.words.sentence(rng), self.token(shop.token)
            cells.append(shop.cell + text + shop.link + token + '">' + self.words.line(rng, 3) + shop.end)
            texts.append(f"{text}\n( https://click.{shop.host}/ls/{token} )")
        html = self.entity("text/html", shop.head + "".join(cells) + shop.foot, shop.encoding)
        text_encoding = "quoted-printable" if shop.encoding == "8bit" else shop.encoding
        body = self.multipart("alternative", [self.entity("text/plain", "\n\n".join(texts), text_encoding), html]) if shop.has_text else html
        header = [*self.trace(shop.host, f"bounces+{rng.getrandbits(24)}-{self.hex(2)}@em.{shop.host}"), self.signature("DKIM-Signature: v=1;", shop.host)]
        if rng.random() < 0.5:
            header.append(self.signature("DKIM-Signature: v=1;", "sender.example"))
        header += [f"From: {shop.name}", f"To: {encoded_address(ME)}", f"Subject: {self.subject()}", self.date(), f"Message-ID: <{self.token(16)}@{shop.host}>",
                   "MIME-Version: 1.0", f"Reply-To: reply-{self.hex(10)}@{shop.host}", "X-SG-EID:\n " + self.lines(200), "X-SG-ID:\n " + self.lines(rng.randrange(120, 420)),
                   f"List-Unsubscribe: <https://click.{shop.host}/u/{self.token(80)}>,\n <mailto:unsub-{self.token(20)}@{shop.host}>",
                   "List-Unsubscribe-Post: List-Unsubscribe=One-Click", f"Feedback-ID: {rng.getrandbits(20)}:{rng.getrandbits(20)}:{self.hex(4)}:mc"]
        return kind, header, body

    def advert(self):
        return self.newsletter("advert")

    def bill(self):
        kind, header, body = self.newsletter("bill")
        if self.rng.random() < 0.35:
            paper = chosen(self.rng, self.words)._replace(kind="pdf", size=int(self.rng.lognormvariate(10.9, 0.7)), name=f"Invoice_{self.rng.getrandbits(26)}.pdf")
            body = self.multipart("mixed", [body, self.attached(paper, 76)])
        return kind, header, body

    def list_mail(self):
        kind, header, body = self.letter(in_list=self.rng.choice(self.lists))
        return "list" if kind == "letter" else kind, header, body

    def letter(self, attached=False, in_list=None):
        rng = self.rng
        thread = rng.choice(self.threads) if self.threads and rng.random() < 0.62 else self.begin_thread()
        sent = thread.last is not None and rng.random() < 0.35 or rng.random() < 0.1
        author = self.people[0] if sent else rng.choice(thread.people)
        new = list(self.words.paragraphs(rng, max(4, int(rng.lognormvariate(4.0, 0.95)))))
        said = f"On {time.strftime('%a, %d %b %Y at %H:%M', time.gmtime(self.moment - rng.randrange(90_000)))}, {(thread.last or author).address} wrote:"
        quote = "\n\n" + said + "\n" + "\n".join(">" + line if line.startswith(">") else "> " + line for line in thread.text.split("\n")) if thread.text else ""
        text = "\n\n".join(folded(paragraph) for paragraph in new) + "\n\n" + author.signature + quote
        html = self.html(author, new, said, thread)
        header = [] if sent else [*self.trace(author.host, author.address), self.signature("DKIM-Signature: v=1;", author.host)]
        if in_list:
            header += [f"List-Id: <{in_list.replace('@', '.')}>", f"List-Post: <mailto:{in_list}>", "Precedence: list"]
        message_id = f"<{self.token(27)}@{author.host}>"
        header += [f"From: {author.name}", "To: " + ",\n ".join(person.name for person in thread.people[:4]),
                   f"Subject: {'Re: ' if thread.ids else ''}{thread.subject}", self.date(), f"Message-ID: {message_id}", "MIME-Version: 1.0"]
        if thread.ids:
            header += [f"In-Reply-To: {thread.ids[-1]}", "References: " + "\n ".join(thread.ids[-12:])]
        if author.client == "office":
            header += [f"Thread-Index: {self.token(22)}", "Accept-Language: de-DE, en-US", "X-MS-Has-Attach: " + "yes" * attached, "Content-Language: de-DE"]
        thread.ids.append(message_id)
        thread.last, thread.text, thread.html = author, text[:9_000], html[:14_000]
        encoding = "base64" if author.client == "office" and rng.random() < 0.4 else "8bit" if author.client == "desktop" else "quoted-printable"
        body = self.entity("text/plain", text, encoding)
        if not in_list and author.client != "desktop":
            body = self.multipart("alternative", [body, self.entity("text/html", html, encoding)])
        if author.logo and rng.random() < 0.8:
            body = self.multipart("related", [body, self.attached(author.logo, 76)])
        if attached:
            if thread.attachments is None or rng.random() < 0.5:
                thread.attachments = self.choose()
            width = 72 if author.client == "phone" else 76
            body = self.multipart("mixed", [body, *(self.attached(one, width) for one in thread.attachments)])
        return "sent" if sent else "letter", header, body

    def html(self, author, new, said, thread):
        paragraphs = [*new, author.signature.replace("\n", "<br>")]
        if author.client == "office":
            begin = ('<html xmlns:o="urn:schemas-microsoft-com:office:office"><head><meta charset="utf-8"><style>\np.MsoNormal, li.MsoNormal {margin:0cm; '
                     'font-size:11.0pt; font-family:"Calibri",sans-serif;}\na:link {color:#0563C1; text-decoration:underline;}\n</style></head><body>')
            own = "".join(f'<p class="MsoNormal"><span lang="EN-US" style="font-size:11.0pt">{text}<o:p></o:p></span></p>\n' for text in paragraphs)
        else:
            begin, own = '<div dir="ltr">', "".join(f"<div>{text}</div><div><br></div>" for text in paragraphs)
        quote = f'<div class="quote">{said}<br><blockquote style="margin:0 0 0 .8ex;border-left:1px solid #ccc;padding-left:1ex">{thread.html}</blockquote></div>'
        return begin + own + (quote if thread.html else "") + "</div>"

    def begin_thread(self):
        people = self.rng.choices(self.people, cum_weights=self.known, k=1 + self.rng.choice((0, 0, 0, 1, 2, 4)))
        self.threads.append(Thread(people, self.subject()))
        if len(self.threads) > 350:
            self.threads.pop(self.rng.randrange(120))
        return self.threads[-1]

    def choose(self):
        """Attachments: some that have been sent before, or new ones."""
        rng = self.rng
        if self.sent and rng.random() < SENT_AGAIN:
            return rng.choice(self.sent)
        new = [chosen(rng, self.words) for _ in range(rng.choices((1, 2, 3, 4, 7), weights=(72, 14, 7, 4, 3))[0])]
        self.sent = [*self.sent[-400:], new]
        return new

    # -------------------------------------------------------------- header fields

    def trace(self, host, sender):
        """What mail servers add on the way, the newest first."""
        rng, date = self.rng, time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime(self.moment))
        ip = ".".join(str(rng.randrange(1, 255)) for _ in range(4))
        verdict = (f"mx.lighthouse.example;\n dkim=pass header.i=@{host} header.s={self.hex(4)} header.b={self.token(6)};\n spf=pass (domain of {sender} designates {ip} "
                   f"as permitted sender) smtp.mailfrom={sender};\n dmarc=pass (p=REJECT sp=REJECT dis=NONE) header.from={host}")
        fields = ["Delivered-To: robin@lighthouse.example", f"Received: by 2002:a05:{self.hex(2)}:{self.hex(2)} with SMTP id {self.hex(10)};\n {date}",
                  f"X-Received: by 2002:a17:{self.hex(2)}:{self.hex(2)} with SMTP id {self.hex(8)}-{self.token(12)}.{rng.randrange(99)}.{self.moment}{rng.randrange(1000):03};\n {date}",
                  f"ARC-Seal: i=1; a=rsa-sha256; t={self.moment}; cv=none;\n d=lighthouse.example; s=arc-2025;\n b={self.lines(256)}",
                  self.signature("ARC-Message-Signature: i=1;", "lighthouse.example"), f"ARC-Authentication-Results: i=1; {verdict}", f"Return-Path: <{sender}>",
                  f"Received: from mail-{self.hex(2)}.{host} (mail-{self.hex(2)}.{host}. [{ip}])\n by mx.lighthouse.example with ESMTPS id {self.token(22)}\n"
                  f" for <robin@lighthouse.example>\n (version=TLS1_3 cipher=TLS_AES_256_GCM_SHA384 bits=256/256);\n {date}",
                  f"Received-SPF: pass (domain of {sender} designates {ip} as permitted sender) client-ip={ip};", f"Authentication-Results: {verdict}"]
        fields += [f"Received: from n{self.hex(3)}.{host} (unknown [{ip}])\n by mx{hop}.{host} (Postfix) with ESMTPS id {self.token(9)};\n {date}"
                   for hop in range(rng.choice((0, 1, 1, 2, 2, 3)))]
        return fields

    def signature(self, begin, host):
        return (f"{begin} a=rsa-sha256; c=relaxed/relaxed;\n d={host}; s=s1; t={self.moment}; x={self.moment + 604_800};\n h=content-type:from:mime-version:subject:reply-to:"
                f"to:message-id:date;\n bh={self.token(32)}=;\n b={self.lines(256)}")

    def subject(self):
        text = self.words.line(self.rng, self.rng.randrange(2, 9))
        return encoded_word(text + " für März") if self.rng.random() < 0.1 else text

    def date(self):
        return time.strftime("Date: %a, %d %b %Y %H:%M:%S +0000", time.gmtime(self.moment - self.rng.randrange(60)))

    def token(self, octets):
        return base64.urlsafe_b64encode(self.rng.randbytes(octets)).decode().rstrip("=")

    def hex(self, octets):
        return self.rng.randbytes(octets).hex()

    def lines(self, octets):
        """Base64 of so many octets, folded as in header fields."""
        chars = base64.b64encode(self.rng.randbytes(octets)).decode()
        return "\n ".join(chars[at:at + 72] for at in range(0, len(chars), 72))

    # -------------------------------------------------------------- bodies

    def entity(self, type_, text, encoding):
        octets = text.replace("\n", "\r\n").encode()
        if encoding == "8bit" and max(map(len, octets.split(b"\r\n"))) > 900:
            encoding = "quoted-printable"
        if encoding == "base64":
            octets = base64_lines(octets, 76)
        elif encoding == "quoted-printable":
            octets = binascii.b2a_qp(text.encode()).replace(b"\n", b"\r\n")
        return f"Content-Type: {type_}; charset=\"utf-8\"\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n".encode() + octets + b"\r\n"

    def attached(self, attachment, width):
        name = encoded_word(attachment.name)
        header = (f"Content-Type: {TYPES[attachment.kind]};\r\n name=\"{name}\"\r\nContent-Disposition: attachment;\r\n filename=\"{name}\"\r\n"
                  f"Content-ID: <{self.token(12)}>\r\nContent-Transfer-Encoding: base64\r\n\r\n")
        return header.encode() + base64_lines(content(attachment, self.words), width) + b"\r\n"

    def multipart(self, kind, parts):
        boundary = f"=_{self.token(21)}"
        line = f"--{boundary}\r\n".encode()
        return f"Content-Type: multipart/{kind}; boundary=\"{boundary}\"\r\n\r\n".encode() + b"".join(line + part for part in parts) + f"--{boundary}--\r\n".encode()


def base64_lines(octets, width):
    chars = base64.b64encode(octets)
    return b"\r\n".join([chars[at:at + width] for at in range(0, len(chars), width)])


def encoded_word(text):
    return text if text.isascii() else f"=?UTF-8?B?{base64.b64encode(text.encode()).decode()}?="


def encoded_address(text):
    name, _, address = text.rpartition(" ")
    return f"{encoded_word(name)} {address}"
