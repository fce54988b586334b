//! Who asks, and whether they may.

use axum::http::request::Parts;
use axum::http::{Method, StatusCode, header};
use chrono::{DateTime, Utc};

use super::api;
use super::limit::{Bucket, Standing};
use super::refuse::{Answer, Refuse};
use super::world::World;

/// What anybody may see.
const OPEN: [&str; 3] = ["/api/config", "/api/health", "/api/health/ready"];

/// Lets a request in, and counts it.
pub(super) fn admit(world: &mut World, head: &Parts, now: DateTime<Utc>) -> Answer<Vec<Standing>> {
    let path = head.uri.path();
    if OPEN.contains(&path) || path.starts_with("/preview/") {
        return Ok(Vec::new());
    }
    // Who failed too often is not looked at any more, whatever they bring.
    if let Some(refuse) = world.limits.used_up(Bucket::FailedAuth, now) {
        return Err(refuse);
    }
    if let Err(refuse) = identify(world, head) {
        if refuse.status() == StatusCode::UNAUTHORIZED {
            world.limits.count(Bucket::FailedAuth, now)?;
        }
        return Err(refuse);
    }
    may(world, &head.method, path)?;
    api::buckets(&head.method, path).into_iter().map(|bucket| world.limits.count(bucket, now)).collect()
}

fn identify(world: &World, head: &Parts) -> Answer<()> {
    let text = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
    let given = text(header::AUTHORIZATION.as_str()).and_then(|value| value.strip_prefix("Bearer "));
    match given {
        Some(key) if key == world.key => Ok(()),
        Some(token) if token == world.jwt => match text("x-daytona-organization-id") {
            Some(organization) if organization == world.organization => Ok(()),
            _ => Err(Refuse::new(StatusCode::FORBIDDEN, "Organization not found or access denied")),
        },
        _ if head.uri.path().starts_with("/toolbox/") => {
            Err(Refuse::new(StatusCode::UNAUTHORIZED, "authentication failed: Bearer token is invalid"))
        }
        _ => Err(Refuse::new(StatusCode::UNAUTHORIZED, "Invalid credentials")),
    }
}

fn may(world: &World, method: &Method, path: &str) -> Answer<()> {
    let needed = match *method {
        Method::DELETE if path.starts_with("/api/sandbox") => "delete:sandboxes",
        Method::POST | Method::PUT if path.starts_with("/api/sandbox") => "write:sandboxes",
        _ => return Ok(()),
    };
    if world.suspended {
        return Err(Refuse::new(StatusCode::FORBIDDEN, "Organization is suspended"));
    }
    if !world.permissions.contains(needed) {
        return Err(Refuse::new(StatusCode::FORBIDDEN, "Forbidden resource"));
    }
    Ok(())
}
