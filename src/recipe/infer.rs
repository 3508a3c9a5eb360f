//! The recipe of a lone executable, for trying karat on it.

use crate::oci::Platform;
use std::fmt::Write;

/// Writes the recipe that packs one executable: the built-in base, every default.
///
/// `file_name` is the executable's name beside the recipe; the image is named after it.
pub fn recipe(file_name: &str, platform: &Platform) -> String {
    let mut text = String::new();
    let quoted = toml::Value::String(file_name.to_owned());
    let _ = write!(
        text,
        "[image]\nname = \"{}\"\nbase = \"static-debian13\"\nplatforms = [\"{platform}\"]\n\n[[binary]]\nsource = {quoted}\n",
        image_name(file_name)
    );
    text
}

/// Makes a name of an image out of the name of a file: lower case, what is not allowed
/// becomes `-`, and `image` where nothing is left.
fn image_name(file_name: &str) -> String {
    let mut name = String::new();
    for c in file_name.chars().take(100) {
        let c = c.to_ascii_lowercase();
        if c.is_ascii_lowercase() || c.is_ascii_digit() {
            name.push(c);
        } else if !name.is_empty() && !name.ends_with('-') {
            name.push('-');
        }
    }
    let name = name.trim_end_matches('-');
    if name.is_empty() { "image".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_file_name_gives_a_recipe() {
        let platform: Platform = "linux/arm64".parse().unwrap();
        for (file, name) in [
            ("hello", "hello"),
            ("My_Server.exe", "my-server-exe"),
            ("../\"quo\nted\"", "quo-ted"),
            ("--", "image"),
            ("日本", "image"),
        ] {
            let text = recipe(file, &platform);
            assert!(text.contains(&format!("name = \"{name}\"\n")), "{text}");
            assert!(toml::from_str::<toml::Table>(&text).is_ok(), "{text}");
        }
        crate::recipe::parse("hello", &recipe("hello", &platform), None).unwrap();
    }
}
