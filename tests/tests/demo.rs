//! The demo keeps what its story promises, and leaves nothing behind.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, ensure};
use breaker_tests::binary;

/// The demo with a folder of its own for all that is temporary.
fn demo(temporary: &Path, arguments: &[&str]) -> anyhow::Result<Child> {
    let child = Command::new(binary("breakerctl")?)
        .arg("demo")
        .arg("--breakerd")
        .arg(binary("breakerd")?)
        .args(arguments)
        .env("TMPDIR", temporary)
        // Meant for another server, and not for this one.
        .env("BREAKERD_UNKNOWN_BREAKERS", "refuse")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    Ok(child)
}

fn is_empty(folder: &Path) -> anyhow::Result<bool> {
    Ok(folder.read_dir()?.next().is_none())
}

/// The servers that have their database in this folder.
fn servers_in(folder: &Path) -> anyhow::Result<Vec<u32>> {
    let mut servers = Vec::new();
    for process in Path::new("/proc").read_dir()? {
        let path = process?.path();
        // A process may end while it is looked at.
        let command = std::fs::read(path.join("cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command);
        let id: Option<u32> = path.file_name().and_then(|name| name.to_str()?.parse().ok());
        if command.contains(&format!("--database=sqlite://{}", folder.display())) {
            servers.extend(id);
        }
    }
    Ok(servers)
}

fn send(signal: &str, process: u32) -> anyhow::Result<()> {
    let sent = Command::new("kill").arg(format!("-{signal}")).arg(process.to_string()).status()?;
    ensure!(sent.success(), "kill -{signal} {process} failed");
    Ok(())
}

/// Reads until a line that holds this.
fn read_until(
    lines: &mut impl Iterator<Item = std::io::Result<String>>,
    what: &str,
) -> anyhow::Result<()> {
    for line in lines {
        if line?.contains(what) {
            return Ok(());
        }
    }
    anyhow::bail!("it ended without a line about {what}")
}

#[test]
fn once_told_the_story_has_kept_its_promises() -> anyhow::Result<()> {
    let temporary = tempfile::tempdir()?;
    let said = demo(temporary.path(), &["--once", "--speed", "12"])?.wait_with_output()?;
    let (out, error) = (String::from_utf8(said.stdout)?, String::from_utf8(said.stderr)?);
    ensure!(said.status.success(), "{out}{error}");
    ensure!(out.starts_with("dashboard: http://127.0.0.1:"), "{out}");
    for line in [
        "closed → open  failure_threshold",
        "closed → open  slow_call_rate",
        "half_open → closed  probes_succeeded",
        "[emergency]",
        "by: ann, on call, because: the warehouse moves",
        "nothing of it is left",
    ] {
        ensure!(out.contains(line), "nothing of `{line}` in\n{out}");
    }
    ensure!(!out.contains('\u{1b}'), "colours are for terminals: {out}");
    ensure!(is_empty(temporary.path())? && servers_in(temporary.path())?.is_empty());
    Ok(())
}

#[test]
fn told_to_end_it_ends_all_that_it_has_started() -> anyhow::Result<()> {
    for signal in ["INT", "TERM"] {
        let temporary = tempfile::tempdir()?;
        let mut demo = demo(temporary.path(), &["--speed", "10"])?;
        let mut lines = BufReader::new(demo.stdout.take().context("piped")?).lines();
        read_until(&mut lines, "1. ")?;
        ensure!(servers_in(temporary.path())?.len() == 1);
        send(signal, demo.id())?;
        read_until(&mut lines, "nothing of it is left")?;
        ensure!(demo.wait()?.success());
        ensure!(is_empty(temporary.path())? && servers_in(temporary.path())?.is_empty());
    }
    Ok(())
}

#[test]
fn a_server_that_dies_ends_the_demo_with_a_word_and_a_failure() -> anyhow::Result<()> {
    let temporary = tempfile::tempdir()?;
    let mut demo = demo(temporary.path(), &[])?;
    let mut lines = BufReader::new(demo.stdout.take().context("piped")?).lines();
    read_until(&mut lines, "1. ")?;
    for server in servers_in(temporary.path())? {
        send("KILL", server)?;
    }
    let mut said = String::new();
    // What is left of the output must find a reader.
    let rest = std::thread::spawn(move || lines.count());
    demo.stderr.take().context("piped")?.read_to_string(&mut said)?;
    ensure!(demo.wait()?.code() == Some(1), "{said}");
    ensure!(
        said.contains("the server has ended by itself") && said.contains("signal: 9"),
        "{said}"
    );
    ensure!(rest.join().is_ok() && is_empty(temporary.path())?);
    Ok(())
}

#[test]
fn without_a_server_to_start_it_says_how_to_get_one() -> anyhow::Result<()> {
    let said = Command::new(binary("breakerctl")?)
        .args(["demo", "--breakerd", "/no/such/breakerd"])
        .output()?;
    ensure!(said.status.code() == Some(2), "{said:?}");
    let error = String::from_utf8(said.stderr)?;
    ensure!(error.contains("/no/such/breakerd"), "{error}");
    Ok(())
}
