//! Streams and requests as the audit names them: the action, a sentence for it, the word for its end.

use gururmm_shared::{
    ChannelKind, ErrorCode, Feature, Operation, OperationError, RegistryData, ServiceAction,
    StartType,
};

/// The audit's word for what a feature does.
#[must_use]
pub fn action(feature: Feature) -> &'static str {
    match feature {
        Feature::Commands => "command",
        Feature::Terminal => "terminal",
        Feature::Files => "file",
        Feature::Services => "service",
        Feature::Processes => "process",
        Feature::Registry => "registry",
        Feature::Tcp => "tcp",
    }
}

/// The word for how something ended: `completed`, or that of its error.
#[must_use]
pub fn outcome(error: Option<&OperationError>) -> &'static str {
    let Some(error) = error else {
        return "completed";
    };
    match error.code {
        ErrorCode::NotFound => "not_found",
        ErrorCode::AlreadyExists => "already_exists",
        ErrorCode::PermissionDenied => "permission_denied",
        ErrorCode::NotAllowed => "not_allowed",
        ErrorCode::BadName => "bad_name",
        ErrorCode::WrongKind => "wrong_kind",
        ErrorCode::NotEmpty => "not_empty",
        ErrorCode::Changed => "changed",
        ErrorCode::BadChecksum => "bad_checksum",
        ErrorCode::BadArchive => "bad_archive",
        ErrorCode::BadOffset => "bad_offset",
        ErrorCode::DiskFull => "disk_full",
        ErrorCode::TooLarge => "too_large",
        ErrorCode::TimedOut => "timed_out",
        ErrorCode::Unreachable => "unreachable",
        ErrorCode::TooMany => "too_many",
        ErrorCode::Unsupported => "unsupported",
        ErrorCode::Gone => "gone",
        ErrorCode::Cancelled => "cancelled",
        ErrorCode::Failed => "failed",
    }
}

/// What a channel is opened for, in a sentence.
#[must_use]
pub fn describe_channel(kind: &ChannelKind) -> String {
    match kind {
        ChannelKind::Terminal(options) => {
            format!("terminal {}", options.shell.as_deref().unwrap_or("default"))
        }
        ChannelKind::Tcp(target) => format!("connect to {}:{}", target.host, target.port),
        ChannelKind::FileRead(read) => {
            let end = read.length.map(|length| read.offset.saturating_add(length));
            let end = end.map(|end| format!(" to {end}")).unwrap_or_default();
            format!("read {} from {}{end}", read.path, read.offset)
        }
        ChannelKind::FileWrite(write) => {
            let size = size(write.size);
            let from = match write.offset {
                0 => String::new(),
                offset => format!(", from {offset}"),
            };
            let over = if write.overwrite { ", overwrite" } else { "" };
            format!("upload {} ({size}{from}{over})", write.path)
        }
        ChannelKind::ArchiveRead(read) => format!("read folder {}", read.path),
        ChannelKind::ArchiveWrite(write) => {
            let over = if write.overwrite { " (overwrite)" } else { "" };
            format!("unpack into {}{over}", write.path)
        }
        ChannelKind::ServiceWatch(watch) if watch.names.is_empty() => "watch services".to_owned(),
        ChannelKind::ServiceWatch(watch) => format!("watch services {}", watch.names.join(", ")),
    }
}

/// What is asked for, in a sentence.
#[must_use]
pub fn describe_operation(operation: &Operation) -> String {
    match operation {
        Operation::FileList { path, after, .. } => match after {
            None => format!("list {path}"),
            Some(after) => format!("list {path} after {after}"),
        },
        Operation::FileStat { path } => format!("look at {path}"),
        Operation::FileMkdir { path, parents } => {
            let parents = if *parents { " with parents" } else { "" };
            format!("make folder {path}{parents}")
        }
        Operation::FileRename {
            from,
            to,
            overwrite,
        } => {
            let over = if *overwrite { " (overwrite)" } else { "" };
            format!("rename {from} to {to}{over}")
        }
        Operation::FileDelete { path, recursive } => {
            let recursive = if *recursive {
                " with all that is in it"
            } else {
                ""
            };
            format!("delete {path}{recursive}")
        }
        Operation::UploadState { path, upload } => format!("look at upload {upload} of {path}"),
        Operation::UploadDrop { path, upload } => format!("drop upload {upload} of {path}"),
        Operation::ServiceList => "list services".to_owned(),
        Operation::ServiceStat { name } => format!("look at service {name}"),
        Operation::ServiceControl { name, action } => {
            format!("{} service {name}", service_action(*action))
        }
        Operation::ServiceStartType { name, start_type } => {
            format!(
                "set start of service {name} to {}",
                start_type_name(*start_type)
            )
        }
        Operation::ProcessList => "list processes".to_owned(),
        Operation::ProcessKill { pid, started } => {
            format!("end process {pid} (started at {started})")
        }
        Operation::RegistryList { key } => format!("list {key}"),
        Operation::RegistryWrite { key, value } => {
            format!("write {key} {:?} = {}", value.name, data(&value.data))
        }
        Operation::RegistryDelete { key, name } => match name {
            Some(name) => format!("delete {key} {name:?}"),
            None => format!("delete {key} with all that is under it"),
        },
        Operation::RegistryExport { key } => format!("export {key}"),
    }
}

fn service_action(action: ServiceAction) -> &'static str {
    match action {
        ServiceAction::Start => "start",
        ServiceAction::Stop => "stop",
        ServiceAction::Restart => "restart",
    }
}

fn start_type_name(start_type: StartType) -> &'static str {
    match start_type {
        StartType::Automatic => "automatic",
        StartType::Manual => "manual",
        StartType::Disabled => "disabled",
    }
}

fn data(data: &RegistryData) -> String {
    match data {
        RegistryData::String(text) => format!("{text:?}"),
        RegistryData::ExpandString(text) => format!("expand {text:?}"),
        RegistryData::MultiString(texts) => format!("{texts:?}"),
        RegistryData::Dword(number) => format!("dword {number}"),
        RegistryData::Qword(number) => format!("qword {number}"),
        RegistryData::Binary(hex) => format!("binary {hex}"),
        RegistryData::Other { number, bytes } => format!("type {number} {bytes}"),
    }
}

/// A size for people, rounded down.
fn size(bytes: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let unit = UNITS.iter().find(|(_, unit)| bytes >= *unit);
    unit.map_or_else(
        || format!("{bytes} bytes"),
        |(name, unit)| format!("{} {name}", bytes / unit),
    )
}

#[cfg(test)]
mod tests {
    use gururmm_shared::{FileRead, FileWrite, RegistryValue, TcpTarget};

    use super::*;

    #[test]
    fn a_channel_reads_as_a_sentence() {
        let read = |offset, length| {
            describe_channel(&ChannelKind::FileRead(FileRead {
                path: "/var/log/syslog".to_owned(),
                offset,
                length,
                version: None,
            }))
        };
        assert_eq!(read(0, None), "read /var/log/syslog from 0");
        assert_eq!(read(10, Some(5)), "read /var/log/syslog from 10 to 15");
        assert!(read(u64::MAX, Some(5)).contains("from 18446744073709551615"));
        let mut write = FileWrite {
            path: "/tmp/a".to_owned(),
            upload: "u".to_owned(),
            offset: 0,
            size: 512 << 20,
            sha256: None,
            overwrite: false,
            mode: None,
            modified: None,
        };
        let of = |write: &FileWrite| describe_channel(&ChannelKind::FileWrite(write.clone()));
        assert_eq!(of(&write), "upload /tmp/a (512 MiB)");
        (write.offset, write.size, write.overwrite) = (7, 100, true);
        assert_eq!(of(&write), "upload /tmp/a (100 bytes, from 7, overwrite)");
        let tcp = ChannelKind::Tcp(TcpTarget {
            host: "localhost".to_owned(),
            port: 80,
        });
        assert_eq!(describe_channel(&tcp), "connect to localhost:80");
    }

    #[test]
    fn an_operation_reads_as_a_sentence_and_says_what_it_writes() {
        let restart = Operation::ServiceControl {
            name: "nginx".to_owned(),
            action: ServiceAction::Restart,
        };
        assert_eq!(describe_operation(&restart), "restart service nginx");
        let write = Operation::RegistryWrite {
            key: r"HKLM\SOFTWARE\Example".to_owned(),
            value: RegistryValue {
                name: "Port".to_owned(),
                data: RegistryData::Dword(80),
            },
        };
        assert_eq!(
            describe_operation(&write),
            r#"write HKLM\SOFTWARE\Example "Port" = dword 80"#
        );
    }

    #[test]
    fn an_end_without_an_error_is_complete() {
        assert_eq!(outcome(None), "completed");
        let full = OperationError::new(ErrorCode::DiskFull, "no space left");
        assert_eq!(outcome(Some(&full)), "disk_full");
    }
}
