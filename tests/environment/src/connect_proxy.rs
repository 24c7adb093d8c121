//! A strict HTTP proxy, as companies have: it opens tunnels with CONNECT to the destinations that it is told, and refuses all others.
//! It resolves their names itself, so a client can reach through it what has no address otherwise.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

/// The most bytes of the head of a request.
const LARGEST_HEAD: u64 = 8 << 10;

/// What was asked of it, in the order in which it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// A tunnel to this `host:port`, which was opened.
    Tunnel(String),
    /// A request, by its method and target, that was refused.
    Refused(String),
    /// A request without the user and the password.
    Unauthorized,
}

/// It serves until the process ends, each connection in a thread.
pub struct ConnectProxy {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

struct Rules {
    /// Where each `host:port` leads.
    allowed: HashMap<String, SocketAddr>,
    /// The header of the user and the password.
    authorization: Option<String>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl ConnectProxy {
    /// On a free port: it connects to these `host:port`, which lead to these addresses.
    ///
    /// # Errors
    /// When it cannot listen.
    pub fn start<'a>(allowed: impl IntoIterator<Item = (&'a str, SocketAddr)>) -> io::Result<Self> {
        Self::serve(allowed, None)
    }

    /// The same for clients with this `Proxy-Authorization` only.
    ///
    /// # Errors
    /// When it cannot listen.
    pub fn with_authorization<'a>(
        allowed: impl IntoIterator<Item = (&'a str, SocketAddr)>,
        authorization: &str,
    ) -> io::Result<Self> {
        Self::serve(allowed, Some(authorization.to_owned()))
    }

    fn serve<'a>(
        allowed: impl IntoIterator<Item = (&'a str, SocketAddr)>,
        authorization: Option<String>,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let (address, asked) = (listener.local_addr()?, Arc::<Mutex<Vec<Asked>>>::default());
        let allowed = allowed.into_iter().map(|(asked, address)| (asked.to_owned(), address)).collect();
        let rules = Arc::new(Rules { allowed, authorization, asked: asked.clone() });
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let rules = rules.clone();
                // A client that goes away is no concern of the others.
                thread::spawn(move || rules.serve(client).ok());
            }
        });
        Ok(Self { address, asked })
    }

    /// `host:port`, for its URL.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What was asked of it so far.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        lock(&self.asked).clone()
    }
}

impl Rules {
    fn serve(&self, mut client: TcpStream) -> io::Result<()> {
        let head = head(&client)?;
        // Whether it can be reached may be tried without a request.
        let Some(request) = head.first() else { return Ok(()) };
        let mut words = request.split(' ');
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let (asked, status) = match self.allowed.get(target).filter(|_| method == "CONNECT") {
            _ if !self.is_authorized(&head) => (Asked::Unauthorized, "407 Proxy Authentication Required"),
            None => (Asked::Refused(format!("{method} {target}")), "403 Forbidden"),
            Some(address) => {
                let server = TcpStream::connect(address)?;
                lock(&self.asked).push(Asked::Tunnel(target.to_owned()));
                client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
                return carry(client, server);
            }
        };
        lock(&self.asked).push(asked);
        client.write_all(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").as_bytes())
    }

    fn is_authorized(&self, head: &[String]) -> bool {
        let value = |line: &String| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("proxy-authorization").then(|| value.trim().to_owned())
        };
        self.authorization.is_none() || head.iter().find_map(value) == self.authorization
    }
}

/// The lines up to the empty one. No client sends more before it has an answer.
fn head(client: &TcpStream) -> io::Result<Vec<String>> {
    let lines = BufReader::new(client.take(LARGEST_HEAD)).lines();
    lines.take_while(|line| line.as_ref().map_or(true, |line| !line.is_empty())).collect()
}

/// Both ways, until both have ended.
fn carry(client: TcpStream, server: TcpStream) -> io::Result<()> {
    let (mut from_client, mut to_client) = (client.try_clone()?, client);
    let (mut from_server, mut to_server) = (server.try_clone()?, server);
    let back = thread::spawn(move || {
        io::copy(&mut from_server, &mut to_client).ok();
        to_client.shutdown(Shutdown::Write).ok();
    });
    io::copy(&mut from_client, &mut to_server).ok();
    to_server.shutdown(Shutdown::Write).ok();
    back.join().ok();
    Ok(())
}

/// A thread that failed while it held the lock is no concern of others.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(proxy: &ConnectProxy, head: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(proxy.address()).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = vec![0; "HTTP/1.1 200".len()];
        stream.read_exact(&mut answer).unwrap();
        stream.write_all(body.as_bytes()).unwrap();
        // A refused client may be disconnected already.
        stream.shutdown(Shutdown::Write).ok();
        let mut rest = String::new();
        stream.read_to_string(&mut rest).unwrap();
        String::from_utf8(answer).unwrap() + &rest
    }

    /// A server that says what it is told.
    fn echo() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                io::copy(&mut stream.try_clone().unwrap(), &mut stream).ok();
            }
        });
        address
    }

    #[test]
    fn only_what_is_allowed_is_connected() {
        let proxy = ConnectProxy::start([("iam.invalid:443", echo())]).unwrap();
        let tunnel = ask(&proxy, "CONNECT iam.invalid:443 HTTP/1.1\r\nHost: iam.invalid:443\r\n\r\n", "hello");
        assert!(tunnel.starts_with("HTTP/1.1 200") && tunnel.ends_with("\r\n\r\nhello"), "{tunnel}");
        for target in ["CONNECT iam.invalid:80", "CONNECT 127.0.0.1:443", "GET iam.invalid:443", "GET http://a/"] {
            let refused = ask(&proxy, &format!("{target} HTTP/1.1\r\n\r\n"), "");
            assert!(refused.starts_with("HTTP/1.1 403"), "{target}: {refused}");
        }
        let refused = |target: &str| Asked::Refused(target.into());
        let asked = proxy.asked();
        assert_eq!(asked[..2], [Asked::Tunnel("iam.invalid:443".into()), refused("CONNECT iam.invalid:80")]);
        assert_eq!(asked[4], refused("GET http://a/"));
    }

    #[test]
    fn without_the_right_password_nothing_is_connected() {
        let proxy = ConnectProxy::with_authorization([("a:1", echo())], "Basic dTpw").unwrap();
        let ask = |header: &str| ask(&proxy, &format!("CONNECT a:1 HTTP/1.1\r\n{header}\r\n"), "");
        assert!(ask("").starts_with("HTTP/1.1 407"));
        assert!(ask("Proxy-Authorization: Basic eDp5\r\n").starts_with("HTTP/1.1 407"));
        assert!(ask("proxy-authorization: Basic dTpw\r\n").starts_with("HTTP/1.1 200"));
        assert_eq!(proxy.asked(), [Asked::Unauthorized, Asked::Unauthorized, Asked::Tunnel("a:1".into())]);
    }
}
