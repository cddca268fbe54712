//! `breakerctl top` in a terminal: it shows what happens, does what it is told, and gives the
//! terminal back however it ends.

use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use anyhow::{Context, ensure};
use breaker_proto::v1;
use breaker_tests::{Daemon, binary, create, eventually, selecting};
use nix::pty::{Winsize, openpty};
use nix::sys::termios::{LocalFlags, tcgetattr};

const ROWS: NonZeroU16 = NonZeroU16::new(24).unwrap();
const COLUMNS: NonZeroU16 = NonZeroU16::new(80).unwrap();
/// How long anything may take on a machine that is very busy.
const PATIENCE: Duration = Duration::from_secs(20);

/// A `top` in a terminal of 80 columns and 24 rows.
struct Top {
    child: Child,
    keyboard: File,
    /// What the terminal shows.
    screen: Arc<Mutex<vt100::Parser>>,
    /// Keeps the terminal there when the program has ended.
    terminal: OwnedFd,
}

impl Top {
    fn start(address: &str) -> anyhow::Result<Self> {
        let size =
            Winsize { ws_row: ROWS.get(), ws_col: COLUMNS.get(), ws_xpixel: 0, ws_ypixel: 0 };
        let pair = openpty(Some(&size), None)?;
        let child = Command::new(binary("breakerctl")?)
            .args(["top", "--address", address, "--actor", "ann", "--timeout", "2s"])
            .env("TERM", "xterm-256color")
            .env_remove("NO_COLOR")
            .stdin(Stdio::from(pair.slave.try_clone()?))
            .stdout(Stdio::from(pair.slave.try_clone()?))
            .stderr(Stdio::piped())
            .spawn()?;
        let screen = Arc::new(Mutex::new(vt100::Parser::new(ROWS, COLUMNS, 0)));
        let (mut written, shown) = (File::from(pair.master.try_clone()?), Arc::clone(&screen));
        thread::spawn(move || {
            let mut bytes = [0; 4_096];
            // A terminal that nobody has any more fails.
            while let Ok(count @ 1..) = written.read(&mut bytes) {
                let Ok(mut shown) = shown.lock() else { return };
                shown.process(&bytes[..count]);
            }
        });
        Ok(Self { child, keyboard: File::from(pair.master), screen, terminal: pair.slave })
    }

    fn press(&mut self, keys: &str) -> anyhow::Result<()> {
        Ok(self.keyboard.write_all(keys.as_bytes())?)
    }

    /// Waits until this is on the screen.
    async fn shows(&self, text: &str) -> anyhow::Result<()> {
        let look = async || Ok(self.screen()?.contains(text));
        let seen = eventually(text, PATIENCE, look).await;
        seen.map(|_| ()).with_context(|| self.screen().unwrap_or_default())
    }

    /// Waits until the screen is shown that was there before.
    async fn gives_the_screen_back(&self) -> anyhow::Result<()> {
        let look = async || {
            let screen = self.screen.lock().map_err(|_| anyhow::anyhow!("no screen"))?;
            Ok(!screen.screen().alternate_screen() && !screen.screen().hide_cursor())
        };
        eventually("the screen from before", PATIENCE, look).await.map(|_| ())
    }

    fn screen(&self) -> anyhow::Result<String> {
        let screen = self.screen.lock().map_err(|_| anyhow::anyhow!("no screen"))?;
        Ok(screen.screen().contents())
    }

    /// Waits for its end; what it exits with.
    async fn ends(&mut self) -> anyhow::Result<Option<i32>> {
        let mut status = None;
        let look = async || {
            status = self.child.try_wait()?;
            Ok(status.is_some())
        };
        eventually("top ends", PATIENCE, look).await?;
        Ok(status.and_then(|status| status.code()))
    }

    /// Whether lines are read and keys are shown, as a shell has it.
    fn is_as_before(&self) -> anyhow::Result<bool> {
        let flags = tcgetattr(&self.terminal)?.local_flags;
        Ok(flags.contains(LocalFlags::ICANON | LocalFlags::ECHO))
    }
}

impl Drop for Top {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn server_with_a_shop(folder: &std::path::Path) -> anyhow::Result<Daemon> {
    let daemon = Daemon::start(&folder.join("breakerd.db"))?;
    daemon.clients()?.admin.create_breaker(create("demo/shop", Default::default())).await?;
    Ok(daemon)
}

#[tokio::test]
async fn it_shows_what_happens_and_that_the_server_is_gone() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let daemon = server_with_a_shop(folder.path()).await?;
    let mut top = Top::start(&daemon.grpc)?;
    top.shows("demo/shop").await?;
    ensure!(!top.is_as_before()?, "keys are for top now");
    let trip = v1::TripRequest { target: selecting("demo/shop") };
    daemon.clients()?.admin.trip(trip).await?;
    top.shows("✖ open").await?;
    daemon.kill()?;
    top.shows("connection lost").await?;
    top.press("q")?;
    top.gives_the_screen_back().await?;
    ensure!(top.ends().await? == Some(0));
    ensure!(top.is_as_before()?);
    Ok(())
}

#[tokio::test]
async fn a_breaker_is_forced_open_from_it() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let daemon = server_with_a_shop(folder.path()).await?;
    let mut top = Top::start(&daemon.grpc)?;
    top.shows("demo/shop").await?;
    top.press("f")?;
    top.shows("Every call is denied").await?;
    top.press("the sale\r10m\r\r")?;
    top.shows("force open demo/shop: done").await?;
    let request = v1::GetBreakerRequest { name: "demo/shop".into() };
    let shop = daemon.clients()?.admin.get_breaker(request).await?.into_inner().breaker;
    let held = shop.and_then(|shop| shop.r#override).context("it is not forced")?;
    ensure!(held.mode == v1::Mode::ForcedOpen as i32 && held.expire_time.is_some(), "{held:?}");
    ensure!((&*held.actor, &*held.reason) == ("ann", "the sale"), "{held:?}");
    // A change that the server refuses is told.
    top.press("t\r\r")?;
    top.shows("is under an override").await?;
    top.press("\r")?;
    top.shows("by: ann").await?;
    Ok(())
}

#[tokio::test]
async fn a_signal_gives_the_terminal_back() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let daemon = server_with_a_shop(folder.path()).await?;
    for (signal, code) in [("TERM", 143), ("INT", 130), ("HUP", 129)] {
        let mut top = Top::start(&daemon.grpc)?;
        top.shows("demo/shop").await?;
        let id = top.child.id().to_string();
        ensure!(Command::new("kill").arg(format!("-{signal}")).arg(id).status()?.success());
        top.gives_the_screen_back().await?;
        ensure!(top.ends().await? == Some(code), "{signal}");
        ensure!(top.is_as_before()?, "{signal}");
    }
    Ok(())
}

#[test]
fn without_a_terminal_it_says_what_there_is_instead() -> anyhow::Result<()> {
    let said = Command::new(binary("breakerctl")?).arg("top").stdin(Stdio::null()).output()?;
    ensure!(said.status.code() == Some(2), "{said:?}");
    let error = String::from_utf8(said.stderr)?;
    ensure!(error.contains("breakerctl list -o json"), "{error}");
    ensure!(said.stdout.is_empty());
    Ok(())
}
