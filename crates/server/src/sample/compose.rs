//! One message after the other: who writes, on what, with what attached, into which folder.

use std::collections::VecDeque;

use message::{Flags, InternalDate};

use super::documents::Document;
use super::random::Random;
use super::words::{self, OWNER, PEOPLE};
use super::{Sample, Shape};

/// 2 January 2024, in the morning.
const FIRST_DAY: i64 = 1_704_182_400;

/// Messages that can still be answered.
const OPEN_THREADS: usize = 24;

/// What a reply needs to know.
#[derive(Debug, Clone)]
struct Thread {
    id: String,
    references: String,
    subject: String,
    from: (&'static str, &'static str),
    lines: Vec<String>,
}

/// Makes the messages of a shape in their order.
#[derive(Debug)]
pub(super) struct Composer {
    random: Random,
    folders: Vec<String>,
    documents: Vec<Document>,
    threads: VecDeque<Thread>,
    unix: i64,
    count: usize,
}

impl Composer {
    pub(super) fn new(shape: &Shape) -> Self {
        let mut random = Random::new(shape.seed);
        let documents = 6 + shape.messages / 30;
        let documents = (0..documents)
            .map(|number| Document::any(&mut random, number, shape.largest_attachment))
            .collect();
        let folders = if shape.folders.is_empty() { vec!["INBOX".to_owned()] } else { shape.folders.clone() };
        Self { random, folders, documents, threads: VecDeque::new(), unix: FIRST_DAY, count: 0 }
    }

    pub(super) fn next_message(&mut self) -> Sample {
        self.count += 1;
        self.unix += 600 + i64::try_from(self.random.below(170_000)).unwrap_or(0);
        let folder = self.folder();
        let sent = folder == "Sent" || folder.ends_with("/Sent");
        let from = if sent { OWNER } else { *self.random.one_of(&PEOPLE) };
        let to = if sent { *self.random.one_of(&PEOPLE) } else { OWNER };
        let thread = self.thread(from);
        let date = self.received();
        let header = self.header(&thread, from, to, &date);
        let bytes = self.message(&header, &thread, from);
        self.threads.push_back(thread);
        if self.threads.len() > OPEN_THREADS {
            self.threads.pop_front();
        }
        Sample { flags: self.flags(&folder), folder, date, bytes }
    }

    /// Some messages are filed a second time.
    pub(super) fn copy_for_another_folder(&mut self, sample: &Sample) -> Option<Sample> {
        if !self.random.percent(6) {
            return None;
        }
        let folder = self.random.one_of(&self.folders).clone();
        (folder != sample.folder).then(|| Sample { folder, ..sample.clone() })
    }

    /// The first folders get the most; each gets one early, so that none stays empty.
    fn folder(&mut self) -> String {
        let last = self.folders.len() - 1;
        let number = if self.count <= self.folders.len() {
            self.count - 1
        } else {
            let (a, b) = (self.random.below(last + 1), self.random.below(last + 1));
            self.random.below(1 + a.min(b))
        };
        self.folders[number].clone()
    }

    fn received(&mut self) -> InternalDate {
        let offset = *self.random.one_of(&[0, 60, 60, 120, -300, 540]);
        InternalDate::from_unix(self.unix, offset)
    }

    fn flags(&mut self, folder: &str) -> Flags {
        let mut flags = Vec::new();
        let mut maybe = |percent, flag| {
            if self.random.percent(percent) {
                flags.push(flag);
            }
        };
        maybe(80, "\\Seen");
        maybe(15, "\\Answered");
        maybe(8, "\\Flagged");
        maybe(4, "$Forwarded");
        maybe(4, "NonJunk");
        maybe(2, "$Label1");
        maybe(1, "waiting-for-reply");
        if folder == "Entwürfe" || folder == "Drafts" {
            flags.push("\\Draft");
        }
        flags.into_iter().collect()
    }

    /// A new subject, or an answer to one of the last.
    fn thread(&mut self, from: (&'static str, &'static str)) -> Thread {
        let id = format!("<{:016x}.{}@post.example>", self.random.number(), self.count);
        let plain = self.random.percent(60);
        let paragraphs = 1 + self.random.below(4);
        let mut lines = words::letter(&mut self.random, paragraphs, plain);
        lines.push(from.0.to_owned());
        let answered = self.random.percent(35).then(|| self.random.below(self.threads.len()));
        match answered.and_then(|at| self.threads.get(at)).cloned() {
            None => Thread {
                id,
                references: String::new(),
                subject: words::subject(&mut self.random),
                from,
                lines,
            },
            Some(earlier) => {
                lines.push(String::new());
                lines.push(format!("{} wrote:", earlier.from.0));
                lines.extend(earlier.lines.iter().take(60).map(|line| format!("> {line}")));
                let subject = earlier.subject.strip_prefix("Re: ").unwrap_or(&earlier.subject);
                let references = [earlier.references.as_str(), &earlier.id].join(" ");
                Thread {
                    id,
                    references: references.trim().to_owned(),
                    subject: format!("Re: {subject}"),
                    from,
                    lines,
                }
            }
        }
    }

    fn header(
        &mut self,
        thread: &Thread,
        from: (&str, &str),
        to: (&str, &str),
        date: &InternalDate,
    ) -> String {
        let host = self.random.below(90) + 10;
        let mut header = format!(
            "Received: from mx{host}.example (mx{host}.example [192.0.2.{host}])\r\n\tby mail.post.example with \
             ESMTPS id {:010x}\r\n\tfor <{}>; {}\r\n",
            self.random.number() & 0xff_ffff_ffff,
            to.1,
            message_date(date),
        );
        header.push_str(&format!("From: {}\r\n", person(from)));
        header.push_str(&format!("To: {}\r\n", person(to)));
        header.push_str(&format!("Subject: {}\r\n", encoded_word(&thread.subject)));
        header.push_str(&format!("Date: {}\r\n", message_date(date)));
        header.push_str(&format!("Message-ID: {}\r\n", thread.id));
        if let Some(parent) = thread.references.rsplit(' ').next().filter(|parent| !parent.is_empty()) {
            header.push_str(&format!("In-Reply-To: {parent}\r\n"));
            header.push_str(&format!("References: {}\r\n", thread.references.replace(' ', "\r\n ")));
        }
        header.push_str("MIME-Version: 1.0\r\n");
        header
    }

    fn message(&mut self, header: &str, thread: &Thread, from: (&str, &str)) -> Vec<u8> {
        let text = thread.lines.join("\r\n") + "\r\n";
        match self.random.below(100) {
            0..45 => simple(header, &text),
            45..65 => self.alternative(header, thread, &text),
            65..88 => self.with_attachments(header, &text),
            88..92 => latin1(header, &thread.lines),
            92..95 => simple(header, &text).into_iter().filter(|&byte| byte != b'\r').collect(),
            95..98 => self.signed(header, &text, from),
            _ => raw_8bit(header, thread, from),
        }
    }

    fn boundary(&mut self) -> String {
        format!("=_{:016x}", self.random.number())
    }

    fn alternative(&mut self, header: &str, thread: &Thread, text: &str) -> Vec<u8> {
        let boundary = self.boundary();
        let mut html =
            format!("<html><body style=\"font-family:sans-serif\"><h2>{}</h2>\r\n", escape(&thread.subject));
        for line in &thread.lines {
            html.push_str(&format!("<p style=\"margin:0 0 4px 0;color:#333\">{}</p>\r\n", escape(line)));
        }
        html.push_str("</body></html>\r\n");
        format!(
            "{header}Content-Type: multipart/alternative; boundary=\"{boundary}\"\r\n\r\n--{boundary}\r\n{}\r\n\
             --{boundary}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: \
             quoted-printable\r\n\r\n{}\r\n--{boundary}--\r\n",
            text_part(text),
            quoted_printable(&html),
        )
        .into_bytes()
    }

    fn with_attachments(&mut self, header: &str, text: &str) -> Vec<u8> {
        let boundary = self.boundary();
        let mut message = format!(
            "{header}Content-Type: multipart/mixed;\r\n boundary=\"{boundary}\"\r\n\r\nThis is a message in several \
             parts.\r\n--{boundary}\r\n{}\r\n",
            text_part(text)
        );
        for _ in 0..1 + self.random.below(2) {
            // Some programs write shorter lines than others.
            let line_length = *self.random.one_of(&[76, 76, 76, 72, 60]);
            let document = self.random.one_of(&self.documents);
            let (name, media) = document.label();
            message.push_str(&format!(
                "--{boundary}\r\nContent-Type: {media}; name=\"{0}\"\r\nContent-Disposition: attachment; \
                 filename=\"{0}\"\r\nContent-Transfer-Encoding: base64\r\n\r\n{1}",
                encoded_word(&name),
                base64(&document.bytes(), line_length),
            ));
        }
        message.push_str(&format!("--{boundary}--\r\n"));
        message.into_bytes()
    }

    /// As a signing mail program would send it; the signature is only drawn.
    fn signed(&mut self, header: &str, text: &str, from: (&str, &str)) -> Vec<u8> {
        let boundary = self.boundary();
        let drawn: Vec<u8> = (0..36).flat_map(|_| self.random.number().to_le_bytes()).collect();
        format!(
            "{header}Content-Type: multipart/signed; micalg=pgp-sha256;\r\n\tprotocol=\"application/pgp-signature\"; \
             boundary=\"{boundary}\"\r\n\r\n--{boundary}\r\n{}\r\n--{boundary}\r\nContent-Type: \
             application/pgp-signature; name=\"signature.asc\"\r\nContent-Description: signature of {}\r\n\r\n-----BEGIN \
             PGP SIGNATURE-----\r\n\r\n{}-----END PGP SIGNATURE-----\r\n\r\n--{boundary}--\r\n",
            text_part(text),
            from.1,
            base64(&drawn, 64),
        )
        .into_bytes()
    }
}

/// Text in UTF-8, encoded where it is not ASCII.
fn text_part(text: &str) -> String {
    if text.is_ascii() {
        return format!("Content-Type: text/plain; charset=us-ascii\r\n\r\n{text}");
    }
    let text = quoted_printable(text);
    format!(
        "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n{text}"
    )
}

fn simple(header: &str, text: &str) -> Vec<u8> {
    format!("{header}{}", text_part(text)).into_bytes()
}

/// Text in ISO 8859-1, sent as it is; what it cannot write becomes `?`.
fn latin1(header: &str, lines: &[String]) -> Vec<u8> {
    let mut message = format!(
        "{header}Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    )
    .into_bytes();
    for line in lines {
        message.extend(line.chars().map(|letter| u8::try_from(letter).unwrap_or(b'?')));
        message.extend_from_slice(b"Gr\xfc\xdfe\r\n");
    }
    message
}

/// 8-bit octets in the header as well, and no line end at the end.
fn raw_8bit(header: &str, thread: &Thread, from: (&str, &str)) -> Vec<u8> {
    let text = thread.lines.join("\r\n");
    format!("X-Writer: {} – Büro\r\n{header}Content-Type: text/plain; charset=utf-8\r\n\r\n{text}", from.0)
        .into_bytes()
}

fn person((name, address): (&str, &str)) -> String {
    format!("{} <{address}>", encoded_word(name))
}

/// RFC 2047, where the text is not ASCII; always one word, as some programs do.
fn encoded_word(text: &str) -> String {
    if text.is_ascii() {
        return text.to_owned();
    }
    format!("=?UTF-8?B?{}?=", base64_simd::STANDARD.encode_to_string(text))
}

fn base64(bytes: &[u8], line_length: usize) -> String {
    let encoded = base64_simd::STANDARD.encode_to_string(bytes);
    let mut lines = String::with_capacity(encoded.len() + encoded.len() / 30 + 4);
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, more) = rest.split_at(line_length.min(rest.len()));
        lines.push_str(line);
        lines.push_str("\r\n");
        rest = more;
    }
    lines
}

fn quoted_printable(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() + text.len() / 4);
    for line in text.split_inclusive("\r\n") {
        let (line, end) = line.strip_suffix("\r\n").map_or((line, ""), |line| (line, "\r\n"));
        let mut column = 0;
        for byte in line.bytes() {
            let plain = (b' '..=b'~').contains(&byte) && byte != b'=';
            if column >= 72 {
                encoded.push_str("=\r\n");
                column = 0;
            }
            if plain {
                encoded.push(char::from(byte));
                column += 1;
            } else {
                encoded.push_str(&format!("={byte:02X}"));
                column += 3;
            }
        }
        encoded.push_str(end);
    }
    encoded
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The Date: field for a received date: the same moment, written as RFC 5322 wants it, where the
/// zone with a minus is the only hyphen to keep.
fn message_date(date: &InternalDate) -> String {
    date.raw().replacen('-', " ", 2)
}
