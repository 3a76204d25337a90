//! Who sees inputs and outputs.

use serde::{Deserialize, Serialize};

/// Who sees an input or an output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    /// Whoever has the proof: it is a part of the statement.
    #[default]
    Public,
    /// The prover alone. That an input is in its range is proved.
    Private,
    /// The prover alone; the statement has a hiding commitment to it, which other proofs may share.
    Committed,
    /// The prover alone; the statement has a Poseidon hash of it, which circuits of others may share.
    Hashed,
}

impl Visibility {
    /// All, in the order in which they are named.
    pub const ALL: [Self; 4] = [Self::Public, Self::Private, Self::Committed, Self::Hashed];

    /// Its name, as in keys.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Private => "private",
            Self::Committed => "committed",
            Self::Hashed => "hashed",
        }
    }

    /// Whether the values are the prover's alone.
    pub const fn is_hidden(self) -> bool {
        match self {
            Self::Public => false,
            Self::Private | Self::Committed | Self::Hashed => true,
        }
    }
}

/// The visibility of a graph's inputs and outputs, in the graph's order; what is not listed is public.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Visibilities {
    /// Of the inputs.
    pub inputs: Vec<Visibility>,
    /// Of the outputs.
    pub outputs: Vec<Visibility>,
}

impl Visibilities {
    /// Of an input.
    pub fn input(&self, index: usize) -> Visibility {
        self.inputs.get(index).copied().unwrap_or_default()
    }

    /// Of an output.
    pub fn output(&self, index: usize) -> Visibility {
        self.outputs.get(index).copied().unwrap_or_default()
    }

    /// Makes an input visible like this.
    pub fn set_input(&mut self, index: usize, visibility: Visibility) {
        set(&mut self.inputs, index, visibility);
    }

    /// Makes an output visible like this.
    pub fn set_output(&mut self, index: usize, visibility: Visibility) {
        set(&mut self.outputs, index, visibility);
    }

    /// Whether nothing is hidden.
    pub fn is_public(&self) -> bool {
        !self.inputs.iter().chain(&self.outputs).any(|visibility| visibility.is_hidden())
    }
}

/// One list for one meaning: none ends with what is public anyway, so that equal graphs are equal bytes.
fn set(list: &mut Vec<Visibility>, index: usize, visibility: Visibility) {
    if list.len() <= index {
        list.resize(index + 1, Visibility::Public);
    }
    list[index] = visibility;
    while list.last() == Some(&Visibility::Public) {
        list.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_listed_is_public() {
        let mut all = Visibilities::default();
        assert!(all.is_public() && all.input(3) == Visibility::Public);
        all.set_input(2, Visibility::Private);
        all.set_output(0, Visibility::Committed);
        assert_eq!([0, 1, 2, 3].map(|i| all.input(i).is_hidden()), [false, false, true, false]);
        assert!(!all.is_public());
        all.set_input(2, Visibility::Public);
        all.set_output(0, Visibility::Public);
        assert_eq!(all, Visibilities::default());
    }

    #[test]
    fn names_are_those_in_keys() {
        for visibility in Visibility::ALL {
            assert_eq!(serde_json::to_string(&visibility).unwrap(), format!("\"{}\"", visibility.name()));
        }
    }
}
