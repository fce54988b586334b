//! What a tool is: typed inside, JSON outside.

use std::future::Future;
use std::marker::PhantomData;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{Access, Kind, ToolContext, ToolOutput, arguments, nearby};
use crate::model::ToolSpec;
use crate::sandbox::SandboxError;

/// A tool as the toolbox sees it.
#[async_trait]
pub trait Tool: Send + Sync {
    /// Name, description and schema of the arguments.
    fn spec(&self) -> &ToolSpec;

    /// Whether a call with these arguments changes anything.
    fn access(&self, arguments: &Map<String, Value>) -> Access;

    /// True when all it does is one command under the key of the call, so that the command is found again after a restart where
    /// the sandbox can do that.
    fn is_one_command(&self) -> bool;

    /// What it needs to be offered.
    fn kind(&self) -> Kind;

    /// True when a call that is made again after a restart finds what it did.
    fn repeats(&self) -> bool;

    /// One plain line to show while it runs.
    fn label(&self, arguments: &Map<String, Value>) -> String;

    /// Checks the arguments and does it. Failures are results.
    async fn call(&self, ctx: &ToolContext<'_>, arguments: &Map<String, Value>) -> ToolOutput;
}

/// A tool as its author writes it. The schema is derived from the arguments.
pub trait Typed: Send + Sync + 'static {
    /// Its arguments. Doc comments of the fields are what the model reads.
    type Arguments: DeserializeOwned + JsonSchema + Send + Sync;

    /// Unique among all tools.
    const NAME: &'static str;

    /// What it does and when to use it.
    const DESCRIPTION: &'static str;

    /// True when all it does is one command made by `ToolContext::exec`.
    const IS_ONE_COMMAND: bool = false;

    /// What it needs to be offered.
    const KIND: Kind = Kind::Works;

    /// True when a call that is made again after a restart finds what it did.
    const REPEATS: bool = false;

    /// Text fields in which an object or a list may stand, too: it is read as its JSON.
    const JSON_FIELDS: &'static [&'static str] = &[];

    /// Whether a call changes anything.
    fn access(arguments: &Self::Arguments) -> Access;

    /// One plain line to show while it runs.
    fn label(arguments: &Self::Arguments) -> String;

    /// Does it. An error becomes `{error}` with its text.
    fn call(ctx: &ToolContext<'_>, arguments: Self::Arguments) -> impl Future<Output = Result<ToolOutput, SandboxError>> + Send;
}

/// Makes a tool of its type.
pub fn tool<T: Typed>() -> Box<dyn Tool> {
    let spec = ToolSpec {
        name: T::NAME.to_owned(),
        description: T::DESCRIPTION.trim().to_owned(),
        schema: arguments::schema::<T::Arguments>(),
    };
    Box::new(Adapter::<T> { spec, tool: PhantomData })
}

struct Adapter<T> {
    spec: ToolSpec,
    tool: PhantomData<fn() -> T>,
}

impl<T: Typed> Adapter<T> {
    fn read(&self, given: &Map<String, Value>) -> Result<T::Arguments, arguments::Problems> {
        if T::JSON_FIELDS.is_empty() {
            return arguments::read(&self.spec, given);
        }
        let mut given = given.clone();
        for field in T::JSON_FIELDS {
            if let Some(value) = given.get_mut(*field).filter(|value| value.is_object() || value.is_array()) {
                *value = Value::String(value.to_string());
            }
        }
        arguments::read(&self.spec, &given)
    }
}

#[async_trait]
impl<T: Typed> Tool for Adapter<T> {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn access(&self, given: &Map<String, Value>) -> Access {
        // What cannot be read is only answered with an error.
        self.read(given).map_or(Access::Reads, |arguments| T::access(&arguments))
    }

    fn is_one_command(&self) -> bool {
        T::IS_ONE_COMMAND
    }

    fn kind(&self) -> Kind {
        T::KIND
    }

    fn repeats(&self) -> bool {
        T::REPEATS
    }

    fn label(&self, given: &Map<String, Value>) -> String {
        self.read(given).map_or_else(|_| format!("Calling {}", T::NAME), |arguments| T::label(&arguments))
    }

    async fn call(&self, ctx: &ToolContext<'_>, given: &Map<String, Value>) -> ToolOutput {
        let arguments = match self.read(given) {
            Ok(arguments) => arguments,
            Err(problems) => return problems.output(&self.spec),
        };
        let label = T::label(&arguments);
        match T::call(ctx, arguments).await {
            Ok(output) => output,
            Err(error) => ToolOutput::error(explain(ctx, given, &error).await, format!("{label}: failed")),
        }
    }
}

/// The error in words, with what a path that is not there probably means.
async fn explain(ctx: &ToolContext<'_>, given: &Map<String, Value>, error: &SandboxError) -> String {
    let named = |field: &str| given.get(field).and_then(Value::as_str);
    if let (SandboxError::NotFound(_), Some(path)) = (error, named("path"))
        && let Ok(sandbox) = ctx.sandbox(named("sandboxId")).await
    {
        return format!("{error}{}", nearby::hint(&*sandbox, path).await);
    }
    error.to_string()
}
