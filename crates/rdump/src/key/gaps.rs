//! What chunks of an earlier run leave of a table: the ranges between them. Pure: no I/O.
//!
//! Only a server can compare two values of a key as it does itself, so nothing is compared here. The order comes from how chunks
//! are made: one behind the other, and where a reader takes over half of a chunk, the new one lies right behind the rest of the old
//! one. Two ends meet where they are of the same bytes, because both sides of a cut hold the same literal.

use serde::{Deserialize, Serialize};

use super::{Bound, ChunkKey, KeyRange, Low};

/// A place between two neighbours in the order of a key: right before, or right behind, all rows whose first columns have these
/// values. Without values it is the beginning or the end of the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edge {
    /// As the server printed them, in hexadecimal digits.
    #[serde(with = "hex_list")]
    values: Vec<Vec<u8>>,
    behind: bool,
}

impl Edge {
    /// Before the first row.
    pub fn begin() -> Edge {
        Edge { values: Vec::new(), behind: false }
    }

    /// Behind the last row.
    pub fn end() -> Edge {
        Edge { values: Vec::new(), behind: true }
    }

    /// How many of the key's columns it names.
    pub fn depth(&self) -> usize {
        self.values.len()
    }
}

impl KeyRange {
    /// Its two ends. `None` for ranges with NULL, whose order is not known here.
    pub fn edges(&self) -> Option<(Edge, Edge)> {
        let (last, fixed) = self.bounds.split_last()?;
        let mut values = Vec::with_capacity(self.bounds.len());
        for bound in fixed {
            let Bound::Equal(value) = bound else { return None };
            values.push(value.clone());
        }
        let edge = |value: Option<&Vec<u8>>, behind| {
            let values = values.iter().chain(value).cloned().collect();
            Edge { values, behind }
        };
        match last {
            Bound::Null | Bound::Between { nulls: true, .. } => None,
            Bound::Equal(value) => Some((edge(Some(value), false), edge(Some(value), true))),
            Bound::Between { low, high, nulls: false } => {
                let low = match low {
                    Some(low) => edge(Some(&low.value), !low.inclusive),
                    None => edge(None, false),
                };
                let high = match high {
                    Some(high) => edge(Some(high), false),
                    None => edge(None, true),
                };
                Some((low, high))
            }
        }
    }
}

/// The ranges between two edges, in the order of the key; none if the edges meet. No column of the key may hold NULL.
pub fn between(key: &ChunkKey, from: &Edge, to: &Edge) -> Vec<KeyRange> {
    if from == to {
        return Vec::new();
    }
    let (a, b) = (&from.values, &to.values);
    let common = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let mut out = Vec::new();
    if a.len() == common && b.len() == common {
        // One from before a group of rows to behind it.
        return vec![group(key, a)];
    }
    // Only the group that the first edge stands before is inside; it is part of the innermost interval.
    let low = |depth: usize| {
        let inclusive = !from.behind && depth + 1 == a.len();
        a.get(depth).map(|value| Low { value: value.clone(), inclusive })
    };
    // Up from the first edge to the column where the two part.
    for depth in (common + 1..a.len()).rev() {
        out.push(interval(&a[..depth], low(depth), None));
    }
    out.push(interval(&a[..common], low(common), b.get(common)));
    // And down to the second one.
    for depth in common + 1..b.len() {
        out.push(interval(&b[..depth], None, Some(&b[depth])));
    }
    if to.behind && b.len() > common {
        out.push(group(key, b));
    }
    out
}

/// What lies before, between and behind ranges that are given in the order of the key; one entry more than there are ranges.
pub fn gaps(key: &ChunkKey, ranges: &[(Edge, Edge)]) -> Vec<Vec<KeyRange>> {
    let mut from = Edge::begin();
    let mut out = Vec::with_capacity(ranges.len() + 1);
    for (low, high) in ranges {
        out.push(between(key, &from, low));
        from = high.clone();
    }
    out.push(between(key, &from, &Edge::end()));
    out
}

/// All rows that begin with these values.
fn group(key: &ChunkKey, values: &[Vec<u8>]) -> KeyRange {
    let mut bounds: Vec<Bound> = values.iter().cloned().map(Bound::Equal).collect();
    if bounds.len() < key.columns.len() {
        bounds.push(Bound::all(false));
    }
    KeyRange { bounds }
}

/// Rows that begin with these values, and whose next one lies between two others, the upper one not inside.
fn interval(prefix: &[Vec<u8>], low: Option<Low>, high: Option<&Vec<u8>>) -> KeyRange {
    let mut bounds: Vec<Bound> = prefix.iter().cloned().map(Bound::Equal).collect();
    bounds.push(Bound::Between { low, high: high.cloned(), nulls: false });
    KeyRange { bounds }
}

/// Bytes of any kind as JSON strings.
mod hex_list {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(values: &[Vec<u8>], to: S) -> Result<S::Ok, S::Error> {
        values.iter().map(|value| super::super::hex(value)).collect::<Vec<_>>().serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Vec<u8>>, D::Error> {
        let texts = Vec::<String>::deserialize(from)?;
        texts
            .iter()
            .map(|text| unhex(text).ok_or_else(|| D::Error::custom("no hexadecimal digits")))
            .collect()
    }

    fn unhex(text: &str) -> Option<Vec<u8>> {
        let digits = text.as_bytes();
        if !digits.len().is_multiple_of(2) {
            return None;
        }
        let value = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        digits.chunks(2).map(|pair| Some(value(pair[0])? << 4 | value(pair[1])?)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{inside, key};
    use super::*;

    fn texts(from: &Edge, to: &Edge) -> Vec<String> {
        let key = key(false);
        between(&key, from, to).iter().map(|range| range.condition(&key).unwrap_or("*".into())).collect()
    }

    fn edge(values: &[&str], behind: bool) -> Edge {
        Edge { values: values.iter().map(|value| value.as_bytes().to_vec()).collect(), behind }
    }

    #[test]
    fn ranges_between_edges() {
        let (begin, end) = (Edge::begin(), Edge::end());
        assert_eq!(texts(&begin, &end), ["*"]);
        assert_eq!(texts(&begin, &begin), [""; 0]);
        assert_eq!(texts(&begin, &edge(&["5"], false)), ["`a``` < 5"]);
        assert_eq!(texts(&edge(&["5"], true), &end), ["`a``` > 5"]);
        assert_eq!(texts(&edge(&["5"], false), &end), ["`a``` >= 5"]);
        assert_eq!(texts(&edge(&["5"], false), &edge(&["5"], true)), ["`a``` = 5"]);
        assert_eq!(texts(&edge(&["5"], true), &edge(&["7"], false)), ["`a``` > 5 AND `a``` < 7"]);
        assert_eq!(texts(&edge(&["5"], false), &edge(&["7"], false)), ["`a``` >= 5 AND `a``` < 7"]);
        assert_eq!(texts(&edge(&["5"], false), &edge(&["5", "3"], false)), ["`a``` = 5 AND `b` < 3"]);
        assert_eq!(texts(&edge(&["5", "3"], true), &edge(&["5"], true)), ["`a``` = 5 AND `b` > 3"]);
        assert_eq!(
            texts(&edge(&["5", "3"], false), &edge(&["7", "1"], true)),
            [
                "`a``` = 5 AND `b` >= 3",
                "`a``` > 5 AND `a``` < 7",
                "`a``` = 7 AND `b` < 1",
                "`a``` = 7 AND `b` = 1",
            ]
        );
    }

    #[test]
    fn edges_are_written_down() {
        let edge = Edge { values: vec![b"\xff'".to_vec(), Vec::new()], behind: true };
        let text = serde_json::to_string(&edge).unwrap();
        assert_eq!(text, r#"{"values":["ff27",""],"behind":true}"#);
        assert_eq!(serde_json::from_str::<Edge>(&text).unwrap(), edge);
        for bad in [r#"{"values":["F"],"behind":true}"#, r#"{"values":["zz"],"behind":true}"#] {
            assert!(serde_json::from_str::<Edge>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn ranges_with_null_have_no_edges() {
        let key = key(true);
        let all = KeyRange::all(&key);
        let (nulls, rest) = all.cut_nulls().unwrap();
        assert!(all.edges().is_none() && nulls.edges().is_none() && rest.edges().is_some());
        assert!(nulls.next_column(&key).unwrap().edges().is_none());
    }

    proptest::proptest! {
        /// Whatever chunks are left of whatever cuts: with what lies between them, and cuts of that, each row is in exactly one.
        #[test]
        fn chunks_and_gaps_are_a_partition(
            cuts in proptest::collection::vec((0u8..2, 0usize..50, -5i64..5), 0..40),
            keep in proptest::collection::vec(proptest::bool::ANY, 40),
            more in proptest::collection::vec((0u8..2, 0usize..50, -5i64..5), 0..10),
            rows in proptest::collection::vec((-6i64..6, -6i64..6), 1..30),
        ) {
            let key = key(false);
            let mut parts = vec![KeyRange::all(&key)];
            cut(&key, &mut parts, &cuts);
            let kept: Vec<KeyRange> =
                parts.iter().zip(keep.iter().cycle()).filter(|(_, keep)| **keep).map(|(part, _)| part.clone()).collect();
            let edges: Vec<(Edge, Edge)> = kept.iter().map(|part| part.edges().unwrap()).collect();
            let mut rest: Vec<KeyRange> = gaps(&key, &edges).into_iter().flatten().collect();
            cut(&key, &mut rest, &more);
            for (a, b) in rows {
                let count = kept.iter().chain(&rest).filter(|part| inside(part, [Some(a), Some(b)])).count();
                proptest::prop_assert_eq!(count, 1, "{:?} {:?} in {:?} and {:?}", a, b, kept, rest);
            }
        }
    }

    /// Cuts as the planner and sharing readers do; the parts stay in the order of the key.
    fn cut(key: &ChunkKey, parts: &mut Vec<KeyRange>, cuts: &[(u8, usize, i64)]) {
        for &(how, which, value) in cuts {
            if parts.is_empty() {
                return;
            }
            let at = which % parts.len();
            let part = parts[at].clone();
            let last = KeyRange { bounds: vec![part.last().clone()] };
            if !inside(&last, [Some(value), None]) {
                continue;
            }
            let value = value.to_string().into_bytes();
            let new = match how {
                0 => part.cut(&value).map(|(low, high)| vec![low, high]),
                _ => part.take_out(&value, key),
            };
            if let Some(new) = new {
                parts.splice(at..=at, new);
            }
        }
    }
}
