//! LIST and LSUB: which mailboxes there are (RFC 9051 §6.3.9, RFC 5258, RFC 5819, RFC 6154).

use std::collections::BTreeMap;
use std::ops::Bound;

use crate::arguments::Arguments;
use crate::names;
use crate::store::{DELIMITER, User};

use super::folders::write_delimiter;
use super::{Done, Session, Stop};

/// What LIST was asked.
#[derive(Default)]
struct Question {
    patterns: Vec<Vec<u8>>,
    /// Only those that are subscribed, whether they exist or not.
    only_subscribed: bool,
    /// Only those with a special use.
    only_special: bool,
    tells_subscribed: bool,
    tells_children: bool,
    /// What STATUS is to say of each; empty: nothing.
    status: Vec<String>,
}

/// What is known of a name.
#[derive(Default)]
struct Found {
    attributes: Vec<String>,
    selectable: bool,
}

impl Session {
    pub(super) async fn list(&mut self, arguments: &mut Arguments) -> Done {
        let user = self.user()?;
        let question = self.read_list(arguments)?;
        let names = self.shared.behaviour.names().clone();
        if question.patterns == [Vec::<u8>::new()] {
            let out = &mut self.wire.out;
            out.extend_from_slice(b"* LIST (\\Noselect) ");
            write_delimiter(out, names.delimiter);
            out.extend_from_slice(b" \"\"\r\n");
            return Ok("LIST done".to_owned());
        }
        let store = self.shared.store.clone();
        let found = store.look(|state| Ok::<_, Stop>(self.find(state.user(&user)?, &question)))?;
        for (name, found) in found {
            let wire = names.wire_name(&name, self.utf8);
            if !question.patterns.iter().any(|pattern| names::matches(pattern, &wire, names.delimiter)) {
                continue;
            }
            let out = &mut self.wire.out;
            out.extend_from_slice(format!("* LIST ({}) ", found.attributes.join(" ")).as_bytes());
            write_delimiter(out, names.delimiter);
            out.push(b' ');
            names::write_string(out, &wire, self.utf8);
            out.extend_from_slice(b"\r\n");
            if found.selectable && !question.status.is_empty() {
                let line = store.look(|state| {
                    let mailbox = state.mailbox(&user, &name).ok()?;
                    Some(self.status_line(&name, mailbox, &question.status))
                });
                self.wire.out.extend_from_slice(&line.unwrap_or_default());
                self.shared.store_late(&user, &name);
            }
            self.wire.flush_some().await?;
        }
        Ok("LIST done".to_owned())
    }

    fn read_list(&mut self, arguments: &mut Arguments) -> Result<Question, Stop> {
        let mut question = Question { tells_children: self.offers("CHILDREN"), ..Question::default() };
        arguments.space()?;
        if arguments.peek() == Some(b'(') {
            self.needs_extended()?;
            for option in arguments.keywords()? {
                match option.as_str() {
                    "SUBSCRIBED" => question.only_subscribed = true,
                    "SPECIAL-USE" => question.only_special = true,
                    "REMOTE" | "RECURSIVEMATCH" => {}
                    _ => return Err(Stop::Bad("unknown selection option".to_owned())),
                }
            }
            arguments.space()?;
        }
        let reference = arguments.string()?;
        arguments.space()?;
        if arguments.eat(b'(') {
            self.needs_extended()?;
            while !arguments.eat(b')') {
                question.patterns.push([reference.clone(), arguments.string()?].concat());
                arguments.eat(b' ');
            }
        } else {
            question.patterns.push([reference, arguments.string()?].concat());
        }
        if !arguments.is_empty() {
            arguments.space()?;
            self.read_return(arguments, &mut question)?;
        }
        arguments.end()?;
        question.tells_subscribed |= question.only_subscribed;
        Ok(question)
    }

    fn read_return(&mut self, arguments: &mut Arguments, question: &mut Question) -> Result<(), Stop> {
        self.needs_extended()?;
        if arguments.keyword()? != "RETURN" {
            return Err(Stop::Bad("expected RETURN".to_owned()));
        }
        arguments.space()?;
        arguments.expect(b'(')?;
        while !arguments.eat(b')') {
            match arguments.keyword()?.as_str() {
                "SUBSCRIBED" => question.tells_subscribed = true,
                "CHILDREN" => question.tells_children = true,
                "SPECIAL-USE" => self.needs("SPECIAL-USE")?,
                "STATUS" => {
                    self.needs("LIST-STATUS")?;
                    arguments.space()?;
                    question.status = arguments.keywords()?;
                    self.check_status_items(&question.status)?;
                }
                _ => return Err(Stop::Bad("unknown return option".to_owned())),
            }
            arguments.eat(b' ');
        }
        Ok(())
    }

    fn needs_extended(&self) -> Result<(), Stop> {
        if self.offers("IMAP4rev2") { Ok(()) } else { self.needs("LIST-EXTENDED") }
    }

    /// All names there are to tell, by name: mailboxes, levels above them that are none, and
    /// subscriptions to what does not exist.
    fn find(&self, user: &User, question: &Question) -> BTreeMap<Vec<u8>, Found> {
        let mut found = BTreeMap::new();
        let has_levels = self.shared.behaviour.names().delimiter.is_some();
        for (name, mailbox) in &user.mailboxes {
            let mut attributes = mailbox.attributes.clone();
            if self.shared.behaviour.naming().files && mailbox.is_selectable() {
                attributes.push("\\NoInferiors".to_owned());
            }
            attributes.extend(mailbox.special_use.clone().filter(|_| self.offers("SPECIAL-USE")));
            found.insert(name.clone(), Found { attributes, selectable: mailbox.is_selectable() });
        }
        for name in user.mailboxes.keys().filter(|_| has_levels) {
            for (at, _) in name.iter().enumerate().filter(|(_, byte)| **byte == DELIMITER) {
                found.entry(name[..at].to_vec()).or_insert_with(|| self.missing());
            }
        }
        if question.only_subscribed {
            for name in &user.subscribed {
                found.entry(name.clone()).or_insert_with(|| self.missing());
            }
            found.retain(|name, _| user.subscribed.contains(name));
        }
        if question.only_special {
            found.retain(|name, _| user.mailboxes.get(name).is_some_and(|known| known.special_use.is_some()));
        }
        let prefixed = !self.shared.behaviour.names().prefix.is_empty();
        for (name, found) in &mut found {
            if question.tells_subscribed && user.subscribed.contains(name) {
                found.attributes.push("\\Subscribed".to_owned());
            }
            let childless = found.attributes.iter().any(|known| known.eq_ignore_ascii_case("\\NoInferiors"));
            if question.tells_children && has_levels && !childless {
                // Below a prefix, INBOX is what all others lie in.
                let above_all = prefixed && name == b"INBOX" && user.mailboxes.len() > 1;
                let children =
                    if above_all || has_children(user, name) { "\\HasChildren" } else { "\\HasNoChildren" };
                found.attributes.push(children.to_owned());
            }
        }
        found
    }

    fn missing(&self) -> Found {
        // One implies the other (RFC 9051 §7.3.1), which older clients do not know.
        let mut attributes = vec!["\\Noselect".to_owned()];
        if self.needs_extended().is_ok() {
            attributes.insert(0, "\\NonExistent".to_owned());
        }
        Found { attributes, selectable: false }
    }

    pub(super) fn lsub(&mut self, arguments: &mut Arguments) -> Done {
        let user = self.user()?;
        arguments.space()?;
        let reference = arguments.string()?;
        arguments.space()?;
        let pattern = [reference, arguments.string()?].concat();
        arguments.end()?;
        let subscribed =
            self.shared.store.look(|state| Ok::<_, Stop>(state.user(&user)?.subscribed.clone()))?;
        let names = self.shared.behaviour.names().clone();
        for name in subscribed {
            let wire = names.wire_name(&name, self.utf8);
            if names::matches(&pattern, &wire, names.delimiter) {
                let out = &mut self.wire.out;
                out.extend_from_slice(b"* LSUB () ");
                write_delimiter(out, names.delimiter);
                out.push(b' ');
                names::write_string(out, &wire, self.utf8);
                out.extend_from_slice(b"\r\n");
            }
        }
        Ok("LSUB done".to_owned())
    }
}

fn has_children(user: &User, name: &[u8]) -> bool {
    let start = [name, &[DELIMITER]].concat();
    let after = user.mailboxes.range::<[u8], _>((Bound::Included(start.as_slice()), Bound::Unbounded)).next();
    after.is_some_and(|(next, _)| next.starts_with(&start))
}
