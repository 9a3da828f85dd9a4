//! A window without a screen, its data in a folder of the test's own.

use std::rc::Rc;

use chat_client::{InboxQuery, Session};
use chat_gui::app::ChatApp;
use chat_gui::backend::{ClusterPlace, Options};
use chat_gui::model::Model;
use chat_gui::model::action::UserAction;
use chat_gui::model::conversation::Conversation;
use chat_gui::model::message::{Message, MessageState};
use chat_gui::model::names::{Commit, Name};
use chat_tests::processes::cluster::Cluster;
use chat_tests::processes::waiting::until;
use egui::accesskit::Role;
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT, Queryable};
use tempfile::TempDir;

pub(crate) const PASSWORD: &str = "open sesame";

pub(crate) struct Window {
    harness: Harness<'static, ChatApp>,
    /// Kept as long as the window is open.
    _folder: Rc<TempDir>,
}

/// Where clients reach all nodes.
pub(crate) fn addresses(cluster: &Cluster) -> Vec<String> {
    let ids = cluster.ids().into_iter();
    ids.map(|id| cluster.client_address(id).to_string())
        .collect()
}

impl Window {
    /// Opens the window of a folder, for these servers.
    pub(crate) fn open(folder: Rc<TempDir>, addresses: Vec<String>) -> Self {
        let options = Options {
            folder: Some(folder.path().to_owned()),
            addresses,
            local_cluster: ClusterPlace::Nowhere,
        };
        let harness = Harness::builder()
            .with_size([1100.0, 760.0])
            .build_eframe(|creation| {
                ChatApp::new(&creation.egui_ctx, options).expect("there is a thread left")
            });
        Self {
            harness,
            _folder: folder,
        }
    }

    pub(crate) fn model(&self) -> &Model {
        self.harness.state().model()
    }

    /// Draws one frame.
    pub(crate) fn draw(&mut self) {
        self.harness.step();
    }

    /// What a view would have returned.
    pub(crate) fn act(&mut self, action: UserAction) {
        self.harness.state_mut().act(action);
        self.harness.step();
    }

    /// Draws frame after frame until the model shows what is waited for.
    pub(crate) async fn until<T>(
        &mut self,
        what: &str,
        mut probe: impl FnMut(&Model) -> Option<T>,
    ) -> T {
        until(what, async || {
            self.harness.step();
            let model = self.model();
            let shown = || {
                format!(
                    "{:?}, sign-in {:?}, outbox {:?}, servers {:?}, notices {:?}",
                    model.connection, model.sign_in, model.outbox, model.servers, model.notices
                )
            };
            probe(model).ok_or_else(shown)
        })
        .await
    }

    /// Draws frame after frame until a screen reader would read this text somewhere.
    pub(crate) async fn wait_for_text(&mut self, words: &str) {
        until(words, async || {
            self.harness.step();
            let found = self.harness.query_all_by_label_contains(words).next();
            found
                .map(|_| ())
                .ok_or_else(|| "it is not shown".to_owned())
        })
        .await;
    }

    /// How many elements a screen reader would name so.
    pub(crate) fn count_text(&self, words: &str) -> usize {
        self.harness.query_all_by_label_contains(words).count()
    }

    /// Presses a button or a link.
    pub(crate) fn press(&mut self, label: &str) {
        let buttons = self.harness.query_all_by_label(label);
        let button = buttons
            .into_iter()
            .find(|node| matches!(node.accesskit_node().role(), Role::Button | Role::Link));
        let button = button.unwrap_or_else(|| panic!("there is no button {label:?}"));
        button.click();
        self.harness.step();
        self.harness.step();
    }

    /// Types into a field, which is empty.
    pub(crate) fn fill(&mut self, label: &str, text: &str) {
        self.field(label).focus();
        self.harness.step();
        self.field(label).type_text(text);
        self.harness.step();
    }

    /// What is in a field.
    pub(crate) fn value(&self, label: &str) -> String {
        self.field(label).value().unwrap_or_default()
    }

    fn field<'a>(&'a self, label: &'a str) -> egui_kittest::Node<'a> {
        let named = self.harness.query_all_by_label(label);
        let mut fields = named.into_iter().filter(|node| {
            matches!(
                node.accesskit_node().role(),
                Role::TextInput | Role::MultilineTextInput | Role::PasswordInput
            )
        });
        let field = fields.next();
        field.unwrap_or_else(|| panic!("there is no field {label:?}"))
    }

    pub(crate) fn key(&mut self, key: egui::Key) {
        self.harness.key_press(key);
        self.harness.step();
    }

    /// Writes in the open conversation, as a person does.
    pub(crate) fn write(&mut self, peer: &str, text: &str) {
        self.fill(&format!("Message to {peer}"), text);
        self.key(egui::Key::Enter);
    }

    /// Creates an account on the page for it.
    pub(crate) async fn sign_up(&mut self, name: &str) {
        self.show_sign_in_form("New here?", "Create account").await;
        self.fill("Name", name);
        self.fill("Password", PASSWORD);
        self.fill("Confirm password", PASSWORD);
        self.press("Create account");
        self.signed_in().await;
    }

    /// Signs in on the page for it.
    pub(crate) async fn sign_in(&mut self, name: &str, password: &str) {
        self.show_sign_in_form("Already have an account?", "Sign in")
            .await;
        self.fill("Name", name);
        self.fill("Password", password);
        self.press("Sign in");
    }

    /// Waits for the page, and presses the link after `question` if that is what it asks.
    async fn show_sign_in_form(&mut self, question: &str, link: &str) {
        self.wait_for_text("Servers:").await;
        if self.count_text(question) > 0 {
            self.press(link);
        }
    }

    pub(crate) async fn signed_in(&mut self) {
        self.until("an account is signed in and connected", |model| {
            (model.account.is_some() && model.connection.is_online() && !model.loading)
                .then_some(())
        })
        .await;
    }

    /// Draws frame after frame until a message has its tick, and returns its position in the log.
    pub(crate) async fn until_sent(&mut self, peer: &str, text: &str) -> Commit {
        let what = format!("{text:?} is sent");
        self.until(&what, |model| match message(model, peer, text)?.state {
            MessageState::Sent { commit, .. } => Some(commit),
            _ => None,
        })
        .await
    }

    pub(crate) fn open_conversation(&mut self, peer: &str) {
        self.act(UserAction::OpenConversation(Name::new(peer)));
        self.harness.step();
    }
}

/// The texts of an inbox as the servers have it, newest first.
pub(crate) async fn inbox_texts(cluster: &Cluster, owner: &Session) -> Vec<String> {
    let page = cluster
        .client()
        .inbox(owner, &InboxQuery::default())
        .await
        .expect("the servers answer");
    page.messages
        .into_iter()
        .map(|message| message.body)
        .collect()
}

/// The conversation with a person, empty if there is none.
pub(crate) fn conversation(model: &Model, peer: &str) -> Conversation {
    let conversation = model.conversations.get(&Name::new(peer));
    conversation.cloned().unwrap_or_default()
}

/// The only message with this text.
pub(crate) fn message(model: &Model, peer: &str, text: &str) -> Option<Message> {
    let messages = conversation(model, peer).messages.into_iter();
    let mut found = messages.filter(|message| &*message.body == text);
    let message = found.next();
    assert_eq!(found.next(), None, "{text:?} is shown once");
    message
}
