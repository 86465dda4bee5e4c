//! The lengths of the gRPC messages in a body, read from their prefixes while the body arrives.
//!
//! A message is preceded by five bytes: whether it is compressed, and its length (gRPC over HTTP/2, `Length-Prefixed-
//! Message`). So a message can be refused, or left unread, before it has arrived.

/// The bytes before a message.
const PREFIX: usize = 5;

/// How far the messages of a body have arrived.
#[derive(Debug, Default)]
pub(super) struct MessageLengths {
    prefix: [u8; PREFIX],
    prefix_bytes: usize,
    /// How many bytes the message has that began last.
    length: usize,
    /// How many bytes of it are still to come.
    left: usize,
}

impl MessageLengths {
    /// Reads the next bytes of the body. Returns how many bytes the messages have that begin in them.
    pub(super) fn read(&mut self, mut data: &[u8]) -> usize {
        let mut begun = 0_usize;
        loop {
            let skipped = self.left.min(data.len());
            self.left -= skipped;
            data = data.get(skipped..).unwrap_or_default();
            let Some((&byte, rest)) = data.split_first() else {
                return begun;
            };
            data = rest;
            if let Some(slot) = self.prefix.get_mut(self.prefix_bytes) {
                *slot = byte;
            }
            self.prefix_bytes += 1;
            if self.prefix_bytes == PREFIX {
                let [_, a, b, c, d] = self.prefix;
                self.length = u32::from_be_bytes([a, b, c, d]) as usize;
                self.left = self.length;
                self.prefix_bytes = 0;
                begun = begun.saturating_add(self.left);
            }
        }
    }

    /// How many bytes the message has that began last.
    pub(super) fn last_length(&self) -> usize {
        self.length
    }

    /// Whether all messages that began have arrived.
    pub(super) fn is_complete(&self) -> bool {
        self.left == 0 && self.prefix_bytes == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read_however_the_body_is_cut() {
        let body = [
            [0, 0, 0, 0, 3].as_slice(),
            b"abc",
            &[0, 0, 0, 1, 0],
            &[7; 256],
        ]
        .concat();
        for cut in 0..=body.len() {
            let (first, second) = body.split_at(cut);
            let mut lengths = MessageLengths::default();
            assert_eq!(lengths.read(first) + lengths.read(second), 259);
            assert!(lengths.is_complete());
            let mut half = MessageLengths::default();
            half.read(first);
            assert_eq!(half.is_complete(), [0, 8, body.len()].contains(&cut));
        }
    }
}
