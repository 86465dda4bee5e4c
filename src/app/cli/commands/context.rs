//! `cidery context`: named nodes.

use std::path::{Path, PathBuf};

use clap::{ArgMatches, Args, Subcommand};

use crate::app::cli::args::usage_error;
use crate::app::cli::contexts::{self, Context as Entry, Contexts};
use crate::app::cli::node_option::is_given;
use crate::app::cli::objects;
use crate::app::cli::printer::{Column, List, Printer, Row, Tone};
use crate::model::error::Result;
use crate::remote::protocol::endpoint::NodeEndpoint;

/// Name nodes, and what reaching them takes.
#[derive(Args, Debug)]
pub(in crate::app::cli) struct Context {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Add a context, or replace it. The first one becomes the current one.
    ///
    /// Example: `cidery context add prod https://cidery.example:24337 --api-key-file ~/.config/cidery/prod.key`
    Add(Add),
    /// List contexts.
    List,
    /// Make a context the current one: commands use it where none is named.
    Use(Named),
    /// Show a context.
    Show(Shown),
    /// Remove a context. Files that it names stay.
    Remove(Named),
}

#[derive(Args, Debug)]
struct Add {
    /// Name of the context.
    #[arg(value_parser = contexts::name)]
    name: String,
    /// Address of the node.
    #[arg(value_name = "HOST:PORT")]
    address: String,
    /// File with the API key, or the token of an issuer.
    #[arg(long, alias = "key-file", value_name = "FILE")]
    api_key_file: Option<PathBuf>,
    /// CA certificate of the node, in PEM.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Client certificate, in PEM.
    #[arg(long, requires = "key", value_name = "FILE")]
    cert: Option<PathBuf>,
    /// Private key of the client certificate, in PEM.
    #[arg(long, requires = "cert", value_name = "FILE")]
    key: Option<PathBuf>,
}

#[derive(Args, Debug)]
struct Named {
    /// Name of the context.
    name: String,
}

#[derive(Args, Debug)]
struct Shown {
    /// Name of the context. Default: the current one.
    name: Option<String>,
}

impl Context {
    /// `matches` are those of the whole command line.
    pub(in crate::app::cli) fn run(self, matches: &ArgMatches, printer: &Printer) -> Result<()> {
        let mut contexts = Contexts::load()?;
        match self.verb {
            Verb::Add(add) => add.run(contexts, matches, printer),
            Verb::List => {
                list(&contexts, printer);
                Ok(())
            }
            Verb::Use(named) => {
                contexts.find(&named.name)?;
                contexts.current = Some(named.name.clone());
                contexts.save()?;
                print(&contexts, &named.name, printer)
            }
            Verb::Show(shown) => {
                let current = shown.name.or_else(|| contexts.current.clone());
                let none = || {
                    usage_error("no context is the current one; `cidery context list` lists all")
                };
                print(&contexts, &current.ok_or_else(none)?, printer)
            }
            Verb::Remove(named) => named.remove(contexts, printer),
        }
    }
}

impl Add {
    fn run(self, mut contexts: Contexts, matches: &ArgMatches, printer: &Printer) -> Result<()> {
        NodeEndpoint::new(&self.address, None).map_err(|error| usage_error(error.message()))?;
        // Variables of the environment may be for other nodes: they are not kept.
        let mut of_command = matches;
        while let Some((_, nested)) = of_command.subcommand() {
            of_command = nested;
        }
        let kept = |id: &str, path: Option<PathBuf>| {
            let given = path.filter(|_| is_given(of_command, id));
            given.as_deref().map(absolute).transpose()
        };
        let entry = Entry {
            node: self.address,
            api_key_file: kept("api_key_file", self.api_key_file)?,
            ca: kept("ca", self.ca)?,
            cert: kept("cert", self.cert)?,
            key: kept("key", self.key)?,
        };
        let has_tls = entry.ca.is_some() || entry.cert.is_some();
        if has_tls && !entry.node.starts_with("https://") {
            return Err(usage_error(
                "`--ca` and `--cert` are for a node at `https://`",
            ));
        }
        contexts.contexts.insert(self.name.clone(), entry);
        contexts.current.get_or_insert_with(|| self.name.clone());
        contexts.save()?;
        print(&contexts, &self.name, printer)
    }
}

impl Named {
    fn remove(self, mut contexts: Contexts, printer: &Printer) -> Result<()> {
        let Some(removed) = contexts.contexts.remove(&self.name) else {
            return Err(contexts.unknown(&self.name));
        };
        let was_current = contexts.current.as_ref() == Some(&self.name);
        if was_current {
            contexts.current = None;
        }
        contexts.save()?;
        let object = || objects::context(&self.name, false, &removed);
        if !printer.object(&self.name, object) {
            printer.data(&self.name);
        }
        if was_current {
            let text = "no context is the current one now; `cidery context use NAME` chooses one";
            printer.note(Tone::Quiet, text);
        }
        Ok(())
    }
}

/// Files are found from any folder.
fn absolute(path: &Path) -> Result<PathBuf> {
    let absolute = std::path::absolute(path);
    let absolute = absolute.map_err(|error| usage_error(error.to_string()))?;
    match absolute.to_str() {
        Some(_) => Ok(absolute),
        None => Err(usage_error(format!("`{}` is not UTF-8", path.display()))),
    }
}

fn list(contexts: &Contexts, printer: &Printer) {
    let rows = contexts.contexts.iter().map(|(name, context)| {
        let is_current = contexts.current.as_ref() == Some(name);
        let path = |path: &Option<PathBuf>| {
            let path = path.as_ref().map(|path| path.display().to_string());
            path.unwrap_or_default()
        };
        Row {
            name: name.clone(),
            object: objects::context(name, is_current, context),
            cells: [
                if is_current { "*" } else { "" }.to_owned(),
                name.clone(),
                context.node.clone(),
                path(&context.api_key_file),
                path(&context.ca),
                path(&context.cert),
            ],
        }
    });
    printer.list(List {
        columns: [
            Column::fixed("CURRENT"),
            Column::fixed("NAME"),
            Column::text("NODE"),
            Column::text("API KEY FILE"),
            Column::text("CA"),
            Column::text("CERT"),
        ],
        rows: rows.collect(),
        if_empty: "there are no contexts; `cidery context add NAME HOST:PORT` adds one",
    });
}

/// Prints one context.
fn print(contexts: &Contexts, name: &str, printer: &Printer) -> Result<()> {
    let context = contexts.find(name)?;
    let is_current = contexts.current.as_deref() == Some(name);
    if printer.object(name, || objects::context(name, is_current, context)) {
        return Ok(());
    }
    let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
    let rows = [
        ("name", Some(name.to_owned())),
        (
            "current",
            Some(if is_current { "yes" } else { "no" }.to_owned()),
        ),
        ("node", Some(context.node.clone())),
        ("api key file", path(&context.api_key_file)),
        ("ca", path(&context.ca)),
        ("cert", path(&context.cert)),
        ("key", path(&context.key)),
    ];
    let rows = rows
        .into_iter()
        .filter_map(|(name, value)| Some([name.to_owned(), value?]));
    printer.properties(&rows.collect::<Vec<_>>());
    Ok(())
}
