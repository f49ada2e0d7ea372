//! What lies in the maildrop: how many messages, their sizes, their unique-ids (RFC 1939 §5, §7).
//!
//! Listings are what the server says, not what is so: they may end early, name messages that are not
//! there, and say things twice. What comes out of here is ascending, at most one entry a message, and
//! only of messages that STAT counted; what is missing can be asked for one by one.

use std::collections::VecDeque;

use message::Uidl;

use super::Session;
use super::command::Command;
use super::listing;
use super::number::Number;
use super::reply::Reply;
use crate::error::Error;

/// The server's own count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stat {
    /// Messages.
    pub messages: u32,
    /// What they weigh, as the server counts; 0 where it does not say.
    pub octets: u64,
}

/// What there is, at the cost of one round trip where the server allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overview {
    /// The server's own count.
    pub stat: Stat,
    /// The unique-ids, ascending by number and at most one for each; there may be fewer than messages.
    /// `None`: the server has none, or none were wanted.
    pub uidls: Option<Vec<(Number, Uidl)>>,
    /// UIDL names messages beyond STAT's count: one of the two is not true.
    pub beyond: bool,
}

impl Session {
    /// STAT, and UIDL if wanted.
    ///
    /// # Errors
    /// When STAT is refused or the connection is lost. A refused UIDL is no error.
    pub async fn overview(&mut self, want_uidls: bool) -> Result<Overview, Error> {
        self.enter()?;
        let overview = self.count_and_list(want_uidls && self.capabilities.uidl).await;
        self.leave(overview)
    }

    async fn count_and_list(&mut self, want_uidls: bool) -> Result<Overview, Error> {
        let together = want_uidls && self.capabilities.pipelining;
        match together {
            true => self.wire.send(&[Command::new("STAT"), Command::new("UIDL")]).await?,
            false => self.wire.send(&[Command::new("STAT")]).await?,
        }
        let stat = self.read_stat().await;
        if !want_uidls || (stat.is_err() && !together) {
            return stat.map(|stat| Overview { stat, uidls: None, beyond: false });
        }
        if !together {
            self.wire.send(&[Command::new("UIDL")]).await?;
        }
        let uidls = match self.wire.answer().await? {
            Reply::Ok(_) => Some(self.read_listing(listing::uidl).await?),
            _ => None,
        };
        let beyond = uidls.as_ref().is_some_and(|(_, beyond)| *beyond);
        let uidls = uidls.map(|(uidls, _)| uidls);
        stat.map(|stat| Overview { stat, uidls, beyond })
    }

    /// STAT: also at the end, as the server's word on how much there is.
    ///
    /// # Errors
    /// When it is refused or the connection is lost.
    pub async fn stat(&mut self) -> Result<Stat, Error> {
        self.enter()?;
        let stat = match self.wire.send(&[Command::new("STAT")]).await {
            Ok(()) => self.read_stat().await,
            Err(error) => Err(error),
        };
        self.leave(stat)
    }

    async fn read_stat(&mut self) -> Result<Stat, Error> {
        match self.wire.answer().await? {
            Reply::Ok(text) => {
                let (messages, octets) =
                    listing::stat(&text).ok_or_else(|| Error::malformed("the count of messages", &text))?;
                let stat = Stat { messages, octets };
                self.stat = Some(stat);
                Ok(stat)
            }
            Reply::Err { refusal, .. } => Err(Error::Refused { command: "STAT".to_owned(), refusal }),
            Reply::Continue(_) => Err(Error::malformed("the count of messages", b"+")),
        }
    }

    /// LIST: what each message weighs, as the server counts.
    ///
    /// # Errors
    /// When LIST is refused or the connection is lost.
    pub async fn sizes(&mut self) -> Result<Vec<(Number, u64)>, Error> {
        if self.stat.is_none() {
            self.stat().await?;
        }
        self.enter()?;
        let sizes = match self.wire.ask(Command::new("LIST")).await {
            Ok(Reply::Err { refusal, .. }) => Err(Error::Refused { command: "LIST".to_owned(), refusal }),
            Ok(_) => self.read_listing(listing::size).await.map(|(sizes, _)| sizes),
            Err(error) => Err(error),
        };
        self.leave(sizes)
    }

    /// The lines of a listing, of messages that there are; and whether it names others as well.
    async fn read_listing<T: PartialEq>(
        &mut self,
        read: impl Fn(&[u8]) -> Option<(u32, T)>,
    ) -> Result<(Vec<(Number, T)>, bool), Error> {
        let messages = self.stat.map_or(0, |stat| stat.messages);
        let mut entries = Vec::new();
        let (mut passed_over, mut beyond) = (0u64, false);
        let each = |line: &[u8]| match read(line) {
            Some(entry) if (1..=messages).contains(&entry.0) => entries.push(entry),
            other => {
                passed_over += 1;
                beyond |= other.is_some_and(|(number, _)| number > messages);
            }
        };
        self.wire.listing(self.limits.responses, each).await?;
        if passed_over > 0 {
            tracing::debug!(passed_over, "passed over lines of a listing");
        }
        let id = self.id;
        let entries = listing::settled(entries).into_iter();
        Ok((entries.map(|(number, said)| (id.number(number), said)).collect(), beyond))
    }

    /// UIDL for single messages; `None` for those of which the server does not tell it.
    ///
    /// # Errors
    /// When the connection is lost, or a number is of another session.
    pub async fn uidl_of(&mut self, numbers: &[Number]) -> Result<Vec<(Number, Option<Uidl>)>, Error> {
        self.ask_of_each("UIDL", numbers, listing::uidl).await
    }

    /// LIST for single messages; `None` for those of which the server does not tell it.
    ///
    /// # Errors
    /// As [`uidl_of`](Self::uidl_of).
    pub async fn size_of(&mut self, numbers: &[Number]) -> Result<Vec<(Number, Option<u64>)>, Error> {
        self.ask_of_each("LIST", numbers, listing::size).await
    }

    async fn ask_of_each<T>(
        &mut self,
        verb: &str,
        numbers: &[Number],
        read: impl Fn(&[u8]) -> Option<(u32, T)>,
    ) -> Result<Vec<(Number, Option<T>)>, Error> {
        let checked: Result<Vec<u32>, Error> = numbers.iter().map(|number| self.id.check(*number)).collect();
        let checked = checked?;
        self.enter()?;
        let told = self.tell_each(verb, &checked, read).await;
        let told = self.leave(told)?;
        Ok(numbers.iter().copied().zip(told).collect())
    }

    async fn tell_each<T>(
        &mut self,
        verb: &str,
        numbers: &[u32],
        read: impl Fn(&[u8]) -> Option<(u32, T)>,
    ) -> Result<Vec<Option<T>>, Error> {
        let at_once = if self.capabilities.pipelining { self.limits.pipelined.max(1) } else { 1 };
        let mut waiting = numbers.chunks(at_once.div_ceil(2));
        let mut under_way: VecDeque<u32> = VecDeque::new();
        let mut told = Vec::with_capacity(numbers.len());
        loop {
            while under_way.len() <= at_once / 2
                && let Some(next) = waiting.next()
            {
                let commands: Vec<Command> =
                    next.iter().map(|number| Command::new(format!("{verb} {number}"))).collect();
                self.wire.send(&commands).await?;
                under_way.extend(next);
            }
            let Some(number) = under_way.pop_front() else { return Ok(told) };
            told.push(match self.wire.answer().await? {
                Reply::Ok(text) => read(&text).filter(|(named, _)| *named == number).map(|(_, said)| said),
                _ => None,
            });
        }
    }
}
