//! A server process that dies with the test.
#![allow(unsafe_code, reason = "signals and PR_SET_PDEATHSIG have no safe way in the standard library")]

use std::{
    os::unix::process::CommandExt as _,
    process::{Command, Stdio},
};

/// A process in a group of its own, killed when this is dropped, and when the test's process is killed.
#[derive(Debug)]
pub struct Child {
    child: std::process::Child,
}

impl Child {
    /// Starts it; what it says goes to its standard error only where `TESTKIT_LOG` is set.
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

    /// The same; what it says goes to a file.
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

    /// Sends a signal to it and all that it started.
    pub fn signal(&self, signal: i32) {
        // SAFETY: a plain system call on a process group that we made.
        unsafe {
            libc::kill(-(self.child.id() as i32), signal);
        }
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Kills it (-9) with all that it started, and waits for its end.
    pub fn kill(&mut self) {
        self.signal(libc::SIGKILL);
        let _ = self.child.wait();
    }

    /// Asks it to end, and waits.
    pub fn end(&mut self, signal: i32) {
        self.signal(signal);
        let _ = self.child.wait();
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // A stopped process is killed all the same.
        self.kill();
    }
}
