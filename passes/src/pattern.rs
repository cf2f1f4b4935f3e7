//! Patterns that users name functions, exports and imports by.

use std::fmt;
use std::str::FromStr;

/// A pattern for names: `*` stands for any characters, `?` for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Vec<char>);

impl FromStr for Pattern {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.chars().collect()))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|character| write!(f, "{character}"))
    }
}

impl Pattern {
    /// Whether the whole of `name` fits.
    pub fn matches(&self, name: &str) -> bool {
        let name: Vec<char> = name.chars().collect();
        let (mut at_pattern, mut at_name) = (0, 0);
        // The last `*`, and how much of the name it stood for when it was last tried: it is enough to go back to that one.
        let mut star: Option<(usize, usize)> = None;
        while at_name < name.len() {
            match self.0.get(at_pattern) {
                Some('*') => {
                    star = Some((at_pattern, at_name));
                    at_pattern += 1;
                }
                Some(&wanted) if wanted == '?' || wanted == name[at_name] => {
                    at_pattern += 1;
                    at_name += 1;
                }
                _ => {
                    let Some((pattern, tried)) = star else { return false };
                    star = Some((pattern, tried + 1));
                    at_pattern = pattern + 1;
                    at_name = tried + 1;
                }
            }
        }
        self.0[at_pattern..].iter().all(|&rest| rest == '*')
    }
}
