//! Letters of other scripts that look like those of ASCII.
//!
//! Takes a name, gives what a person reads. Source: the pairs of Unicode's confusables
//! (UTS 39, section 4) that stand for a single lower-case ASCII letter in common fonts.

/// Lower-case letters, each with those of other scripts that are drawn alike.
const ALIKE: [(char, &str); 26] = [
    ('a', "аɑαạ⍺"),
    ('b', "ЬḅьƄƅ"),
    ('c', "сϲᴄⅽⲥ"),
    ('d', "ԁɗⅾᑯ"),
    ('e', "еҽẹѐё℮"),
    ('f', "ƒẝքſ"),
    ('g', "ɡԍցᶃ"),
    ('h', "һհн"),
    ('i', "іıɩӏїιⅰ"),
    ('j', "јϳ"),
    ('k', "кκĸ"),
    ('l', "ⅼḷӏǀ׀"),
    ('m', "мⅿ"),
    ('n', "ոռпη"),
    ('o', "оοօσᴏ"),
    ('p', "рρ⍴"),
    ('q', "ԛզ"),
    ('r', "гᴦґ"),
    ('s', "ѕꜱƽ"),
    ('t', "тτ"),
    ('u', "υսᴜц"),
    ('v', "νѵᴠⅴ"),
    ('w', "ԝѡᴡա"),
    ('x', "хχⅹ"),
    ('y', "уүγᶌ"),
    ('z', "ᴢʐ"),
];

/// Returns the ASCII name that a name looks like, in lower case; none where it is ASCII
/// already, or holds a letter that looks like none.
pub(super) fn ascii(name: &str) -> Option<String> {
    if name.is_ascii() {
        return None;
    }
    name.chars().flat_map(char::to_lowercase).map(letter).collect()
}

fn letter(c: char) -> Option<char> {
    match c {
        _ if c.is_ascii() => Some(c),
        // The wide forms lie in the order of ASCII.
        '\u{ff01}'..='\u{ff5e}' => {
            char::from_u32(u32::from(c) - 0xfee0).map(|c| c.to_ascii_lowercase())
        }
        '\u{2010}'..='\u{2015}' | '\u{2212}' => Some('-'),
        _ => ALIKE.iter().find(|(_, alike)| alike.contains(c)).map(|(ascii, _)| *ascii),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_people_read_them() {
        for (name, read) in [
            ("\u{455}h", Some("sh")),
            ("Ѕh", Some("sh")),
            ("ｂａｓｈ", Some("bash")),
            ("Ｂash", Some("bash")),
            ("сurl", Some("curl")),
            ("python３", Some("python3")),
            ("мир", None),
            ("Főtanúsítvány.crt", None),
            ("\u{421}URL", Some("curl")),
            ("apt\u{2010}get", Some("apt-get")),
            ("\u{3c1}\u{443}thon3", Some("python3")),
            ("sh", None),
        ] {
            assert_eq!(ascii(name).as_deref(), read, "{name}");
        }
    }
}
