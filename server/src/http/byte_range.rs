//! `Range` and `If-Range` of a download (RFC 9110 section 14): a single range of bytes.

/// What a reader wants of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// All of it.
    Whole,
    /// From one byte on, up to another one or to the end.
    From {
        /// The first byte.
        first: u64,
        /// The last byte.
        last: Option<u64>,
    },
    /// The last so many bytes.
    Suffix(u64),
}

impl Wanted {
    /// Reads the header. What is no single range of bytes is left aside, as the RFC allows: the whole file answers it.
    #[must_use]
    pub fn parse(header: Option<&str>) -> Self {
        let range = header.and_then(|header| {
            let (unit, range) = header.split_once('=')?;
            unit.trim()
                .eq_ignore_ascii_case("bytes")
                .then(|| range.trim())
        });
        range.and_then(single).unwrap_or(Self::Whole)
    }

    /// Which bytes of a file of `size` bytes these are, as offset and length; none where the file has none of them.
    #[must_use]
    pub fn within(self, size: u64) -> Option<(u64, u64)> {
        match self {
            Self::Whole => Some((0, size)),
            Self::From { first, .. } if first >= size => None,
            Self::From { first, last } => {
                let end = last.map_or(size, |last| size.min(last.saturating_add(1)));
                Some((first, end - first))
            }
            Self::Suffix(0) => None,
            Self::Suffix(_) if size == 0 => None,
            Self::Suffix(length) => {
                let length = length.min(size);
                Some((size - length, length))
            }
        }
    }
}

fn single(range: &str) -> Option<Wanted> {
    let (first, last) = range.split_once('-')?;
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse::<u64>().ok()).flatten()
    };
    match (first, last) {
        ("", last) => Some(Wanted::Suffix(number(last)?)),
        (first, "") => Some(Wanted::From {
            first: number(first)?,
            last: None,
        }),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            let last = Some(last);
            (last >= Some(first)).then_some(Wanted::From { first, last })
        }
    }
}

/// The `ETag` of a file whose state has this name; none where the name does not fit into one.
#[must_use]
pub fn entity_tag(version: Option<&str>) -> Option<String> {
    let version = version?;
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':');
    let fits = (1..=200).contains(&version.len()) && version.bytes().all(fits);
    fits.then(|| format!("\"{version}\""))
}

/// The state that `If-Range` asks for; an empty name, which no file has, where it is weak or a date.
#[must_use]
pub fn asked_version(if_range: &str) -> String {
    let strong = if_range.trim().strip_prefix('"');
    let version = strong.and_then(|rest| rest.strip_suffix('"'));
    version.unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_a_beginning_an_end_or_both() {
        let from = |first, last| Wanted::From { first, last };
        for (header, wanted) in [
            ("bytes=0-0", from(0, Some(0))),
            ("bytes=5-", from(5, None)),
            ("BYTES = 5-9", from(5, Some(9))),
            ("bytes=-7", Wanted::Suffix(7)),
            ("bytes=-0", Wanted::Suffix(0)),
        ] {
            assert_eq!(Wanted::parse(Some(header)), wanted, "{header}");
        }
    }

    #[test]
    fn what_is_no_single_range_is_left_aside() {
        for header in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=9-5",
            "bytes=a-b",
            "bytes=+1-2",
            "bytes=0-1,5-6",
            "lines=0-1",
            "bytes=99999999999999999999-",
        ] {
            assert_eq!(Wanted::parse(Some(header)), Wanted::Whole, "{header}");
        }
        assert_eq!(Wanted::parse(None), Wanted::Whole);
    }

    #[test]
    fn a_range_is_cut_at_the_files_end_and_one_beyond_it_is_none() {
        let from = |first, last| Wanted::From { first, last };
        assert_eq!(Wanted::Whole.within(0), Some((0, 0)));
        assert_eq!(from(0, Some(0)).within(10), Some((0, 1)));
        assert_eq!(from(9, None).within(10), Some((9, 1)));
        assert_eq!(from(3, Some(u64::MAX)).within(10), Some((3, 7)));
        assert_eq!(from(10, None).within(10), None);
        assert_eq!(from(0, None).within(0), None);
        assert_eq!(Wanted::Suffix(3).within(10), Some((7, 3)));
        assert_eq!(Wanted::Suffix(30).within(10), Some((0, 10)));
        assert_eq!(Wanted::Suffix(0).within(10), None);
        assert_eq!(Wanted::Suffix(3).within(0), None);
    }

    #[test]
    fn a_version_that_fits_into_an_entity_tag_comes_back_out_of_it() {
        let tag = entity_tag(Some("1a-2b:3")).unwrap();
        assert_eq!(tag, "\"1a-2b:3\"");
        assert_eq!(asked_version(&tag), "1a-2b:3");
        for bad in ["", "a\"b", "a b", "ü"] {
            assert_eq!(entity_tag(Some(bad)), None, "{bad}");
        }
        for weak in ["W/\"1\"", "Tue, 15 Nov 1994 12:45:26 GMT", "\"", ""] {
            assert_eq!(asked_version(weak), "", "{weak}");
        }
    }
}
