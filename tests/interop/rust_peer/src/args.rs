//! Command line options. By hand, since a parsing crate would double the number of crates of our own choice.

use std::collections::HashMap;
use std::error::Error as _;
use std::str::FromStr;

/// The text of an `error` event.
#[derive(Debug)]
pub struct Failure(pub String);

impl From<ockam::Error> for Failure {
    fn from(error: ockam::Error) -> Self {
        // Without the place in the library's sources, which the library's own text form includes.
        Self(match error.source() {
            Some(cause) => format!("{cause} ({})", error.code()),
            None => error.code().to_string(),
        })
    }
}

impl From<&str> for Failure {
    fn from(text: &str) -> Self {
        Self(text.to_string())
    }
}

/// The options of a command: those with a value, and those without.
pub type Known = (Vec<&'static str>, &'static [&'static str]);

pub struct Args {
    given: HashMap<String, String>,
}

impl Args {
    /// Reads the words after `command`, which knows these options: some with a value, some without.
    pub fn parse(
        command: &str,
        (values, flags): Known,
        words: impl Iterator<Item = String>,
    ) -> Result<Self, Failure> {
        let mut words = words;
        let mut given = HashMap::new();
        while let Some(word) = words.next() {
            let (name, attached) = match word.split_once('=') {
                Some((name, value)) => (name.to_string(), Some(value.to_string())),
                None => (word, None),
            };
            let value = if values.contains(&name.as_str()) {
                attached
                    .or_else(|| words.next())
                    .ok_or_else(|| Failure(format!("{name} needs a value")))?
            } else if flags.contains(&name.as_str()) && attached.is_none() {
                String::new()
            } else {
                return Err(Failure(format!("{command} does not know {name}")));
            };
            if given.insert(name.clone(), value).is_some() {
                return Err(Failure(format!("{name} is given twice")));
            }
        }
        Ok(Self { given })
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.given.get(name).map(String::as_str)
    }

    pub fn required(&self, name: &str) -> Result<&str, Failure> {
        self.text(name)
            .ok_or_else(|| Failure(format!("{name} is missing")))
    }

    pub fn flag(&self, name: &str) -> bool {
        self.given.contains_key(name)
    }

    /// The value of an option as any type that can be read from text.
    pub fn parsed<T: FromStr>(&self, name: &str) -> Result<Option<T>, Failure> {
        self.text(name)
            .map(|text| {
                text.parse()
                    .map_err(|_| Failure(format!("{name} cannot be `{text}`")))
            })
            .transpose()
    }
}

/// Reads `name=value,name=value`.
pub fn pairs(text: Option<&str>) -> Result<Vec<(&str, &str)>, Failure> {
    text.into_iter()
        .flat_map(|text| text.split(','))
        .map(|pair| {
            pair.split_once('=')
                .ok_or_else(|| Failure(format!("`{pair}` is not NAME=VALUE")))
        })
        .collect()
}
