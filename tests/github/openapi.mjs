#!/usr/bin/env node
// Checks recorded requests and answers of the GitHub stand-in against GitHub's published descriptions: npm `@octokit/openapi` for
// REST, `@octokit/graphql-schema` for GraphQL. Needs npm; nothing of it is stored in the repository.
//
//   THREADBOX_RECORD_GITHUB=/tmp/record.jsonl cargo test --test it github
//   node tests/github/openapi.mjs /tmp/record.jsonl
//
// Each request must be a published operation. Where it was accepted, its query and body must fit the description, without properties
// the description lacks. Each JSON answer must fit the description of its status. Prints what does not, once for each operation and
// place, and how many requests were checked; exits 1 when there was anything, or nothing to check, 2 when it could not begin.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

const PACKAGES = ["@octokit/openapi@23.0.2", "@octokit/graphql-schema@15.26.1", "graphql@16.15.0", "ajv@8.20.0"];

// Where the description is known to be wrong: operation, place in the answer, why.
const WRONG = [
  [/pulls\/(\{pull_number\}\/)?comments|reviews\/\{review_id\}\/comments/, /\/(position|line|original_line|original_position)$/, "null when outdated or about a file, as GitHub documents elsewhere"],
  [/reviews\/\{review_id\}\/comments/, /^(\/\d+)?$/, "the older shape lacks what the comment itself has"],
  [/^\/app\/installations$/, /\/account$/, "must be a person and an enterprise at once there"],
  [/deliveries/, /\/throttled_at$/, "null when nothing was throttled"],
];

// Parameters at the end of a path whose values may contain slashes.
const LONG = new Set(["path", "ref", "basehead", "branch"]);

const home = mkdtempSync(join(tmpdir(), "openapi-"));
process.on("exit", () => rmSync(home, { recursive: true, force: true }));

function load() {
  const options = ["--prefix", home, "--no-save", "--no-audit", "--no-fund", "--ignore-scripts", "--silent"];
  execFileSync("npm", ["install", ...options, ...PACKAGES], { stdio: ["ignore", "ignore", "inherit"] });
  const require = createRequire(join(home, "index.js"));
  const description = JSON.parse(readFileSync(join(home, "node_modules/@octokit/openapi/generated/api.github.com.json"), "utf8"));
  return { description, Ajv: require("ajv").default, graphql: require("graphql"), idl: readFileSync(join(home, "node_modules/@octokit/graphql-schema/schema.graphql"), "utf8") };
}

/** OpenAPI 3.0 says `nullable` where JSON Schema has a type. */
function nullable(node) {
  if (Array.isArray(node)) return node.map(nullable);
  if (node === null || typeof node !== "object") return node;
  const schema = Object.fromEntries(Object.entries(node).filter(([key]) => key !== "example").map(([key, value]) => [key, nullable(value)]));
  if (schema.nullable !== true) return schema;
  delete schema.nullable;
  return { anyOf: [schema, { type: "null" }] };
}

function resolved(description, node) {
  while (node?.$ref) node = node.$ref.slice(2).split("/").reduce((at, key) => at[key.replaceAll("~1", "/").replaceAll("~0", "~")], description);
  return node;
}

function operations(description) {
  const all = [];
  for (const [path, methods] of Object.entries(description.paths)) {
    const parts = path.split("/").slice(1);
    const pattern = parts.map((part, at) => {
      const name = part.match(/^\{(.+)\}$/)?.[1];
      if (!name) return part.replace(/[.*+?^$()|[\]\\]/g, "\\$&").replace(/\{[^}]+\}/g, "[^/]+");
      return at === parts.length - 1 && LONG.has(name) ? ".*" : "[^/]+";
    });
    const literal = parts.filter((part) => !part.startsWith("{")).length;
    const shared = methods.parameters ?? [];
    for (const [method, operation] of Object.entries(methods)) {
      if (method === "parameters") continue;
      const pointer = `/paths/${path.replaceAll("~", "~0").replaceAll("/", "~1")}/${method}`;
      const parameters = [...shared, ...(operation.parameters ?? [])].map((one) => resolved(description, one));
      all.push({ method: method.toUpperCase(), path, literal, pattern: new RegExp(`^/${pattern.join("/")}/?$`), operation, pointer, parameters });
    }
  }
  return all.sort((a, b) => b.literal - a.literal);
}

/** Properties of a value that no part of its schema mentions. */
function unknown(description, schema, value, place = "") {
  const parts = [];
  const gather = (node) => {
    node = resolved(description, node);
    if (!node) return;
    parts.push(node);
    for (const key of ["allOf", "anyOf", "oneOf"]) (node[key] ?? []).forEach(gather);
  };
  gather(schema);
  if (Array.isArray(value)) {
    const items = parts.find((part) => part.items)?.items;
    return items ? value.flatMap((item, at) => unknown(description, items, item, `${place}/${at}`)) : [];
  }
  if (value === null || typeof value !== "object") return [];
  const properties = Object.assign({}, ...parts.map((part) => part.properties ?? {}));
  const open = parts.some((part) => part.additionalProperties && !(part.oneOf || part.anyOf || part.properties)) || !Object.keys(properties).length;
  return Object.entries(value).flatMap(([name, inner]) => {
    if (properties[name]) return unknown(description, properties[name], inner, `${place}/${name}`);
    return open ? [] : [`${place}/${name}`];
  });
}

class Checker {
  constructor({ description, Ajv, graphql, idl }) {
    this.description = description;
    this.operations = operations(description);
    this.ajv = new Ajv({ strict: false, allErrors: true, logger: false, formats: { "date-time": /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/, uri: /^https?:/ } });
    this.ajv.addSchema({ $id: "github", ...nullable({ paths: description.paths, components: description.components }) });
    this.graphql = graphql;
    // The published schema repeats a field; that is not ours to mend.
    this.schema = graphql.buildSchema(idl, { assumeValidSDL: true });
    this.found = new Map();
  }

  report(operation, what, example) {
    const key = `${operation}: ${what}`;
    const known = this.found.get(key) ?? { count: 0, example };
    known.count += 1;
    this.found.set(key, known);
  }

  mismatches(pointer, value) {
    const validate = this.ajv.getSchema(`github#${encodeURI(pointer).replaceAll("#", "%23")}`);
    if (!validate) return [{ instancePath: "", message: `the description has nothing at ${pointer}` }];
    return validate(value) ? [] : validate.errors.filter((error) => !["anyOf", "oneOf", "if"].includes(error.keyword) || validate.errors.length === 1);
  }

  check(record) {
    // What people attach is of the site, not of its API.
    if (record.path.startsWith("/user-attachments/")) return;
    // On an Enterprise Server it stands beside the REST base.
    if (record.path === "/graphql" || record.path === "/api/graphql") return this.checkGraphql(record);
    const here = this.operations.find((one) => one.method === record.method && one.pattern.test(decodeURI(record.path)));
    if (!here) return this.report(`${record.method} ${record.path}`, "is not published", null);
    const name = `${here.method} ${here.path}`;
    if (record.status < 400) {
      this.checkQuery(name, here, record);
      this.checkBody(name, here, record);
    }
    this.checkAnswer(name, here, record);
  }

  checkQuery(name, here, record) {
    for (const [key, value] of new URLSearchParams(record.query ?? "")) {
      const parameter = here.parameters.find((one) => one.in === "query" && one.name === key);
      if (!parameter) this.report(name, `has no query parameter ${key}`, value);
      const words = resolved(this.description, parameter?.schema)?.enum;
      if (words && !words.includes(value)) this.report(name, `does not know ${key}=${value}`, words);
    }
  }

  checkBody(name, here, record) {
    const body = resolved(this.description, here.operation.requestBody);
    const schema = body?.content?.["application/json"]?.schema;
    if (!schema) {
      const given = record.request !== null && Object.keys(record.request).length > 0;
      if (given) this.report(name, "takes no body", record.request);
      return;
    }
    if (record.request === null && !body.required) return;
    const at = here.operation.requestBody.$ref ? here.operation.requestBody.$ref.slice(1) : `${here.pointer}/requestBody`;
    for (const error of this.mismatches(`${at}/content/application~1json/schema`, record.request)) {
      this.report(name, `request${error.instancePath} ${error.message}`, record.request);
    }
    for (const place of unknown(this.description, schema, record.request)) this.report(name, `request${place} is not in the description`, record.request);
  }

  checkAnswer(name, here, record) {
    const published = here.operation.responses[record.status];
    if (!published) {
      const usual = [304, 400, 401, 403, 404, 409, 410, 422, 429].includes(record.status);
      if (!usual) this.report(name, `never answers ${record.status}`, null);
      if (record.status >= 400 && typeof record.answer?.message !== "string") this.report(name, `${record.status} without a message`, record.answer);
      return;
    }
    const response = resolved(this.description, published);
    if (!response.content?.["application/json"] || record.status === 302 || !record.kind.startsWith("application/json")) return;
    const at = published.$ref ? published.$ref.slice(1) : `${here.pointer}/responses/${record.status}`;
    for (const error of this.mismatches(`${at}/content/application~1json/schema`, record.answer)) {
      // The shapes of errors overlap, so that one of several fits several.
      if (record.status >= 400 && error.keyword === "oneOf") continue;
      if (WRONG.some(([operation, place]) => operation.test(here.path) && place.test(error.instancePath))) continue;
      const place = error.instancePath.replace(/\/\d+(?=\/|$)/g, "/*");
      const value = valueAt(record.answer, error.instancePath);
      this.report(name, `${record.status} answer${place} ${error.message}`, value === null || typeof value !== "object" ? { value } : null);
    }
  }

  /** What the stand-in took for a good document must be one for GitHub. */
  checkGraphql(record) {
    if (record.status !== 200 || (record.answer?.errors ?? []).some((error) => error.extensions)) return;
    try {
      for (const error of this.graphql.validate(this.schema, this.graphql.parse(record.request.query))) this.report("POST /graphql", error.message, record.request.query);
    } catch (error) {
      this.report("POST /graphql", String(error), record.request.query);
    }
  }
}

function valueAt(value, pointer) {
  return pointer.split("/").slice(1).reduce((at, key) => at?.[key.replaceAll("~1", "/").replaceAll("~0", "~")], value);
}

const file = process.argv[2];
if (!file) {
  console.error("usage: openapi.mjs RECORD");
  process.exit(2);
}
let loaded;
try {
  loaded = load();
} catch (error) {
  console.error(`The descriptions could not be fetched: ${error}`);
  process.exit(2);
}
const checker = new Checker(loaded);
const records = readFileSync(file, "utf8").split("\n").filter(Boolean).map((line) => JSON.parse(line));
for (const record of records) checker.check(record);
for (const [what, { count, example }] of [...checker.found].sort()) {
  console.log(`${what} (${count}×)${example ? ` ${JSON.stringify(example).slice(0, 200)}` : ""}`);
}
console.log(`${records.length} requests checked, ${checker.found.size} kinds of differences.`);
process.exit(records.length > 0 && checker.found.size === 0 ? 0 : 1);
