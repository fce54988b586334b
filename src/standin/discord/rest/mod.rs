//! The routes, and what they have in common.

mod channel;
mod command;
mod guild;
mod interaction;
mod message;
mod reaction;
mod thread;
mod user;

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post, put};
use serde_json::Value;

use super::Shared;
use super::error::{Code, Refuse};
use super::shape::Content;
use super::world::World;

type Asked = State<Arc<Shared>>;
type Answer = Result<Json<Value>, Refuse>;
type Done = Result<StatusCode, Refuse>;

impl World {
    /// What of others' messages the application may read over HTTP: as its settings say.
    fn content(&self) -> Content {
        if self.app.privileged & super::intents::MESSAGE_CONTENT != 0 { Content::Shown } else { Content::Withheld }
    }
}

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .merge(channels())
        .merge(threads())
        .merge(applications())
        .route("/gateway", get(user::gateway))
        .route("/gateway/bot", get(user::gateway_bot))
        .route("/users/@me", get(user::me))
        .route("/users/@me/guilds", get(user::guilds))
        .route("/users/@me/guilds/{guild}", axum::routing::delete(user::leave))
        .route("/users/@me/channels", post(user::open_direct))
        .route("/users/{user}", get(user::one))
        .route("/guilds/{guild}", get(guild::one))
        .route("/guilds/{guild}/channels", get(guild::channels))
        .route("/guilds/{guild}/members/{user}", get(guild::member))
        .route("/guilds/{guild}/roles", get(guild::roles))
        .route("/guilds/{guild}/threads/active", get(guild::active_threads))
        .route("/interactions/{id}/{token}/callback", post(interaction::callback))
        .route("/webhooks/{application}/{token}", post(interaction::follow_up))
        .route(
            "/webhooks/{application}/{token}/messages/{message}",
            get(interaction::get).patch(interaction::edit).delete(interaction::delete),
        )
        .fallback(async || Refuse::from(Code::NOT_FOUND))
        .method_not_allowed_fallback(async || Refuse::from(Code::METHOD_NOT_ALLOWED))
}

fn channels() -> Router<Arc<Shared>> {
    Router::new()
        .route("/channels/{channel}", get(channel::get).patch(channel::edit).delete(channel::delete))
        .route("/channels/{channel}/typing", post(channel::typing))
        .route("/channels/{channel}/messages", get(message::list).post(message::create))
        .route("/channels/{channel}/messages/bulk-delete", post(message::bulk_delete))
        .route("/channels/{channel}/messages/{message}", get(message::get).patch(message::edit).delete(message::delete))
        .route("/channels/{channel}/messages/{message}/reactions/{emoji}", get(reaction::list))
        .route("/channels/{channel}/messages/{message}/reactions/{emoji}/{user}", put(reaction::add).delete(reaction::remove))
}

fn threads() -> Router<Arc<Shared>> {
    Router::new()
        .route("/channels/{channel}/messages/{message}/threads", post(thread::from_message))
        .route("/channels/{channel}/threads", post(thread::create))
        .route("/channels/{channel}/threads/archived/public", get(thread::archived_public))
        .route("/channels/{channel}/threads/archived/private", get(thread::archived_private))
        .route("/channels/{channel}/thread-members", get(thread::members))
        .route("/channels/{channel}/thread-members/{user}", put(thread::join).delete(thread::leave).get(thread::member))
}

fn applications() -> Router<Arc<Shared>> {
    let global = "/applications/{application}/commands";
    let of_guild = "/applications/{application}/guilds/{guild}/commands";
    Router::new()
        .route("/applications/@me", get(user::application))
        .route("/oauth2/applications/@me", get(user::application))
        .route(global, get(command::list).put(command::overwrite).post(command::create))
        .route(&format!("{global}/{{command}}"), get(command::one).patch(command::edit).delete(command::delete))
        .route(of_guild, get(command::list).put(command::overwrite).post(command::create))
        .route(&format!("{of_guild}/{{command}}"), get(command::one).patch(command::edit).delete(command::delete))
}
