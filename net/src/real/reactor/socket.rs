//! Opens sockets: where they are bound, which options they have, and what a person can do when
//! the system refuses.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, TcpListener as StdListener};

use dunlin_port::config::NetworkConfig;
use mio::net::{TcpListener, TcpStream};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

/// Ports after the configured one that are tried when it is taken.
const NEXT_PORTS: u16 = 10;

/// Connections that the kernel keeps for us between polls.
const BACKLOG: i32 = 1024;

/// Why sockets could not be opened, and what helps.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The system has no poll for us.
    #[error("cannot watch sockets: {0}")]
    Poll(#[source] io::Error),
    /// Binding to an interface is asked for where the system cannot do it.
    #[error(
        "`network.bind-interface` does not work on this system: set `network.bind-address` to \
         the interface's address instead"
    )]
    InterfaceUnsupported,
    /// The interface is missing, or binding to it is not allowed.
    #[error(
        "cannot bind to interface {name}: {source}; check `network.bind-interface` (does the \
         interface exist, is it up, and may this user bind to it?)"
    )]
    Interface {
        /// The interface.
        name: String,
        /// The system's words.
        source: io::Error,
    },
    /// The address for outgoing connections is not ours.
    #[error(
        "cannot bind to address {address}: {source}; set `network.bind-address` to an address of \
         this computer"
    )]
    Address {
        /// The address.
        address: IpAddr,
        /// The system's words.
        source: io::Error,
    },
    /// The port that was named is taken.
    #[error(
        "cannot listen on {address}: the port is taken; stop the program that has it or choose \
         another one (`--listen`, or `network.listen`)"
    )]
    PortTaken {
        /// The configured address.
        address: SocketAddr,
    },
    /// The default port and those after it are taken.
    #[error(
        "cannot listen on {address}: ports {} to {last} are taken; stop the programs that have \
         them or choose another port (`--listen`, or `network.listen`)",
        .address.port()
    )]
    PortsTaken {
        /// The configured address.
        address: SocketAddr,
        /// Last port that was tried.
        last: u16,
    },
    /// This user may not listen there.
    #[error(
        "not allowed to listen on {address}: choose a port from 1024 up in `network.listen`, or \
         give the program the right to use this one"
    )]
    Forbidden {
        /// The configured address.
        address: SocketAddr,
    },
    /// The address to listen on is not ours.
    #[error(
        "cannot listen on {address}: this computer does not have the address; correct \
         `network.listen`"
    )]
    NotOurs {
        /// The configured address.
        address: SocketAddr,
    },
    /// Anything else.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The configured address.
        address: SocketAddr,
        /// The system's words.
        source: io::Error,
    },
}

/// How every socket is bound.
pub(super) struct Binding {
    address: Option<IpAddr>,
    interface: Option<String>,
}

impl Binding {
    /// Reads how to bind and tries it, so that a mistake shows at the start and not as a client
    /// that finds nobody.
    pub(super) fn new(config: &NetworkConfig) -> Result<Self, OpenError> {
        let binding = Self {
            address: config.bind_address,
            interface: config.bind_interface.clone(),
        };
        if let Some(name) = &binding.interface {
            if !INTERFACES {
                return Err(OpenError::InterfaceUnsupported);
            }
            let probe = binding
                .socket(Domain::IPV4)
                .or_else(|_| binding.socket(Domain::IPV6));
            probe.map_err(|source| OpenError::Interface {
                name: name.clone(),
                source,
            })?;
        }
        if let Some(address) = binding.address {
            StdListener::bind((address, 0))
                .map_err(|source| OpenError::Address { address, source })?;
        }
        Ok(binding)
    }

    fn socket(&self, domain: Domain) -> io::Result<Socket> {
        let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        if let Some(name) = &self.interface {
            bind_to_interface(&socket, name)?;
        }
        Ok(socket)
    }

    /// Begins to connect; the poll tells when it is done.
    pub(super) fn connect(&self, to: SocketAddr) -> io::Result<TcpStream> {
        let socket = self.socket(Domain::for_address(to))?;
        socket.set_tcp_nodelay(true)?;
        if let Some(address) = self.address {
            if address.is_ipv4() != to.is_ipv4() {
                let text = format!("bound to {address}, which cannot reach {}", to.ip());
                return Err(io::Error::new(ErrorKind::AddrNotAvailable, text));
            }
            socket.bind(&SocketAddr::new(address, 0).into())?;
        }
        match socket.connect(&to.into()) {
            Err(error) if !in_progress(&error) => Err(error),
            _ => Ok(TcpStream::from_std(socket.into())),
        }
    }

    /// Listens on one address exactly.
    fn listen_at(&self, address: SocketAddr) -> io::Result<TcpListener> {
        let socket = self.socket(Domain::for_address(address))?;
        if address.is_ipv6() {
            // IPv4 has its own socket, so that addresses never come mapped.
            socket.set_only_v6(true)?;
        }
        // Connections of an earlier run may still wait for their end. On Windows the option means
        // something else: to share the port with whoever has it.
        #[cfg(unix)]
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(TcpListener::from_std(socket.into()))
    }

    /// Listens on addresses that want the same port: on that one, or when one of them finds it
    /// taken and it `moves`, all on one of the next ten. Trackers are told one port only, so it
    /// has to be the same for IPv4 and IPv6.
    pub(super) fn listen(
        &self,
        addresses: &[SocketAddr],
        moves: bool,
    ) -> Vec<Result<TcpListener, OpenError>> {
        let Some(wanted) = addresses.first().map(SocketAddr::port) else {
            return Vec::new();
        };
        // Port 0 asks for any port, and again for another if it does not suit all.
        let last = if moves || wanted == 0 { NEXT_PORTS } else { 0 };
        let mut tries = 0..=last;
        loop {
            let step = tries.next().unwrap_or(last);
            let port = if wanted == 0 {
                0
            } else {
                wanted.saturating_add(step)
            };
            let opened = self.listen_all(addresses, port);
            let taken = |result: &io::Result<_>| matches!(result, Err(error) if error.kind() == ErrorKind::AddrInUse);
            if step == last || port == u16::MAX || !opened.iter().any(taken) {
                let results = addresses.iter().zip(opened);
                return results
                    .map(|(&address, result)| result.map_err(|e| refusal(address, port, e)))
                    .collect();
            }
        }
    }

    /// Listens on each address at this port; when it is 0, at the one that the first gets.
    fn listen_all(&self, addresses: &[SocketAddr], mut port: u16) -> Vec<io::Result<TcpListener>> {
        let listen = |address: &SocketAddr| {
            let listener = self.listen_at(SocketAddr::new(address.ip(), port))?;
            port = listener.local_addr()?.port();
            Ok(listener)
        };
        addresses.iter().map(listen).collect()
    }
}

/// What to tell a person whose address could not be listened on, up to port `last`.
fn refusal(address: SocketAddr, last: u16, error: io::Error) -> OpenError {
    match error.kind() {
        ErrorKind::AddrInUse if last == address.port() => OpenError::PortTaken { address },
        ErrorKind::AddrInUse => OpenError::PortsTaken { address, last },
        ErrorKind::PermissionDenied => OpenError::Forbidden { address },
        ErrorKind::AddrNotAvailable => OpenError::NotOurs { address },
        _ => OpenError::Listen {
            address,
            source: error,
        },
    }
}

/// Prepares a connection that somebody else opened.
pub(super) fn prepare_accepted(stream: &TcpStream) -> io::Result<()> {
    SockRef::from(stream).set_tcp_nodelay(true)
}

#[cfg(unix)]
fn in_progress(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EINPROGRESS)
}

#[cfg(not(unix))]
fn in_progress(error: &io::Error) -> bool {
    error.kind() == ErrorKind::WouldBlock
}

/// Whether sockets can be bound to an interface by its name.
const INTERFACES: bool = cfg!(target_os = "linux");

#[cfg(target_os = "linux")]
fn bind_to_interface(socket: &Socket, name: &str) -> io::Result<()> {
    socket.bind_device(Some(name.as_bytes()))
}

#[cfg(not(target_os = "linux"))]
fn bind_to_interface(_: &Socket, _: &str) -> io::Result<()> {
    Err(ErrorKind::Unsupported.into())
}
