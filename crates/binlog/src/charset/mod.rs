//! Character sets of columns: text comes in the column's own set in the binlog.

mod multi;
mod single;

macro_rules! charsets {
    ($($(#[$doc:meta])* $variant:ident $name:literal [$($from:literal $(..= $to:literal)?),*],)*) => {
        /// A character set of MySQL or MariaDB.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Charset {
            $($(#[$doc])* $variant,)*
        }

        impl Charset {
            /// Every character set.
            pub const ALL: &'static [Charset] = &[$(Charset::$variant,)*];

            /// The server's name of it.
            pub fn name(self) -> &'static str {
                match self {
                    $(Charset::$variant => $name,)*
                }
            }

            /// The character set of a collation by the collation's number.
            pub fn of_collation(id: u32) -> Option<Charset> {
                match id {
                    $($($from $(..= $to)? => Some(Charset::$variant),)*)*
                    _ => None,
                }
            }
        }
    };
}

charsets! {
    /// No characters, only bytes.
    Binary "binary" [63],
    /// UTF-8.
    Utf8mb4 "utf8mb4" [45..=46, 224..=247, 255..=323, 608..=610, 1069..=1070, 1248, 1270, 2304..=2559],
    /// UTF-8 of up to three bytes, also called utf8.
    Utf8mb3 "utf8mb3" [33, 76, 83, 192..=215, 223, 576..=578, 1057, 1107, 1216, 1238, 2048..=2303],
    /// Windows-1252, with the C1 controls in its five holes.
    Latin1 "latin1" [5, 8, 15, 31, 47..=49, 94, 1032, 1071],
    /// ASCII.
    Ascii "ascii" [11, 65, 1035, 1089],
    /// GBK.
    Gbk "gbk" [28, 87, 1052, 1111],
    /// GB 18030.
    Gb18030 "gb18030" [248..=250],
    /// GB 2312.
    Gb2312 "gb2312" [24, 86, 1048, 1110],
    /// Big5.
    Big5 "big5" [1, 84, 1025, 1108],
    /// Shift JIS.
    Sjis "sjis" [13, 88, 1037, 1112],
    /// Shift JIS of Windows.
    Cp932 "cp932" [95..=96, 1119..=1120],
    /// EUC-JP.
    Ujis "ujis" [12, 91, 1036, 1115],
    /// EUC-JP of Windows.
    Eucjpms "eucjpms" [97..=98, 1121..=1122],
    /// EUC-KR.
    Euckr "euckr" [19, 85, 1043, 1109],
    /// UTF-16 of two bytes, high byte first.
    Ucs2 "ucs2" [35, 90, 128..=151, 159, 640..=642, 1059, 1114, 1152, 1174, 2560..=2815],
    /// UTF-16, high byte first.
    Utf16 "utf16" [54..=55, 101..=124, 672..=674, 1078..=1079, 1125, 1147, 2816..=3071],
    /// UTF-16, low byte first.
    Utf16le "utf16le" [56, 62, 1080, 1086],
    /// UTF-32.
    Utf32 "utf32" [60..=61, 160..=183, 736..=738, 1084..=1085, 1184, 1206, 3072..=3327],
    /// DEC West European.
    Dec8 "dec8" [3, 69, 1027, 1093],
    /// DOS West European.
    Cp850 "cp850" [4, 80, 1028, 1104],
    /// HP West European.
    Hp8 "hp8" [6, 72, 1030, 1096],
    /// KOI8-R.
    Koi8r "koi8r" [7, 74, 1031, 1098],
    /// ISO 8859-2.
    Latin2 "latin2" [2, 9, 21, 27, 77, 1033, 1101],
    /// Seven-bit Swedish.
    Swe7 "swe7" [10, 82, 1034, 1106],
    /// ISO 8859-8.
    Hebrew "hebrew" [16, 71, 1040, 1095],
    /// TIS-620.
    Tis620 "tis620" [18, 89, 1042, 1113],
    /// KOI8-U.
    Koi8u "koi8u" [22, 75, 1046, 1099],
    /// ISO 8859-7.
    Greek "greek" [25, 70, 1049, 1094],
    /// Windows Central European.
    Cp1250 "cp1250" [26, 34, 44, 66, 99, 1050, 1090],
    /// ISO 8859-9.
    Latin5 "latin5" [30, 78, 1054, 1102],
    /// ARMSCII-8.
    Armscii8 "armscii8" [32, 64, 1056, 1088],
    /// DOS Russian.
    Cp866 "cp866" [36, 68, 1060, 1092],
    /// DOS Kamenicky.
    Keybcs2 "keybcs2" [37, 73, 1061, 1097],
    /// Mac Central European.
    Macce "macce" [38, 43, 1062, 1067],
    /// Mac West European.
    Macroman "macroman" [39, 53, 1063, 1077],
    /// DOS Central European.
    Cp852 "cp852" [40, 81, 1064, 1105],
    /// ISO 8859-13.
    Latin7 "latin7" [20, 41..=42, 79, 1065, 1103],
    /// Windows Cyrillic.
    Cp1251 "cp1251" [14, 23, 50..=52, 1074..=1075],
    /// Windows Arabic.
    Cp1256 "cp1256" [57, 67, 1081, 1091],
    /// Windows Baltic.
    Cp1257 "cp1257" [29, 58..=59, 1082..=1083],
    /// GEOSTD8.
    Geostd8 "geostd8" [92..=93, 1116..=1117],
}

impl Charset {
    /// By the server's name; `utf8` is utf8mb3.
    pub fn from_name(name: &str) -> Option<Charset> {
        if name.eq_ignore_ascii_case("utf8") {
            return Some(Charset::Utf8mb3);
        }
        Charset::ALL.iter().copied().find(|charset| charset.name().eq_ignore_ascii_case(name))
    }

    /// Whether bytes below 0x80 are ASCII characters when no other bytes are there.
    pub fn is_ascii_based(self) -> bool {
        !matches!(
            self,
            Charset::Binary
                | Charset::Swe7
                | Charset::Ucs2
                | Charset::Utf16
                | Charset::Utf16le
                | Charset::Utf32
        )
    }

    /// Text that is the same in UTF-8 and comes back the same. The server writes a backslash in sjis as the wide one.
    pub(crate) fn is_plain_ascii(self, bytes: &[u8]) -> bool {
        self.is_ascii_based() && bytes.is_ascii() && !(self == Charset::Sjis && bytes.contains(&b'\\'))
    }

    /// Appends `bytes` as UTF-8, as the server would convert them. `false`: some of them are no characters, or characters
    /// that do not come back as the same bytes; then nothing was appended. Binary is not text: always `false`.
    pub fn to_utf8(self, bytes: &[u8], out: &mut Vec<u8>) -> bool {
        if self.is_plain_ascii(bytes) {
            out.extend_from_slice(bytes);
            return true;
        }
        let from = out.len();
        let done = self.convert(bytes, out);
        if !done {
            out.truncate(from);
        }
        done
    }

    fn convert(self, bytes: &[u8], out: &mut Vec<u8>) -> bool {
        match self {
            Charset::Binary | Charset::Ascii => false,
            Charset::Utf8mb4 | Charset::Utf8mb3 => {
                let valid = std::str::from_utf8(bytes).is_ok();
                if valid {
                    out.extend_from_slice(bytes);
                }
                valid
            }
            Charset::Swe7 => units(bytes.iter().map(|byte| table(&single::SWE7, *byte)), out),
            Charset::Ucs2 => multi::ucs2(bytes, out),
            Charset::Utf16 => multi::utf16(bytes, u16::from_be_bytes, out),
            Charset::Utf16le => multi::utf16(bytes, u16::from_le_bytes, out),
            Charset::Utf32 => multi::utf32(bytes, out),
            _ => match self.upper_half() {
                Some(upper) => upper_half(bytes, upper, out),
                None => multi::legacy(self, bytes, out),
            },
        }
    }

    /// The characters of the bytes from 0x80 on, for sets of one byte over ASCII; 0 where there is none.
    pub(crate) fn upper_half(self) -> Option<&'static [u16; 128]> {
        Some(match self {
            Charset::Latin1 => &LATIN1,
            Charset::Dec8 => &single::DEC8,
            Charset::Cp850 => &single::CP850,
            Charset::Hp8 => &single::HP8,
            Charset::Koi8r => &single::KOI8R,
            Charset::Latin2 => &single::LATIN2,
            Charset::Hebrew => &single::HEBREW,
            Charset::Tis620 => &single::TIS620,
            Charset::Koi8u => &single::KOI8U,
            Charset::Greek => &single::GREEK,
            Charset::Cp1250 => &single::CP1250,
            Charset::Latin5 => &single::LATIN5,
            Charset::Armscii8 => &single::ARMSCII8,
            Charset::Cp866 => &single::CP866,
            Charset::Keybcs2 => &single::KEYBCS2,
            Charset::Macce => &single::MACCE,
            Charset::Macroman => &single::MACROMAN,
            Charset::Cp852 => &single::CP852,
            Charset::Latin7 => &single::LATIN7,
            Charset::Cp1251 => &single::CP1251,
            Charset::Cp1256 => &single::CP1256,
            Charset::Cp1257 => &single::CP1257,
            Charset::Geostd8 => &single::GEOSTD8,
            _ => return None,
        })
    }
}

/// 0 is a character only where the byte is 0.
fn table(table: &[u16; 128], byte: u8) -> Option<char> {
    let unit = table.get(usize::from(byte)).copied()?;
    if unit == 0 && byte != 0 { None } else { char::from_u32(u32::from(unit)) }
}

fn upper_half(bytes: &[u8], upper: &[u16; 128], out: &mut Vec<u8>) -> bool {
    units(
        bytes.iter().map(|byte| {
            if byte.is_ascii() {
                return Some(char::from(*byte));
            }
            match upper[usize::from(byte & 0x7f)] {
                0 => None,
                unit => char::from_u32(u32::from(unit)),
            }
        }),
        out,
    )
}

/// Appends characters until one is missing.
pub(super) fn units(chars: impl Iterator<Item = Option<char>>, out: &mut Vec<u8>) -> bool {
    let mut buffer = [0; 4];
    for char in chars {
        match char {
            Some(char) if char.is_ascii() => out.push(char as u8),
            Some(char) => out.extend_from_slice(char.encode_utf8(&mut buffer).as_bytes()),
            None => return false,
        }
    }
    true
}

/// Windows-1252; its holes are the C1 controls of the same numbers.
static LATIN1: [u16; 128] = {
    let windows = [
        0x20ac, 0x0081, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160, 0x2039,
        0x0152, 0x008d, 0x017d, 0x008f, 0x0090, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014,
        0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0x009d, 0x017e, 0x0178,
    ];
    let mut table = [0; 128];
    let mut at = 0;
    while at < 128 {
        table[at] = if at < 32 { windows[at] } else { 0x80 + at as u16 };
        at += 1;
    }
    table
};
