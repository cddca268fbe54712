//! Starts a cluster, prints its folder, and keeps it until standard input ends.

use std::io::{Read, stdin};

use throwaway_postgres::Cluster;

fn main() -> anyhow::Result<()> {
    let cluster = Cluster::start()?;
    println!("{}", cluster.folder().display());
    stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
