//! A server process that ends with the test.
#![allow(unsafe_code, reason = "signals and PR_SET_PDEATHSIG have no safe way in the standard library")]

use std::{
    os::unix::process::CommandExt as _,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// A process in a group of its own, killed when this is dropped, and when the test's process is killed: more precisely
/// when the thread that started it ends, so start servers on threads that live as long as the test.
#[derive(Debug)]
pub struct Child {
    child: std::process::Child,
}

impl Child {
    /// Starts it. Its output is dropped, or with `TESTKIT_LOG` set goes to the standard error.
    ///
    /// # Panics
    /// When it cannot be started; `package` is the Debian package that it is in.
    #[must_use]
    pub fn start(mut command: Command, package: &str) -> Self {
        if std::env::var_os("TESTKIT_LOG").is_none() {
            command.stdout(Stdio::null()).stderr(Stdio::null());
        }
        Self::spawn(command, package)
    }

    /// Starts it with its output appended to a file.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start_logged(mut command: Command, package: &str, log: std::fs::File) -> Self {
        match log.try_clone() {
            Ok(second) => command.stdout(second).stderr(log),
            Err(_) => command.stdout(Stdio::null()).stderr(log),
        };
        Self::spawn(command, package)
    }

    fn spawn(mut command: Command, package: &str) -> Self {
        command.stdin(Stdio::null()).process_group(0);
        // SAFETY: prctl is async-signal-safe and touches no memory of ours.
        unsafe {
            command.pre_exec(|| {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                Ok(())
            });
        }
        let program = command.get_program().to_owned();
        match command.spawn() {
            Ok(child) => Self { child },
            Err(error) => panic!("{program:?} cannot be started ({error}): install the Debian package {package}"),
        }
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal to it and all its descendants, also those in process groups of their own, as PostgreSQL's are.
    pub fn signal(&self, signal: i32) {
        // Listed before the signal: a process whose parent has ended cannot be found any more.
        self.signal_all(&descendants(self.child.id() as i32), signal);
    }

    fn signal_all(&self, started: &[i32], signal: i32) {
        // SAFETY: plain system calls on a process group that we made, and on processes that came of it.
        unsafe {
            libc::kill(-(self.child.id() as i32), signal);
            for process in started {
                libc::kill(*process, signal);
            }
        }
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Kills it (-9) with all its descendants, and waits until none of them runs.
    pub fn kill(&mut self) {
        if !self.runs() {
            return;
        }
        // Stopped first, so that it starts nothing while its descendants are listed.
        self.signal(libc::SIGSTOP);
        let started = descendants(self.child.id() as i32);
        self.signal_all(&started, libc::SIGKILL);
        let _ = self.child.wait();
        let until = Instant::now() + Duration::from_secs(10);
        while started.iter().any(|process| lives(*process)) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Asks it to end, and waits.
    pub fn end(&mut self, signal: i32) {
        self.signal(signal);
        let _ = self.child.wait();
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // SIGKILL works on a stopped process too.
        self.kill();
    }
}

/// Every descendant of a process.
fn descendants(root: i32) -> Vec<i32> {
    let parents: Vec<(i32, i32)> = std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|process| Some((process, stat(process)?.1)))
        .collect();
    let mut found = vec![root];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        found.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(process, _)| *process));
        next += 1;
    }
    found.split_off(1)
}

/// Whether a process runs; one that has ended and is not reaped does not.
fn lives(process: i32) -> bool {
    stat(process).is_some_and(|(state, _)| state != 'Z' && state != 'X')
}

/// A process's state and its parent's id, from /proc.
fn stat(process: i32) -> Option<(char, i32)> {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name stands in parentheses and may hold anything.
    let mut rest = text.rsplit_once(')')?.1.split_whitespace();
    Some((rest.next()?.chars().next()?, rest.next()?.parse().ok()?))
}
