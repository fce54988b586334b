//! Who makes a request: the App by its signed token, an installation by the token it was given, an account by its own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use serde_json::Value;

use super::refuse::Refuse;
use super::world::{APP_ID, Repository, Visibility, World};
use super::{Expects, Shared};
use crate::secret::ExposeSecret;
use crate::settings::Permission;

/// The App's key: one per process, because making it takes a moment.
pub(super) struct AppKey {
    pub pem: String,
    public: Vec<u8>,
}

pub(super) fn app_key() -> &'static AppKey {
    static KEY: OnceLock<AppKey> = OnceLock::new();
    KEY.get_or_init(|| {
        let pair = KeyPair::generate(KeySize::Rsa2048).expect("an RSA key of a usual size can be made");
        let der = pair.as_der().expect("a key that was just made can be written down");
        let base64 = STANDARD.encode(der.as_ref());
        let lines = base64.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line)).collect::<Vec<_>>().join("\n");
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{lines}\n-----END PRIVATE KEY-----\n");
        AppKey { pem, public: pair.public_key().as_ref().to_vec() }
    })
}

/// 32 random hexadecimal digits.
pub(super) fn random() -> String {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system has random numbers");
    hex::encode(bytes)
}

/// What an installation token allows.
#[derive(Clone, Debug)]
pub(super) struct Grant {
    pub installation: i64,
    pub account: String,
    /// None: all of the account's repositories.
    pub repositories: Option<BTreeSet<i64>>,
    pub permissions: BTreeMap<String, String>,
    pub expires_at: DateTime<Utc>,
}

/// Who makes a request.
#[derive(Clone, Debug)]
pub(super) enum Actor {
    Nobody,
    App,
    Installation(Grant),
    User(String),
}

impl Actor {
    pub fn describe(&self) -> String {
        match self {
            Self::Nobody => "nobody".into(),
            Self::App => "app".into(),
            Self::Installation(grant) => format!("installation {}", grant.installation),
            Self::User(login) => format!("user {login}"),
        }
    }

    /// Only the App itself may go on.
    pub fn app(&self) -> Result<(), Refuse> {
        match self {
            Self::App => Ok(()),
            Self::Nobody | Self::Installation(_) | Self::User(_) => {
                Err(Refuse::unauthorized("A JSON web token could not be decoded"))
            }
        }
    }

    /// The login that writes.
    pub fn login(&self, world: &World) -> Result<String, Refuse> {
        match self {
            Self::Installation(_) => Ok(world.our_login()),
            Self::User(login) => Ok(login.clone()),
            Self::App | Self::Nobody => Err(Refuse::unauthorized("Requires authentication")),
        }
    }

    /// Goes on when the repository is visible and one of `accepted` (name, level) is held.
    pub fn may(&self, world: &World, repository: &Repository, accepted: &[(&str, Level)]) -> Result<(), Refuse> {
        match self {
            Self::Nobody => Err(Refuse::unauthorized("Requires authentication")),
            Self::App => Err(Refuse::unauthorized("A JSON web token is not accepted here")),
            Self::User(login) if world.permission(repository, login) >= Permission::Read => Ok(()),
            Self::User(_) => Err(Refuse::not_found()),
            // Everybody reads what is public, whatever their token is for.
            Self::Installation(grant) if !grant.covers(repository) => match repository.visibility {
                Visibility::Private => Err(Refuse::not_found()),
                Visibility::Public if accepted.iter().any(|(_, level)| *level == Level::Read) => Ok(()),
                Visibility::Public => Err(Refuse::not_accessible("")),
            },
            Self::Installation(grant) if accepted.iter().any(|(name, level)| grant.holds(name, *level)) => Ok(()),
            Self::Installation(_) => {
                let accepted = accepted.iter().map(|(name, level)| format!("{name}={}", level.as_str())).collect::<Vec<_>>();
                Err(Refuse::not_accessible(&accepted.join("; ")))
            }
        }
    }
}

/// How much of a permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Read,
    Write,
}

impl Level {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "read" => Some(Self::Read),
            "write" | "admin" => Some(Self::Write),
            _ => None,
        }
    }
}

impl Grant {
    fn covers(&self, repository: &Repository) -> bool {
        self.account.eq_ignore_ascii_case(repository.owner())
            && self.repositories.as_ref().is_none_or(|some| some.contains(&repository.id))
    }

    pub fn holds(&self, permission: &str, level: Level) -> bool {
        self.permissions.get(permission).and_then(|held| Level::parse(held)).is_some_and(|held| held >= level)
    }
}

#[derive(Deserialize)]
struct Claims {
    iat: i64,
    exp: i64,
    iss: Value,
}

/// Finds out who makes a request from its `Authorization` header.
pub(super) fn actor(shared: &Shared, world: &World, header: Option<&str>) -> Result<Actor, Refuse> {
    let Some(header) = header else { return Ok(Actor::Nobody) };
    let token = header.strip_prefix("Bearer ").or_else(|| header.strip_prefix("token "));
    let token = token.ok_or_else(|| Refuse::unauthorized("Bad credentials"))?;
    if shared.expects == Expects::Token && token == shared.token.expose_secret() {
        return Ok(Actor::User(world.our_login()));
    }
    if token.matches('.').count() == 2 && shared.expects == Expects::App {
        return check_app_token(token, world.clock.now()).map(|()| Actor::App);
    }
    let grant = world.tokens.get(token).filter(|grant| world.clock.now() < grant.expires_at);
    let grant = grant.ok_or_else(|| Refuse::unauthorized("Bad credentials"))?;
    match world.installations.get(&grant.installation) {
        None => Err(Refuse::unauthorized("Bad credentials")),
        Some(installation) if installation.suspended => {
            Err(Refuse::new(StatusCode::FORBIDDEN, "This installation has been suspended"))
        }
        Some(_) => Ok(Actor::Installation(grant.clone())),
    }
}

fn check_app_token(token: &str, now: DateTime<Utc>) -> Result<(), Refuse> {
    let mut validation = Validation::new(Algorithm::RS256);
    // Times are checked below, against the stand-in's own clock.
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    let claims = jsonwebtoken::decode::<Claims>(token, &DecodingKey::from_rsa_der(&app_key().public), &validation)
        .map_err(|_| Refuse::unauthorized("A JSON web token could not be decoded"))?
        .claims;
    let now = now.timestamp();
    let issuer = claims.iss.as_str().map_or_else(|| claims.iss.to_string(), str::to_owned);
    if issuer != APP_ID.to_string() {
        return Err(Refuse::unauthorized("'Issuer' claim ('iss') must be an Integer of the App"));
    }
    if claims.iat > now {
        return Err(Refuse::unauthorized(
            "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued",
        ));
    }
    if claims.exp <= now {
        return Err(Refuse::unauthorized(
            "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires",
        ));
    }
    if claims.exp - now > TimeDelta::minutes(10).num_seconds() {
        return Err(Refuse::unauthorized("'Expiration time' claim ('exp') is too far in the future"));
    }
    Ok(())
}
