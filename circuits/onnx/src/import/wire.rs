//! Estimates what an ONNX file takes in memory, before it is decoded.
//!
//! An empty message takes two bytes of a file and hundreds of memory. The wire format is a sequence of fields, each a
//! tag (number and wire type) and a value; a message inside a message has its length in front
//! (<https://protobuf.dev/programming-guides/encoding/>). Messages and texts are counted here; numbers and raw data
//! take about as much memory as they take of the file.

/// Memory of a message without its content, a little more than the largest takes.
const MESSAGE_BYTES: usize = 512;
/// Memory of a text without its characters.
const TEXT_BYTES: usize = 48;
/// Memory that messages and texts of a file of any size may take: some thousands of nodes.
const FREE_BYTES: usize = 32 << 20;
/// And for each byte of the file.
const BYTES_FOR_ONE: usize = 8;
/// Nesting of messages; the decoder's own limit.
const MAX_DEPTH: usize = 100;

/// The messages of ONNX in which others repeat.
#[derive(Clone, Copy)]
enum Message {
    Model,
    Training,
    Graph,
    Node,
    Attribute,
    Tensor,
    Sparse,
    Value,
    Type,
    /// Whatever else: its fields are counted, not entered.
    Other,
}

impl Message {
    /// The message in a field that has a length, if it is one; the numbers are those of `onnx.proto`.
    const fn within(self, field: u64) -> Option<Self> {
        match (self, field) {
            (Self::Model, 7) | (Self::Training, 1 | 2) | (Self::Attribute, 6 | 11) => Some(Self::Graph),
            (Self::Model, 20) => Some(Self::Training),
            (Self::Graph, 1) => Some(Self::Node),
            (Self::Node, 5) => Some(Self::Attribute),
            (Self::Graph, 5) | (Self::Attribute, 5 | 10) | (Self::Sparse, 1 | 2) => Some(Self::Tensor),
            (Self::Graph, 15) | (Self::Attribute, 22 | 23) => Some(Self::Sparse),
            (Self::Graph, 11..=13) => Some(Self::Value),
            (Self::Value, 2) | (Self::Attribute, 14 | 15) => Some(Self::Type),
            // Tensor types and shapes hold each other's messages under the same numbers.
            (Self::Type, _) => Some(Self::Type),
            (Self::Model, 8 | 14 | 25) | (Self::Graph, 14) | (Self::Tensor, 13) | (Self::Training, 3 | 4) => {
                Some(Self::Other)
            }
            _ => None,
        }
    }
}

/// Refuses a file that would take far more memory than its size. What is no protobuf at all is left to the decoder,
/// which has the better words.
pub(super) fn check(bytes: &[u8]) -> Result<(), String> {
    let limit = FREE_BYTES.saturating_add(bytes.len().saturating_mul(BYTES_FOR_ONE));
    let mut left = limit;
    match count(bytes, Message::Model, 0, &mut left) {
        Some(()) => Ok(()),
        None => Err(format!("its {} bytes would take more than {limit} of memory", bytes.len())),
    }
}

/// Takes the memory of all fields from what is left; `None` where it is not enough.
fn count(mut bytes: &[u8], message: Message, depth: usize, left: &mut usize) -> Option<()> {
    if depth > MAX_DEPTH {
        return Some(());
    }
    while let Some((tag, rest)) = varint(bytes) {
        let (content, rest) = match tag & 7 {
            0 => (None, varint(rest).map(|(_, rest)| rest)),
            1 => (None, rest.get(8..)),
            2 => match varint(rest).and_then(|(len, rest)| rest.split_at_checked(usize::try_from(len).ok()?)) {
                Some((content, rest)) => (Some(content), Some(rest)),
                None => (None, None),
            },
            5 => (None, rest.get(4..)),
            _ => (None, None),
        };
        // Where the file is damaged the decoder stops too.
        let Some(rest) = rest else { return Some(()) };
        bytes = rest;
        if let Some(content) = content {
            let inner = message.within(tag >> 3);
            *left = left.checked_sub(if inner.is_some() { MESSAGE_BYTES } else { TEXT_BYTES })?;
            if let Some(inner) = inner {
                count(content, inner, depth + 1, left)?;
            }
        }
    }
    Some(())
}

/// A number of seven bits a byte, least first, and what follows it.
fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0u64;
    for (i, byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[i + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A field with a length.
    fn field(number: u8, content: &[u8]) -> Vec<u8> {
        let mut bytes = vec![number << 3 | 2];
        let mut len = content.len();
        while len > 127 {
            bytes.push(len as u8 | 0x80);
            len >>= 7;
        }
        bytes.push(len as u8);
        [&bytes, content].concat()
    }

    #[test]
    fn empty_messages_are_counted_wherever_they_are() {
        for (path, number) in
            [(&[7u8][..], 1), (&[7], 5), (&[7, 1], 5), (&[7, 1, 5], 11), (&[7, 11, 2, 1, 2], 1), (&[], 14)]
        {
            let nest = |empty: usize| {
                let inner = field(number, &[]).repeat(empty);
                path.iter().rev().fold(inner, |content, field_number| field(*field_number, &content))
            };
            assert_eq!(check(&nest(1000)), Ok(()), "{path:?}");
            assert!(check(&nest(2 * FREE_BYTES / MESSAGE_BYTES)).is_err(), "{path:?}");
        }
    }

    #[test]
    fn large_data_and_damage_are_no_matter() {
        assert_eq!(check(&field(7, &field(5, &field(9, &vec![0x0a; 1 << 20])))), Ok(()));
        for bytes in [&b""[..], &[0xff; 64], &[0; 64], &[0x3a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]]
        {
            assert_eq!(check(bytes), Ok(()));
        }
        let deep = (0..100_000).fold(Vec::new(), |content: Vec<u8>, i| {
            if i < 300 { field(if i % 3 == 0 { 6 } else { 5 }, &content) } else { content }
        });
        assert_eq!(check(&field(7, &field(1, &deep))), Ok(()));
    }
}
