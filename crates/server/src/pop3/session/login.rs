//! Before the mail: capabilities, TLS and login (RFC 1939 §4 and §7, RFC 2449, 2595, 5034, 6856).

use base64_simd::STANDARD;
use md5::{Digest, Md5};

use super::super::maildrop::Maildrop;
use super::super::server::Closed;
use super::{Done, Session, Stop};
use crate::behaviour::Tls;
use crate::limits;

/// A command with its initial response; what is longer has to wait to be asked (RFC 5034 §4).
const AUTH_LINE: usize = 255 - "AUTH \r\n".len();

impl Session {
    pub(super) async fn capa(&mut self) -> Done {
        if !self.shared.behaviour.capa {
            return Err(Stop::err("unknown command"));
        }
        let lines = self.shared.behaviour.announced(self.encrypted).join("\r\n");
        self.ok("this is what there is");
        if !lines.is_empty() {
            self.say(&lines);
        }
        self.end_lines().await
    }

    fn awaits_tls(&self) -> bool {
        matches!(self.shared.behaviour.tls, Tls::StartTls(_)) && !self.encrypted
    }

    pub(super) fn may_start_tls(&mut self) -> Done {
        if !self.awaits_tls() || self.maildrop.is_some() {
            return Err(Stop::err("no TLS to start"));
        }
        self.ok("begin TLS");
        Ok(())
    }

    pub(super) async fn take_up_tls(&mut self) -> Done {
        if let Tls::StartTls(config) = self.shared.behaviour.tls.clone() {
            self.wire.start_tls(config).await?;
            (self.encrypted, self.named) = (true, None);
        }
        Ok(())
    }

    /// -ERR when it is too late, or too early, to log in.
    fn may_log_in(&self) -> Done {
        match (self.maildrop.is_some(), self.awaits_tls()) {
            (true, _) => Err(Stop::err("logged in already")),
            (_, true) => Err(Stop::err("start TLS first")),
            _ => Ok(()),
        }
    }

    pub(super) fn user(&mut self, name: &str) -> Done {
        self.needs("USER")?;
        self.may_log_in()?;
        self.named = Some(name.to_owned());
        self.ok("and the password?");
        Ok(())
    }

    pub(super) async fn pass(&mut self, password: &str) -> Done {
        let login = self.named.take().ok_or_else(|| Stop::err("USER comes first"))?;
        self.admit(&login, |known| known == password).await
    }

    pub(super) async fn apop(&mut self, arguments: &str) -> Done {
        let timestamp = self.shared.behaviour.timestamp().map(str::to_owned);
        let timestamp = timestamp.ok_or_else(|| Stop::err("unknown command"))?;
        let (login, digest) = arguments.rsplit_once(' ').ok_or_else(|| Stop::err("APOP name digest"))?;
        let is_right = |known: &str| {
            let expected = Md5::digest(format!("{timestamp}{known}"));
            let hex: String = expected.iter().map(|byte| format!("{byte:02x}")).collect();
            hex == digest
        };
        self.admit(login, is_right).await
    }

    /// SASL; without a mechanism it tells those that there are, as servers did before CAPA.
    pub(super) async fn auth(&mut self, arguments: &str) -> Done {
        self.needs("SASL")?;
        if arguments.is_empty() {
            let mechanisms = self.shared.behaviour.mechanisms().collect::<Vec<_>>().join("\r\n");
            self.ok("these are known");
            self.say(&mechanisms);
            return self.end_lines().await;
        }
        self.may_log_in()?;
        let (mechanism, response) = match arguments.split_once(' ') {
            Some((mechanism, response)) => (mechanism, Some(response.to_owned())),
            None => (arguments, None),
        };
        if !self.shared.behaviour.offers_mechanism(mechanism) {
            return Err(Stop::err("this mechanism is not offered"));
        }
        if arguments.len() > AUTH_LINE {
            return Err(Stop::err("the line is too long for an initial response"));
        }
        let response = match response {
            Some(response) => response,
            None => self.ask("").await?,
        };
        if response == "*" {
            return Err(Stop::err("given up"));
        }
        let response = STANDARD.decode_to_vec(&response).map_err(|_| Stop::err("not base64"))?;
        let response = String::from_utf8_lossy(&response).into_owned();
        match mechanism.to_ascii_uppercase().as_str() {
            "PLAIN" => {
                // authorization NUL authentication NUL password (RFC 4616)
                let fields: Vec<&str> = response.split('\0').collect();
                let [_, login, password] = fields[..] else { return Err(Stop::err("not a PLAIN response")) };
                self.admit(login, |known| known == password).await
            }
            "XOAUTH2" => self.bearer(response.strip_prefix("user=").unwrap_or_default()).await,
            "OAUTHBEARER" => {
                // n,a=USER, is the header of GS2 (RFC 7628 §3.1).
                let login = response.strip_prefix("n,a=").unwrap_or_default();
                self.bearer(&login.replacen(',', "", 1)).await
            }
            _ => Err(Stop::err("this mechanism is not known here")),
        }
    }

    /// A name and a token that is its password. A refusal is told in a challenge, and the client has
    /// to answer before it is refused (RFC 7628 §3.2.3).
    async fn bearer(&mut self, response: &str) -> Done {
        let (login, rest) = response.split_once('\u{1}').unwrap_or_default();
        let token =
            rest.split('\u{1}').find_map(|field| field.strip_prefix("auth=Bearer ")).unwrap_or_default();
        match self.admit(login, |known| known == token).await {
            Err(Stop::Err(text)) if self.maildrop.is_none() => {
                let told = STANDARD.encode_to_string(r#"{"status":"401","schemes":"bearer"}"#);
                self.ask(&told).await?;
                Err(Stop::Err(text))
            }
            done => done,
        }
    }

    /// A challenge, and the line that answers it.
    async fn ask(&mut self, challenge: &str) -> Result<String, Stop> {
        self.say(&format!("+ {challenge}"));
        self.wire.flush().await?;
        let line = self.wire.line(limits::COMMAND_TEXT_BEFORE_LOGIN).await?;
        Ok(String::from_utf8_lossy(&line).into_owned())
    }

    async fn admit(&mut self, login: &str, is_right: impl Fn(&str) -> bool) -> Done {
        self.may_log_in()?;
        let owner = Maildrop::owner(&self.shared, login);
        let known = self.shared.store.look(|state| state.password_of(&owner).map(str::to_owned));
        if !known.is_some_and(|known| is_right(&known)) {
            let code = self.code("AUTH");
            return Err(Stop::Err(format!("{code}wrong user or password")));
        }
        let lock = match self.shared.enter(&owner).await {
            Ok(lock) => lock,
            Err(Closed::InUse) => return Err(Stop::Err(self.code("IN-USE") + "the maildrop is in use")),
            Err(Closed::TooSoon) => return Err(Stop::Err(self.code("LOGIN-DELAY") + "too soon")),
        };
        self.maildrop = Maildrop::open(&self.shared, login, lock);
        self.maildrop()?;
        self.shared.count(|counts| counts.logins += 1);
        self.ok("logged in");
        Ok(())
    }

    pub(super) fn utf8(&mut self) -> Done {
        self.needs("UTF8")?;
        if self.maildrop.is_some() {
            return Err(Stop::err("too late"));
        }
        self.utf8 = true;
        self.ok("UTF-8 it is");
        Ok(())
    }

    pub(super) async fn lang(&mut self, language: &str) -> Done {
        self.needs("LANG")?;
        if language.is_empty() {
            self.ok("these are known");
            self.say("en English");
            return self.end_lines().await;
        }
        if !matches!(language, "en" | "*") {
            return Err(Stop::err("this language is not known here"));
        }
        self.ok("en the language is English");
        Ok(())
    }
}
