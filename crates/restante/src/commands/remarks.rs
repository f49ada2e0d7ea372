//! What a person should know of an account though nothing is wrong with it: said by `check-config`.

use remote::pop3::Auth;
use sync::Pop3Listing;

use crate::config::{Account, PasswordSource, Pop3, Protocol};

/// One sentence each; none for an account with which everything is as it is best.
pub(super) fn of(account: &Account) -> Vec<String> {
    let mut remarks = Vec::new();
    if let Protocol::Pop3(pop3) = account.protocol {
        of_pop3(account, pop3, &mut remarks);
    }
    if account.plaintext_to_others {
        remarks
            .push("the password and all mail go over the network unencrypted (allow_plaintext)".to_owned());
    }
    if let (PasswordSource::Credential(name), None) =
        (&account.password, std::env::var_os("CREDENTIALS_DIRECTORY"))
    {
        remarks.push(format!("the credential \"{name}\" is there only when systemd starts restante"));
    }
    remarks
}

fn of_pop3(account: &Account, Pop3 { auth, listing }: Pop3, remarks: &mut Vec<String>) {
    if let Some(known) = sync::pop3_remark(&account.host) {
        remarks.push(known.to_owned());
    }
    remarks.push(
        "POP3 shows the INBOX alone, without flags and received dates; where the server has IMAP, \
         protocol = \"imap\" backs up all of it, and goes on with what is archived already"
            .to_owned(),
    );
    if listing == Pop3Listing::New {
        remarks.push(
            "listing = \"new\": the server does not list all that it holds, so nothing counts as vanished, and \
             a loss on the server goes unseen"
                .to_owned(),
        );
    }
    match auth {
        Auth::Apop => {
            remarks.push("auth = \"apop\" rests on MD5, which is broken; TLS protects more".to_owned());
        }
        Auth::XOauth2 | Auth::OAuthBearer => remarks.push(
            "the password of this account is the access token itself, which soon expires: use a \
             password_command that prints a fresh one"
                .to_owned(),
        ),
        Auth::Auto | Auth::User | Auth::Plain => {}
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    /// The remarks on an account with these lines.
    fn remarks(lines: &str) -> Vec<String> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("restante.toml");
        let text =
            format!("[archive]\npath = \"a\"\n[[account]]\nname = \"work\"\npassword = \"x\"\n{lines}");
        std::fs::write(&file, text).expect("the folder is ours");
        let config = Config::load(Some(&file)).expect("it is right");
        super::of(&config.accounts[0])
    }

    /// How many remarks there are, and whether one of them has these words.
    #[track_caller]
    fn expect(lines: &str, words: &[&str]) {
        let said = remarks(lines);
        assert_eq!(said.len(), words.len(), "{lines}: {said:?}");
        for (said, words) in said.iter().zip(words) {
            assert!(said.contains(words), "{lines}: {said:?}");
        }
    }

    const OTHER: &str = "host = \"mail.example.org\"\nuser = \"anna\"\n";
    const GMAIL: &str = "host = \"pop.gmail.com\"\nuser = \"anna@gmail.com\"\nprotocol = \"pop3\"\n";

    #[test]
    fn p06_gmail_over_pop3_is_told_with_the_better_way() {
        expect(GMAIL, &["250 messages at a time", "INBOX alone", "nothing counts as vanished"]);
        expect(&format!("{GMAIL}listing = \"all\"\n"), &["imap.gmail.com", "INBOX alone"]);
        let recent = "host = \"mail.example.org\"\nuser = \"recent:anna\"\nprotocol = \"pop3\"\n";
        expect(recent, &["INBOX alone", "nothing counts as vanished"]);
    }

    #[test]
    fn p07_that_fetching_changes_gmail_s_mailbox_is_told() {
        expect(
            GMAIL,
            &[
                "may archive or delete what is fetched",
                "protocol = \"imap\"",
                "a loss on the server goes unseen",
            ],
        );
    }

    #[test]
    fn what_pop3_cannot_give_is_told_and_imap_needs_no_words() {
        expect(OTHER, &[]);
        let pop3 = |auth: &str| format!("{OTHER}protocol = \"pop3\"\nauth = \"{auth}\"\n");
        expect(&pop3("auto"), &["without flags and received dates"]);
        expect(&pop3("apop"), &["INBOX alone", "MD5"]);
        expect(&pop3("xoauth2"), &["INBOX alone", "access token"]);
        expect(&format!("{OTHER}tls = \"none\"\nallow_plaintext = true\n"), &["unencrypted"]);
    }
}
