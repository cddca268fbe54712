//! How the server encodes and decodes messages: as everywhere, with smaller buffers, and with a limit
//! to what a small message can become.
//!
//! tonic gives each call a buffer of 8 KiB in each direction and keeps it for as long as the call
//! lasts. Most messages are smaller than 200 bytes, and a watch stream lasts for days.

use std::marker::PhantomData;

use bytes::Buf;
use prost::encoding::{DecodeContext, decode_key, skip_field};
use prost::{DecodeError, Message};
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder};
use tonic_prost::{ProstCodec, ProstDecoder};

/// A buffer begins with so many bytes, and grows with its message.
const BUFFER_BYTES: usize = 256;
/// So many bytes of a stream's messages gather before they are handed on.
const YIELD_BYTES: usize = 32 << 10;
/// Most fields of a message, entries of lists included: twice as many as any message is allowed. An
/// entry can take two bytes on the wire, and a thousand unpacked.
const MAX_FIELDS: usize = 20_000;
/// Of the shortest field.
pub(crate) const FIELD_BYTES: usize = 2;

/// Encodes `T` and decodes `U`.
#[derive(Clone, Debug)]
pub struct SmallCodec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for SmallCodec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

fn settings() -> BufferSettings {
    BufferSettings::new(BUFFER_BYTES, YIELD_BYTES)
}

impl<T, U> Codec for SmallCodec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = <ProstCodec<T, U> as Codec>::Encoder;
    type Decoder = BoundedDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<T, U>::raw_encoder(settings())
    }

    fn decoder(&mut self) -> Self::Decoder {
        BoundedDecoder(ProstCodec::<T, U>::raw_decoder(settings()))
    }
}

/// Decodes messages that do not have too many fields.
#[derive(Clone, Debug, Default)]
pub struct BoundedDecoder<U>(ProstDecoder<U>);

impl<U: Message + Default> Decoder for BoundedDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        // The message lies in one piece.
        let message = buffer.chunk();
        if message.len() / FIELD_BYTES > MAX_FIELDS {
            let fields = count_fields(message, |_| true)
                .map_err(|error| Status::internal(error.to_string()))?;
            if fields > MAX_FIELDS {
                let problem = format!(
                    "the request has {fields} fields and entries of lists; at most {MAX_FIELDS} are \
                     allowed"
                );
                return Err(Status::invalid_argument(problem));
            }
        }
        self.0.decode(buffer)
    }

    fn buffer_settings(&self) -> BufferSettings {
        self.0.buffer_settings()
    }
}

/// How many fields of a message, entries of lists included, have a tag that counts. Nothing is
/// unpacked.
pub(crate) fn count_fields(
    mut message: &[u8],
    counts: impl Fn(u32) -> bool,
) -> Result<usize, DecodeError> {
    let mut fields = 0;
    while !message.is_empty() {
        let (tag, wire_type) = decode_key(&mut message)?;
        skip_field(wire_type, tag, &mut message, DecodeContext::default())?;
        fields += usize::from(counts(tag));
    }
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v1::WatchRequest;

    #[test]
    fn fields_are_counted_and_not_unpacked() {
        let request =
            WatchRequest { selectors: vec![String::new(); 100], resume_token: vec![7; 100_000] };
        assert_eq!(count_fields(&request.encode_to_vec(), |_| true), Ok(101));
        assert!(count_fields(b"\x0a\x05", |_| true).is_err());
    }
}
