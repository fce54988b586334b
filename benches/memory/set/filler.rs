//! What conversations are mostly made of: stack traces, commands, diffs, reviews, plans and small talk.

use super::chance::Chance;
use super::vocabulary::SUBJECTS;
use super::words::{Topic, fill};

const TALK: &[&str] = &[
    "thanks, that helps!",
    "Morning. I am out until {n} o'clock, {person} can take over the {subject2} meanwhile.",
    "Nice catch. I did not expect the {noun} to matter.",
    "lol, same here. Let's see what {person} says.",
    "Sorry for the noise, I had the wrong branch checked out.",
    "Can somebody restart the {subject2}? It has been red since lunch.",
    "+1",
    "Happy new week everybody, please look at your open reviews first.",
    "I will be on a train, so expect slow answers. Ask {person} about the {thing}.",
    "Good question, I forgot. {person} might remember.",
    "Works on my machine, famous last words. {tool} {version} here.",
    "Let us talk about it on the call, typing takes too long.",
];

const STATUS: &[&str] = &[
    "Status: the {subject} is at {n} %, the {aspect} comes next. Blocked by {person} on the review of #{k}.",
    "Rolled out to staging. The {subject2} looks fine, {n} requests a second, no new {code}.",
    "I rebased onto main at {sha}; the conflict was in `{path}`.",
    "The migration for the {noun} table ran for {n} minutes and touched {k} rows.",
    "Closed #{k} as a duplicate of #{n}. Both were about `{name}`.",
    "Deployed {version} at noon. Watching the {thing} and the {subject2} for an hour.",
    "The {tool} job went from {n} to {k} seconds, still looking for the cause.",
    "I spent the day on `{name}` and have nothing to show but a better understanding of the {noun}.",
];

const SETTLED: &[&str] = &[
    "Decision: the {subject} gets {value} as its {aspect}, because {reason}.",
    "Let's go with {value} for the {aspect} of the {subject}; {reason}.",
    "We agreed on {value} ({aspect} of the {subject}).",
    "Change of plan: the {subject} moves to {value} as {aspect}, {reason}.",
    "I would rather keep {value} for the {aspect} of the {subject}, {reason}.",
    "{person} wants {value} as {aspect} for the {subject}. I am not convinced.",
    "For the record: {subject}, {aspect}: {value}.",
    "The {aspect} of the {subject} was reported as {value} again this week.",
];

const ASKED: &[&str] = &[
    "Does anybody know why the {subject} ignores its {aspect}? I set it in `{path}`.",
    "@threadbox please run the tests of the {subject} and tell me what fails.",
    "What happens to the {noun} when `{name}` returns early?",
    "Why do we {verb} the {noun} twice in `{path}`?",
    "@threadbox compare `{name}` with `{camel}`, they look like the same code.",
    "Where is {variable} read? I only find it in the compose file.",
    "Is {code} the same as what we saw in {month}?",
    "@threadbox the {subject2} prints {code} on start, can you reproduce that?",
];

const REVIEW: &[&str] = &[
    "Nit: `{name}` reads like it would {verb} the {noun}, but it only looks at it.",
    "This takes the lock before the {noun} is checked. Is that on purpose? See `{path}`:{n}.",
    "I would move this out of the loop, it allocates {k} times per {noun}.",
    "Please add a test where the {noun} is empty, {code} came from exactly that.",
    "Looks good. One question on the {subject}: does its {aspect} still apply here?",
    "Can we keep `{camel}` private? Only the {subject2} needs it.",
    "The comment says {n}, the code says {k}. Which one is right?",
    "Requesting changes: the error is swallowed in `{name}`, so the {subject2} will never notice.",
];

const TRACE: &[&str] = &[
    "```\nthread 'main' panicked at {path}:{n}:9:\ncalled `Result::unwrap()` on an `Err` value: {code}\nstack backtrace:\n   0: rust_begin_unwind\n   1: core::panicking::panic_fmt\n   2: app::{name}\n             at ./{path}:{k}\n   3: app::{name}\n   4: tokio::runtime::task::raw::poll\n```",
    "```\nTraceback (most recent call last):\n  File \"{path}\", line {k}, in {name}\n    return {name}({noun}, timeout={n})\n  File \"{path}\", line {n}, in {name}\n    raise {code}(\"{noun} is gone\")\nTimeoutError: no {noun} after {n} seconds\n```",
    "```\nTypeError: Cannot read properties of undefined (reading '{noun}')\n    at {camel} ({path}:{n}:{n})\n    at async {camel} ({path}:{k}:7)\n    at processTicksAndRejections (node:internal/process/task_queues:105:5)\n```",
    "```\npanic: runtime error: index out of range [{n}] with length {n}\n\ngoroutine {k} [running]:\nmain.{camel}(0xc000{k})\n\t/{path}:{n} +0x1d\nexit status 2\n```",
    "```\nERROR {code}: {noun} conflicts with an earlier one\nDETAIL: Key ({noun}_id)=({k}) already exists.\nCONTEXT: function {name} line {n}\n```",
];

const COMMAND: &[&str] = &[
    "```\n$ {tool} run {name}\n   Compiling app v{version}\n   warning: unused variable `{noun}` at {path}:{n}\n   Finished in {n}.{n}s\n```",
    "```\n$ {tool} test\nrunning {n} tests\ntest {name} ... ok\ntest {name} ... FAILED\ntest {name} ... ok\n\nfailures: {name}: {code}\n```",
    "I ran `{tool}` with {variable}={n}:\n```\nrequests: {k}\nfailed:   {n}\np99:      {k} ms\n```",
    "```\n$ kubectl get pods\nNAME                 READY  STATUS            RESTARTS  AGE\n{noun}-{sha}         1/1    Running           {n}         {n}d\n{noun}-{sha}         0/1    CrashLoopBackOff  {n}         {n}h\n```",
];

const DIFF: &[&str] = &[
    "```diff\n--- a/{path}\n+++ b/{path}\n@@ -{n},6 +{n},7 @@ fn {name}\n-    let {noun} = {name}({n});\n+    let {noun} = {name}({k})?;\n+    {camel}(&{noun});\n     Ok(())\n```",
    "```diff\n-{variable}={n}\n+{variable}={k}\n```\nThat is all it takes, the {subject2} reads it on start.",
    "Commit {sha}: `{path}` | {n} ++++---, `{path}` | {n} ++. Mostly renames of `{name}` to `{camel}`.",
];

/// How an agent answers: longer, in order, with code.
const ANSWER: &[&str] = &[
    "I looked at `{path}`. The {noun} is built in `{name}` and consumed in `{camel}`; between them nothing checks for {code}. I ran \
     `{tool}` with {n} cases and {n} of them fail the same way.",
    "Done. What I changed:\n\n- `{path}`: `{name}` returns the {noun} instead of dropping it\n- `{path}`: the {subject2} logs {code} once\n- a \
     test for {n} empty {noun}s\n\nAll {k} tests pass.",
    "The failing step is `{tool}`. It exits with {n} because {detail}. Two ways out: raise {variable} to {k}, or make `{name}` wait for \
     the {noun}.",
    "I could not reproduce it: {n} runs of `{name}`, all green, on {version}. The report mentions {code}, which only the {subject2} \
     prints. Do you have its log?",
    "Summary of the thread so far: {person} asked about the {aspect} of the {subject}; nothing was settled. `{path}` still has the old \
     code. Next I would {verb} the {noun} behind a flag.",
    "`{camel}` is called from {n} places. The hot one is `{path}`:{k}, inside the loop over every {noun}. Moving it out saves {n} % in \
     the benchmark, and the {thing} does not notice.",
];

/// Sentences of a conversation about the subject `home`, by somebody or by the agent.
pub fn message(chance: &mut Chance, home: usize, by_agent: bool) -> String {
    let registers: &[&[&str]] = if by_agent {
        &[ANSWER, ANSWER, ANSWER, COMMAND, DIFF, STATUS]
    } else {
        &[TALK, TALK, STATUS, SETTLED, ASKED, ASKED, REVIEW, REVIEW, TRACE, COMMAND, DIFF]
    };
    let count =
        if by_agent { chance.between(1, 3) } else { 1 + usize::from(chance.percent(35)) + usize::from(chance.percent(15)) };
    let parts: Vec<String> = (0..count)
        .map(|_| {
            let register = *chance.pick(registers);
            sentence(chance, home, register)
        })
        .collect();
    parts.join("\n\n")
}

/// What stands around a fact in the message it is told in.
pub fn aside(chance: &mut Chance, home: usize) -> String {
    let register = *chance.pick(&[TALK, STATUS, REVIEW, ASKED]);
    sentence(chance, home, register)
}

/// Something long to stand around a fact.
pub fn block(chance: &mut Chance, home: usize) -> String {
    let register = *chance.pick(&[TRACE, COMMAND, ANSWER]);
    sentence(chance, home, register)
}

fn sentence(chance: &mut Chance, home: usize, register: &[&str]) -> String {
    let subject = if chance.percent(50) { home } else { chance.below(SUBJECTS.len()) };
    let topic = Topic::noise(chance, subject);
    let value = topic.value(chance);
    let template = chance.pick(register);
    fill(template, &[("subject", topic.subject()), ("aspect", topic.aspect()), ("value", &value)], chance)
}
