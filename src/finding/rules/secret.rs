//! Rules about secrets.

use super::Severity::Critical;

rules! {
    /// A token that opens an account.
    SECRET_TOKEN {
        id: "secret-token",
        title: "a token that opens an account",
        severity: Critical,
        rationale: "Whoever can pull the image has the account. Removing the token later does not take it back.",
        remedy: "Revoke the token, then rebuild without it; give secrets to the container when it runs.",
        bad: "a variable with a GitHub token",
        good: "a variable that names a mounted file",
        waivable: false,
    }

    /// A name with its password.
    SECRET_LOGIN {
        id: "secret-login",
        title: "a name with its password",
        severity: Critical,
        rationale: "Whoever can pull the image can log in. Changing the file later does not take it back.",
        remedy: "Change the password, then rebuild without it; give passwords to the container when it runs.",
        bad: "a .docker/config.json with the password of a registry",
        good: "a .docker/config.json that names a credential helper",
        waivable: false,
    }

    /// A private key.
    SECRET_PRIVATE_KEY {
        id: "secret-private-key",
        title: "a private key",
        severity: Critical,
        rationale: "Whoever can pull the image can act as the owner of the key.",
        remedy: "Replace the key, then rebuild without it; give keys to the container when it runs.",
        bad: "/etc/ssl/private/server.pem with a private key",
        good: "a certificate alone",
        waivable: false,
    }
}
