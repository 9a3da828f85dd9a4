//! Which servers are used, and who is signed in. What is being typed is the view's; passwords are
//! never here.

use crate::model::failure::Failure;
use crate::model::names::Name;

/// The servers that this window talks to, and the ones it could.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Servers {
    /// In use: host and port each.
    pub addresses: Vec<String>,
    /// A cluster of `cargo xtask cluster up` that was found on this machine.
    pub local: LocalCluster,
    /// Whether the addresses are being tried.
    pub busy: bool,
    /// Why they cannot be used.
    pub failure: Option<Failure>,
}

/// Whether there is a cluster on this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LocalCluster {
    /// It is being looked for.
    #[default]
    Searching,
    /// There is none.
    Absent,
    /// There was one, and it is down.
    Stopped {
        /// Its nodes' addresses.
        addresses: Vec<String>,
    },
    /// There may be one, and another user may have written its description: it is not used.
    Untrusted {
        /// Which file, and what is wrong with it.
        why: String,
    },
    /// It is up.
    Running {
        /// Its nodes' addresses.
        addresses: Vec<String>,
    },
}

/// The state of the sign-in page.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SignIn {
    /// What is being done; nothing else can be begun meanwhile.
    pub busy: Option<SignInStep>,
    /// Why the last try failed.
    pub failure: Option<Failure>,
    /// Who was signed in here last; fills the field.
    pub remembered: Option<Name>,
}

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignInStep {
    /// A session that this device kept is taken up.
    Resuming,
    /// Signing in.
    SigningIn,
    /// Creating an account.
    SigningUp,
}

/// Who is signed in.
#[derive(Clone, Debug, PartialEq)]
pub struct Account {
    /// Their name.
    pub name: Name,
    /// What is being done with the account as a whole.
    pub busy: Option<AccountStep>,
    /// Why the last such thing failed.
    pub failure: Option<Failure>,
}

/// What is being done with an account as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountStep {
    /// Signing out.
    SigningOut,
    /// Deleting it.
    Deleting,
    /// Giving it another password.
    ChangingPassword,
}
