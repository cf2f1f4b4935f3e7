//! Nearest names, for "unknown …; did you mean …?".

/// Similarity below which a candidate is no help. The same bound as clap uses for its own suggestions.
const SIMILAR_ENOUGH: f64 = 0.7;

/// The candidate most like `unknown`, if any is like it. Of equally similar ones, the first.
pub fn nearest<'a>(unknown: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let mut best: Option<(f64, &str)> = None;
    for candidate in candidates {
        let similarity = strsim::jaro_winkler(unknown, candidate);
        if similarity > SIMILAR_ENOUGH && best.is_none_or(|(found, _)| similarity > found) {
            best = Some((similarity, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// `; did you mean 'NAME'?` where there is a nearest name, otherwise nothing: to be appended to an error message.
pub fn did_you_mean<'a>(unknown: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(unknown, candidates).map(|name| format!("; did you mean '{name}'?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transposed_letter_is_recognised() {
        assert_eq!(nearest("vaccum", ["inlining", "vacuum", "merge-blocks"]), Some("vacuum"));
        assert_eq!(did_you_mean("vaccum", ["vacuum"]), "; did you mean 'vacuum'?");
    }

    #[test]
    fn an_unrelated_name_gets_no_suggestion() {
        assert_eq!(nearest("xyzzy", ["inlining", "vacuum"]), None);
        assert_eq!(did_you_mean("xyzzy", ["inlining"]), "");
    }
}
