//! The background process of a local cluster: it starts the nodes, carries the links between them,
//! and carries out the requests on its control socket.
//!
//! One thread decides; every other thread only waits for something and reports it as an event.
//! A node that ends is not started again automatically: a person who killed it wants it down.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::io::{self, Write};
use std::process;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use devcluster_api::{ClusterState, Condition, Links, NodeId, Request, Response};
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::setsid;

use crate::control_socket;
use crate::event::Event;
use crate::file_removal::remove_if_there;
use crate::layout::{Files, Link};
use crate::link_set::LinkSet;
use crate::node_process::NodeProcess;
use crate::private_files;
use crate::process_identity::ProcessIdentity;
use crate::socket_folder::SocketFolder;
use crate::state;
use crate::supervised_node;

mod links;
mod resizing;

/// The command of the program `devcluster` that calls [`run`].
pub const COMMAND: &str = "supervise";

/// One request is handled at a time, and a node ends once a start: few can be waiting.
const EVENTS_MAX: usize = 64;

/// A node that has not ended by then after SIGTERM is killed.
pub const STOP_LIMIT: Duration = Duration::from_secs(5);

struct Supervisor {
    files: Files,
    state: ClusterState,
    links: LinkSet,
    processes: BTreeMap<NodeId, NodeProcess>,
    sender: SyncSender<Event>,
    events: Receiver<Event>,
    /// What happened while something else was waited for.
    deferred: VecDeque<Event>,
}

/// Runs until SIGTERM; the state must have been written before.
///
/// # Errors
///
/// When it cannot start, stop its nodes or write its state.
pub fn run(files: Files) -> Result<()> {
    setsid().context("leaving the terminal")?;
    private_files::from_now_on();
    Supervisor::start(files)?.serve()
}

impl Supervisor {
    fn start(files: Files) -> Result<Self> {
        let mut state = state::read(&files)?.context("there is no cluster.json")?;
        let sockets = SocketFolder::at(&state.socket_folder);
        sockets.check()?;
        let identity = ProcessIdentity::of(process::id())?;
        state.supervisor_pid = Some(identity.pid);
        state.supervisor_started = Some(identity.started);

        let (sender, events) = mpsc::sync_channel(EVENTS_MAX);
        // Before any thread starts: all of them inherit the mask, and only one waits.
        watch_signals(sender.clone())?;
        let mut links = LinkSet::default();
        if state.links == Links::Proxied {
            links.start(&sockets, Link::all(state.ids()))?;
        }
        let listener = control_socket::bind(&files.control_socket())?;
        let requests = sender.clone();
        thread::Builder::new()
            .name("control socket".to_owned())
            .spawn(move || control_socket::serve(&listener, &requests))
            .context("starting the control socket's thread")?;
        let processes = BTreeMap::new();
        let deferred = VecDeque::new();
        Ok(Self {
            files,
            state,
            links,
            processes,
            sender,
            events,
            deferred,
        })
    }

    fn serve(mut self) -> Result<()> {
        self.start_dead()?;
        loop {
            let event = match self.deferred.pop_front() {
                Some(event) => event,
                None => self.events.recv().context("every other thread has ended")?,
            };
            match event {
                Event::Ended(node, identity) => self.handle_ended(node, identity)?,
                Event::Terminated => return self.shut_down(),
                Event::Requested(request, reply) => {
                    let response = match self.handle_request(request) {
                        Ok(message) => Response { ok: true, message },
                        Err(error) => Response {
                            ok: false,
                            message: format!("{error:#}"),
                        },
                    };
                    log_line(&response.message);
                    // The client may have given up; the action is done all the same.
                    reply.send(response).ok();
                }
            }
        }
    }

    fn handle_request(&mut self, request: Request) -> Result<String> {
        match request {
            Request::Ping => Ok("the supervisor runs".to_owned()),
            Request::StartDead => self.start_dead(),
            Request::Kill { node } => self.kill(node),
            Request::Stop { node } => self.stop(node),
            Request::Pause { node } => self.pause(node),
            Request::Resume { node } => self.resume(node),
            Request::Restart { node } => self.restart(node),
            Request::Isolate { node } => self.isolate(node),
            Request::Reconnect { node } => self.reconnect(node),
            Request::ReconnectAll => self.reconnect_all(),
            Request::Shape { node, shape } => self.shape(node, shape),
            Request::Wipe { node } => self.wipe(node),
            Request::Add => self.add(),
            Request::Remove { node } => self.remove(node),
        }
    }

    fn start_dead(&mut self) -> Result<String> {
        let nodes = self.state.ids();
        let dead: Vec<NodeId> = nodes
            .filter(|node| !self.processes.contains_key(node))
            .collect();
        for node in &dead {
            self.start_node(*node)?;
        }
        self.record()?;
        let names: Vec<String> = dead.iter().map(ToString::to_string).collect();
        Ok(match names.len() {
            0 => "every node was running".to_owned(),
            1 => format!("node {} was started", names[0]),
            _ => format!("nodes {} were started", names.join(", ")),
        })
    }

    fn kill(&mut self, node: NodeId) -> Result<String> {
        let Some(process) = self.process(node)? else {
            return Ok(is_down(node));
        };
        let pid = process.identity().pid;
        process.kill()?;
        self.wait_for_end(node, STOP_LIMIT)?;
        Ok(format!("node {node} was killed (pid {pid})"))
    }

    fn stop(&mut self, node: NodeId) -> Result<String> {
        if self.process(node)?.is_none() {
            return Ok(is_down(node));
        }
        self.stop_all(&[node])?;
        Ok(format!("node {node} has stopped"))
    }

    fn pause(&mut self, node: NodeId) -> Result<String> {
        let Some(process) = self.process(node)? else {
            return Ok(is_down(node));
        };
        process.pause()?;
        self.record()?;
        Ok(format!("node {node} is paused; `resume {node}` resumes it"))
    }

    fn resume(&mut self, node: NodeId) -> Result<String> {
        let Some(process) = self.process(node)? else {
            return Ok(is_down(node));
        };
        process.resume()?;
        self.record()?;
        Ok(format!("node {node} is resumed"))
    }

    fn restart(&mut self, node: NodeId) -> Result<String> {
        if self.process(node)?.is_some() {
            self.stop_all(&[node])?;
        }
        self.start_node(node)?;
        self.record()?;
        Ok(format!("node {node} was started"))
    }

    fn wipe(&mut self, node: NodeId) -> Result<String> {
        if self.process(node)?.is_some() {
            self.stop_all(&[node])?;
        }
        remove_if_there(&self.files.data(node))?;
        self.start_node(node)?;
        self.record()?;
        Ok(format!(
            "node {node} lost its data and was started empty; it catches up, and votes again by itself \
             some seconds later"
        ))
    }

    fn check_exists(&self, node: NodeId) -> Result<()> {
        if self.state.ids().all(|other| other != node) {
            bail!("{}", state::no_such_node(&self.state, node));
        }
        Ok(())
    }

    /// The process of a node, if it has one; an error when the cluster has no such node.
    fn process(&mut self, node: NodeId) -> Result<Option<&mut NodeProcess>> {
        self.check_exists(node)?;
        Ok(self.processes.get_mut(&node))
    }

    fn start_node(&mut self, node: NodeId) -> Result<()> {
        let command = [
            self.files.program("chat-server").into_os_string(),
            "--id".into(),
            node.to_string().into(),
            "--config".into(),
            self.files.node_config(node).into_os_string(),
        ];
        let process = supervised_node::start(node, &command, &self.files.log(node), &self.sender)?;
        log_line(&format!(
            "node {node} runs as pid {}",
            process.identity().pid
        ));
        self.processes.insert(node, process);
        Ok(())
    }

    /// Stops these nodes together: terminates them, waits, and kills those that do not end.
    fn stop_all(&mut self, nodes: &[NodeId]) -> Result<()> {
        for node in nodes {
            if let Some(process) = self.processes.get_mut(node) {
                process.terminate()?;
            }
        }
        let deadline = Instant::now() + STOP_LIMIT;
        for node in nodes {
            if !self.wait_for_end(*node, deadline.saturating_duration_since(Instant::now()))? {
                log_line(&format!(
                    "node {node} did not stop in {STOP_LIMIT:?} and is killed"
                ));
                if let Some(process) = self.processes.get_mut(node) {
                    process.kill()?;
                }
                self.wait_for_end(*node, STOP_LIMIT)?;
            }
        }
        Ok(())
    }

    /// Whether the node's process ended in time; other events wait meanwhile.
    fn wait_for_end(&mut self, node: NodeId, limit: Duration) -> Result<bool> {
        let deadline = Instant::now() + limit;
        while self.processes.contains_key(&node) {
            match self
                .events
                .recv_timeout(deadline.saturating_duration_since(Instant::now()))
            {
                Ok(Event::Ended(ended, identity)) => self.handle_ended(ended, identity)?,
                Ok(other) => self.deferred.push_back(other),
                Err(RecvTimeoutError::Timeout) => return Ok(false),
                Err(RecvTimeoutError::Disconnected) => bail!("every thread has ended"),
            }
        }
        Ok(true)
    }

    fn handle_ended(&mut self, node: NodeId, identity: ProcessIdentity) -> Result<()> {
        let is_current = self
            .processes
            .get(&node)
            .is_some_and(|process| process.identity() == identity);
        if is_current && let Some(mut process) = self.processes.remove(&node) {
            let status = process.reap()?;
            log_line(&format!(
                "node {node} (pid {}) has ended: {status}",
                identity.pid
            ));
            // A full disk has perhaps ended this node; it must not end the others with us.
            if let Err(error) = self.record() {
                log_line(&format!("{error:#}"));
            }
        }
        Ok(())
    }

    fn shut_down(&mut self) -> Result<()> {
        let running: Vec<NodeId> = self.processes.keys().copied().collect();
        self.stop_all(&running)?;
        self.state.supervisor_pid = None;
        self.state.supervisor_started = None;
        for node in &mut self.state.nodes {
            node.isolated = false;
        }
        self.record()?;
        let socket = self.files.control_socket();
        fs::remove_file(&socket).with_context(|| format!("removing {}", socket.display()))
    }

    /// Writes what is true now into `cluster.json`.
    fn record(&mut self) -> Result<()> {
        for entry in &mut self.state.nodes {
            let process = self.processes.get(&entry.id);
            entry.pid = process.map(|process| process.identity().pid);
            entry.started = process.map(|process| process.identity().started);
            entry.condition = match process {
                None => Condition::Down,
                Some(process) if process.is_paused() => Condition::Paused,
                Some(_) => Condition::Running,
            };
        }
        state::write(&self.state, &self.files)
    }
}

/// Adds a line to the supervisor's log, as long as its disk accepts one.
fn log_line(line: &str) {
    writeln!(io::stdout(), "{line}").ok();
}

fn is_down(node: NodeId) -> String {
    format!("node {node} is down; `restart {node}` starts it")
}

/// Turns the signals that would end us into events.
fn watch_signals(events: SyncSender<Event>) -> Result<()> {
    let signals: SigSet = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP]
        .into_iter()
        .collect();
    signals.thread_block().context("blocking signals")?;
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            while signals.wait().is_ok() {
                if events.send(Event::Terminated).is_err() {
                    return;
                }
            }
        })
        .context("starting the thread that waits for signals")?;
    Ok(())
}
