//! A way to a person.

use daemon::alerts::{Body, Message};

use super::{command, mail, web};
use crate::config::{AlertsConfig, MailConfig, WebhookConfig};

/// A way to a person.
#[derive(Debug, Clone)]
pub(crate) struct Channel {
    /// `mail 1`, `webhook 2`, in the order of the configuration.
    pub(crate) name: String,
    way: Way,
}

#[derive(Debug, Clone)]
enum Way {
    Mail(MailConfig),
    Webhook(WebhookConfig),
    Command(Vec<String>),
}

impl Channel {
    /// The channels of a configuration.
    pub(crate) fn all(config: &AlertsConfig) -> Vec<Self> {
        let mail = config.mail.iter().cloned().map(Way::Mail);
        let webhooks = config.webhooks.iter().cloned().map(Way::Webhook);
        let commands = config.commands.iter().cloned().map(Way::Command);
        let named = |kind: &'static str| {
            move |(number, way): (usize, Way)| Self { name: format!("{kind} {}", number + 1), way }
        };
        let mail = mail.enumerate().map(named("mail"));
        let webhooks = webhooks.enumerate().map(named("webhook"));
        mail.chain(webhooks).chain(commands.enumerate().map(named("command"))).collect()
    }

    /// Whether summaries go here.
    pub(crate) fn takes_summaries(&self) -> bool {
        matches!(self.way, Way::Mail(_))
    }

    /// Tries once to get a message across.
    ///
    /// # Errors
    /// Why it did not; nothing secret is in there.
    pub(crate) fn deliver(&self, message: &Message, machine: &str) -> Result<(), String> {
        let document = || serde_json::to_vec(&message.document(machine)).map_err(|error| error.to_string());
        match &self.way {
            Way::Mail(config) => mail::send(config, message, machine),
            Way::Webhook(config) => web::post(config, &document()?),
            Way::Command(argv) => command::run(argv, document()?),
        }
    }
}

/// Where a message of this kind goes.
pub(crate) fn takers(channels: &[Channel], body: &Body) -> Vec<String> {
    let takes = |channel: &&Channel| !matches!(body, Body::Summary { .. }) || channel.takes_summaries();
    channels.iter().filter(takes).map(|channel| channel.name.clone()).collect()
}
