//! Reads typed values from JSON without serde_json's leniency of taking an array for an object's members in order.

use serde::{
    Deserializer,
    de::{DeserializeSeed, Error as _, IntoDeserializer, MapAccess, SeqAccess, Unexpected, Visitor},
    forward_to_deserialize_any,
};
use serde_json::{Error, Map, Value};

/// A JSON value to be read by a type that takes it as it is.
pub(super) struct Exact(pub(super) Value);

impl<'de> Deserializer<'de> for Exact {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Array(items) => {
                let mut items = Items(items.into_iter());
                let value = visitor.visit_seq(&mut items)?;
                if items.0.len() == 0 { Ok(value) } else { Err(Error::custom("too many items")) }
            }
            Value::Object(members) => visitor.visit_map(Members { rest: members.into_iter(), value: None }),
            plain => plain.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match &self.0 {
            Value::Object(_) => self.deserialize_any(visitor),
            other => Err(Error::invalid_type(unexpected(other), &"a JSON object")),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Error> {
        // serde_json's own raw values and numbers ask under names of their own.
        if name.starts_with("$serde_json") {
            return self.0.deserialize_newtype_struct(name, visitor);
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.0.deserialize_enum(name, variants, visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map identifier ignored_any
    }
}

impl IntoDeserializer<'_, Error> for Exact {
    type Deserializer = Self;
    fn into_deserializer(self) -> Self {
        self
    }
}

fn unexpected(value: &Value) -> Unexpected<'_> {
    match value {
        Value::Null => Unexpected::Unit,
        Value::Bool(fact) => Unexpected::Bool(*fact),
        Value::Number(_) => Unexpected::Other("number"),
        Value::String(text) => Unexpected::Str(text),
        Value::Array(_) => Unexpected::Seq,
        Value::Object(_) => Unexpected::Map,
    }
}

struct Items(std::vec::IntoIter<Value>);

impl<'de> SeqAccess<'de> for &mut Items {
    type Error = Error;
    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        self.0.next().map(|item| seed.deserialize(Exact(item))).transpose()
    }
    fn size_hint(&self) -> Option<usize> {
        Some(self.0.len())
    }
}

struct Members {
    rest: <Map<String, Value> as IntoIterator>::IntoIter,
    value: Option<Value>,
}

impl<'de> MapAccess<'de> for Members {
    type Error = Error;
    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        let Some((key, value)) = self.rest.next() else { return Ok(None) };
        self.value = Some(value);
        seed.deserialize(Value::String(key)).map(Some)
    }
    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        let value = self.value.take().ok_or_else(|| Error::custom("a value was asked for before its key"))?;
        seed.deserialize(Exact(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use serde_json::{json, value::RawValue};
    use std::collections::BTreeMap;

    #[derive(Debug, Deserialize)]
    struct Outer {
        inner: Option<Inner>,
        many: Vec<Inner>,
        free: Value,
        map: BTreeMap<String, f64>,
        pair: (u8, String),
        kind: Kind,
    }

    #[derive(Debug, Deserialize)]
    struct Inner {
        a: u8,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Kind {
        Plain,
        With(u8),
    }

    fn outer(inner: Value) -> Result<Outer, Error> {
        let whole = json!({
            "inner": inner, "many": [{"a": 1}], "free": [1, {"b": null}], "map": {"1": 2.0}, "pair": [1, "x"],
            "kind": {"with": 3},
        });
        Outer::deserialize(Exact(whole))
    }

    #[test]
    fn everything_serde_json_reads_is_read_but_an_array_is_no_object() {
        let read = outer(json!({"a": 7})).unwrap();

        assert_eq!((read.inner.unwrap().a, read.many[0].a, read.map["1"]), (7, 1, 2.0));
        assert_eq!((read.free.to_string().as_str(), read.pair.1.as_str()), (r#"[1,{"b":null}]"#, "x"));
        assert_eq!(read.kind, Kind::With(3));
        assert_eq!(Kind::deserialize(Exact(json!("plain"))).unwrap(), Kind::Plain);
        assert!(outer(Value::Null).unwrap().inner.is_none());
        assert!(outer(json!([7])).unwrap_err().to_string().contains("expected a JSON object"));
        assert!(<Box<RawValue>>::deserialize(json!({"a": 1})).is_ok());
    }
}
