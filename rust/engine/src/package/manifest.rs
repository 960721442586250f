//! Reads a manifest by itself, without the files next to it, so that the JVM can fetch a package file by file.
//!
//! The JVM reads `model.toml` from its place, asks [`list`] which files belong to it, and fetches them. A bare program
//! (`net.pt`) has no `model.toml`: [`wrap`] makes one from the description next to it (`net.toml`, with the same grammar; entries
//! that follow from the program itself may be omitted).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Serialize;

use super::Descriptor;
use super::parsed::{self, Parsed};
use crate::EngineError;

/// The files that a manifest lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Listing {
    pub name: String,
    /// SHA-256 of `model.toml`.
    pub hash: String,
    /// Every file of the package except `model.toml`.
    pub files: Vec<PackageFile>,
}

/// A file of a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct PackageFile {
    pub name: String,
    /// In hexadecimal, small letters.
    pub sha256: String,
    /// Whether it is a program, possibly large; otherwise labels, a tokenizer and the like.
    pub program: bool,
}

/// The manifest of a bare program, or the files that are needed to make it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Wrapped {
    /// None while hashes are missing.
    pub manifest: Option<String>,
    /// Files whose hashes are missing.
    pub needs: Vec<String>,
}

/// The package's name, its hash and every file that belongs to it except `model.toml`.
///
/// # Errors
/// A manifest that does not parse or contradicts itself. `place` is its name in messages.
pub fn list(place: &str, manifest: &str) -> Result<Listing, EngineError> {
    let Parsed { hash, descriptor } = parsed::read(place, manifest)?;
    let file = |name: &String, sha256: &String, program| PackageFile { name: name.clone(), sha256: sha256.to_lowercase(), program };
    let small = descriptor.files.iter().map(|(name, sha256)| file(name, sha256, false));
    let programs = descriptor.variants.iter().map(|v| file(&v.file, &v.sha256, true));
    let heads = descriptor.variants.iter().filter_map(|v| v.head.as_ref()).map(|head| file(&head.file, &head.sha256, true));
    Ok(Listing { hash, files: small.chain(programs).chain(heads).collect(), name: descriptor.name.clone() })
}

/// The manifest of a bare TorchScript file, or the files that it needs while `hashes` (file name to SHA-256) is incomplete.
/// `description` may omit `format`, `name` (the file's), `license`, `[[variant]]`, `[files]`.
///
/// # Errors
/// A description that does not parse, or that describes another file.
pub fn wrap(place: &str, description: &str, program: &str, hashes: &BTreeMap<String, String>) -> Result<Wrapped, EngineError> {
    let table: toml::Table = toml::from_str(description).map_err(|error| EngineError::model(place, error.to_string()))?;
    let composed = compose(&table, description, program, hashes);
    let descriptor: Descriptor = toml::from_str(&composed).map_err(|error| EngineError::model(place, format!("model.toml: {error}")))?;
    if descriptor.variants.iter().any(|variant| variant.file != program) {
        return Err(EngineError::model(place, format!("[[variant]] names another file than {program}, the program beside it")));
    }
    let mut needed = BTreeSet::new();
    if !table.contains_key("variant") {
        needed.insert(program);
    }
    if !table.contains_key("files") {
        needed.extend(descriptor.outputs.iter().filter_map(|output| output.labels.as_deref()));
        needed.extend(descriptor.inputs.iter().filter_map(|input| input.text.as_ref()).map(|text| text.tokenizer.as_str()));
    }
    let needs: Vec<String> = needed.into_iter().filter(|name| !hashes.contains_key(*name)).map(str::to_owned).collect();
    Ok(Wrapped { manifest: needs.is_empty().then_some(composed), needs })
}

/// The description with the omitted entries: plain keys before it, tables after it.
fn compose(table: &toml::Table, description: &str, program: &str, hashes: &BTreeMap<String, String>) -> String {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let stem = Path::new(program).file_stem().map_or(program.into(), |stem| stem.to_string_lossy());
    let keys = [("format", "1".to_owned()), ("name", quoted(&stem)), ("license", quoted("NOASSERTION"))];
    let mut text: String =
        keys.iter().filter(|(key, _)| !table.contains_key(*key)).map(|(key, value)| format!("{key} = {value}\n")).collect();
    text.push_str(description);
    if !table.contains_key("variant") {
        let sha256 = hashes.get(program).map_or("", String::as_str);
        text.push_str(&format!(
            "\n[[variant]]\nfile = {}\nengine = \"torchscript\"\nprecision = \"f32\"\nsha256 = {}\n",
            quoted(program),
            quoted(sha256)
        ));
    }
    let others: Vec<_> = hashes.iter().filter(|(name, _)| *name != program).collect();
    if !table.contains_key("files") && !others.is_empty() {
        text.push_str("\n[files]\n");
        text.extend(others.iter().map(|(name, sha256)| format!("{} = {}\n", quoted(name), quoted(sha256))));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const NET: &str = "[[input]]\nname = \"x\"\nkind = \"tensor\"\nshape = [4]\n[[output]]\nname = \"y\"\nrole = \"scores\"\nshape = [3]\n";

    fn hashes(names: &[&str]) -> BTreeMap<String, String> {
        names.iter().map(|name| ((*name).to_owned(), "ab".repeat(32))).collect()
    }

    #[test]
    fn a_bare_program_needs_its_hash_and_its_labels() {
        let with_labels = format!("{NET}labels = \"names.txt\"\n");
        assert_eq!(wrap("net", &with_labels, "net.pt", &hashes(&[])).unwrap().needs, ["names.txt", "net.pt"]);
        let wrapped = wrap("net", &with_labels, "net.pt", &hashes(&["names.txt", "net.pt"])).unwrap();
        let listed = list("net", wrapped.manifest.as_deref().unwrap()).unwrap();
        assert_eq!(listed.name, "net");
        let file = |name: &str, program| PackageFile { name: name.into(), sha256: "ab".repeat(32), program };
        assert_eq!(listed.files, [file("names.txt", false), file("net.pt", true)]);
    }

    #[test]
    fn what_a_description_says_stays() {
        let full = format!(
            "license = \"MIT\"\nname = \"other\"\n{NET}[[variant]]\nfile = \"net.pt\"\nengine = \"torchscript\"\nprecision = \"f32\"\nsha256 = \"cd\"\n"
        );
        let wrapped = wrap("net", &full, "net.pt", &hashes(&[])).unwrap();
        assert_eq!(wrapped.manifest.unwrap(), format!("format = 1\n{full}"));
        let error = wrap("net", &full, "else.pt", &hashes(&[])).unwrap_err().to_string();
        assert!(error.contains("another file than else.pt"), "{error}");
    }

    #[test]
    fn limits_are_for_whole_numbers_and_in_order() {
        for (limits, cause) in [
            ("dtype = \"i64\"\nmin = 0\nmax = 9", None),
            ("min = 0", Some("are for tensors of whole numbers")),
            ("dtype = \"i64\"\nmin = 3\nmax = 2", Some("min is 3, which is above max, 2")),
        ] {
            let net = NET.replace("shape = [4]", &format!("shape = [4]\n{limits}"));
            let wrapped = wrap("net", &net, "net.pt", &hashes(&["net.pt"])).unwrap();
            let listed = list("net", wrapped.manifest.as_deref().unwrap());
            assert_eq!(
                listed.as_ref().err().map(|error| error.to_string().contains(cause.unwrap_or("?"))),
                cause.map(|_| true),
                "{limits}"
            );
        }
    }

    #[test]
    fn a_file_outside_of_the_package_is_refused() {
        let outside = format!("{NET}labels = \"../names.txt\"\n");
        let wrapped = wrap("net", &outside, "net.pt", &hashes(&["../names.txt", "net.pt"])).unwrap();
        let error = list("net", wrapped.manifest.as_deref().unwrap()).unwrap_err().to_string();
        assert!(error.contains("is not the name of a file in the package's folder"), "{error}");
    }

    #[test]
    fn a_manifest_that_nests_is_an_error_not_an_overflow() {
        for open in ["x = [", "x = {a = ", "[a.b]\nx = [{y = "] {
            let deep = format!("{open}{}", open[open.find('=').unwrap() + 2..].repeat(200_000));
            assert!(list("net", &deep).is_err());
        }
    }
}
