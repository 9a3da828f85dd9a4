//! A machine with the real program, and what it says and leaves.

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

/// Far above what anything here takes.
const TEST_TIMEOUT: Duration = Duration::from_secs(20);

/// A folder with `cluster.toml`, which lists the nodes 1 and 2, and with their data in `data`.
pub(crate) struct Machine {
    folder: TempDir,
    /// Of node 1, then of node 2: for clients, then for peers.
    pub(crate) addresses: [String; 4],
}

/// What a process left when it had ended.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) output: String,
    pub(crate) errors: String,
}

impl Machine {
    pub(crate) fn new() -> Self {
        // All at the same time, so that they are four.
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

    /// The program in this folder, with these arguments and the file unless they name another, and
    /// with nothing of ours in its environment.
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

    /// Runs what must be refused.
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

    /// Lets node 1 run alone until it serves, and kills it. What it said until then.
    pub(crate) fn run_node_1(&self) -> String {
        let [client, peer, ..] = &self.addresses;
        self.write(&format!(
            "[[nodes]]\nid = 1\nclient_address = \"{client}\"\npeer_address = \"{peer}\"\n"
        ));
        let mut node = self.program(&["--id", "1"]).spawn().unwrap();
        let said = wait_until_it_serves(&mut node);
        node.kill().unwrap();
        node.wait().unwrap();
        self.write(&self.nodes());
        said
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
        // The test is over if nobody waits.
        sender.send((out, err)).ok();
    });
    let Ok((output, errors)) = receiver.recv_timeout(TEST_TIMEOUT) else {
        child.kill().unwrap();
        panic!("{command:?} runs on");
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
        // To the end, so that the node is never held up.
        for line in errors.lines().map_while(Result::ok) {
            sender.send(line).ok();
        }
    });
    let mut said = String::new();
    while !said.contains("the node serves") {
        match receiver.recv_timeout(TEST_TIMEOUT) {
            Ok(line) => said += &line,
            Err(error) => {
                node.kill().unwrap();
                panic!("{error}: {said}");
            }
        }
    }
    said
}
