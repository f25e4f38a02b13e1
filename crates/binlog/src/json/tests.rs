use super::*;

fn text(bytes: &[u8]) -> Result<String, Fault> {
    let mut out = Vec::new();
    Json::binary(bytes).write_text(&mut out)?;
    Ok(String::from_utf8(out).unwrap())
}

#[test]
fn scalars() {
    assert_eq!(text(b"").unwrap(), "null");
    assert_eq!(text(&[4, 1]).unwrap(), "true");
    assert_eq!(text(&[5, 0xff, 0xff]).unwrap(), "-1");
    assert_eq!(text(&[12, 3, b'a', b'"', 1]).unwrap(), "\"a\\\"\\u0001\"");
    assert_eq!(text(&[15, 246, 4, 3, 2, 0x81, 5]).unwrap(), "1.05");
    let mut double = vec![11];
    double.extend(1.0f64.to_le_bytes());
    assert_eq!(text(&double).unwrap(), "1.0");
}

#[test]
fn a_container_cannot_hold_itself_or_share_values() {
    // An array of one element that points back at its head.
    assert!(text(&[2, 1, 0, 7, 0, 2, 0, 0]).is_err());
    // Many entries that all point at one string.
    let mut bytes = vec![2, 100, 0, 0, 0];
    for _ in 0..100 {
        bytes.extend([12, 48, 1]);
    }
    bytes.extend([50]);
    bytes.extend([b'x'; 50]);
    let size = (bytes.len() - 1) as u16;
    bytes[3..5].copy_from_slice(&size.to_le_bytes());
    assert!(text(&bytes).is_err());
}
