//! A server whose packets are lost: client and server in network namespaces of their own, with a
//! wire between them that is unplugged. Needs root and `ip`, as where CI runs; without them there
//! is nothing that could be unplugged.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, ensure};
use breaker_tests::binary;
use serde_json::{Value, json};

/// How long a decision takes at most that waits for nobody, on a machine that is very busy.
const AT_ONCE_US: u64 = 500_000;

#[test]
fn a_server_whose_packets_are_lost_makes_no_call_wait_and_loses_none() -> anyhow::Result<()> {
    let Some(wire) = Wire::lay()? else {
        eprintln!("not root, or no `ip`: there is no wire to unplug");
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let database = format!("--database=sqlite://{}/breakerd.db", folder.path().display());
    let _server = wire.serve(&database)?;
    let mut client = Driver::start(&wire)?;
    client.tell(&json!({
        "do": "build", "addresses": [format!("{SERVER}:7420")],
        "stale_after": 6_000, "max_staleness": 5_000, "permit_timeout": 5_000,
        "on_unavailable": "local",
    }))?;
    client.tell(&json!({ "do": "breaker", "breaker": "a/b" }))?;
    let ready = client.tell(&json!({ "do": "ready", "timeout": 20_000 }))?;
    ensure!(ready["ready"] == true, "{ready}");
    let calls = json!({ "do": "call", "breaker": "a/b", "times": 1_000 });
    client.allowed(&calls)?;

    wire.unplug()?;
    for _ in 0..5 {
        client.allowed(&calls)?;
    }
    client.until_state("stale")?;
    client.allowed(&calls)?;
    client.until_state("fallback")?;
    client.allowed(&calls)?;
    // The breaker of the process opens by itself.
    let failures = json!({ "do": "call", "breaker": "a/b", "outcome": "failure", "times": 20 });
    let failed = client.tell(&failures)?;
    ensure!(failed["allowed"] == 5 && failed["reason"] == "local_open", "{failed}");
    ensure!(failed["decided_in"].as_u64() < Some(AT_ONCE_US), "{failed}");

    wire.plug_in()?;
    client.until_state("ready")?;
    let flushed = client.tell(&json!({ "do": "flush", "timeout": 30_000 }))?;
    ensure!(flushed["flushed"] == true, "{flushed}");
    ensure!(client.tell(&json!({ "do": "counts" }))?["given_up"] == 0);
    let mut told = wire.within(CLIENT_SIDE, &binary("breakerctl")?.display().to_string());
    let told = told.args(["--address", &format!("{SERVER}:7420"), "get", "a/b"]).output()?;
    let told = String::from_utf8(told.stdout)?;
    ensure!(told.contains("8000 succeeded, 5 failed"), "{told}");
    client.end()
}

const SERVER: &str = "10.77.0.1";
const CLIENT: &str = "10.77.0.2";
const SERVER_SIDE: &str = "server";
const CLIENT_SIDE: &str = "client";

/// Two namespaces and the wire between them, which go when it is dropped.
struct Wire {
    prefix: String,
}

impl Wire {
    fn lay() -> anyhow::Result<Option<Self>> {
        let wire = Self { prefix: format!("bkr{}", std::process::id()) };
        let [server, client] = [SERVER_SIDE, CLIENT_SIDE].map(|side| wire.namespace(side));
        let made = run(&["netns", "add", &server]).and_then(|()| run(&["netns", "add", &client]));
        if made.is_err() {
            return Ok(None);
        }
        let ends = [wire.end(SERVER_SIDE), wire.end(CLIENT_SIDE)];
        run(&[
            "link", "add", &ends[0], "netns", &server, "type", "veth", "peer", "name", &ends[1],
            "netns", &client,
        ])?;
        for (side, address) in [(SERVER_SIDE, SERVER), (CLIENT_SIDE, CLIENT)] {
            let (namespace, end) = (wire.namespace(side), wire.end(side));
            run(&["-n", &namespace, "addr", "add", &format!("{address}/24"), "dev", &end])?;
            run(&["-n", &namespace, "link", "set", &end, "up"])?;
            run(&["-n", &namespace, "link", "set", "lo", "up"])?;
        }
        Ok(Some(wire))
    }

    fn unplug(&self) -> anyhow::Result<()> {
        let (namespace, end) = (self.namespace(SERVER_SIDE), self.end(SERVER_SIDE));
        run(&["-n", &namespace, "link", "set", &end, "down"])
    }

    fn plug_in(&self) -> anyhow::Result<()> {
        let (namespace, end) = (self.namespace(SERVER_SIDE), self.end(SERVER_SIDE));
        run(&["-n", &namespace, "link", "set", &end, "up"])
    }

    fn serve(&self, database: &str) -> anyhow::Result<Process> {
        let program = binary("breakerd")?.display().to_string();
        let mut command = self.within(SERVER_SIDE, &program);
        command.arg(format!("--listen={SERVER}:7420")).arg("--insecure").arg(database);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        Ok(Process(child))
    }

    fn within(&self, side: &str, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace(side), program]);
        command
    }

    fn namespace(&self, side: &str) -> String {
        format!("{}-{side}", self.prefix)
    }

    /// Names of interfaces have 15 characters at most.
    fn end(&self, side: &str) -> String {
        format!("{}{}", self.prefix, &side[..1])
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        for side in [SERVER_SIDE, CLIENT_SIDE] {
            // One that could not be made cannot be deleted.
            let _ = run(&["netns", "delete", &self.namespace(side)]);
        }
    }
}

fn run(arguments: &[&str]) -> anyhow::Result<()> {
    let output = Command::new("ip").args(arguments).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "ip {}: {said}", arguments.join(" "));
    Ok(())
}

/// Killed when it is dropped.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // One that has ended cannot be killed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The driver of the conformance suite, which does what it is told.
struct Driver {
    process: Process,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Driver {
    fn start(wire: &Wire) -> anyhow::Result<Self> {
        let program = binary("conformance-driver")?.display().to_string();
        let mut command = wire.within(CLIENT_SIDE, &program);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let input = child.stdin.take().context("it is a pipe")?;
        let output = BufReader::new(child.stdout.take().context("it is a pipe")?);
        Ok(Self { process: Process(child), input, output })
    }

    fn tell(&mut self, command: &Value) -> anyhow::Result<Value> {
        writeln!(self.input, "{command}")?;
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        serde_json::from_str(&line).with_context(|| format!("{command} was answered {line:?}"))
    }

    fn allowed(&mut self, calls: &Value) -> anyhow::Result<()> {
        let made = self.tell(calls)?;
        ensure!(made["allowed"] == calls["times"], "{made}");
        ensure!(made["decided_in"].as_u64() < Some(AT_ONCE_US), "{made}");
        Ok(())
    }

    fn until_state(&mut self, state: &str) -> anyhow::Result<()> {
        for _ in 0..600 {
            let status = self.tell(&json!({ "do": "status", "breaker": "a/b" }))?;
            if status["client"] == state {
                return Ok(());
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        anyhow::bail!("the client does not become {state}")
    }

    fn end(mut self) -> anyhow::Result<()> {
        drop(self.input);
        let status = self.process.0.wait()?;
        ensure!(status.success(), "the driver ended with {status}");
        Ok(())
    }
}
