//! How the program ends.

use std::fmt;
use std::process::ExitCode;

/// The end of every verb's help.
pub(crate) const HELP: &str =
    "Exit codes: 0 done, 1 failed, 2 bad usage, 130 interrupted with the state saved.";

/// An end without an error to tell of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Exit {
    /// What was asked for is done.
    Done,
    /// It is not done, and the verb has said why: data that is not as it should be, for instance.
    Failed,
    /// A person interrupted it; the state is saved.
    Interrupted,
}

/// An end with an error that [`end`] tells of.
#[derive(Debug)]
pub(crate) enum Failure {
    /// What was asked for makes no sense, whatever the surroundings.
    Usage(String),
    /// It could not be done.
    Failed(String),
}

/// How a verb ends.
pub(crate) type Outcome = Result<Exit, Failure>;

impl Failure {
    /// Bad usage, with what is wrong and what to do instead.
    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self::Usage(message.to_string())
    }

    /// A failure, with what happened, to what, and what to do.
    pub(crate) fn failed(message: impl fmt::Display) -> Self {
        Self::Failed(message.to_string())
    }
}

/// Tells of an error and turns the outcome into an exit code.
pub(super) fn end(outcome: Outcome) -> ExitCode {
    let (code, message) = match outcome {
        Ok(Exit::Done) => (0, None),
        Ok(Exit::Failed) => (1, None),
        Ok(Exit::Interrupted) => (130, None),
        Err(Failure::Failed(message)) => (1, Some(message)),
        Err(Failure::Usage(message)) => (2, Some(message)),
    };
    if let Some(message) = message {
        eprintln!("dunlin: {message}");
    }
    ExitCode::from(code)
}
