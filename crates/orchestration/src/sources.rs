//! Templates and files that the service fetches itself.
//!
//! Only http and https, only public addresses (checked after name resolution and again for each redirect, with the
//! connection pinned to the checked address), bounded in size and time. Everything fetched is stored with the stack, so
//! an operation never depends on the network again.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use futures_util::StreamExt;
use reqwest::{Url, redirect};
use sahab_contract::{Error, Result};
use serde_json::Value;

use crate::{
    core::Settings,
    environment::{Environment, TypeTarget},
    resources::{Types, provider},
    template::{Files, Template, error},
};

const TIME: Duration = Duration::from_secs(60);
const MAX_REDIRECTS: usize = 5;
/// Files fetched for one request.
const MAX_FETCHES: usize = 100;

fn refuse(reason: impl std::fmt::Display) -> Error {
    error::bad_request(format!("Could not retrieve template: {reason}"))
}

/// Fetches a text.
pub async fn fetch(settings: &Settings, location: &str) -> Result<String> {
    let mut url = Url::parse(location).map_err(|_| refuse("Invalid URL scheme "))?;
    for _ in 0..=MAX_REDIRECTS {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(refuse(format!("Invalid URL scheme {}", url.scheme())));
        }
        let address = resolve(settings, &url).await?;
        match get(settings, &url, address).await? {
            Answer::Text(text) => return Ok(text),
            Answer::Redirect(next) => url = next,
        }
    }
    Err(refuse("Failed to retrieve template from URL: too many redirects"))
}

enum Answer {
    Text(String),
    Redirect(Url),
}

async fn resolve(settings: &Settings, url: &Url) -> Result<SocketAddr> {
    let failed = || refuse(format!("Failed to retrieve template from {url}: no such host"));
    let host = url.host_str().ok_or_else(failed)?.trim_matches(['[', ']']).to_owned();
    let port = url.port_or_known_default().unwrap_or(80);
    let addresses: Vec<SocketAddr> = tokio::net::lookup_host((host, port)).await.map_err(|_| failed())?.collect();
    // One bad address among good ones is enough to refuse: it could be the one that is used.
    match addresses.first() {
        Some(first) if settings.allow_private_urls || addresses.iter().all(|address| is_public(address.ip())) => {
            Ok(*first)
        }
        Some(_) => Err(refuse(format!("Failed to retrieve template from {url}: the address is not a public one"))),
        None => Err(failed()),
    }
}

async fn get(settings: &Settings, url: &Url, address: SocketAddr) -> Result<Answer> {
    let failed = |reason: String| refuse(format!("Failed to retrieve template from {url}: {reason}"));
    // The first one counts; whoever came before chose the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder()
        .redirect(redirect::Policy::none())
        .no_proxy()
        .resolve(url.host_str().unwrap_or_default(), address)
        .timeout(TIME)
        .build()
        .map_err(|error| failed(error.to_string()))?;
    let response = client.get(url.clone()).send().await.map_err(|error| failed(error.without_url().to_string()))?;
    if response.status().is_redirection() {
        let location = response.headers().get(http::header::LOCATION).and_then(|value| value.to_str().ok());
        let next = location.and_then(|location| url.join(location).ok());
        return next.map(Answer::Redirect).ok_or_else(|| failed("a redirect without target".into()));
    }
    if !response.status().is_success() {
        return Err(failed(response.status().to_string()));
    }
    let limit = settings.max_template_size;
    let mut bytes = Vec::new();
    let mut stream = response.bytes_stream();
    while let Some(part) = stream.next().await {
        bytes.extend_from_slice(&part.map_err(|error| failed(error.without_url().to_string()))?);
        if bytes.len() > limit {
            return Err(refuse(format!("Template exceeds maximum allowed size ({limit} bytes)")));
        }
    }
    String::from_utf8(bytes).map(Answer::Text).map_err(|_| failed("not UTF-8 text".into()))
}

/// Not loopback, private, link-local, shared, multicast or otherwise special.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => match v6.to_ipv4_mapped().or_else(|| embedded_v4(v6)) {
            Some(v4) => is_public_v4(v4),
            None => (v6.segments()[0] & 0xe000) == 0x2000 && v6.segments()[0] != 0x2001,
        },
    }
}

/// 6to4 and NAT64 carry an IPv4 address that is the real destination.
fn embedded_v4(v6: std::net::Ipv6Addr) -> Option<Ipv4Addr> {
    let s = v6.segments();
    let from = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    match s {
        [0x2002, high, low, ..] => Some(from(high, low)),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(from(high, low)),
        _ => None,
    }
}

fn is_public_v4(v4: Ipv4Addr) -> bool {
    let [a, b, c, _] = v4.octets();
    !(v4.is_private()
        || v4.is_loopback()
        || v4.is_link_local()
        || v4.is_broadcast()
        || v4.is_documentation()
        || v4.is_multicast()
        || v4.is_unspecified()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (18..20).contains(&b)))
}

/// Fetches every nested template and file that is named by an http(s) URL and was not sent along, recursively.
pub async fn collect(
    settings: &Settings,
    types: &Types,
    template: &Template,
    environment: &Environment,
    files: &mut Files,
) -> Result<()> {
    let mut seen = BTreeSet::new();
    let mut open = wanted(types, template, environment, files);
    while let Some(location) = open.pop() {
        if !seen.insert(location.clone()) {
            continue;
        }
        if provider::find_file(files, &location).is_none() {
            if !location.starts_with("http://") && !location.starts_with("https://") {
                continue;
            }
            if seen.len() > MAX_FETCHES {
                return Err(error::limit(format!("more than {MAX_FETCHES} files would have to be fetched")));
            }
            let text = fetch(settings, &location).await?;
            files.insert(location.clone(), text);
        }
        // What is no template (a script for `get_file`) names nothing further.
        if is_template_name(&location)
            && let Some(text) = provider::find_file(files, &location)
            && let Ok(inner) = Template::parse(text)
        {
            open.extend(wanted(types, &inner, environment, files));
        }
    }
    Ok(())
}

fn is_template_name(name: &str) -> bool {
    name.ends_with(".yaml") || name.ends_with(".template")
}

fn wanted(types: &Types, template: &Template, environment: &Environment, files: &Files) -> Vec<String> {
    let mut out: Vec<String> = template.file_names().into_iter().filter(|name| !files.contains_key(name)).collect();
    for (name, definition) in template.resources() {
        let target = environment.registry.resolve(name, &definition.type_name, &|name| types.is_known(name));
        if let Ok(TypeTarget::Template { location, .. }) = target {
            out.push(location);
        }
        let inner = template
            .source()
            .get("resources")
            .and_then(|section| section.get(name)?.get("properties")?.get("resource_def")?.get("type"));
        if let Some(type_name) = inner.and_then(Value::as_str)
            && let Ok(TypeTarget::Template { location, .. }) =
                environment.registry.resolve(name, type_name, &|name| types.is_known(name))
        {
            out.push(location);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses() {
        for bad in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "224.0.0.1",
            "::1",
            "fe80::1",
            "fd00::1",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
        ] {
            assert!(!is_public(bad.parse().unwrap()), "{bad}");
        }
        assert!(is_public("93.184.216.34".parse().unwrap()));
        assert!(is_public("2606:4700::1".parse().unwrap()));
    }

    /// A server on the loopback, which the settings allow here, that sends its visitors around.
    async fn server() -> String {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let root = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let mut head = vec![0; 4096];
                let size = socket.read(&mut head).await.unwrap();
                let path = String::from_utf8_lossy(&head[..size]).split(' ').nth(1).unwrap().to_owned();
                let to = |place: &str| format!("HTTP/1.1 302 Found\r\nlocation: {place}\r\ncontent-length: 0\r\n\r\n");
                let answer = match path.as_str() {
                    "/there" => to("/good"),
                    "/file" => to("file:///etc/passwd"),
                    "/round" => to("/round"),
                    "/nowhere" => "HTTP/1.1 302 Found\r\ncontent-length: 0\r\n\r\n".to_owned(),
                    "/big" => format!("HTTP/1.1 200 OK\r\ncontent-length: 2000000\r\n\r\n{}", "x".repeat(2_000_000)),
                    _ => "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ngood".to_owned(),
                };
                let _ = socket.write_all(answer.as_bytes()).await;
            }
        });
        root
    }

    #[tokio::test]
    async fn redirects_are_followed_a_little_and_never_to_files() {
        let root = server().await;
        let settings = Settings { allow_private_urls: true, ..Settings::default() };
        for path in ["good", "there"] {
            assert_eq!(fetch(&settings, &format!("{root}/{path}")).await.unwrap(), "good");
        }
        for (path, reason) in [
            ("file", "Invalid URL scheme file"),
            ("round", "too many redirects"),
            ("nowhere", "a redirect without target"),
            ("big", "exceeds maximum allowed size"),
        ] {
            let error = fetch(&settings, &format!("{root}/{path}")).await.unwrap_err();
            assert!(error.message().contains(reason), "{path}: {}", error.message());
        }
    }

    #[tokio::test]
    async fn files_and_loopback_are_refused() {
        let settings = Settings::default();
        let message = |error: Error| error.message().to_owned();
        assert_eq!(
            message(fetch(&settings, "file:///etc/passwd").await.unwrap_err()),
            "Could not retrieve template: Invalid URL scheme file"
        );
        for url in ["http://127.0.0.1/x", "http://localhost:8004/", "http://[::1]/", "http://169.254.169.254/latest"] {
            assert!(message(fetch(&settings, url).await.unwrap_err()).contains("not a public"), "{url}");
        }
    }
}
