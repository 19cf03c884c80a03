//! Goal: no spelling of a local address passes for a global one, and no redirect reaches what the
//! torrent's own URL may not. Method: tables.

use super::*;

fn url(text: &str) -> TrackerUrl {
    TrackerUrl::parse(text).unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn addresses_have_their_class_in_every_disguise() {
    use AddressClass::*;
    for (address, class) in [
        ("1.1.1.1", Global),
        ("172.15.255.255", Global),
        ("172.32.0.0", Global),
        ("100.63.255.255", Global),
        ("100.128.0.0", Global),
        ("2606:4700::1111", Global),
        ("127.0.0.1", Loopback),
        ("127.255.255.255", Loopback),
        ("::1", Loopback),
        ("::127.0.0.1", Loopback),
        ("::ffff:127.0.0.1", Loopback),
        ("::ffff:0:127.0.0.1", Loopback),
        ("64:ff9b::127.0.0.1", Loopback),
        ("2002:7f00:1::", Loopback),
        ("10.0.0.1", Private),
        ("172.16.0.1", Private),
        ("172.31.255.255", Private),
        ("192.168.0.1", Private),
        ("100.64.0.1", Private),
        ("100.127.255.255", Private),
        ("198.18.0.1", Private),
        ("fd12::1", Private),
        ("fc00::1", Private),
        ("fec0::1", Private),
        ("64:ff9b:1::1", Private),
        ("::ffff:192.168.1.1", Private),
        ("::10.0.0.1", Private),
        ("169.254.1.1", LinkLocal),
        ("fe80::1", LinkLocal),
        ("febf::1", LinkLocal),
        ("169.254.169.254", Metadata),
        ("::ffff:169.254.169.254", Metadata),
        ("::169.254.169.254", Metadata),
        ("2002:a9fe:a9fe::1", Metadata),
        ("100.100.100.200", Metadata),
        ("192.0.0.192", Metadata),
        ("168.63.129.16", Metadata),
        ("fd00:ec2::254", Metadata),
        ("0.0.0.0", Unspecified),
        ("0.1.2.3", Unspecified),
        ("::", Unspecified),
        ("::ffff:0.0.0.0", Unspecified),
        ("224.0.0.1", Multicast),
        ("239.255.255.255", Multicast),
        ("ff02::1", Multicast),
        ("255.255.255.255", Broadcast),
        ("::ffff:255.255.255.255", Broadcast),
        ("240.0.0.1", Reserved),
        ("192.0.2.1", Reserved),
        ("198.51.100.1", Reserved),
        ("203.0.113.1", Reserved),
        ("2001:db8::1", Reserved),
        ("100::1", Reserved),
    ] {
        assert_eq!(address_class(ip(address)), class, "{address}");
    }
}

#[test]
fn urls_are_read_with_their_parts() {
    for (text, scheme, host, port, url_data) in [
        (
            "http://t.example/announce",
            TrackerScheme::Http,
            "t.example",
            80,
            "/announce",
        ),
        (
            "HTTPS://T.Example/a?b=c#d",
            TrackerScheme::Https,
            "t.example",
            443,
            "/a?b=c",
        ),
        (
            "http://t.example:6969",
            TrackerScheme::Http,
            "t.example",
            6969,
            "",
        ),
        (
            "udp://t.example:1337/announce",
            TrackerScheme::Udp,
            "t.example",
            1337,
            "/announce",
        ),
        (
            "UDP://t.example:80",
            TrackerScheme::Udp,
            "t.example",
            80,
            "",
        ),
        ("udp://t.example", TrackerScheme::Udp, "t.example", 80, ""),
        (
            "udp://[2001:db8::1]:1337",
            TrackerScheme::Udp,
            "[2001:db8::1]",
            1337,
            "",
        ),
    ] {
        let url = url(text);
        let got = (url.scheme(), url.host(), url.port(), url.url_data());
        assert_eq!(got, (scheme, host, port, url_data.to_owned()), "{text}");
        assert_eq!(
            url.as_http().is_some(),
            scheme != TrackerScheme::Udp,
            "{text}"
        );
    }
}

#[test]
fn spellings_of_an_address_are_the_address() {
    for text in [
        "http://127.0.0.1/announce",
        "http://127.1/announce",
        "http://2130706433/announce",
        "http://0x7f.1/announce",
        "http://0177.0.0.1/announce",
        "http://127.0.0.1./announce",
        "http://%31%32%37.0.0.1/announce",
        "udp://127.1:6969",
        "udp://0x7f000001:6969",
    ] {
        assert_eq!(url(text).literal_address(), Some(ip("127.0.0.1")), "{text}");
    }
    assert_eq!(url("http://localhost/announce").literal_address(), None);
}

#[test]
fn what_is_no_tracker_url_is_refused() {
    for text in [
        "file:///etc/passwd",
        "gopher://t.example/",
        "ftp://t.example/",
        "wss://t.example/",
    ] {
        assert!(
            matches!(TrackerUrl::parse(text), Err(UrlRefusal::Scheme(_))),
            "{text}"
        );
    }
    for text in [
        "",
        "announce",
        "http://",
        "udp://",
        "http://:80/",
        "http://t.example:99999/",
    ] {
        assert!(
            matches!(TrackerUrl::parse(text), Err(UrlRefusal::Syntax(_))),
            "{text}"
        );
    }
    for text in [
        "http://tr\u{e4}cker.example/announce",
        "udp://a.xn--p1ai:80",
        "udp://\u{436}.example:80",
    ] {
        assert!(TrackerUrl::parse(text).is_err(), "{text}");
    }
    let long = format!("http://t.example/{}", "a".repeat(URL_BYTES_MAX));
    assert_eq!(
        TrackerUrl::parse(&long),
        Err(UrlRefusal::TooLong { got: long.len() })
    );
}

#[test]
fn local_trackers_are_asked_only_as_trackers() {
    let check = |text: &str, address: &str| url(text).check_address(ip(address));
    for address in [
        "127.0.0.1",
        "192.168.1.1",
        "::1",
        "fe80::1",
        "fd12::1",
        "::ffff:10.0.0.1",
    ] {
        for text in [
            "http://t.example/announce",
            "http://t.example:6969/announce?passkey=1",
            "https://t.example/scrape",
            "udp://t.example:6969",
            "udp://t.example:6969/whatever",
        ] {
            assert_eq!(check(text, address), Ok(()), "{text} {address}");
        }
        for text in [
            "http://t.example/",
            "http://t.example/api/v1/reboot",
            "http://t.example/cgi-bin/reboot/announce",
            "http://t.example/announce/../admin",
            "http://t.example/announce/",
            "http://t.example/announce.php",
        ] {
            let refused = check(text, address);
            assert!(
                matches!(refused, Err(UrlRefusal::LocalPath { .. })),
                "{text} {address}"
            );
        }
    }
    assert_eq!(
        check("http://t.example/x/announce.php?a=b", "1.1.1.1"),
        Ok(())
    );
}

#[test]
fn addresses_of_no_tracker_are_refused_at_any_path() {
    for address in [
        "169.254.169.254",
        "::ffff:169.254.169.254",
        "fd00:ec2::254",
        "0.0.0.0",
        "::",
        "224.0.0.1",
        "255.255.255.255",
        "240.0.0.1",
    ] {
        for text in ["http://t.example/announce", "udp://t.example:80/announce"] {
            let refused = url(text).check_address(ip(address));
            assert!(
                matches!(refused, Err(UrlRefusal::Address { .. })),
                "{text} {address}"
            );
        }
    }
}

#[test]
fn redirects_do_not_lead_inside() {
    let target = url("http://t.example/announce");
    let (global, local) = (ip("1.1.1.1"), ip("192.168.1.1"));
    assert_eq!(
        target.check_redirected_address(global, ip("9.9.9.9")),
        Ok(())
    );
    assert_eq!(target.check_redirected_address(local, global), Ok(()));
    assert_eq!(
        target.check_redirected_address(local, ip("127.0.0.1")),
        Ok(())
    );
    for to in [local, ip("127.0.0.1"), ip("::ffff:10.0.0.1"), ip("::1")] {
        let refused = UrlRefusal::RedirectToLocal { from: global, to };
        assert_eq!(target.check_redirected_address(global, to), Err(refused));
    }
    let admin = url("http://t.example/admin");
    assert!(admin.check_redirected_address(local, local).is_err());
    assert!(
        target
            .check_redirected_address(global, ip("169.254.169.254"))
            .is_err()
    );
}

#[test]
fn redirects_keep_credentials_at_their_origin() {
    let from = url("https://user:secret@t.example/announce?k=1");
    for (location, expected) in [
        ("/other?k=1", "https://user:secret@t.example/other?k=1"),
        ("other", "https://user:secret@t.example/other"),
        ("https://t.example/x", "https://user:secret@t.example/x"),
        ("https://t.example:443/x", "https://user:secret@t.example/x"),
        (
            "https://evil:pw@t.example/x",
            "https://user:secret@t.example/x",
        ),
        ("https://t.example:8443/x", "https://t.example:8443/x"),
        ("https://u.example/x", "https://u.example/x"),
        ("//u.example/x", "https://u.example/x"),
        ("https://other:pw@u.example/x", "https://u.example/x"),
    ] {
        let target = from.redirected(location, 1).unwrap();
        assert_eq!(target.as_http(), Some(expected), "{location}");
    }
}

#[test]
fn redirects_stay_on_http_and_end() {
    let (http, https) = (url("http://t.example/a"), url("https://t.example/a"));
    assert!(
        http.redirected("https://t.example/a", TRACKER_REDIRECTS_MAX)
            .is_ok()
    );
    for (from, location, hops, refusal) in [
        (&https, "http://t.example/a", 1, UrlRefusal::Downgrade),
        (&http, "udp://t.example:80", 1, UrlRefusal::RedirectScheme),
        (
            &url("udp://t.example:80"),
            "/a",
            1,
            UrlRefusal::RedirectScheme,
        ),
        (
            &http,
            "file:///etc/passwd",
            1,
            UrlRefusal::Scheme("file".to_owned()),
        ),
        (
            &http,
            "/a",
            TRACKER_REDIRECTS_MAX + 1,
            UrlRefusal::TooManyRedirects,
        ),
        (
            &http,
            "//a.xn--p1ai/",
            1,
            UrlRefusal::Idna("a.xn--p1ai".to_owned()),
        ),
    ] {
        assert_eq!(from.redirected(location, hops), Err(refusal), "{location}");
    }
}
