//! `Setting`: how the value of a setting is read from text and shown again.

use crate::base::{Network, Sealed};
use std::{net::SocketAddr, path::PathBuf, time::Duration};
use url::Url;

/// A type that a setting may have. Files and environment both give text, so there is one way to read each type.
pub(super) trait Setting: Sized {
    /// The value of `text`, which is trimmed and not empty; else what would be accepted.
    fn parse(text: &str) -> Result<Self, String>;
    /// As `check-config` prints it; secrets as `***`.
    fn show(&self) -> String;
    /// The value of an absent or empty text, for types that allow it.
    fn absent() -> Option<Self> {
        None
    }
}

/// A number of bytes, written with an optional unit: `512`, `64KiB`, `8MiB`, `1GiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

const UNITS: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

impl ByteSize {
    /// As a length in memory.
    #[must_use]
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl std::fmt::Display for ByteSize {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (unit, factor) = UNITS
            .into_iter()
            .find(|(_, factor)| self.0 >= *factor && self.0.is_multiple_of(*factor))
            .unwrap_or(("B", 1));
        write!(f, "{}{unit}", self.0 / factor)
    }
}

impl Setting for ByteSize {
    fn parse(text: &str) -> Result<Self, String> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let unit = unit.trim();
        let factor = match unit {
            "" => Some(1),
            _ => UNITS.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).map(|(_, factor)| factor),
        };
        let size = number.parse::<u64>().ok().zip(factor).and_then(|(number, factor)| number.checked_mul(factor));
        size.map(Self).ok_or_else(|| "use a size like `512`, `64KiB` or `8MiB`".to_owned())
    }
    fn show(&self) -> String {
        self.to_string()
    }
}

impl Setting for Duration {
    fn parse(text: &str) -> Result<Self, String> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let millis = match unit.trim() {
            "ms" => Some(1),
            "s" => Some(1_000),
            "m" => Some(60_000),
            "h" => Some(3_600_000),
            "d" => Some(86_400_000),
            _ => None,
        };
        let span = number.parse::<u64>().ok().zip(millis).and_then(|(number, factor)| number.checked_mul(factor));
        span.map(Self::from_millis).ok_or_else(|| "use a time with its unit, like `250ms`, `5s` or `10m`".to_owned())
    }
    fn show(&self) -> String {
        let millis = self.as_millis();
        match millis {
            0 => "0s".to_owned(),
            _ if millis.is_multiple_of(3_600_000) => format!("{}h", millis / 3_600_000),
            _ if millis.is_multiple_of(60_000) => format!("{}m", millis / 60_000),
            _ if millis.is_multiple_of(1_000) => format!("{}s", millis / 1_000),
            _ => format!("{millis}ms"),
        }
    }
}

impl Setting for bool {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "true" | "yes" | "on" | "1" => Ok(true),
            "false" | "no" | "off" | "0" => Ok(false),
            _ => Err("use `true` or `false`".to_owned()),
        }
    }
    fn show(&self) -> String {
        self.to_string()
    }
}

impl Setting for u32 {
    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| "use a whole number from 0 to 4294967295".to_owned())
    }
    fn show(&self) -> String {
        self.to_string()
    }
}

/// A part of a whole, from `0` to `1`.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Ratio(pub f64);

impl Setting for Ratio {
    fn parse(text: &str) -> Result<Self, String> {
        let number = text.parse().ok().filter(|number| (0.0..=1.0).contains(number));
        number.map(Self).ok_or_else(|| "use a number from `0` to `1`, like `0.05`".to_owned())
    }
    fn show(&self) -> String {
        self.0.to_string()
    }
}

impl Setting for String {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }
    fn show(&self) -> String {
        self.clone()
    }
}

impl Setting for PathBuf {
    fn parse(text: &str) -> Result<Self, String> {
        std::path::absolute(text).map_err(|error| format!("use a path ({error})"))
    }
    fn show(&self) -> String {
        self.display().to_string()
    }
}

impl Setting for SocketAddr {
    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| "use an address and port like `127.0.0.1:8080` or `[::]:8080`".to_owned())
    }
    fn show(&self) -> String {
        self.to_string()
    }
}

impl Setting for Url {
    fn parse(text: &str) -> Result<Self, String> {
        Url::parse(text)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .ok_or_else(|| "use an absolute http or https URL like `https://register.example.com`".to_owned())
    }
    fn show(&self) -> String {
        self.to_string()
    }
}

impl Setting for Network {
    fn parse(text: &str) -> Result<Self, String> {
        text.parse()
    }
    fn show(&self) -> String {
        self.to_string()
    }
}

impl Setting for Sealed<String> {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(Self::new(text.to_owned()))
    }
    fn show(&self) -> String {
        self.to_string()
    }
}

impl<T: Setting> Setting for Option<T> {
    fn parse(text: &str) -> Result<Self, String> {
        T::parse(text).map(Some)
    }
    fn show(&self) -> String {
        self.as_ref().map(T::show).unwrap_or_default()
    }
    fn absent() -> Option<Self> {
        Some(None)
    }
}

/// Comma-separated in the environment, an array in a file.
impl<T: Setting> Setting for Vec<T> {
    fn parse(text: &str) -> Result<Self, String> {
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        items.map(|item| T::parse(item).map_err(|form| format!("`{item}`: {form}"))).collect()
    }
    fn show(&self) -> String {
        self.iter().map(T::show).collect::<Vec<_>>().join(",")
    }
    fn absent() -> Option<Self> {
        Some(Self::new())
    }
}

/// A setting that is one of a few words.
macro_rules! word_setting {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$variant_doc])* $variant),+ }

        impl Setting for $name {
            fn parse(text: &str) -> Result<Self, String> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(format!("use one of: {}", [$($word),+].join(", "))),
                }
            }
            fn show(&self) -> String {
                match self { $(Self::$variant => $word.to_owned()),+ }
            }
        }
    };
}

word_setting! {
    /// How a log line is written.
    LogFormat {
        /// For people.
        Text = "text",
        /// One JSON object a line.
        Json = "json",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_are_read_with_their_units_and_shown_as_written() {
        for text in ["512B", "64KiB", "8MiB", "1GiB"] {
            assert_eq!(ByteSize::parse(text).unwrap().show(), text);
        }
        for text in ["250ms", "5s", "10m", "2h", "0s"] {
            assert_eq!(Duration::parse(text).unwrap().show(), text);
        }
        assert_eq!(ByteSize::parse("8 mib").unwrap(), ByteSize(8 << 20));
        for text in ["0", "0.05", "1"] {
            assert_eq!(Ratio::parse(text).unwrap().show(), text);
        }
        for wrong in ["1.1", "-0.1", "NaN", "5%"] {
            assert!(Ratio::parse(wrong).is_err(), "{wrong}");
        }
        for wrong in ["8MB", "MiB", "-1", "99999999999GiB"] {
            assert!(ByteSize::parse(wrong).is_err(), "{wrong}");
        }
        for wrong in ["5", "s", "1.5s", "5 days"] {
            assert!(Duration::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_list_names_its_wrong_item() {
        let message = Vec::<Network>::parse("10.0.0.0/8, nowhere").unwrap_err();

        assert!(message.starts_with("`nowhere`"), "{message}");
    }
}
