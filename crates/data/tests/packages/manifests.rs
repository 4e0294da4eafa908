//! What the manifests say, and what none may say.

use weft_data::packages::{self, NAMES};

use super::*;

#[test]
fn every_name_has_a_manifest_without_a_host() {
    for name in NAMES {
        let manifest = packages::manifest(name).unwrap();
        assert_eq!(manifest.name, name);
        let path = format!("{}/../../datasets/{name}.toml", env!("CARGO_MANIFEST_DIR"));
        let toml = fs::read_to_string(path).unwrap();
        assert_eq!(Manifest::parse(&toml).unwrap(), manifest);
        assert!(!toml.contains("://"), "{name}");
    }
    let folders: BTreeSet<_> =
        NAMES.map(|name| packages::manifest(name).unwrap().folder_name()).into();
    assert_eq!(folders.len(), NAMES.len());
    names(&packages::manifest("mini").unwrap_err().to_string(), &["\"mini\"", "minilm"]);
}

#[test]
fn names_that_could_lead_elsewhere_are_refused() {
    let toml = manifest_toml(b"wheel");
    Manifest::parse(&toml).unwrap();
    let sha256 = sha256(b"wheel");
    let convert = |from: &str| {
        format!(
            "{toml}[convert]\nhow = \"dinov2-from-onnx\"\nfrom = \"{from}\"\n\
             file = \"model.safetensors\"\nbytes = 1\nsha256 = \"{sha256}\"\n"
        )
    };
    Manifest::parse(&convert("config.json")).unwrap();
    for (toml, part) in [
        (toml.replace("file = \"config.json\"", "file = \"../x\""), "\"../x\""),
        (toml.replace("file = \"config.json\"", "file = \"/x\""), "\"/x\""),
        (toml.replace("file = \"config.json\"", "file = 'a\\x'"), "within a folder"),
        (toml.replace("file = \"config.json\"", "file = \"\""), "within a folder"),
        (toml.replace("file = \"config.json\"", "file = \"README.md\""), "twice"),
        (toml.replace("package = \"tiny\"", "package = \"-r\""), "source.package"),
        (toml.replace("version = \"1.0\"", "version = \"1/0\""), "source.version"),
        (toml.replace("name = \"tiny\"", "name = \"\""), "name is"),
        (toml.replace(&sha256, &sha256[1..]), "64 hexadecimal digits"),
        (toml.replace(&sha256, &sha256.to_uppercase()), "64 hexadecimal digits"),
        (toml.replace("licence", "license"), "license"),
        (convert("gone.onnx"), "gone.onnx"),
    ] {
        names(&Manifest::parse(&toml).unwrap_err().to_string(), &[part]);
    }
}
