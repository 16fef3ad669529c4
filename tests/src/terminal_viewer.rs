//! A viewer that speaks the data plane, frame by frame. It holds the server to it that no byte of a terminal is
//! missing and none comes twice.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use gururmm_shared::flow::INITIAL_WINDOW_BYTES;
use gururmm_shared::{
    ChannelId, Frame, ResetCode, SessionId, SessionSnapshot, Signal, SignalName, StreamId,
    StreamMessage, TakeSize, TerminalClosed, TerminalOpened, TerminalScreen, TerminalSize,
    TunnelData, TunnelPayload, ViewerMessage,
};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::api::{Answer, Api, text};
use crate::wait::SOON;

/// Bytes that are typed in one frame.
const PIECE_BYTES: usize = 32 * 1024;

/// A terminal as the answer to its opening tells it.
#[derive(Debug, Clone)]
pub struct OpenedTerminal {
    /// Its channel.
    pub channel: ChannelId,
    /// The number of its frames.
    pub stream: StreamId,
    /// Its id in the audit.
    pub command_id: String,
    /// What it runs.
    pub program: String,
}

/// A terminal as a viewer has seen it.
#[derive(Debug, Clone)]
pub struct Watched {
    /// How it was shown.
    pub opened: TerminalOpened,
    /// What it showed then, where it was told.
    pub screen: Option<TerminalScreen>,
    /// What came on this connection.
    pub bytes: Vec<u8>,
    /// The next byte that is to come.
    pub offset: u64,
    /// How far this viewer may write.
    pub input_limit: u64,
    /// How far it has written.
    pub typed: u64,
    /// Its size and who holds it.
    pub size: (TerminalSize, Option<u64>),
    /// Whether its last byte has come.
    pub eof: bool,
    /// How it ended.
    pub ended: Option<TerminalClosed>,
    /// How this viewer was cut off from it.
    pub reset: Option<(ResetCode, String)>,
    granted: u64,
    looked: usize,
}

/// Something that came.
#[derive(Debug, Clone)]
pub enum Seen {
    /// A message.
    Message(StreamMessage),
    /// A frame.
    Frame(Frame),
}

/// A viewer's WebSocket with terminals.
pub struct TerminalViewer {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// What the session was when it came.
    pub session: SessionSnapshot,
    /// The terminals it was shown.
    pub watched: BTreeMap<StreamId, Watched>,
    /// Whether it says how far its terminals have come.
    pub grants: bool,
}

/// Asks for a terminal.
pub async fn ask_for_terminal(api: &Api, session: SessionId, body: Value) -> Answer {
    let path = format!("/api/v1/tunnel/{session}/terminal");
    api.post(&path, body).await
}

/// Opens a terminal.
///
/// # Panics
/// When it is refused.
pub async fn open_terminal(api: &Api, session: SessionId, body: Value) -> OpenedTerminal {
    let answer = ask_for_terminal(api, session, body).await.expect(201);
    let channel = text(&answer, "channel_id").to_owned();
    let stream = answer["stream"].as_u64().expect("a number");
    OpenedTerminal {
        channel: channel.try_into().expect("a channel's name"),
        stream: StreamId(stream.try_into().expect("a stream's number")),
        command_id: text(&answer, "command_id").to_owned(),
        program: text(&answer, "program").to_owned(),
    }
}

/// The body that opens a terminal of 80 by 24 in which `sh` runs a line.
#[must_use]
pub fn line(line: &str) -> Value {
    json!({"shell": "sh", "arguments": ["-c", line], "cols": 80, "rows": 24})
}

/// Gets a ticket with these wishes.
pub async fn ask_for_ticket(api: &Api, session: SessionId, wish: Value) -> Answer {
    api.post(&format!("/api/v1/tunnel/{session}/ticket"), wish)
        .await
}

impl TerminalViewer {
    /// Opens the stream.
    pub async fn open(api: &Api, session: SessionId) -> Self {
        Self::open_with(api, session, "").await
    }

    /// Opens the stream with more in its query, as `&from=0`.
    pub async fn open_with(api: &Api, session: SessionId, more: &str) -> Self {
        let ticket = ask_for_ticket(api, session, json!({})).await.expect(201);
        Self::connect(api, session, text(&ticket, "ticket"), more).await
    }

    /// Opens the stream with a ticket.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn connect(api: &Api, session: SessionId, ticket: &str, more: &str) -> Self {
        let base = api.base().replacen("http", "ws", 1);
        let path = format!("/api/v1/tunnel/{session}/stream");
        let url = format!("{base}{path}?ticket={ticket}&protocol=2{more}");
        let mut socket = match tokio_tungstenite::connect_async(url).await {
            Ok((socket, _)) => socket,
            Err(Error::Http(refusal)) => panic!("the stream was refused with {}", refusal.status()),
            Err(error) => panic!("no answer to the upgrade: {error}"),
        };
        let first = tokio::time::timeout(SOON, socket.next())
            .await
            .expect("in time");
        let session = match first {
            Some(Ok(Message::Text(text))) => match StreamMessage::decode(&text) {
                Ok(StreamMessage::Session(snapshot)) => snapshot,
                other => panic!("not the session first, but {other:?}"),
            },
            other => panic!("not the session first, but {other:?}"),
        };
        Self {
            socket,
            session,
            watched: BTreeMap::new(),
            grants: true,
        }
    }

    /// Opens a terminal in which `sh` runs a line, and waits until it is shown.
    pub async fn run(&mut self, api: &Api, command: &str) -> OpenedTerminal {
        let opened = open_terminal(api, self.session.session_id, line(command)).await;
        self.shown(&opened).await;
        opened
    }

    /// Its number within the session.
    ///
    /// # Panics
    /// When the session did not tell it.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.session.viewer.expect("a viewer of terminals has one")
    }

    /// A terminal as it is known now.
    ///
    /// # Panics
    /// When it was not shown.
    #[must_use]
    pub fn of(&self, terminal: &OpenedTerminal) -> &Watched {
        &self.watched[&terminal.stream]
    }

    /// Waits until a terminal is shown.
    pub async fn shown(&mut self, terminal: &OpenedTerminal) {
        let stream = terminal.stream;
        self.until("the terminal is shown", |viewer| {
            viewer.watched.contains_key(&stream)
        })
        .await;
    }

    /// Takes what comes next; `Err` with the close code when the stream has ended.
    ///
    /// # Errors
    /// The close code.
    ///
    /// # Panics
    /// When nothing comes for long.
    pub async fn next(&mut self) -> Result<Seen, Option<u16>> {
        self.next_within(SOON)
            .await
            .expect("the stream says something in time")
    }

    /// Takes what comes next if it comes in time.
    pub async fn next_within(&mut self, limit: Duration) -> Option<Result<Seen, Option<u16>>> {
        let item = tokio::time::timeout(limit, async {
            loop {
                match self.socket.next().await {
                    Some(Ok(Message::Text(text))) => {
                        let message = StreamMessage::decode(&text);
                        let message = message.unwrap_or_else(|error| panic!("{error}: {text}"));
                        return Ok(Seen::Message(message));
                    }
                    Some(Ok(Message::Binary(bytes))) => {
                        return Ok(Seen::Frame(Frame::decode(bytes).expect("a frame")));
                    }
                    Some(Ok(Message::Close(frame))) => {
                        return Err(frame.map(|frame| u16::from(frame.code)));
                    }
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return Err(None),
                }
            }
        })
        .await
        .ok()?;
        match &item {
            Ok(Seen::Message(message)) => self.note_message(message),
            Ok(Seen::Frame(frame)) => self.note_frame(frame).await,
            Err(_) => {}
        }
        Some(item)
    }

    /// Takes what comes until `done`.
    ///
    /// # Panics
    /// When the stream ends before, or nothing comes for long.
    pub async fn until(&mut self, what: &str, mut done: impl FnMut(&Self) -> bool) {
        let begun = Instant::now();
        while !done(self) {
            match self.next_within(SOON).await {
                Some(Ok(_)) => {}
                Some(Err(code)) => panic!("waiting for {what}, the stream ended with {code:?}"),
                None => panic!("after {:?} nothing more came: {what}", begun.elapsed()),
            }
        }
    }

    /// Takes what comes until `pick` takes a message.
    ///
    /// # Panics
    /// When the stream ends before.
    pub async fn expect<T>(
        &mut self,
        what: &str,
        mut pick: impl FnMut(&StreamMessage) -> Option<T>,
    ) -> T {
        loop {
            match self.next().await {
                Ok(Seen::Message(message)) => {
                    if let Some(found) = pick(&message) {
                        return found;
                    }
                }
                Ok(Seen::Frame(_)) => {}
                Err(code) => panic!("waiting for {what}, the stream ended with {code:?}"),
            }
        }
    }

    /// Waits until a terminal has written this; answers what it wrote since the last time up to the end of it.
    pub async fn reads(&mut self, terminal: &OpenedTerminal, wanted: &str) -> String {
        self.shown(terminal).await;
        let stream = terminal.stream;
        let begun = self.watched[&stream].looked;
        let mut from = begun;
        let mut end = None;
        let what = format!("{wanted:?} is written");
        let needle = wanted.as_bytes();
        self.until(&what, |viewer| {
            let bytes = &viewer.watched[&stream].bytes;
            let found = bytes[from..]
                .windows(needle.len())
                .position(|part| part == needle);
            end = found.map(|at| from + at + needle.len());
            from = from.max((bytes.len() + 1).saturating_sub(needle.len()));
            if end.is_none()
                && let Some(ended) = &viewer.watched[&stream].ended
            {
                let text = String::from_utf8_lossy(&bytes[begun..]);
                panic!("waiting for {wanted:?}, it ended with {ended:?} after {text:?}");
            }
            end.is_some()
        })
        .await;
        let end = end.expect("it was found");
        let watched = self.watched.get_mut(&stream).expect("it was shown");
        watched.looked = end;
        String::from_utf8_lossy(&watched.bytes[begun..end]).into_owned()
    }

    /// Waits until so many bytes of a terminal have come on this connection.
    pub async fn has(&mut self, terminal: &OpenedTerminal, bytes: usize) {
        let stream = terminal.stream;
        let what = format!("{bytes} bytes have come");
        self.until(&what, |viewer| viewer.watched[&stream].bytes.len() >= bytes)
            .await;
    }

    /// Waits for the end of a terminal.
    pub async fn ended(&mut self, terminal: &OpenedTerminal) -> TerminalClosed {
        let stream = terminal.stream;
        self.until("the terminal ends", |viewer| {
            viewer.watched[&stream].ended.is_some()
        })
        .await;
        let watched = &self.watched[&stream];
        watched.ended.clone().expect("it has just been there")
    }

    /// Waits until this viewer is cut off from a stream; answers the code.
    pub async fn reset(&mut self, stream: StreamId) -> ResetCode {
        loop {
            match self.next().await {
                Ok(Seen::Frame(Frame::Reset {
                    stream: of, code, ..
                })) if of == stream => return code,
                Ok(_) => {}
                Err(code) => panic!("waiting for a reset, the stream ended with {code:?}"),
            }
        }
    }

    /// Takes what comes to the end of the stream; answers the close code.
    pub async fn close_code(&mut self) -> Option<u16> {
        loop {
            if let Err(code) = self.next().await {
                return code;
            }
        }
    }

    /// Types, within the window.
    pub async fn types(&mut self, terminal: &OpenedTerminal, bytes: &[u8]) {
        let stream = terminal.stream;
        let mut rest = bytes;
        while !rest.is_empty() {
            self.until("there is room to type", |viewer| {
                let watched = &viewer.watched[&stream];
                watched.input_limit > watched.typed
            })
            .await;
            let watched = self.watched.get_mut(&stream).expect("it was shown");
            let room = watched.input_limit - watched.typed;
            let room = usize::try_from(room).expect("a window").min(PIECE_BYTES);
            let (piece, later) = rest.split_at(room.min(rest.len()));
            let offset = watched.typed;
            watched.typed += piece.len() as u64;
            self.send_frame(&data(stream, offset, piece)).await;
            rest = later;
        }
    }

    /// Sends a frame.
    pub async fn send_frame(&mut self, frame: &Frame) {
        let sent = self.socket.send(Message::Binary(frame.encode())).await;
        sent.expect("connected");
    }

    /// Sends bytes as a binary message.
    pub async fn send_binary(&mut self, bytes: Bytes) {
        let sent = self.socket.send(Message::Binary(bytes)).await;
        sent.expect("connected");
    }

    /// Sends bytes as a binary message; false where the server has closed.
    pub async fn try_send_binary(&mut self, bytes: Bytes) -> bool {
        self.socket.send(Message::Binary(bytes)).await.is_ok()
    }

    /// Says something.
    pub async fn say(&mut self, message: &ViewerMessage) {
        let sent = self.socket.send(Message::text(message.encode())).await;
        sent.expect("connected");
    }

    /// Says something about a terminal.
    pub async fn say_of(&mut self, terminal: &OpenedTerminal, data: TunnelPayload) {
        let channel_id = terminal.channel.clone();
        self.say(&ViewerMessage::TunnelData(TunnelData { channel_id, data }))
            .await;
    }

    /// Sends a signal.
    pub async fn signals(&mut self, terminal: &OpenedTerminal, signal: SignalName) {
        let signal = Signal { signal };
        self.say_of(terminal, TunnelPayload::Signal(signal)).await;
    }

    /// Wishes for a size.
    pub async fn resizes(&mut self, terminal: &OpenedTerminal, cols: u16, rows: u16) {
        let size = TerminalSize { cols, rows };
        self.say_of(terminal, TunnelPayload::Resize(size)).await;
    }

    /// Takes a terminal's size over.
    pub async fn takes_size(&mut self, terminal: &OpenedTerminal, cols: u16, rows: u16) {
        self.say(&ViewerMessage::TakeSize(TakeSize {
            channel_id: terminal.channel.clone(),
            size: TerminalSize { cols, rows },
        }))
        .await;
    }

    /// Asks for an answer and takes what comes before it: all that was sent before has been read.
    pub async fn caught_up(&mut self) {
        self.say(&ViewerMessage::Ping).await;
        self.expect("pong", |message| {
            matches!(message, StreamMessage::Pong).then_some(())
        })
        .await;
    }

    fn note_message(&mut self, message: &StreamMessage) {
        match message {
            StreamMessage::TerminalOpened(opened) => {
                let watched = Watched::new(opened.clone());
                self.watched.insert(opened.stream, watched);
            }
            StreamMessage::TerminalScreen(screen) => {
                let watched = self.watched.get_mut(&screen.stream);
                let watched = watched.expect("it was shown before its screen");
                assert_eq!(watched.offset, screen.offset, "{screen:?}");
                watched.screen = Some(screen.clone());
            }
            StreamMessage::TerminalResized(resized) => {
                if let Some(watched) = self.by_channel(&resized.channel_id) {
                    watched.size = (resized.size, resized.holder);
                }
            }
            StreamMessage::TerminalClosed(closed) => {
                let watched = self.by_channel(&closed.channel_id);
                let watched = watched.expect("it was shown before its end");
                assert!(watched.ended.is_none(), "it ends twice: {closed:?}");
                watched.ended = Some(closed.clone());
            }
            _ => {}
        }
    }

    fn by_channel(&mut self, channel: &ChannelId) -> Option<&mut Watched> {
        let mut all = self.watched.values_mut();
        all.find(|watched| watched.opened.channel_id == *channel)
    }

    async fn note_frame(&mut self, frame: &Frame) {
        let watched = self.watched.get_mut(&frame.stream());
        let Some(watched) = watched else {
            let is_reset = matches!(frame, Frame::Reset { .. });
            assert!(is_reset, "of a terminal that was not shown: {frame:?}");
            return;
        };
        match frame {
            Frame::Data {
                stream,
                offset,
                bytes,
            } => {
                assert_eq!(*offset, watched.offset, "bytes are missing or come twice");
                assert!(!watched.eof, "bytes after the last one");
                watched.offset += bytes.len() as u64;
                watched.bytes.extend_from_slice(bytes);
                assert!(watched.offset <= watched.granted, "more than was granted");
                let limit = watched.offset + INITIAL_WINDOW_BYTES;
                if self.grants && limit - watched.granted >= INITIAL_WINDOW_BYTES / 2 {
                    watched.granted = limit;
                    let stream = *stream;
                    let window = Frame::Window { stream, limit };
                    // One that is gone is noticed by the next read.
                    let _ = self.socket.send(Message::Binary(window.encode())).await;
                }
            }
            Frame::Window { limit, .. } => watched.input_limit = watched.input_limit.max(*limit),
            Frame::Eof { offset, .. } => {
                assert_eq!(*offset, watched.offset, "the end is not behind the bytes");
                watched.eof = true;
            }
            Frame::Reset { code, reason, .. } => watched.reset = Some((*code, reason.clone())),
        }
    }
}

impl Watched {
    fn new(opened: TerminalOpened) -> Self {
        Self {
            screen: None,
            bytes: Vec::new(),
            offset: opened.offset,
            input_limit: 0,
            typed: opened.input_received,
            size: (opened.size, opened.holder),
            eof: false,
            ended: None,
            reset: None,
            granted: opened.offset + INITIAL_WINDOW_BYTES,
            looked: 0,
            opened,
        }
    }

    /// What came on this connection, as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// The bytes of its screen.
    ///
    /// # Panics
    /// When none came.
    #[must_use]
    pub fn drawing(&self) -> Vec<u8> {
        use base64::Engine as _;
        let screen = self.screen.as_ref().expect("its screen came");
        let decoded = base64::engine::general_purpose::STANDARD.decode(&screen.screen);
        decoded.expect("base64")
    }

    /// What a terminal shows that draws its screen and then the bytes that came.
    #[must_use]
    pub fn shows(&self) -> String {
        self.terminal().screen().contents()
    }

    /// A terminal that has drawn its screen and then the bytes that came.
    #[must_use]
    pub fn terminal(&self) -> vt100::Parser {
        let size = self.screen.as_ref().map_or(self.opened.size, |it| it.size);
        let mut terminal = vt100::Parser::new(size.rows, size.cols, 0);
        if self.screen.is_some() {
            terminal.process(&self.drawing());
        }
        terminal.process(&self.bytes);
        terminal
    }
}

/// A frame of bytes.
#[must_use]
pub fn data(stream: StreamId, offset: u64, bytes: &[u8]) -> Frame {
    Frame::Data {
        stream,
        offset,
        bytes: Bytes::copy_from_slice(bytes),
    }
}
