//! Who asks the agent to end: the console (Ctrl-C, Ctrl-Break, its closing, the machine's shut-down), or the
//! service manager.

use std::io;

use tokio::signal::windows::{
    CtrlBreak, CtrlC, CtrlClose, CtrlShutdown, ctrl_break, ctrl_c, ctrl_close, ctrl_shutdown,
};
use tokio::sync::watch;

/// The ways in which the agent is asked to end.
#[derive(Debug)]
pub struct Stops(Asker);

#[derive(Debug)]
enum Asker {
    Console(Box<(CtrlC, CtrlBreak, CtrlClose, CtrlShutdown)>),
    ServiceManager(watch::Receiver<bool>),
}

impl Stops {
    /// Begins to listen to the console; inside of a runtime.
    ///
    /// # Errors
    /// What the operating system said.
    pub fn listen() -> io::Result<Self> {
        let console = (ctrl_c()?, ctrl_break()?, ctrl_close()?, ctrl_shutdown()?);
        Ok(Self(Asker::Console(Box::new(console))))
    }

    /// Listens to the service manager, whose wish makes this true.
    #[cfg_attr(
        not(feature = "service"),
        allow(dead_code, reason = "only a service is asked so")
    )]
    pub(super) fn of_service_manager(asked: watch::Receiver<bool>) -> Self {
        Self(Asker::ServiceManager(asked))
    }

    /// Waits until the agent is asked to end.
    pub async fn asked(&mut self) {
        match &mut self.0 {
            Asker::Console(console) => {
                let (interrupt, quit, close, shutdown) = &mut **console;
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = quit.recv() => {}
                    _ = close.recv() => {}
                    _ = shutdown.recv() => {}
                }
            }
            // An error means that whoever could ask is gone, which is an end too.
            Asker::ServiceManager(asked) => {
                let _ = asked.wait_for(|asked| *asked).await;
            }
        }
    }
}
