//! EML: each message a file with its exact bytes, each folder a directory.
//!
//! A file is called after the time it was received (UTC), its UID and the beginning of its key:
//! `20240229T081500Z-0000000042-af1349b9f5f9a1a6.eml`; `undated` stands for a time that could not be
//! read. In each directory `index.jsonl` keeps UID, key, flags and date.

use crate::index::{Index, Place};
use crate::output::{Output, short_key, write_message};
use crate::tree::Folder;
use crate::{Error, ExportMessage, Exporter, Summary};

pub(crate) struct Eml {
    output: Output,
    open: Option<(Folder, Index)>,
}

impl Eml {
    pub(crate) fn new(output: Output) -> Self {
        Self { output, open: None }
    }

    fn close_folder(&mut self) -> Result<(), Error> {
        self.open.take().map_or(Ok(()), |(_, index)| index.close())
    }
}

impl Exporter for Eml {
    fn folder(&mut self, components: &[String]) -> Result<(), Error> {
        self.close_folder()?;
        let place = self.output.begin_folder(components, |path| path.join("/"))?;
        let folder = self.output.tree.folder(&place.path)?;
        let index = Index::open(&folder, "index.jsonl", place.first)?;
        self.open = Some((folder, index));
        Ok(())
    }

    fn message(&mut self, message: &ExportMessage<'_>, bytes: &[u8]) -> Result<(), Error> {
        let (folder, index) = self.open.as_mut().ok_or(Error::NoFolder)?;
        let file = write_message(folder, |number| file_name(message, number), message.internal_date, bytes)?;
        index.message(Place::File { file: &file }, message, bytes.len())?;
        self.output.count(bytes.len());
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<Summary, Error> {
        self.close_folder()?;
        self.output.finish()
    }
}

fn file_name(message: &ExportMessage<'_>, number: u32) -> String {
    let date = message.internal_date.utc().map_or("undated".to_owned(), |at| {
        let clock = format!("{:02}{:02}{:02}", at.hour, at.minute, at.second);
        format!("{:04}{:02}{:02}T{clock}Z", at.year, at.month, at.day)
    });
    let again = if number == 1 { String::new() } else { format!("-{number}") };
    format!("{date}-{:010}-{}{again}.eml", message.uid, short_key(message))
}
