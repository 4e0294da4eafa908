//! Folders that are there but not whole, and processes that die or meet.

use super::*;

#[test]
fn a_folder_that_lacks_something_is_replaced() {
    let setting = Setting::new();
    setting.got(&setting.by_hand());
    fs::write(setting.folder().join("config.json"), "{").unwrap();
    let error = setting.manifest.folder(&setting.path("cache")).unwrap_err().to_string();
    names(&error, &["config.json has 1 bytes, expected 2", "`weft data get tiny`"]);
    let State::Replaced(damage) = setting.got(&setting.by_hand()) else { panic!("not replaced") };
    names(&damage, &["config.json has 1 bytes"]);

    fs::remove_dir_all(setting.folder().join("1_Pooling")).unwrap();
    let State::Replaced(damage) = setting.got(&setting.by_hand()) else { panic!("not replaced") };
    names(&damage, &["1_Pooling/config.json is missing"]);
}

#[test]
fn changed_bytes_are_found_when_asked_for() {
    let setting = Setting::new();
    setting.got(&setting.by_hand());
    fs::write(setting.folder().join("config.json"), "[]").unwrap();
    let quick = setting.manifest.get(&setting.without_client()).unwrap();
    assert_eq!(quick.state, State::AlreadyThere);

    // What cannot be replaced stays.
    let verify = Options { verify: true, ..setting.without_client() };
    setting.manifest.get(&verify).unwrap_err();
    assert_eq!(fs::read(setting.folder().join("config.json")).unwrap(), b"[]");

    let verify = Options { verify: true, ..setting.by_hand() };
    let State::Replaced(damage) = setting.got(&verify) else { panic!("not replaced") };
    names(&damage, &["config.json", &sha256(b"{}"), &sha256(b"[]")]);
}

#[test]
fn what_was_not_in_the_package_is_made_again_without_it() {
    let setting = Setting::new();
    setting.got(&setting.by_hand());
    fs::write(setting.folder().join("README.md"), "an older text").unwrap();
    let State::Replaced(damage) = setting.got(&setting.without_client()) else {
        panic!("not replaced")
    };
    names(&damage, &["README.md has 13 bytes, expected 9"]);
}

#[test]
fn what_a_dead_process_left_is_no_package_and_is_removed() {
    let setting = Setting::new();
    let left = setting.path("cache/.tiny-1.0.partial/new");
    fs::create_dir_all(&left).unwrap();
    fs::write(left.join("config.json"), "{").unwrap();
    setting.manifest.folder(&setting.path("cache")).unwrap_err();
    assert_eq!(setting.got(&setting.by_hand()), State::Got);
}

#[test]
fn of_several_at_once_one_gets_it() {
    let setting = Setting::new();
    let options = setting.by_hand();
    let states = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..4).map(|_| scope.spawn(|| setting.manifest.get(&options).unwrap().state)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    assert_eq!(states.iter().filter(|state| **state == State::Got).count(), 1, "{states:?}");
    setting.assert_complete();
}
