//! The nine tests of the exercise that this project began with, in their order and with its error
//! texts, on real nodes through `Execute`. What the original allows every client, or one node
//! alone, is refused here: [`STEPS`] shows where and why.

use std::collections::BTreeMap;
use std::process::ExitStatus;
use std::time::Duration;

use chat_consensus::NodeId;
use chat_tests::processes::cluster::Cluster;
use chat_tests::processes::plain_request::PlainClient;
use chat_tests::processes::request_json as requests;
use chat_tests::processes::waiting::within;
use serde_json::{Value, json};
use tonic::{Code, Status};
use uuid::Uuid;

const LIMIT: Duration = Duration::from_secs(180);
/// Of a request that cannot be carried out, for want of a majority.
const DEADLINE: Duration = Duration::from_secs(1);

const USERNAME_TAKEN: &str = "Username already exists.";
const INVALID_CREDENTIALS: &str = "Invalid username or password.";
const RECIPIENT_NOT_FOUND: &str = "Recipient does not exist.";

/// The original's tests, by its names for them.
#[derive(Clone, Copy, Debug)]
enum Step {
    Auth,
    GetAndSend,
    ListUsers,
    ReadMessages,
    DeleteMessages,
    DeleteUser,
    FaultTolerantAuth,
    FaultTolerantMessaging,
    FaultTolerantDeletes,
}

/// In their order, each on what the ones before have left; and where ours differs, and why.
const STEPS: [(Step, &str); 9] = [
    (
        Step::Auth,
        "same; success also brings a token, since requests must prove their account",
    ),
    (
        Step::GetAndSend,
        "sender and reader show their tokens; time and order are the log's, not the sender's, \
         whose clock may be wrong",
    ),
    (Step::ListUsers, "the client that lists shows a token"),
    (
        Step::ReadMessages,
        "only one's own: the token of another account changes nothing",
    ),
    (
        Step::DeleteMessages,
        "only one's own: the token of another account changes nothing",
    ),
    (
        Step::DeleteUser,
        "only one's own account; afterwards the list shows the account that lists, where the \
         original's is empty; the inbox of a deleted account is refused, where the original's is empty",
    ),
    (
        Step::FaultTolerantAuth,
        "one of three is down, or two of five, where the original has two of three down: one node \
         alone would accept what never reaches the others, so it replies UNAVAILABLE",
    ),
    (
        Step::FaultTolerantMessaging,
        "same; whichever of three is down, or whichever two of five",
    ),
    (
        Step::FaultTolerantDeletes,
        "as in the seventh; and who deletes messages or an account owns them",
    ),
];

/// Some nodes that are down at the same time.
type Absence = Vec<NodeId>;

struct Fixture {
    cluster: Cluster,
    absences: Vec<Absence>,
    /// By account.
    tokens: BTreeMap<String, String>,
    /// Requests so far: each goes to another node.
    turn: usize,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nine_original_tests_pass_with_one_of_three_down() {
    within(LIMIT, async {
        let mut fixture = Fixture::new(3, 1).await;
        assert_eq!(fixture.absences.len(), 3);
        fixture.run().await;
        fixture.check_one_alone_refuses().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nine_original_tests_pass_with_two_of_five_down() {
    within(LIMIT, async {
        let mut fixture = Fixture::new(5, 2).await;
        assert_eq!(fixture.absences.len(), 10);
        fixture.run().await;
    })
    .await;
}

impl Fixture {
    async fn new(nodes: u64, down: usize) -> Self {
        let cluster = Cluster::start(nodes).await;
        let absences = choices(&cluster.ids(), down);
        Self {
            cluster,
            absences,
            tokens: BTreeMap::new(),
            turn: 0,
        }
    }

    async fn run(&mut self) {
        for (place, (step, difference)) in STEPS.into_iter().enumerate() {
            if place > 0 {
                self.restart_every_node(place).await;
            }
            println!("{}. {step:?}; ours: {difference}", place + 1);
            match step {
                Step::Auth => self.auth().await,
                Step::GetAndSend => self.get_and_send().await,
                Step::ListUsers => self.list_users().await,
                Step::ReadMessages => self.read_messages().await,
                Step::DeleteMessages => self.delete_messages().await,
                Step::DeleteUser => self.delete_user().await,
                Step::FaultTolerantAuth => self.fault_tolerant_auth().await,
                Step::FaultTolerantMessaging => self.fault_tolerant_messaging().await,
                Step::FaultTolerantDeletes => self.fault_tolerant_deletes().await,
            }
            self.cluster.check_healthy();
        }
    }

    async fn auth(&mut self) {
        let login = requests::login("john", &good());
        self.check_error(&login, None, INVALID_CREDENTIALS).await;
        self.sign_up("john").await;
        let again = requests::create_user("john", &good());
        self.check_error(&again, None, USERNAME_TAKEN).await;
        self.execute_ok(&requests::login("john", &good()), None)
            .await;
        let wrong = requests::login("john", &bad());
        self.check_error(&wrong, None, INVALID_CREDENTIALS).await;
    }

    async fn get_and_send(&mut self) {
        let early = requests::send_message(Uuid::new_v4(), "john", "alice", "Are you there?");
        self.check_error(&early, Some("john"), RECIPIENT_NOT_FOUND)
            .await;
        self.sign_up("alice").await;
        self.send("john", "alice", "first").await;
        self.send("john", "alice", "second").await;
        let inbox = self.inbox("alice").await;
        assert_eq!(bodies(&inbox), ["second", "first"], "newest first");
        assert!(inbox.iter().all(|message| message["read"] == json!(false)));
        assert!(inbox.iter().all(|message| message["sender"] == "john"));
    }

    async fn list_users(&mut self) {
        assert_eq!(self.users("j*", "alice").await, ["john"]);
        assert_eq!(self.users("z*", "alice").await, [""; 0]);
        assert_eq!(self.users("*", "alice").await, ["alice", "john"]);
    }

    async fn read_messages(&mut self) {
        let ids = ids(&self.inbox("alice").await);
        assert_eq!(ids.len(), 2);
        let read = requests::read_messages(&ids);
        self.execute_ok(&read, Some("john")).await;
        let inbox = self.inbox("alice").await;
        assert!(inbox.iter().all(|message| message["read"] == json!(false)));
        self.execute_ok(&read, Some("alice")).await;
        let inbox = self.inbox("alice").await;
        assert!(inbox.iter().all(|message| message["read"] == json!(true)));
    }

    async fn delete_messages(&mut self) {
        let ids = ids(&self.inbox("alice").await);
        let delete = requests::delete_messages(&ids);
        self.execute_ok(&delete, Some("john")).await;
        assert_eq!(self.inbox("alice").await.len(), 2);
        self.execute_ok(&delete, Some("alice")).await;
        assert_eq!(self.inbox("alice").await, [Value::Null; 0]);
    }

    async fn delete_user(&mut self) {
        self.sign_up("witness").await;
        self.send("john", "john", "to myself").await;
        let delete = requests::delete_user("john");
        self.check_status(&delete, "alice", Code::PermissionDenied)
            .await;
        for name in ["john", "alice"] {
            self.execute_ok(&requests::delete_user(name), Some(name))
                .await;
        }
        assert_eq!(self.users("*", "witness").await, ["witness"]);
        let send = requests::send_message(Uuid::new_v4(), "witness", "john", "Still there?");
        self.check_error(&send, Some("witness"), RECIPIENT_NOT_FOUND)
            .await;
        let login = requests::login("john", &good());
        self.check_error(&login, None, INVALID_CREDENTIALS).await;

        let inbox = requests::get_messages("john");
        self.check_status(&inbox, "john", Code::Unauthenticated)
            .await;
        for name in ["john", "never-existed"] {
            let inbox = requests::get_messages(name);
            self.check_status(&inbox, "witness", Code::PermissionDenied)
                .await;
        }
        self.sign_up("john").await;
        assert_eq!(self.inbox("john").await, [Value::Null; 0], "another john");
    }

    async fn fault_tolerant_auth(&mut self) {
        self.sign_up("alice").await;
        for absence in self.absences.clone() {
            self.be_without(&absence).await;
            for node in self.cluster.serving() {
                let token = self.log_in(node, "alice").await;
                self.tokens.insert("alice".to_owned(), token);
            }
            let token = self.log_in(self.cluster.serving()[0], "john").await;
            self.tokens.insert("john".to_owned(), token);
            let users = self.users("*", "john").await;
            assert_eq!(users, ["alice", "john", "witness"], "without {absence:?}");
        }
        self.be_without(&[]).await;
    }

    async fn fault_tolerant_messaging(&mut self) {
        for (place, absence) in self.absences.clone().into_iter().enumerate() {
            self.be_without(&absence).await;
            self.send("john", "alice", &place.to_string()).await;
            self.be_without(&[]).await;
            for node in absence {
                let inbox = requests::get_messages("alice");
                let page = self.answer_of(node, &inbox, Some("alice")).await.unwrap();
                let inbox = page["messages"].as_array().unwrap();
                assert_eq!(inbox.len(), place + 1, "{node:?} was away");
                assert_eq!(bodies(inbox)[0], place.to_string());
            }
        }
    }

    /// Each absence begins while the one before ends; what is sent during one is deleted during
    /// the next one.
    async fn fault_tolerant_deletes(&mut self) {
        let all = ids(&self.inbox("alice").await);
        self.execute_ok(&requests::delete_messages(&all), Some("alice"))
            .await;
        for place in 0..self.absences.len() {
            self.sign_up(&leaver(place)).await;
        }
        for (place, absence) in self.absences.clone().into_iter().enumerate() {
            self.be_without(&absence).await;
            let leaver = leaver(place);
            self.execute_ok(&requests::delete_user(&leaver), Some(&leaver))
                .await;
            let left = self.users("leaver-*", "alice").await;
            assert_eq!(left.len(), self.absences.len() - place - 1);
            assert!(!left.contains(&leaver));

            let inbox = self.inbox("alice").await;
            assert_eq!(inbox.len(), usize::from(place > 0), "without {absence:?}");
            let delete = requests::delete_messages(&ids(&inbox));
            self.execute_ok(&delete, Some("alice")).await;
            assert_eq!(self.inbox("alice").await, [Value::Null; 0]);
            self.send("john", "alice", &leaver).await;
        }
        self.be_without(&[]).await;
        assert_eq!(self.inbox("alice").await.len(), 1);
    }

    /// The original's own absences: two of three. Nothing is accepted that could be lost.
    async fn check_one_alone_refuses(&mut self) {
        for alone in self.cluster.ids() {
            let others = self.cluster.ids().into_iter().filter(|id| *id != alone);
            for other in others {
                self.cluster.kill(other);
            }
            let node = PlainClient::connect(self.cluster.client_address(alone)).await;
            let login = requests::login("alice", &good());
            let delete = requests::delete_user("alice");
            for (request, token) in [(login, None), (delete, Some(&*self.tokens["alice"]))] {
                let refused = node.execute(&request, token, DEADLINE).await.unwrap_err();
                // The latter two come from the connection, when the node's own reply is late.
                let codes = [Code::Unavailable, Code::DeadlineExceeded, Code::Cancelled];
                assert!(codes.contains(&refused.code()), "{request}: {refused:?}");
            }
            self.cluster.start_all();
            self.cluster.settled().await;
            // Appended and not committed is no promise, in either direction.
            let login = requests::login("alice", &good());
            let reply = self.answer(&login, None).await.unwrap();
            if reply["status"] != "OK" {
                assert_eq!(reply["error_message"], INVALID_CREDENTIALS);
                self.sign_up("alice").await;
            }
        }
    }

    /// In turns by SIGTERM and by SIGKILL.
    async fn restart_every_node(&mut self, place: usize) {
        if place.is_multiple_of(2) {
            let endings = self.cluster.terminate(&self.cluster.ids()).await;
            assert!(endings.iter().all(ExitStatus::success), "{endings:?}");
        } else {
            self.cluster.kill_all();
        }
        self.cluster.start_all();
        self.cluster.settled().await;
    }

    /// Starts the nodes that are down and should not be, then at once kills those that should.
    async fn be_without(&mut self, absence: &[NodeId]) {
        let serving = self.cluster.serving();
        for node in self.cluster.ids() {
            if !serving.contains(&node) && !absence.contains(&node) {
                self.cluster.start_node(node);
            }
        }
        for node in absence {
            if serving.contains(node) {
                self.cluster.kill(*node);
            }
        }
        self.cluster.settled().await;
    }

    async fn sign_up(&mut self, name: &str) {
        let reply = self
            .execute_ok(&requests::create_user(name, &good()), None)
            .await;
        self.tokens.insert(name.to_owned(), token(&reply));
    }

    async fn log_in(&self, node: NodeId, name: &str) -> String {
        let reply = self
            .answer_of(node, &requests::login(name, &good()), None)
            .await;
        token(&reply.unwrap())
    }

    async fn send(&mut self, sender: &str, recipient: &str, body: &str) {
        let send = requests::send_message(Uuid::new_v4(), sender, recipient, body);
        self.execute_ok(&send, Some(sender)).await;
    }

    async fn inbox(&mut self, owner: &str) -> Vec<Value> {
        let page = self
            .execute_ok(&requests::get_messages(owner), Some(owner))
            .await;
        page["messages"].as_array().unwrap().clone()
    }

    async fn users(&mut self, pattern: &str, by: &str) -> Vec<String> {
        let page = self
            .execute_ok(&requests::list_users(pattern), Some(by))
            .await;
        let names = page["usernames"].as_array().unwrap();
        let name = |name: &Value| name.as_str().unwrap().to_owned();
        names.iter().map(name).collect()
    }

    async fn execute_ok(&mut self, request: &Value, by: Option<&str>) -> Value {
        let reply = self.answer(request, by).await;
        let reply = reply.unwrap_or_else(|status| panic!("{request}: {status:?}"));
        assert_eq!(reply["status"], "OK", "{request}: {reply}");
        reply
    }

    async fn check_error(&mut self, request: &Value, by: Option<&str>, text: &str) {
        let reply = self.answer(request, by).await.unwrap();
        let found = (&reply["status"], &reply["error_message"]);
        assert_eq!(found, (&json!("ERROR"), &json!(text)), "{request}");
    }

    async fn check_status(&mut self, request: &Value, by: &str, code: Code) {
        let refused = self.answer(request, Some(by)).await.unwrap_err();
        assert_eq!(refused.code(), code, "{request}: {refused:?}");
    }

    /// The answer of the node whose turn it is.
    async fn answer(&mut self, request: &Value, by: Option<&str>) -> Result<Value, Status> {
        let serving = self.cluster.serving();
        self.turn += 1;
        let node = serving[self.turn % serving.len()];
        self.answer_of(node, request, by).await
    }

    async fn answer_of(
        &self,
        node: NodeId,
        request: &Value,
        by: Option<&str>,
    ) -> Result<Value, Status> {
        let node = PlainClient::connect(self.cluster.client_address(node)).await;
        let token = by.map(|name| self.tokens[name].as_str());
        node.execute_until_available(request, token).await
    }
}

/// Every way to choose `count` of these.
fn choices(ids: &[NodeId], count: usize) -> Vec<Absence> {
    let Some(left) = count.checked_sub(1) else {
        return vec![Absence::new()];
    };
    let mut all = Vec::new();
    for (place, first) in ids.iter().enumerate() {
        for rest in choices(&ids[place + 1..], left) {
            all.push([&[*first], rest.as_slice()].concat());
        }
    }
    all
}

/// What every account sends instead of a password.
fn good() -> String {
    "a".repeat(64)
}

fn bad() -> String {
    "b".repeat(64)
}

fn leaver(place: usize) -> String {
    format!("leaver-{place}")
}

fn token(reply: &Value) -> String {
    let token = reply["token"].as_str();
    token
        .unwrap_or_else(|| panic!("no token in {reply}"))
        .to_owned()
}

fn bodies(messages: &[Value]) -> Vec<&str> {
    let bodies = messages.iter().map(|message| message["body"].as_str());
    bodies.collect::<Option<_>>().unwrap()
}

fn ids(messages: &[Value]) -> Vec<Uuid> {
    let id = |message: &Value| message["id"].as_str().unwrap().parse().unwrap();
    messages.iter().map(id).collect()
}
