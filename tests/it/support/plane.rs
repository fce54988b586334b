//! A small control plane with machines that answer `GET /version`, which does what it is told to do wrong.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// What goes wrong with one call.
#[derive(Clone, Debug)]
pub enum Fault {
    /// This answer, and nothing is done.
    Says(u16, Vec<(&'static str, String)>, String),
    /// It is done, and the answer breaks off.
    Lost,
}

impl Fault {
    pub fn message(status: u16, message: &str) -> Self {
        Self::Says(status, vec![], json!({"statusCode": status, "error": "x", "message": message}).to_string())
    }

    pub fn empty(status: u16) -> Self {
        Self::Says(status, vec![], String::new())
    }
}

/// A machine.
#[derive(Clone, Debug, Default)]
pub struct Machine {
    pub id: String,
    pub name: String,
    pub state: String,
    /// States it goes through, one each time it is looked at.
    pub then: VecDeque<String>,
    /// Whether its toolbox answers while it is started.
    pub dead: bool,
    /// Whether it stays dead after a restart.
    pub hopeless: bool,
    pub recoverable: bool,
    pub error_reason: Option<String>,
    pub labels: BTreeMap<String, String>,
}

#[derive(Debug, Default)]
pub struct World {
    pub machines: Vec<Machine>,
    /// States a new machine goes through.
    pub births: VecDeque<Vec<&'static str>>,
    pub faults: HashMap<&'static str, VecDeque<Fault>>,
    /// Names of calls, in order.
    pub asked: Vec<String>,
    pub requests: Vec<(String, HeaderMap, Bytes)>,
    /// Shown in lists whatever is asked for.
    pub lies: Vec<Value>,
    pub error_reason: Option<String>,
    made: usize,
    url: String,
}

#[derive(Clone)]
pub struct Plane {
    pub url: String,
    world: Arc<Mutex<World>>,
}

impl Plane {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let world = Arc::new(Mutex::new(World { url: url.clone(), ..World::default() }));
        let shared = Arc::clone(&world);
        let app = axum::Router::new().fallback(move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
            let answer = answer(&shared, &method, &uri, headers, body);
            async move { answer }
        });
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { url, world }
    }

    pub fn world<T>(&self, act: impl FnOnce(&mut World) -> T) -> T {
        act(&mut self.world.lock().unwrap())
    }

    /// The next calls of this name go wrong like this.
    pub fn fault(&self, call: &'static str, faults: impl IntoIterator<Item = Fault>) {
        self.world(|world| world.faults.entry(call).or_default().extend(faults));
    }

    /// A machine in this state.
    pub fn machine(&self, name: &str, state: &str) -> String {
        let id = format!("id-of-{name}");
        let labels = [("app".to_owned(), "threadbox".to_owned())].into();
        let machine = Machine { id: id.clone(), name: name.into(), state: state.into(), labels, ..Machine::default() };
        self.world(|world| world.machines.push(machine));
        id
    }

    pub fn change(&self, name: &str, change: impl FnOnce(&mut Machine)) {
        self.world(|world| change(world.machines.iter_mut().find(|machine| machine.name == name).unwrap()));
    }

    /// What was asked, without looking: calls of these names.
    pub fn count(&self, call: &str) -> usize {
        self.world(|world| world.asked.iter().filter(|asked| *asked == call).count())
    }

    pub fn names(&self) -> Vec<String> {
        self.world(|world| world.machines.iter().map(|machine| machine.name.clone()).collect())
    }
}

fn answer(world: &Mutex<World>, method: &Method, uri: &Uri, headers: HeaderMap, body: Bytes) -> Response {
    let mut world = world.lock().unwrap();
    let path: Vec<&str> = uri.path().trim_matches('/').split('/').collect();
    let call = name(method, &path, uri.query().unwrap_or_default());
    world.asked.push(call.clone());
    world.requests.push((format!("{method} {uri}"), headers, body.clone()));
    let fault = world.faults.get_mut(call.as_str()).and_then(VecDeque::pop_front);
    if let Some(Fault::Says(status, headers, body)) = &fault {
        let mut response = (StatusCode::from_u16(*status).unwrap(), body.clone()).into_response();
        for (name, value) in headers {
            response.headers_mut().insert(*name, value.parse().unwrap());
        }
        return response;
    }
    let done = perform(&mut world, &call, &path, uri, &body);
    if matches!(fault, Some(Fault::Lost)) {
        let broken = futures::stream::iter([Ok(Bytes::from_static(b"{")), Err(std::io::Error::other("cut"))]);
        return Response::new(Body::from_stream(broken));
    }
    match done {
        Ok(value) => axum::Json(value).into_response(),
        Err((status, message)) => {
            let body =
                if message.is_empty() { String::new() } else { json!({"statusCode": status, "message": message}).to_string() };
            (StatusCode::from_u16(status).unwrap(), body).into_response()
        }
    }
}

fn name(method: &Method, path: &[&str], query: &str) -> String {
    match (method.as_str(), path) {
        ("POST", ["api", "sandbox"]) => "create".into(),
        ("GET", ["api", "sandbox"]) => "list".into(),
        ("GET", ["api", "sandbox", _]) => "look".into(),
        ("DELETE", ["api", "sandbox", _]) => "delete".into(),
        ("POST", ["api", "sandbox", _, "stop"]) if query.contains("force=true") => "kill".into(),
        ("POST", ["api", "sandbox", _, verb]) => (*verb).into(),
        ("GET", ["toolbox", _, "version"]) => "version".into(),
        (method, path) => format!("{method} {}", path.join("/")),
    }
}

type Done = Result<Value, (u16, String)>;

fn perform(world: &mut World, call: &str, path: &[&str], uri: &Uri, body: &Bytes) -> Done {
    match call {
        "create" => return create(world, body),
        "list" => return list(world, uri),
        _ => {}
    }
    let error_reason = world.error_reason.clone();
    let url = world.url.clone();
    let wanted = path.get(if path[0] == "toolbox" { 1 } else { 2 }).copied().unwrap_or_default();
    let Some(index) = world.machines.iter().position(|machine| machine.id == wanted || machine.name == wanted) else {
        return Err((404, if path[0] == "toolbox" { "sandbox container not found" } else { "Sandbox not found" }.into()));
    };
    if call == "delete" && !is_moving(&world.machines[index].state) {
        let machine = world.machines.remove(index);
        return Ok(shown(&machine, &url));
    }
    let machine = &mut world.machines[index];
    match call {
        "look" => {
            if let Some(state) = machine.then.pop_front() {
                machine.state = state;
            }
            if machine.state == "error" || machine.state == "build_failed" {
                machine.error_reason = machine.error_reason.clone().or(error_reason);
            }
        }
        "version" => {
            return match machine.state.as_str() {
                "started" if machine.dead => Err((502, String::new())),
                "started" => Ok(json!({"version": "0.190.0"})),
                "stopped" => Err((400, "no IP address found. Is the Sandbox started?".into())),
                "archived" => Err((404, "sandbox container not found".into())),
                _ => Err((502, String::new())),
            };
        }
        "last-activity" => {}
        _ if is_moving(&machine.state) => return Err((409, "Sandbox state change in progress".into())),
        "start" => match machine.state.as_str() {
            "started" => {}
            "error" => return Err((400, "Sandbox is in an errored state".into())),
            state => {
                let way = if state == "archived" { "restoring" } else { "starting" };
                machine.state = way.into();
                machine.then = [way.to_owned(), "started".to_owned()].into();
                machine.dead = machine.hopeless;
            }
        },
        "stop" | "kill" => {
            machine.state = "stopping".into();
            machine.then = ["stopping".to_owned(), "stopped".to_owned()].into();
        }
        "recover" => {
            machine.state = "starting".into();
            machine.then = ["started".to_owned()].into();
        }
        _ => return Err((404, format!("Cannot {call} /"))),
    }
    Ok(shown(machine, &url))
}

fn is_moving(state: &str) -> bool {
    matches!(state, "starting" | "stopping" | "creating" | "restoring" | "pulling_snapshot" | "pending_build")
}

fn create(world: &mut World, body: &Bytes) -> Done {
    let body: Value = serde_json::from_slice(body).unwrap();
    let name = body["name"].as_str().unwrap().to_owned();
    if world.machines.iter().any(|machine| machine.name == name) {
        return Err((409, format!("Sandbox with name {name} already exists")));
    }
    world.made += 1;
    let births = world.births.pop_front().unwrap_or_else(|| vec!["started"]);
    let mut states = births.into_iter().map(str::to_owned);
    let machine = Machine {
        id: format!("id-{}", world.made),
        name,
        state: states.next().unwrap(),
        then: states.collect(),
        labels: serde_json::from_value(body["labels"].clone()).unwrap(),
        ..Machine::default()
    };
    world.machines.push(machine.clone());
    Ok(shown(&machine, &world.url))
}

/// Two on a page.
fn list(world: &World, uri: &Uri) -> Done {
    let query: HashMap<String, String> =
        url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    let labels: BTreeMap<String, String> = serde_json::from_str(&query["labels"]).unwrap();
    let from: usize = query.get("cursor").map_or(0, |cursor| cursor.parse().unwrap());
    let carries = |machine: &&Machine| labels.iter().all(|(name, value)| machine.labels.get(name) == Some(value));
    let all: Vec<Value> =
        world.machines.iter().filter(carries).map(|machine| shown(machine, &world.url)).chain(world.lies.clone()).collect();
    let page: Vec<&Value> = all.iter().skip(from).take(2).collect();
    let next = (from + 2 < all.len()).then(|| (from + 2).to_string());
    Ok(json!({"items": page, "nextCursor": next}))
}

fn shown(machine: &Machine, url: &str) -> Value {
    json!({
        "id": machine.id, "name": machine.name, "state": machine.state, "labels": machine.labels, "recoverable": machine.recoverable,
        "errorReason": machine.error_reason, "toolboxProxyUrl": format!("{url}/toolbox/"), "createdAt": "2026-01-01T00:00:00.000Z",
        "cpu": 2, "memory": 4.0, "newerThanWe": {"are": true},
    })
}
