//! Ranges of a target table that hold about the same number of rows.

use common::error::DmError;
use common::ident::quote;

use super::pool::Pools;
use super::tables::TargetTable;
use super::wait::broken;

/// A part of a table as a condition on its cut column: `low <= column < high`, open where a bound is missing.
///
/// Rows whose column is NULL belong to the range without `low`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    column: Option<String>,
    low: Option<String>,
    high: Option<String>,
}

impl Range {
    /// The condition for WHERE.
    pub fn condition(&self) -> String {
        let Some(column) = self.column.as_deref().map(quote) else { return "TRUE".into() };
        match (&self.low, &self.high) {
            (None, None) => "TRUE".into(),
            (None, Some(high)) => format!("({column}<{high} OR {column} IS NULL)"),
            (Some(low), None) => format!("{column}>={low}"),
            (Some(low), Some(high)) => format!("{column}>={low} AND {column}<{high}"),
        }
    }
}

/// Cuts a table; without an integer key it is one range.
///
/// # Errors
/// What the target says.
pub async fn cut(table: &TargetTable, pools: &Pools, rows: u64) -> Result<Vec<Range>, DmError> {
    let Some(column) = &table.cut_column else {
        return Ok(vec![Range { column: None, low: None, high: None }]);
    };
    let (name, quoted) = (table.name.quoted(), quote(column));
    let mut bounds: Vec<String> = Vec::new();
    loop {
        let after = bounds.last().map_or_else(String::new, |low| format!("AND {quoted}>={low} "));
        let sql = format!(
            "SELECT {quoted} FROM {name} WHERE {quoted} IS NOT NULL {after}ORDER BY {quoted} LIMIT 1 OFFSET {rows}"
        );
        let found = pools.target.query(&sql).await?;
        let next = match found.first() {
            Some(row) => row.text(0).map_err(|error| broken(&pools.target.name(), &error))?,
            None => break,
        };
        let next = match bounds.last() {
            // One value fills more than a whole range: go on behind it.
            Some(last) if *last == next => {
                let sql = format!("SELECT MIN({quoted}) FROM {name} WHERE {quoted}>{next}");
                let found = pools.target.query(&sql).await?;
                let value = found.first().map(|row| row.str(0)).transpose();
                match value.map_err(|error| broken(&pools.target.name(), &error))?.flatten() {
                    Some(value) => value,
                    None => break,
                }
            }
            _ => next,
        };
        bounds.push(next);
    }
    Ok(ranges(column, &bounds))
}

fn ranges(column: &str, bounds: &[String]) -> Vec<Range> {
    let lows = std::iter::once(None).chain(bounds.iter().map(Some));
    let highs = bounds.iter().map(Some).chain(std::iter::once(None));
    lows.zip(highs)
        .map(|(low, high)| Range { column: Some(column.into()), low: low.cloned(), high: high.cloned() })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_cover_everything_once() {
        let conditions = |bounds: &[&str]| {
            let bounds: Vec<String> = bounds.iter().map(|bound| (*bound).to_owned()).collect();
            ranges("k", &bounds).iter().map(Range::condition).collect::<Vec<_>>()
        };
        assert_eq!(conditions(&[]), ["TRUE"]);
        assert_eq!(conditions(&["-5", "9"]), ["(`k`<-5 OR `k` IS NULL)", "`k`>=-5 AND `k`<9", "`k`>=9"]);
    }
}
