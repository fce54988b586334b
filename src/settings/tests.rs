#![allow(clippy::unwrap_used)]

use std::time::Duration;

use aws_lc_rs::encoding::AsDer;
use base64::Engine;
use proptest::prelude::*;

use super::*;
use crate::secret::ExposeSecret;

type Pairs<'a> = &'a [(&'a str, &'a str)];

fn map(pairs: Pairs<'_>) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn load_both(process: Pairs<'_>, file: Pairs<'_>) -> Result<Loaded, SettingsError> {
    Settings::load(&Sources { process: map(process), file: map(file) })
}

fn load(process: Pairs<'_>) -> Settings {
    load_both(process, &[]).unwrap().settings
}

fn problems(process: Pairs<'_>) -> String {
    load_both(process, &[]).unwrap_err().to_string()
}

fn warnings(process: Pairs<'_>, file: Pairs<'_>) -> String {
    let warnings = load_both(process, file).unwrap().warnings;
    warnings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// A private key as GitHub hands it out, apart from its age.
fn pem() -> String {
    let key = aws_lc_rs::rsa::KeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
    let der: aws_lc_rs::encoding::Pkcs8V1Der<'_> = key.as_der().unwrap();
    let body = base64::engine::general_purpose::STANDARD.encode(der.as_ref());
    let lines: Vec<&str> = body.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"))
}

#[test]
fn everything_has_a_default() {
    let settings = load(&[("THREADBOX_DATA_DIR", "data")]);
    insta::assert_debug_snapshot!(settings, @r#"
    Settings {
        name: "threadbox",
        listen: 127.0.0.1:8080,
        public_url: Url {
            scheme: "http",
            cannot_be_a_base: false,
            username: "",
            password: None,
            host: Some(
                Ipv4(
                    127.0.0.1,
                ),
            ),
            port: Some(
                8080,
            ),
            path: "/",
            query: None,
            fragment: None,
        },
        data_dir: "data",
        database: DatabaseSettings {
            url: None,
            postgres_bin: None,
            offline: false,
            archive_url: None,
            search_path: None,
        },
        admin_token: None,
        models: ModelSettings {
            chain: [
                ModelName {
                    provider: "openai",
                    model: "gpt-4.1",
                },
            ],
            title: [
                ModelName {
                    provider: "openai",
                    model: "gpt-4.1",
                },
            ],
            embedding: None,
            providers: {
                "openai": ProviderSettings {
                    key: None,
                    base_url: None,
                },
            },
        },
        github: None,
        discord: None,
        sandbox: SandboxSettings {
            kind: Local,
            cpus: 2,
            memory_mb: 2048,
            disk_mb: 4096,
            network: None,
            idle_minutes: 15,
            daytona: None,
            warm: WarmSettings {
                size: 0,
                hours_per_day: 24,
            },
        },
        limits: Limits {
            max_steps: 50,
            run_timeout: 1800s,
            run_budget_usd: 2.0,
            daily_budget_usd: 50.0,
            user_daily_budget_usd: None,
            repository_daily_budget_usd: None,
            user_runs_per_hour: 30,
            max_concurrent_runs: 8,
        },
        allow: Permission(
            Write,
        ),
        instructions: None,
        memory_days: None,
        log: LogSettings {
            filter: "info,graphile_worker=warn,sqlx=warn",
            json: false,
        },
    }
    "#);
}

#[test]
fn what_is_not_configured_is_off_and_says_how_to_turn_it_on() {
    insta::assert_snapshot!(warnings(&[], &[]), @r"
    off: GitHub (set GITHUB_APP_ID, GITHUB_APP_PRIVATE_KEY and GITHUB_WEBHOOK_SECRET, or GITHUB_TOKEN and GITHUB_WEBHOOK_SECRET)
    off: Discord (set DISCORD_TOKEN to the bot's token)
    off: model (set OPENAI_API_KEY for openai/gpt-4.1, or MODEL to another provider/model)
    ");
    insta::assert_snapshot!(warnings(&[("MODEL", "google/gemini-2.5-pro,xai/grok-4"), ("GITHUB_WEBHOOK_SECRET", "s")], &[]), @r"
    GITHUB_WEBHOOK_SECRET: is set, but there is nothing to answer with; set GITHUB_APP_ID, GITHUB_APP_PRIVATE_KEY and GITHUB_WEBHOOK_SECRET, or GITHUB_TOKEN and GITHUB_WEBHOOK_SECRET
    off: GitHub (set GITHUB_APP_ID, GITHUB_APP_PRIVATE_KEY and GITHUB_WEBHOOK_SECRET, or GITHUB_TOKEN and GITHUB_WEBHOOK_SECRET)
    off: Discord (set DISCORD_TOKEN to the bot's token)
    off: model (set GOOGLE_GENERATIVE_AI_API_KEY or GOOGLE_API_KEY or GEMINI_API_KEY for google/gemini-2.5-pro, or MODEL to another provider/model)
    ");
}

#[test]
fn every_problem_is_reported_at_once() {
    let all = problems(&[
        ("DAILY_BUDGET_USD", "lots"),
        ("DATABASE_URL", "mysql://root:hunter2@db/x"),
        ("GITHUB_API_URL", "https://github.com"),
        ("GITHUB_APP_ID", "Iv1.8a61f9b3a7aba766"),
        ("LOG_FORMAT", "yaml"),
        ("MAX_CONCURRENT_RUNS", "0"),
        ("MODEL", "opneai/gpt-4.1"),
        ("OPENAI_BASE_URL", "localhost:1234"),
        ("RUN_BUDGET_USD", "-1"),
        ("RUN_MAX_STEPS", "many"),
        ("RUN_TIMEOUT", "30"),
        ("RUST_LOG", "threadbox=loud"),
        ("SANDBOX", "daytona"),
        ("SANDBOX_CPUS", "1.5"),
        ("SANDBOX_DISK_MB", "8 floppies"),
        ("SANDBOX_IDLE_MINUTES", "99999999999"),
        ("SANDBOX_MEMORY_MB", "1M"),
        ("SANDBOX_NETWORK", "allow:exa mple.org"),
        ("THREADBOX_ADMIN_TOKEN", "letmein"),
        ("THREADBOX_ALLOW", "write,octocat"),
        ("THREADBOX_INSTRUCTIONS", "/nowhere/role.md"),
        ("THREADBOX_LISTEN", "8080"),
        ("THREADBOX_NAME", "threadbox[bot]"),
        ("THREADBOX_OFFLINE", "maybe"),
        ("THREADBOX_POSTGRES_BIN", "/nowhere/bin"),
        ("THREADBOX_POSTGRES_URL", "https://me:pass@mirror"),
        ("THREADBOX_PUBLIC_URL", "https://bot.example/?a=b"),
        ("TITLE_MODEL", "gpt-4.1"),
        ("USER_RUNS_PER_HOUR", ""),
    ]);
    assert!(!all.contains("hunter2") && !all.contains("letmein"));
    insta::assert_snapshot!(all, @r#"
    30 settings are wrong
      THREADBOX_LISTEN: `8080` is not an address with a port
        → set address and port, for example 127.0.0.1:8080, 0.0.0.0:8080 or [::]:8080
      THREADBOX_NAME: `threadbox[bot]` cannot be mentioned
        → set 1 to 39 letters, digits and inner hyphens, without [bot]
      THREADBOX_PUBLIC_URL: has a ? or # part
        → end it with the path
      DATABASE_URL: is not a postgres:// address
        → set postgres://user:password@host:5432/name, or unset it for the private database
      THREADBOX_POSTGRES_BIN: `/nowhere/bin` is not a directory
        → set the directory that holds `initdb` and `postgres`, or unset it
      THREADBOX_OFFLINE: `maybe` is neither yes nor no
        → set 1 or 0
      THREADBOX_POSTGRES_URL: has a user name or password inside
        → remove it: credentials have variables of their own
      THREADBOX_ADMIN_TOKEN: is shorter than 16 characters
        → set a long random text, for example from `openssl rand -hex 32`
      TITLE_MODEL: `gpt-4.1` is not of the form provider/model, for example openai/gpt-4.1
        → set provider/model, or several separated by commas, for example openai/gpt-4.1,anthropic/claude-sonnet-4-5
      OPENAI_BASE_URL: is not an http:// or https:// address
        → set an address such as https://host/path
      MODEL: opneai/gpt-4.1 names a provider without a known address
        → did you mean openai? Otherwise set OPNEAI_BASE_URL
      GITHUB_APP_PRIVATE_KEY: is missing, but GITHUB_APP_ID is set
        → set it to the App's private key (the .pem file's path or text)
      GITHUB_APP_ID: is not a number
        → set the App ID shown at the top of the App's settings (not the client ID)
      GITHUB_API_URL: is the address of the website
        → set https://api.github.com, or unset it
      GITHUB_WEBHOOK_SECRET: is missing, and without it nobody can tell GitHub's webhooks from forged ones
        → set it here and in the webhook's settings on GitHub to the same long random text, for example from `openssl rand -hex 32`
      SANDBOX: is daytona, but there is no key for it
        → set DAYTONA_API_KEY to a key with write:sandboxes and delete:sandboxes, or unset SANDBOX
      SANDBOX_CPUS: `1.5` is not a whole number
        → set a whole number from 1 to 256
      SANDBOX_MEMORY_MB: 1 MiB is out of bounds
        → set mebibytes from 64 to 1048576, or a size such as 2G
      SANDBOX_DISK_MB: `8 floppies` is not a size
        → set mebibytes from 16 to 16777216, or a size such as 2G
      SANDBOX_NETWORK: `exa mple.org` is not a host name
        → set none, full, or allow: with hosts, for example allow:example.com,packages.example.com
      SANDBOX_IDLE_MINUTES: 99999999999 is out of bounds
        → set a whole number from 1 to 10080
      RUN_MAX_STEPS: `many` is not a whole number
        → set a whole number from 1 to 1000
      RUN_TIMEOUT: `30` is not a time with its unit
        → set a time such as 90s, 30m or 1h30m, from 1s to 24h
      RUN_BUDGET_USD: `-1` is out of bounds
        → set US dollars above 0, for example 2 or 0.50
      DAILY_BUDGET_USD: `lots` is not an amount
        → set US dollars above 0, for example 2 or 0.50
      MAX_CONCURRENT_RUNS: 0 is out of bounds
        → set a whole number from 1 to 1000
      THREADBOX_ALLOW: mixes `write` with logins
        → set either one word or a list of logins
      THREADBOX_INSTRUCTIONS: `/nowhere/role.md` cannot be read (No such file or directory (os error 2))
        → set the path of a text file, or unset it
      RUST_LOG: is not a log filter (error parsing level filter: expected one of "off", "error", "warn", "info", "debug", "trace", or a number 0-5)
        → set error, warn, info, debug or trace, or a list such as info,threadbox=debug
      LOG_FORMAT: `yaml` is not a log format
        → set text or json
    "#);
}

#[test]
fn values_are_understood() {
    let settings = load(&[
        ("THREADBOX_LISTEN", "localhost:9000"),
        ("THREADBOX_PUBLIC_URL", "https://bot.example/base/"),
        ("THREADBOX_NAME", "@helper"),
        ("DATABASE_URL", "postgres:///bot?host=/run/pg&user=postgres"),
        ("MODEL", "Anthropic/claude-sonnet-4-5, openrouter/meta-llama/llama-4"),
        ("ANTHROPIC_API_KEY", "a"),
        ("OPENROUTER_API_KEY", "b"),
        ("RUN_TIMEOUT", "1h 30m"),
        ("RUN_BUDGET_USD", "$0.50"),
        ("SANDBOX_MEMORY_MB", "2 GiB"),
        ("SANDBOX_NETWORK", "allow: PyPI.org ,*.crates.io"),
        ("THREADBOX_ALLOW", "@octocat, dependabot[bot]"),
    ]);
    assert_eq!(settings.listen.to_string(), "127.0.0.1:9000");
    assert_eq!(settings.public_url.as_str(), "https://bot.example/base");
    assert_eq!(settings.name, "helper");
    assert_eq!(settings.models.chain[1].to_string(), "openrouter/meta-llama/llama-4");
    assert_eq!(settings.models.title, settings.models.chain);
    assert_eq!(settings.limits.run_timeout, Duration::from_secs(5400));
    assert_eq!(settings.limits.run_budget_usd, 0.5);
    assert_eq!(settings.sandbox.memory_mb, 2048);
    assert_eq!(settings.sandbox.network, Network::Allow(vec!["pypi.org".into(), "*.crates.io".into()]));
    assert_eq!(settings.allow, Allow::Logins(vec!["octocat".into(), "dependabot[bot]".into()]));
    assert!(settings.database.url.is_some());
}

#[test]
fn links_never_point_to_every_address() {
    assert_eq!(load(&[("THREADBOX_LISTEN", "0.0.0.0:80")]).public_url.as_str(), "http://127.0.0.1/");
    assert_eq!(load(&[("THREADBOX_LISTEN", "[::]:8081")]).public_url.as_str(), "http://[::1]:8081/");
}

#[test]
fn a_way_into_a_private_network_is_said() {
    let said = warnings(&[("SANDBOX_NETWORK", "allow:pypi.org,10.0.0.5:8080")], &[]);
    assert!(said.contains("SANDBOX_NETWORK: lets code in sandboxes reach 10.0.0.5"), "{said}");
    for harmless in ["none", "full", "allow:pypi.org,*.crates.io:443,1.1.1.1"] {
        assert!(!warnings(&[("SANDBOX_NETWORK", harmless)], &[]).contains("SANDBOX_NETWORK"), "{harmless}");
    }
}

#[test]
fn code_runs_at_daytona_when_there_is_a_key_for_it() {
    let settings = load(&[("DAYTONA_API_KEY", "k"), ("DAYTONA_TARGET", "eu")]);
    assert_eq!((settings.sandbox.kind, settings.sandbox.network), (SandboxKind::Daytona, Network::Full));
    let daytona = settings.sandbox.daytona.unwrap();
    assert_eq!((daytona.api_url.as_str(), daytona.target.as_deref()), ("https://app.daytona.io/api", Some("eu")));
    assert!(matches!(daytona.credential, DaytonaCredential::Key(_)));

    let settings = load(&[("DAYTONA_API_KEY", "k"), ("SANDBOX", "local")]);
    assert_eq!((settings.sandbox.kind, &settings.sandbox.network), (SandboxKind::Local, &Network::None));
    assert_eq!(settings.secrets().len(), 1);

    let settings = load(&[("DAYTONA_JWT_TOKEN", "t"), ("DAYTONA_ORGANIZATION_ID", "o"), ("SANDBOX_NETWORK", "none")]);
    assert_eq!((settings.sandbox.kind, settings.sandbox.network), (SandboxKind::Daytona, Network::None));
    assert!(
        matches!(settings.sandbox.daytona.unwrap().credential, DaytonaCredential::Jwt { organization, .. } if organization == "o")
    );
}

#[test]
fn what_is_wrong_with_daytona_is_said() {
    insta::assert_snapshot!(problems(&[("DAYTONA_JWT_TOKEN", "t"), ("DAYTONA_IMAGE", "debian\nRUN x"), ("DAYTONA_API_URL", "daytona.example")]), @r#"
    3 settings are wrong
      DAYTONA_ORGANIZATION_ID: is missing, but DAYTONA_JWT_TOKEN is set, whose owner may belong to several organisations
        → set it to the id shown in the organisation's settings, or use DAYTONA_API_KEY
      DAYTONA_API_URL: is not an address (relative URL without a base)
        → set an address such as https://host/path
      DAYTONA_IMAGE: is not a name
        → set one word of letters, digits and . _ - : / @
    "#);
    let redirected = load_both(&[("DAYTONA_API_KEY", "k")], &[("DAYTONA_API_URL", "https://elsewhere.example/api")]);
    insta::assert_snapshot!(redirected.unwrap_err(), @r#"
    1 setting is wrong
      DAYTONA_API_URL: comes from `.env`, but DAYTONA_API_KEY, which would be sent there, comes from the environment
        → set both in the environment or both in `.env`
    "#);
    let ignored = [
        ("DAYTONA_API_KEY", "k"),
        ("DAYTONA_JWT_TOKEN", "t"),
        ("DAYTONA_ORGANIZATION_ID", "o"),
        ("SANDBOX_CPUS", "4"),
        ("DAYTONA_API_URL", "http://daytona.example"),
    ];
    insta::assert_snapshot!(warnings(&ignored, &[]).lines().filter(|line| !line.starts_with("off:")).collect::<Vec<_>>().join("\n"), @r#"
    SANDBOX_CPUS: has no effect, because a Daytona snapshot has a size of its own; choose one with DAYTONA_SNAPSHOT, or set DAYTONA_IMAGE
    DAYTONA_JWT_TOKEN: is ignored because DAYTONA_API_KEY is set; remove one of the two
    DAYTONA_ORGANIZATION_ID: is ignored because a key belongs to one organisation; remove it, or use DAYTONA_JWT_TOKEN
    DAYTONA_API_URL: DAYTONA_API_KEY travels there unencrypted; use https:// outside of a private network
    "#);
    assert!(problems(&[("DAYTONA_API_KEY", "k"), ("DAYTONA_IMAGE", "a"), ("DAYTONA_SNAPSHOT", "b")]).contains("keep one"));
}

#[test]
fn an_empty_list_means_nobody() {
    let loaded = load_both(&[("THREADBOX_ALLOW", " ")], &[]).unwrap();
    assert_eq!(loaded.settings.allow, Allow::Logins(vec![]));
    assert!(loaded.warnings[0].to_string().contains("nobody may trigger"));
    assert!(problems(&[("THREADBOX_ALLOW", "*")]).contains("THREADBOX_ALLOW"));
    assert!(problems(&[("THREADBOX_ALLOW", "none")]).contains("THREADBOX_ALLOW"));
    assert_eq!(load(&[("THREADBOX_ALLOW", ",")]).allow, Allow::Logins(vec![]));
    assert_eq!(load(&[("THREADBOX_ALLOW", "Member")]).allow, Allow::Member);
    assert_eq!(load(&[]).allow, Allow::Permission(Permission::Write));
}

#[test]
fn a_dropped_in_file_cannot_redirect_a_key() {
    let both = |process: Pairs<'_>, file: Pairs<'_>| load_both(process, file).unwrap_err().to_string();
    insta::assert_snapshot!(
        both(
            &[("OPENAI_API_KEY", "k"), ("GITHUB_TOKEN", "t"), ("GITHUB_WEBHOOK_SECRET", "s")],
            &[("OPENAI_BASE_URL", "https://evil.example/v1"), ("GITHUB_API_URL", "https://evil.example")],
        ),
        @r"
            2 settings are wrong
              OPENAI_BASE_URL: comes from `.env`, but OPENAI_API_KEY, which would be sent there, comes from the environment
                → set both in the environment or both in `.env`
              GITHUB_API_URL: comes from `.env`, but GITHUB_TOKEN, which would be sent there, comes from the environment
                → set both in the environment or both in `.env`
            "
    );
    insta::assert_snapshot!(both(&[("GOOGLE_BASE_URL", "https://gateway.example")], &[("GEMINI_API_KEY", "k")]), @r"
    1 setting is wrong
      GOOGLE_BASE_URL: comes from the environment, but GEMINI_API_KEY, which would be sent there, comes from `.env`
        → set both in `.env` or both in the environment
    ");
    let allowed: [(Pairs<'_>, Pairs<'_>); 3] = [
        (&[], &[("OPENAI_API_KEY", "k"), ("OPENAI_BASE_URL", "https://a.example/v1")]),
        (&[("OPENAI_API_KEY", "k"), ("OPENAI_BASE_URL", "https://a.example/v1")], &[("OPENAI_BASE_URL", "https://evil.example")]),
        (&[("OPENAI_API_KEY", "k"), ("OPENAI_BASE_URL", "")], &[("OPENAI_BASE_URL", "https://evil.example")]),
    ];
    for (process, file) in allowed {
        let settings = load_both(process, file).unwrap().settings;
        let url = settings.models.providers["openai"].base_url.as_ref().map(Url::as_str);
        assert_ne!(url, Some("https://evil.example/"));
    }
}

#[test]
fn a_key_over_plain_http_is_worth_a_warning() {
    let with = |url| warnings(&[("OPENAI_API_KEY", "k"), ("OPENAI_BASE_URL", url)], &[]);
    assert!(with("http://gateway:4000/v1").contains("OPENAI_API_KEY travels there unencrypted"));
    for quiet in ["https://gateway/v1", "http://localhost:4000/v1", "http://127.0.0.1:1", "http://[::1]:1"] {
        assert!(!with(quiet).contains("unencrypted"), "{quiet}");
    }
}

#[test]
fn unknown_names_of_ours_are_reported_with_a_guess() {
    let process: Pairs<'_> =
        &[("THREADBOX_MODEL", "x"), ("THREADBOX_LISTN", "x"), ("THREADBOX_COLOUR", "x"), ("RUN_TIMEOUTS", "somebody else's")];
    let file: Pairs<'_> = &[("RUN_TIME_OUT", "1h"), ("POSTGRES_PASSWORD", "p"), ("FIREWORKS_API_KEY", "k")];
    insta::assert_snapshot!(warnings(process, file), @r"
    THREADBOX_COLOUR: is unknown and has no effect; remove it
    THREADBOX_LISTN: is unknown and has no effect; did you mean THREADBOX_LISTEN?
    THREADBOX_MODEL: is unknown and has no effect; did you mean MODEL?
    RUN_TIME_OUT: in `.env` is unknown and has no effect; did you mean RUN_TIMEOUT?
    off: GitHub (set GITHUB_APP_ID, GITHUB_APP_PRIVATE_KEY and GITHUB_WEBHOOK_SECRET, or GITHUB_TOKEN and GITHUB_WEBHOOK_SECRET)
    off: Discord (set DISCORD_TOKEN to the bot's token)
    off: model (set OPENAI_API_KEY for openai/gpt-4.1, or MODEL to another provider/model)
    ");
}

#[test]
fn keys_are_found_under_their_usual_names() {
    let settings = load(&[
        ("GOOGLE_API_KEY", "second"),
        ("GEMINI_API_KEY", "third"),
        ("TOGETHER_API_KEY", "t"),
        ("MY_GATEWAY_API_KEY", "g"),
        ("MY_GATEWAY_BASE_URL", "https://gateway.example/v1/"),
        ("FIREWORKS_API_KEY", "no address, so not a provider"),
        ("MODEL", "togetherai/some/model,my-gateway/model"),
    ]);
    let key = |name: &str| settings.models.providers[name].key.as_ref().map(|key| key.expose_secret().to_owned());
    assert_eq!(key("google").as_deref(), Some("second"));
    assert_eq!(key("togetherai").as_deref(), Some("t"));
    assert_eq!(key("my-gateway").as_deref(), Some("g"));
    let address = settings.models.providers["my-gateway"].base_url.as_ref().map(Url::as_str);
    assert_eq!(address, Some("https://gateway.example/v1"));
    assert!(!settings.models.providers.contains_key("fireworks"));
    assert!(!settings.models.providers.contains_key("groq"));
}

#[test]
fn a_model_without_a_key_is_passed_over_and_a_local_one_needs_none() {
    let text = warnings(&[("MODEL", "openai/gpt-4.1,ollama/qwen3"), ("OLLAMA_BASE_URL", "http://localhost:11434/v1")], &[]);
    insta::assert_snapshot!(text, @r"
    MODEL: openai/gpt-4.1 will be passed over because it has no key; set OPENAI_API_KEY
    off: GitHub (set GITHUB_APP_ID, GITHUB_APP_PRIVATE_KEY and GITHUB_WEBHOOK_SECRET, or GITHUB_TOKEN and GITHUB_WEBHOOK_SECRET)
    off: Discord (set DISCORD_TOKEN to the bot's token)
    ");
}

#[test]
fn an_app_wins_over_a_token() {
    let pem = pem();
    let all: Pairs<'_> = &[
        ("GITHUB_APP_ID", "17"),
        ("GITHUB_APP_PRIVATE_KEY", &pem),
        ("GITHUB_TOKEN", "t"),
        ("GITHUB_WEBHOOK_SECRET", "new, old"),
    ];
    assert!(warnings(all, &[]).contains("GITHUB_TOKEN: is ignored because a GitHub App is configured"));
    let github = load(all).github.unwrap();
    assert!(matches!(github.auth, GithubAuth::App { id: 17, .. }));
    assert_eq!(github.webhook_secrets.iter().map(ExposeSecret::expose_secret).collect::<Vec<_>>(), ["new", "old"]);
    assert_eq!(github.api_url.as_str(), "https://api.github.com/");
}

#[test]
fn a_private_key_is_text_or_a_path() {
    let pem = pem();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key.pem");
    std::fs::write(&path, &pem).unwrap();
    for value in [pem.clone(), pem.replace('\n', "\\n"), path.display().to_string()] {
        let settings = load(&[("GITHUB_APP_ID", "1"), ("GITHUB_APP_PRIVATE_KEY", &value), ("GITHUB_WEBHOOK_SECRET", "s")]);
        let Some(GithubSettings { auth: GithubAuth::App { private_key, .. }, .. }) = settings.github else { panic!("no App") };
        assert_eq!(private_key.expose_secret().trim(), pem.trim());
    }
    let cut = &pem[..pem.len() / 2];
    let text = problems(&[("GITHUB_APP_ID", "1"), ("GITHUB_APP_PRIVATE_KEY", cut), ("GITHUB_WEBHOOK_SECRET", "s")]);
    assert!(!text.contains(&pem[40..80]));
    insta::assert_snapshot!(text, @r"
    1 setting is wrong
      GITHUB_APP_PRIVATE_KEY: is not a complete RSA private key in PEM form
        → generate a private key in the App's settings and use that .pem file
    ");
}

#[test]
fn half_of_a_github_configuration_is_a_problem() {
    insta::assert_snapshot!(problems(&[("GITHUB_APP_ID", "1"), ("GITHUB_WEBHOOK_SECRET", "s")]), @r"
    1 setting is wrong
      GITHUB_APP_PRIVATE_KEY: is missing, but GITHUB_APP_ID is set
        → set it to the App's private key (the .pem file's path or text)
    ");
    insta::assert_snapshot!(problems(&[("GITHUB_APP_PRIVATE_KEY", "/nowhere/key.pem"), ("GITHUB_TOKEN", "t")]), @r"
    3 settings are wrong
      GITHUB_APP_ID: is missing, but GITHUB_APP_PRIVATE_KEY is set
        → set it to the App ID shown at the top of the App's settings
      GITHUB_APP_PRIVATE_KEY: is neither PEM text nor the path of a readable file (No such file or directory (os error 2))
        → set the path of the App's .pem file, readable for the user the service runs as, or the PEM text itself
      GITHUB_WEBHOOK_SECRET: is missing, and without it nobody can tell GitHub's webhooks from forged ones
        → set it here and in the webhook's settings on GitHub to the same long random text, for example from `openssl rand -hex 32`
    ");
    insta::assert_snapshot!(problems(&[("GITHUB_TOKEN", "t")]), @r"
    1 setting is wrong
      GITHUB_WEBHOOK_SECRET: is missing, and without it nobody can tell GitHub's webhooks from forged ones
        → set it here and in the webhook's settings on GitHub to the same long random text, for example from `openssl rand -hex 32`
    ");
    insta::assert_snapshot!(problems(&[("GITHUB_TOKEN", "t"), ("GITHUB_WEBHOOK_SECRET", "a,b,c")]), @r"
    1 setting is wrong
      GITHUB_WEBHOOK_SECRET: holds more than two secrets
        → keep the new one and the one it replaces
    ");
}

#[test]
fn an_enterprise_server_has_a_path() {
    let url = |text| {
        let settings = load(&[("GITHUB_API_URL", text), ("GITHUB_TOKEN", "t"), ("GITHUB_WEBHOOK_SECRET", "s")]);
        settings.github.unwrap().api_url.to_string()
    };
    assert_eq!(url("https://ghe.example/api/v3/"), "https://ghe.example/api/v3");
    assert_eq!(url("http://127.0.0.1:4010"), "http://127.0.0.1:4010/");
}

#[test]
fn discord_is_a_token_and_who_may() {
    let with = |more: Pairs<'_>| load(&[&[("DISCORD_TOKEN", "Bot a.b.c")], more].concat()).discord.unwrap();
    let discord = with(&[("DISCORD_ALLOW_GUILDS", "12, 34"), ("DISCORD_GUILD_DAILY_BUDGET_USD", "2.5")]);
    assert_eq!((discord.token.expose_secret(), discord.api_url.as_str()), ("a.b.c", "https://discord.com/"));
    assert_eq!((discord.allow_guilds, discord.allow_roles), (Some(vec![12, 34]), None));
    assert_eq!(discord.guild_daily_budget_usd, Some(2.5));
    assert_eq!(with(&[("DISCORD_ALLOW_ROLES", " ")]).allow_roles, Some(Vec::new()));
    for (written, meant) in [
        ("http://127.0.0.1:4020", "http://127.0.0.1:4020/"),
        ("http://localhost:4020/api/v10", "http://localhost:4020/"),
        ("https://proxy.example/discord/api/", "https://proxy.example/discord"),
    ] {
        assert_eq!(with(&[("DISCORD_API_URL", written)]).api_url.as_str(), meant);
    }
    assert!(load(&[("DISCORD_ALLOW_ROLES", "1")]).discord.is_none());
    assert!(warnings(&[("DISCORD_ALLOW_ROLES", "1")], &[]).contains("DISCORD_ALLOW_ROLES: has no effect without DISCORD_TOKEN"));
}

#[test]
fn what_is_wrong_about_discord_is_said_without_its_token() {
    let wrong = problems(&[
        ("DISCORD_TOKEN", "two words"),
        ("DISCORD_API_URL", "http://discord.example"),
        ("DISCORD_ALLOW_GUILDS", "Octo"),
        ("DISCORD_ALLOW_CHANNELS", "0"),
    ]);
    insta::assert_snapshot!(wrong, @r"
    4 settings are wrong
      DISCORD_TOKEN: is not a bot's token
        → copy it from the Bot page of the application at discord.com/developers
      DISCORD_API_URL: is a plain http:// address on another machine, and the bot's token would travel there unencrypted
        → set an https:// address, or one on this machine such as http://127.0.0.1:4020
      DISCORD_ALLOW_GUILDS: holds something that is not an id of Discord's
        → set numbers separated by commas; with the developer mode switched on, `Copy ID` stands in Discord's menus
      DISCORD_ALLOW_CHANNELS: holds something that is not an id of Discord's
        → set numbers separated by commas; with the developer mode switched on, `Copy ID` stands in Discord's menus
    ");
    let redirected = load_both(&[("DISCORD_TOKEN", "t")], &[("DISCORD_API_URL", "https://elsewhere.example")]);
    assert!(redirected.unwrap_err().to_string().contains("comes from `.env`, but DISCORD_TOKEN"));
}

#[test]
fn secrets_never_show() {
    let pem = pem();
    let loaded = load_both(
        &[
            ("DATABASE_URL", "postgres://bot:canary@db/bot"),
            ("OPENAI_API_KEY", "canary"),
            ("GITHUB_APP_ID", "1"),
            ("GITHUB_APP_PRIVATE_KEY", &pem),
            ("DAYTONA_API_KEY", "canary"),
            ("GITHUB_TOKEN", "canary"),
            ("DISCORD_TOKEN", "canary"),
            ("GITHUB_WEBHOOK_SECRET", "canary"),
            ("THREADBOX_ADMIN_TOKEN", "canary canary canary"),
        ],
        &[],
    );
    let shown = format!("{:?}", loaded.unwrap());
    assert!(!shown.contains("canary") && !shown.contains("PRIVATE KEY"), "{shown}");
}

proptest! {
    #[test]
    fn no_text_makes_loading_panic_and_no_key_is_repeated(text in "\\PC{0,60}", index in 0usize..8) {
        let name = ["RUN_TIMEOUT", "SANDBOX_MEMORY_MB", "THREADBOX_ALLOW", "MODEL", "SANDBOX_NETWORK", "DATABASE_URL", "THREADBOX_NAME", "RUN_BUDGET_USD"][index];
        let _ = load_both(&[(name, &text)], &[]);
    }

    #[test]
    fn a_time_is_the_sum_of_its_parts(hours in 0u64..20, minutes in 0u64..60, seconds in 1u64..60) {
        let settings = load(&[("RUN_TIMEOUT", &format!("{hours}h{minutes}m{seconds}s"))]);
        prop_assert_eq!(settings.limits.run_timeout, Duration::from_secs(hours * 3600 + minutes * 60 + seconds));
    }
}
