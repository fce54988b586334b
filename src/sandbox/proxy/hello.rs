//! The greeting of TLS, as far as it says who is asked for.

/// A greeting is a few kilobytes; what goes on longer is not one.
pub(super) const MAX_HELLO: usize = 32 << 10;

/// What the first bytes of a connection say.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Hello {
    /// Not enough of them yet.
    More,
    /// Something else than TLS.
    NotTls,
    /// TLS, with the name of the host that is wanted, where one is named.
    Names(Option<String>),
    /// It begins like TLS and is not.
    Broken,
}

/// Looks at the beginning of what a client sends.
pub(super) fn look(bytes: &[u8]) -> Hello {
    match bytes.first() {
        None => return Hello::More,
        Some(22) => {}
        Some(_) => return Hello::NotTls,
    }
    match message(bytes) {
        Some(Some(hello)) => name(&hello).map_or(Hello::Broken, Hello::Names),
        Some(None) if bytes.len() < MAX_HELLO => Hello::More,
        Some(None) | None => Hello::Broken,
    }
}

/// The first handshake message, put together from its records. `Some(None)` when it is not all there; `None` when it is not one.
fn message(bytes: &[u8]) -> Option<Option<Vec<u8>>> {
    let mut records = Reader(bytes);
    let mut message = Vec::new();
    loop {
        let mut whole = Reader(&message);
        if let (Some(kind), Some(length)) = (whole.number(1), whole.number(3)) {
            const CLIENT_HELLO: usize = 1;
            if kind != CLIENT_HELLO || length > MAX_HELLO {
                return None;
            }
            if let Some(hello) = whole.take(length) {
                return Some(Some(hello.to_vec()));
            }
        }
        let Some(kind) = records.number(1) else { return Some(None) };
        let Some(version) = records.number(2) else { return Some(None) };
        if kind != 22 || version >> 8 != 3 {
            return None;
        }
        let Some(length) = records.number(2) else { return Some(None) };
        if length == 0 {
            return None;
        }
        let Some(fragment) = records.take(length) else { return Some(None) };
        message.extend_from_slice(fragment);
    }
}

/// The name in a greeting; `None` when the greeting is not well formed.
fn name(hello: &[u8]) -> Option<Option<String>> {
    const SERVER_NAME: usize = 0;
    const HOST_NAME: usize = 0;
    let mut hello = Reader(hello);
    // Version, random, session, ciphers, compressions.
    hello.take(2 + 32)?;
    hello.list(1)?;
    hello.list(2)?;
    hello.list(1)?;
    if hello.0.is_empty() {
        return Some(None);
    }
    let mut extensions = Reader(hello.list(2)?);
    let mut found = None;
    while !extensions.0.is_empty() {
        let kind = extensions.number(2)?;
        let content = extensions.list(2)?;
        if kind != SERVER_NAME {
            continue;
        }
        let mut names = Reader(Reader(content).list(2)?);
        let first = (names.number(1)? == HOST_NAME).then(|| names.list(2))??;
        // Two names would be two answers to one question.
        if found.is_some() || !names.0.is_empty() {
            return None;
        }
        found = Some(String::from_utf8(first.to_vec()).ok()?.trim_end_matches('.').to_ascii_lowercase());
    }
    Some(found)
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// A number of so many bytes.
    fn number(&mut self, bytes: usize) -> Option<usize> {
        Some(self.take(bytes)?.iter().fold(0, |number, byte| number << 8 | usize::from(*byte)))
    }

    /// What follows a length of so many bytes.
    fn list(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let length = self.number(bytes)?;
        self.take(length)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;

    /// What a real client sends first.
    fn greeting(name: &str) -> Vec<u8> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth();
        let mut client = rustls::ClientConnection::new(Arc::new(config), name.to_owned().try_into().unwrap()).unwrap();
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).unwrap();
        bytes
    }

    /// The same message in records of a few bytes.
    fn in_small_records(greeting: &[u8]) -> Vec<u8> {
        greeting[5..].chunks(7).flat_map(|part| [&[22, 3, 1, 0, part.len() as u8], part].concat()).collect()
    }

    #[test]
    fn the_name_is_found_however_it_is_cut() {
        let bytes = greeting("good.example");
        let expected = Hello::Names(Some("good.example".to_owned()));
        assert_eq!(look(&bytes), expected);
        assert_eq!(look(&in_small_records(&bytes)), expected);
        for end in 0..bytes.len() {
            assert_eq!(look(&bytes[..end]), Hello::More, "{end}");
        }
        assert_eq!(look(&greeting("192.0.2.1")), Hello::Names(None));
    }

    #[test]
    fn other_protocols_are_told_apart() {
        assert_eq!(look(b"SSH-2.0-x"), Hello::NotTls);
        assert_eq!(look(b"GET / HTTP/1.1"), Hello::NotTls);
        assert_eq!(look(&[22, 9, 9, 9, 9, 9]), Hello::Broken);
        assert_eq!(look(&[22, 3, 1, 0, 0, 22]), Hello::Broken);
        assert_eq!(look(&[22, 3, 1, 0, 4, 2, 0, 0, 0]), Hello::Broken);
    }

    #[test]
    fn two_names_are_none() {
        let mut bytes = greeting("good.example");
        let name = bytes.windows(12).position(|window| window == b"good.example").unwrap();
        // The list says it holds more than its one name.
        bytes[name - 4] += 1;
        assert_eq!(look(&bytes), Hello::Broken);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), at in 0usize..300, with in any::<u8>()) {
            let _ = look(&bytes);
            let mut changed = greeting("good.example");
            let at = at % changed.len();
            changed[at] = with;
            let _ = look(&changed);
        }
    }
}
