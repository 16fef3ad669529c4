//! Servers at the other end of notifications: one for webhooks, one for mail.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// A request that came.
#[derive(Debug, Clone, Default)]
pub struct Call {
    /// Its first line.
    pub line: String,
    /// Its headers, with names in lower case.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: String,
}

impl Call {
    /// A header's value, empty where there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value)
    }
}

/// A web server that keeps what is posted to it.
pub struct WebhookReceiver {
    address: SocketAddr,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl WebhookReceiver {
    /// Starts one that gives these answers in turn, the last of them for ever; an answer is a status
    /// line's end and headers, as `302 Found\r\nlocation: /`.
    pub async fn start(answers: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let calls: Arc<Mutex<Vec<Call>>> = Arc::default();
        let kept = calls.clone();
        let answers: Vec<String> = answers.iter().map(|answer| (*answer).to_owned()).collect();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (kept, answers) = (kept.clone(), answers.clone());
                tokio::spawn(async move {
                    let mut stream = BufReader::new(stream);
                    let Some(call) = read_call(&mut stream).await else {
                        return;
                    };
                    let number = {
                        let mut kept = kept.lock().unwrap();
                        kept.push(call);
                        kept.len() - 1
                    };
                    let answer = answers.get(number).or(answers.last()).unwrap();
                    let text = format!(
                        "HTTP/1.1 {answer}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                    );
                    // A caller that is gone needs no answer.
                    let _ = stream.write_all(text.as_bytes()).await;
                });
            }
        });
        Self { address, calls }
    }

    /// Where it listens.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// What came so far.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }
}

async fn read_call(stream: &mut BufReader<TcpStream>) -> Option<Call> {
    let mut call = Call::default();
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        stream
            .read_line(&mut line)
            .await
            .ok()
            .filter(|read| *read > 0)?;
        if line.trim().is_empty() {
            break;
        }
        lines.push(line.trim().to_owned());
    }
    let mut lines = lines.into_iter();
    call.line = lines.next()?;
    call.headers = lines
        .filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_lowercase(), value.trim().to_owned()))
        })
        .collect();
    let length: usize = call.header("content-length").parse().unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    call.body = String::from_utf8(body).ok()?;
    Some(call)
}

/// A mail server that takes everything.
pub struct MailReceiver {
    /// Its port.
    pub port: u16,
    mails: Arc<Mutex<Vec<String>>>,
}

impl MailReceiver {
    /// Starts one.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mails: Arc<Mutex<Vec<String>>> = Arc::default();
        let kept = mails.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let kept = kept.clone();
                tokio::spawn(async move {
                    // One that hangs up in the middle sends nothing.
                    if let Some(mail) = converse(stream).await {
                        kept.lock().unwrap().push(mail);
                    }
                });
            }
        });
        Self { port, mails }
    }

    /// What came so far, each with its envelope.
    #[must_use]
    pub fn mails(&self) -> Vec<String> {
        self.mails.lock().unwrap().clone()
    }
}

async fn converse(stream: TcpStream) -> Option<String> {
    let mut stream = BufReader::new(stream);
    let mut mail = String::new();
    stream.write_all(b"220 ready\r\n").await.ok()?;
    loop {
        let mut line = String::new();
        stream
            .read_line(&mut line)
            .await
            .ok()
            .filter(|read| *read > 0)?;
        mail.push_str(&line);
        let answer: &[u8] = if line.starts_with("DATA") {
            b"354 go on\r\n"
        } else {
            b"250 ok\r\n"
        };
        stream.write_all(answer).await.ok()?;
        if line.starts_with("DATA") {
            break;
        }
    }
    loop {
        let mut line = String::new();
        stream
            .read_line(&mut line)
            .await
            .ok()
            .filter(|read| *read > 0)?;
        if line == ".\r\n" {
            break;
        }
        mail.push_str(&line);
    }
    stream.write_all(b"250 taken\r\n").await.ok()?;
    Some(mail)
}
