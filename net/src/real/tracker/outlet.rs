//! Opens the sockets that trackers are asked through, bound as the configuration says.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream, UdpSocket};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// Addresses of one host that are tried.
const ADDRESSES_MAX: usize = 8;
/// Head start of one address before the next is tried beside it (RFC 8305 has 250 ms).
const HEAD_START: Duration = Duration::from_millis(250);

/// From where sockets leave this machine.
#[derive(Clone, Debug)]
pub(super) struct Outlet {
    bind: Option<IpAddr>,
    interface: Option<String>,
}

impl Outlet {
    pub(super) fn new(bind: Option<IpAddr>, interface: Option<String>) -> Self {
        Self { bind, interface }
    }

    /// The addresses of a host that a socket of ours can reach, the system's preferred ones first.
    pub(super) async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        // An address needs no resolver, nor a thread for it.
        let found: Vec<_> = match host.parse::<IpAddr>() {
            Ok(ip) => vec![SocketAddr::new(ip, port)],
            Err(_) => tokio::net::lookup_host((host, port)).await?.collect(),
        };
        let usable = found.into_iter().filter(|addr| self.family_fits(addr.ip()));
        let usable: Vec<_> = usable.take(ADDRESSES_MAX).collect();
        if usable.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                "it has no address that we can reach",
            ));
        }
        Ok(usable)
    }

    fn family_fits(&self, ip: IpAddr) -> bool {
        self.bind.is_none_or(|bind| bind.is_ipv4() == ip.is_ipv4())
    }

    fn local(&self, remote: SocketAddr) -> SocketAddr {
        let any = match remote {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        SocketAddr::new(self.bind.unwrap_or(any), 0)
    }

    /// Connects to whichever of the addresses answers first, and to no other.
    pub(super) async fn connect_any(&self, addresses: &[SocketAddr]) -> io::Result<TcpStream> {
        let mut attempts = JoinSet::new();
        for (delay, &addr) in (0..).map(|n| HEAD_START * n).zip(addresses) {
            let outlet = self.clone();
            attempts.spawn(async move {
                sleep(delay).await;
                outlet.connect(addr).await
            });
        }
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        while let Some(attempt) = attempts.join_next().await {
            match attempt.map_err(io::Error::other).flatten() {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn connect(&self, addr: SocketAddr) -> io::Result<TcpStream> {
        let socket = if addr.is_ipv4() {
            TcpSocket::new_v4()?
        } else {
            TcpSocket::new_v6()?
        };
        self.bind_interface(|name| bind_tcp(&socket, name))?;
        if self.bind.is_some() {
            socket.bind(self.local(addr))?;
        }
        let stream = socket.connect(addr).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// A UDP socket that talks to one address only.
    pub(super) async fn udp(&self, addr: SocketAddr) -> io::Result<UdpSocket> {
        let socket = UdpSocket::bind(self.local(addr)).await?;
        self.bind_interface(|name| bind_udp(&socket, name))?;
        socket.connect(addr).await?;
        Ok(socket)
    }

    fn bind_interface(&self, bind: impl FnOnce(&[u8]) -> io::Result<()>) -> io::Result<()> {
        let Some(name) = &self.interface else {
            return Ok(());
        };
        bind(name.as_bytes()).map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("cannot use the interface {name}: {error}"),
            )
        })
    }
}

#[cfg(target_os = "linux")]
fn bind_tcp(socket: &TcpSocket, name: &[u8]) -> io::Result<()> {
    socket.bind_device(Some(name))
}

#[cfg(target_os = "linux")]
fn bind_udp(socket: &UdpSocket, name: &[u8]) -> io::Result<()> {
    socket.bind_device(Some(name))
}

// Who binds to an interface wants nothing to leave by another: better no announce than a leak.

#[cfg(not(target_os = "linux"))]
fn bind_tcp(_: &TcpSocket, _: &[u8]) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(not(target_os = "linux"))]
fn bind_udp(_: &UdpSocket, _: &[u8]) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
