//! `cidery export`.

mod api;
mod folder;
mod openapi;
mod package_names;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Subcommand};

use self::folder::{Change, Target};
use self::openapi::OpenApi;
use self::package_names::{go_import_path, java_package};
use crate::app::cli::node_option::NodeArgs;
use crate::app::cli::printer::{Column, List, Printer, Row, Tone};
use crate::codec::convert::{sio_from_proto, sio_to_proto};
use crate::codec::proto::v1;
use crate::codec::typed::{MethodDirectory, PackageOptions, ProtoFile, proto_file};
use crate::dict;
use crate::model::error::{Error, Result, reason};
use crate::model::id::ServiceName;
use crate::model::sio::Sio;
use crate::service::Registry;
use crate::service::builtin;

/// The most notes of one kind; the rest is counted.
const MAX_NOTES: usize = 20;

/// Export service definitions.
#[derive(Args, Debug)]
pub(in crate::app::cli) struct Export {
    #[command(subcommand)]
    export: ExportCommand,
}

#[derive(Debug, Subcommand)]
enum ExportCommand {
    /// Write .proto files with the typed methods of a node's services, for client generators.
    ///
    /// Each package is one file: `customer.get` is in `customer/customer.proto`. A file that this command wrote before,
    /// as its first line tells, is replaced. If there is any other file in the place of one, nothing is written, unless
    /// --force is given. Other files in the output directory stay.
    ///
    /// Standard output lists the files of the export. Standard error says how many of them are new, replaced or
    /// unchanged, which methods are gone, which services are left out and why, and which files of earlier exports stay.
    Proto(Proto),
    /// Write an OpenAPI document of a node's services, as the node has it at /openapi.json.
    ///
    /// It has the path of each service over plain HTTP, with the schemas of its input and its response, and the paths
    /// of invocations and services. It describes what the caller may invoke.
    Openapi(OpenApi),
}

/// Write `.proto` files.
#[derive(Args, Debug)]
struct Proto {
    /// Only this service (repeatable). Default: all with a typed method, except built-in and demo services.
    #[arg(long = "service", value_name = "NAME")]
    services: Vec<String>,
    /// Also write Cidery's own .proto files, which are part of this binary, and those of google.rpc for the details of
    /// errors. Without --service, this works without a running node.
    ///
    /// With --go-package, google.rpc is left out: Go code has it from google.golang.org/genproto/googleapis/rpc.
    #[arg(long)]
    api: bool,
    /// Also the built-in services and the demo services of the node.
    #[arg(long)]
    builtins: bool,
    /// Import path of the folder with generated Go code, such as `example.com/stubs`; sets `go_package` in each file.
    #[arg(long, value_name = "PATH", value_parser = go_import_path)]
    go_package: Option<String>,
    /// Prefix of `java_package`, such as `com.example`. Default: the package alone.
    #[arg(long, value_name = "PACKAGE", value_parser = java_package)]
    java_package: Option<String>,
    /// With --go-package: also add the path of each method over plain HTTP, as an option of `google.api.http`.
    ///
    /// Without --go-package they are there, for gateways, and so are the files that declare these options. Generated
    /// Go code would need one more module for them: google.golang.org/genproto/googleapis/api, which also brings the
    /// files.
    #[arg(long, requires = "go_package")]
    http_annotations: bool,
    /// Leave the paths of methods over plain HTTP out, and the files that declare the options of `google.api.http`.
    #[arg(long, conflicts_with = "http_annotations")]
    no_http_annotations: bool,
    /// Output directory, which is the import root of the files.
    #[arg(long, default_value = ".", value_name = "FOLDER")]
    out: PathBuf,
    /// Replace files that this command did not write.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    node: NodeArgs,
}

/// A service that is exported.
struct Described {
    name: ServiceName,
    sio: Sio,
    description: String,
}

/// The services of an export.
#[derive(Default)]
struct Selection {
    described: Vec<Described>,
    /// How many built-in and demo services with a typed method are left out.
    builtins: usize,
}

impl Export {
    pub(in crate::app::cli) async fn run(self, printer: &Printer) -> Result<()> {
        match self.export {
            ExportCommand::Proto(proto) => proto.run(printer).await,
            ExportCommand::Openapi(openapi) => openapi.run(printer).await,
        }
    }
}

impl Proto {
    async fn run(self, printer: &Printer) -> Result<()> {
        let Selection {
            mut described,
            builtins,
        } = match self.selection(printer).await {
            // Cidery's own files need no node.
            Err(error)
                if self.api
                    && self.services.is_empty()
                    && error.reason() == reason::CONNECT_FAILED =>
            {
                let note = format!("only Cidery's own files are written: {error}");
                printer.note(Tone::Warning, &note);
                Selection::default()
            }
            selection => selection?,
        };
        described.sort_by(|a, b| a.name.cmp(&b.name));
        let files = self.files(printer, &described);
        if files.is_empty() {
            let message = "no service has a typed method, apart from built-in and demo services (`--builtins` exports \
                           them); nothing was written";
            return Err(Error::failed_precondition(reason::NO_TYPED_METHOD, message));
        }
        let targets = folder::plan(&self.out, files, self.force)?;
        folder::write(&targets)?;
        print(printer, &targets);
        if builtins > 0 {
            let note = format!(
                "{builtins} built-in and demo services are left out: `--builtins` exports them"
            );
            printer.note(Tone::Quiet, &note);
        }
        let removed = targets.iter().filter(|target| !target.removed.is_empty());
        let removed = removed.map(|target| {
            let (path, methods) = (target.path.display(), target.removed.join("`, `"));
            format!("`{path}` had methods that are not part of this export: `{methods}`")
        });
        notes(printer, "files had other methods", removed);
        let earlier = folder::earlier_exports(&self.out, &targets);
        let earlier = earlier.iter().map(|path| {
            let path = path.display();
            format!("`{path}` is of an earlier export and not part of this one: delete it if it is not needed")
        });
        notes(printer, "files of earlier exports", earlier);
        Ok(())
    }

    /// The files of the export.
    fn files(&self, printer: &Printer, described: &[Described]) -> Vec<ProtoFile> {
        let services = described.iter();
        let services = services.map(|it| (&it.name, &it.sio, it.description.as_str()));
        let directory = MethodDirectory::new(services);
        let clashes = directory.notes();
        let clashes = clashes.map(|(service, note)| format!("`{service}` is left out: {note}"));
        notes(printer, "services", clashes);
        let api = self.api.then_some(api::PACKAGE);
        let names = directory.packages().map(|(package, _)| package).chain(api);
        let (go, java) = (self.go_package.as_deref(), self.java_package.as_deref());
        let mut options = PackageOptions::of_packages(names, go, java);
        for options in options.values_mut() {
            options.http = match go {
                Some(_) => self.http_annotations,
                None => !self.no_http_annotations,
            };
        }
        let mut files = Vec::new();
        if let (true, Some(options)) = (self.api, options.get(api::PACKAGE)) {
            files.extend(api::api_files(options));
            // In Go, generated code of google.rpc would register its messages twice.
            if go.is_none() {
                files.extend(api::details_files());
            }
        }
        let has_methods = directory.packages().next().is_some();
        if has_methods && !self.no_http_annotations && go.is_none() {
            files.extend(api::http_files());
        }
        let typed = directory.packages().filter_map(|(package, methods)| {
            Some(proto_file(package, methods, options.get(package)?))
        });
        files.extend(typed);
        files
    }

    /// The selected services that have a typed method. Notes name those that have none.
    async fn selection(&self, printer: &Printer) -> Result<Selection> {
        let client = self.node.connect(printer).await?;
        let builtins = match self.builtins {
            true => HashMap::new(),
            false => builtin_declarations()?,
        };
        let mut selection = Selection::default();
        let mut left_out = Vec::new();
        for summary in client.services("").await? {
            let is_selected = self.services.contains(&summary.name);
            if !self.services.is_empty() && !is_selected {
                continue;
            }
            let service = match client.describe(&summary.name).await {
                Ok(service) => service,
                // It was removed after the list was read.
                Err(error) if error.reason() == reason::SERVICE_UNKNOWN => continue,
                Err(error) => return Err(error),
            };
            let declaration = service.declaration.unwrap_or_default();
            let sio = declaration.sio.unwrap_or_default();
            if !is_selected && builtins.get(&summary.name) == Some(&sio) {
                selection.builtins += usize::from(!service.typed_method.is_empty());
                continue;
            }
            if service.typed_method.is_empty() {
                let note = &service.typed_method_note;
                if is_selected {
                    let message = format!("`{}` has no typed method: {note}", summary.name);
                    return Err(Error::failed_precondition(reason::NO_TYPED_METHOD, message));
                }
                left_out.push(format!("`{}` is left out: {note}", summary.name));
                continue;
            }
            selection.described.push(Described {
                name: ServiceName::parse(&summary.name)?,
                sio: sio_from_proto(sio)?,
                description: declaration.description,
            });
        }
        for name in &self.services {
            let described = &selection.described;
            if !described.iter().any(|known| known.name.as_str() == name) {
                // Fails, with similar names.
                client.describe(name).await?;
            }
        }
        notes(printer, "services", left_out);
        Ok(selection)
    }
}

/// Prints the paths of the files, and a summary as a note.
fn print(printer: &Printer, targets: &[Target]) {
    let rows = targets.iter().map(|target| {
        let path = target.path.display().to_string();
        let change = target.change.name();
        Row {
            object: dict! { "path": path.as_str(), "change": change }.into(),
            cells: [path.clone()],
            name: path,
        }
    });
    let rows: Vec<_> = rows.collect();
    if printer.is_table() {
        rows.iter().for_each(|row| printer.data(&row.name));
    } else {
        printer.list(List {
            columns: [Column::text("PATH")],
            rows,
            if_empty: "",
        });
    }
    let counts = [Change::Created, Change::Replaced, Change::Unchanged].map(|change| {
        let of_kind = targets.iter().filter(|target| target.change == change);
        (of_kind.count(), change.name())
    });
    let counts = counts.iter().filter(|(count, _)| *count > 0);
    let counts: Vec<_> = counts
        .map(|(count, name)| format!("{count} {name}"))
        .collect();
    if !counts.is_empty() {
        printer.note(Tone::Good, &counts.join(", "));
    }
}

/// Prints notes, up to a limit.
fn notes(printer: &Printer, what: &str, notes: impl IntoIterator<Item = String>) {
    let mut notes = notes.into_iter();
    for note in notes.by_ref().take(MAX_NOTES) {
        printer.note(Tone::Warning, &note);
    }
    let more = notes.count();
    if more > 0 {
        printer.note(Tone::Warning, &format!("{more} more {what}"));
    }
}

/// The declarations of the services that this binary brings, by name: those that a node has by default, and the demo.
fn builtin_declarations() -> Result<HashMap<String, v1::SimpleIo>> {
    let mut registry = Registry::new();
    builtin::add_platform(&mut registry, Arc::new(Vec::new))?;
    builtin::add_demo(&mut registry)?;
    let declarations = registry.iter().map(|definition| {
        let name = definition.name().to_string();
        (name, sio_to_proto(definition.declaration()))
    });
    Ok(declarations.collect())
}
