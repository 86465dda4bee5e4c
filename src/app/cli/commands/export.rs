//! `cidery export`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

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

const API_PACKAGE: &str = "cidery.v1";

/// The `.proto` files of Cidery that this binary was built with.
const API: [(&str, &str); 6] = [
    (
        "cidery/v1/admin.proto",
        include_str!("../../../../proto/cidery/v1/admin.proto"),
    ),
    (
        "cidery/v1/discovery.proto",
        include_str!("../../../../proto/cidery/v1/discovery.proto"),
    ),
    (
        "cidery/v1/invocation.proto",
        include_str!("../../../../proto/cidery/v1/invocation.proto"),
    ),
    (
        "cidery/v1/outcome.proto",
        include_str!("../../../../proto/cidery/v1/outcome.proto"),
    ),
    (
        "cidery/v1/service.proto",
        include_str!("../../../../proto/cidery/v1/service.proto"),
    ),
    (
        "cidery/v1/worker.proto",
        include_str!("../../../../proto/cidery/v1/worker.proto"),
    ),
];

/// Export service definitions.
#[derive(Args, Debug)]
pub(in crate::app::cli) struct Export {
    #[command(subcommand)]
    export: ExportCommand,
}

#[derive(Debug, Subcommand)]
enum ExportCommand {
    /// Write .proto files with the typed methods of a node's services, for client generators.
    Proto(Proto),
}

/// Write `.proto` files.
#[derive(Args, Debug)]
struct Proto {
    /// Only this service (repeatable). Default: all with a typed method, except built-in and demo services.
    #[arg(long = "service", value_name = "NAME")]
    services: Vec<String>,
    /// Also write Cidery's own .proto files, which are part of this binary. Without --service, this works without a
    /// running node.
    #[arg(long)]
    api: bool,
    /// Also the built-in services and the demo services of the node.
    #[arg(long)]
    builtins: bool,
    /// Import path of the folder with generated Go code; sets `go_package` in each file.
    #[arg(long, value_name = "PATH")]
    go_package: Option<String>,
    /// Prefix of `java_package`, such as `com.example`. Default: the package alone.
    #[arg(long, value_name = "PACKAGE")]
    java_package: Option<String>,
    /// Output directory.
    #[arg(long, default_value = ".", value_name = "FOLDER")]
    out: PathBuf,
    #[command(flatten)]
    node: NodeArgs,
}

impl Export {
    pub(in crate::app::cli) async fn run(self, printer: &Printer) -> Result<()> {
        let ExportCommand::Proto(proto) = self.export;
        proto.run(printer).await
    }
}

impl Proto {
    async fn run(self, printer: &Printer) -> Result<()> {
        let mut files = Vec::new();
        let go_package = self.go_package.as_deref();
        if self.api {
            files.extend(API.map(|(path, text)| api_file(path, text, go_package)));
        }
        match self.typed(printer).await {
            // Cidery's own files need no node.
            Err(error)
                if self.api
                    && self.services.is_empty()
                    && error.reason() == reason::CONNECT_FAILED =>
            {
                printer.note(
                    Tone::Warning,
                    &format!("only Cidery's own files are written: {error}"),
                );
            }
            typed => files.extend(typed?),
        }
        if files.is_empty() {
            printer.note(
                Tone::Warning,
                "no service has a typed method, apart from built-in services (`--builtins`); `cidery describe NAME` \
                 shows why",
            );
        }
        let mut rows = Vec::new();
        for file in files {
            let path = self.out.join(&file.path);
            write(&path, &file.text)?;
            let path = path.display().to_string();
            rows.push(Row {
                object: dict! { "path": path.as_str() }.into(),
                cells: [path.clone()],
                name: path,
            });
        }
        if printer.is_table() {
            rows.iter().for_each(|row| printer.data(&row.name));
        } else {
            printer.list(List {
                columns: [Column::text("PATH")],
                rows,
                if_empty: "",
            });
        }
        Ok(())
    }

    async fn typed(&self, printer: &Printer) -> Result<Vec<ProtoFile>> {
        let client = self.node.connect(printer).await?;
        let builtins = match self.builtins {
            true => HashMap::new(),
            false => builtin_declarations()?,
        };
        let mut described = Vec::new();
        for summary in client.services("").await? {
            let is_selected = self.services.contains(&summary.name);
            let is_excluded = !self.services.is_empty() && !is_selected;
            if is_excluded || (!is_selected && summary.typed_method.is_empty()) {
                continue;
            }
            let service = match client.describe(&summary.name).await {
                Ok(service) => service,
                // It was removed after the list was read.
                Err(error) if error.reason() == reason::SERVICE_UNKNOWN => continue,
                Err(error) => return Err(error),
            };
            if is_selected && service.typed_method.is_empty() {
                let note = &service.typed_method_note;
                let message = format!("`{}` has no typed method: {note}", summary.name);
                return Err(Error::failed_precondition(reason::NO_TYPED_METHOD, message));
            }
            let declaration = service.declaration.unwrap_or_default();
            if !is_selected && builtins.get(&summary.name) == declaration.sio.as_ref() {
                continue;
            }
            let sio = declaration
                .sio
                .map_or_else(|| Ok(Sio::new()), sio_from_proto)?;
            described.push((
                ServiceName::parse(&summary.name)?,
                sio,
                declaration.description,
            ));
        }
        for name in &self.services {
            if !described.iter().any(|(known, ..)| known.as_str() == name) {
                // Fails, with similar names.
                client.describe(name).await?;
            }
        }
        let services = described.iter();
        let directory =
            MethodDirectory::new(services.map(|(name, sio, text)| (name, sio, text.as_str())));
        for (service, note) in directory.notes() {
            printer.note(Tone::Warning, &format!("{service}: {note}"));
        }
        let api = self.api.then_some(API_PACKAGE);
        let names = directory.packages().map(|(package, _)| package).chain(api);
        let (go, java) = (self.go_package.as_deref(), self.java_package.as_deref());
        let options = PackageOptions::of_packages(names, go, java);
        let files = directory.packages().filter_map(|(package, methods)| {
            let options = options.get(package)?;
            Some(proto_file(package, methods, options))
        });
        Ok(files.collect())
    }
}

/// The declarations of the services that this binary brings, by name: those that a node has by default, and the demo.
fn builtin_declarations() -> Result<HashMap<String, v1::SimpleIo>> {
    let mut registry = Registry::new();
    builtin::add_platform(&mut registry)?;
    builtin::add_demo(&mut registry)?;
    let declarations = registry.iter().map(|definition| {
        let name = definition.name().to_string();
        (name, sio_to_proto(definition.declaration()))
    });
    Ok(declarations.collect())
}

/// One of Cidery's own files, with the import path of its Go code.
fn api_file(path: &str, text: &str, go_package: Option<&str>) -> ProtoFile {
    let mut out = String::with_capacity(text.len() + 80);
    let options = PackageOptions::of_packages([API_PACKAGE], go_package, None);
    let go_package = options
        .get(API_PACKAGE)
        .and_then(|it| it.go_package.as_ref());
    let mut option = go_package.map(|go| format!("option go_package = \"{go}\";\n\n"));
    for line in text.split_inclusive('\n') {
        // After the imports, the usual position.
        let is_head = ["syntax", "package", "import", "\n"]
            .iter()
            .any(|word| line.starts_with(word));
        if !is_head && let Some(option) = option.take() {
            out.push_str(&option);
        }
        out.push_str(line);
    }
    ProtoFile {
        path: path.to_owned(),
        text: out,
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(path, text))
        .map_err(|error| {
            let message = format!("cannot write `{}`: {error}", path.display());
            Error::invalid_argument(reason::REQUEST_INVALID, message).with_source(error)
        })
}
