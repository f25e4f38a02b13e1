//! JSON for a target that misreads doubles in it: those get other digits, see [`sql::json_doubles`]; all else stays as it is.

use sql::SqlMode;
use sql::json_doubles::may_change;
use sql::values::cells;

use super::shape::single_rows;
use crate::downstream::tables::TargetColumn;

/// Which cells of a row fill a column of JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonCells(Vec<bool>);

/// Whether a column of the target holds JSON. MariaDB's is text, there it does not matter.
pub fn is_json(column: Option<&TargetColumn>) -> bool {
    column.is_some_and(|column| column.full_type.eq_ignore_ascii_case("json"))
}

impl JsonCells {
    /// Those of these columns; `None` if there are none.
    pub fn of<'a>(columns: impl Iterator<Item = Option<&'a TargetColumn>>) -> Option<Self> {
        let these: Vec<bool> = columns.map(is_json).collect();
        these.contains(&true).then_some(Self(these))
    }

    /// The text of a cell, if it is one of these and has to change.
    pub fn better(&self, number: usize, cell: &sql::values::Cell<'_>, mode: SqlMode) -> Option<Vec<u8>> {
        let is_json = self.0.get(number).copied().unwrap_or(false);
        if is_json { cell.with_exact_doubles(mode) } else { None }
    }

    /// Appends a run of rows.
    pub fn rows(&self, run: &[u8], mode: SqlMode, out: &mut Vec<u8>) {
        // Most rows have no such number anywhere.
        if !may_change(run) {
            out.extend_from_slice(run);
            return;
        }
        for (number, (_, row)) in single_rows(run, mode).enumerate() {
            if number > 0 {
                out.push(b',');
            }
            if may_change(row) {
                self.row(row, mode, out);
            } else {
                out.extend_from_slice(row);
            }
        }
    }

    /// What can't be taken apart is for the server to judge.
    fn row(&self, row: &[u8], mode: SqlMode, out: &mut Vec<u8>) {
        let mut copied = 0;
        for (number, cell) in cells(row, mode).into_iter().flatten().enumerate() {
            let Ok(cell) = cell else { break };
            if let Some(better) = self.better(number, &cell, mode) {
                out.extend_from_slice(row.get(copied..cell.span.start).unwrap_or_default());
                out.extend_from_slice(&better);
                copied = cell.span.end;
            }
        }
        out.extend_from_slice(row.get(copied..).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_without_json_need_nothing() {
        let column = |full_type: &str| TargetColumn {
            name: "c".into(),
            full_type: full_type.into(),
            required: false,
            generated: false,
        };
        let (text, json) = (column("longtext"), column("json"));
        assert_eq!(JsonCells::of([Some(&text), None].into_iter()), None);
        let found = JsonCells::of([Some(&text), Some(&json), None].into_iter());
        assert_eq!(found, Some(JsonCells(vec![false, true, false])));
    }

    #[test]
    fn only_cells_of_json_change() {
        let json = JsonCells(vec![false, true, true]);
        let change = |run: &str| {
            let mut out = Vec::new();
            json.rows(run.as_bytes(), SqlMode::default(), &mut out);
            String::from_utf8(out).unwrap()
        };
        let (bad, worse) = ("0.040785546898809644", "-0.18015513008447814");
        let good = sql::json_doubles::spell(bad.parse().unwrap()).unwrap();
        let better = sql::json_doubles::spell(worse.parse().unwrap()).unwrap();
        for same in [
            "(1,'{}','[1.5]')".to_owned(),
            format!("({bad},NULL,NULL),\n('{bad}','\\\"{bad}\\\"','[\"\\\\\\\"{bad}\"]')"),
            format!("(1,JSON_ARRAY({bad}),0x5b5d)"),
            format!("('{bad}')"),
        ] {
            assert_eq!(change(&same).replace(",\n", ","), same.replace(",\n", ","));
        }
        assert_eq!(
            change(&format!(
                "(1,'{{\\\"a\\\":[{bad}, 1]}}' , CONVERT(\"[{worse},'it']\" USING utf8mb4)),(2,'1',' {bad}')"
            )),
            format!(
                "(1,'{{\"a\":[{good}, 1]}}' , CONVERT('[{better},''it'']' USING utf8mb4)),(2,'1',' {good}')"
            )
        );
    }
}
