//! What can go wrong as far as a person is concerned: each with one sentence and what to do
//! next. Where it comes from (gRPC, JSON, a disk) is translated where it arrives.

use crate::model::names::{BODY_BYTES_MAX, NAME_CHARACTERS_MAX};

/// Why something did not work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No such account, or another password: the server does not report which.
    WrongCredentials,
    /// Another account has this name.
    NameTaken,
    /// The server does not allow this name, for this reason.
    NameNotAllowed(String),
    /// A field was left empty, or something like it; found before any request was sent.
    Incomplete(&'static str),
    /// No server answers at any of the addresses.
    NoServer {
        /// What was tried.
        addresses: Vec<String>,
    },
    /// A server answers in a protocol that this version does not understand.
    OtherVersion {
        /// The version that they report, if they report one.
        theirs: Option<String>,
    },
    /// What answers there is of another cluster than the session, whose token it was not sent.
    OtherCluster {
        /// Its address.
        address: String,
    },
    /// The servers do not belong together.
    DifferentClusters(String),
    /// The node that sent us changes is no longer connected.
    Interrupted,
    /// Nodes answer, and too few for a majority.
    NoMajority,
    /// It is not known yet whether it was done. Trying again is safe.
    OutcomeUnknown,
    /// The session has ended: signed out elsewhere, the password changed, or the account deleted.
    SessionEnded,
    /// The recipient has no account, or no longer has one.
    RecipientMissing,
    /// The text is too long.
    BodyTooLong,
    /// It was queued for so long that the servers may no longer know whether they have it already.
    TooOld,
    /// The server rejects it, and would reject it again.
    Refused(String),
    /// A text is not an address.
    AddressUnusable(String),
    /// What this device keeps could not be read or written.
    LocalStorage(String),
    /// The supervisor of the local cluster rejects the action, or does not answer.
    Supervisor(String),
    /// A change of the members of the local cluster was not made, or not completed.
    Members {
        /// What is known, in sentences.
        what: String,
        /// What the person can do now.
        next: String,
    },
}

impl Failure {
    /// What happened, in one sentence.
    pub fn sentence(&self) -> String {
        match self {
            Self::WrongCredentials => "The name or the password is wrong.".to_owned(),
            Self::NameTaken => "This name is taken.".to_owned(),
            Self::NameNotAllowed(why) => format!("This name cannot be used: {why}"),
            Self::Incomplete(what) => (*what).to_owned(),
            Self::NoServer { addresses } => {
                format!("No server answers at {}.", addresses.join(", "))
            }
            Self::OtherVersion { theirs: None } => {
                "The server there is not a chat server that this app supports.".to_owned()
            }
            Self::OtherVersion {
                theirs: Some(theirs),
            } => format!("The servers are version {theirs}, which this app does not support."),
            Self::OtherCluster { address } => format!(
                "The server at {address} belongs to another cluster. Your session was not sent to it."
            ),
            Self::DifferentClusters(what) => {
                format!("The servers belong to different clusters: {what}.")
            }
            Self::Interrupted => "The connection to a server was lost.".to_owned(),
            Self::NoMajority => {
                "The servers have no leader: they are electing one, or too few of them run."
                    .to_owned()
            }
            Self::OutcomeUnknown => "The servers did not answer in time.".to_owned(),
            Self::SessionEnded => "You have been signed out.".to_owned(),
            Self::RecipientMissing => {
                "This person has no account (or no longer has one).".to_owned()
            }
            Self::BodyTooLong => {
                format!("The text is too long: at most {BODY_BYTES_MAX} bytes fit.")
            }
            Self::TooOld => "It was queued for a day, and may have been sent already.".to_owned(),
            Self::Refused(why) => format!("The servers rejected it: {why}"),
            Self::AddressUnusable(_) => "Enter host:port, e.g. 127.0.0.1:7401.".to_owned(),
            Self::LocalStorage(what) => format!("This device could not store it: {what}"),
            Self::Members { what, .. } => what.clone(),
            Self::Supervisor(what) => format!("The local cluster did not do this: {what}"),
        }
    }

    /// What the person can do now, in one sentence.
    pub fn next_step(&self) -> String {
        let text = match self {
            Self::WrongCredentials => "Check both, or create an account.",
            Self::NameTaken => "Choose another name, or sign in if it is yours.",
            Self::NameNotAllowed(_) => {
                return format!("Use 1 to {NAME_CHARACTERS_MAX} visible characters.");
            }
            Self::Incomplete(_) => "",
            Self::NoServer { .. } => {
                "Check the addresses, or start a cluster with `cargo xtask cluster up`."
            }
            Self::OtherVersion { .. } => {
                "Check the addresses, or install the app that belongs to these servers."
            }
            Self::OtherCluster { .. } => {
                "To use these servers, sign out and sign in again. Otherwise check the addresses."
            }
            Self::DifferentClusters(_) => "Enter the addresses of one cluster only.",
            Self::Interrupted => "Trying another server.",
            Self::NoMajority => {
                "The app keeps trying. If it takes long, start more of the servers."
            }
            Self::OutcomeUnknown => "Try again: it cannot be done twice.",
            Self::SessionEnded => "Sign in again. What you wrote is kept on this device.",
            Self::RecipientMissing => "Check the name. The text is kept until you discard it.",
            Self::BodyTooLong => "Shorten it, or send it in parts.",
            Self::TooOld => "Ask whether it arrived before you send it again.",
            Self::Refused(_) => "Change it and try again.",
            Self::AddressUnusable(what) => return what.clone(),
            Self::LocalStorage(_) => "Free some disk space or check the folder's permissions.",
            Self::Members { next, .. } => return next.clone(),
            Self::Supervisor(_) => {
                "Check whether the cluster is running: `cargo xtask cluster status`."
            }
        };
        text.to_owned()
    }

    /// Whether the cause is temporary: then it is retried automatically, otherwise it is for the
    /// person to decide.
    pub fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::NoServer { .. }
                | Self::OtherCluster { .. }
                | Self::Interrupted
                | Self::NoMajority
                | Self::OutcomeUnknown
        )
    }
}
