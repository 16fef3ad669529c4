//! Requests that have one answer: checked against the rules, done, answered.

use gururmm_shared::{ErrorCode, Feature, Operation, OperationError, Reply, TunnelRules};

use serde::Serialize;

use super::{files, processes, registry, services};

/// Bytes of a list in a reply: with what is around it, less than a message may have.
const MOST_REPLY_BYTES: usize = 1024 * 1024;

/// Does what is asked, where the rules allow it; never fails but by its answer.
pub async fn perform(operation: Operation, rules: &TunnelRules) -> Reply {
    let done = match check(&operation, rules) {
        Ok(()) => carry_out(operation, rules).await,
        Err(error) => Err(error),
    };
    done.unwrap_or_else(|error| Reply::Failed { error })
}

/// As many of the items, from the first one on, as one message can carry; and whether that is all.
pub(super) fn fitting<T: Serialize>(items: impl Iterator<Item = T>) -> (Vec<T>, bool) {
    let mut left = MOST_REPLY_BYTES;
    let mut told = Vec::new();
    for item in items {
        let length = serde_json::to_string(&item).map_or(0, |text| text.len() + 1);
        // One is always told: a list that never gets on would be worse than a long message.
        if length > left && !told.is_empty() {
            return (told, false);
        }
        left = left.saturating_sub(length);
        told.push(item);
    }
    (told, true)
}

/// The server has checked this before: the agent does not rely on it.
fn check(operation: &Operation, rules: &TunnelRules) -> Result<(), OperationError> {
    let feature = operation.feature();
    let not_allowed = |what: &str| {
        let text = format!("the policy does not allow {what}");
        Err(OperationError::new(ErrorCode::NotAllowed, text))
    };
    if !rules.allows(feature) {
        return not_allowed(feature.name());
    }
    if feature == Feature::Files && operation.writes() && !rules.file_writes {
        return not_allowed("files to be changed");
    }
    Ok(())
}

async fn carry_out(operation: Operation, rules: &TunnelRules) -> Result<Reply, OperationError> {
    match operation.feature() {
        Feature::Files => files::perform(operation, rules).await,
        Feature::Services => services::perform(operation).await,
        Feature::Processes => processes::perform(operation).await,
        Feature::Registry => registry::perform(operation).await,
        Feature::Commands | Feature::Terminal | Feature::Tcp => Err(OperationError::new(
            ErrorCode::Unsupported,
            "this agent does not know the operation: update it",
        )),
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    fn code(reply: Reply) -> ErrorCode {
        match reply {
            Reply::Failed { error } => error.code,
            other => panic!("no error: {other:?}"),
        }
    }

    fn stat(path: &str) -> Operation {
        Operation::FileStat { path: path.into() }
    }

    #[tokio::test]
    async fn what_the_rules_do_not_allow_is_not_done() {
        let rules = TunnelRules {
            features: vec![Feature::Terminal],
            ..TunnelRules::default()
        };
        for operation in [
            stat("/"),
            Operation::ServiceList,
            Operation::ProcessList,
            Operation::RegistryList { key: "HKLM".into() },
        ] {
            assert_eq!(
                code(perform(operation, &rules).await),
                ErrorCode::NotAllowed
            );
        }
    }

    #[tokio::test]
    async fn without_writes_a_folder_is_read_and_not_changed() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("a").to_str().unwrap().to_owned();
        std::fs::create_dir(&inside).unwrap();
        let rules = TunnelRules {
            file_writes: false,
            ..TunnelRules::default()
        };
        assert!(matches!(
            perform(stat(&inside), &rules).await,
            Reply::File { .. }
        ));
        for operation in [
            Operation::FileDelete {
                path: inside.clone(),
                recursive: true,
            },
            Operation::FileMkdir {
                path: format!("{inside}/b"),
                parents: true,
            },
            Operation::FileRename {
                from: inside.clone(),
                to: format!("{inside}2"),
                overwrite: true,
            },
            Operation::UploadDrop {
                path: inside.clone(),
                upload: "one".into(),
            },
        ] {
            assert_eq!(
                code(perform(operation, &rules).await),
                ErrorCode::NotAllowed
            );
        }
        assert!(std::fs::read_dir(&inside).unwrap().next().is_none());
    }

    #[tokio::test]
    async fn there_is_no_registry_here() {
        let operation = Operation::RegistryExport {
            key: "HKLM\\SOFTWARE".into(),
        };
        let reply = perform(operation, &TunnelRules::default()).await;
        assert_eq!(code(reply), ErrorCode::Unsupported);
    }
}
