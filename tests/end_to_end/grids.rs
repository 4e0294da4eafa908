//! Grids among other processes, and among runs that are not theirs.

mod common;

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};

use common::{TINY, fail, succeed, train, weft};

/// A grid of one tiny run, in a file in `folder`; `more` goes before its variant.
fn grid(folder: &Path, more: &str) -> PathBuf {
    let keys: Vec<String> = TINY.iter().map(|key| format!("'{key}'")).collect();
    let text = format!(
        "name = 'tiny'\nrecipe = 'quick'\nset = [{}, 'eval.test=false', 'train.steps=3']\nseeds = [0]\n\
         evaluate = ['retrieval']\nmetrics = ['retrieval/test_concepts/i2t_r10']\n{more}\
         [[variants]]\nname = 'plain'\nset = []\n",
        keys.join(", ")
    );
    let file = folder.join("tiny.toml");
    fs::write(&file, text).unwrap();
    file
}

fn ablate(mut program: Command, grid: &Path, out: &Path) -> Command {
    program.arg(grid).arg("--out").arg(out);
    program
}

/// A run that was interrupted is not brought to its end, which may take hours, only to be refused.
#[test]
fn a_run_of_other_settings_is_refused_before_it_is_trained() {
    let folder = tempfile::tempdir().unwrap();
    let start = "[start]\nrecipe = 'quick'\nset = ['train.steps=5']\n";
    let (file, out) = (grid(folder.path(), start), folder.path().join("grid"));
    let run = out.join("start/seed-1000");
    succeed(train(&run, 1, &["seed=1000"]));
    let summary = run.join("summary.json");
    fs::remove_file(&summary).unwrap();
    let error = fail(ablate(weft(&["ablate"]), &file, &out));
    assert!(error.contains("start/seed-1000") && error.contains("other settings"), "{error}");
    assert!(error.contains("train.steps is 1, expected 5"), "{error}");
    assert!(!summary.exists(), "it was trained to its end");
}

/// The file that a process holds which trains the run in `folder`, held.
fn held(folder: &Path) -> File {
    fs::create_dir_all(folder).unwrap();
    let lock = File::create(folder.join(".lock")).unwrap();
    lock.lock().unwrap();
    lock
}

/// Starts `command`, and comes back once it waits for another process.
fn waiting(mut command: Command) -> (Child, BufReader<ChildStderr>) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut before = String::new();
    while !before.contains("waiting for another process") {
        assert!(said.read_line(&mut before).unwrap() > 0, "it did not wait:\n{before}");
    }
    assert!(before.contains("plain/seed-0"), "it does not say for what: {before}");
    (child, said)
}

/// What a command says from then on, which must succeed: on standard output, and on standard error.
fn end((mut child, mut said): (Child, BufReader<ChildStderr>)) -> (String, String) {
    let (mut table, mut error) = (String::new(), String::new());
    said.read_to_string(&mut error).unwrap();
    child.stdout.take().unwrap().read_to_string(&mut table).unwrap();
    assert!(child.wait().unwrap().success(), "{error}");
    (table, error)
}

#[test]
fn a_run_that_another_process_trains_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let (file, out) = (grid(folder.path(), ""), folder.path().join("grid"));
    let run = out.join("plain/seed-0");
    let again = || ablate(weft(&["ablate"]), &file, &out);
    // One that has only begun, and leaves nothing, is trained then.
    let lock = held(&run);
    let waiting_one = waiting(again());
    drop(lock);
    let (table, _) = end(waiting_one);
    assert!(table.contains("| plain |"), "{table}");

    // One that is finished by then is not trained again.
    let (summary, aside) = (run.join("summary.json"), folder.path().join("summary.json"));
    let trained = fs::read(&summary).unwrap();
    fs::rename(&summary, &aside).unwrap();
    let lock = held(&run);
    let waiting_one = waiting(again());
    fs::rename(&aside, &summary).unwrap();
    drop(lock);
    let (same, said) = end(waiting_one);
    assert!(table.ends_with(&same), "{same}");
    assert_eq!(fs::read(&summary).unwrap(), trained, "{said}");
}

/// What a grid still has to start is the program that it began with, even if there is another one by then.
#[cfg(target_os = "linux")]
#[test]
fn a_program_that_is_built_anew_ends_what_it_began() {
    let folder = tempfile::tempdir().unwrap();
    let (file, out) = (grid(folder.path(), ""), folder.path().join("grid"));
    // Beside the program, where a link to it can be.
    let programs = Path::new(env!("CARGO_TARGET_TMPDIR"));
    fs::create_dir_all(programs).unwrap();
    let programs = tempfile::tempdir_in(programs).unwrap();
    let program = programs.path().join("weft");
    fs::hard_link(env!("CARGO_BIN_EXE_weft"), &program).unwrap();
    let mut command = Command::new(&program);
    command.arg("ablate");
    let lock = held(&out.join("plain/seed-0"));
    let waiting_one = waiting(ablate(command, &file, &out));
    fs::write(programs.path().join("new"), "another program").unwrap();
    fs::rename(programs.path().join("new"), &program).unwrap();
    drop(lock);
    let (table, _) = end(waiting_one);
    assert!(table.contains("| plain |"), "{table}");
}
