//! Before the mail: capabilities, TLS, login, and what a session switches on (RFC 9051 §6.1 to
//! §6.3.1, RFC 2971, RFC 4978, RFC 5161).

use crate::arguments::Arguments;
use crate::behaviour::Tls;
use crate::limits;

use super::{Done, Session, Stop};

impl Session {
    fn capability_words(&self) -> String {
        self.shared.behaviour.capability_words(self.user.is_some(), self.encrypted, self.deflated)
    }

    pub(super) fn capability(&mut self, arguments: &Arguments) -> Done {
        arguments.end()?;
        let words = self.capability_words();
        self.say(&format!("* CAPABILITY {words}"));
        Ok("CAPABILITY done".to_owned())
    }

    pub(super) fn id(&mut self) -> Done {
        self.needs("ID")?;
        self.say("* ID (\"name\" \"restante-server\")");
        Ok("ID done".to_owned())
    }

    fn awaits_tls(&self) -> bool {
        matches!(self.shared.behaviour.tls(), Tls::StartTls(_)) && !self.encrypted
    }

    pub(super) fn may_start_tls(&self, arguments: &Arguments) -> Done {
        arguments.end()?;
        match self.awaits_tls() && self.user.is_none() {
            true => Ok("begin TLS".to_owned()),
            false => Err(Stop::Bad("no TLS to start".to_owned())),
        }
    }

    pub(super) async fn take_up_tls(&mut self) -> Result<(), Stop> {
        if let Tls::StartTls(config) = self.shared.behaviour.tls().clone() {
            self.wire.start_tls(config).await?;
            self.encrypted = true;
        }
        Ok(())
    }

    pub(super) fn login(&mut self, arguments: &mut Arguments) -> Done {
        arguments.space()?;
        let user = arguments.string()?;
        arguments.space()?;
        let password = arguments.string()?;
        arguments.end()?;
        self.admit(&user, &password)
    }

    /// AUTHENTICATE PLAIN, with the response in the command where SASL-IR is offered.
    pub(super) async fn authenticate(&mut self, arguments: &mut Arguments) -> Done {
        arguments.space()?;
        let mechanism = arguments.keyword()?;
        if mechanism != "PLAIN" || !self.offers("AUTH=PLAIN") {
            return Err(Stop::No("[CANNOT] this mechanism is not offered".to_owned()));
        }
        let response = if arguments.is_empty() {
            self.wire.out.extend_from_slice(b"+ \r\n");
            self.wire.flush().await?;
            self.wire.line(limits::COMMAND_TEXT_BEFORE_LOGIN).await?
        } else {
            self.needs("SASL-IR")?;
            arguments.space()?;
            arguments.string()?
        };
        arguments.end()?;
        if response == b"*" {
            return Err(Stop::Bad("given up".to_owned()));
        }
        let plain =
            base64_simd::STANDARD.decode_to_vec(&response).map_err(|_| Stop::Bad("not base64".to_owned()))?;
        // authorization NUL authentication NUL password (RFC 4616)
        let mut fields = plain.split(|&byte| byte == 0);
        match (fields.next(), fields.next(), fields.next(), fields.next()) {
            (Some(_), Some(user), Some(password), None) => self.admit(user, password),
            _ => Err(Stop::Bad("not a PLAIN response".to_owned())),
        }
    }

    fn admit(&mut self, user: &[u8], password: &[u8]) -> Done {
        if self.user.is_some() {
            return Err(Stop::Bad("logged in already".to_owned()));
        }
        if self.awaits_tls() {
            return Err(Stop::No("[PRIVACYREQUIRED] start TLS first".to_owned()));
        }
        let (user, password) = (String::from_utf8_lossy(user), String::from_utf8_lossy(password));
        if !self.shared.store.look(|state| state.password_is(&user, &password)) {
            self.shared.count(|counts| counts.logins_refused += 1);
            return Err(Stop::No("[AUTHENTICATIONFAILED] wrong user or password".to_owned()));
        }
        self.admitted = self.shared.admit();
        if self.admitted.is_none() {
            self.shared.count(|counts| counts.logins_refused += 1);
            return Err(Stop::No("[LIMIT] too many sessions at a time".to_owned()));
        }
        self.shared.count(|counts| counts.logins += 1);
        self.user = Some(user.into_owned());
        Ok(format!("[CAPABILITY {}] logged in", self.capability_words()))
    }

    pub(super) fn enable(&mut self, arguments: &mut Arguments) -> Done {
        self.needs("ENABLE")?;
        self.user()?;
        let mut enabled = Vec::new();
        while !arguments.is_empty() {
            arguments.space()?;
            let word = arguments.keyword()?;
            if !self.offers(&word) {
                continue;
            }
            match word.as_str() {
                "CONDSTORE" => self.condstore = true,
                "QRESYNC" => (self.condstore, self.qresync) = (true, true),
                "IMAP4REV2" => (self.utf8, self.rev2) = (true, true),
                "UTF8=ACCEPT" => self.utf8 = true,
                "UIDONLY" => self.uid_only = true,
                _ => continue,
            }
            enabled.push(word);
        }
        self.say(format!("* ENABLED {}", enabled.join(" ")).trim_end());
        Ok("ENABLE done".to_owned())
    }

    pub(super) fn may_deflate(&self, arguments: &mut Arguments) -> Done {
        self.needs("COMPRESS=DEFLATE")?;
        self.user()?;
        arguments.space()?;
        let mechanism = arguments.keyword()?;
        arguments.end()?;
        match mechanism.as_str() {
            "DEFLATE" if !self.deflated => Ok("deflating".to_owned()),
            "DEFLATE" => Err(Stop::No("[COMPRESSIONACTIVE] deflating already".to_owned())),
            _ => Err(Stop::Bad("unknown compression".to_owned())),
        }
    }

    pub(super) fn take_up_deflate(&mut self) -> Result<(), Stop> {
        self.deflated = true;
        self.wire.start_deflate();
        Ok(())
    }
}
