//! Cutting to size, always saying how much was left out.
//!
//! Sizes are counted in UTF-8 bytes. GitHub speaks of characters; bytes are never fewer than characters or UTF-16 units, so a text that
//! fits in bytes fits however it is counted.

/// Text of at most `limit` bytes: the beginning and the end, and between them a line that says how many characters were left out and,
/// when there is a link, where all of it is. Cuts at line ends where one is near, and never inside a character. A text that fits
/// is returned as it is. When not even the line fits, the beginning of the text is returned.
pub fn cut_middle(text: &str, limit: usize, link: Option<&str>) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let reserve = notice(text.chars().count(), link).len();
    let Some(room) = limit.checked_sub(reserve).filter(|room| *room >= 2) else {
        return text[..text.floor_char_boundary(limit)].to_owned();
    };
    let head = &text[..line_end_before(text, text.floor_char_boundary(room - room / 2))];
    let tail = &text[line_start_after(text, text.ceil_char_boundary(text.len() - room / 2))..];
    let omitted = text[head.len()..text.len() - tail.len()].chars().count();
    format!("{head}{}{tail}", notice(omitted, link))
}

/// At most `limit` characters on one line; `…` stands for what was cut off the end.
pub fn cut_end(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        None => text.to_owned(),
        Some(_) => {
            let kept: String = text.chars().take(limit.saturating_sub(1)).collect();
            format!("{}…", kept.trim_end())
        }
    }
}

/// Shares a budget: nobody gets more than they want, and what small ones leave goes to the others in equal parts.
pub fn share(budget: usize, wants: &[usize]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..wants.len()).collect();
    order.sort_by_key(|at| wants[*at]);
    let mut shares = vec![0; wants.len()];
    let mut left = budget;
    for (done, at) in order.into_iter().enumerate() {
        shares[at] = wants[at].min(left / (wants.len() - done));
        left -= shares[at];
    }
    shares
}

/// `1234567` as `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn notice(omitted: usize, link: Option<&str>) -> String {
    let count = grouped(omitted as u64);
    match link {
        Some(link) => format!("\n[… {count} characters left out; all of it: {link} …]\n"),
        None => format!("\n[… {count} characters left out …]\n"),
    }
}

/// How far a cut may move to reach a line end.
const NEAR: usize = 200;

fn line_end_before(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').filter(|end| at - end <= NEAR.min(at / 2)).unwrap_or(at)
}

fn line_start_after(text: &str, at: usize) -> usize {
    text[at..].find('\n').map(|end| at + end + 1).filter(|start| start - at <= NEAR.min((text.len() - at) / 2)).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_middle_goes_and_is_counted() {
        let text = (1..=100).map(|line| format!("line {line}\n")).collect::<String>();
        insta::assert_snapshot!(cut_middle(&text, 120, None), @r"
        line 1
        line 2
        line 3
        line 4
        line 5
        line 6
        [… 710 characters left out …]
        line 96
        line 97
        line 98
        line 99
        line 100
        ");
        assert_eq!(cut_middle("short", 5, None), "short");
        assert_eq!(cut_middle("äöü", 3, None), "ä");
        assert_eq!(cut_end("abcdef", 4), "abc…");
        assert_eq!(grouped(1_234_567), "1,234,567");
    }

    #[test]
    fn small_wishes_are_fulfilled_first() {
        assert_eq!(share(100, &[10, 500, 500]), [10, 45, 45]);
        assert_eq!(share(100, &[10, 20]), [10, 20]);
        assert_eq!(share(100, &[]), Vec::<usize>::new());
    }

    proptest! {
        #[test]
        fn a_cut_text_fits_and_counts_right(text in "(\\PC|\n){0,400}", limit in 0usize..300) {
            let cut = cut_middle(&text, limit, Some("https://example.com/run"));
            prop_assert!(cut.len() <= limit);
            if let Some((_, count)) = cut.split_once("\n[… ").filter(|_| text.len() > limit && !text.contains("[…")) {
                let omitted: usize = count.split(' ').next().unwrap_or_default().replace(',', "").parse().unwrap_or(0);
                let notice = notice(omitted, Some("https://example.com/run")).chars().count();
                prop_assert_eq!(cut.chars().count() - notice + omitted, text.chars().count());
            }
        }

        #[test]
        fn shares_stay_within_the_budget(budget in 0usize..1000, wants in proptest::collection::vec(0usize..500, 0..8)) {
            let shares = share(budget, &wants);
            prop_assert!(shares.iter().sum::<usize>() <= budget);
            prop_assert!(shares.iter().zip(&wants).all(|(share, want)| share <= want));
        }
    }
}
