//! What a folder is for, by its attribute (RFC 6154) or by the name that programs and providers give it.
//!
//! The attribute decides where a server sends one. Many do not, and each mail program has made its
//! folders under the names of its own language; so there is a table of such names. It is looked into
//! with case, accents, blanks and punctuation left out (`Junk E-mail` is `junkemail`). The sooner a
//! name stands in its list, the better it says that the folder is the one in use.
//!
//! Rule: no name stands for two roles; a name that could be either is in no list.

use std::collections::HashMap;
use std::sync::LazyLock;

use unicode_normalization::UnicodeNormalization;

/// What a folder is for, as far as a restore cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Role {
    Sent,
    Drafts,
    Trash,
    Junk,
    Archive,
    /// A view of all messages: nothing can be put into it.
    All,
    /// A view of the messages with a flag.
    Flagged,
    /// A view of what the server finds important.
    Important,
}

impl Role {
    /// Folders that hold messages of their own.
    pub(crate) const KEPT: [Self; 5] = [Self::Sent, Self::Drafts, Self::Trash, Self::Junk, Self::Archive];

    /// The attribute, as LIST shows it and CREATE takes it.
    pub(crate) fn attribute(self) -> &'static str {
        match self {
            Self::Sent => "\\Sent",
            Self::Drafts => "\\Drafts",
            Self::Trash => "\\Trash",
            Self::Junk => "\\Junk",
            Self::Archive => "\\Archive",
            Self::All => "\\All",
            Self::Flagged => "\\Flagged",
            Self::Important => "\\Important",
        }
    }

    /// The role that an attribute names. `\AllMail`, `\Starred` and `\Spam` are those of XLIST.
    pub(crate) fn of_attribute(attribute: &str) -> Option<Self> {
        let is = |name: &str| attribute.eq_ignore_ascii_case(name);
        let every = Self::KEPT.into_iter().chain([Self::All, Self::Flagged, Self::Important]);
        every.into_iter().find(|role| is(role.attribute())).or_else(|| match () {
            () if is("\\AllMail") => Some(Self::All),
            () if is("\\Starred") => Some(Self::Flagged),
            () if is("\\Spam") => Some(Self::Junk),
            () => None,
        })
    }

    /// Whether the folder shows messages that lie elsewhere.
    pub(crate) fn is_view(self) -> bool {
        matches!(self, Self::All | Self::Flagged | Self::Important)
    }
}

/// The role that a folder of the first level has by its name, and how well the name says so: less is
/// better.
pub(crate) fn by_name(name: &str) -> Option<(Role, usize)> {
    static TABLE: LazyLock<HashMap<String, (Role, usize)>> = LazyLock::new(|| table(&KEPT_NAMES));
    TABLE.get(&bare(name)).copied()
}

/// The view that a folder below `[Gmail]` is by its name.
pub(crate) fn gmail_view(name: &str) -> Option<Role> {
    static TABLE: LazyLock<HashMap<String, (Role, usize)>> = LazyLock::new(|| table(&GMAIL_VIEWS));
    TABLE.get(&bare(name)).map(|(role, _)| *role)
}

/// Whether a level is the one that Gmail keeps its own folders in.
pub(crate) fn is_gmail(level: &str) -> bool {
    level.eq_ignore_ascii_case("[Gmail]") || level.eq_ignore_ascii_case("[Google Mail]")
}

fn table(lists: &[(Role, &[&str])]) -> HashMap<String, (Role, usize)> {
    let mut table = HashMap::new();
    for &(role, names) in lists {
        for (rank, name) in names.iter().enumerate() {
            table.entry(bare(name)).or_insert((role, rank));
        }
    }
    table
}

/// A name without case, accents, blanks and punctuation.
fn bare(name: &str) -> String {
    let letters = name.nfkd().filter(|character| character.is_alphanumeric());
    letters.flat_map(char::to_lowercase).nfkd().filter(|character| character.is_alphanumeric()).collect()
}

/// English, then the large providers, then by language.
#[rustfmt::skip]
const KEPT_NAMES: [(Role, &[&str]); 5] = [
    (Role::Sent, &[
        "Sent", "Sent Items", "Sent Messages", "Sent Mail", "Sent Objects", "Sent Emails",
        "Gesendet", "Gesendete Elemente", "Gesendete Objekte", "Gesendete Nachrichten", "Gesendete E-Mails",
        "Gesendete",
        "Envoyés", "Éléments envoyés", "Messages envoyés", "Courrier envoyé", "Objets envoyés", "Envoyé",
        "Enviados", "Elementos enviados", "Mensajes enviados", "Correo enviado", "Enviado",
        "Enviadas", "Itens enviados", "Mensagens enviadas", "E-mails enviados", "Correio enviado",
        "E-mail enviado", "Enviada",
        "Inviati", "Posta inviata", "Messaggi inviati", "Inviata", "Elementi inviati",
        "Enviats", "Elements enviats",
        "Verzonden", "Verzonden items", "Verzonden berichten", "Verstuurd", "Verzonden objecten",
        "Wysłane", "Elementy wysłane", "Wiadomości wysłane", "Wysłane wiadomości", "Wysłane elementy",
        "Odeslané", "Odeslaná pošta", "Odeslané zprávy", "Odeslané položky",
        "Odoslané", "Odoslaná pošta", "Odoslané správy", "Odoslané položky",
        "Poslano", "Poslana pošta", "Poslane stavke", "Poslane poruke", "Poslato", "Послато",
        "Skickat", "Skickade", "Skickade objekt", "Skickade meddelanden",
        "Sendt", "Sendte", "Sendt post", "Sendte elementer", "Sendte meddelelser", "Sendte beskeder",
        "Sendte meldinger", "Sendt e-post",
        "Lähetetyt", "Lähetetyt viestit", "Lähetetyt kohteet", "Lähetetty",
        "Saadetud", "Saadetud kirjad", "Nosūtītie", "Nosūtītās vēstules",
        "Išsiųsta", "Išsiųsti", "Išsiųsti laiškai",
        "Gönderilmiş", "Gönderilenler", "Gönderilmiş Öğeler", "Gönderilmiş Postalar", "Gönderilen",
        "Отправленные", "Отправленные письма", "Отправлено",
        "Надіслані", "Відправлені", "Надіслане", "Надіслані листи", "Изпратени", "Изпратени писма",
        "Απεσταλμένα", "Σταλμένα", "Απεσταλμένα μηνύματα",
        "Elküldött", "Elküldött elemek", "Elküldött levelek", "Elküldött üzenetek",
        "Trimise", "Elemente trimise", "Mesaje trimise", "Mesaje expediate",
        "送信済み", "送信済みアイテム", "送信済みメール", "送信済みトレイ", "送信済みメッセージ", "送信済",
        "已发送", "已发送邮件", "已发送消息", "已发送的邮件", "已发邮件", "寄件备份",
        "已傳送", "寄件備份", "已寄出", "寄件備份匣", "已傳送郵件", "已傳送的郵件",
        "보낸편지함", "보낸메일함", "보낸 메시지", "보낸 항목",
        "المرسلة", "البريد المرسل", "العناصر المرسلة", "الرسائل المرسلة", "المرسل", "ارسال شده",
        "נשלחו", "פריטים שנשלחו", "דואר שנשלח", "הודעות שנשלחו",
        "ส่งแล้ว", "รายการที่ถูกส่ง", "จดหมายที่ส่ง", "Đã gửi", "Thư đã gửi", "Mục Đã gửi",
        "Terkirim", "Item Terkirim", "Pesan Terkirim",
    ]),
    (Role::Drafts, &[
        "Drafts", "Draft", "Draft Messages",
        "Entwürfe", "Entwurf", "Brouillons", "Brouillon", "Borradores", "Borrador", "Rascunhos", "Rascunho",
        "Bozze", "Bozza", "Esborranys", "Concepten", "Szkice", "Kopie robocze", "Wersje robocze", "Robocze",
        "Koncepty", "Rozepsané", "Rozepsané zprávy", "Rozpísané", "Osnutki", "Skice", "Nacrti",
        "Utkast", "Kladder", "Udkast", "Kladd", "Luonnokset", "Mustandid", "Melnraksti", "Juodraščiai",
        "Taslaklar", "Taslak", "Черновики", "Чернетки", "Чернови", "Πρόχειρα",
        "Piszkozatok", "Vázlatok", "Piszkozat", "Ciorne", "Schițe",
        "下書き", "下書きメール", "草稿", "草稿箱", "草稿夹", "草稿匣",
        "임시보관함", "임시보관메일함", "초안", "المسودات", "مسودات", "טיוטות",
        "ร่าง", "จดหมายร่าง", "แบบร่าง", "Thư nháp", "Bản nháp", "Nháp", "Draf", "Konsep",
    ]),
    (Role::Trash, &[
        "Trash", "Deleted Items", "Deleted Messages", "Deleted", "Bin", "Rubbish", "Wastebasket", "Trash Can",
        "Papierkorb", "Gelöscht", "Gelöschte Elemente", "Gelöschte Objekte", "Gelöschte Nachrichten",
        "Corbeille", "Éléments supprimés", "Messages supprimés", "Poubelle", "Supprimés",
        "Papelera", "Elementos eliminados", "Mensajes eliminados", "Eliminados", "Papelera de reciclaje",
        "Lixeira", "Lixo", "Itens excluídos", "Itens eliminados", "Excluídos", "Mensagens apagadas",
        "Mensagens excluídas", "Reciclagem",
        "Cestino", "Posta eliminata", "Elementi eliminati", "Eliminati", "Messaggi eliminati",
        "Paperera", "Elements suprimits",
        "Prullenbak", "Verwijderde items", "Verwijderde berichten", "Verwijderd",
        "Kosz", "Elementy usunięte", "Usunięte", "Usunięte elementy",
        "Koš", "Odstraněná pošta", "Odstraněné položky", "Smazané", "Odstránená pošta", "Odstránené položky",
        "Smeti", "Izbrisano", "Smeće", "Otpad", "Izbrisane stavke", "Отпад",
        "Papperskorgen", "Papperskorg", "Borttagna objekt", "Borttaget",
        "Papirkurv", "Slettet post", "Slettede elementer", "Slettet", "Søppel", "Søppelkasse",
        "Roskakori", "Poistetut", "Poistetut kohteet", "Prügikast", "Kustutatud kirjad", "Miskaste",
        "Šiukšlinė", "Šiukšliadėžė", "Çöp", "Çöp Kutusu", "Silinmiş Öğeler", "Silinmiş",
        "Корзина", "Удаленные", "Удаленные письма", "Кошик", "Видалені", "Видалене", "Смітник",
        "Кошче", "Изтрити", "Κάδος απορριμμάτων", "Κάδος", "Απορρίμματα", "Διαγραμμένα", "Διεγραμμένα",
        "Kuka", "Törölt elemek", "Lomtár", "Törölt", "Törölt levelek",
        "Coș de gunoi", "Elemente șterse", "Gunoi", "Coșul de gunoi", "Mesaje șterse",
        "ゴミ箱", "ごみ箱", "削除済み", "削除済みアイテム", "削除済みメッセージ",
        "已删除", "已删除邮件", "已删除消息", "垃圾桶", "垃圾筒", "废件箱", "回收站",
        "已刪除", "已刪除郵件", "已刪除的郵件", "刪除的郵件",
        "휴지통", "지운편지함", "삭제된 항목", "삭제한 메일",
        "المهملات", "سلة المهملات", "العناصر المحذوفة", "المحذوفة",
        "אשפה", "פריטים שנמחקו", "סל המיחזור", "דואר שנמחק",
        "ถังขยะ", "รายการที่ถูกลบ", "Thùng rác", "Mục Đã xóa", "Đã xóa",
        "Sampah", "Item Terhapus", "Tong Sampah", "Kotak Sampah",
    ]),
    (Role::Junk, &[
        "Junk", "Spam", "Junk E-mail", "Junk Mail", "Bulk Mail", "Bulk", "Spams",
        "Spamverdacht", "Unerwünscht", "Unerwünschte Werbung",
        "Indésirables", "Courrier indésirable", "Pourriel", "Pourriels",
        "Correo no deseado", "Correo basura", "No deseado",
        "Lixo Eletrônico", "Lixo Electrónico", "Correio publicitário não solicitado", "E-mail de lixo",
        "Posta indesiderata", "Indesiderata", "Correu brossa", "Brossa",
        "Ongewenste e-mail", "Ongewenst", "Ongewenste reclame",
        "Wiadomości-śmieci", "Niechciane", "Nevyžádaná pošta", "Nevyžádané", "Nevyžiadaná pošta",
        "Vsiljena pošta", "Neželena pošta", "Neželjena pošta", "Bezvrijedna e-pošta", "Neželjeno",
        "Skräppost", "Uønsket mail", "Uønsket e-mail", "Uønsket post",
        "Søppelpost", "Uønsket e-post", "Useriøs e-post",
        "Roskaposti", "Rämpspost", "Mēstules", "Surogātpasts", "Šlamštas", "Nepageidaujami",
        "İstenmeyen", "İstenmeyen Posta", "Gereksiz", "Gereksiz E-posta", "Önemsiz E-posta",
        "Спам", "Нежелательная почта", "Нежелательные", "Небажана пошта", "Небажані", "Нежелана поща",
        "Ανεπιθύμητα", "Ανεπιθύμητη αλληλογραφία", "Levélszemét",
        "Mesaje nedorite", "E-mail nedorit", "Nesolicitate",
        "迷惑メール", "迷惑メールフォルダ", "垃圾邮件", "垃圾箱", "垃圾郵件", "垃圾信件匣", "垃圾信件",
        "스팸", "스팸메일함", "스팸편지함", "정크 메일",
        "البريد العشوائي", "غير المرغوب فيها", "بريد غير هام", "البريد غير الهام",
        "الرسائل غير المرغوب فيها", "דואר זבל", "ספאם", "דואר זבל אלקטרוני",
        "อีเมลขยะ", "สแปม", "จดหมายขยะ", "Thư rác", "Email Rác", "Email Sampah",
    ]),
    (Role::Archive, &[
        "Archive", "Archives", "Archived",
        "Archiv", "Archivo", "Archivados", "Arquivo", "Arquivo morto", "Arquivados",
        "Archivio", "Archiviati", "Archiviata", "Arxiu", "Archief", "Archiwum",
        "Arhiv", "Arhiva", "Arkiv", "Arkiverat", "Arkisto", "Arhiiv", "Arhīvs", "Archyvas", "Arşiv",
        "Архив", "Архів", "Αρχείο", "Αρχειοθέτηση", "Archívum",
        "アーカイブ", "存档", "归档", "已归档", "封存", "存檔", "보관함", "보관", "보관 편지함",
        "الأرشيف", "أرشيف", "ארכיון", "เก็บถาวร", "Lưu trữ", "Arsip",
    ]),
];

/// What Gmail calls its views. They count below `[Gmail]` only: elsewhere `Important` is a folder.
#[rustfmt::skip]
const GMAIL_VIEWS: [(Role, &[&str]); 3] = [
    (Role::All, &[
        "All Mail", "Alle Nachrichten", "Tous les messages", "Todos", "Todos os e-mails", "Todo o correio",
        "Tutti i messaggi", "Tots els missatges", "Alle berichten", "Alle e-mail", "Wszystkie",
        "Všechny zprávy", "Všetky správy", "Vsa pošta", "Sva pošta", "Alla mejl", "Alla mail", "All e-post",
        "Alle mails", "Alle e-mails", "Kaikki viestit", "Kõik kirjad", "Visas vēstules", "Visi laiškai",
        "Tüm Postalar", "Вся почта", "Уся пошта", "Вся пошта", "Цялата поща", "Όλα τα μηνύματα",
        "Összes levél", "Az összes levél", "Toate mesajele", "すべてのメール", "所有邮件", "所有郵件",
        "全部郵件", "전체보관함", "كل البريد", "جميع الرسائل", "כל הדואר", "จดหมายทั้งหมด",
        "Tất cả thư", "Semua Email",
    ]),
    (Role::Flagged, &[
        "Starred", "Markiert", "Suivis", "Messages suivis", "Destacados", "Com estrela", "Speciali",
        "Destacats", "Met ster", "Oznaczone gwiazdką", "S hvězdičkou", "S hviezdičkou", "Stjärnmärkt",
        "Stjernemarkeret", "Stjernemerket", "Tähdellä merkityt", "Yıldızlı", "Помеченные", "Із зірочкою",
        "Με αστέρι", "Csillagozott", "Cu stea", "スター付き", "已加星标", "已加星號", "별표편지함",
        "مميز بنجمة", "מסומן בכוכב", "Có gắn dấu sao", "Berbintang",
    ]),
    (Role::Important, &[
        "Important", "Wichtig", "Importantes", "Importante", "Importanti", "Belangrijk", "Ważne", "Důležité",
        "Dôležité", "Viktigt", "Vigtigt", "Viktig", "Tärkeää", "Önemli", "Важное", "Важливо", "Σημαντικά",
        "Fontos", "重要", "重要邮件", "重要郵件", "중요", "중요편지함", "مهم", "חשוב", "Quan trọng", "Penting",
    ]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r02_no_name_stands_for_two_roles() {
        for lists in [&KEPT_NAMES[..], &GMAIL_VIEWS[..]] {
            for &(role, names) in lists {
                for name in names {
                    assert!(!bare(name).is_empty(), "{name}");
                    let others = lists.iter().filter(|(other, _)| *other != role);
                    let in_another =
                        others.flat_map(|(_, names)| *names).find(|other| bare(other) == bare(name));
                    assert_eq!(in_another, None, "{name} of {role:?}");
                }
            }
        }
    }

    #[test]
    fn r02_folders_are_known_in_whatever_language_and_spelling() {
        for (name, role) in [
            ("Sent Items", Role::Sent),
            ("sent-mail", Role::Sent),
            ("Gesendete Elemente", Role::Sent),
            ("ÉLÉMENTS ENVOYÉS", Role::Sent),
            ("E\u{301}le\u{301}ments envoye\u{301}s", Role::Sent),
            ("Отправленные", Role::Sent),
            ("보낸 편지함", Role::Sent),
            ("Entwürfe", Role::Drafts),
            ("Papierkorb", Role::Trash),
            ("Удалённые", Role::Trash),
            ("Junk-E-Mail", Role::Junk),
            ("Lixo", Role::Trash),
            ("Lixo Eletrônico", Role::Junk),
            ("Søppelpost", Role::Junk),
            ("ISTENMEYEN", Role::Junk),
            ("archív", Role::Archive),
        ] {
            assert_eq!(by_name(name).map(|(role, _)| role), Some(role), "{name}");
        }
        for name in ["", "...", "Projects", "Important", "All Mail", "Sent 2019", "Outbox"] {
            assert_eq!(by_name(name), None, "{name}");
        }
        assert_eq!(gmail_view("Alle Nachrichten"), Some(Role::All));
        assert_eq!(gmail_view("Starred"), Some(Role::Flagged));
        assert_eq!(gmail_view("Sent Mail"), None);
    }

    #[test]
    fn r15_views_are_known_by_their_attributes_also_by_those_of_xlist() {
        for (attribute, role) in
            [("\\all", Role::All), ("\\AllMail", Role::All), ("\\Starred", Role::Flagged)]
        {
            assert_eq!(Role::of_attribute(attribute), Some(role));
            assert!(role.is_view());
        }
        assert_eq!(Role::of_attribute("\\HasNoChildren"), None);
    }
}
