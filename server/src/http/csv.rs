//! Rows of comma-separated values (RFC 4180) that a spreadsheet takes for text.

/// One row with its end. Cells with commas, quotes or line ends are quoted.
pub fn row(cells: impl Iterator<Item = String>) -> String {
    let mut line = String::new();
    for (at, cell) in cells.enumerate() {
        if at > 0 {
            line.push(',');
        }
        if cell.contains([',', '"', '\n', '\r']) {
            line.push('"');
            line += &cell.replace('"', "\"\"");
            line.push('"');
        } else {
            line += &cell;
        }
    }
    line + "\r\n"
}

/// A text that no spreadsheet takes for a formula: where it begins like one, with a ' before it.
pub fn defused(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_where_they_must_be() {
        let cells = ["a", "b,c", "say \"x\"", "two\nlines", ""];
        let line = row(cells.iter().map(|cell| (*cell).to_owned()));
        assert_eq!(line, "a,\"b,c\",\"say \"\"x\"\"\",\"two\nlines\",\r\n");
    }

    #[test]
    fn no_text_is_a_formula() {
        for text in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"] {
            assert_eq!(defused(text), format!("'{text}"));
        }
        assert_eq!(defused("a=1"), "a=1");
    }
}
