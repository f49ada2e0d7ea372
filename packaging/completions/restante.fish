# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_restante_global_optspecs
    string join \n config= archive= json q/quiet v/verbose log-format= run-now h/help V/version
end

function __fish_restante_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_restante_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_restante_using_subcommand
    set -l cmd (__fish_restante_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c restante -n "__fish_restante_needs_command" -l config -d 'Configuration file [default: /etc/restante/restante.toml, else $XDG_CONFIG_HOME/restante/restante.toml]' -r -F
complete -c restante -n "__fish_restante_needs_command" -l archive -d 'Read the archive in this folder, with no configuration but what --config names; for commands that only read an archive, such as list, export, verify and restore' -r -F
complete -c restante -n "__fish_restante_needs_command" -l log-format -d 'How log lines are written to standard error; under the systemd journal `auto` talks to it' -r -f -a "auto\t'To the systemd journal with its fields when standard error is the journal, else text'
text\t'One line of text'
json\t'One line of JSON'"
complete -c restante -n "__fish_restante_needs_command" -l json -d 'Print one JSON document on standard output, and nothing else there'
complete -c restante -n "__fish_restante_needs_command" -s q -l quiet -d 'Say only what went wrong'
complete -c restante -n "__fish_restante_needs_command" -s v -l verbose -d 'Say what is being done'
complete -c restante -n "__fish_restante_needs_command" -l run-now -d 'Back up the named accounts (all, if none is named) once, now, in the foreground'
complete -c restante -n "__fish_restante_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c restante -n "__fish_restante_needs_command" -s V -l version -d 'Print version'
complete -c restante -n "__fish_restante_needs_command" -a "account" -d 'Work on the accounts of the configuration'
complete -c restante -n "__fish_restante_needs_command" -a "daemon" -d 'Back up accounts by their schedules until it is stopped: what the systemd unit starts'
complete -c restante -n "__fish_restante_needs_command" -a "list" -d 'List accounts, the folders of an account, or the messages of a folder, newest first'
complete -c restante -n "__fish_restante_needs_command" -a "history" -d 'Show what each run of an account brought, changed and saw vanish, newest first; or the same of one folder; or the life of one message'
complete -c restante -n "__fish_restante_needs_command" -a "show" -d 'Print the exact bytes of one message'
complete -c restante -n "__fish_restante_needs_command" -a "export" -d 'Write messages out as files'
complete -c restante -n "__fish_restante_needs_command" -a "restore" -d 'Give mail back to an IMAP server, and prove that it is there'
complete -c restante -n "__fish_restante_needs_command" -a "drill" -d 'Practise a restore: give mail back to an embedded server, and prove it byte for byte'
complete -c restante -n "__fish_restante_needs_command" -a "status" -d 'Show per account the last and the next run, and how large the archive is'
complete -c restante -n "__fish_restante_needs_command" -a "ack" -d 'Say that you have looked at the suspicious runs of an account; status shows them until then'
complete -c restante -n "__fish_restante_needs_command" -a "verify" -d 'Prove that the archive is whole'
complete -c restante -n "__fish_restante_needs_command" -a "compact" -d 'Make old packs into fewer and smaller ones, and prove them before the old ones go'
complete -c restante -n "__fish_restante_needs_command" -a "rebuild" -d 'Make the catalogue again from the packs alone'
complete -c restante -n "__fish_restante_needs_command" -a "repair" -d 'Save what damage has left: record what is lost, so that the next run fetches it again'
complete -c restante -n "__fish_restante_needs_command" -a "check-config" -d 'Read the configuration and say what is wrong, and where'
complete -c restante -n "__fish_restante_needs_command" -a "alert-test" -d 'Send a test message through every channel of [alerts], and say which took it'
complete -c restante -n "__fish_restante_needs_command" -a "demo" -d 'Show the whole life of a backup in a temporary folder, with an embedded mail server'
complete -c restante -n "__fish_restante_needs_command" -a "init" -d 'Create the archive, or accept the one that is found at its path'
complete -c restante -n "__fish_restante_using_subcommand account; and not __fish_seen_subcommand_from add" -l config -d 'Configuration file [default: /etc/restante/restante.toml, else $XDG_CONFIG_HOME/restante/restante.toml]' -r -F
complete -c restante -n "__fish_restante_using_subcommand account; and not __fish_seen_subcommand_from add" -l archive -d 'Read the archive in this folder, with no configuration but what --config names; for commands that only read an archive, such as list, export, verify and restore' -r -F
complete -c restante -n "__fish_restante_using_subcommand account; and not __fish_seen_subcommand_from add" -l log-format -d 'How log lines are written to standard error; under the systemd journal `auto` talks to it' -r -f -a "auto\t'To the systemd journal with its fields when standard error is the journal, else text'
text\t'One line of text'
json\t'One line of JSON'"
complete -c restante -n "__fish_restante_using_subcommand account; and not __fish_seen_subcommand_from add" -l json -d 'Print one JSON document on standard output, and nothing else there'
complete -c restante -n "__fish_restante_using_subcommand account; and not __fish_seen_subcommand_from add" -s q -l quiet -d 'Say only what went wrong'
complete -c restante -n "__fish_restante_using_subcommand account; and not __fish_seen_subcommand_from add" -s v -l verbose -d 'Say what is being done'
complete -c restante -n "__fish_restante_using_subcommand account; and not __fish_seen_subcommand_from add" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c restante -n "__fish_restante_using_subcommand account; and not __fish_seen_subcommand_from add" -f -a "add" -d 'Add a mailbox to the configuration: find its servers, log in, show the folders, and write account and password down'
complete -c restante -n "__fish_restante_using_subcommand account; and __fish_seen_subcommand_from add" -l address -d 'The same as ADDRESS, for scripts' -r
complete -c restante -n "__fish_restante_using_subcommand account; and __fish_seen_subcommand_from add" -l name -d 'The account\'s name in configuration and archive [default: made of the address]' -r
complete -c restante -n "__fish_restante_using_subcommand account; and __fish_seen_subcommand_from add" -l user -d 'The user name of the login [default: what the provider says, else the address]' -r
complete -c restante -n "__fish_restante_using_subcommand account; and __fish_seen_subcommand_from add" -l host -d 'The server; nothing is looked for then' -r
complete -c restante -n "__fish_restante_using_subcommand account; and __fish_seen_subcommand_from add" -l port -d 'The server\'s port [default: the usual one]' -r
complete -c restante -n "__fish_restante_using_subcommand account; and __fish_seen_subcommand_from add" -l tls -d 'How the line to the server becomes private; none: this machine only' -r -f -a "implicit\t'From the first byte'
starttls\t'By STARTTLS or STLS'
none\t'Never'"
complete -c restante -n "__fish_restante_using_subcommand account; and __fish_seen_subcommand_from add" -l protocol -d 'What is spoken with the server [default: imap, pop3 where there is no IMAP]' -r -f -a "imap\t'All folders'
pop3\t'The INBOX alone'"
complete -c restante -n "__fish_restante_using_subcommand account; and __fish_seen_subcommand_from add" -l tls-ca-file -d 'Authorities that are trusted besides the system\'s, as PEM; the configuration refers to this file' -r -F
complete -c restante -n "__fish_restante_using_subcommand account; and __fish_seen_subcommand_from add" -l password-file -d 'The password is the first line of this file, which nobody else may read; the configuration refers to it' -r -F
complete -c restante -n "__fish_restante_using_subcommand account; and __fish_seen_subcommand_from add" -l password-command -d 'The password is what this command prints, now and in each run; it is divided at blanks, \'…\', "…" and \\ group, and no shell reads it' -r
complete -c restante -n "__fish_restante_using_subcommand account; and __fish_seen_subcommand_from add" -l config -d 'Configuration file [default: /etc/restante/restante.toml, else $XDG_CONFIG_HOME/restante/restante.toml]' -r -F
complete -c restante -n "__fish_restante_using_subcommand account; and __fish_seen_subcommand_from add" -l archive -d 'Read the archive in this folder, with no configuration but what --config names; for commands that only read an archive, such as list, export, verify and restore' -r -F
complete -c restante -n "__fish_restante_using_subcommand account; and __fish_seen_subcommand_from add" -l log-format -d 'How log lines are written to standard error; under the systemd journal `auto` talks to it' -r -f -a "auto\t'To the systemd journal with its fields when standard error is the journal, else text'
text\t'One line of text'
json\t'One line of JSON'"
complete -c restante -n "__fish_restante_using_subcommand account; and __fish_seen_subcommand_from add" -l password-stdin -d 'Read the password from standard input, and write it to NAME.password beside the configuration'
complete -c restante -n "__fish_restante_using_subcommand account; and __fish_seen_subcommand_from add" -s y -l yes -d 'Ask nothing: log in to servers outside of the address\'s domain, too, and write'
complete -c restante -n "__fish_restante_using_subcommand account; and __fish_seen_subcommand_from add" -l no-lookup -d 'Ask neither DNS nor the web for servers; try the usual names in the address\'s domain'
complete -c restante -n "__fish_restante_using_subcommand account; and __fish_seen_subcommand_from add" -l no-test -d 'Write without a login; needs a server that is given or published'
complete -c restante -n "__fish_restante_using_subcommand account; and __fish_seen_subcommand_from add" -l dry-run -d 'Write nothing; print what would be added to the configuration'
complete -c restante -n "__fish_restante_using_subcommand account; and __fish_seen_subcommand_from add" -l json -d 'Print one JSON document on standard output, and nothing else there'
complete -c restante -n "__fish_restante_using_subcommand account; and __fish_seen_subcommand_from add" -s q -l quiet -d 'Say only what went wrong'
complete -c restante -n "__fish_restante_using_subcommand account; and __fish_seen_subcommand_from add" -s v -l verbose -d 'Say what is being done'
complete -c restante -n "__fish_restante_using_subcommand account; and __fish_seen_subcommand_from add" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c restante -n "__fish_restante_using_subcommand daemon" -l config -d 'Configuration file [default: /etc/restante/restante.toml, else $XDG_CONFIG_HOME/restante/restante.toml]' -r -F
complete -c restante -n "__fish_restante_using_subcommand daemon" -l archive -d 'Read the archive in this folder, with no configuration but what --config names; for commands that only read an archive, such as list, export, verify and restore' -r -F
complete -c restante -n "__fish_restante_using_subcommand daemon" -l log-format -d 'How log lines are written to standard error; under the systemd journal `auto` talks to it' -r -f -a "auto\t'To the systemd journal with its fields when standard error is the journal, else text'
text\t'One line of text'
json\t'One line of JSON'"
complete -c restante -n "__fish_restante_using_subcommand daemon" -l json -d 'Print one JSON document on standard output, and nothing else there'
complete -c restante -n "__fish_restante_using_subcommand daemon" -s q -l quiet -d 'Say only what went wrong'
complete -c restante -n "__fish_restante_using_subcommand daemon" -s v -l verbose -d 'Say what is being done'
complete -c restante -n "__fish_restante_using_subcommand daemon" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c restante -n "__fish_restante_using_subcommand list" -l as-of -d 'As the mailbox was then: RFC 3339, YYYY-MM-DD for the end of that day, or run:N for the end of a run' -r
complete -c restante -n "__fish_restante_using_subcommand list" -l config -d 'Configuration file [default: /etc/restante/restante.toml, else $XDG_CONFIG_HOME/restante/restante.toml]' -r -F
complete -c restante -n "__fish_restante_using_subcommand list" -l archive -d 'Read the archive in this folder, with no configuration but what --config names; for commands that only read an archive, such as list, export, verify and restore' -r -F
complete -c restante -n "__fish_restante_using_subcommand list" -l log-format -d 'How log lines are written to standard error; under the systemd journal `auto` talks to it' -r -f -a "auto\t'To the systemd journal with its fields when standard error is the journal, else text'
text\t'One line of text'
json\t'One line of JSON'"
complete -c restante -n "__fish_restante_using_subcommand list" -l deleted -d 'Also what has vanished from the server since'
complete -c restante -n "__fish_restante_using_subcommand list" -l json -d 'Print one JSON document on standard output, and nothing else there'
complete -c restante -n "__fish_restante_using_subcommand list" -s q -l quiet -d 'Say only what went wrong'
complete -c restante -n "__fish_restante_using_subcommand list" -s v -l verbose -d 'Say what is being done'
complete -c restante -n "__fish_restante_using_subcommand list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c restante -n "__fish_restante_using_subcommand history" -l limit -d 'At most so many runs' -r
complete -c restante -n "__fish_restante_using_subcommand history" -l config -d 'Configuration file [default: /etc/restante/restante.toml, else $XDG_CONFIG_HOME/restante/restante.toml]' -r -F
complete -c restante -n "__fish_restante_using_subcommand history" -l archive -d 'Read the archive in this folder, with no configuration but what --config names; for commands that only read an archive, such as list, export, verify and restore' -r -F
complete -c restante -n "__fish_restante_using_subcommand history" -l log-format -d 'How log lines are written to standard error; under the systemd journal `auto` talks to it' -r -f -a "auto\t'To the systemd journal with its fields when standard error is the journal, else text'
text\t'One line of text'
json\t'One line of JSON'"
complete -c restante -n "__fish_restante_using_subcommand history" -l json -d 'Print one JSON document on standard output, and nothing else there'
complete -c restante -n "__fish_restante_using_subcommand history" -s q -l quiet -d 'Say only what went wrong'
complete -c restante -n "__fish_restante_using_subcommand history" -s v -l verbose -d 'Say what is being done'
complete -c restante -n "__fish_restante_using_subcommand history" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c restante -n "__fish_restante_using_subcommand show" -l config -d 'Configuration file [default: /etc/restante/restante.toml, else $XDG_CONFIG_HOME/restante/restante.toml]' -r -F
complete -c restante -n "__fish_restante_using_subcommand show" -l archive -d 'Read the archive in this folder, with no configuration but what --config names; for commands that only read an archive, such as list, export, verify and restore' -r -F
complete -c restante -n "__fish_restante_using_subcommand show" -l log-format -d 'How log lines are written to standard error; under the systemd journal `auto` talks to it' -r -f -a "auto\t'To the systemd journal with its fields when standard error is the journal, else text'
text\t'One line of text'
json\t'One line of JSON'"
complete -c restante -n "__fish_restante_using_subcommand show" -l json -d 'Print one JSON document on standard output, and nothing else there'
complete -c restante -n "__fish_restante_using_subcommand show" -s q -l quiet -d 'Say only what went wrong'
complete -c restante -n "__fish_restante_using_subcommand show" -s v -l verbose -d 'Say what is being done'
complete -c restante -n "__fish_restante_using_subcommand show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c restante -n "__fish_restante_using_subcommand export" -l format -d 'eml: a file a message; mbox: a file a folder; maildir: one Maildir++ tree' -r -f -a "eml\t'One file a message and folder, exact bytes'
maildir\t'One Maildir++ tree'
mbox\t'One mboxrd file a folder'"
complete -c restante -n "__fish_restante_using_subcommand export" -l folder -d 'Only folders that match; `*` crosses the hierarchy; may be given more than once' -r
complete -c restante -n "__fish_restante_using_subcommand export" -l exclude -d 'Not the folders that match; may be given more than once' -r
complete -c restante -n "__fish_restante_using_subcommand export" -l as-of -d 'As the mailbox was then: RFC 3339, YYYY-MM-DD for the end of that day, or run:N for the end of a run' -r
complete -c restante -n "__fish_restante_using_subcommand export" -l config -d 'Configuration file [default: /etc/restante/restante.toml, else $XDG_CONFIG_HOME/restante/restante.toml]' -r -F
complete -c restante -n "__fish_restante_using_subcommand export" -l archive -d 'Read the archive in this folder, with no configuration but what --config names; for commands that only read an archive, such as list, export, verify and restore' -r -F
complete -c restante -n "__fish_restante_using_subcommand export" -l log-format -d 'How log lines are written to standard error; under the systemd journal `auto` talks to it' -r -f -a "auto\t'To the systemd journal with its fields when standard error is the journal, else text'
text\t'One line of text'
json\t'One line of JSON'"
complete -c restante -n "__fish_restante_using_subcommand export" -l deleted -d 'Also what has vanished from the server since'
complete -c restante -n "__fish_restante_using_subcommand export" -l json -d 'Print one JSON document on standard output, and nothing else there'
complete -c restante -n "__fish_restante_using_subcommand export" -s q -l quiet -d 'Say only what went wrong'
complete -c restante -n "__fish_restante_using_subcommand export" -s v -l verbose -d 'Say what is being done'
complete -c restante -n "__fish_restante_using_subcommand export" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c restante -n "__fish_restante_using_subcommand restore" -l to -d 'Where to: the name of a configured account, or a URL: imaps://USER@HOST[:PORT], imap+starttls://…, or imap://… (plain: this machine only)' -r
complete -c restante -n "__fish_restante_using_subcommand restore" -l folder -d 'Only folders that match; `*` crosses the hierarchy; may be given more than once' -r
complete -c restante -n "__fish_restante_using_subcommand restore" -l exclude -d 'Not the folders that match; may be given more than once' -r
complete -c restante -n "__fish_restante_using_subcommand restore" -l as-of -d 'As the mailbox was then: RFC 3339, YYYY-MM-DD for the end of that day, or run:N for the end of a run' -r
complete -c restante -n "__fish_restante_using_subcommand restore" -l prefix -d 'Put everything below this folder of the target, INBOX too; levels are divided by `/`' -r
complete -c restante -n "__fish_restante_using_subcommand restore" -l verify -d 'How what is there afterwards is proven: headers (sizes, dates, flags and header blocks of all, bytes of a sample) or full (every byte is read back)' -r -f -a "headers\t'Sizes, dates, flags and header blocks of all, bytes of a sample'
full\t'Every byte'"
complete -c restante -n "__fish_restante_using_subcommand restore" -l connections -d 'Use at most so many connections at once' -r
complete -c restante -n "__fish_restante_using_subcommand restore" -l password-file -d 'The password of the target is the first line of this file, which nobody else may read' -r -F
complete -c restante -n "__fish_restante_using_subcommand restore" -l password-command -d 'The password of the target is what this command prints; it is divided at blanks, \'…\', "…" and \\ group, and no shell reads it' -r
complete -c restante -n "__fish_restante_using_subcommand restore" -l tls-ca-file -d 'Authorities that are trusted besides the system\'s, as PEM' -r -F
complete -c restante -n "__fish_restante_using_subcommand restore" -l config -d 'Configuration file [default: /etc/restante/restante.toml, else $XDG_CONFIG_HOME/restante/restante.toml]' -r -F
complete -c restante -n "__fish_restante_using_subcommand restore" -l archive -d 'Read the archive in this folder, with no configuration but what --config names; for commands that only read an archive, such as list, export, verify and restore' -r -F
complete -c restante -n "__fish_restante_using_subcommand restore" -l log-format -d 'How log lines are written to standard error; under the systemd journal `auto` talks to it' -r -f -a "auto\t'To the systemd journal with its fields when standard error is the journal, else text'
text\t'One line of text'
json\t'One line of JSON'"
complete -c restante -n "__fish_restante_using_subcommand restore" -l deleted -d 'Also what has vanished from the server since'
complete -c restante -n "__fish_restante_using_subcommand restore" -l dry-run -d 'Change nothing; say what would be done'
complete -c restante -n "__fish_restante_using_subcommand restore" -l no-verify -d 'Do not read back what was given; the restore ends as not proven'
complete -c restante -n "__fish_restante_using_subcommand restore" -l keep-flags -d 'Leave the flags of messages that are already there as they are'
complete -c restante -n "__fish_restante_using_subcommand restore" -l json -d 'Print one JSON document on standard output, and nothing else there'
complete -c restante -n "__fish_restante_using_subcommand restore" -s q -l quiet -d 'Say only what went wrong'
complete -c restante -n "__fish_restante_using_subcommand restore" -s v -l verbose -d 'Say what is being done'
complete -c restante -n "__fish_restante_using_subcommand restore" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c restante -n "__fish_restante_using_subcommand drill" -l sample -d 'How much mail of an account: its newest, its oldest and a random part of each folder' -r
complete -c restante -n "__fish_restante_using_subcommand drill" -l seed -d 'Choose as the drill did that told this number' -r
complete -c restante -n "__fish_restante_using_subcommand drill" -l config -d 'Configuration file [default: /etc/restante/restante.toml, else $XDG_CONFIG_HOME/restante/restante.toml]' -r -F
complete -c restante -n "__fish_restante_using_subcommand drill" -l archive -d 'Read the archive in this folder, with no configuration but what --config names; for commands that only read an archive, such as list, export, verify and restore' -r -F
complete -c restante -n "__fish_restante_using_subcommand drill" -l log-format -d 'How log lines are written to standard error; under the systemd journal `auto` talks to it' -r -f -a "auto\t'To the systemd journal with its fields when standard error is the journal, else text'
text\t'One line of text'
json\t'One line of JSON'"
complete -c restante -n "__fish_restante_using_subcommand drill" -l all -d 'All mail, a part after the other'
complete -c restante -n "__fish_restante_using_subcommand drill" -l json -d 'Print one JSON document on standard output, and nothing else there'
complete -c restante -n "__fish_restante_using_subcommand drill" -s q -l quiet -d 'Say only what went wrong'
complete -c restante -n "__fish_restante_using_subcommand drill" -s v -l verbose -d 'Say what is being done'
complete -c restante -n "__fish_restante_using_subcommand drill" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c restante -n "__fish_restante_using_subcommand status" -l config -d 'Configuration file [default: /etc/restante/restante.toml, else $XDG_CONFIG_HOME/restante/restante.toml]' -r -F
complete -c restante -n "__fish_restante_using_subcommand status" -l archive -d 'Read the archive in this folder, with no configuration but what --config names; for commands that only read an archive, such as list, export, verify and restore' -r -F
complete -c restante -n "__fish_restante_using_subcommand status" -l log-format -d 'How log lines are written to standard error; under the systemd journal `auto` talks to it' -r -f -a "auto\t'To the systemd journal with its fields when standard error is the journal, else text'
text\t'One line of text'
json\t'One line of JSON'"
complete -c restante -n "__fish_restante_using_subcommand status" -l sizes -d 'Also tell where the archive\'s bytes go'
complete -c restante -n "__fish_restante_using_subcommand status" -l json -d 'Print one JSON document on standard output, and nothing else there'
complete -c restante -n "__fish_restante_using_subcommand status" -s q -l quiet -d 'Say only what went wrong'
complete -c restante -n "__fish_restante_using_subcommand status" -s v -l verbose -d 'Say what is being done'
complete -c restante -n "__fish_restante_using_subcommand status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c restante -n "__fish_restante_using_subcommand ack" -l config -d 'Configuration file [default: /etc/restante/restante.toml, else $XDG_CONFIG_HOME/restante/restante.toml]' -r -F
complete -c restante -n "__fish_restante_using_subcommand ack" -l archive -d 'Read the archive in this folder, with no configuration but what --config names; for commands that only read an archive, such as list, export, verify and restore' -r -F
complete -c restante -n "__fish_restante_using_subcommand ack" -l log-format -d 'How log lines are written to standard error; under the systemd journal `auto` talks to it' -r -f -a "auto\t'To the systemd journal with its fields when standard error is the journal, else text'
text\t'One line of text'
json\t'One line of JSON'"
complete -c restante -n "__fish_restante_using_subcommand ack" -l json -d 'Print one JSON document on standard output, and nothing else there'
complete -c restante -n "__fish_restante_using_subcommand ack" -s q -l quiet -d 'Say only what went wrong'
complete -c restante -n "__fish_restante_using_subcommand ack" -s v -l verbose -d 'Say what is being done'
complete -c restante -n "__fish_restante_using_subcommand ack" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c restante -n "__fish_restante_using_subcommand verify" -l config -d 'Configuration file [default: /etc/restante/restante.toml, else $XDG_CONFIG_HOME/restante/restante.toml]' -r -F
complete -c restante -n "__fish_restante_using_subcommand verify" -l archive -d 'Read the archive in this folder, with no configuration but what --config names; for commands that only read an archive, such as list, export, verify and restore' -r -F
complete -c restante -n "__fish_restante_using_subcommand verify" -l log-format -d 'How log lines are written to standard error; under the systemd journal `auto` talks to it' -r -f -a "auto\t'To the systemd journal with its fields when standard error is the journal, else text'
text\t'One line of text'
json\t'One line of JSON'"
complete -c restante -n "__fish_restante_using_subcommand verify" -l quick -d 'Check structure and lengths only, without reading and hashing everything'
complete -c restante -n "__fish_restante_using_subcommand verify" -l json -d 'Print one JSON document on standard output, and nothing else there'
complete -c restante -n "__fish_restante_using_subcommand verify" -s q -l quiet -d 'Say only what went wrong'
complete -c restante -n "__fish_restante_using_subcommand verify" -s v -l verbose -d 'Say what is being done'
complete -c restante -n "__fish_restante_using_subcommand verify" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c restante -n "__fish_restante_using_subcommand compact" -l level -d 'How hard to compress, from 1 to 22; 12 if not given. From 16 on it is slow' -r
complete -c restante -n "__fish_restante_using_subcommand compact" -l config -d 'Configuration file [default: /etc/restante/restante.toml, else $XDG_CONFIG_HOME/restante/restante.toml]' -r -F
complete -c restante -n "__fish_restante_using_subcommand compact" -l archive -d 'Read the archive in this folder, with no configuration but what --config names; for commands that only read an archive, such as list, export, verify and restore' -r -F
complete -c restante -n "__fish_restante_using_subcommand compact" -l log-format -d 'How log lines are written to standard error; under the systemd journal `auto` talks to it' -r -f -a "auto\t'To the systemd journal with its fields when standard error is the journal, else text'
text\t'One line of text'
json\t'One line of JSON'"
complete -c restante -n "__fish_restante_using_subcommand compact" -l dry-run -d 'Only say what would be done'
complete -c restante -n "__fish_restante_using_subcommand compact" -l json -d 'Print one JSON document on standard output, and nothing else there'
complete -c restante -n "__fish_restante_using_subcommand compact" -s q -l quiet -d 'Say only what went wrong'
complete -c restante -n "__fish_restante_using_subcommand compact" -s v -l verbose -d 'Say what is being done'
complete -c restante -n "__fish_restante_using_subcommand compact" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c restante -n "__fish_restante_using_subcommand rebuild" -l config -d 'Configuration file [default: /etc/restante/restante.toml, else $XDG_CONFIG_HOME/restante/restante.toml]' -r -F
complete -c restante -n "__fish_restante_using_subcommand rebuild" -l archive -d 'Read the archive in this folder, with no configuration but what --config names; for commands that only read an archive, such as list, export, verify and restore' -r -F
complete -c restante -n "__fish_restante_using_subcommand rebuild" -l log-format -d 'How log lines are written to standard error; under the systemd journal `auto` talks to it' -r -f -a "auto\t'To the systemd journal with its fields when standard error is the journal, else text'
text\t'One line of text'
json\t'One line of JSON'"
complete -c restante -n "__fish_restante_using_subcommand rebuild" -l json -d 'Print one JSON document on standard output, and nothing else there'
complete -c restante -n "__fish_restante_using_subcommand rebuild" -s q -l quiet -d 'Say only what went wrong'
complete -c restante -n "__fish_restante_using_subcommand rebuild" -s v -l verbose -d 'Say what is being done'
complete -c restante -n "__fish_restante_using_subcommand rebuild" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c restante -n "__fish_restante_using_subcommand repair" -l config -d 'Configuration file [default: /etc/restante/restante.toml, else $XDG_CONFIG_HOME/restante/restante.toml]' -r -F
complete -c restante -n "__fish_restante_using_subcommand repair" -l archive -d 'Read the archive in this folder, with no configuration but what --config names; for commands that only read an archive, such as list, export, verify and restore' -r -F
complete -c restante -n "__fish_restante_using_subcommand repair" -l log-format -d 'How log lines are written to standard error; under the systemd journal `auto` talks to it' -r -f -a "auto\t'To the systemd journal with its fields when standard error is the journal, else text'
text\t'One line of text'
json\t'One line of JSON'"
complete -c restante -n "__fish_restante_using_subcommand repair" -l dry-run -d 'Only say what would be done'
complete -c restante -n "__fish_restante_using_subcommand repair" -l json -d 'Print one JSON document on standard output, and nothing else there'
complete -c restante -n "__fish_restante_using_subcommand repair" -s q -l quiet -d 'Say only what went wrong'
complete -c restante -n "__fish_restante_using_subcommand repair" -s v -l verbose -d 'Say what is being done'
complete -c restante -n "__fish_restante_using_subcommand repair" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c restante -n "__fish_restante_using_subcommand check-config" -l config -d 'Configuration file [default: /etc/restante/restante.toml, else $XDG_CONFIG_HOME/restante/restante.toml]' -r -F
complete -c restante -n "__fish_restante_using_subcommand check-config" -l archive -d 'Read the archive in this folder, with no configuration but what --config names; for commands that only read an archive, such as list, export, verify and restore' -r -F
complete -c restante -n "__fish_restante_using_subcommand check-config" -l log-format -d 'How log lines are written to standard error; under the systemd journal `auto` talks to it' -r -f -a "auto\t'To the systemd journal with its fields when standard error is the journal, else text'
text\t'One line of text'
json\t'One line of JSON'"
complete -c restante -n "__fish_restante_using_subcommand check-config" -l connect -d 'Also log in to every account, without changing anything'
complete -c restante -n "__fish_restante_using_subcommand check-config" -l json -d 'Print one JSON document on standard output, and nothing else there'
complete -c restante -n "__fish_restante_using_subcommand check-config" -s q -l quiet -d 'Say only what went wrong'
complete -c restante -n "__fish_restante_using_subcommand check-config" -s v -l verbose -d 'Say what is being done'
complete -c restante -n "__fish_restante_using_subcommand check-config" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c restante -n "__fish_restante_using_subcommand alert-test" -l config -d 'Configuration file [default: /etc/restante/restante.toml, else $XDG_CONFIG_HOME/restante/restante.toml]' -r -F
complete -c restante -n "__fish_restante_using_subcommand alert-test" -l archive -d 'Read the archive in this folder, with no configuration but what --config names; for commands that only read an archive, such as list, export, verify and restore' -r -F
complete -c restante -n "__fish_restante_using_subcommand alert-test" -l log-format -d 'How log lines are written to standard error; under the systemd journal `auto` talks to it' -r -f -a "auto\t'To the systemd journal with its fields when standard error is the journal, else text'
text\t'One line of text'
json\t'One line of JSON'"
complete -c restante -n "__fish_restante_using_subcommand alert-test" -l json -d 'Print one JSON document on standard output, and nothing else there'
complete -c restante -n "__fish_restante_using_subcommand alert-test" -s q -l quiet -d 'Say only what went wrong'
complete -c restante -n "__fish_restante_using_subcommand alert-test" -s v -l verbose -d 'Say what is being done'
complete -c restante -n "__fish_restante_using_subcommand alert-test" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c restante -n "__fish_restante_using_subcommand demo" -l config -d 'Configuration file [default: /etc/restante/restante.toml, else $XDG_CONFIG_HOME/restante/restante.toml]' -r -F
complete -c restante -n "__fish_restante_using_subcommand demo" -l archive -d 'Read the archive in this folder, with no configuration but what --config names; for commands that only read an archive, such as list, export, verify and restore' -r -F
complete -c restante -n "__fish_restante_using_subcommand demo" -l log-format -d 'How log lines are written to standard error; under the systemd journal `auto` talks to it' -r -f -a "auto\t'To the systemd journal with its fields when standard error is the journal, else text'
text\t'One line of text'
json\t'One line of JSON'"
complete -c restante -n "__fish_restante_using_subcommand demo" -l keep -d 'Keep the temporary folder'
complete -c restante -n "__fish_restante_using_subcommand demo" -l json -d 'Print one JSON document on standard output, and nothing else there'
complete -c restante -n "__fish_restante_using_subcommand demo" -s q -l quiet -d 'Say only what went wrong'
complete -c restante -n "__fish_restante_using_subcommand demo" -s v -l verbose -d 'Say what is being done'
complete -c restante -n "__fish_restante_using_subcommand demo" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c restante -n "__fish_restante_using_subcommand init" -l config -d 'Configuration file [default: /etc/restante/restante.toml, else $XDG_CONFIG_HOME/restante/restante.toml]' -r -F
complete -c restante -n "__fish_restante_using_subcommand init" -l archive -d 'Read the archive in this folder, with no configuration but what --config names; for commands that only read an archive, such as list, export, verify and restore' -r -F
complete -c restante -n "__fish_restante_using_subcommand init" -l log-format -d 'How log lines are written to standard error; under the systemd journal `auto` talks to it' -r -f -a "auto\t'To the systemd journal with its fields when standard error is the journal, else text'
text\t'One line of text'
json\t'One line of JSON'"
complete -c restante -n "__fish_restante_using_subcommand init" -l accept -d 'From now on write to the archive that is found there, although it is not the one that was there before, or an older state of it'
complete -c restante -n "__fish_restante_using_subcommand init" -l json -d 'Print one JSON document on standard output, and nothing else there'
complete -c restante -n "__fish_restante_using_subcommand init" -s q -l quiet -d 'Say only what went wrong'
complete -c restante -n "__fish_restante_using_subcommand init" -s v -l verbose -d 'Say what is being done'
complete -c restante -n "__fish_restante_using_subcommand init" -s h -l help -d 'Print help (see more with \'--help\')'
