//! The tonic codec for prost messages: small buffers, and errors with reasons.

use std::marker::PhantomData;

use bytes::{Buf as _, BufMut as _, Bytes};
use prost::{DecodeError, Message};
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

use crate::codec::status;
use crate::codec::struct_pb::WireReader;
use crate::model::error::{Error, reason};

/// The encoding buffer of each call. Most messages are a few hundred bytes; tonic's default is 8 KiB.
const BUFFER_BYTES: usize = 1024;
/// The size at which a stream flushes its buffered messages. Tonic's default.
const YIELD_BYTES: usize = 32 * 1024;

/// Encodes and decodes the messages of the contract.
#[derive(Debug)]
pub struct WireCodec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for WireCodec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> Codec for WireCodec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = WireEncoder<T>;
    type Decoder = WireDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        WireEncoder(PhantomData)
    }

    fn decoder(&mut self) -> Self::Decoder {
        WireDecoder(PhantomData)
    }
}

/// Encodes one type of message.
#[derive(Debug)]
pub struct WireEncoder<T>(PhantomData<T>);

impl<T: Message> Encoder for WireEncoder<T> {
    type Item = T;
    type Error = Status;

    fn encode(&mut self, item: T, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        item.encode(buffer).map_err(|error| {
            status::to_status(&Error::internal(reason::TRANSPORT, error.to_string()))
        })
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(BUFFER_BYTES, YIELD_BYTES)
    }
}

/// Decodes one type of message.
#[derive(Debug)]
pub struct WireDecoder<U>(PhantomData<U>);

impl<U: Message + Default + 'static> Decoder for WireDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        U::decode(buffer)
            .map(Some)
            .map_err(|error| undecodable(&error))
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(BUFFER_BYTES, YIELD_BYTES)
    }
}

/// A codec that passes messages as bytes, for clients without generated code.
#[derive(Clone, Copy, Debug, Default)]
pub struct RawCodec;

impl Codec for RawCodec {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(BUFFER_BYTES, YIELD_BYTES)
    }
}

impl Decoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(BUFFER_BYTES, YIELD_BYTES)
    }
}

/// Decodes a request with one input.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `MALFORMED_MESSAGE`, also for two inputs.
pub fn decode_request<U: Message + Default>(message: Bytes) -> Result<U, Status> {
    check_single_input(&message).map_err(|message| {
        status::to_status(&Error::invalid_argument(reason::MALFORMED_MESSAGE, message))
    })?;
    U::decode(message).map_err(|error| undecodable(&error))
}

fn undecodable(error: &DecodeError) -> Status {
    let message = format!("the message cannot be decoded: {error}");
    status::to_status(&Error::invalid_argument(reason::MALFORMED_MESSAGE, message))
}

/// Checks that a message has only one input. Protobuf would merge two inputs, while patched bytes would silently
/// replace one another.
fn check_single_input(message: &[u8]) -> Result<(), String> {
    const INPUT: std::ops::RangeInclusive<u64> = 2..=4;
    let mut reader = WireReader::new(message);
    let mut inputs = 0;
    while let Some((number, _)) = reader
        .field()
        .map_err(|malformed| format!("the message {}", malformed.0))?
    {
        inputs += usize::from(INPUT.contains(&number));
    }
    if inputs > 1 {
        return Err(
            "the message has two inputs: send one of `payload`, `value`, `document`".to_owned(),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::proto::v1;

    #[test]
    fn a_duplicate_input_is_rejected() {
        let request = |input| v1::InvokeRequest {
            service: "a".to_owned(),
            input,
            ..v1::InvokeRequest::default()
        };
        let once = request(Some(v1::invoke_request::Input::Payload(Bytes::new()))).encode_to_vec();
        let other = request(Some(v1::invoke_request::Input::Value(Bytes::new()))).encode_to_vec();
        assert!(check_single_input(&once).is_ok());
        assert!(check_single_input(&[]).is_ok());
        assert!(check_single_input(&[once.clone(), once.clone()].concat()).is_err());
        assert!(check_single_input(&[once, other].concat()).is_err());
        // A protobuf group, which the decoder would skip.
        assert!(check_single_input(&[0x83, 0x01, 0x84, 0x01]).is_err());
    }
}
