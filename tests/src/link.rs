//! Connections that a test can cut.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The name of Postgres' socket in its folder.
const POSTGRES_SOCKET: &str = ".s.PGSQL.5432";

/// A place to connect to that leads to another one, until it is cut: then connections end, and new
/// ones are closed at once.
#[derive(Debug)]
pub struct Link {
    is_cut: Arc<watch::Sender<bool>>,
    task: JoinHandle<()>,
}

impl Link {
    /// A link to a TCP address; returns where it begins.
    ///
    /// # Errors
    /// If there is no port left.
    pub async fn to_address(address: String) -> io::Result<(Self, String)> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let begin = listener.local_addr()?.to_string();
        let is_cut = Arc::new(watch::Sender::new(false));
        let cut = Arc::clone(&is_cut);
        let task = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let far = TcpStream::connect(address.clone());
                tokio::spawn(join(near, far, cut.subscribe()));
            }
        });
        Ok((Self { is_cut, task }, begin))
    }

    /// A link to the Postgres whose socket lies in a folder; begins with a socket in another one.
    ///
    /// # Errors
    /// If there can be no socket.
    pub fn to_postgres(folder: &Path, begin: &Path) -> io::Result<Self> {
        let listener = UnixListener::bind(begin.join(POSTGRES_SOCKET))?;
        let socket: PathBuf = folder.join(POSTGRES_SOCKET);
        let is_cut = Arc::new(watch::Sender::new(false));
        let cut = Arc::clone(&is_cut);
        let task = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let far = UnixStream::connect(socket.clone());
                tokio::spawn(join(near, far, cut.subscribe()));
            }
        });
        Ok(Self { is_cut, task })
    }

    /// Cuts it.
    pub fn cut(&self) {
        self.is_cut.send_replace(true);
    }

    /// Mends it.
    pub fn mend(&self) {
        self.is_cut.send_replace(false);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
        self.cut();
    }
}

async fn join<S: AsyncRead + AsyncWrite + Unpin>(
    mut near: S,
    far: impl Future<Output = io::Result<S>>,
    mut is_cut: watch::Receiver<bool>,
) {
    let travel = async {
        let mut far = far.await?;
        copy_bidirectional(&mut near, &mut far).await
    };
    tokio::select! {
        biased;
        // The link has gone, which is as good as cut.
        _ = is_cut.wait_for(|is_cut| *is_cut) => {}
        // Whichever end has closed, both do.
        _ = travel => {}
    }
}
