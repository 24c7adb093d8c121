//! Makes client secrets that satisfy the published policy in both of its readings.
//! Their only special character is `_`, which needs no escape in URLs, shells and YAML.

use crate::iam::ClientSecret;

/// 62 letters and digits; with 40 of them a secret has 238 bits.
const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const LETTERS: usize = 40;

/// A secret from random bytes: at least one lower case and one upper case letter, one digit and one special character,
/// whichever way the policy is read. [csp-rot-struct]
///
/// # Errors
/// When the source of randomness fails.
pub(crate) fn client_secret<E>(mut random: impl FnMut(&mut [u8]) -> Result<(), E>) -> Result<ClientSecret, E> {
    let mut text = String::with_capacity(LETTERS + 4);
    let mut byte = [0u8];
    while text.len() < LETTERS {
        random(&mut byte)?;
        // Of 256 values only the first 248 fall on each letter equally often.
        if byte[0] < 248 {
            text.push(char::from(ALPHABET[usize::from(byte[0]) % ALPHABET.len()]));
        }
    }
    // Whatever chance left out is there all the same.
    text.push_str("_aA1");
    Ok(ClientSecret::new(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_secret_satisfies_the_policy_whatever_chance_brings() {
        for seed in 0..=247u8 {
            let fill = |bytes: &mut [u8]| {
                bytes.fill(seed);
                Ok::<_, ()>(())
            };
            let secret = client_secret(fill).unwrap();
            let has = |test: fn(char) -> bool| secret.expose().chars().any(test);
            assert_eq!(secret.expose().len(), 44);
            assert!(has(|c| c.is_ascii_lowercase()) && has(|c| c.is_ascii_uppercase()) && has(|c| c.is_ascii_digit()));
            assert!(has(|c| c == '_') && !has(|c| !c.is_ascii_alphanumeric() && c != '_'));
        }
    }

    #[test]
    fn each_letter_is_as_likely_as_any_other() {
        let mut bytes = (0..=u8::MAX).cycle();
        let mut next = || {
            client_secret(|byte| {
                byte.fill(bytes.next().unwrap());
                Ok::<_, ()>(())
            })
        };
        let mut counts = std::collections::BTreeMap::<char, usize>::new();
        // In so many secrets each byte that stands for a letter is used five times.
        for _ in 0..31 {
            next().unwrap().expose().chars().take(LETTERS).for_each(|letter| *counts.entry(letter).or_default() += 1);
        }
        assert_eq!(counts.len(), ALPHABET.len());
        assert!(counts.values().all(|count| *count == 20), "{counts:?}");
    }

    #[test]
    fn two_secrets_differ_and_a_failing_source_gives_none() {
        let mut n = 0u8;
        let mut next = || {
            client_secret(|bytes| {
                n = n.wrapping_add(7);
                bytes.fill(n);
                Ok::<_, ()>(())
            })
        };
        assert_ne!(next().unwrap().expose(), next().unwrap().expose());
        assert!(client_secret(|_| Err(())).is_err());
    }
}
