"""Attachments: files with the inner structure of their kind, most of them compressed already.

A file is told by its kind, a seed and about how large it is, so the same one can be sent again.
"""
import io, random, struct, zipfile, zlib
from typing import NamedTuple

from .words import folded

# How often, of how many bytes half of them are smaller, and how far sizes spread.
KINDS = {
    "jpg": (30, 165_000, 1.2), "pdf": (27, 95_000, 1.3), "png": (11, 60_000, 1.2), "docx": (9, 40_000, 1.2),
    "xlsx": (6, 26_000, 1.1), "pptx": (2.2, 600_000, 1.0), "zip": (2, 250_000, 1.3), "mp4": (0.8, 2_500_000, 0.8),
    "csv": (2.5, 20_000, 1.3), "log": (2, 30_000, 1.3), "ics": (4, 1_800, 0.3), "txt": (2, 6_000, 1.1),
}
LARGEST = 18_000_000
TYPES = {
    "jpg": "image/jpeg", "pdf": "application/pdf", "png": "image/png", "zip": "application/zip", "mp4": "video/mp4",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "csv": "text/csv", "log": "text/plain", "ics": "text/calendar", "txt": "text/plain",
}
JPEG_TABLES = b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\x48\0\x48\0\0\xff\xdb\0\x43\0" + bytes(range(1, 65))


class Attachment(NamedTuple):
    kind: str
    seed: int
    size: int
    name: str


def chosen(rng, words):
    kind = rng.choices(list(KINDS), weights=[weight for weight, _, _ in KINDS.values()])[0]
    _, median, spread = KINDS[kind]
    size = max(600, min(LARGEST, int(rng.lognormvariate(0, spread) * median)))
    name = f"IMG_{rng.randrange(10_000):04}" if kind == "jpg" else "_".join(words.some(rng, 2)) + f" {rng.randrange(2030)}"
    return Attachment(kind, rng.getrandbits(60), size, f"{name}.{kind}")


def content(attachment, words):
    rng, size = random.Random(attachment.seed), attachment.size
    match attachment.kind:
        case "jpg":
            return photograph(rng, size)
        case "png":
            return drawing(rng, size)
        case "pdf":
            return pages(rng, size, words)
        case "docx" | "xlsx" | "pptx":
            return office(rng, size, attachment.kind, words)
        case "zip":
            text = "\n".join(words.paragraphs(rng, size // 20))
            return zipped({"readme.txt": text, "data.bin": rng.randbytes(size)})
        case "mp4":
            return b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41" + struct.pack(">I", size + 8) + b"mdat" + rng.randbytes(size)
        case "csv":
            rows = [f"{row};2025-{rng.randrange(1, 13):02}-{rng.randrange(1, 29):02};{rng.random() * 5000:.2f};{words.line(rng, 3)}"
                    for row in range(size // 42)]
            return "\r\n".join(["id;date;amount;text", *rows, ""]).encode()
        case "log":
            rows = [f"2025-06-{rng.randrange(1, 29):02}T{rng.randrange(24):02}:{rng.randrange(60):02}:{rng.random() * 60:06.3f}Z INFO "
                    f"[worker-{rng.randrange(16)}] {words.line(rng, 5)} id={rng.getrandbits(32):08x}" for _ in range(size // 90)]
            return "\n".join([*rows, ""]).encode()
        case "ics":
            start = f"202506{rng.randrange(1, 29):02}T0{rng.randrange(6, 10)}"
            return "\r\n".join(["BEGIN:VCALENDAR", "VERSION:2.0", "METHOD:REQUEST", "BEGIN:VEVENT", f"UID:{rng.getrandbits(120):x}@calendar.example",
                                f"DTSTART:{start}0000Z", f"DTEND:{start}3000Z", f"SUMMARY:{words.line(rng, 5)}",
                                f"DESCRIPTION:{words.line(rng, size // 9)}", "END:VEVENT", "END:VCALENDAR", ""]).encode()
        case _:
            return "\n\n".join(words.paragraphs(rng, size // 6)).encode()


def photograph(rng, size):
    """What is entropy-coded cannot be told from chance; in JPEG no 0xff stands alone."""
    scan = rng.randbytes(max(64, size - 100)).replace(b"\xff", b"\xff\0")
    return JPEG_TABLES + b"\xff\xda\0\x0c\3\1\0\2\x11\3\x11\0\x3f\0" + scan + b"\xff\xd9"


def drawing(rng, size):
    """Rows of which some are as the one above."""
    width = max(8, int((size / 3) ** 0.5))
    rows, row = [], rng.randbytes(width * 3)
    for _ in range(width):
        if rng.random() < 0.8:
            row = rng.randbytes(width * 3)
        rows.append(b"\0" + row)

    def chunk(kind, octets):
        return struct.pack(">I", len(octets)) + kind + octets + struct.pack(">I", zlib.crc32(kind + octets))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, width, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(b"".join(rows), 1)) + chunk(b"IEND", b""))


def pages(rng, size, words):
    """A PDF: deflated pages of text, then pictures until it is as large as it should be."""
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    for _ in range(max(1, min(40, size // 30_000))):
        lines = (f"({line}) '" for line in folded("\n".join(words.paragraphs(rng, 320))).split("\n"))
        text = zlib.compress(("BT /F1 10 Tf 50 780 Td 12 TL " + " ".join(lines) + " ET").encode(), 6)
        objects.append(b"<< /Length %d /Filter /FlateDecode >>\nstream\n" % len(text) + text + b"\nendstream")
        objects.append(b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font << /F1 2 0 R >> >> /Contents %d 0 R >>" % len(objects))
    left = size - sum(map(len, objects))
    while left > 4_000:
        picture = photograph(rng, min(left, 20_000 + rng.randrange(300_000)))
        objects.append(b"<< /Type /XObject /Subtype /Image /Width 800 /Height 600 /ColorSpace /DeviceRGB /BitsPerComponent 8"
                       b" /Filter /DCTDecode /Length %d >>\nstream\n" % len(picture) + picture + b"\nendstream")
        left -= len(picture)
    out, places = bytearray(b"%PDF-1.5\n%\xe2\xe3\xcf\xd3\n"), []
    for number, each in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n" % number + each + b"\nendobj\n"
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    return bytes(out) + (b"xref\n0 %d\n0000000000 65535 f \n" % (len(places) + 1) + table + b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n"
                         % (len(places) + 1, len(out)))


def office(rng, size, kind, words):
    """XML, deflated, and pictures."""
    parts = {"[Content_Types].xml": '<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
                                    '<Default Extension="xml" ContentType="application/xml"/></Types>'}
    if kind == "docx":
        body = "".join(f'<w:p><w:pPr><w:spacing w:after="120"/></w:pPr><w:r><w:t xml:space="preserve">{text}</w:t></w:r></w:p>'
                       for text in words.paragraphs(rng, min(9_000, size // 14)))
        parts["word/document.xml"] = f"<w:document><w:body>{body}</w:body></w:document>"
    elif kind == "xlsx":
        rows = "".join(f'<row r="{row}">' + "".join(f'<c r="{column}{row}"><v>{rng.random() * 10_000:.2f}</v></c>' for column in "ABCDE") + "</row>"
                       for row in range(1, min(8_000, size // 40 + 20)))
        parts["xl/worksheets/sheet1.xml"] = f"<worksheet><sheetData>{rows}</sheetData></worksheet>"
        return zipped(parts)
    else:
        for slide in range(1 + min(40, size // 60_000)):
            texts = "".join(f"<a:p><a:r><a:t>{words.line(rng, 12)}</a:t></a:r></a:p>" for _ in range(6))
            parts[f"ppt/slides/slide{slide}.xml"] = f"<p:sld>{texts}</p:sld>"
    left = size - 8_000
    while left > 6_000:
        picture = photograph(rng, min(left, 30_000 + rng.randrange(400_000)))
        parts[f"media/image{len(parts)}.jpg"] = picture
        left -= len(picture)
    return zipped(parts)


def zipped(parts):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, octets in parts.items():
            part = zipfile.ZipInfo(name, (2025, 1, 1, 0, 0, 0))
            part.compress_type = zipfile.ZIP_STORED if name.endswith((".jpg", ".bin")) else zipfile.ZIP_DEFLATED
            archive.writestr(part, octets)
    return out.getvalue()
