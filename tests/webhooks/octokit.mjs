#!/usr/bin/env node
// Signs every recorded payload of npm `@octokit/webhooks-examples` and posts it to a running service. Needs npm.
//
//   WEBHOOK_SECRET=… node tests/webhooks/octokit.mjs http://127.0.0.1:8080/webhooks/github
//
// Prints how many payloads got which status. Exits 1 when one got anything but 200 or 202, when nobody answered, or when there
// were fewer payloads than expected; exits 2 when it could not begin.
import { execFileSync } from "node:child_process";
import { createHmac, randomUUID } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const VERSION = "7.6.1";
const EXPECTED = 329;
const AT_ONCE = 8;
const PATIENCE_MS = 15_000;

const url = process.argv[2];
const secret = process.env.WEBHOOK_SECRET ?? process.env.GITHUB_WEBHOOK_SECRET;
if (!url || !secret) {
  console.error("usage: WEBHOOK_SECRET=… octokit.mjs URL");
  process.exit(2);
}

function payloads() {
  const home = mkdtempSync(join(tmpdir(), "webhooks-"));
  try {
    const options = ["--prefix", home, "--no-save", "--no-audit", "--no-fund", "--ignore-scripts", "--silent"];
    execFileSync("npm", ["install", ...options, `@octokit/webhooks-examples@${VERSION}`], { stdio: ["ignore", "ignore", "inherit"] });
    const index = join(home, "node_modules/@octokit/webhooks-examples/api.github.com/index.json");
    const events = JSON.parse(readFileSync(index, "utf8"));
    return events.flatMap(({ name, examples }) => examples.map((payload) => ({ name, payload })));
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

async function post({ name, payload }) {
  const body = JSON.stringify(payload);
  const signature = createHmac("sha256", secret).update(body).digest("hex");
  const answer = await fetch(url, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      "user-agent": "GitHub-Hookshot/example",
      "x-github-event": name,
      "x-github-delivery": randomUUID(),
      "x-hub-signature-256": `sha256=${signature}`,
    },
    body,
    signal: AbortSignal.timeout(PATIENCE_MS),
  });
  return { status: answer.status, reply: await answer.text() };
}

let all;
try {
  all = payloads();
} catch (error) {
  console.error(`the payloads cannot be installed: ${error.message}`);
  process.exit(2);
}

const counts = new Map();
const bad = [];
const waiting = [...all];

async function work() {
  for (let one = waiting.pop(); one; one = waiting.pop()) {
    const what = [one.name, one.payload.action].filter(Boolean).join(".");
    let outcome;
    try {
      const { status, reply } = await post(one);
      outcome = String(status);
      if (status !== 200 && status !== 202) bad.push(`${what}: ${status} ${reply.slice(0, 200)}`);
    } catch (error) {
      outcome = "no answer";
      bad.push(`${what}: ${error.cause?.message ?? error.message}`);
    }
    counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
  }
}

await Promise.all(Array.from({ length: AT_ONCE }, work));

for (const [outcome, count] of [...counts].sort()) console.log(`${outcome}: ${count}`);
console.log(`payloads: ${all.length}`);
for (const line of bad.slice(0, 20)) console.error(line);
if (all.length < EXPECTED) console.error(`expected at least ${EXPECTED} payloads`);
process.exit(bad.length > 0 || all.length < EXPECTED ? 1 : 0);
