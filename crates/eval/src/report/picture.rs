//! Encoded pictures as data URIs.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// A `data:` URI with the picture's bytes as they are, or `None` if they are not PNG, JPEG, WebP or
/// GIF. The first bytes decide: file names lie, and every browser reads these four.
pub fn data_uri(picture: &[u8]) -> Option<String> {
    let mime = match picture {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => "image/png",
        [0xff, 0xd8, 0xff, ..] => "image/jpeg",
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => "image/gif",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => "image/webp",
        _ => return None,
    };
    Some(format!("data:{mime};base64,{}", STANDARD.encode(picture)))
}
