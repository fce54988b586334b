//! The words of the generated conversations. Facts and filler draw from the same lists, so that no word gives an answer away.

pub const PEOPLE: &[&str] = &[
    "alice-wu", "bruno-k", "carla", "dmitri", "emeka", "farah", "greta-h", "hiro", "ines", "jonas-b", "kavya", "leo-m",
    "mireille", "nikhil", "olga", "pavel-s", "quentin", "rosa", "sven", "tamsin", "ugo", "vera-l", "wen", "xiomara", "yusuf",
    "zofia",
];

pub const SUBJECTS: &[&str] = &[
    "payment worker",
    "mail sender",
    "search indexer",
    "session store",
    "image resizer",
    "audit log",
    "rate limiter",
    "webhook receiver",
    "export job",
    "import wizard",
    "billing report",
    "admin console",
    "mobile gateway",
    "feature flags",
    "metrics collector",
    "job scheduler",
    "token service",
    "notification hub",
    "upload proxy",
    "config loader",
    "schema migrator",
    "backup script",
    "release pipeline",
    "preview server",
    "cache layer",
    "event bus",
    "permission checker",
    "invoice renderer",
    "chat bridge",
    "geo lookup",
    "translation loader",
    "asset bundler",
    "health probe",
    "user directory",
    "subscription sync",
    "quota tracker",
    "archive reader",
    "crash reporter",
    "login page",
    "worker pool",
    "pricing engine",
    "address validator",
    "thumbnail cache",
    "changelog bot",
    "dependency scanner",
    "tenant router",
    "video encoder",
    "spell checker",
];

/// What can be settled about a subject, and the values it can take; `#` becomes a number.
pub const ASPECTS: &[(&str, &[&str])] = &[
    ("retry limit", &["# attempts", "# tries with jitter", "no retries at all"]),
    ("timeout", &["# seconds", "#00 milliseconds"]),
    ("batch size", &["# rows", "#0 rows", "#00 rows"]),
    ("log format", &["JSON lines", "logfmt", "plain text", "GELF"]),
    ("queue name", &["`jobs-high`", "`bulk`", "`default-v#`", "`slow-lane`"]),
    ("port", &["8#", "90#", "7#"]),
    ("hosting region", &["Frankfurt", "Dublin", "Oregon", "Mumbai", "São Paulo"]),
    ("licence header", &["MIT", "Apache-2.0", "MPL-2.0", "none"]),
    ("naming scheme", &["kebab-case", "snake_case", "PascalCase", "SCREAMING_CASE"]),
    ("cache lifetime", &["# minutes", "# hours", "one day"]),
    ("page size", &["# entries", "#0 entries"]),
    ("error budget", &["0.#%", "# failures an hour"]),
    ("memory ceiling", &["#0 MB", "# GB"]),
    ("thread count", &["#", "twice the cores", "one per tenant"]),
    ("storage backend", &["Postgres", "S3", "SQLite", "the local disk", "MinIO"]),
    ("serialization", &["protobuf", "MessagePack", "CBOR", "plain JSON", "Avro"]),
    ("release cadence", &["every # weeks", "on Tuesdays", "continuous", "monthly"]),
    ("test database", &["a container", "an in-memory one", "the staging copy"]),
    ("branch policy", &["trunk only", "short branches", "release branches", "squash merges"]),
    ("hash algorithm", &["BLAKE3", "SHA-256", "xxHash", "SipHash"]),
    ("date format", &["ISO 8601", "epoch seconds", "RFC 2822", "day first"]),
    ("polling interval", &["# seconds", "# minutes"]),
    ("rollout percentage", &["#%", "#0%"]),
    ("fallback", &["an empty list", "the last good value", "a 503", "the old code path"]),
    ("message broker", &["NATS", "RabbitMQ", "Kafka", "Redis streams", "Postgres notify"]),
    ("retention", &["# days", "# weeks", "a year"]),
    ("base image", &["Debian slim", "Alpine", "distroless", "Wolfi"]),
    ("compression", &["zstd level #", "gzip", "lz4", "brotli", "off"]),
    ("alert threshold", &["# errors a minute", "#0 ms at p99", "two misses in a row"]),
    ("concurrency", &["# at once", "#0 at once", "strictly serial"]),
];

pub const REASONS: &[&str] = &[
    "the old value bit us twice already",
    "it is what the other services do",
    "support asked for it",
    "measurements on staging were clear",
    "anything else breaks the nightly build",
    "it keeps the bill down",
    "nobody could name a reason against it",
    "the auditors want something explicit",
    "it survived the load test",
    "customers on slow links notice",
    "rolling back stays easy that way",
    "the library's own default is wrong for us",
];

/// Parts of identifiers: verb, noun, and what tells neighbours apart.
pub const VERBS: &[&str] = &[
    "parse", "load", "render", "flush", "merge", "split", "resolve", "encode", "decode", "validate", "fetch", "apply", "collect",
    "prune", "retry", "lock", "drain", "sign", "hash", "walk",
];
pub const NOUNS: &[&str] = &[
    "config", "header", "session", "invoice", "token", "batch", "schema", "packet", "cursor", "buffer", "ledger", "digest",
    "route", "template", "snapshot", "manifest", "payload", "tenant", "journal", "bucket",
];
pub const MANNERS: &[&str] = &[
    "strict", "lenient", "lazy", "eager", "async", "once", "inner", "legacy", "fast", "checked", "raw", "partial", "nested",
    "bulk",
];
pub const DIRECTORIES: &[&str] = &["core", "api", "storage", "net", "billing", "ui", "jobs", "auth", "search", "shared"];
pub const EXTENSIONS: &[&str] = &["rs", "py", "ts", "go", "sql", "toml"];
pub const CODES: &[&str] = &["E0", "TB-", "ORA-0", "ERR_", "SQLSTATE ", "CVE-2025-", "HTTP-", "exit status "];

pub const TOOLS: &[&str] = &["cargo", "npm", "pytest", "docker", "terraform", "psql", "git", "make", "kubectl", "go test"];
pub const MONTHS: &[&str] =
    &["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];

/// Meanings that are said in two ways which share no word: the first is how it was said, the second how it is asked for.
pub const THINGS: &[(&str, &str)] = &[
    ("Postgres", "database"),
    ("sign-in", "logging on"),
    ("bills", "invoices"),
    ("photos", "pictures"),
    ("backlog", "queue"),
    ("lookup", "search"),
    ("e-mail", "outgoing post"),
    ("dashboard", "overview screen"),
    ("nightly build", "scheduled compilation"),
    ("laptop clients", "desktop users"),
    ("checkout", "purchase flow"),
    ("crawler", "spider"),
    ("installer", "setup program"),
    ("newsletter", "mailing list"),
    ("staging", "rehearsal environment"),
    ("firewall", "packet filter"),
];
/// The same for what happened: a sentence, its question, and whether the small table of the built-in embedder knows the pair.
pub const EVENTS: &[(&str, &str, bool)] = &[
    ("{} takes ages to respond because {detail}", "why is the {} slow?", true),
    ("{} falls over whenever {detail}", "what makes the {} crash?", true),
    ("somebody wiped {} by accident: {detail}", "who deleted the {}?", true),
    ("{} costs too much since {detail}", "why did the {} become expensive?", true),
    ("from now on only admins may touch {}, {detail}", "which permissions are needed for the {}?", false),
    ("{} moved to another machine, {detail}", "where does the {} run today?", false),
    ("{} chokes on umlauts; {detail}", "which characters does the {} mishandle?", false),
    ("we switched {} off for good, {detail}", "is the {} still active or was it disabled?", true),
    ("{} sends everything twice: {detail}", "what causes duplicates in the {}?", true),
    ("Rewriting {} was handed to an agency, {detail}", "which contractor builds the new {}?", false),
];
pub const DETAILS: &[&str] = &[
    "an index went missing on Friday",
    "the pool was left at its default",
    "two cron entries overlap",
    "a certificate ran out",
    "the disk below it is full",
    "nobody had looked since spring",
    "the vendor changed their terms",
    "a loop retries without a pause",
    "the lock is held during the upload",
    "an old flag was flipped back",
];

/// Nothing of this is ever spoken of: for questions that have no answer at all.
pub const UNSPOKEN: &[&str] = &[
    "the cafeteria menu on Thursdays",
    "parking permits for visitors",
    "the colour of the new company bicycles",
    "who waters the plants on the third floor",
    "the wedding gift for our neighbour",
    "the band at the summer festival",
    "the ski trip to Zermatt",
    "vaccination appointments at the doctor",
    "the goalkeeper of the football team",
    "the recipe for mushroom risotto",
    "the vacuum cleaner in the kitchen",
    "the dog's veterinary insurance",
    "train tickets to Lisbon",
    "the aquarium in the lobby",
    "the choir rehearsal at church",
];
