use anyhow::Context;
use bytes::{Buf, Bytes};

/// Fields of `WatchResponse`.
const CHANGED: u64 = 1;
const SNAPSHOT_COMPLETE: u64 = 3;
const RESUME_TOKEN: u64 = 5;

/// The wire types that occur in it.
const VARINT: u64 = 0;
const LENGTH_DELIMITED: u64 = 2;

/// What needs to be known of a `WatchResponse`, found without decoding any.
#[derive(Clone, Debug)]
pub struct Gist {
    /// How long it is.
    pub bytes: usize,
    /// How many states it brings.
    pub states: usize,
    /// The snapshot is complete with it.
    pub is_complete: bool,
    /// Its resume token.
    pub token: Bytes,
}

impl Gist {
    /// Steps over the fields of a message.
    pub(crate) fn of(mut message: Bytes) -> anyhow::Result<Self> {
        let bytes = message.len();
        let mut gist = Self { bytes, states: 0, is_complete: false, token: Bytes::new() };
        while message.has_remaining() {
            let key = varint(&mut message)?;
            let value = varint(&mut message)?;
            match (key >> 3, key & 7) {
                (SNAPSHOT_COMPLETE, VARINT) => gist.is_complete = value != 0,
                (_, VARINT) => {}
                (field, LENGTH_DELIMITED) => {
                    let length = usize::try_from(value)?;
                    anyhow::ensure!(length <= message.len(), "a field is cut off");
                    let content = message.split_to(length);
                    match field {
                        CHANGED => gist.states += 1,
                        RESUME_TOKEN => gist.token = content,
                        _ => {}
                    }
                }
                (field, wire_type) => anyhow::bail!("field {field} has wire type {wire_type}"),
            }
        }
        Ok(gist)
    }
}

fn varint(bytes: &mut Bytes) -> anyhow::Result<u64> {
    let mut value = 0;
    for shift in (0..u64::BITS).step_by(7) {
        let byte = bytes.try_get_u8().context("a number is cut off")?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    anyhow::bail!("a number does not end")
}
