//! A line that can be cut: a TCP proxy on loopback in front of one node's listener.
//!
//! Cut, it closes what it carries and takes no new connection; whole, it carries on. It reads nothing of
//! what passes, but counts it. The demo gives the clinic only such lines to the other nodes; a bench looks at the count.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::failed::Failed;

/// How long connecting to the node may take.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// Connections that are remembered for cutting; older ones are closed.
const CARRIED_MAX: usize = 64;

/// Bytes that are passed on at a time.
const BUFFER_BYTES: usize = 64 * 1024;

/// One line.
pub(crate) struct Proxy {
    address: SocketAddr,
    line: Arc<Line>,
}

struct Line {
    to: SocketAddr,
    cut: AtomicBool,
    ended: AtomicBool,
    bytes: AtomicU64,
    carried: Mutex<Vec<TcpStream>>,
}

impl Proxy {
    /// A whole line to `to`, on a port of its own.
    ///
    /// # Errors
    /// [`Failed::Wrong`] if no port can be had.
    pub(crate) fn start(to: SocketAddr) -> Result<Self, Failed> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(Failed::wrong)?;
        let address = listener.local_addr().map_err(Failed::wrong)?;
        let (cut, ended, bytes) = (AtomicBool::new(false), AtomicBool::new(false), AtomicU64::new(0));
        let line = Arc::new(Line { to, cut, ended, bytes, carried: Mutex::default() });
        let serving = line.clone();
        thread::spawn(move || serving.serve(&listener));
        Ok(Self { address, line })
    }

    /// Where to connect instead of the node.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Bytes that it carried until now, both ways together.
    pub(crate) fn bytes(&self) -> u64 {
        self.line.bytes.load(Ordering::SeqCst)
    }

    /// Cuts the line at once.
    pub(crate) fn cut(&self) {
        self.line.cut.store(true, Ordering::SeqCst);
        self.line.close_all();
    }

    /// Makes it whole again.
    pub(crate) fn heal(&self) {
        self.line.cut.store(false, Ordering::SeqCst);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.line.ended.store(true, Ordering::SeqCst);
        self.line.close_all();
        // Wakes the listener, which then sees that it has ended.
        let _woken = TcpStream::connect(self.address);
    }
}

impl Line {
    fn serve(self: &Arc<Self>, listener: &TcpListener) {
        for stream in listener.incoming() {
            if self.ended.load(Ordering::SeqCst) {
                return;
            }
            let Ok(from) = stream else { continue };
            if self.cut.load(Ordering::SeqCst) {
                continue;
            }
            let line = self.clone();
            thread::spawn(move || line.carry(from));
        }
    }

    fn carry(self: &Arc<Self>, from: TcpStream) {
        let Ok(to) = TcpStream::connect_timeout(&self.to, CONNECT_MAX) else { return };
        let (Ok(from_too), Ok(to_too)) = (from.try_clone(), to.try_clone()) else { return };
        self.remember([&from, &to]);
        let line = self.clone();
        let back = thread::spawn(move || pump(&line.bytes, to_too, from_too));
        pump(&self.bytes, from, to);
        let _done = back.join();
    }

    fn remember(&self, streams: [&TcpStream; 2]) {
        let mut carried = self.carried.lock().unwrap_or_else(PoisonError::into_inner);
        carried.extend(streams.iter().filter_map(|s| s.try_clone().ok()));
        while carried.len() > CARRIED_MAX {
            close(&carried.remove(0));
        }
        // The cut may have come in between.
        if self.cut.load(Ordering::SeqCst) {
            carried.drain(..).for_each(|s| close(&s));
        }
    }

    fn close_all(&self) {
        let mut carried = self.carried.lock().unwrap_or_else(PoisonError::into_inner);
        carried.drain(..).for_each(|s| close(&s));
    }
}

// A stream that is closed already says so; there is nothing to do about it.
fn close(stream: &TcpStream) {
    match stream.shutdown(Shutdown::Both) {
        Err(e) if e.kind() != ErrorKind::NotConnected => tracing::debug!("closing a line: {e}"),
        _ => {}
    }
}

fn pump(bytes: &AtomicU64, mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = vec![0; BUFFER_BYTES];
    // Either end may go at any time; that ends the line like a cut.
    while let Ok(n @ 1..) = from.read(&mut buffer) {
        bytes.fetch_add(n as u64, Ordering::SeqCst);
        if to.write_all(&buffer[..n]).is_err() {
            break;
        }
    }
    close(&from);
    close(&to);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn echo() -> SocketAddr {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let mut other = stream.try_clone().unwrap();
                thread::spawn(move || std::io::copy(&mut stream, &mut other));
            }
        });
        address
    }

    fn says(stream: &mut TcpStream, word: &[u8; 4]) -> bool {
        let mut heard = [0; 4];
        stream.write_all(word).is_ok() && stream.read_exact(&mut heard).is_ok() && heard == *word
    }

    #[test]
    fn a_cut_line_ends_what_it_carries_and_a_healed_one_carries_again() {
        let proxy = Proxy::start(echo()).unwrap();
        let mut stream = TcpStream::connect(proxy.address()).unwrap();
        assert!(says(&mut stream, b"ping"), "a whole line carries");
        assert_eq!(proxy.bytes(), 8, "and counts what it carries both ways");
        proxy.cut();
        assert!(!says(&mut stream, b"ping"), "a cut one ends what it carried");
        let mut again = TcpStream::connect(proxy.address()).unwrap();
        assert!(!says(&mut again, b"ping"), "and takes nothing new");
        proxy.heal();
        let mut healed = TcpStream::connect(proxy.address()).unwrap();
        assert!(says(&mut healed, b"pong"), "healed it carries again");
    }
}
