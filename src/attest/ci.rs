//! What a CI system tells of the run that builds.
//!
//! Takes: environment variables. Gives: what the provenance records of them. Nobody has checked
//! what they say: whoever starts the program sets them.

use serde::Serialize;

/// The longest value that is recorded, in bytes.
const MAX_VALUE: usize = 2048;

/// The run of a CI system, by its own variables.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ci {
    /// Which system: `github-actions`, `gitlab`, `buildkite` or `circleci`.
    pub system: &'static str,
    /// The repository's URL, without user and password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// The commit that was checked out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The branch or tag, as the system writes it.
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    pub git_ref: Option<String>,
    /// The file that says what runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workflow: Option<String>,
    /// The URL of the run.
    #[serde(skip)]
    pub run: Option<String>,
}

impl Ci {
    /// Reads the variables of the system that sets its mark, if one does. `get` gives the value of
    /// a variable.
    ///
    /// Sources: "Default environment variables" of GitHub Actions, "Predefined CI/CD variables" of
    /// GitLab, "Environment variables" of Buildkite, "Built-in environment variables" of CircleCI.
    pub fn of(get: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let is = |name: &str| get(name).as_deref() == Some("true");
        let text = |name: &str| get(name).filter(|value| fits(value));
        let url = |name: &str| text(name).and_then(without_user);
        if is("GITHUB_ACTIONS") {
            let repository = || {
                let (server, name) = (url("GITHUB_SERVER_URL")?, text("GITHUB_REPOSITORY")?);
                Some(format!("{server}/{name}"))
            };
            let run = || {
                let (id, attempt) = (text("GITHUB_RUN_ID")?, text("GITHUB_RUN_ATTEMPT")?);
                Some(format!("{}/actions/runs/{id}/attempts/{attempt}", repository()?))
            };
            return Some(Self {
                system: "github-actions",
                repository: repository(),
                commit: text("GITHUB_SHA"),
                git_ref: text("GITHUB_REF"),
                workflow: text("GITHUB_WORKFLOW_REF"),
                run: run(),
            });
        }
        let [system, repository, commit, git_ref, workflow, run] = [
            [
                "gitlab",
                "CI_PROJECT_URL",
                "CI_COMMIT_SHA",
                "CI_COMMIT_REF_NAME",
                "CI_CONFIG_PATH",
                "CI_JOB_URL",
            ],
            [
                "buildkite",
                "BUILDKITE_REPO",
                "BUILDKITE_COMMIT",
                "BUILDKITE_BRANCH",
                "",
                "BUILDKITE_BUILD_URL",
            ],
            [
                "circleci",
                "CIRCLE_REPOSITORY_URL",
                "CIRCLE_SHA1",
                "CIRCLE_BRANCH",
                "",
                "CIRCLE_BUILD_URL",
            ],
        ]
        .into_iter()
        .zip(["GITLAB_CI", "BUILDKITE", "CIRCLECI"])
        .find_map(|(names, mark)| is(mark).then_some(names))?;
        Some(Self {
            system,
            repository: url(repository),
            commit: text(commit),
            git_ref: text(git_ref),
            workflow: text(workflow),
            run: url(run),
        })
    }
}

fn fits(value: &str) -> bool {
    !value.is_empty() && value.len() <= MAX_VALUE && !value.contains(char::is_control)
}

/// Takes user and password out of a URL: clones with a token in it are common. None for what is
/// no URL and has an `@`, the short form of ssh apart, whose user is no secret.
fn without_user(url: String) -> Option<String> {
    let Some((scheme, rest)) = url.split_once("://") else {
        let is_ssh = url.starts_with("git@") && url.matches('@').count() == 1;
        return (is_ssh || !url.contains('@')).then_some(url);
    };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let host = authority.rsplit('@').next().unwrap_or_default();
    // Tokens are also given behind a question mark.
    let path = path.split(['?', '#']).next().unwrap_or_default();
    Some(format!("{scheme}://{host}{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Option<Ci> {
        Ci::of(|name| {
            variables.iter().find(|(of, _)| *of == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn systems_are_known_by_their_marks() {
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[("CI", "true"), ("GITHUB_ACTIONS", "1")]), None);
        let found = of(&[
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_SERVER_URL", "https://git.example"),
            ("GITHUB_REPOSITORY", "us/app"),
            ("GITHUB_RUN_ID", "17"),
            ("GITHUB_RUN_ATTEMPT", "2"),
            ("GITHUB_SHA", "c0ffee"),
            ("GITHUB_REF", "refs/tags/v1"),
            ("GITHUB_WORKFLOW_REF", "us/app/.github/workflows/release.yml@refs/tags/v1"),
        ])
        .unwrap();
        assert_eq!(found.system, "github-actions");
        assert_eq!(found.repository.as_deref(), Some("https://git.example/us/app"));
        let run = "https://git.example/us/app/actions/runs/17/attempts/2";
        assert_eq!(found.run.as_deref(), Some(run));
        for (mark, system, commit) in [
            ("GITLAB_CI", "gitlab", "CI_COMMIT_SHA"),
            ("BUILDKITE", "buildkite", "BUILDKITE_COMMIT"),
            ("CIRCLECI", "circleci", "CIRCLE_SHA1"),
        ] {
            let found = of(&[(mark, "true"), (commit, "c0ffee")]).unwrap();
            assert_eq!((found.system, found.commit.as_deref()), (system, Some("c0ffee")));
            assert_eq!((found.repository, found.run), (None, None));
        }
    }

    #[test]
    fn no_secret_and_no_control_is_recorded() {
        let repository =
            |url: &str| of(&[("BUILDKITE", "true"), ("BUILDKITE_REPO", url)]).unwrap().repository;
        for (url, expected) in [
            (
                "https://ci:glpat-secret@git.example/us/app.git",
                Some("https://git.example/us/app.git"),
            ),
            ("https://secret@git.example?token=secret", Some("https://git.example")),
            ("https://a@secret@git.example/app#secret", Some("https://git.example/app")),
            ("git@git.example:us/app.git", Some("git@git.example:us/app.git")),
            ("user:secret@git.example:us/app.git", None),
            ("https://git.example/\u{1b}[31m", None),
            ("", None),
        ] {
            assert_eq!(repository(url).as_deref(), expected, "{url}");
        }
        assert_eq!(repository(&"a".repeat(2049)), None);
    }
}
