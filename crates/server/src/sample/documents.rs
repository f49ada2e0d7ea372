//! Attachments, built from nothing: a PDF that opens, a PNG that shows stripes, a table of numbers,
//! and octets without any order.
//!
//! A document is kept as its seed and made anew each time it is attached, so that a mailbox of any
//! size is generated in little memory.

use super::random::Random;

/// What kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Pdf,
    Png,
    Csv,
    /// Like a photograph or an archive: nothing can compress it.
    Noise,
}

/// A file that people send to each other.
#[derive(Debug, Clone)]
pub(super) struct Document {
    seed: u64,
    kind: Kind,
    size: usize,
}

/// Below this a file of these kinds has nothing in it.
const SMALLEST: usize = 400;

const TITLES: [&str; 6] = ["offer", "roof-plan", "quarter", "lake", "members", "Prüfbericht"];

impl Document {
    /// Any document of at most `largest` octets or so; most are much smaller.
    /// The kinds go round with `number`.
    pub(super) fn any(random: &mut Random, number: usize, largest: usize) -> Self {
        let kind = [Kind::Pdf, Kind::Png, Kind::Csv, Kind::Pdf, Kind::Noise][number % 5];
        // The product of three even distributions: many small, few large.
        let share = random.below(100) * random.below(100) * random.below(100);
        let room = largest.saturating_sub(SMALLEST);
        let size = SMALLEST + room / 1_000_000 * share + room % 1_000_000 * share / 1_000_000;
        Self { seed: random.number(), kind, size }
    }

    /// Name and media type.
    pub(super) fn label(&self) -> (String, &'static str) {
        let (ending, media) = match self.kind {
            Kind::Pdf => ("pdf", "application/pdf"),
            Kind::Png => ("png", "image/png"),
            Kind::Csv => ("csv", "text/csv"),
            Kind::Noise => ("zip", "application/octet-stream"),
        };
        let mut random = Random::new(self.seed);
        let title = random.one_of(&TITLES);
        (format!("{title}-{}.{ending}", random.below(1000)), media)
    }

    /// Its octets.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut random = Random::new(self.seed ^ 0x5eed);
        match self.kind {
            Kind::Pdf => pdf(&mut random, self.size),
            Kind::Png => png(&mut random, self.size),
            Kind::Csv => csv(&mut random, self.size),
            Kind::Noise => noise(&mut random, self.size),
        }
    }
}

fn noise(random: &mut Random, size: usize) -> Vec<u8> {
    let mut octets = Vec::with_capacity(size + 8);
    while octets.len() < size {
        octets.extend_from_slice(&random.number().to_le_bytes());
    }
    octets.truncate(size);
    octets
}

fn csv(random: &mut Random, size: usize) -> Vec<u8> {
    let mut table = String::from("day,place,boards,price\r\n");
    let mut day = 1;
    while table.len() < size {
        let place = random.one_of(&["mill", "harbour", "workshop", "shed"]);
        let price = random.below(90_000);
        table.push_str(&format!("{day},{place},{},{}.{:02}\r\n", random.below(40), price / 100, price % 100));
        day += 1;
    }
    table.into_bytes()
}

/// One page with lines of text, and a stream without order in place of an image.
fn pdf(random: &mut Random, size: usize) -> Vec<u8> {
    let mut page = String::from("BT /F1 11 Tf 60 780 Td 14 TL\n");
    for line in 0..30 {
        page.push_str(&format!(
            "(Line {line}: {} boards, {} nails) Tj T*\n",
            random.below(50),
            random.below(900)
        ));
    }
    page.push_str("ET\n");
    let image = noise(random, size.saturating_sub(page.len() + 600));
    let objects: [Vec<u8>; 6] = [
        b"<< /Type /Catalog /Pages 2 0 R >>".to_vec(),
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_vec(),
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>".to_vec(),
        stream(page.as_bytes()),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>".to_vec(),
        stream(&image),
    ];
    let mut file = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n".to_vec();
    let mut places = Vec::new();
    for (number, object) in (1..).zip(&objects) {
        places.push(file.len());
        file.extend_from_slice(format!("{number} 0 obj\n").as_bytes());
        file.extend_from_slice(object);
        file.extend_from_slice(b"\nendobj\n");
    }
    let table = file.len();
    file.extend_from_slice(format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1).as_bytes());
    for place in places {
        file.extend_from_slice(format!("{place:010} 00000 n \n").as_bytes());
    }
    let end = format!("trailer\n<< /Size {} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n", objects.len() + 1);
    file.extend_from_slice(end.as_bytes());
    file
}

fn stream(octets: &[u8]) -> Vec<u8> {
    [format!("<< /Length {} >>\nstream\n", octets.len()).as_bytes(), octets, b"\nendstream"].concat()
}

/// Grey stripes with a little noise, deflated.
fn png(random: &mut Random, size: usize) -> Vec<u8> {
    const WIDTH: u32 = 256;
    let rows = u32::try_from(size / 160).unwrap_or(u32::MAX).clamp(8, 20_000);
    let mut pixels = Vec::new();
    for row in 0..rows {
        // Each row begins with its filter: none.
        pixels.push(0);
        for column in 0..WIDTH {
            let stripe = ((row / 8 + column / 8) % 16 * 16).to_le_bytes()[0];
            let grain = random.number().to_le_bytes()[0] & 0x0f;
            pixels.push(stripe | grain);
        }
    }
    let mut packed = flate2::Compress::new(flate2::Compression::fast(), true);
    let mut data = Vec::with_capacity(pixels.len() + 1024);
    // Room for all of it at once, so that one call is enough and cannot fail.
    let _ = packed.compress_vec(&pixels, &mut data, flate2::FlushCompress::Finish);
    let header = [&WIDTH.to_be_bytes()[..], &rows.to_be_bytes(), &[8, 0, 0, 0, 0]].concat();
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    for (name, content) in [(b"IHDR", header), (b"IDAT", data), (b"IEND", Vec::new())] {
        file.extend_from_slice(&u32::try_from(content.len()).unwrap_or(u32::MAX).to_be_bytes());
        let chunk = [name.as_slice(), &content].concat();
        let mut check = flate2::Crc::new();
        check.update(&chunk);
        file.extend_from_slice(&chunk);
        file.extend_from_slice(&check.sum().to_be_bytes());
    }
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_the_same_each_time_and_keeps_to_its_size() {
        let mut random = Random::new(3);
        for number in 0..40 {
            let document = Document::any(&mut random, number, 50_000);
            let bytes = document.bytes();
            assert_eq!(bytes, document.bytes());
            assert!(bytes.len() < 80_000, "{document:?}: {}", bytes.len());
        }
    }
}
