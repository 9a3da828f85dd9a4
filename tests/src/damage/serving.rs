//! What the nodes of a round serve: reads, messages and logins through each of them.

use std::time::Duration;

use chat_client::{ChatClient, ClientError, OutgoingMessage, StatusCode};
use chat_consensus::NodeId;

use crate::damage::facts::{self, Facts};
use crate::damage::record::Failure;
use crate::processes::cluster::Cluster;
use crate::processes::history::{Inboxes, Letter, read_inbox};

/// Longer than a few elections. A request that takes longer is repeated with everything else.
const DEADLINE: Duration = Duration::from_secs(5);

/// What clients know, while they ask for more.
#[derive(Debug)]
pub(crate) struct Serving {
    facts: Facts,
    sent: u32,
}

impl Serving {
    pub(crate) fn new(facts: &Facts) -> Self {
        Self {
            facts: facts.clone(),
            sent: 0,
        }
    }

    /// Sends a message through every node and reads every inbox through every node; then logs in through
    /// the damaged one.
    pub(crate) async fn check(
        &mut self,
        cluster: &Cluster,
        nodes: &[NodeId],
        damaged: Option<NodeId>,
    ) -> Result<(), Failure> {
        let client = |node: NodeId| cluster.client_of(node).with_deadline(DEADLINE);
        for node in nodes {
            self.send(*node, &client(*node)).await?;
        }
        self.read(nodes, client).await?;
        let node = damaged.filter(|node| nodes.contains(node));
        let node = node.or_else(|| nodes.first().copied());
        let node = node.ok_or_else(|| Failure::NotServed("no node runs".to_owned()))?;
        self.log_in(&client(node)).await
    }

    async fn read(
        &self,
        nodes: &[NodeId],
        client: impl Fn(NodeId) -> ChatClient,
    ) -> Result<(), Failure> {
        let mut first: Option<Inboxes> = None;
        for node in nodes {
            let client = client(*node);
            let mut inboxes = Inboxes::new();
            for (name, account) in &self.facts.accounts {
                let inbox = read_inbox(&client, &account.session).await;
                let inbox = inbox.map_err(|error| failure(&error, *node, "a read"))?;
                inboxes.insert(name.clone(), inbox);
            }
            let wrong = |what: String| Failure::Wrong(format!("read through {node:?}: {what}"));
            self.facts.check(&inboxes).map_err(wrong)?;
            match &first {
                Some(first) => facts::check_equal(first, &inboxes).map_err(wrong)?,
                None => first = Some(inboxes),
            }
        }
        Ok(())
    }

    async fn send(&mut self, node: NodeId, client: &ChatClient) -> Result<(), Failure> {
        let accounts = &self.facts.accounts;
        let mut around = accounts.iter().cycle().skip(self.sent as usize);
        let (sender, account) = around.next().expect("there are accounts");
        let (recipient, _) = around.next().expect("there are accounts");
        let body = format!("new message {} through {node:?}", self.sent);
        let letter = Letter {
            sender: sender.clone(),
            message: OutgoingMessage::new(recipient, body),
        };
        self.sent += 1;
        match client.send_message(&account.session, &letter.message).await {
            Ok(sent) => self.facts.acknowledged(letter, sent),
            Err(error) => {
                self.facts.unknown(letter);
                return Err(failure(&error, node, "a message"));
            }
        }
        Ok(())
    }

    /// A password that was changed is valid, and the one before it is not.
    async fn log_in(&self, client: &ChatClient) -> Result<(), Failure> {
        for (name, account) in &self.facts.accounts {
            let Some(former) = &account.former_password else {
                continue;
            };
            match client.login(name, &account.password).await {
                Ok(_) => {}
                Err(error) => return Err(login_failure(name, &error)),
            }
            match client.login(name, former).await {
                Err(ClientError::Application { .. }) => {}
                Ok(_) => {
                    let what = format!("the former password of {name} is accepted");
                    return Err(Failure::Wrong(what));
                }
                Err(error) => return Err(login_failure(name, &error)),
            }
        }
        Ok(())
    }
}

fn login_failure(name: &str, error: &ClientError) -> Failure {
    let what = format!("a login of {name}: {error:?}");
    if is_wrong(error) {
        Failure::Wrong(what)
    } else {
        Failure::NotServed(what)
    }
}

fn failure(error: &ClientError, node: NodeId, what: &str) -> Failure {
    let what = format!("{what} through {node:?}: {error:?}");
    if is_wrong(error) {
        Failure::Wrong(what)
    } else {
        Failure::NotServed(what)
    }
}

/// Whether a node has answered something that is not true; others may be repeated.
fn is_wrong(error: &ClientError) -> bool {
    match error {
        ClientError::Unavailable { .. } | ClientError::OutcomeUnknown { .. } => false,
        ClientError::Status { code, .. } => *code == StatusCode::Unauthenticated,
        _ => true,
    }
}
