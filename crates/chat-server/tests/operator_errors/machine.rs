//! A machine with the real program, and the program's output and files.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

/// Far above what any test here takes.
const TEST_TIMEOUT: Duration = Duration::from_secs(20);

/// A folder with `cluster.toml`, which lists the nodes 1 and 2, and with their data in `data`.
pub(crate) struct Machine {
    folder: TempDir,
    /// Of node 1, then of node 2; of each for clients, then for peers.
    pub(crate) addresses: [String; 4],
}

/// The result of a process.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) output: String,
    pub(crate) errors: String,
}

impl Machine {
    pub(crate) fn new() -> Self {
        // Bound at the same time, so that the four are different.
        let listeners = [(); 4].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let addresses = listeners.map(|listener| listener.local_addr().unwrap().to_string());
        let folder = tempfile::tempdir().unwrap();
        let machine = Self { folder, addresses };
        machine.write(&machine.nodes());
        machine
    }

    pub(crate) fn nodes(&self) -> String {
        let [client_1, peer_1, client_2, peer_2] = &self.addresses;
        format!(
            "[[nodes]]\nid = 1\nclient_address = \"{client_1}\"\npeer_address = \"{peer_1}\"\n\
             [[nodes]]\nid = 2\nclient_address = \"{client_2}\"\npeer_address = \"{peer_2}\"\n"
        )
    }

    /// Writes the configuration file.
    pub(crate) fn write(&self, text: &str) {
        fs::write(self.path().join("cluster.toml"), text).unwrap();
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The program in this folder, with these arguments, with the file unless they name another, and
    /// without our variables in its environment.
    pub(crate) fn program(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chat-server"));
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("CHAT_SERVER_") || text.starts_with("RUST_") {
                command.env_remove(name);
            }
        }
        if !arguments.contains(&"--config") {
            command.args(["--config", "cluster.toml"]);
        }
        command
            .current_dir(self.path())
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Every file and its content; a folder has none.
    pub(crate) fn files(&self) -> BTreeMap<String, Option<Vec<u8>>> {
        let mut files = BTreeMap::new();
        let mut folders = vec![self.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let content = if path.is_dir() {
                    folders.push(path.clone());
                    None
                } else {
                    // A socket has no content either.
                    fs::read(&path).ok()
                };
                files.insert(path.to_str().unwrap().to_owned(), content);
            }
        }
        files
    }

    /// Runs a command that must fail.
    pub(crate) fn check(&self, arguments: &[&str], code: i32, sentence: &str) {
        self.check_command(self.program(arguments), code, sentence);
    }

    pub(crate) fn check_command(&self, command: Command, code: i32, sentence: &str) {
        let before = self.files();
        let ended = run(command);
        assert_eq!(ended.errors, format!("chat-server: {sentence}\n"));
        assert_eq!(ended.status.code(), Some(code), "{sentence}");
        assert_eq!(ended.output, "");
        assert!(before == self.files(), "files were changed: {sentence}");
    }

    /// Runs node 1 alone until it serves, and kills it. Returns its log until then.
    pub(crate) fn run_node_1(&self) -> String {
        let [client, peer, ..] = &self.addresses;
        self.write(&format!(
            "cluster.bootstrap = true\n[[nodes]]\nid = 1\nclient_address = \"{client}\"\npeer_address = \"{peer}\"\n"
        ));
        let mut node = self.program(&["--id", "1"]).spawn().unwrap();
        let log = wait_until_it_serves(&mut node);
        node.kill().unwrap();
        node.wait().unwrap();
        self.write(&self.nodes());
        log
    }
}

/// Waits for the end of a process that ends by itself.
pub(crate) fn run(mut command: Command) -> Ended {
    let mut child = command.spawn().unwrap();
    let (mut output, mut errors) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let (mut out, mut err) = (String::new(), String::new());
        output.read_to_string(&mut out).unwrap();
        errors.read_to_string(&mut err).unwrap();
        // The receiver is dropped when the test has ended.
        sender.send((out, err)).ok();
    });
    let Ok((output, errors)) = receiver.recv_timeout(TEST_TIMEOUT) else {
        child.kill().unwrap();
        panic!("{command:?} does not end");
    };
    Ended {
        status: child.wait().unwrap(),
        output,
        errors,
    }
}

pub(crate) fn wait_until_it_serves(node: &mut Child) -> String {
    let errors = BufReader::new(node.stderr.take().unwrap());
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        // Reads to the end, so that the node never waits for this.
        for line in errors.lines().map_while(Result::ok) {
            sender.send(line).ok();
        }
    });
    let mut log = String::new();
    while !log.contains("the node serves") {
        match receiver.recv_timeout(TEST_TIMEOUT) {
            Ok(line) => log += &line,
            Err(error) => {
                node.kill().unwrap();
                panic!("{error}: {log}");
            }
        }
    }
    log
}
