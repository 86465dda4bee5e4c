//! A reader of the protobuf wire format: tags, varints, lengths.

/// The error of malformed wire bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::codec) struct Malformed(pub &'static str);

/// A reader of fields.
pub(in crate::codec) struct WireReader<'a>(&'a [u8]);

/// The content of one field.
#[derive(Clone, Copy, Debug)]
pub(in crate::codec) enum WireField<'a> {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    Bytes(&'a [u8]),
}

impl<'a> WireReader<'a> {
    pub(in crate::codec) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(in crate::codec) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next field's number and content; `None` at the end.
    #[inline]
    pub(in crate::codec) fn field(&mut self) -> Result<Option<(u64, WireField<'a>)>, Malformed> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let field = match tag & 7 {
            0 => WireField::Varint(self.varint()?),
            1 => WireField::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => WireField::Bytes(self.bytes()?),
            5 => WireField::Fixed32(u32::from_le_bytes(self.array()?)),
            _ => return Err(Malformed("has an invalid wire type")),
        };
        match tag >> 3 {
            0 => Err(Malformed("has field number 0")),
            number => Ok(Some((number, field))),
        }
    }

    #[inline]
    pub(in crate::codec) fn varint(&mut self) -> Result<u64, Malformed> {
        // Most tags and lengths take one byte.
        if let [byte @ ..0x80, rest @ ..] = self.0 {
            self.0 = rest;
            return Ok(u64::from(*byte));
        }
        self.long_varint()
    }

    #[cold]
    fn long_varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
        for (i, &byte) in self.0.iter().enumerate().take(10) {
            value |= u64::from(byte & 0x7f) << (7 * i);
            if byte < 0x80 {
                if i == 9 && byte > 1 {
                    break;
                }
                self.0 = self.0.get(i + 1..).unwrap_or_default();
                return Ok(value);
            }
        }
        Err(Malformed("has an unterminated varint"))
    }

    pub(in crate::codec) fn fixed64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_le_bytes)
    }

    #[cfg(feature = "server")]
    pub(in crate::codec) fn fixed32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_le_bytes)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (array, rest) = self.0.split_first_chunk().ok_or(CUT_SHORT)?;
        self.0 = rest;
        Ok(*array)
    }

    #[inline]
    fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let len = usize::try_from(self.varint()?).map_err(|_| CUT_SHORT)?;
        let (bytes, rest) = self.0.split_at_checked(len).ok_or(CUT_SHORT)?;
        self.0 = rest;
        Ok(bytes)
    }
}

/// The content of a message's only field in its usual encoding: a tag of one byte and a length of one byte.
#[inline]
pub(super) fn only_bytes(tag: u8, bytes: &[u8]) -> Option<&[u8]> {
    match bytes {
        [first, len @ ..0x80, content @ ..]
            if *first == tag && usize::from(*len) == content.len() =>
        {
            Some(content)
        }
        _ => None,
    }
}

const CUT_SHORT: Malformed = Malformed("is cut short");
