//! What images cost in tokens, by the formulae that vendors publish.

use super::prompt::Detail;
use base64::Engine;

/// Taken for an image whose size is not known because it lies behind an address that only the vendor fetches.
const UNKNOWN_SIZE: (u32, u32) = (1_024, 1_024);

/// The tokens of an image of this size (pixels, width and height) for this model.
pub(super) fn tokens(model: &str, size: Option<(u32, u32)>, detail: Detail) -> u64 {
    let (width, height) = size.unwrap_or(UNKNOWN_SIZE);
    let name = model.rsplit('/').next().unwrap_or(model);
    if name.starts_with("claude") {
        return by_area(width, height);
    }
    match patch_factor(name) {
        Some(hundredths) => by_patches(width, height, hundredths),
        None => {
            let (base, tile) = tile_prices(name);
            by_tiles(width, height, detail, base, tile)
        }
    }
}

/// OpenAI's models that count 32-pixel patches, with their factor in hundredths.
fn patch_factor(name: &str) -> Option<u64> {
    let factors =
        [("gpt-5-mini", 162), ("gpt-5-nano", 246), ("gpt-4.1-mini", 162), ("gpt-4.1-nano", 246), ("o4-mini", 172)];
    factors.iter().find(|(prefix, _)| name.starts_with(prefix)).map(|(_, factor)| *factor)
}

/// OpenAI's models that count 512-pixel tiles: what an image costs at least, and each tile.
fn tile_prices(name: &str) -> (u64, u64) {
    let prices = [("gpt-4o-mini", (2_833, 5_667)), ("gpt-5", (70, 140)), ("o1", (75, 150)), ("o3", (75, 150))];
    prices.iter().find(|(prefix, _)| name.starts_with(prefix)).map_or((85, 170), |(_, price)| *price)
}

/// Scaled into 2,048 x 2,048, then so that the shorter side is 768, then covered with tiles of 512.
fn by_tiles(width: u32, height: u32, detail: Detail, base: u64, tile: u64) -> u64 {
    if detail == Detail::Low {
        return base;
    }
    let (mut width, mut height) = (f64::from(width.max(1)), f64::from(height.max(1)));
    let longer = width.max(height);
    if longer > 2_048.0 {
        (width, height) = (width * 2_048.0 / longer, height * 2_048.0 / longer);
    }
    let shorter = width.min(height);
    if shorter > 768.0 {
        (width, height) = (width * 768.0 / shorter, height * 768.0 / shorter);
    }
    let tiles = |side: f64| ((side.round() / 512.0).ceil() as u64).max(1);
    base + tile * tiles(width) * tiles(height)
}

/// Covered with patches of 32, at most 1,536 of them (a larger image is scaled down), times the model's factor.
fn by_patches(width: u32, height: u32, hundredths: u64) -> u64 {
    let patches = |side: u32| u64::from(side.max(1)).div_ceil(32);
    let count = (patches(width) * patches(height)).min(1_536);
    (count * hundredths).div_ceil(100)
}

/// Anthropic: scaled so that the longer side is at most 1,568 pixels, then a token for each 750 pixels.
fn by_area(width: u32, height: u32) -> u64 {
    let longer = f64::from(width.max(height).max(1));
    let scale = (1_568.0 / longer).min(1.0);
    let area = f64::from(width.max(1)) * scale * f64::from(height.max(1)) * scale;
    ((area / 750.0).ceil() as u64).min(1_640)
}

/// The size that the head of an image in a `data:` address, or in bare base64, tells: PNG, GIF, WebP, JPEG.
pub(super) fn size_of(data: &str) -> Option<(u32, u32)> {
    let encoded = match data.strip_prefix("data:") {
        Some(rest) => rest.split_once(";base64,")?.1,
        None => data,
    };
    // A JPEG tells its size after its tables and previews; nothing is looked for beyond this.
    let head = &encoded.as_bytes()[..encoded.len().min(64 * 1_024) / 4 * 4];
    let head = base64::engine::general_purpose::STANDARD.decode(head).ok()?;
    size_of_head(&head)
}

fn size_of_head(head: &[u8]) -> Option<(u32, u32)> {
    let big = |at: usize| Some(u32::from_be_bytes(head.get(at..at + 4)?.try_into().ok()?));
    let little = |at: usize| Some(u32::from(u16::from_le_bytes(head.get(at..at + 2)?.try_into().ok()?)));
    if head.starts_with(b"\x89PNG\r\n\x1a\n") {
        return Some((big(16)?, big(20)?));
    }
    if head.starts_with(b"GIF8") {
        return Some((little(6)?, little(8)?));
    }
    if head.starts_with(b"RIFF") && head.get(8..12)? == b"WEBP" {
        return match head.get(12..16)? {
            b"VP8 " => Some((little(26)? & 0x3fff, little(28)? & 0x3fff)),
            b"VP8L" => {
                let bits = u32::from_le_bytes(head.get(21..25)?.try_into().ok()?);
                Some(((bits & 0x3fff) + 1, ((bits >> 14) & 0x3fff) + 1))
            }
            b"VP8X" => {
                let side = |at: usize| {
                    Some(u32::from_le_bytes([*head.get(at)?, *head.get(at + 1)?, *head.get(at + 2)?, 0]) + 1)
                };
                Some((side(24)?, side(27)?))
            }
            _ => None,
        };
    }
    if head.starts_with(b"\xff\xd8") {
        return jpeg_size(head);
    }
    None
}

/// ITU T.81, B.2: segments until a start of frame, which has height and width.
fn jpeg_size(head: &[u8]) -> Option<(u32, u32)> {
    let mut at = 2;
    loop {
        let marker = *head.get(at + 1)?;
        if *head.get(at)? != 0xff {
            return None;
        }
        let two = |at: usize| Some(u32::from(u16::from_be_bytes(head.get(at..at + 2)?.try_into().ok()?)));
        match marker {
            0xff => at += 1,
            0xd0..=0xd9 | 0x01 => at += 2,
            0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => return Some((two(at + 7)?, two(at + 5)?)),
            _ => at += 2 + two(at + 2)? as usize,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::STANDARD;

    #[test]
    fn images_cost_what_the_vendors_publish() {
        for (model, size, detail, expected) in [
            // The examples of OpenAI's guide.
            ("gpt-4o", Some((1_024, 1_024)), Detail::High, 765),
            ("gpt-4o", Some((2_048, 4_096)), Detail::High, 1_105),
            ("gpt-4o", Some((4_096, 8_192)), Detail::Low, 85),
            ("gpt-4o-mini", Some((1_024, 1_024)), Detail::High, 2_833 + 4 * 5_667),
            ("gpt-4.1-mini", Some((1_024, 1_024)), Detail::High, 1_659),
            ("gpt-5", Some((512, 512)), Detail::Auto, 210),
            // The example of Anthropic's guide: 1,092 x 1,092 is some 1,590.
            ("claude-sonnet-5", Some((1_092, 1_092)), Detail::Auto, 1_590),
            ("claude-sonnet-5", Some((200, 200)), Detail::Auto, 54),
            ("gpt-4o", None, Detail::Auto, 765),
        ] {
            assert_eq!(tokens(model, size, detail), expected, "{model} {size:?}");
        }
    }

    #[test]
    fn the_size_is_read_from_the_head() {
        let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
        png.extend([0, 0, 2, 0, 0, 0, 1, 0, 8, 2, 0, 0, 0, 0]);
        let gif = [b"GIF89a".as_slice(), &[0x40, 1, 0xf0, 0, 0, 0, 0, 0, 0, 0]].concat();
        let jpeg = [
            [0xff, 0xd8].as_slice(),
            &[0xff, 0xe0, 0, 4, 1, 2],
            &[0xff, 0xc0, 0, 17, 8, 0x01, 0x00, 0x02, 0x80, 3, 0, 0, 0, 0],
        ]
        .concat();

        for (head, size) in [(png, (512, 256)), (gif, (320, 240)), (jpeg, (640, 256))] {
            let address = format!("data:image/x;base64,{}", STANDARD.encode(&head));
            assert_eq!(size_of(&address), Some(size));
        }
        for none in ["https://example.org/a.png", "data:image/png;base64,!!!!", "", "data:,x"] {
            assert_eq!(size_of(none), None, "{none}");
        }
    }
}
