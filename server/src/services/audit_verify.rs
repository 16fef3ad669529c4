//! Holds the audit against its seals, page by page, while the server runs or not: what was edited,
//! deleted, exchanged, slipped in or cut off is named.

use std::io;

use chrono::{Duration, Utc};

use super::audit;
use super::audit_chain::{BEGINNING, ChainKey, Hash, hex};
use super::audit_head::{Accepted, ChainFiles, Head};
use crate::db::audit_chain::{self as chain, Seal};
use crate::db::audit_log::{self, Entry, NewEntry, Stage};
use crate::db::{Db, DbError};

/// Seals that are read at once.
const PAGE: i64 = 500;
/// Entries that are looked through at once for such without a seal.
const RANGE: i64 = 10_000;
/// Faults that are told; the rest is counted.
const TOLD: usize = 20;
/// What waits longer than this for its seal is worth a word.
const LATE: Duration = Duration::seconds(60);

/// Why nothing can be said.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The database.
    #[error(transparent)]
    Database(#[from] DbError),
    /// The key's or the head's file.
    #[error("the audit's files cannot be read: {0}")]
    Files(#[from] io::Error),
    /// There are seals and no key.
    #[error(
        "the audit's key {0} is missing; bring it back from a backup of the data directory, or start the server, which makes a new one, and take the chain as it is with gururmm-server audit verify --accept-head"
    )]
    NoKey(String),
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// Entries whose seals were looked at.
    pub sealed: u64,
    /// Entries that wait for a seal.
    pub unsealed: i64,
    /// The last seal.
    pub head: Option<(i64, String)>,
    /// From where on was looked, if not from the beginning.
    pub accepted: Option<String>,
    /// What is wrong, the first ones.
    pub faults: Vec<String>,
    /// How much is wrong.
    pub fault_count: usize,
    /// What is odd and no fault.
    pub warnings: Vec<String>,
}

impl Findings {
    fn fault(&mut self, what: String) {
        self.fault_count += 1;
        if self.faults.len() < TOLD {
            self.faults.push(what);
        }
    }

    /// One line.
    #[must_use]
    pub fn summary(&self) -> String {
        let chain = match self.fault_count {
            0 => "chain whole".to_owned(),
            1 => "1 fault".to_owned(),
            faults => format!(
                "{} faults",
                thousands(faults.try_into().unwrap_or(u64::MAX))
            ),
        };
        let head = self.head.as_ref().map_or_else(
            || "nothing sealed".to_owned(),
            |(seq, hash)| format!("head {seq} {hash}"),
        );
        let entries = self.sealed + u64::try_from(self.unsealed).unwrap_or(0);
        let accepted = self.accepted.as_deref().unwrap_or_default();
        format!(
            "audit: {} entries, {chain}, {head}, {} not sealed yet{accepted}",
            thousands(entries),
            thousands(u64::try_from(self.unsealed).unwrap_or(0)),
        )
    }
}

/// A number with commas.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The way along the chain.
struct Walk<'a> {
    key: &'a ChainKey,
    /// What the file knows of the end.
    kept: Option<&'a Head>,
    /// The last seal that was looked at.
    seq: i64,
    /// Its hash as it is stored; nothing where the seal before is missing.
    before: Option<Hash>,
    findings: Findings,
}

impl Walk<'_> {
    fn take(&mut self, seal: &Seal, entry: Option<&Entry>) {
        let Seal {
            seq,
            entry_id,
            hash,
        } = seal;
        if *seq != self.seq.saturating_add(1) {
            let (from, to) = (self.seq.saturating_add(1), seq.saturating_sub(1));
            self.findings.fault(if from == to {
                format!("deleted: the seal {from} is missing")
            } else {
                format!("deleted: the seals {from} to {to} are missing")
            });
            self.before = None;
        }
        match (entry, &self.before) {
            (None, _) => self.findings.fault(format!(
                "deleted: the entry {entry_id} of the seal {seq} is missing"
            )),
            (Some(entry), Some(before)) => {
                if self.key.seal(before, *seq, entry).as_slice() != hash {
                    self.findings.fault(format!(
                        "edited or reordered: the entry {entry_id} does not fit its seal {seq}"
                    ));
                }
            }
            // Nothing to hold it against: the gap before it is told.
            (Some(_), None) => {}
        }
        if let Some(kept) = self.kept
            && kept.seq == *seq
            && kept.hash.as_slice() != hash
        {
            self.findings.fault(format!(
                "exchanged: the seal {seq} is not the one that the server made last"
            ));
        }
        self.findings.sealed += 1;
        self.seq = *seq;
        self.before = hash.as_slice().try_into().ok();
    }
}

/// Looks through the whole audit.
///
/// # Errors
/// [`VerifyError`]: then nothing is known.
pub async fn verify(db: &Db, files: &ChainFiles) -> Result<Findings, VerifyError> {
    let Some(key) = files.read_key()? else {
        if chain::tail(db).await?.is_some() {
            return Err(VerifyError::NoKey(files.key.display().to_string()));
        }
        let mut findings = Findings::default();
        queue(db, &mut findings).await?;
        return Ok(findings);
    };
    // Before the table, which may only grow meanwhile.
    let mut unreadable = None;
    let kept = match files.read_head(&key) {
        Ok(kept) => kept,
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            unreadable = Some(error.to_string());
            None
        }
        Err(error) => return Err(error.into()),
    };
    let accepted = kept.as_ref().and_then(|head| head.accepted.clone());
    let mut walk = Walk {
        key: &key,
        kept: kept.as_ref(),
        seq: accepted.as_ref().map_or(0, |accepted| accepted.seq),
        before: Some(
            accepted
                .as_ref()
                .map_or(BEGINNING, |accepted| accepted.hash),
        ),
        findings: Findings::default(),
    };
    if let Some(why) = unreadable {
        walk.findings.fault(format!("head: {why}"));
    }
    loop {
        let page = chain::after(db, walk.seq, PAGE).await?;
        for (seal, entry) in &page {
            walk.take(seal, entry.as_ref());
        }
        if page.len() < usize::try_from(PAGE).unwrap_or(0) {
            break;
        }
    }
    let (end, last) = (walk.seq, walk.before);
    let mut findings = walk.findings;
    match &kept {
        Some(kept) if kept.seq > end => findings.fault(format!(
            "cut off: the server sealed {} entries and the table ends at {end}",
            kept.seq
        )),
        None if end > 0 && findings.fault_count == 0 => findings.fault(format!(
            "head: {} is missing, so nobody knows whether something was cut off",
            files.head.display()
        )),
        _ => {}
    }
    findings.head = last
        .filter(|_| end > 0)
        .map(|hash| (end, hex(&hash).chars().take(16).collect()));
    foreign(db, accepted.as_ref(), &mut findings).await?;
    queue(db, &mut findings).await?;
    findings.accepted = accepted.map(|accepted| {
        format!(
            "; looked at from seal {} on, what was there before was accepted on {}",
            accepted.seq + 1,
            accepted.at.format("%Y-%m-%d %H:%M UTC")
        )
    });
    Ok(findings)
}

/// Entries that the server did not seal and will not.
async fn foreign(
    db: &Db,
    accepted: Option<&Accepted>,
    findings: &mut Findings,
) -> Result<(), DbError> {
    let last = audit_log::last(db).await?;
    let mut from = accepted.map_or(0, |accepted| accepted.entry_id) + 1;
    while from <= last {
        let to = from.saturating_add(RANGE);
        for id in chain::foreign(db, from, to).await? {
            findings.fault(format!(
                "slipped in: the entry {id} has no seal and waits for none"
            ));
        }
        from = to;
    }
    Ok(())
}

async fn queue(db: &Db, findings: &mut Findings) -> Result<(), DbError> {
    let queue = chain::queue(db, i64::try_from(TOLD).unwrap_or(0)).await?;
    for id in queue.gone {
        findings.fault(format!("deleted: the entry {id} went before it was sealed"));
    }
    findings.unsealed = queue.waiting;
    if queue
        .oldest
        .is_some_and(|oldest| Utc::now() - oldest > LATE)
    {
        findings.warnings.push(format!(
            "warning: {} entries wait for their seal for more than {} s; is the server running?",
            queue.waiting,
            LATE.num_seconds()
        ));
    }
    Ok(())
}

/// Takes the chain as it is: from here on it is looked at. What was wrong is written into the audit
/// itself.
///
/// # Errors
/// [`VerifyError`].
pub async fn accept(db: &Db, files: &ChainFiles, faults: usize) -> Result<i64, VerifyError> {
    let key = files
        .read_key()?
        .ok_or_else(|| VerifyError::NoKey(files.key.display().to_string()))?;
    let kept = files.read_head(&key).ok().flatten();
    let tail = chain::tail(db).await?;
    let (seq, hash) = tail.map_or((0, BEGINNING), |tail| {
        (
            tail.seq,
            tail.hash.as_slice().try_into().unwrap_or(BEGINNING),
        )
    });
    let last = kept.map_or(0, |head| head.seq);
    let mut entry = NewEntry::new(Stage::Event, "audit.accepted");
    entry.detail = format!("{{\"faults\":{faults},\"sealed_before\":{last},\"sealed_now\":{seq}}}");
    entry.outcome = Some("ok".to_owned());
    let accepted = Accepted {
        seq,
        hash,
        entry_id: audit_log::last(db).await?,
        at: audit::now(),
    };
    audit_log::insert(db, entry).await?;
    chain::forget_gone(db).await?;
    let head = Head {
        seq,
        hash,
        accepted: Some(accepted),
    };
    files.write_head(&key, &head)?;
    Ok(seq)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_is_one_line_with_commas() {
        let findings = Findings {
            sealed: 1_231,
            unsealed: 3,
            head: Some((1_231, "ab12".to_owned())),
            ..Findings::default()
        };
        assert_eq!(
            findings.summary(),
            "audit: 1,234 entries, chain whole, head 1231 ab12, 3 not sealed yet"
        );
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(1_000_000), "1,000,000");
    }

    #[test]
    fn twenty_faults_are_told_and_all_are_counted() {
        let mut findings = Findings::default();
        for n in 0..30 {
            findings.fault(n.to_string());
        }
        assert_eq!((findings.faults.len(), findings.fault_count), (20, 30));
        assert!(findings.summary().contains("30 faults"));
    }
}
