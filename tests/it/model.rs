//! Models through the real client, against the stand-in that refuses what the providers refuse.

use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use threadbox::model::retry::RetryPolicy;
use threadbox::model::router::{Deadlines, Http, Patience, build};
use threadbox::model::{
    Answer, Arguments, Delta, Message, Model, ModelError, ModelName, Part, Request, Role, ToolCall, ToolResult, ToolSpec,
};
use threadbox::standin::model::*;

const CHAT: &str = "openai/gpt-4.1";
const RESPONSES: &str = "openai/gpt-5";
const ANTHROPIC: &str = "anthropic/claude-opus-4-8";
const GEMINI: &str = "google/gemini-2.5-flash";
const MISTRAL: &str = "mistral/mistral-large-latest";
const GROQ: &str = "groq/qwen/qwen3-32b";
const ALL: [&str; 4] = [CHAT, RESPONSES, ANTHROPIC, GEMINI];

/// A chain of models, all of them the stand-in.
struct Desk {
    standin: ModelStandin,
    model: Arc<dyn Model>,
    deltas: Mutex<Vec<String>>,
}

impl Desk {
    async fn new(chain: &str) -> Self {
        Self::with(chain, quick()).await
    }

    async fn with(chain: &str, patience: Patience) -> Self {
        let standin = ModelStandin::start().await.unwrap();
        let model = model(&standin, chain, &patience);
        Self { standin, model, deltas: Mutex::default() }
    }

    async fn ask(&self, messages: &[Message]) -> Result<Answer, ModelError> {
        let note = |delta: Delta| {
            self.deltas.lock().unwrap().push(match delta {
                Delta::Text(text) => text,
                Delta::Restart { reason } => format!("[restart: {reason}]"),
            });
        };
        self.model.answer(&request(messages), &note).await
    }

    async fn say(&self, text: &str) -> String {
        match self.ask(&[user(text)]).await {
            Ok(answer) => answer.message.plain_text(),
            Err(error) => format!("error: {error}"),
        }
    }

    fn told(&self) -> String {
        self.deltas.lock().unwrap().concat()
    }

    /// Nothing is left over: every turn was asked for, and nothing was refused.
    async fn close(self) {
        assert_eq!(self.standin.objections(), Vec::<String>::new());
        assert_eq!(self.standin.left(), 0, "turns nobody asked for");
        self.standin.shutdown().await;
    }
}

fn model(standin: &ModelStandin, chain: &str, patience: &Patience) -> Arc<dyn Model> {
    let settings = standin.settings(chain);
    static HTTP: LazyLock<Http> = LazyLock::new(|| Http::new().unwrap());
    build(&settings, &settings.chain, &HTTP, patience).unwrap()
}

fn quick() -> Patience {
    let retry = RetryPolicy { tries: 3, first_wait: Duration::from_millis(1), jitter: || 0.0, ..RetryPolicy::default() };
    Patience { retry, deadlines: Deadlines::default() }
}

fn hasty(change: impl FnOnce(&mut Deadlines)) -> Patience {
    let mut patience = quick();
    change(&mut patience.deadlines);
    patience
}

fn user(text: &str) -> Message {
    Message::text(Role::User, text)
}

fn request(messages: &[Message]) -> Request {
    let schema = json!({ "type": "object", "properties": { "code": { "type": "string" } }, "required": ["code"] });
    let tool = |name: &str| ToolSpec { name: name.into(), description: "Runs code.".into(), schema: schema.clone() };
    Request {
        system: "You are the agent.".into(),
        messages: messages.to_vec(),
        tools: vec![tool("runCode"), tool("readFile")],
        max_output_tokens: None,
    }
}

/// Results for every call of the answer.
fn results(answer: &Answer, content: Value, is_error: bool) -> Message {
    let result = |call: &ToolCall| {
        Part::ToolResult(ToolResult { id: call.id.clone(), name: call.name.clone(), content: content.clone(), is_error })
    };
    Message { role: Role::Tool, parts: answer.message.tool_calls().map(result).collect() }
}

fn object(call: &ToolCall) -> Value {
    match &call.arguments {
        Arguments::Object(object) => Value::Object(object.clone()),
        Arguments::Broken(text) => json!({ "broken": text }),
    }
}

#[tokio::test]
async fn a_turn_with_a_tool_call_and_its_result() {
    for name in ALL {
        let desk = Desk::new(name).await;
        desk.standin.script([say_and_call("I will run it.", "runCode", json!({ "code": "print(6*7)" })), say("It is 42. ✓")]);

        let first = desk.ask(&[user("what is 6*7?")]).await.unwrap();
        assert_eq!(first.message.plain_text(), "I will run it.", "{name}");
        let calls: Vec<_> = first.message.tool_calls().collect();
        assert_eq!(calls.len(), 1, "{name}");
        assert_eq!((calls[0].name.as_str(), object(calls[0])), ("runCode", json!({ "code": "print(6*7)" })), "{name}");

        let history = [user("what is 6*7?"), first.message.clone(), results(&first, json!({ "output": "42" }), false)];
        let second = desk.ask(&history).await.unwrap();
        assert_eq!(second.message.plain_text(), "It is 42. ✓", "{name}");
        assert_eq!(second.model.to_string(), name);
        assert!(
            !second.truncated && !second.usage.estimated && second.usage.input > 0 && second.usage.output > 0,
            "{name}: {:?}",
            second.usage
        );
        assert_eq!(desk.told(), "I will run it.It is 42. ✓", "{name}");

        let asked = desk.standin.requests();
        assert_eq!(asked[0].model, name.split_once('/').unwrap().1);
        assert!(asked[0].streamed && asked[0].offers("readFile") && asked[0].system.contains("the agent"), "{name}");
        assert_eq!(asked[1].new_results()[0].text, r#"{"output":"42"}"#, "{name}");
        desk.close().await;
    }
}

#[tokio::test]
async fn two_parallel_calls_keep_their_ids_and_order() {
    for name in ALL {
        let desk = Desk::new(name).await;
        let two = || calls([("runCode", json!({ "code": "1" })), ("runCode", json!({ "code": "2" }))]);
        desk.standin.script([two(), two(), say("both")]);

        let mut history = vec![user("go")];
        for _ in 0..2 {
            let answer = desk.ask(&history).await.unwrap();
            let arguments: Vec<_> = answer.message.tool_calls().map(object).collect();
            assert_eq!(arguments, [json!({ "code": "1" }), json!({ "code": "2" })], "{name}");
            history.extend([answer.message.clone(), results(&answer, json!("ok"), false)]);
        }
        assert_eq!(desk.ask(&history).await.unwrap().message.plain_text(), "both", "{name}");

        let mut ids: Vec<_> = history.iter().flat_map(Message::tool_calls).map(|call| call.id.clone()).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 4, "ids are unique in the thread ({name})");
        desk.close().await;
    }
}

#[tokio::test]
async fn results_stored_one_by_one_and_failed_ones_are_accepted() {
    for name in ALL {
        let desk = Desk::new(name).await;
        desk.standin.script([calls([("runCode", json!({ "code": "1" })), ("readFile", json!({ "code": "2" }))]), say("done")]);
        let answer = desk.ask(&[user("go")]).await.unwrap();
        let mut history = vec![user("go"), answer.message.clone()];
        for part in results(&answer, json!("no such file"), true).parts {
            history.push(Message { role: Role::Tool, parts: vec![part] });
        }
        history.push(user("and hurry"));
        desk.ask(&history).await.unwrap();
        let seen = desk.standin.requests().pop().unwrap();
        assert_eq!(seen.new_results().len(), 2, "{name}");
        assert_eq!(seen.new_results()[0].is_error, name == ANTHROPIC);
        assert_eq!(seen.last_user_text(), "and hurry", "{name}");
        desk.close().await;
    }
}

#[tokio::test]
async fn signed_reasoning_goes_back_to_the_model_it_came_from() {
    for (name, place) in [(ANTHROPIC, "\"thinking\""), (RESPONSES, "\"encrypted_content\""), (GEMINI, "\"thoughtSignature\"")] {
        let desk = Desk::new(name).await;
        desk.standin.script([think("Hm, code it is.", call("runCode", json!({ "code": "1" }))), say("done")]);
        let answer = desk.ask(&[user("go")]).await.unwrap();
        desk.ask(&[user("go"), answer.message.clone(), results(&answer, json!("ok"), false)]).await.unwrap();
        assert!(desk.standin.requests()[1].body.to_string().contains(place), "{name}");
        desk.close().await;
    }
    let desk = Desk::new("deepseek/deepseek-reasoner").await;
    desk.standin.script([think("Hm.", call("runCode", json!({ "code": "1" }))), say("done")]);
    let answer = desk.ask(&[user("go")]).await.unwrap();
    desk.ask(&[user("go"), answer.message.clone(), results(&answer, json!("ok"), false)]).await.unwrap();
    assert_eq!(desk.standin.requests()[1].body["messages"][2]["reasoning_content"], "Hm.");
    desk.close().await;
}

#[tokio::test]
async fn any_model_can_go_on_where_another_began() {
    let names = [CHAT, RESPONSES, ANTHROPIC, GEMINI, MISTRAL, GROQ];
    for from in names {
        let desk = Desk::new(from).await;
        desk.standin
            .script([think("Hm.", say_and_call("Wait.", "runCode", json!({ "code": "1" }))), raw_arguments("runCode", "{}")]);
        let first = desk.ask(&[user("go")]).await.unwrap();
        let mut history = vec![user("go"), first.message.clone(), results(&first, json!("ok"), false)];
        let second = desk.ask(&history).await.unwrap();
        history.extend([second.message.clone(), results(&second, json!({ "error": "no code" }), true)]);
        for to in names {
            desk.standin.script([say("done")]);
            let next = model(&desk.standin, to, &quick());
            let answer = next.answer(&request(&history), &|_| {}).await;
            assert_eq!(
                answer.map(|answer| answer.message.plain_text()).map_err(|error| error.to_string()),
                Ok("done".into()),
                "{from} → {to}"
            );
        }
        desk.close().await;
    }
}

#[tokio::test]
async fn passing_troubles_are_tried_again() {
    for name in ALL {
        for (trouble, told) in [
            (busy("0.02"), "is limiting our requests (429)"),
            (status(529), "is overloaded (529)"),
            (status(500), "had an error of its own (500)"),
            (status(408), "took too long (408)"),
            (error_after(2, say("half an answer, and a little more of it")), "broke off the answer"),
        ] {
            let desk = Desk::new(name).await;
            desk.standin.script([trouble, say("done")]);
            assert_eq!(desk.say("go").await, "done", "{name}: {told}");
            let deltas = desk.told();
            assert!(deltas.ends_with("Trying again.]done"), "{name}: {deltas}");
            assert!(deltas.contains(told) || deltas.contains("is overloaded"), "{name}: {deltas}");
            desk.close().await;
        }
    }
}

#[tokio::test]
async fn the_wait_a_provider_asks_for_is_kept() {
    let desk = Desk::new(CHAT).await;
    desk.standin.script([busy("0.2"), say("done")]);
    let started = std::time::Instant::now();
    assert_eq!(desk.say("go").await, "done");
    assert!(started.elapsed() >= Duration::from_millis(200));
    desk.close().await;
}

#[tokio::test]
async fn a_stream_cut_at_any_frame_is_noticed_and_begun_anew() {
    for name in ALL {
        for how in [Cut::Ends, Cut::Breaks] {
            let desk = Desk::new(name).await;
            let mut frames = 0;
            loop {
                let before = desk.standin.count();
                desk.standin.script([
                    cut_after(frames, how, say_and_call("Let me see what this prints.", "runCode", json!({ "code": "1" }))),
                    say("again"),
                ]);
                let answer = desk.ask(&[user("go")]).await.unwrap();
                if desk.standin.count() - before == 1 {
                    assert_eq!(answer.message.tool_calls().count(), 1, "the cut came after the end ({name})");
                    break;
                }
                assert_eq!(answer.message.plain_text(), "again", "{name} {how:?} {frames}");
                assert_eq!(answer.message.tool_calls().count(), 0, "{name} {how:?} {frames}");
                frames += 1;
            }
            assert!(frames >= 3, "{name} {how:?}: only {frames}");
            assert_eq!(desk.standin.left(), 1);
            assert_eq!(desk.say("go").await, "again");
            desk.close().await;
        }
    }
}

#[tokio::test]
async fn broken_arguments_are_kept_as_text_and_missing_ones_are_none() {
    for name in [CHAT, RESPONSES, ANTHROPIC] {
        let desk = Desk::new(name).await;
        desk.standin.script([raw_arguments("runCode", "{\"code\": \"print("), empty_arguments("runCode"), say("done")]);
        let broken = desk.ask(&[user("go")]).await.unwrap();
        let call = broken.message.tool_calls().next().unwrap().clone();
        assert_eq!(call.arguments, Arguments::Broken("{\"code\": \"print(".into()), "{name}");
        let empty = desk.ask(&[user("go")]).await.unwrap();
        assert_eq!(object(empty.message.tool_calls().next().unwrap()), json!({}), "{name}");
        let history = [user("go"), broken.message.clone(), results(&broken, json!("Your arguments are no JSON."), true)];
        assert_eq!(desk.ask(&history).await.unwrap().message.plain_text(), "done", "{name}");
        desk.close().await;
    }
    let desk = Desk::new(GEMINI).await;
    desk.standin.script([raw_arguments("runCode", "{\"code\": "), empty_arguments("runCode")]);
    let answer = desk.ask(&[user("go")]).await.unwrap();
    assert_eq!(object(answer.message.tool_calls().next().unwrap()), json!({}));
    assert!(desk.told().contains("MALFORMED_FUNCTION_CALL"));
    desk.close().await;
}

#[tokio::test]
async fn a_provider_that_hangs_is_given_up() {
    let short = Duration::from_millis(150);
    for name in ALL {
        let desk = Desk::with(name, hasty(|deadlines| deadlines.headers = short)).await;
        desk.standin.script([hang(), say("done")]);
        assert_eq!(desk.say("go").await, "done", "{name}");
        assert!(desk.told().contains("did not begin to answer in time"), "{name}: {}", desk.told());
        desk.close().await;

        let desk = Desk::with(name, hasty(|deadlines| deadlines.idle = short)).await;
        desk.standin.script([hang_after(1, say("half")), say("done")]);
        assert_eq!(desk.say("go").await, "done", "{name}");
        assert!(desk.told().contains("fell silent in the middle"), "{name}: {}", desk.told());
        desk.close().await;
    }
    let desk = Desk::with(CHAT, hasty(|deadlines| deadlines.total = short)).await;
    desk.standin.script([hang_after(1, say("half")), say("done")]);
    assert_eq!(desk.say("go").await, "done");
    assert!(desk.told().contains("did not finish within"), "{}", desk.told());
    desk.close().await;
}

#[tokio::test]
async fn the_next_model_of_the_chain_takes_over() {
    let chain = format!("{CHAT},{ANTHROPIC},{GEMINI}");
    for trouble in [vec![status(401)], vec![status(404)], vec![status(413)], vec![status(500), status(500), status(500)]] {
        let desk = Desk::new(&chain).await;
        desk.standin.script(trouble);
        desk.standin.script([say("from the second")]);
        let answer = desk.ask(&[user("go")]).await.unwrap();
        assert_eq!((answer.message.plain_text().as_str(), answer.model.to_string().as_str()), ("from the second", ANTHROPIC));
        assert_eq!(desk.standin.requests().last().unwrap().protocol, Protocol::Anthropic);
        desk.close().await;
    }
}

#[tokio::test]
async fn errors_inside_a_stream_advance_the_chain_and_void_the_partial_text() {
    let desk = Desk::new(&format!("{ANTHROPIC},{CHAT}")).await;
    desk.standin.script((0..3).map(|_| error_after(4, say("partial"))));
    desk.standin.script([say("whole")]);
    assert_eq!(desk.say("go").await, "whole");
    insta::assert_snapshot!(desk.told().replace(']', "]\n"), @"
    partial[restart: Anthropic broke off the answer: “Overloaded”. Trying again.]
    partial[restart: Anthropic broke off the answer: “Overloaded”. Trying again.]
    partial[restart: Anthropic broke off the answer: “Overloaded”. Tried 3 times. Trying openai/gpt-4.1.]
    whole
    ");
    desk.close().await;
}

#[tokio::test]
async fn when_nobody_answers_people_read_why_and_what_to_do() {
    let key = json!({ "error": { "message": "Incorrect API key provided: sk-1234567890abcdef", "code": "invalid_api_key" } });
    let long =
        json!({ "error": { "message": "This model's maximum context length is 10 tokens.", "code": "context_length_exceeded" } });
    let body = |code, body| Turn::Status { code, headers: vec![], body: Some(body) };
    let mut told = Vec::new();
    for (name, turn) in [
        (CHAT, body(401, key)),
        (CHAT, body(400, long)),
        (CHAT, status(404)),
        (ANTHROPIC, status(403)),
        (GEMINI, status(400)),
        ("cerebras/llama-3.3-70b", status(404)),
        (ANTHROPIC, filtered()),
        (GEMINI, filtered()),
        (CHAT, busy("3600")),
    ] {
        let desk = Desk::new(name).await;
        desk.standin.script([turn]);
        told.push(desk.say("go").await);
        desk.close().await;
    }
    let desk = Desk::new(CHAT).await;
    desk.standin.script((0..3).map(|_| status(500)));
    told.push(desk.say("go").await);
    desk.close().await;
    insta::assert_snapshot!(told.join("\n"), @"
    error: OpenAI refused the key (401). Check OPENAI_API_KEY.
    error: the conversation is too long for the model: OpenAI (400): “This model's maximum context length is 10 tokens”
    error: OpenAI does not know the model gpt-4.1 (404). Check its name in MODEL (and OPENAI_BASE_URL, if set).
    error: Anthropic refused access (403): “scripted by the stand-in”. Check that the key in ANTHROPIC_API_KEY may use anthropic/claude-opus-4-8.
    error: Google refused the request (400): “scripted by the stand-in”. Try another model.
    error: Cerebras does not know the model llama-3.3-70b (404). It is gone; use cerebras/gpt-oss-120b.
    error: The content filter of Anthropic kept the answer back. Ask differently.
    error: The content filter of Google kept the answer back. Ask differently.
    error: OpenAI is limiting our requests (429). It asks to wait 3600 seconds, which is too long.
    error: OpenAI had an error of its own (500). Tried 3 times.
    ");
}

#[tokio::test]
async fn a_provider_that_is_gone_is_named_with_its_address_variable() {
    let desk = Desk::new(CHAT).await;
    desk.standin.shutdown().await;
    let error = desk.model.answer(&request(&[user("go")]), &|_| {}).await.unwrap_err();
    insta::assert_snapshot!(error, @"OpenAI cannot be reached. If this lasts, check OPENAI_BASE_URL and the network. Tried 3 times.");
}

#[tokio::test]
async fn an_answer_cut_at_the_limit_says_so() {
    for name in ALL {
        let desk = Desk::new(name).await;
        desk.standin.script([truncated(say("as far as it goes"))]);
        let answer = desk.ask(&[user("go")]).await.unwrap();
        assert!(answer.truncated, "{name}");
        assert_eq!(answer.message.plain_text(), "as far as it goes", "{name}");
        desk.close().await;
    }
}

#[tokio::test]
async fn figures_are_estimated_only_where_the_provider_gives_none() {
    for name in [CHAT, RESPONSES, ANTHROPIC, GEMINI, GROQ] {
        let desk = Desk::new(name).await;
        desk.standin.script([without_usage(say("12345678"))]);
        let answer = desk.ask(&[user("go")]).await.unwrap();
        assert!(answer.usage.estimated, "{name}");
        assert_eq!(answer.usage.output, 2, "{name}");
        assert!(answer.usage.input > 20, "{name}");
        desk.close().await;
    }
}

#[tokio::test]
async fn the_prefix_of_a_conversation_is_read_from_the_cache() {
    for name in ALL {
        let desk = Desk::new(name).await;
        desk.standin.script([call("runCode", json!({ "code": "1" })), say("done")]);
        let long = user(&"a long story ".repeat(200));
        let first = desk.ask(std::slice::from_ref(&long)).await.unwrap();
        assert_eq!(first.usage.cached, 0, "{name}");
        let second = desk.ask(&[long, first.message.clone(), results(&first, json!("ok"), false)]).await.unwrap();
        assert!(second.usage.cached >= 512 && second.usage.cached < second.usage.input, "{name}: {:?}", second.usage);
        desk.close().await;
    }
}

#[tokio::test]
async fn text_arrives_while_the_answer_is_still_being_written() {
    for name in ALL {
        let desk = Arc::new(Desk::new(name).await);
        let gate = Gate::closed();
        let frames = [(CHAT, 2), (RESPONSES, 4), (ANTHROPIC, 4), (GEMINI, 1)].iter().find(|(model, _)| *model == name).unwrap().1;
        desk.standin.script([pause_after(frames, &gate, say("first half of the text, and then the second half of the text"))]);
        let asking = tokio::spawn({
            let desk = desk.clone();
            async move { desk.say("go").await }
        });
        let seen = async {
            while desk.told().is_empty() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), seen).await.unwrap();
        assert!(desk.told().len() < 40, "{name}: {}", desk.told());
        gate.open();
        assert_eq!(asking.await.unwrap(), "first half of the text, and then the second half of the text");
    }
}

#[tokio::test]
async fn rules_answer_by_content_for_many_threads_at_once() {
    let desk = Arc::new(Desk::new(CHAT).await);
    desk.standin.rule(|request| request.last_user_text().strip_prefix("echo ").map(say));
    let asked = (0..20).map(|number| {
        let desk = desk.clone();
        tokio::spawn(async move { (number, desk.say(&format!("echo {number}")).await) })
    });
    for asked in asked.collect::<Vec<_>>() {
        let (number, text) = asked.await.unwrap();
        assert_eq!(text, number.to_string());
    }
}

#[tokio::test]
async fn a_model_id_passes_through_unseen() {
    for id in ["org/model:free", "qwen-max", "o9-high", "a::b", "gpt-4.1-low"] {
        let name: ModelName = format!("acme/{id}").parse().unwrap();
        let desk = Desk::new(&name.to_string()).await;
        desk.standin.script([say("done")]);
        assert_eq!(desk.say("go").await, "done", "{id}");
        assert_eq!(desk.standin.requests()[0].model, id);
        desk.close().await;
    }
}

/// Sends a body as it is, with the provider's headers.
async fn post(standin: &ModelStandin, protocol: Protocol, path: &str, body: &Value) -> (u16, Value) {
    let url = format!("{}{path}", standin.base_url(protocol));
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = http.post(url).header("authorization", "Bearer k").header("x-api-key", "k").header("x-goog-api-key", "k");
    let response = request.header("anthropic-version", "2023-06-01").json(body).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

#[tokio::test]
async fn the_stand_in_speaks_whole_answers_too() {
    let standin = ModelStandin::start().await.unwrap();
    standin.rule(|_| Some(say_and_call("Hi.", "runCode", json!({ "code": "1" }))));
    let said = json!([{ "role": "user", "content": "go" }]);
    let (_, chat) = post(&standin, Protocol::OpenAi, "/chat/completions", &json!({ "model": "m", "messages": said })).await;
    assert_eq!(chat["choices"][0]["message"]["content"], "Hi.");
    assert_eq!(chat["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"], r#"{"code":"1"}"#);
    let (_, responses) = post(&standin, Protocol::Responses, "/responses", &json!({ "model": "m", "input": "go" })).await;
    assert_eq!(responses["output"][1]["name"], "runCode");
    let (_, claude) =
        post(&standin, Protocol::Anthropic, "/messages", &json!({ "model": "m", "max_tokens": 9, "messages": said })).await;
    assert_eq!((&claude["stop_reason"], &claude["content"][1]["input"]), (&json!("tool_use"), &json!({ "code": "1" })));
    let contents = json!({ "contents": [{ "role": "user", "parts": [{ "text": "go" }] }] });
    let (_, gemini) = post(&standin, Protocol::Gemini, "/models/m:generateContent", &contents).await;
    assert_eq!(gemini["candidates"][0]["content"]["parts"][1]["functionCall"]["args"], json!({ "code": "1" }));
    assert_eq!(standin.objections(), Vec::<String>::new());
}

#[tokio::test]
async fn the_stand_in_refuses_malformed_conversations() {
    let standin = ModelStandin::start().await.unwrap();
    standin.rule(|_| Some(say("accepted")));
    let user = json!({ "role": "user", "content": "go" });

    let call = |id: &str| json!({ "id": id, "type": "function", "function": { "name": "f", "arguments": "{}" } });
    let assistant = |calls: Vec<Value>| json!({ "role": "assistant", "content": null, "tool_calls": calls });
    let tool = |id: &str| json!({ "role": "tool", "tool_call_id": id, "content": "ok" });
    let chat = |messages: Value| (Protocol::OpenAi, "/chat/completions", json!({ "model": "m", "messages": messages }));
    let with_tool = |parameters: Value| {
        let tools = json!([{ "type": "function", "function": { "name": "f", "parameters": parameters } }]);
        (Protocol::OpenAi, "/chat/completions", json!({ "model": "m", "messages": [user.clone()], "tools": tools }))
    };

    let used = |id: &str| json!({ "role": "assistant", "content": [{ "type": "tool_use", "id": id, "name": "f", "input": {} }] });
    let result = |id: &str| json!({ "role": "user", "content": [{ "type": "tool_result", "tool_use_id": id, "content": "ok" }] });
    let claude =
        |messages: Value| (Protocol::Anthropic, "/messages", json!({ "model": "m", "max_tokens": 9, "messages": messages }));

    let asked = json!({ "role": "user", "parts": [{ "text": "go" }] });
    let called = json!({ "role": "model", "parts": [{ "functionCall": { "name": "f", "args": {} } }] });
    let answered = |name: &str| json!({ "role": "user", "parts": [{ "functionResponse": { "name": name, "response": { "content": "ok" } } }] });
    let gemini = |contents: Value| (Protocol::Gemini, "/models/m:generateContent", json!({ "contents": contents }));

    let function_call = json!({ "type": "function_call", "call_id": "a", "name": "f", "arguments": "{}" });
    let responses = |input: Value| (Protocol::Responses, "/responses", json!({ "model": "m", "input": input }));

    let refused = [
        chat(json!([])),
        chat(json!([{ "role": "robot", "content": "go" }])),
        chat(json!([user, tool("a")])),
        chat(json!([user, assistant(vec![call("a")])])),
        chat(json!([user, assistant(vec![call("a")]), user])),
        chat(json!([user, assistant(vec![call("a"), call("b")]), tool("a")])),
        chat(json!([user, assistant(vec![call("a"), call("a")]), tool("a"), tool("a")])),
        chat(json!([user, assistant(vec![call("a")]), tool("a"), tool("a")])),
        with_tool(json!({ "type": "string" })),
        with_tool(json!({})),
        claude(json!([user, result("a")])),
        claude(json!([user, used("a"), user])),
        claude(json!([user, used("a"), result("a"), used("a"), result("a")])),
        claude(json!([user, { "role": "assistant", "content": "" }])),
        claude(
            json!([user, { "role": "assistant", "content": [{ "type": "thinking", "thinking": "hm", "signature": "forged" }] }]),
        ),
        (Protocol::Anthropic, "/messages", json!({ "model": "m", "messages": [user.clone()] })),
        gemini(json!([asked, answered("f")])),
        gemini(json!([asked, called])),
        gemini(json!([asked, called, answered("g")])),
        gemini(json!([{ "role": "robot", "parts": [{ "text": "go" }] }])),
        responses(json!([{ "role": "user", "content": "go" }, function_call])),
        responses(json!([{ "type": "function_call_output", "call_id": "a", "output": "ok" }])),
    ];
    for (index, (protocol, path, body)) in refused.iter().enumerate() {
        let (status, answer) = post(&standin, *protocol, path, body).await;
        assert_eq!(status, 400, "{index}: {body} → {answer}");
        assert!(answer["error"]["message"].as_str().is_some_and(|text| !text.is_empty()), "{index}: {answer}");
        assert_eq!(standin.objections().len(), index + 1);
    }

    let accepted = [
        chat(json!([user, assistant(vec![call("a"), call("b")]), tool("b"), tool("a"), user])),
        with_tool(json!({ "type": "object" })),
        claude(json!([user, used("a"), result("a"), user])),
        gemini(json!([asked, called, answered("f"), asked])),
        responses(
            json!([{ "role": "user", "content": "go" }, function_call, { "type": "function_call_output", "call_id": "a", "output": "ok" }]),
        ),
    ];
    for (protocol, path, body) in &accepted {
        let (status, answer) = post(&standin, *protocol, path, body).await;
        assert_eq!(status, 200, "{body} → {answer}");
    }
}

#[tokio::test]
async fn the_stand_in_wants_a_key() {
    let standin = ModelStandin::start().await.unwrap();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    for (protocol, path, status) in [
        (Protocol::OpenAi, "/chat/completions", 401),
        (Protocol::Responses, "/responses", 401),
        (Protocol::Anthropic, "/messages", 401),
        (Protocol::Gemini, "/models/m:generateContent", 403),
    ] {
        let response = http.post(format!("{}{path}", standin.base_url(protocol))).body("{}").send().await.unwrap();
        assert_eq!(response.status().as_u16(), status);
    }
    let models = http.get(format!("{}/models", standin.base_url(Protocol::OpenAi)));
    assert_eq!(models.send().await.unwrap().status().as_u16(), 401);
}
