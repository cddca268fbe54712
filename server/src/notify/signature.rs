//! How a webhook knows that an alert comes from this server: as with Stripe's webhooks, an HMAC over
//! the time and the body, so that nobody can send an old one again later.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::receiver::Secret;

/// The header that carries it.
pub(super) const HEADER: &str = "breakerd-signature";

/// `t=SECONDS,v1=HEX`: the HMAC-SHA256 of `SECONDS.BODY` under the secret, the seconds since the Unix
/// epoch.
pub(super) fn sign(secret: &Secret, seconds: u64, body: &[u8]) -> String {
    // A key of any length will do.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        return String::new();
    };
    mac.update(seconds.to_string().as_bytes());
    mac.update(b".");
    mac.update(body);
    format!("t={seconds},v1={}", hex::encode(mac.finalize().into_bytes()))
}
