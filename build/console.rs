//! Embeds the files of the console: each as it is and compressed, with a tag of its content. `build.rs` calls it;
//! `src/edge/console/assets.rs` includes what it writes.

use std::collections::hash_map::DefaultHasher;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::hash::{Hash as _, Hasher as _};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

const ASSETS: &str = "src/edge/console/assets";
const INDEX: &str = "index.html";
/// The largest file, in bytes: a mistake is noticed here, and not by those who download the program.
const MAX_BYTES: usize = 1 << 20;

/// Writes the files of the console, and the table of them, to a folder `console` below `out`.
pub(crate) fn embed(out: &Path) -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={ASSETS}");
    let folder = out.join("console");
    fs::create_dir_all(&folder)?;
    let mut files = Vec::new();
    collect(Path::new(ASSETS), "", &mut files)?;
    files.sort();
    let version = tag(files
        .iter()
        .map(|(name, bytes)| (name.as_str(), bytes.as_slice())));
    let names: Vec<String> = files.iter().map(|(name, _)| name.clone()).collect();
    let mut table = String::from("&[");
    for (index, (name, bytes)) in files.iter().enumerate() {
        let bytes = match name == INDEX {
            true => with_version(str::from_utf8(bytes)?, &names, &version).into_bytes(),
            false => bytes.clone(),
        };
        if bytes.len() > MAX_BYTES {
            return Err(format!(
                "{ASSETS}/{name} has {} bytes: more than {MAX_BYTES}",
                bytes.len()
            )
            .into());
        }
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        gzip.write_all(&bytes)?;
        fs::write(folder.join(format!("{index}.gz")), gzip.finish()?)?;
        fs::write(folder.join(index.to_string()), &bytes)?;
        let tag = tag([(name.as_str(), bytes.as_slice())]);
        let include = |suffix: &str| {
            format!("include_bytes!(concat!(env!(\"OUT_DIR\"), \"/console/{index}{suffix}\"))")
        };
        let (plain, gzip) = (include(""), include(".gz"));
        write!(
            table,
            "Asset {{ path: {name:?}, etag: \"W/\\\"{tag}\\\"\", plain: {plain}, gzip: {gzip} }},"
        )?;
    }
    table.push(']');
    fs::write(folder.join("assets.rs"), table)?;
    fs::write(folder.join("version"), version)?;
    Ok(())
}

/// Reads the files below a folder. Their names begin with `prefix`.
fn collect(
    folder: &Path,
    prefix: &str,
    files: &mut Vec<(String, Vec<u8>)>,
) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(folder)? {
        let path: PathBuf = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or("the name of a file of the console is not UTF-8")?;
        // Those of editors.
        if name.starts_with('.') {
            continue;
        }
        let name = format!("{prefix}{name}");
        match path.is_dir() {
            true => collect(&path, &format!("{name}/"), files)?,
            false => files.push((name, fs::read(&path)?)),
        }
    }
    Ok(())
}

/// The page with the addresses of its files that change with their content: browsers keep those for ever.
fn with_version(page: &str, names: &[String], version: &str) -> String {
    let names = names.iter().filter(|name| *name != INDEX);
    names.fold(page.to_owned(), |page, name| {
        page.replace(
            &format!("\"/console/{name}\""),
            &format!("\"/console/@{version}/{name}\""),
        )
    })
}

/// Tells contents apart: not a secret, so that it need not be cryptographic.
fn tag<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> String {
    let mut hasher = DefaultHasher::new();
    for file in files {
        file.hash(&mut hasher);
    }
    format!("{:016x}", hasher.finish())
}
