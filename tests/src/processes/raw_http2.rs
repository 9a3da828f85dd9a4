//! HTTP/2 by hand, for clients that misbehave: exactly the frames that a test sends, and nothing is
//! read unless the test reads it.

use std::io;
use std::net::{IpAddr, SocketAddr};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const INITIAL_WINDOW_SIZE: u16 = 4;
const CANCEL: u32 = 8;

/// The longest piece of a body that every server takes.
pub const FRAME_BYTES_MAX: usize = 16 * 1024;

/// A connection that sends exactly the frames that a test makes.
#[derive(Debug)]
pub struct RawConnection {
    stream: TcpStream,
}

impl RawConnection {
    /// Connects from an address of this machine, and sends nothing.
    ///
    /// # Errors
    ///
    /// The system's.
    pub async fn connect(from: IpAddr, to: SocketAddr) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(SocketAddr::new(from, 0))?;
        let stream = socket.connect(to).await?;
        Ok(Self { stream })
    }

    /// Starts HTTP/2; the server may send `window` bytes of each reply before it is allowed to send
    /// more.
    ///
    /// # Errors
    ///
    /// The system's; so do all below.
    pub async fn send_preface(&mut self, window: u32) -> io::Result<()> {
        let mut settings = INITIAL_WINDOW_SIZE.to_be_bytes().to_vec();
        settings.extend(window.to_be_bytes());
        let mut preface = PREFACE.to_vec();
        preface.extend(frame(SETTINGS, 0, 0, &settings));
        self.stream.write_all(&preface).await
    }

    /// The head of a gRPC call to `path`, on the stream of this odd number.
    ///
    /// # Errors
    ///
    /// See [`Self::send_preface`].
    pub async fn call(&mut self, stream: u32, path: &str, token: Option<&str>) -> io::Result<()> {
        let mut fields = vec![
            (":method", "POST".to_owned()),
            (":scheme", "http".to_owned()),
            (":path", path.to_owned()),
            (":authority", "chat".to_owned()),
            ("content-type", "application/grpc".to_owned()),
            ("te", "trailers".to_owned()),
            ("grpc-timeout", "20S".to_owned()),
        ];
        if let Some(token) = token {
            fields.push(("authorization", format!("Bearer {token}")));
        }
        let mut block = Vec::new();
        for (name, value) in fields {
            // A literal without indexing, its name and value in plain.
            block.push(0);
            for text in [name, &value] {
                block.push(u8::try_from(text.len()).expect("our fields are short"));
                block.extend(text.as_bytes());
            }
        }
        let head = frame(HEADERS, END_HEADERS, stream, &block);
        self.stream.write_all(&head).await
    }

    /// A piece of a body, the last one if `ends`.
    ///
    /// # Errors
    ///
    /// See [`Self::send_preface`].
    pub async fn data(&mut self, stream: u32, bytes: &[u8], ends: bool) -> io::Result<()> {
        let flags = if ends { END_STREAM } else { 0 };
        let piece = frame(DATA, flags, stream, bytes);
        self.stream.write_all(&piece).await
    }

    /// Takes a call back.
    ///
    /// # Errors
    ///
    /// See [`Self::send_preface`].
    pub async fn reset(&mut self, stream: u32) -> io::Result<()> {
        let reset = frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes());
        self.stream.write_all(&reset).await
    }

    /// Waits until the server closes; what it sends before is read and ignored.
    pub async fn closed(&mut self) {
        let mut received = [0; 4096];
        while !matches!(self.stream.read(&mut received).await, Ok(0) | Err(_)) {}
    }
}

/// The prefix of a message in gRPC: not compressed, and its length.
pub fn message_head(length: usize) -> [u8; 5] {
    let [a, b, c, d] = u32::try_from(length)
        .expect("gRPC has no longer ones")
        .to_be_bytes();
    [0, a, b, c, d]
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a frame is short");
    let [_, a, b, c] = length.to_be_bytes();
    let mut frame = vec![a, b, c, kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}
