//! Messages: RETR and TOP (RFC 1939 §3, §5, §7).

use std::sync::Arc;

use super::super::behaviour::Stuffing;
use super::super::effect::Effect;
use super::super::server::Counts;
use super::{Done, Session, Stop};

impl Session {
    pub(super) async fn retr(&mut self, arguments: &str) -> Done {
        let message = self.held(arguments)?;
        let number = message.number;
        let mut octets = self.shared.behaviour.counting.octets(&message.bytes);
        let bytes = self.content_of(&Arc::clone(&message.bytes))?;
        if let Some(Effect::Octets(told)) = self.twist(|twist| matches!(twist, Effect::Octets(_))) {
            octets = told;
        }
        self.ok(&format!("{octets} octets"));
        self.send_content(&bytes, |counts| &mut counts.retrieved_octets).await?;
        if let Some(message) = self.maildrop_mut()?.message_mut(number) {
            message.retrieved = true;
        }
        Ok(())
    }

    pub(super) async fn top(&mut self, arguments: &str) -> Done {
        self.needs("TOP")?;
        let (number, lines) = arguments.split_once(' ').ok_or_else(|| Stop::err("TOP message lines"))?;
        let mut lines: u64 = lines.trim().parse().map_err(|_| Stop::err("TOP message lines"))?;
        let message = Arc::clone(&self.held(number)?.bytes);
        let bytes = self.content_of(&message)?;
        if let Some(Effect::TopMore(more)) = self.twist(|twist| matches!(twist, Effect::TopMore(_))) {
            lines = lines.saturating_add(more);
        }
        let unended = lines == 0 && self.twist(|twist| matches!(twist, Effect::TopUnended)).is_some();
        self.ok("the top of it");
        self.send_content(top_of(&bytes, lines, unended), |counts| &mut counts.top_octets).await
    }

    /// What is sent for a message of these octets.
    fn content_of(&self, bytes: &Arc<[u8]>) -> Result<Arc<[u8]>, Stop> {
        let behaviour = &self.shared.behaviour;
        if behaviour.needs_utf8 && !self.utf8 && !top_of(bytes, 0, false).is_ascii() {
            return Err(Stop::err("[UTF8] say UTF8 first"));
        }
        match self.twist(|twist| matches!(twist, Effect::Content(_))) {
            Some(Effect::Content(other)) => Ok(other.into()),
            _ => Ok(Arc::clone(bytes)),
        }
    }

    async fn send_content(&mut self, bytes: &[u8], counter: fn(&mut Counts) -> &mut u64) -> Done {
        let stuffs = self.twist(|twist| matches!(twist, Effect::Unstuffed)).is_none();
        let stuffing = self.shared.behaviour.stuffing;
        let mut begins = true;
        for line in bytes.split_inclusive(|&byte| byte == b'\n') {
            if stuffs && begins && line.starts_with(b".") {
                self.wire.out.push(b'.');
            }
            self.wire.out.extend_from_slice(line);
            begins = stuffing == Stuffing::AfterLf || line.ends_with(b"\r\n");
            self.shared.count(|counts| *counter(counts) += line.len() as u64);
            self.wire.flush_some().await?;
        }
        let is_bare = self.twist(|twist| matches!(twist, Effect::BareEnd)).is_some();
        if !(bytes.is_empty() || bytes.ends_with(b"\r\n") || is_bare) {
            self.wire.out.extend_from_slice(b"\r\n");
        }
        self.end_lines().await
    }
}

/// The header with its empty line (unless `unended`), and so many lines of the body.
fn top_of(bytes: &[u8], lines: u64, unended: bool) -> &[u8] {
    let mut body_lines = None;
    let mut end = 0;
    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
        let is_empty = matches!(line, b"\r\n" | b"\n");
        match &mut body_lines {
            None if is_empty && unended => break,
            None if is_empty => body_lines = Some(0),
            None => {}
            Some(seen) if *seen == lines => break,
            Some(seen) => *seen += 1,
        }
        end += line.len();
    }
    &bytes[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_top_ends_behind_the_empty_line_and_so_many_lines_more() {
        let message = b"A: 1\r\nB: 2\r\n\r\none\r\ntwo\r\nthree";
        assert_eq!(top_of(message, 0, false), b"A: 1\r\nB: 2\r\n\r\n");
        assert_eq!(top_of(message, 0, true), b"A: 1\r\nB: 2\r\n");
        assert_eq!(top_of(message, 1, false), b"A: 1\r\nB: 2\r\n\r\none\r\n");
        assert_eq!(top_of(message, u64::MAX, false), message);
        assert_eq!(top_of(b"A: 1\r\n", 0, false), b"A: 1\r\n");
    }
}
