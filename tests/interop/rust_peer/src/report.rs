//! The JSON lines on standard output.

use std::fmt::Write as _;
use std::io::Write as _;

pub enum Value {
    Text(String),
    Whole(u64),
    Real(f64),
    Null,
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_string())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Option<String>> for Value {
    fn from(text: Option<String>) -> Self {
        text.map_or(Self::Null, Self::Text)
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Self {
        Self::Whole(number as u64)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Real(number)
    }
}

pub fn error(message: &str) {
    event("error", [("message", message.into())]);
}

pub fn event<const N: usize>(name: &str, fields: [(&str, Value); N]) {
    let mut line = String::from("{\"event\":");
    quote(&mut line, name);
    for (key, value) in fields {
        line.push(',');
        quote(&mut line, key);
        line.push(':');
        match value {
            Value::Text(text) => quote(&mut line, &text),
            Value::Whole(number) => line.push_str(&number.to_string()),
            Value::Real(number) if number.is_finite() => line.push_str(&format!("{number:.6}")),
            Value::Real(_) | Value::Null => line.push_str("null"),
        }
    }
    line.push_str("}\n");
    let mut out = std::io::stdout().lock();
    // Nobody may be listening any more. That is no reason to panic, which would try to report again.
    let _ = out.write_all(line.as_bytes()).and_then(|()| out.flush());
}

fn quote(line: &mut String, text: &str) {
    line.push('"');
    for character in text.chars() {
        match character {
            '"' => line.push_str("\\\""),
            '\\' => line.push_str("\\\\"),
            control if control < ' ' => {
                let _ = write!(line, "\\u{:04x}", u32::from(control));
            }
            other => line.push(other),
        }
    }
    line.push('"');
}
