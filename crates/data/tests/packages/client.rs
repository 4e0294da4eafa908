//! Clients that bring a file, that fail, and that are not there.

use super::*;

#[test]
fn without_one_the_message_says_how_to_bring_the_file() {
    let setting = Setting::new();
    let message = setting.error(&setting.without_client());
    names(&message, &["pip is not there", "no-such-program", WHEEL, "tiny==1.0", "PyPI"]);
    names(&message, &["`weft data get tiny --file PATH`"]);
    setting.assert_nothing_is_left();
}

#[cfg(unix)]
mod with_a_script {
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;
    use std::sync::{Mutex, MutexGuard, PoisonError};

    use super::*;

    /// One script at a time: a process that another test starts while a script is still open
    /// for writing would keep it from being run ("text file busy").
    static SCRIPTS: Mutex<()> = Mutex::new(());

    fn alone() -> MutexGuard<'static, ()> {
        SCRIPTS.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A client of these lines of shell. `$dest` is where it should put the wheel, which lies in
    /// the folder `$root`.
    fn script(setting: &Setting, lines: &str) -> Options {
        let path = setting.path("fake pip");
        let root = setting.root.path().display();
        let text = format!(
            "#!/bin/sh\nroot='{root}'\necho \"$@\" > \"$root/arguments\"\n\
             while [ \"$1\" != --dest ]; do shift; done\ndest=$2\n{lines}\n"
        );
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Options { client: Some(path.into()), ..setting.without_client() }
    }

    #[test]
    fn the_client_brings_the_wheel() {
        let _alone = alone();
        let setting = Setting::new();
        let options = script(&setting, "cp \"$root\"/*.whl \"$dest\"");
        assert_eq!(setting.got(&options), State::Got);
        let arguments = fs::read_to_string(setting.path("arguments")).unwrap();
        names(&arguments, &["download --no-deps", "--only-binary :all:", "--dest"]);
        assert!(arguments.ends_with(" tiny==1.0\n"), "{arguments}");
        assert_eq!(setting.got(&setting.without_client()), State::AlreadyThere);
    }

    #[test]
    fn a_client_that_fails_is_quoted() {
        let _alone = alone();
        let setting = Setting::new();
        let lines = "seq 20 | sed 's/^/line /'; echo 'no route' >&2; exit 3";
        let message = setting.error(&script(&setting, lines));
        names(&message, &["fake pip", "exit status: 3", "line 20\nno route", "--file PATH"]);
        assert!(!message.contains("line 9\n"), "only the end is shown: {message}");
        setting.assert_nothing_is_left();

        let message = setting.error(&script(&setting, "echo saved it; touch \"$dest/other.whl\""));
        names(&message, &["brought no", WHEEL, "saved it", "--file PATH"]);
        setting.assert_nothing_is_left();
    }

    #[test]
    fn a_python_without_pip_is_no_client() {
        let _alone = alone();
        let setting = Setting::new();
        let lines = "echo '/usr/bin/python3: No module named pip' >&2; exit 1";
        let message = setting.error(&script(&setting, lines));
        names(&message, &["pip is not there", "(no pip)", "--file PATH"]);
    }

    #[test]
    fn a_wheel_that_was_tampered_with_is_refused() {
        let _alone = alone();
        let setting = Setting::new();
        let lines = format!("cp \"$root\"/*.whl \"$dest\"; echo >> \"$dest/{WHEEL}\"");
        names(&setting.error(&script(&setting, &lines)), &[WHEEL, "expected", "found"]);
        setting.assert_nothing_is_left();
    }

    /// The variable that tells a copy of this test's process which folder to use.
    const ROOT: &str = "WEFT_TEST_KILLED_ROOT";

    #[test]
    fn a_process_that_is_killed_leaves_no_package() {
        let _alone = alone();
        let setting = Setting::new();
        if let Some(root) = std::env::var_os(ROOT) {
            // The copy: its client kills it when half of the wheel is there.
            let client = Some(Path::new(&root).join("fake pip").into_os_string());
            let cache = Path::new(&root).join("cache");
            let options = Options { cache, client, file: None, verify: false };
            _ = setting.manifest.get(&options);
            return;
        }
        script(&setting, "head -c 99 \"$root\"/*.whl > \"$dest\"/half.whl; kill -9 $PPID");
        let name = "client::with_a_script::a_process_that_is_killed_leaves_no_package";
        let copy = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(ROOT, setting.root.path())
            .output()
            .unwrap();
        assert_eq!(copy.status.code(), None, "not killed: {copy:?}");
        assert!(setting.path("cache/.tiny-1.0.partial/download/half.whl").exists());
        setting.manifest.folder(&setting.path("cache")).unwrap_err();
        // The lock died with the process.
        assert_eq!(setting.got(&setting.by_hand()), State::Got);
    }
}
