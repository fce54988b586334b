//! The scripts, run by the shells of this machine.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command as Process, Stdio};
use std::time::{Duration, Instant};

use super::super::job::Launch;
use super::super::program::{self, Program};
use super::*;
use crate::sandbox::{Command, Exec, Language, SandboxError};

/// Both are `sh` somewhere.
const SHELLS: [&str; 2] = ["sh", "bash"];

/// A machine made of a directory.
struct Machine {
    shell: &'static str,
    directory: tempfile::TempDir,
}

impl Machine {
    fn new(shell: &'static str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("w")).unwrap();
        Self { shell, directory }
    }

    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).to_str().unwrap().to_owned()
    }

    /// As the toolbox does it: a line on the standard input of a shell.
    fn execute(&self, text: &str, arguments: &[&str], variables: &[(&str, &str)]) -> String {
        let mut process = Process::new(self.shell);
        process.env("TB", text).envs(variables.iter().copied()).current_dir("/");
        let mut child = process.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), line(arguments).as_bytes()).unwrap();
        String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
    }

    /// Waits for its end.
    fn launch(&self, job: &str, exec: &Exec) -> Report {
        self.launch_named(job, exec, None, 30_000)
    }

    /// Waits until it printed something.
    fn begin(&self, job: &str, exec: &Exec) {
        self.launch_named(job, exec, None, 0);
        let arguments = ["tick", &self.path(job), "0", "0", "30000", "news", "0", "-"];
        let report = Report::parse(&self.execute(JOB, &arguments, &[])).unwrap();
        assert!(report.state == JobState::Running && report.out.size > 0, "{report:?}");
    }

    fn launch_named(&self, job: &str, exec: &Exec, named: Option<(&str, &str)>, wait: u64) -> Report {
        let job = self.path(job);
        let program = program::program(exec, None, &BTreeMap::new(), &self.path("w"), &job).unwrap();
        self.launch_program(&job, &program, exec.timeout, named, wait)
    }

    fn launch_program(&self, job: &str, program: &Program, timeout: Duration, named: Option<(&str, &str)>, wait: u64) -> Report {
        let stage = format!("{}/stage/1", self.path("base"));
        let launch = Launch { job, stage: &stage, program, timeout, kept: (1 << 16, 1 << 16), neighbours: 3, wait, named };
        let (arguments, variables, files) = launch.parts();
        for (path, content) in files {
            std::fs::create_dir_all(Path::new(&path).parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        Report::parse(&self.execute(JOB, &arguments, &variables)).unwrap()
    }

    fn look(&self, job: &str) -> Report {
        let arguments = ["tick", &self.path(job), "0", "0", "0", "-", "1000000", "-"];
        Report::parse(&self.execute(JOB, &arguments, &[])).unwrap()
    }

    fn wait(&self, job: &str) -> Report {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let arguments = ["tick", &self.path(job), "0", "0", "5000", "-", "1000000", "-"];
            let report = Report::parse(&self.execute(JOB, &arguments, &[])).unwrap();
            if matches!(report.state, JobState::Ended { .. }) {
                return report;
            }
            assert!(Instant::now() < deadline, "{report:?}");
        }
    }

    fn kill(&self, job: &str, why: &str, tenths: &str) -> Report {
        let arguments = ["kill", &self.path(job), why, tenths, "0", "0", "1000000", "any"];
        Report::parse(&self.execute(JOB, &arguments, &[])).unwrap()
    }

    fn files(&self, arguments: &[&str], variables: &[(&str, &str)]) -> FilesAnswer {
        FilesAnswer::parse(&self.execute(FILES, arguments, variables)).unwrap()
    }
}

fn shell(line: &str) -> Exec {
    Exec::shell(line, Duration::from_secs(20), 1 << 16)
}

fn code(language: Language, code: &str, argv: &[&str]) -> Exec {
    let argv = argv.iter().map(|&word| word.to_owned()).collect();
    Exec::new(Command::Code { language, code: code.to_owned(), argv }, Duration::from_secs(20), 1 << 16)
}

fn ended(code: i32) -> JobState {
    JobState::Ended { code, why: Why::Itself }
}

fn out(report: &Report) -> &str {
    std::str::from_utf8(&report.out.bytes).unwrap()
}

/// True while a process lives that is not a zombie.
fn lives(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

#[test]
fn a_command_runs_once_however_often_it_is_launched() {
    for shell_name in SHELLS {
        let machine = Machine::new(shell_name);
        let exec = shell("echo ran >> count; echo out; echo err >&2; cat; exit 3");
        let first = machine.launch("base/jobs/1", &exec);
        assert_eq!((first.lock, &first.state), (Some(Lock::Begun), &ended(3)));
        assert_eq!((first.out.bytes.as_slice(), first.err.bytes.as_slice()), (b"out\n".as_slice(), b"err\n".as_slice()));
        let second = machine.launch("base/jobs/1", &exec);
        assert_eq!(second, Report { lock: Some(Lock::Joined), ..first });
        assert_eq!(std::fs::read_to_string(machine.path("w/count")).unwrap(), "ran\n");
    }
}

#[test]
fn many_launches_at_once_run_it_once() {
    let machine = Machine::new("sh");
    let exec = shell("echo ran >> count; echo done");
    let reports: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| machine.launch("base/jobs/1", &exec))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(reports.iter().filter(|report| report.lock == Some(Lock::Begun)).count(), 1);
    assert!(reports.iter().all(|report| report.state == ended(0) && out(report) == "done\n"), "{reports:?}");
    assert_eq!(std::fs::read_to_string(machine.path("w/count")).unwrap(), "ran\n");
}

#[test]
fn environment_arguments_and_exits_arrive_as_they_are() {
    for shell_name in SHELLS {
        let machine = Machine::new(shell_name);
        let mut exec = shell("set -e; printf '%s|' \"$A\" \"$PATH_LIKE\" \"$UID_\"; false; echo not reached");
        exec.env.insert("A".to_owned(), "it's \"$(id)\" `x` \\ \n end ".to_owned());
        exec.env.insert("PATH_LIKE".to_owned(), String::new());
        exec.env.insert("UID_".to_owned(), "ä€😀".to_owned());
        let report = machine.launch("base/jobs/1", &exec);
        assert_eq!((&report.state, out(&report)), (&ended(1), "it's \"$(id)\" `x` \\ \n end ||ä€😀|"));

        let exec =
            code(Language::Shell, "printf '<%s>' \"$@\"; printf '%s' \"$TB$TB_CODE\"", &["$(id)", "a  b", "it's", "", "*"]);
        let report = machine.launch("base/jobs/2", &exec);
        assert_eq!((&report.state, out(&report)), (&ended(0), "<$(id)><a  b><it's><><*>"));

        let mut exec = shell("echo $PATH");
        exec.env.insert("PATH".to_owned(), "/nowhere".to_owned());
        assert_eq!(out(&machine.launch("base/jobs/3", &exec)), "/nowhere\n");
        assert_eq!(machine.launch("base/jobs/4", &shell("kill -9 $$")).state, ended(137));
        assert_eq!(machine.launch("base/jobs/5", &shell("exit 255")).state, ended(255));
        let exec = Exec { working_directory: Some("/".to_owned()), ..shell("pwd") };
        assert_eq!(out(&machine.launch("base/jobs/6", &exec)), "/\n");
    }
}

#[test]
fn texts_of_any_length_and_with_any_character_are_run() {
    let machine = Machine::new("sh");
    let long = format!("# {}\necho long", "x".repeat(200 << 10));
    let report = machine.launch("base/jobs/1", &shell(&long));
    assert_eq!((&report.state, out(&report)), (&ended(0), "long\n"));
    let report = machine.launch("base/jobs/2", &code(Language::Shell, &long, &["a"]));
    assert_eq!((&report.state, out(&report)), (&ended(0), "long\n"));
    let report =
        machine.launch("base/jobs/3", &code(Language::Python, "import sys\nprint(repr('\0'), sys.argv[1:], end='')", &["é"]));
    assert!(report.state != ended(0) || out(&report).ends_with("['é']"), "{report:?}");
    assert!(!Path::new(&machine.path("base/stage/1")).join("run").exists());
}

#[test]
fn what_cannot_begin_says_why() {
    let machine = Machine::new("sh");
    let nowhere = Exec { working_directory: Some("missing".to_owned()), ..shell("echo x") };
    assert_eq!(machine.launch("base/jobs/1", &nowhere).state, JobState::Ended { code: 126, why: Why::NoDirectory });
    let mut python = code(Language::Python, "print(1)", &[]);
    python.env.insert("PATH".to_owned(), "/nowhere".to_owned());
    assert_eq!(machine.launch("base/jobs/2", &python).state, JobState::Ended { code: 127, why: Why::NoInterpreter(0) });
    let file = machine.path("file");
    std::fs::write(&file, "").unwrap();
    let failed =
        machine.execute(JOB, &["launch", &format!("{file}/jobs/1"), "1", "1", "1", "1", "1", "1"], &[("TB_RUN", "true")]);
    assert!(Report::parse(&failed).unwrap_err().contains("Not a directory"), "{failed}");
}

#[test]
fn at_its_time_a_command_is_ended_with_all_it_started_and_what_it_printed_is_kept() {
    for shell_name in SHELLS {
        let machine = Machine::new(shell_name);
        let line =
            "trap '' TERM; sleep 100 & echo $! > child; setsid sleep 100 & echo $! > escaped; printf begin; sleep 100; sleep 100";
        let exec = Exec { timeout: Duration::from_secs(2), ..shell(line) };
        let began = Instant::now();
        machine.launch("base/jobs/1", &exec);
        let report = machine.wait("base/jobs/1");
        assert_eq!((&report.state, out(&report)), (&JobState::Ended { code: 137, why: Why::Timeout }, "begin"));
        assert!(began.elapsed() < Duration::from_secs(25));
        for file in ["w/child", "w/escaped"] {
            let pid = std::fs::read_to_string(machine.path(file)).unwrap();
            assert!(!lives(&pid), "{file}");
        }
    }
}

#[test]
fn nothing_survives_the_end_of_its_command() {
    let machine = Machine::new("sh");
    let report = machine.launch(
        "base/jobs/1",
        &shell("sleep 100 & echo $!; (setsid sh -c 'echo $$ > x; exec sleep 100' &); until [ -s x ]; do sleep 0.02; done; cat x"),
    );
    assert_eq!(report.state, ended(0));
    let pids: Vec<_> = out(&report).lines().collect();
    assert_eq!(pids.len(), 2);
    assert!(pids.iter().all(|pid| !lives(pid)), "{pids:?}");
}

#[test]
fn a_cancelled_command_ends_and_one_that_was_not_begun_never_begins() {
    let machine = Machine::new("sh");
    machine.begin("base/jobs/1", &shell("echo $$ > pid; echo begun; sleep 100"));
    let report = machine.kill("base/jobs/1", "cancelled", "10");
    assert_eq!((&report.state, out(&report)), (&JobState::Ended { code: 143, why: Why::Cancelled }, "begun\n"));
    assert!(!lives(&std::fs::read_to_string(machine.path("w/pid")).unwrap()));

    assert_eq!(machine.kill("base/jobs/2", "cancelled", "10").state, JobState::Ended { code: 137, why: Why::Cancelled });
    let late = machine.launch("base/jobs/2", &shell("touch late"));
    assert_eq!((late.lock, late.state), (Some(Lock::Joined), JobState::Ended { code: 137, why: Why::Cancelled }));
    assert!(!Path::new(&machine.path("w/late")).exists());

    let known = ["kill", &machine.path("base/jobs/3"), "cancelled", "0", "0", "0", "0", "known"];
    assert_eq!(Report::parse(&machine.execute(JOB, &known, &[])).unwrap().state, JobState::Absent);
    std::fs::create_dir(machine.path("base/jobs/never")).unwrap();
    assert_eq!(machine.kill("base/jobs/never", "lost", "0").state, JobState::Ended { code: 137, why: Why::Lost });
    // Ending what has ended changes nothing.
    assert_eq!(machine.kill("base/jobs/1", "timeout", "10").state, JobState::Ended { code: 143, why: Why::Cancelled });
}

#[test]
fn a_job_whose_supervisor_is_gone_is_lost_and_its_program_ended() {
    let machine = Machine::new("sh");
    machine.begin("base/jobs/1abc", &shell("echo $$ > pid; echo before; exec sleep 100"));
    let supervisor = std::fs::read_to_string(machine.path("base/jobs/1abc/pid")).unwrap();
    let pid = supervisor.split_whitespace().next().unwrap().parse().unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), rustix::process::Signal::KILL).unwrap();
    let report = machine.wait("base/jobs/1abc");
    assert_eq!((&report.state, out(&report)), (&JobState::Ended { code: 137, why: Why::Lost }, "before\n"));
    let deadline = Instant::now() + Duration::from_secs(10);
    while lives(&std::fs::read_to_string(machine.path("w/pid")).unwrap()) {
        assert!(Instant::now() < deadline);
        std::thread::yield_now();
    }
}

#[test]
fn a_process_number_that_was_given_to_another_is_not_the_supervisor() {
    let machine = Machine::new("sh");
    let job = PathBuf::from(machine.path("base/jobs/1"));
    std::fs::create_dir_all(&job).unwrap();
    std::fs::write(job.join("pid"), format!("{} 1\n", std::process::id())).unwrap();
    assert_eq!(machine.look("base/jobs/1").state, JobState::Ended { code: 137, why: Why::Lost });
}

#[test]
fn the_middle_of_a_long_output_costs_no_disk() {
    let machine = Machine::new("sh");
    let report = machine.launch("base/jobs/1", &shell("printf begin; head -c 40000000 /dev/zero | tr '\\0' x; printf end"));
    assert_ne!(report.state, JobState::Absent);
    let report = machine.wait("base/jobs/1");
    assert_eq!((&report.state, report.out.size, report.out.bytes.len()), (&ended(0), 40_000_008, 0));
    let path = machine.path("base/jobs/1/out");
    let content = std::fs::read(&path).unwrap();
    assert!(content.starts_with(b"beginx") && content.ends_with(b"xend"));
    assert!(content[content.len() - (1 << 16)..].iter().all(|byte| *byte != 0));
    // Where the file system can make holes.
    if report.out.cut > 0 {
        let blocks = std::os::unix::fs::MetadataExt::blocks(&std::fs::metadata(&path).unwrap());
        assert!(blocks * 512 < 1 << 20, "{blocks}");
    }
}

#[test]
fn old_jobs_are_removed_and_running_ones_are_not() {
    let machine = Machine::new("sh");
    machine.begin("base/jobs/running", &Exec { timeout: Duration::from_secs(90), ..shell("echo on; sleep 80") });
    for number in 0..8 {
        machine.launch(&format!("base/jobs/{number}"), &shell("true"));
    }
    let deadline = Instant::now() + Duration::from_secs(20);
    let count = || std::fs::read_dir(machine.path("base/jobs")).unwrap().count();
    while count() > 5 {
        assert!(Instant::now() < deadline, "{}", count());
        std::thread::yield_now();
    }
    assert_eq!(machine.look("base/jobs/running").state, JobState::Running);
    assert_eq!(machine.look("base/jobs/7").state, ended(0));
    machine.kill("base/jobs/running", "cancelled", "0");
}

#[test]
fn a_name_belongs_to_one_living_program() {
    let machine = Machine::new("sh");
    let job = "base/processes/1";
    let server = shell("echo one; sleep 50");
    assert_eq!(machine.launch_named(job, &server, Some(("my server", "key1")), 0).lock, Some(Lock::Begun));
    // The same start again, after a lost answer.
    assert_eq!(machine.launch_named(job, &server, Some(("my server", "key1")), 0).lock, Some(Lock::Joined));
    assert_eq!(machine.launch_named(job, &server, Some(("my server", "key2")), 0).lock, Some(Lock::Busy));
    let listed = machine.execute(JOB, &["list", &machine.path("base/processes")], &[]);
    assert_eq!(answer(&listed).collect::<Vec<_>>(), ["name my server", "end"]);
    machine.kill(job, "cancelled", "10");
    let replaced = machine.launch_named(job, &shell("echo two"), Some(("my server", "key3")), 30_000);
    assert_eq!((replaced.lock, &replaced.state, out(&replaced)), (Some(Lock::Begun), &ended(0), "two\n"));
    assert_eq!(machine.launch_named(job, &shell("echo two"), Some(("my server", "key3")), 30_000).lock, Some(Lock::Joined));
}

#[test]
fn looking_on_brings_what_is_new() {
    let machine = Machine::new("sh");
    machine.begin("base/jobs/1", &shell("printf 0123456789; sleep 50"));
    let job = machine.path("base/jobs/1");
    let tick = |from, inline, some| {
        Report::parse(&machine.execute(JOB, &["tick", &job, from, "0", "2000", "news", inline, some], &[])).unwrap()
    };
    assert_eq!(out(&tick("0", "100", "-")), "0123456789");
    assert_eq!(out(&tick("7", "100", "-")), "789");
    assert_eq!(out(&tick("0", "4", "some")), "0123");
    assert_eq!(out(&tick("0", "4", "-")), "");
    machine.kill("base/jobs/1", "cancelled", "0");
}

#[test]
fn files_are_moved_into_place_whole() {
    for shell_name in SHELLS {
        let machine = Machine::new(shell_name);
        let stage = machine.path("base/stage/a1");
        let targets = ["w/a b/ü'$(x)\n.txt", "w/old", "w/link", "w/dirlink"].map(|name| machine.path(name));
        std::fs::create_dir_all(&stage).unwrap();
        for number in 0..4 {
            std::fs::write(format!("{stage}/{number}"), [number, 0, 255]).unwrap();
        }
        std::fs::write(&targets[1], "old").unwrap();
        std::fs::set_permissions(&targets[1], PermissionsExt::from_mode(0o750)).unwrap();
        std::os::unix::fs::symlink(machine.path("w/elsewhere"), &targets[2]).unwrap();
        std::os::unix::fs::symlink(machine.path("w"), &targets[3]).unwrap();
        let arguments = [vec!["place", &stage], targets.iter().map(String::as_str).collect()].concat();
        assert_eq!(machine.files(&arguments, &[]), FilesAnswer::Done);
        // Asked again after a lost answer.
        assert_eq!(machine.files(&arguments, &[]), FilesAnswer::Done);
        for (number, target) in (0u8..).zip(&targets) {
            assert_eq!(std::fs::read(target).unwrap(), [number, 0, 255], "{target}");
            assert!(!std::fs::symlink_metadata(target).unwrap().is_symlink());
        }
        assert_eq!(std::fs::metadata(&targets[1]).unwrap().permissions().mode() & 0o777, 0o750);
        assert!(!Path::new(&machine.path("w/elsewhere")).exists());
        assert_eq!(std::fs::read_dir(&stage).unwrap().count(), 1);
        assert!(
            std::fs::read_dir(machine.path("w"))
                .unwrap()
                .all(|entry| { !entry.unwrap().file_name().to_string_lossy().starts_with(".threadbox") })
        );
    }
}

#[test]
fn files_that_cannot_be_placed_say_which_and_why() {
    let machine = Machine::new("sh");
    std::fs::create_dir(machine.path("w/dir")).unwrap();
    std::fs::write(machine.path("w/file"), "").unwrap();
    let place = |targets: &[String]| {
        let stage = machine.path(&format!("base/stage/{}", uuid::Uuid::now_v7().simple()));
        std::fs::create_dir_all(&stage).unwrap();
        (0..targets.len()).for_each(|number| std::fs::write(format!("{stage}/{number}"), "x").unwrap());
        machine.files(&[vec!["place", &stage], targets.iter().map(String::as_str).collect()].concat(), &[])
    };
    let failed = place(&[machine.path("w/new"), machine.path("w/dir"), machine.path("w/never")]);
    assert_eq!(failed, FilesAnswer::Failed { number: 1, reason: "Is a directory".to_owned() });
    assert!(Path::new(&machine.path("w/new")).exists() && !Path::new(&machine.path("w/never")).exists());
    let failed = place(&[machine.path("w/file/x/y")]);
    assert!(matches!(&failed, FilesAnswer::Failed { number: 0, reason } if reason.contains("Not a directory")), "{failed:?}");
}

#[test]
fn small_content_travels_with_the_script() {
    let machine = Machine::new("sh");
    for (number, content) in [b"".as_slice(), b"\0\xff\n", &[7; 70_000]].into_iter().enumerate() {
        let (stage, target) = (machine.path(&format!("base/stage/{number}")), machine.path(&format!("w/{number}")));
        let data = BASE64_STANDARD.encode(content);
        let answer = machine.files(&["place", &stage, &target], &[("TB_INLINE", "yes"), ("TB_DATA", &data)]);
        assert_eq!((answer, std::fs::read(&target).unwrap()), (FilesAnswer::Done, content.to_vec()));
    }
}

#[test]
fn deleting_twice_after_a_lost_answer_is_no_error_and_deleting_nothing_is() {
    let machine = Machine::new("sh");
    let (tree, dangling) = (machine.path("w/-rf tree"), machine.path("w/dangling"));
    std::fs::create_dir_all(format!("{tree}/a/b")).unwrap();
    std::os::unix::fs::symlink("/nowhere", &dangling).unwrap();
    for path in [&tree, &dangling] {
        let stage = machine.path(&format!("base/stage/{}", uuid::Uuid::now_v7().simple()));
        assert_eq!(machine.files(&["delete", path, &stage], &[]), FilesAnswer::Done);
        assert_eq!(machine.files(&["delete", path, &stage], &[]), FilesAnswer::Done);
        let missing = machine.files(&["delete", path, &machine.path("base/stage/other")], &[]);
        assert_eq!(missing, FilesAnswer::Failed { number: 0, reason: "No such file".to_owned() });
    }
    assert_eq!(machine.files(&["directory", &machine.path("w/x/y")], &[]), FilesAnswer::Done);
    assert_eq!(machine.files(&["directory", &machine.path("w/x/y")], &[]), FilesAnswer::Done);
}

#[test]
fn wrong_names_and_nul_characters_are_refused() {
    let refused = |exec: &Exec| {
        program::program(exec, None, &BTreeMap::new(), "/w", "/j").is_err_and(|error| matches!(error, SandboxError::Invalid(_)))
    };
    for name in ["A=B", "", "1A", "A B", "A-B", "A\0"] {
        let mut exec = shell("true");
        exec.env.insert(name.to_owned(), "x".to_owned());
        assert!(refused(&exec), "{name:?}");
    }
    assert!(refused(&shell("echo a\0b")));
    assert!(refused(&code(Language::Python, "1", &["a\0b"])));
    assert!(!refused(&code(Language::Python, "'\0'", &[])));
}

#[test]
fn an_answer_is_found_among_noise() {
    let text = "welcome to zsh\nno newline at the end\n@tb begun\n\n@tb state ended 3 -\n\n@tb out 6 0 aGVsbG8K\nlocale: warning\n@tb err 9 4096 \n@tb end\n";
    let report = Report::parse(text).unwrap();
    assert_eq!(report.lock, Some(Lock::Begun));
    assert_eq!(report.state, JobState::Ended { code: 3, why: Why::Itself });
    assert_eq!(report.out, StreamReport { size: 6, cut: 0, bytes: b"hello\n".to_vec() });
    assert_eq!((report.err.size, report.err.cut), (9, 4096));
}

#[test]
fn half_an_answer_is_none() {
    assert_eq!(
        Report::parse("\n@tb state running - -\n\n@tb out 6 0").unwrap_err(),
        "it said: @tb state running - -\n\n@tb out 6 0"
    );
    assert_eq!(Report::parse("").unwrap_err(), "it gave no answer");
    assert!(Report::parse("@tb state ended x y\n@tb end").is_err());
    assert_eq!(Report::parse("@tb failed cannot make /home/x").unwrap_err(), "cannot make /home/x");
}

#[test]
fn failures_of_files_are_told_apart() {
    let failed = FilesAnswer::parse("\n@tb fail 2 mkdir: cannot create directory 'a': Not a directory\n@tb done 2").unwrap();
    assert_eq!(
        failed,
        FilesAnswer::Failed { number: 2, reason: "mkdir: cannot create directory 'a': Not a directory".to_owned() }
    );
    assert_eq!(FilesAnswer::parse("@tb done 1\n").unwrap(), FilesAnswer::Done);
    assert!(FilesAnswer::parse("sh: not found").is_err());
}
