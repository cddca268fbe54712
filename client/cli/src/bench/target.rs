use std::net::SocketAddr;

use breaker_client::servers::Address;

use crate::error::Error;
use crate::output::notice;

/// Lets a load go to the server that leads, if it is meant to: one beyond loopback has to be named
/// once more. An address that stands in a variable or in the history of a shell is soon another
/// one than was thought.
pub(super) fn check(leader: &Address, against: Option<&Address>) -> Result<(), Error> {
    match against {
        Some(against) if against != leader => Err(Error::Usage(format!(
            "the load would go to {leader}, which leads, and not to {against}, as --against says"
        ))),
        None if !is_loopback(leader) => Err(Error::Usage(format!(
            "the load would go to {leader}, which is not a loopback address: it may slow down or \
             deny the calls of whoever uses that server; if that is what you want, add `--against \
             {leader}`"
        ))),
        _ => {
            if !is_loopback(leader) {
                notice(format_args!("warning: {leader} is not a loopback address"));
            }
            Ok(())
        }
    }
}

/// Whether an address is of this machine by its looks; no name is looked up.
fn is_loopback(address: &Address) -> bool {
    let text = address.as_str();
    match text.parse::<SocketAddr>() {
        Ok(address) => address.ip().to_canonical().is_loopback(),
        Err(_) => {
            text.rsplit_once(':').is_some_and(|(host, _)| host.eq_ignore_ascii_case("localhost"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    #[test]
    fn a_server_beyond_loopback_has_to_be_named_once_more() {
        for near in ["127.0.0.1:7420", "127.8.8.8:1", "[::1]:7420", "localhost:1", "LOCALHOST:1"] {
            assert!(check(&address(near), None).is_ok(), "{near}");
        }
        let mapped = "[::ffff:127.0.0.1]:1";
        assert!(check(&address(mapped), None).is_ok());
        for far in ["10.0.0.1:7420", "breakerd:7420", "[fe80::1]:1", "localhost.example:1"] {
            let error = check(&address(far), None).unwrap_err();
            assert!(error.to_string().contains(&format!("--against {far}")), "{error}");
            assert_eq!(error.exit_code(), 2);
            assert!(check(&address(far), Some(&address(far))).is_ok(), "{far}");
        }
    }

    #[test]
    fn a_server_other_than_the_one_that_was_named_gets_no_load() {
        for leader in ["10.0.0.2:7420", "127.0.0.1:7420"] {
            let error = check(&address(leader), Some(&address("10.0.0.1:7420"))).unwrap_err();
            assert!(error.to_string().contains(leader), "{error}");
        }
    }
}
