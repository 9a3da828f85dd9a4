//! The commands about accounts: sign up, log in and out, another password, list, delete.

use std::process::ExitCode;

use chat_client::{ClientError, LoggedIn, UsersPage, UsersQuery};
use serde_json::json;

use crate::accounts::Accounts;
use crate::arguments::{DeleteAccount, List, Password, Person};
use crate::context::Context;
use crate::failure::Failure;
use crate::output::{count_unread, harmless, shell_quoted};
use crate::password;
use crate::progress::waiting;

pub(crate) async fn sign_up(context: &Context, person: &Person) -> Result<ExitCode, Failure> {
    let accounts = Accounts::open()?;
    let password = password::Source::new(person.password_stdin)
        .new_password(&format!("Password of {}: ", person.name))?;
    let client = context.client()?;
    let signing_up = async {
        let cluster_id = client.cluster_id().await?;
        let session = client.sign_up(&person.name, &password).await?;
        Ok::<_, ClientError>(session.of_cluster(&cluster_id))
    };
    let session = waiting("signing up", signing_up).await?;
    accounts.keep(&session)?;
    context.printer.print(
        || format!("Welcome, {}. You are logged in.", harmless(&person.name)),
        &json!({"username": person.name}),
    )?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn login(context: &Context, person: &Person) -> Result<ExitCode, Failure> {
    let accounts = Accounts::open()?;
    let source = password::Source::new(person.password_stdin);
    let password = source.current_password(&format!("Password of {}: ", person.name))?;
    let client = context.client()?;
    let logging_in = async {
        let cluster_id = client.cluster_id().await?;
        let LoggedIn { session, unread } = client.login(&person.name, &password).await?;
        Ok::<_, ClientError>((session.of_cluster(&cluster_id), unread))
    };
    let (session, unread) = waiting("logging in", logging_in).await?;
    accounts.keep(&session)?;
    context.printer.print(
        || {
            let name = harmless(&person.name);
            format!("Logged in as {name}: {}.", count_unread(unread))
        },
        &json!({"username": person.name, "unread": unread}),
    )?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn logout(context: &Context) -> Result<ExitCode, Failure> {
    let session = context.session().await?;
    let client = context.client()?;
    waiting("logging out", client.logout(&session)).await?;
    Accounts::open()?.forget(session.username())?;
    context.printer.print(
        || format!("{} is logged out.", harmless(session.username())),
        &json!({"username": session.username()}),
    )?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn password(context: &Context, password: &Password) -> Result<ExitCode, Failure> {
    let session = context.session().await?;
    let source = password::Source::new(password.password_stdin);
    let name = session.username();
    let present = source.current_password(&format!("Current password of {name}: "))?;
    let new = source.new_password("New password: ")?;
    let client = context.client()?;
    let changing = client.change_password(&session, &present, &new);
    let session = waiting("changing the password", changing).await?;
    Accounts::open()?.keep(&session)?;
    context.printer.print(
        || {
            let name = harmless(session.username());
            format!("{name} has a new password. All other sessions have ended.")
        },
        &json!({"username": session.username()}),
    )?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn delete_account(
    context: &Context,
    deletion: &DeleteAccount,
) -> Result<ExitCode, Failure> {
    let session = context.session().await?;
    if !deletion.yes {
        password::confirm(session.username())?;
    }
    let client = context.client()?;
    waiting("deleting the account", client.delete_account(&session)).await?;
    Accounts::open()?.forget(session.username())?;
    context.printer.print(
        || {
            let name = harmless(session.username());
            format!("{name} and all messages in the inbox are deleted.")
        },
        &json!({"username": session.username()}),
    )?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn list(context: &Context, list: &List) -> Result<ExitCode, Failure> {
    let session = context.session().await?;
    let query = UsersQuery {
        pattern: list.pattern.clone(),
        limit: Some(list.page.limit),
        after: list.page.after.clone(),
    };
    let client = context.client()?;
    let page = waiting("looking for accounts", client.users(&session, &query)).await?;
    context.printer.print(|| describe(&page), &page)?;
    Ok(ExitCode::SUCCESS)
}

fn describe(page: &UsersPage) -> String {
    let mut text = String::new();
    for name in &page.usernames {
        text += &format!("{}\n", harmless(name));
    }
    if let Some(next) = &page.next {
        text += &format!(
            "… there are more; --after {} shows them\n",
            shell_quoted(next)
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use chat_client::UsersPage;

    #[test]
    fn names_are_listed_without_control_characters() {
        let page = UsersPage {
            usernames: vec!["al".to_owned(), "\u{1b}bo".to_owned()],
            next: Some("b'; rm x".to_owned()),
        };
        let expected = "al\n\u{FFFD}bo\n… there are more; --after 'b'\\''; rm x' shows them\n";
        assert_eq!(super::describe(&page), expected);
    }
}
