//! Redis, alone or as a cluster.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::TcpStream,
    process::Command,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{Child, free_port};

/// One Redis server.
#[derive(Debug)]
pub struct Redis {
    child: Option<Child>,
    port: u16,
    /// The port of the cluster bus; 0 without a cluster.
    bus_port: u16,
    cluster: bool,
    folder: TempDir,
}

impl Redis {
    /// Starts one and waits until it answers.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start() -> Self {
        Self::start_as(free_port(), false)
    }

    fn start_as(port: u16, cluster: bool) -> Self {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let mut this = Self { child: None, port, bus_port: if cluster { free_port() } else { 0 }, cluster, folder };
        this.launch();
        this
    }

    fn launch(&mut self) {
        let mut command = Command::new("redis-server");
        command.current_dir(self.folder.path());
        command.args([
            "--port",
            &self.port.to_string(),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
            "--protected-mode",
            "no",
        ]);
        if self.cluster {
            command.args(["--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf", "--cluster-node-timeout", "2000"]);
            command.args([
                "--cluster-announce-ip",
                "127.0.0.1",
                "--cluster-require-full-coverage",
                "no",
                "--cluster-port",
                &self.bus_port.to_string(),
            ]);
        }
        self.child = Some(Child::start(command, "redis-server"));
        let started = Instant::now();
        while self.command(&["PING"]).is_none_or(|answer| !answer.starts_with("+PONG")) {
            assert!(started.elapsed() < Duration::from_secs(10), "redis-server does not answer");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// `redis://127.0.0.1:port`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The port that clients connect to.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its process id.
    ///
    /// # Panics
    /// When it does not run.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").pid()
    }

    /// Kills it (-9).
    pub fn kill(&mut self) {
        self.child = None;
    }

    /// Stops it (SIGSTOP): it holds its connections and answers nothing.
    pub fn stop(&self) {
        self.child.iter().for_each(|child| child.signal(libc::SIGSTOP));
    }

    /// Continues it (SIGCONT).
    pub fn cont(&self) {
        self.child.iter().for_each(|child| child.signal(libc::SIGCONT));
    }

    /// Kills it where it runs, and starts it again on the same port.
    pub fn restart(&mut self) {
        self.child = None;
        self.launch();
    }

    /// Sends one command, and gives its answer: a simple one as it stands on the wire, a bulk string as text. `None`: no
    /// answer.
    #[must_use]
    pub fn command(&self, words: &[&str]) -> Option<String> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        let mut text = format!("*{}\r\n", words.len());
        for word in words {
            text.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        (&stream).write_all(text.as_bytes()).ok()?;
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        if let Some(length) = line.strip_prefix('$').and_then(|length| length.trim().parse::<usize>().ok()) {
            let mut bytes = vec![0; length];
            std::io::Read::read_exact(&mut reader, &mut bytes).ok()?;
            return String::from_utf8(bytes).ok();
        }
        (!line.is_empty()).then_some(line)
    }
}

/// Three masters without replicas, each with a third of the slots.
#[derive(Debug)]
pub struct RedisCluster {
    /// The nodes.
    pub nodes: Vec<Redis>,
}

impl RedisCluster {
    /// Starts three nodes and waits until each finds the cluster whole.
    ///
    /// # Panics
    /// When they cannot be started, or do not find each other.
    #[must_use]
    pub fn start() -> Self {
        let nodes: Vec<Redis> = (0..3)
            .map(|_| {
                let port = free_port();
                Redis::start_as(port, true)
            })
            .collect();
        let this = Self { nodes };
        for (number, node) in this.nodes.iter().enumerate() {
            let (first, last) = (16_384 * number / 3, 16_384 * (number + 1) / 3 - 1);
            let answer = node.command(&["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()]);
            assert!(answer.as_deref().is_some_and(|answer| answer.starts_with("+OK")), "{answer:?}");
            let _ = node.command(&["CLUSTER", "SET-CONFIG-EPOCH", &(number + 1).to_string()]);
        }
        for node in &this.nodes[1..] {
            let first = &this.nodes[0];
            let _ = node.command(&["CLUSTER", "MEET", "127.0.0.1", &first.port.to_string(), &first.bus_port.to_string()]);
        }
        this.wait_until_whole();
        this
    }

    /// Waits until every node that runs knows three nodes and finds all slots served.
    ///
    /// # Panics
    /// When that does not come to be.
    pub fn wait_until_whole(&self) {
        let started = Instant::now();
        let whole = |node: &Redis| {
            node.command(&["CLUSTER", "INFO"]).is_some_and(|info| {
                info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3") && info.contains("cluster_slots_ok:16384")
            })
        };
        while !self.nodes.iter().all(whole) {
            assert!(started.elapsed() < Duration::from_secs(30), "the cluster is not whole");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// `redis-cluster://127.0.0.1:port,127.0.0.1:port,…`.
    #[must_use]
    pub fn url(&self) -> String {
        let nodes: Vec<String> = self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
        format!("redis-cluster://{}", nodes.join(","))
    }
}
