#!/usr/bin/env node
// Checks recorded requests and answers of the Discord stand-in against Discord's published description: npm `discord-api-spec`, its
// types made into JSON Schema; or a file of Discord's own, `openapi.json` of github.com/discord/discord-api-spec, which knows
// lengths and limits too. Needs npm; nothing of it is stored in the repository.
//
//   THREADBOX_RECORD_DISCORD=/tmp/record.jsonl cargo test --test it discord_standin
//   node tests/discord/openapi.mjs /tmp/record.jsonl [openapi.json]
//
// Each answered request must be a published operation. Where it was accepted, its query and body must fit the description, without
// properties the description lacks. Each JSON answer must fit the description of its status. Prints what does not, once for each
// operation and place, and how many requests were checked; exits 1 when there was anything, or nothing to check, 2 when it could not
// begin.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

const TYPES = ["discord-api-spec@10.0.266135", "ts-json-schema-generator@2.9.0"];
const PACKAGES = ["ajv@8.20.0"];
const METHODS = ["get", "put", "post", "patch", "delete"];

// Where the description is known to be wrong: operation, place, why.
const WRONG = [
  [/./, /^4\d\d answer\/errors/, "codes inside are words, as Discord documents elsewhere, and not numbers"],
  [/./, /^request\/attachments/, "the numbers of files are numbers in Discord's own examples"],
];

// Documented, used by official libraries, and missing in the description.
const UNPUBLISHED = [/^GET \/users\/\d+$/];

// Documented of requests and missing in the description: place and why.
const DOCUMENTED = [
  [/fail_if_not_exists$/, "of message references"],
  [/^\/message\/(tts|enforce_nonce)$/, "of the first message of a post, which serenity sends as any other"],
  [/^\/\*\/nsfw$/, "of commands that are replaced"],
];

const home = mkdtempSync(join(tmpdir(), "discord-"));
process.on("exit", () => rmSync(home, { recursive: true, force: true }));

function install(packages) {
  const options = ["--prefix", home, "--no-save", "--no-audit", "--no-fund", "--ignore-scripts", "--silent"];
  execFileSync("npm", ["install", ...options, ...packages], { stdio: ["ignore", "ignore", "inherit"] });
  return createRequire(join(home, "index.js"));
}

const escaped = (part) => part.replaceAll("~", "~0").replaceAll("/", "~1");

/** Discord's own file. */
function fromFile(file, require) {
  const description = JSON.parse(readFileSync(file, "utf8"));
  const all = [];
  for (const [path, methods] of Object.entries(description.paths)) {
    for (const method of METHODS.filter((method) => methods[method])) {
      const operation = methods[method];
      const pointer = `/paths/${escaped(path)}/${method}`;
      const query = [...(methods.parameters ?? []), ...(operation.parameters ?? [])].filter((one) => one.in === "query").map((one) => one.name);
      const request = operation.requestBody?.content?.["application/json"] ? `${pointer}/requestBody/content/application~1json/schema` : null;
      const answers = {};
      for (const [status, given] of Object.entries(operation.responses)) {
        const at = given.$ref ? given.$ref.slice(1) : `${pointer}/responses/${status}`;
        const has = at.split("/").slice(1).reduce((node, key) => node[key.replaceAll("~1", "/").replaceAll("~0", "~")], description).content?.["application/json"];
        answers[status] = has ? `${at}/content/application~1json/schema` : null;
      }
      all.push({ method: method.toUpperCase(), path, query, request, answers });
    }
  }
  return { root: description, operations: all, Ajv: require("ajv/dist/2020").default };
}

/** The types of the npm package. */
function fromTypes(require) {
  const { createGenerator } = require("ts-json-schema-generator");
  const source = join(home, "node_modules/discord-api-spec/build/discord-api-spec.ts");
  const config = join(home, "tsconfig.json");
  writeFileSync(config, JSON.stringify({ compilerOptions: { strict: true, noLib: false, skipLibCheck: true, lib: ["es2022"] }, files: [source] }));
  const schema = createGenerator({ path: source, tsconfig: config, type: "Paths", skipTypeCheck: true, additionalProperties: true, topRef: true }).createSchema("Paths");
  const all = [];
  const at = (node, path) => path.reduce((inner, key) => inner?.[key], resolved(schema, node));
  for (const [path, methods] of Object.entries(schema.definitions.Paths.properties)) {
    for (const method of METHODS.filter((method) => resolved(schema, methods).properties[method])) {
      const pointer = `/definitions/Paths/properties/${escaped(path)}/properties/${method}`;
      const operation = methods.properties[method];
      const query = Object.keys(at(operation, ["properties", "parameters", "properties", "query", "properties"]) ?? {});
      const body = operation.properties.requestBody;
      const request = body && !body.not ? `${pointer}/properties/requestBody` : null;
      const answers = {};
      for (const [status, given] of Object.entries(operation.properties.responses.properties)) {
        answers[status] = given.not || Object.keys(given).length === 0 ? null : `${pointer}/properties/responses/properties/${escaped(status)}`;
      }
      all.push({ method: method.toUpperCase(), path, query, request, answers });
    }
  }
  return { root: schema, operations: all, Ajv: require("ajv").default };
}

function resolved(root, node) {
  while (node?.$ref) node = pointed(root, decodeURI(node.$ref).slice(1));
  return node;
}

function pointed(root, pointer) {
  return pointer.split("/").slice(1).reduce((node, key) => node?.[key.replaceAll("~1", "/").replaceAll("~0", "~")], root);
}

/** Properties of a value that no part of its schema mentions. */
function unknown(root, schema, value, place = "") {
  const parts = [];
  const gather = (node) => {
    node = resolved(root, node);
    if (!node || parts.includes(node)) return;
    parts.push(node);
    for (const key of ["allOf", "anyOf", "oneOf"]) (node[key] ?? []).forEach(gather);
  };
  gather(schema);
  if (Array.isArray(value)) {
    const items = parts.map((part) => part.items).filter(Boolean);
    return items.length ? value.flatMap((item, at) => unknown(root, { anyOf: items }, item, `${place}/${at}`)) : [];
  }
  if (value === null || typeof value !== "object") return [];
  const known = parts.flatMap((part) => Object.entries(part.properties ?? {}));
  if (!known.length) return [];
  return Object.entries(value).flatMap(([name, inner]) => {
    const described = known.filter(([key]) => key === name).map(([, schema]) => schema);
    return described.length ? unknown(root, { anyOf: described }, inner, `${place}/${name}`) : [`${place}/${name}`];
  });
}

class Checker {
  constructor({ root, operations, Ajv }) {
    this.root = root;
    this.operations = operations.map((one) => ({ ...one, pattern: pattern(one.path), literal: one.path.split("/").filter((part) => !part.startsWith("{")).length }));
    this.operations.sort((a, b) => b.literal - a.literal);
    const formats = { "date-time": /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/, uri: /^(https?|wss?|attachment):/, snowflake: /^(0|[1-9]\d*)$/, nonce: true, int32: true, int64: true, double: true };
    this.ajv = new Ajv({ strict: false, allErrors: true, logger: false, validateSchema: false, formats });
    this.ajv.addSchema({ ...root, $id: "discord" });
    this.found = new Map();
    this.checked = 0;
  }

  report(operation, what, example) {
    const key = `${operation}: ${what}`;
    if (WRONG.some(([which, place]) => which.test(operation) && place.test(what))) return;
    const known = this.found.get(key) ?? { count: 0, example };
    known.count += 1;
    this.found.set(key, known);
  }

  mismatches(pointer, value) {
    const validate = this.ajv.getSchema(`discord#${encodeURI(pointer).replaceAll("#", "%23")}`);
    if (!validate) return [{ instancePath: "", message: `the description has nothing at ${pointer}` }];
    if (validate(value)) return [];
    // Of a choice only the choice itself says something; the rest says why each of the others was not meant.
    const choices = validate.errors.filter((error) => ["anyOf", "oneOf"].includes(error.keyword));
    const places = choices.map((error) => error.instancePath);
    return validate.errors.filter((error) => choices.includes(error) || !places.some((place) => error.instancePath.startsWith(place)));
  }

  check(record) {
    // That is not Discord's, but of what stands before it.
    if (record.answer?.message === "error code: 1015") return;
    const name = `${record.method} ${record.path}`;
    const here = this.operations.find((one) => one.method === record.method && one.pattern.test(decodeURI(record.path)));
    if (!here) {
      if ([404, 405].includes(record.status) || UNPUBLISHED.some((known) => known.test(name))) return;
      return this.report(name, "is not published", null);
    }
    this.checked += 1;
    const operation = `${here.method} ${here.path}`;
    if (record.status < 400) {
      this.checkQuery(operation, here, record);
      this.checkBody(operation, here, record);
    }
    this.checkAnswer(operation, here, record);
  }

  checkQuery(operation, here, record) {
    for (const [key, value] of new URLSearchParams(record.query ?? "")) {
      if (!here.query.includes(key)) this.report(operation, `has no query parameter ${key}`, value);
    }
  }

  checkBody(operation, here, record) {
    if (!here.request) {
      if (record.request !== null) this.report(operation, "takes no body", record.request);
      return;
    }
    if (record.request === null) return;
    for (const error of this.mismatches(here.request, record.request)) {
      this.report(operation, `request${generic(error.instancePath)} ${error.message}`, record.request);
    }
    for (const place of unknown(this.root, pointed(this.root, here.request), record.request)) {
      if (!DOCUMENTED.some(([known]) => known.test(generic(place)))) this.report(operation, `request${generic(place)} is not in the description`, record.request);
    }
  }

  checkAnswer(operation, here, record) {
    const status = [String(record.status), `${Math.floor(record.status / 100)}XX`].find((status) => status in here.answers);
    if (!status) {
      // What is told to fail does.
      if (record.status < 500) this.report(operation, `never answers ${record.status}`, null);
      return;
    }
    if (!here.answers[status]) return;
    for (const error of this.mismatches(here.answers[status], record.answer)) {
      const value = pointed(record.answer, error.instancePath);
      this.report(operation, `${record.status} answer${generic(error.instancePath)} ${error.message}`, value ?? record.answer);
    }
  }
}

const generic = (place) => place.replace(/\/\d+(?=\/|$)/g, "/*");

function pattern(path) {
  const parts = path.split("/").slice(1).map((part) => (part.startsWith("{") ? "[^/]+" : part.replace(/[.*+?^$()|[\]\\]/g, "\\$&")));
  return new RegExp(`^/${parts.join("/")}$`);
}

const [file, description] = process.argv.slice(2);
if (!file) {
  console.error("usage: openapi.mjs RECORD [DESCRIPTION]");
  process.exit(2);
}
let loaded;
try {
  const require = install(description ? PACKAGES : [...PACKAGES, ...TYPES]);
  loaded = description ? fromFile(description, require) : fromTypes(require);
} catch (error) {
  console.error(`The description could not be fetched: ${error}`);
  process.exit(2);
}
const checker = new Checker(loaded);
const records = readFileSync(file, "utf8").split("\n").filter(Boolean).map((line) => JSON.parse(line));
for (const record of records) checker.check(record);
for (const [what, { count, example }] of [...checker.found].sort()) {
  console.log(`${what} (${count}×)${example ? ` ${JSON.stringify(example).slice(0, 200)}` : ""}`);
}
console.log(`${checker.checked} of ${records.length} requests checked, ${checker.found.size} kinds of differences.`);
process.exit(checker.checked > 0 && checker.found.size === 0 ? 0 : 1);
