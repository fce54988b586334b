//! Going through an operation: asking each object for its fields, putting the answers together, collecting what went wrong.

use serde_json::{Map, Value, json};

use super::super::auth::Actor;
use super::super::world::World;
use super::Trouble;
use super::object::{Found, Object};
use super::parse::{Condition, Document, Field, Operation, Selection};
use super::schema::{belongs, check};

/// One operation under way.
pub(super) struct Resolver<'a> {
    pub world: &'a mut World,
    pub actor: &'a Actor,
    document: &'a Document,
    variables: Map<String, Value>,
    errors: Vec<Value>,
    pub deliveries: Vec<u64>,
}

impl<'a> Resolver<'a> {
    pub fn new(world: &'a mut World, actor: &'a Actor, document: &'a Document, variables: Map<String, Value>) -> Self {
        Self { world, actor, document, variables, errors: Vec::new(), deliveries: Vec::new() }
    }

    /// The answer and the webhooks that came of it.
    pub fn run(&mut self, operation: &Operation) -> (Value, Vec<u64>) {
        let root = match operation.kind.as_str() {
            "query" => Object::Query,
            "mutation" => Object::Mutation,
            other => {
                let trouble = Trouble::invalid("missingSchema", format!("Schema is not configured for {other}s"));
                return (json!({"errors": [trouble.json(&[])]}), Vec::new());
            }
        };
        if let Err(trouble) = check(self.document, root.kind(self.world), &operation.fields, 0) {
            return (json!({"errors": [trouble.json(&[])]}), Vec::new());
        }
        let mut path = Vec::new();
        let data = self.object(&root, &operation.fields, &mut path);
        let mut answer = json!({"data": data});
        if !self.errors.is_empty() {
            answer["errors"] = std::mem::take(&mut self.errors).into();
        }
        (answer, std::mem::take(&mut self.deliveries))
    }

    fn object(&mut self, object: &Object, selections: &[Selection], path: &mut Vec<String>) -> Value {
        let mut answer = Map::new();
        self.select(object, selections, path, &mut answer);
        Value::Object(answer)
    }

    fn select(&mut self, object: &Object, selections: &[Selection], path: &mut Vec<String>, answer: &mut Map<String, Value>) {
        let document = self.document;
        let kind = object.kind(self.world);
        for selection in selections {
            match selection {
                Selection::Field(field) if self.wanted(&field.conditions) => {
                    path.push(field.alias.clone());
                    let value = self.field(object, kind, field, path);
                    path.pop();
                    answer.insert(field.alias.clone(), value);
                }
                Selection::Inline { on, conditions, fields } if self.wanted(conditions) => {
                    if on.as_deref().is_none_or(|on| belongs(kind, on)) {
                        self.select(object, fields, path, answer);
                    }
                }
                Selection::Spread { name, conditions } if self.wanted(conditions) => {
                    if let Some(fragment) = document.fragments.get(name).filter(|fragment| belongs(kind, &fragment.on)) {
                        self.select(object, &fragment.fields, path, answer);
                    }
                }
                Selection::Field(_) | Selection::Inline { .. } | Selection::Spread { .. } => {}
            }
        }
    }

    fn wanted(&self, conditions: &[Condition]) -> bool {
        conditions.iter().all(|condition| {
            let holds = condition.value.value(&self.variables) == Value::Bool(true);
            holds == (condition.name == "include")
        })
    }

    fn field(&mut self, object: &Object, kind: &str, field: &Field, path: &mut Vec<String>) -> Value {
        if field.name == "__typename" {
            return kind.into();
        }
        let arguments = field.arguments.iter().map(|(name, input)| (name.clone(), input.value(&self.variables))).collect();
        let found = match object {
            Object::Mutation => self.mutate(&field.name, &arguments),
            other => other.field(self.world, self.actor, &field.name, &arguments),
        };
        match found {
            Ok(Found::Plain(value)) => value,
            Ok(Found::One(object)) => self.object(&object, &field.fields, path),
            Ok(Found::Many(objects)) => {
                let mut all = Vec::with_capacity(objects.len());
                for (at, object) in objects.iter().enumerate() {
                    path.push(at.to_string());
                    all.push(self.object(object, &field.fields, path));
                    path.pop();
                }
                all.into()
            }
            Err(trouble) => {
                self.errors.push(trouble.json(path));
                Value::Null
            }
        }
    }
}
