//! Which tracker URLs a torrent may make us open, so that a stranger's torrent cannot send
//! requests to the services of our host, our network or our cloud provider.
//!
//! Names are judged by what they resolve to: the caller resolves, checks each address and connects
//! to that very address, so that a second resolution cannot give another one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use dunlin_base::limits::TRACKER_REDIRECTS_MAX;
use url::{Host, Url};

/// Longest tracker URL or redirect target.
const URL_BYTES_MAX: usize = 4096;

/// Addresses at which cloud providers answer their machines with credentials: AWS, Google and
/// Azure share the first; then Alibaba, Oracle, Azure's agent, and AWS over IPv6.
const METADATA_ADDRESSES: [IpAddr; 5] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
];

/// Where an address leads.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum AddressClass {
    /// The public internet.
    Global,
    /// This host.
    Loopback,
    /// A network behind somebody's router: RFC 1918, carrier NAT, unique local, site local.
    Private,
    /// The cable itself.
    LinkLocal,
    /// A cloud provider's metadata service.
    Metadata,
    /// No address at all; connecting there reaches this host.
    Unspecified,
    /// A group.
    Multicast,
    /// Everybody on the cable.
    Broadcast,
    /// Not given out to anybody.
    Reserved,
}

impl AddressClass {
    /// Whether the address may be reached from here only, but can be a tracker's.
    #[must_use]
    pub const fn is_local(self) -> bool {
        matches!(self, Self::Loopback | Self::Private | Self::LinkLocal)
    }
}

/// Says where an address leads. IPv4 inside IPv6 (mapped, compatible, NAT64, 6to4) is judged by
/// its IPv4 address, since that is where the packets can end up.
#[must_use]
pub fn address_class(address: IpAddr) -> AddressClass {
    if METADATA_ADDRESSES.contains(&address.to_canonical()) {
        return AddressClass::Metadata;
    }
    match address {
        IpAddr::V4(v4) => class_v4(v4),
        IpAddr::V6(v6) => class_v6(v6),
    }
}

fn class_v4(address: Ipv4Addr) -> AddressClass {
    match address.octets() {
        [255, 255, 255, 255] => AddressClass::Broadcast,
        [0, ..] => AddressClass::Unspecified,
        [127, ..] => AddressClass::Loopback,
        [169, 254, ..] => AddressClass::LinkLocal,
        // The last but one is carrier NAT (RFC 6598); the last (RFC 2544) is what local proxies
        // hand out for names.
        [10, ..]
        | [172, 16..=31, ..]
        | [192, 168, ..]
        | [100, 64..=127, ..]
        | [198, 18..=19, ..] => AddressClass::Private,
        [224..=239, ..] => AddressClass::Multicast,
        [192, 0, 0 | 2, _] | [198, 51, 100, _] | [203, 0, 113, _] | [240..=255, ..] => {
            AddressClass::Reserved
        }
        _ => AddressClass::Global,
    }
}

fn class_v6(address: Ipv6Addr) -> AddressClass {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => AddressClass::Unspecified,
        [0, 0, 0, 0, 0, 0, 0, 1] => AddressClass::Loopback,
        // ::/96 compatible, ::ffff:/96 mapped, ::ffff:0:/96 translated, 64:ff9b::/96 NAT64.
        [0, 0, 0, 0, 0, 0, high, low]
        | [0, 0, 0, 0, 0, 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => {
            let [a, b] = high.to_be_bytes();
            let [c, d] = low.to_be_bytes();
            address_class(IpAddr::V4(Ipv4Addr::new(a, b, c, d)))
        }
        // Site local is out of use but routed inside sites; 64:ff9b:1::/48 is NAT64 inside one.
        [0xfc00..=0xfdff | 0xfec0..=0xfeff, ..] | [0x64, 0xff9b, 1, ..] => AddressClass::Private,
        [0xfe80..=0xfebf, ..] => AddressClass::LinkLocal,
        [0xff00..=0xffff, ..] => AddressClass::Multicast,
        [0x2001, 0xdb8, ..] | [0x100, 0, 0, 0, ..] => AddressClass::Reserved,
        _ => AddressClass::Global,
    }
}

/// How a tracker is asked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum TrackerScheme {
    /// HTTP in the clear (BEP 3).
    Http,
    /// HTTP over TLS.
    Https,
    /// UDP (BEP 15).
    Udp,
}

/// Why a URL or an address behind it is not opened.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum UrlRefusal {
    /// It is too long.
    #[error("URL of {got} bytes, at most {URL_BYTES_MAX} are accepted")]
    TooLong {
        /// Its length, bytes.
        got: usize,
    },
    /// It is no URL.
    #[error("not a URL: {0}")]
    Syntax(#[from] url::ParseError),
    /// The scheme is none of HTTP, HTTPS and UDP.
    #[error("trackers are asked over http, https or udp, not {0:?}")]
    Scheme(String),
    /// The host is an internationalised name, which can look like another one.
    #[error("internationalised host name {0:?}")]
    Idna(String),
    /// The address can be no tracker's.
    #[error("{address} is {class:?}: not a tracker's address")]
    Address {
        /// The address.
        address: IpAddr,
        /// Where it leads.
        class: AddressClass,
    },
    /// A tracker on this host or network may only be asked for what trackers serve.
    #[error("path {path:?} on the local address {address}: only /announce and /scrape are allowed")]
    LocalPath {
        /// The address.
        address: IpAddr,
        /// The path that was asked for.
        path: String,
    },
    /// A tracker elsewhere points us at our own network.
    #[error("redirect from {from} to the local address {to}")]
    RedirectToLocal {
        /// Where the redirect came from.
        from: IpAddr,
        /// Where it leads.
        to: IpAddr,
    },
    /// A redirect leaves TLS.
    #[error("redirect from https to http")]
    Downgrade,
    /// A redirect leaves HTTP.
    #[error("redirect to or from udp")]
    RedirectScheme,
    /// The chain of redirects is too long.
    #[error("more than {TRACKER_REDIRECTS_MAX} redirects")]
    TooManyRedirects,
}

/// A tracker's URL that may be resolved. Each address that comes of it is to be checked too.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TrackerUrl {
    scheme: TrackerScheme,
    /// Of UDP trackers too, as if they were HTTP: so one parser reads all hosts, and a host of
    /// digits is an address in any spelling.
    url: Url,
}

impl TrackerUrl {
    /// Reads a URL out of a torrent, a magnet link or a redirect.
    ///
    /// # Errors
    /// When it is no URL of a tracker.
    pub fn parse(text: &str) -> Result<Self, UrlRefusal> {
        check_length(text)?;
        let url = Url::parse(text)?;
        if url.scheme() != "udp" {
            return Self::of_http(url);
        }
        let rest = url.as_str().strip_prefix("udp").unwrap_or_default();
        let url = Url::parse(&format!("http{rest}"))?;
        Ok(Self {
            scheme: TrackerScheme::Udp,
            ..Self::of_http(url)?
        })
    }

    /// How the tracker is asked.
    #[must_use]
    pub const fn scheme(&self) -> TrackerScheme {
        self.scheme
    }

    /// The name to resolve, or an address as text (IPv6 in brackets).
    #[must_use]
    pub fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// The address, if the host is one and nothing is to be resolved.
    #[must_use]
    pub fn literal_address(&self) -> Option<IpAddr> {
        match self.url.host()? {
            Host::Ipv4(v4) => Some(v4.into()),
            Host::Ipv6(v6) => Some(v6.into()),
            Host::Domain(_) => None,
        }
    }

    /// The port: 80 where neither URL nor scheme gives another.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.url.port_or_known_default().unwrap_or(80)
    }

    /// The URL to open over HTTP or HTTPS.
    #[must_use]
    pub fn as_http(&self) -> Option<&str> {
        (self.scheme != TrackerScheme::Udp).then_some(self.url.as_str())
    }

    /// What a UDP tracker is told of its URL: path and query (BEP 41). Empty if the URL has
    /// neither, so that trackers without BEP 41 get the packets that they know.
    #[must_use]
    pub fn url_data(&self) -> String {
        match (self.url.path(), self.url.query()) {
            ("/", None) => String::new(),
            (path, None) => path.to_owned(),
            (path, Some(query)) => format!("{path}?{query}"),
        }
    }

    /// Judges an address that the host resolved to, before anything is sent there.
    ///
    /// Local trackers are allowed, but over HTTP only at the paths of trackers, so that a torrent
    /// cannot reach other services. A UDP tracker must answer BEP 15's connect before it is told
    /// anything, which no other service does.
    ///
    /// # Errors
    /// When the tracker may not be asked at this address.
    pub fn check_address(&self, address: IpAddr) -> Result<(), UrlRefusal> {
        let class = address_class(address);
        let path = self.url.path();
        match class {
            AddressClass::Global => Ok(()),
            _ if !class.is_local() => Err(UrlRefusal::Address { address, class }),
            _ if self.scheme == TrackerScheme::Udp => Ok(()),
            _ if matches!(path, "/announce" | "/scrape") => Ok(()),
            _ => Err(UrlRefusal::LocalPath {
                address,
                path: path.to_owned(),
            }),
        }
    }

    /// Judges an address of a redirect's target, given the address that redirected.
    ///
    /// # Errors
    /// As [`check_address`](Self::check_address); and when a global tracker redirects to a local
    /// address, which only those who are there themselves may.
    pub fn check_redirected_address(
        &self,
        from: IpAddr,
        address: IpAddr,
    ) -> Result<(), UrlRefusal> {
        if !address_class(from).is_local() && address_class(address).is_local() {
            return Err(UrlRefusal::RedirectToLocal { from, to: address });
        }
        self.check_address(address)
    }

    /// Where the `hops`-th redirect (from 1) leads. User name and password stay with the origin
    /// that they were given for.
    ///
    /// # Errors
    /// When the redirect may not be followed.
    pub fn redirected(&self, location: &str, hops: usize) -> Result<Self, UrlRefusal> {
        if hops > TRACKER_REDIRECTS_MAX {
            return Err(UrlRefusal::TooManyRedirects);
        }
        check_length(location)?;
        if self.scheme == TrackerScheme::Udp {
            return Err(UrlRefusal::RedirectScheme);
        }
        let joined = self.url.join(location)?;
        if joined.scheme() == "udp" {
            return Err(UrlRefusal::RedirectScheme);
        }
        let mut target = Self::of_http(joined)?;
        if (self.scheme, target.scheme) == (TrackerScheme::Https, TrackerScheme::Http) {
            return Err(UrlRefusal::Downgrade);
        }
        let (user, password) = if self.url.origin() == target.url.origin() {
            (self.url.username(), self.url.password())
        } else {
            ("", None)
        };
        // Fails only for URLs without a host, and HTTP has one.
        let kept = target
            .url
            .set_username(user)
            .and(target.url.set_password(password));
        debug_assert!(kept.is_ok(), "no host in {target:?}");
        Ok(target)
    }

    fn of_http(url: Url) -> Result<Self, UrlRefusal> {
        let scheme = match url.scheme() {
            "http" => TrackerScheme::Http,
            "https" => TrackerScheme::Https,
            other => return Err(UrlRefusal::Scheme(other.to_owned())),
        };
        let host = url.host_str().unwrap_or_default();
        // The parser has turned other scripts into this form.
        if host.split('.').any(|label| label.starts_with("xn--")) {
            return Err(UrlRefusal::Idna(host.to_owned()));
        }
        Ok(Self { scheme, url })
    }
}

fn check_length(url: &str) -> Result<(), UrlRefusal> {
    if url.len() > URL_BYTES_MAX {
        return Err(UrlRefusal::TooLong { got: url.len() });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
