//! Reads a JSON value of any type into a type that keeps only what it uses, without a tree of values.
//! Accepts what `serde_json::Value` accepts: the last of repeated fields counts, and nesting deeper than 128 is an error.

use serde::de::{Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// What a type keeps of a JSON value. By default nothing, so a value of an unexpected type is skipped.
pub(super) trait FromAnyValue {
    fn text(&mut self, _text: &str) {}

    fn null(&mut self) {}

    /// The value is an object with a field of this name. The next value of the map is the field's, and has to be taken.
    fn field<'de, A: MapAccess<'de>>(&mut self, _name: &str, map: &mut A) -> Result<(), A::Error> {
        skip(map)
    }

    /// The value is an array. All its entries have to be taken.
    fn entries<'de, A: SeqAccess<'de>>(&mut self, mut entries: A) -> Result<(), A::Error> {
        while entries.next_element::<AnyValue<Skipped>>()?.is_some() {}
        Ok(())
    }
}

/// Deserializes the type within from a value of any type.
pub(super) struct AnyValue<T>(pub T);

/// Keeps nothing. Unlike `IgnoredAny` it has the limit of nesting, and checks texts and numbers.
#[derive(Default)]
pub(super) struct Skipped;

impl FromAnyValue for Skipped {}

/// A text; `None` when the value is of another type.
impl FromAnyValue for Option<String> {
    fn text(&mut self, text: &str) {
        *self = Some(text.to_owned());
    }
}

/// The whole of a JSON text, of any type; `None` when it is not JSON.
pub(super) fn read<T: FromAnyValue + Default>(json: &[u8]) -> Option<T> {
    serde_json::from_slice(json).ok().map(|AnyValue(value)| value)
}

/// The whole of a JSON text; `None` when it is not an object.
pub(super) fn read_object<T: FromAnyValue>(json: &[u8], empty: T) -> Option<T> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let object = deserializer.deserialize_map(AnyValue(empty)).ok()?;
    deserializer.end().ok().map(|()| object)
}

/// Takes the value of a field, of any type.
pub(super) fn take<'de, A: MapAccess<'de>, T: FromAnyValue + Default>(map: &mut A) -> Result<T, A::Error> {
    map.next_value().map(|AnyValue(value)| value)
}

/// Takes the value of a field and keeps nothing of it.
pub(super) fn skip<'de, A: MapAccess<'de>>(map: &mut A) -> Result<(), A::Error> {
    take(map).map(|Skipped| ())
}

impl<'de, T: FromAnyValue + Default> Deserialize<'de> for AnyValue<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self(T::default())).map(Self)
    }
}

/// Starts from the value within instead of the default.
impl<'de, T: FromAnyValue> DeserializeSeed<'de> for AnyValue<T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: FromAnyValue> Visitor<'de> for AnyValue<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<T, E> {
        Ok(self.0)
    }

    fn visit_i64<E>(self, _: i64) -> Result<T, E> {
        Ok(self.0)
    }

    fn visit_u64<E>(self, _: u64) -> Result<T, E> {
        Ok(self.0)
    }

    fn visit_f64<E>(self, _: f64) -> Result<T, E> {
        Ok(self.0)
    }

    fn visit_unit<E>(mut self) -> Result<T, E> {
        self.0.null();
        Ok(self.0)
    }

    fn visit_str<E>(mut self, text: &str) -> Result<T, E> {
        self.0.text(text);
        Ok(self.0)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, entries: A) -> Result<T, A::Error> {
        self.0.entries(entries)?;
        Ok(self.0)
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<T, A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            self.0.field(&name, &mut map)?;
        }
        Ok(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn is_json(body: &[u8]) -> bool {
        read::<Skipped>(body).is_some()
    }

    /// An object, of which one field is kept.
    #[derive(Debug, Default, PartialEq)]
    struct Example(Option<String>);

    impl FromAnyValue for Example {
        fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
            match name {
                "a" => self.0 = take(map)?,
                _ => skip(map)?,
            }
            Ok(())
        }
    }

    #[test]
    fn unexpected_types_and_unknown_fields_are_as_if_absent() {
        for value in ["null", "true", "7", "-7", "0.5", "1e300", "18446744073709551615", r#"["x"]"#, r#"{"a":"x"}"#] {
            for body in [format!(r#"{{"a":{value}}}"#), format!(r#"{{"a":"x","a":{value}}}"#)] {
                assert_eq!(read_object(body.as_bytes(), Example::default()), Some(Example(None)), "{body}");
            }
            let body = format!(r#"{{"b":{value},"a":"x","b":{value}}}"#);
            assert_eq!(read_object(body.as_bytes(), Example::default()), Some(Example(Some("x".into()))), "{body}");
        }
    }

    #[test]
    fn only_an_object_is_read_as_one() {
        for body in ["null", "true", "7", r#""a""#, "[]", r#"["x"]"#, r#"[{"a":"x"}]"#, "", "{", r#"{"a":"x"}x"#] {
            assert_eq!(read_object(body.as_bytes(), Example::default()), None, "{body}");
        }
        assert_eq!(read(br#"["x"]"#), Some(Example(None)));
    }

    #[test]
    fn nesting_has_the_limit_of_serde_json() {
        for (open, close) in [("[", "]"), (r#"{"x":"#, "}")] {
            let nested = |depth: usize| format!("{}7{}", open.repeat(depth), close.repeat(depth));
            for depth in [1, 126, 127, 128, 100_000] {
                let body = nested(depth);
                assert_eq!(is_json(body.as_bytes()), depth < 128, "{depth}");
                assert_eq!(serde_json::from_str::<Value>(&body).is_ok(), depth < 128, "{depth}");
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_json_is_what_serde_json_takes_for_it(body in prop_oneof![
            "[\\[\\]{}\":,a-u0-9\\\\ .-]{0,40}",
            r#"\{"a":("(x|\\u(d83d|dca9|00))*"|-?[0-9]{1,3}(\.[0-9])?(e[0-9]{1,3})?|tru?e|null)\}?"#,
        ]) {
            prop_assert_eq!(is_json(body.as_bytes()), serde_json::from_str::<Value>(&body).is_ok());
        }
    }
}
