//! The language of the scenarios. Nodes are numbers; time passes only where a command says so.
//!
//! | command | what happens |
//! | --- | --- |
//! | `nodes 3` | three nodes with empty disks; none runs |
//! | `cluster 3` | the same, started, bootstrapped and stable; prints nothing |
//! | `cluster 3 snapshots` | the same, with a snapshot after every 48 bytes of commands, 2 entries that stay in the log, and pieces of 64 bytes |
//! | `cluster 3 without-block-numbers` | the same as `cluster 3`, with logs that have no blocks |
//! | `start 1 2`, `restart 1` | processes start with what their disks hold |
//! | `tick 100ms` | time passes |
//! | `propose 1 "hello"`, `propose 1 "hello" within 10ms` | a client proposes on node 1 and waits 10 s, or so long; 20 ms pass |
//! | `fill 1 400` | a client proposes so many entries at once; 20 ms pass; prints nothing |
//! | `read 2`, `read 2 within 10ms` | a client reads on node 2 and waits 10 s, or so long; 20 ms pass |
//! | `transfer 1` | an operator requests that node 1 transfers leadership; 20 ms pass |
//! | `refuse 3 1` | a redial of node 3 to node 1 is refused, as by a closed port; 20 ms pass |
//! | `crash 1`, `crash 1 unsynced`, `crash 1 synced` | the process dies; a write under way is lost, is visible to the next start, or is durable |
//! | `power-off 1` | the machine is unreachable, and its disk keeps only what was synced |
//! | `wipe 1` | the same, and the disk is replaced by an empty one |
//! | `roll-back 1 3` | the disk of the stopped node 1 loses its newest 3 transactions, although they were synced |
//! | `copy-disk 1`, `restore-disk 1` | all files of the stopped node 1 are copied; the stopped node 1 has that copy instead of its files |
//! | `lose-state 1`, `lose-snapshots 1` | the stopped node 1 loses its state, or its snapshots |
//! | `forbid-bootstrap 1`, `allow-bootstrap 1` | the configuration of node 1 says so from its next start on |
//! | `pause 1`, `resume 1` | the process handles nothing between these |
//! | `isolate 3` | no message passes between node 3 and the others |
//! | `partition 1->2`, `partition 1-2` | no message passes on that link, in one direction or in both |
//! | `heal` | every link works again, without delay |
//! | `slow 1->2 300ms` | messages on that link take so long from now on |
//! | `bandwidth 40000` | each link carries so many bytes a second |
//! | `hold-disk 1`, `release-disk 1` | between these no sync of node 1 ends |
//! | `hold-apply 1`, `release-apply 1` | between these no batch that node 1 applies ends |
//! | `forge resign 1->3`, `forge heartbeat 3->2`, `forge diverging 1->2`, `forge fetch 3->1 7@2`, `forge old-fetch 3->1 7@2`, `forge foreign-claim 3->2`, `forge last-term 3->2`, `forge far-term 3->2`, `forge next-term 3->2`, `forge foreign-fetch 3->2` | a message arrives that its named sender never sent; 20 ms pass unless the command ends in `soon` |
//! | `messages on`, `messages off` | from now on a line for each message that is sent, such as `2->1 fetch after 9@2`, and for each sync that ends, such as `2: synced to 9@2` |
//! | `times on` | lines begin with the time since this command, in milliseconds |
//! | `status`, `log 2` | prints the state of each node; prints what a disk holds |

use std::time::Duration;

use crate::checker::Checked;
use crate::simulation::{BlockNumbers, Forged, Settings, World, WriteFate};

/// How much time passes after a command that sends something to a node.
const COMMAND_DURATION: Duration = Duration::from_millis(20);
/// How long a client waits unless the scenario says otherwise.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(10);

/// Executes the commands of one scenario on its world.
#[derive(Debug, Default)]
pub(super) struct Interpreter {
    world: Option<World>,
    /// Lines begin with the time since this.
    times_since: Option<u64>,
}

type Output = Result<Vec<String>, String>;

impl Interpreter {
    /// Executes one line and returns the lines that it printed.
    pub(super) fn execute(&mut self, command: &str) -> Output {
        let words = split_words(command);
        let Some((verb, arguments)) = words.split_first() else {
            return Ok(Vec::new());
        };
        if verb.starts_with('#') {
            return Ok(Vec::new());
        }
        match verb.as_str() {
            "nodes" => {
                self.world = Some(World::new(Settings::of_scenario(number(arguments, 0)?)));
                return Ok(Vec::new());
            }
            "cluster" => {
                let mut settings = Settings::of_scenario(number(arguments, 0)?);
                match arguments.get(1).map(String::as_str) {
                    None => {}
                    Some("snapshots") => settings.take_snapshots(),
                    Some("without-block-numbers") => settings.block_numbers = BlockNumbers::None,
                    Some(other) => return Err(format!("a cluster cannot be `{other}`")),
                }
                let mut world = World::new(settings);
                world
                    .bootstrap()
                    .map_err(|violation| violation.to_string())?;
                world.discard_output();
                self.world = Some(world);
                return Ok(Vec::new());
            }
            "times" => {
                self.times_since = self.world.as_ref().map(World::now);
                return Ok(Vec::new());
            }
            "messages" => {
                let shown = arguments.first().is_some_and(|word| word == "on");
                self.world()?.show_messages(shown);
                return Ok(Vec::new());
            }
            "status" => return Ok(self.world()?.status()),
            "log" => {
                let node = node(arguments, 0)?;
                return Ok(vec![self.world()?.log_line(node)]);
            }
            _ => {}
        }
        let world = self.world()?;
        let done = run_command(world, verb, arguments)?;
        let mut output = Vec::new();
        if let Err(violation) = done {
            output.push(violation.to_string());
        }
        let since = self.times_since;
        output.extend(
            self.world()?
                .take_output()
                .into_iter()
                .map(|(at, line)| match since {
                    Some(since) => format!("{:>4} {line}", (at - since) / 1_000),
                    None => line,
                }),
        );
        Ok(output)
    }

    fn world(&mut self) -> Result<&mut World, String> {
        self.world
            .as_mut()
            .ok_or_else(|| "there are no nodes yet".to_owned())
    }
}

/// Runs a command that changes the world.
fn run_command(world: &mut World, verb: &str, arguments: &[String]) -> Result<Checked, String> {
    Ok(match verb {
        "start" | "restart" => start_all(world, arguments)?,
        "tick" => world.tick(duration(arguments, 0)?),
        "propose" => {
            let text = arguments.get(1).ok_or("propose what?")?;
            world.set_client_timeout(within(arguments, 2)?);
            world.propose(node(arguments, 0)?, text)?;
            world.tick(COMMAND_DURATION)
        }
        "fill" => fill(world, arguments)?,
        "read" => {
            world.set_client_timeout(within(arguments, 1)?);
            world.read(node(arguments, 0)?)?;
            world.tick(COMMAND_DURATION)
        }
        "transfer" => {
            world.request_leadership_transfer(node(arguments, 0)?)?;
            world.tick(COMMAND_DURATION)
        }
        "refuse" => {
            world.refuse_connection(node(arguments, 0)?, node(arguments, 1)?)?;
            world.tick(COMMAND_DURATION)
        }
        "crash" => world.crash_node(node(arguments, 0)?, write_fate(arguments.get(1))?),
        "power-off" => world.power_off_node(node(arguments, 0)?),
        "wipe" => world.wipe_disk_of(node(arguments, 0)?),
        "roll-back" => {
            world.roll_back_disk(node(arguments, 0)?, number(arguments, 1)?)?;
            Ok(())
        }
        "pause" => {
            world.pause_node(node(arguments, 0)?);
            Ok(())
        }
        "resume" => world.resume_node(node(arguments, 0)?),
        "isolate" => {
            world.isolate(node(arguments, 0)?);
            Ok(())
        }
        "partition" => {
            for link in links(arguments)? {
                world.partition_link(link);
            }
            Ok(())
        }
        "heal" => {
            world.heal_links();
            Ok(())
        }
        "slow" => {
            for link in links(arguments)? {
                world.slow_link(link, duration(arguments, 1)?);
            }
            Ok(())
        }
        "bandwidth" => {
            world.limit_bandwidth(number(arguments, 0)? as u64);
            Ok(())
        }
        "hold-disk" => {
            world.hold_disk(node(arguments, 0)?);
            Ok(())
        }
        "release-disk" => {
            world.release_disk(node(arguments, 0)?);
            Ok(())
        }
        "forge" => forge(world, arguments)?,
        _ => return run_state_command(world, verb, arguments),
    })
}

/// Runs a command that changes the state machine of a node, or what it keeps.
fn run_state_command(
    world: &mut World,
    verb: &str,
    arguments: &[String],
) -> Result<Checked, String> {
    let node = node(arguments, 0)?;
    match verb {
        "copy-disk" => world.copy_disk(node)?,
        "restore-disk" => world.restore_disk(node)?,
        "lose-state" => world.lose_state_of(node)?,
        "lose-snapshots" => world.lose_snapshots_of(node)?,
        "forbid-bootstrap" => world.set_may_bootstrap(node, false),
        "allow-bootstrap" => world.set_may_bootstrap(node, true),
        "hold-apply" => world.hold_machine(node),
        "release-apply" => world.release_machine(node),
        _ => return Err("unknown command".to_owned()),
    }
    Ok(Ok(()))
}

/// How long a client waits.
fn within(arguments: &[String], place: usize) -> Result<Duration, String> {
    match arguments.get(place).map(String::as_str) {
        None => Ok(CLIENT_TIMEOUT),
        Some("within") => duration(arguments, place + 1),
        Some(other) => Err(format!("`{other}` is not `within`")),
    }
}

fn fill(world: &mut World, arguments: &[String]) -> Result<Checked, String> {
    for filler in 0..number(arguments, 1)? {
        world.propose(node(arguments, 0)?, &format!("filler {filler}"))?;
    }
    let done = world.tick(COMMAND_DURATION);
    world.discard_output();
    Ok(done)
}

fn start_all(world: &mut World, arguments: &[String]) -> Result<Checked, String> {
    let mut done = Ok(());
    for place in 0..arguments.len() {
        done = done.and(world.start_node(node(arguments, place)?));
    }
    Ok(done)
}

fn forge(world: &mut World, arguments: &[String]) -> Result<Checked, String> {
    let (forged, link) = forged(arguments)?;
    world.forge(forged, link)?;
    if arguments.last().is_some_and(|word| word == "soon") {
        return Ok(Ok(()));
    }
    Ok(world.tick(COMMAND_DURATION))
}

/// The words of a line; a quoted text is one word.
fn split_words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (place, part) in line.split('"').enumerate() {
        if place % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

fn number(arguments: &[String], place: usize) -> Result<usize, String> {
    let word = arguments.get(place).ok_or("a number is missing")?;
    word.parse()
        .map_err(|_not| format!("`{word}` is not a number"))
}

/// A node's place in the world's lists.
fn node(arguments: &[String], place: usize) -> Result<usize, String> {
    number(arguments, place)?
        .checked_sub(1)
        .ok_or_else(|| "nodes are counted from 1".to_owned())
}

fn duration(arguments: &[String], place: usize) -> Result<Duration, String> {
    let word = arguments.get(place).ok_or("a duration is missing")?;
    let (count, unit) = match (word.strip_suffix("ms"), word.strip_suffix('s')) {
        (Some(count), _) => (count, 1),
        (None, Some(count)) => (count, 1_000),
        (None, None) => return Err(format!("`{word}` is not a duration")),
    };
    let count: u64 = count
        .parse()
        .map_err(|_not| format!("`{word}` is not a duration"))?;
    Ok(Duration::from_millis(count * unit))
}

/// `1->2` is one direction, `1-2` both.
fn links(arguments: &[String]) -> Result<Vec<(usize, usize)>, String> {
    let word = arguments.first().ok_or("a link is missing")?;
    if let Some((from, to)) = word.split_once("->") {
        return Ok(vec![link(from, to)?]);
    }
    let (one, other) = word.split_once('-').ok_or("a link is `1->2` or `1-2`")?;
    Ok(vec![link(one, other)?, link(other, one)?])
}

fn link(from: &str, to: &str) -> Result<(usize, usize), String> {
    let names = [from.to_owned(), to.to_owned()];
    Ok((node(&names, 0)?, node(&names, 1)?))
}

fn write_fate(word: Option<&String>) -> Result<WriteFate, String> {
    match word.map(String::as_str) {
        None => Ok(WriteFate::Lost),
        Some("unsynced") => Ok(WriteFate::Unsynced),
        Some("synced") => Ok(WriteFate::Synced),
        Some(other) => Err(format!("a write cannot be `{other}`")),
    }
}

fn forged(arguments: &[String]) -> Result<(Forged, (usize, usize)), String> {
    let kind = arguments.first().ok_or("forge what?")?;
    let rest = arguments.get(1..).unwrap_or_default();
    let link = *links(rest)?.first().expect("a link has a direction");
    let forged = match kind.as_str() {
        "resign" => Forged::Resign,
        "heartbeat" => Forged::Heartbeat,
        "diverging" => Forged::Diverging,
        "foreign-claim" => Forged::ForeignClaim,
        "last-term" => Forged::LastTerm,
        "far-term" => Forged::FarTerm,
        "next-term" => Forged::NextTerm,
        "foreign-fetch" => Forged::ForeignFetch,
        "fetch" | "old-fetch" => {
            let position = rest.get(1).and_then(|word| word.split_once('@'));
            let (index, term) = position.ok_or("a position is `7@2`")?;
            let number = |word: &str| {
                word.parse()
                    .map_err(|_not| format!("`{word}` is not a number"))
            };
            let (index, term) = (number(index)?, number(term)?);
            if kind == "fetch" {
                Forged::Fetch(index, term)
            } else {
                Forged::OldFetch(index, term)
            }
        }
        other => return Err(format!("`{other}` cannot be forged")),
    };
    Ok((forged, link))
}
