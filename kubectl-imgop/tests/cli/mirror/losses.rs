//! What a file says, and whoever else changes it, must not be lost in silence.

use super::{CONFIG, mirror};
use crate::program::Program;

fn read(program: &Program, name: &str) -> String {
    std::fs::read_to_string(program.home().join(name)).unwrap()
}

#[test]
fn each_thing_that_a_format_cannot_say_is_named() {
    let digest = format!("sha256:{}", "0".repeat(64));
    let mirror = format!(
        "apiVersion: skopeo.io/v1alpha1\nkind: ImageMirror\nmetadata: {{name: acme}}\nspec:\n  \
         targets: [{{repository: r.io/m, default: true}}]\n  naming: {{template: '{{name}}'}}\n  \
         sources: [{{registry: quay.io, tls: {{mode: SkipVerify}}}}]\n  schedule: 0 3 * * *\n  platforms: [linux/amd64]\n  \
         referrers: All\n  sync: Follow\n  entries:\n  \
         - {{source: quay.io/a/b, tags: ['>=1 <2', '>=3', 1.x], excludedTags: ['1.2']}}\n  \
         - {{source: quay.io/a/c, tags: ['3.1@{digest}']}}\n"
    );
    let program = Program::new();
    program.file("mirror.yaml", &mirror);
    for format in ["regsync", "skopeo-sync"] {
        let run = program.run(&format!("mirror export mirror.yaml --format {format}"));
        insta::assert_snapshot!(format!("export_to_{format}"), run);
    }
    let rancher = mirror
        .replace(
            "metadata: {name: acme}",
            "metadata: {name: acme, annotations: {imgop.skopeo.io/rancher-config: 'Images: []'}}",
        )
        .replace(", tags: ['>=1 <2', '>=3', 1.x], excludedTags: ['1.2']", ", tags: ['1']")
        .replace(&format!("3.1@{digest}"), "3.1");
    program.file("mirror.yaml", &rancher);
    for format in ["regsync", "rancher", "images-list"] {
        let run = program.run(&format!("mirror export mirror.yaml --format {format}"));
        let expected = "warning: not carried: sources[].tls, sync, schedule, platforms, referrers; this format has no such fields\n";
        assert_eq!((run.code, run.stderr.as_str()), (0, expected), "{run}");
    }
}

#[test]
fn what_ranchers_repositories_say_is_named_and_literal_passwords_are_nowhere() {
    let config = CONFIG
        .replace("'{{ env \"CORP_PASSWORD\" }}'", "'{{ \"hunter2literal\" }}'")
        .replace("  Registry: docker.io\n", "  Registry: docker.io\n  RepoAuth: true\n  ReqConcurrent: 3\n");
    let run = mirror("import config.yaml", &config);
    assert!(run.code == 0 && !run.to_string().contains("hunter2literal"), "{run}");
    insta::assert_snapshot!(run.stderr);
}

#[test]
fn comments_of_an_images_list_that_are_dropped_are_named() {
    let list =
        "# list\nquay.io/a/b acme/mirrored-a-b v1\n# why it is here\nquay.io/a/c acme/mirrored-a-c v1\n";
    let expected = "warning: images-list:3: this comment is left out when the file is written; only those above the first image are kept\n";
    for arguments in ["format images-list", "add images-list --no-check --force quay.io/a/b:v2"] {
        let program = Program::new();
        program.file("images-list", list);
        let run = program.run(&format!("mirror {arguments}"));
        assert!(run.code == 0 && run.stderr.starts_with(expected), "{run}");
    }
}

#[test]
fn comments_are_named_and_the_file_stays_as_it_is_unless_they_may_be_lost() {
    let commented =
        CONFIG.replace("Images:\n", "# ours\nImages:\n").replace("- v1.1\n", "- v1.1 # for a CVE\n");
    let program = Program::new();
    program.file("config.yaml", &commented);
    let add = |flags: &str| {
        program.run(&format!("mirror add config.yaml --no-check {flags} quay.io/tools/widget:v1.2"))
    };
    let refused = add("");
    assert_eq!(refused.code, 1, "{refused}");
    for line in [
        "warning: config.yaml:1: this comment is left out when the file is written\n",
        "warning: config.yaml:6: this comment is left out when the file is written\n",
        "error: 2 comments would be lost, so config.yaml is left as it is\n",
    ] {
        assert!(refused.stderr.contains(line), "{refused}");
    }
    assert_eq!(read(&program, "config.yaml"), commented);
    assert_eq!(add("--force").code, 0);
    assert!(
        read(&program, "config.yaml").contains("- v1.2\n") && !read(&program, "config.yaml").contains('#')
    );
    let list = "a/b acme/b v1\n# why\n";
    program.file("images-list", list);
    let refused = program.run("mirror add images-list --no-check a/b:v2");
    assert!(refused.code == 1 && read(&program, "images-list") == list, "{refused}");
}

#[test]
fn a_field_that_is_misspelt_in_autoupdate_yaml_is_named_and_the_file_stays_as_it_is() {
    let program = Program::new();
    let text = "- Name: b\n  GithubRelease: {Owner: o, Repository: r, Images: [{SourceImage: a/b}]}\n- Name: a\n  GithubRelease: {Owner: o, Repository: r, Images: [{SourceImage: a/b}], VersionConstrain: '>1'}\n";
    program.file("autoupdate.yaml", text);
    insta::assert_snapshot!(program.run("mirror format autoupdate.yaml"));
    assert_eq!(read(&program, "autoupdate.yaml"), text);
    program.file("autoupdate.yaml", &text.replace("Constrain:", "Constraint:"));
    assert_eq!(program.run("mirror format autoupdate.yaml").code, 0);
    assert!(read(&program, "autoupdate.yaml").contains("Name: a\n- GithubRelease"));
}

#[test]
fn no_entry_is_made_that_cannot_be_read_again() {
    let program = Program::new();
    program.file("config.yaml", CONFIG);
    program.file("images-list", "quay.io/a/b acme/mirrored-a-b v1\n");
    let run = |arguments: &[&str]| {
        let all = ["mirror", "add"].iter().chain(arguments).chain(&["--no-check", "--create"]).copied();
        program.run_with(&all.collect::<Vec<_>>())
    };
    for arguments in [
        ["config.yaml", "--target-name", "Bad Name", "x/y:3"].as_slice(),
        &["config.yaml", "localhost:5000/y:3"],
        &["images-list", "--target-name", "acme/Bad Name", "x/y:3"],
    ] {
        let run = run(arguments);
        assert!(run.code == 1 && run.stderr.contains("the name at the target is"), "{run}");
    }
    assert_eq!(
        (read(&program, "config.yaml").as_str(), program.run("mirror validate images-list").code),
        (CONFIG, 0)
    );
}

#[test]
fn a_tag_that_do_not_mirror_keeps_away_is_named() {
    let run = mirror("add config.yaml --no-check registry.k8s.io/pause:3.11 quay.io/tools/widget:v2", CONFIG);
    insta::assert_snapshot!(run);
}

#[test]
fn a_change_that_repairs_a_file_can_be_checked() {
    let program = Program::new();
    program.file("before.yaml", &CONFIG.replace("  Tags:\n  - \"3.10\"\n", "  Tgas:\n  - \"3.10\"\n"));
    program.file("config.yaml", CONFIG);
    insta::assert_snapshot!(program.run("mirror validate config.yaml --base before.yaml --check-new none"));
    // What is right in it is compared.
    program.file("config.yaml", &CONFIG.replace("  - v1.1\n", ""));
    let removed = program.run("mirror validate config.yaml --base before.yaml --check-new none");
    assert!(removed.code == 1 && removed.stdout.contains("widget:v1.1 was removed"), "{removed}");
}

#[test]
fn a_file_that_cannot_be_read_is_no_problem_that_was_found() {
    let program = Program::new();
    program.file("folder/config.yaml", CONFIG);
    for arguments in ["folder", "folder/config.yaml --base folder/config.yaml --regsync folder"] {
        let run = program.run(&format!("mirror validate {arguments}"));
        assert_eq!(run.code, 2, "{run}");
    }
}

#[test]
fn a_clone_without_history_says_what_to_fetch() {
    let program = Program::new().variable("PATH", &std::env::var("PATH").unwrap());
    let git = |folder: &str, arguments: &str| {
        let mut git = std::process::Command::new("git");
        git.args(["-c", "user.name=x", "-c", "user.email=x@example.com", "-c", "init.defaultBranch=main"]);
        let folder = program.home().join(folder);
        let output = git.args(arguments.split(' ')).current_dir(folder).env("HOME", program.home()).output();
        assert!(output.unwrap().status.success(), "git {arguments}");
    };
    program.file("origin/config.yaml", CONFIG);
    git("origin", "init -q");
    git("origin", "add .");
    git("origin", "commit -q -m one");
    git("origin", "checkout -q -b branch");
    git("origin", "commit -q --allow-empty -m two");
    git("origin", "checkout -q main");
    git("origin", "commit -q --allow-empty -m three");
    let address = format!("file://{}", program.home().join("origin").display());
    git("", &format!("clone -q --depth 1 --no-single-branch --branch branch {address} clone"));
    insta::assert_snapshot!(
        program.run("mirror validate clone/config.yaml --base origin/main --check-new none")
    );
}

#[cfg(unix)]
#[test]
fn a_signal_ends_what_waits_for_the_standard_input() {
    use std::io::Write as _;
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::{Command, Stdio};
    let program = Program::new();
    for arguments in
        [["mirror", "format", "-"].as_slice(), &["mirror", "import", "-"], &["migrate", "regsync", "-"]]
    {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("kubectl-imgop"));
        command.env_clear().envs(program.environment()).current_dir(program.home()).args(arguments);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // More than a pipe holds: once it is written, the program reads.
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all("# more\n".repeat(1 << 15).as_bytes()).unwrap();
        let kill = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
        assert!(kill.success());
        let status = child.wait().unwrap();
        assert!(status.code() == Some(143) || status.signal() == Some(15), "{arguments:?}: {status}");
        drop(stdin);
    }
}
